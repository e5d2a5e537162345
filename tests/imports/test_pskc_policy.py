"""Which keys of a PSKC file are tokens of ours, and which are left out with the reason.

RFC 6030 4.3.4, 4.4, 5 and 10.
"""

from __future__ import annotations

import pytest

from tests.imports.pskc_files import (
    DIGITS,
    HOTP,
    SEED,
    TOTP,
    container,
    flaw,
    left_out,
    package,
    plain,
    read,
    seed,
)


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        ("<KeyUsage>CR</KeyUsage>", "for CR"),
        ("<KeyUsage>Encrypt</KeyUsage><KeyUsage>Decrypt</KeyUsage>", "for Encrypt, Decrypt"),
        ("<NumberOfTransactions>100</NumberOfTransactions>", "not counted here"),
        ('<PINPolicy PINUsageMode="Prepend"/>', "in front of the code"),
        ('<PINPolicy PINUsageMode="Append"/>', "behind the code"),
        ('<PINPolicy PINUsageMode="Algorithmic"/>', "into the calculation"),
        ('<PINPolicy PINUsageMode="Sometimes"/>', "does not say where the PIN goes"),
        ('<PINPolicy MinLength="4"/>', "does not say where the PIN goes"),
        ('<PINPolicy PINUsageMode="Local" OnWeekdays="true"/>', '"OnWeekdays"'),
        ('<PINPolicy PINUsageMode="Local"><Foo/></PINPolicy>', '"Foo"'),
        ("<KeyUsage>OTP</KeyUsage><Weekdays>Monday</Weekdays>", '"Weekdays"'),
        ('<x:KeyUsage xmlns:x="urn:example">OTP</x:KeyUsage>', '"{urn:example}KeyUsage"'),
    ],
)
def test_what_a_policy_forbids_or_we_do_not_understand_is_left_out(policy: str, why: str) -> None:
    """RFC 6030 5: who does not understand a policy must not use the key."""
    entry = left_out(container(package(policy=f"<Policy>{policy}</Policy>")))
    assert why in entry.why
    assert entry.what == "token S1"
    assert entry.line == 3


@pytest.mark.parametrize(
    "policy",
    [
        "",
        "<Policy/>",
        "<Policy><KeyUsage>OTP</KeyUsage><KeyUsage>Unlock</KeyUsage></Policy>",
        '<Policy><PINPolicy PINUsageMode="Local" MinLength="4" PINEncoding="DECIMAL" MaxFailedAttempts="3"/></Policy>',
    ],
)
def test_a_policy_that_asks_nothing_of_us_is_kept(policy: str) -> None:
    """One-time passwords are what the key is for, and a PIN that the fob asks for is the fob's affair."""
    assert seed(container(package(policy=policy))).secret == SEED


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ('<ResponseFormat Length="6" Encoding="HEXADECIMAL"/>', '"HEXADECIMAL"'),
        ('<ResponseFormat Length="6" Encoding="ALPHANUMERIC"/>', '"ALPHANUMERIC"'),
        ('<ResponseFormat Length="6" Encoding="DECIMAL" CheckDigits="true"/>', "check digit"),
        ('<ResponseFormat Length="6" Encoding="DECIMAL" CheckDigit="1"/>', "check digit"),
        (f"<Suite>HMAC-SHA384</Suite>{DIGITS}", '"HMAC-SHA384"'),
        (f"<Suite>OCRA-1:HOTP-SHA1-6:QN08</Suite>{DIGITS}", "suite"),
    ],
)
def test_codes_that_are_not_judged_here_are_left_out(parameters: str, why: str) -> None:
    """Letters, check digits and unknown hashes: said, and no fault of the file."""
    assert why in left_out(container(package(parameters=parameters))).why


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("urn:ietf:params:xml:ns:keyprov:pskc:pin", "PIN"),
        ("urn:ietf:params:xml:ns:keyprov:pskc:ocra", "challenges"),
        ("urn:ietf:params:xml:ns:keyprov:pskc#OCRA-1", "challenges"),
        ("http://www.yubico.com/#yubikey-aes", "log of the programming tool"),
        ("http://www.actividentity.com/2008/04/algorithms/algorithms#ActivIdentity-3DES", "not known here"),
        ("urn:example:hotp", "not known here"),
    ],
)
def test_other_algorithms_are_left_out(uri: str, why: str) -> None:
    """A PIN is no token, and an unknown algorithm is none that we could judge, whatever its name ends in."""
    assert why in left_out(container(package(attributes=f'Id="1" Algorithm="{uri}"'))).why


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        (HOTP, "hotp"),
        (TOTP, "totp"),
        (TOTP.upper(), "totp"),
        ("urn:ietf:params:xml:ns:keyprov:pskc#hotp", "hotp"),
        ("urn:ietf:params:xml:ns:keyprov:pskc#totp", "totp"),
        ("http://www.ietf.org/keyprov/pskc#hotp", "hotp"),
    ],
)
def test_the_ways_of_naming_an_algorithm(uri: str, kind: str) -> None:
    """The RFC's names and those of its drafts mean the same."""
    assert seed(container(package(attributes=f'Id="1" Algorithm="{uri}"'))).kind == kind


def test_a_draft_with_other_names_for_the_same_is_read() -> None:
    """draft-ietf-keyprov-pskc-02 has Device, KeyId, KeyAlgorithm and Usage, and a namespace of its own."""
    attributes = 'KeyId="K9" KeyAlgorithm="urn:ietf:params:xml:ns:keyprov:pskc#totp"'
    text = container(package(attributes=attributes, serial="")).decode()
    for ours, theirs in (("KeyPackage", "Device"), ("AlgorithmParameters", "Usage"), (':pskc"', ':pskc:1.0"')):
        text = text.replace(ours, theirs)
    token = seed(text.replace("<Usage>", '<Usage OTP="true" CR="true">').encode())
    assert (token.kind, token.serial, token.digits) == ("totp", "K9", 6)
    assert "for CR" in left_out(text.replace("<Usage>", '<Usage CR="true">').encode()).why


def test_a_draft_that_names_its_data_is_a_flaw() -> None:
    """Data with a Name is of before RFC 6030, and there is a program that rewrites it."""
    file = container(package().replace("<Data>", '<Data Name="SECRET">'))
    assert "pskc2pskc" in flaw(file).remedy


def test_a_seed_that_is_derived_is_left_out() -> None:
    """RFC 6030 4.4: a reference to a key elsewhere is no seed."""
    file = container(package(key="<KeyReference>Master</KeyReference>").replace(f"<Secret>{plain()}</Secret>", ""))
    assert "KeyReference" in left_out(file).why


def test_a_package_without_a_key_is_left_out() -> None:
    """It describes a device, and nothing to import."""
    entry = left_out(container("<KeyPackage><DeviceInfo/></KeyPackage>"))
    assert (entry.line, entry.what) == (3, "<KeyPackage>")


def test_a_signature_is_left_out_and_named() -> None:
    """Nobody is made to believe that it has been checked."""
    entries = read(container(package(), "<ds:Signature><ds:SignatureValue/></ds:Signature>"))
    assert "not checked" in getattr(entries[1], "why", "")


@pytest.mark.parametrize("suite", ["HMAC-SHA512", "hmac-sha-512", "SHA512", " SHA-512 "])
def test_the_ways_of_naming_a_hash(suite: str) -> None:
    """With HMAC or without, with the dash or without."""
    assert seed(container(package(parameters=f"<Suite>{suite}</Suite>{DIGITS}"))).algorithm == "sha512"
