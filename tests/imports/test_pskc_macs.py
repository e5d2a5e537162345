"""Encrypted PSKC files: what is changed on its way is noticed, and what has no MAC is refused.

RFC 6030 6.1.1 and 6.4. Keys and passwords are in ``test_pskc_keys``, files of another program in ``test_pskc_judges``.
"""

from __future__ import annotations

import hmac
import re

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding

from radiusd2fa.imports.seeds import Flaw, LeftOut, Seed
from tests.imports.pskc_files import (
    KEY,
    MAC_KEY,
    PRE_SHARED,
    SEED,
    SHA1,
    base64_of,
    cbc,
    cipher,
    container,
    encrypted,
    flaw,
    mac_method,
    package,
    plain,
    protected,
    read,
    sealed,
    seed,
    totp,
    unreadable,
)

OCTETS = cbc(SEED)
MAC = hmac.digest(MAC_KEY, OCTETS, "sha1")
GOOD = package(sealed())
PASSWORD = "open sesame"


def flipped(octets: bytes, bit: int) -> bytes:
    """Return the octets with one bit changed."""
    changed = bytearray(octets)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("bit", range(0, len(OCTETS) * 8, 7))
def test_a_changed_bit_of_what_is_encrypted_is_noticed(bit: int) -> None:
    """Initialisation vector, blocks and padding: the MAC is over all of them."""
    bad = package(encrypted(flipped(OCTETS, bit), MAC), serial="S2")
    assert "key is wrong, or the file has been changed" in unreadable(protected(bad), key=KEY).problem
    first, second = read(protected(GOOD, bad), key=KEY)
    assert isinstance(first, Seed)
    assert isinstance(second, Flaw)
    assert "changed on its way" in second.problem
    assert second.serial == "S2"
    assert protected(GOOD, bad).splitlines()[second.line - 1].startswith(b"<ValueMAC>")


@pytest.mark.parametrize("bit", range(0, 160, 7))
def test_a_changed_bit_of_a_mac_is_noticed(bit: int) -> None:
    """A MAC is right as a whole or not at all."""
    file = protected(package(encrypted(OCTETS, flipped(MAC, bit))))
    error = unreadable(file, key=KEY)
    assert "the MAC does not fit" in error.problem
    assert file.splitlines()[error.line - 1].startswith(b"<ValueMAC>")


@pytest.mark.parametrize("bit", range(0, len(cbc(MAC_KEY)) * 8, 7))
def test_a_changed_bit_of_the_mac_key_is_noticed(bit: int) -> None:
    """It is encrypted without a MAC, but no MAC fits any more."""
    text = protected(GOOD).decode().replace(base64_of(cbc(MAC_KEY)), base64_of(flipped(cbc(MAC_KEY), bit)))
    assert "key is wrong, or the file has been changed" in unreadable(text.encode(), key=KEY).problem


def test_a_mac_cannot_be_shortened_or_made_without_the_key() -> None:
    """Neither a part of it, nor one that is empty, nor one by another key will do."""
    for mac in (MAC[:10], MAC[:-1], MAC + bytes(1), b"", bytes(20), hmac.digest(b"", OCTETS, "sha1")):
        entry = read(protected(GOOD, package(encrypted(OCTETS, mac))), key=KEY)[1]
        assert isinstance(entry, Flaw)
        assert "MAC" in entry.problem


def test_cbc_without_a_mac_is_refused() -> None:
    """Of a token without ValueMAC, and of a whole file without MACMethod."""
    entry = flaw(protected(package(encrypted(OCTETS))), key=KEY)
    assert "without a MAC" in entry.problem
    assert entry.line == 11
    for secret in (encrypted(OCTETS), encrypted(OCTETS, MAC)):
        error = unreadable(container(PRE_SHARED, package(secret)), key=KEY)
        assert "no MACMethod" in error.problem


def test_a_mac_over_the_seed_in_the_clear_is_refused() -> None:
    """That was so in drafts; RFC 6030 has it over what is encrypted."""
    over_plain = package(encrypted(OCTETS, hmac.digest(MAC_KEY, SEED, "sha1")))
    assert "does not fit" in unreadable(protected(over_plain), key=KEY).problem


def test_a_seed_in_the_clear_is_refused_among_encrypted_ones() -> None:
    """Or whoever holds the file on its way could put in a seed of their own."""
    assert "in the clear" in flaw(container(PRE_SHARED, mac_method(), package(plain())), key=KEY).problem
    assert "in the clear" in flaw(container(package(plain())), key=KEY).problem
    assert "in the clear" in flaw(container(package(plain())), password="given").problem
    both = flaw(protected(package(plain() + sealed())), key=KEY)
    assert "twice" in both.problem


@pytest.mark.parametrize("method", ["rsa-1_5", "arcfour", "aes128-gcm", "camellia128-cbc", "none", ""])
def test_an_unknown_cipher_is_refused_by_name(method: str) -> None:
    """The file is not read on."""
    error = unreadable(protected(package(encrypted(OCTETS, MAC, method))), key=KEY)
    assert method in error.problem
    assert error.line == 12


@pytest.mark.parametrize(
    ("method", "problem"),
    [
        (f'<MACMethod Algorithm="{SHA1.replace("sha1", "md5")}"/>', "hmac-md5"),
        ('<MACMethod Algorithm="sha1"/>', '"sha1"'),
        ("<MACMethod/>", "not known here"),
        (f'<MACMethod Algorithm="{SHA1}"><MACKeyReference>Other</MACKeyReference></MACMethod>', '"Other"'),
        (f'<MACMethod Algorithm="{SHA1}"><MACKey/></MACMethod>', "how its values are encrypted"),
        (f'<MACMethod Algorithm="{SHA1}"><MACKey>{cipher(b"short")}</MACKey></MACMethod>', "does not open"),
        (f'<MACMethod Algorithm="{SHA1}"><MACKey>{cipher(cbc(b""))}</MACKey></MACMethod>', "empty"),
    ],
)
def test_a_mac_method_that_cannot_be_is_refused(method: str, problem: str) -> None:
    """Weak and unknown functions, keys that are not there, damaged or empty."""
    assert problem in unreadable(container(PRE_SHARED, method, GOOD), key=KEY).problem


@pytest.mark.parametrize("name", ["sha1", "sha224", "sha256", "sha384", "sha512"])
def test_the_functions_that_macs_are_made_with(name: str) -> None:
    """All that XML Signature names, by the key that the file carries."""
    uri = f"http://www.w3.org/2001/04/xmldsig-more#hmac-{name}"
    secret = encrypted(OCTETS, hmac.digest(MAC_KEY, OCTETS, name))
    assert seed(container(PRE_SHARED, mac_method().replace(SHA1, uri), package(secret)), key=KEY).secret == SEED


@pytest.mark.parametrize("method", [f'<MACMethod Algorithm="{SHA1}"/>', f"<MACAlgorithm> {SHA1}\n</MACAlgorithm>"])
def test_without_a_mac_key_the_key_makes_the_macs(method: str) -> None:
    """As the drafts had it, and the RFC's schema still allows."""
    assert seed(container(PRE_SHARED, method, package(sealed(mac_key=KEY))), key=KEY).secret == SEED
    assert "does not fit" in unreadable(container(PRE_SHARED, method, GOOD), key=KEY).problem


@pytest.mark.parametrize("count", range(16))
def test_a_seed_is_not_opened_by_another_cipher_than_it_was_closed_with(count: int) -> None:
    """The MAC does not cover the cipher's name, and a key of 16 octets fits two of them."""
    octets = cbc(SEED, vector=bytes([count]) * 16)
    for mac_key, method in ((MAC_KEY, mac_method()), (KEY, f'<MACMethod Algorithm="{SHA1}"/>')):
        secret = encrypted(octets, hmac.digest(mac_key, octets, "sha1"), "tripledes-cbc")
        assert "another cipher" in flaw(container(PRE_SHARED, method, package(secret)), key=KEY).problem


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (r"<xenc:CipherValue>.*?</xenc:CipherValue>", "<xenc:CipherValue>*</xenc:CipherValue>", "no base64"),
        (r"<xenc:CipherValue>.*?</xenc:CipherValue>", "", "not there"),
        (r"<xenc:CipherData>.*?</xenc:CipherData>", "", "not there"),
        (r"<ValueMAC>.*?</ValueMAC>", "<ValueMAC>*</ValueMAC>", "the MAC is no base64"),
    ],
)
def test_values_that_are_damaged_are_flaws(old: str, new: str, problem: str) -> None:
    """Of the token whose they are."""
    assert problem in flaw(protected(re.sub(old, new, GOOD)), key=KEY).problem


def test_a_mac_beside_a_key_wrap_must_be_right() -> None:
    """A key wrap may do without, but a wrong one is a sign of something."""
    wrapped = aes_key_wrap_with_padding(KEY, SEED)
    right = encrypted(wrapped, hmac.digest(MAC_KEY, wrapped, "sha1"), "kw-aes128")
    assert seed(container(PRE_SHARED, package(encrypted(wrapped, None, "kw-aes128"))), key=KEY).secret == SEED
    assert seed(protected(package(right)), key=KEY).secret == SEED
    wrong = encrypted(wrapped, bytes(20), "kw-aes128")
    assert "does not fit" in unreadable(protected(package(wrong)), key=KEY).problem
    assert "no MACMethod" in unreadable(container(PRE_SHARED, package(wrong)), key=KEY).problem


@pytest.mark.parametrize("name", ["kw-aes128-pad", "kw-aes-128-pad"])
def test_both_names_of_the_padded_key_wrap(name: str) -> None:
    """XML Encryption 1.1 has a dash more."""
    wrapped = aes_key_wrap_with_padding(KEY, SEED)
    assert seed(container(PRE_SHARED, package(encrypted(wrapped, None, name))), key=KEY).secret == SEED


def test_the_padding_of_xml_encryption_is_read() -> None:
    """Its octets are arbitrary but the last, which .NET makes use of."""
    encryptor = Cipher(AES(KEY), modes.CBC(bytes(16))).encryptor()
    octets = bytes(16) + encryptor.update(SEED + b"arbitrary.." + bytes([12])) + encryptor.finalize()
    secret = encrypted(octets, hmac.digest(MAC_KEY, octets, "sha1"))
    assert seed(protected(package(secret)), key=KEY).secret == SEED


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"\0", 0),
        (b"\x05", 5),
        (b"\0\0\0\0\0\0\1\2", 258),
        (b"831791", 831791),
        (b"0000012", 12),
    ],
)
def test_an_encrypted_counter_is_read(octets: bytes, expected: int) -> None:
    """As digits or as big-endian octets, where only one of them can be meant."""
    file = protected(package(sealed(), f"<Counter>{sealed(octets)}</Counter>"))
    assert seed(file, key=KEY).moving_factor == expected


@pytest.mark.parametrize("octets", [b"", b"2", b"42", b"\0" * 9, b"1" * 20])
def test_an_encrypted_counter_that_could_be_two_numbers_is_refused(octets: bytes) -> None:
    """To take the smaller one could let used codes in again."""
    entry = flaw(protected(package(sealed(), f"<Counter>{sealed(octets)}</Counter>")), key=KEY)
    assert "not clear which number" in entry.problem


def test_an_encrypted_counter_needs_its_mac() -> None:
    """Numbers are protected as seeds are."""
    unsaid = f"<Counter>{encrypted(cbc(b'100'))}</Counter>"
    assert "without a MAC" in flaw(protected(package(sealed(), unsaid)), key=KEY).problem
    changed = f"<Counter>{encrypted(flipped(cbc(b'100'), 3), hmac.digest(MAC_KEY, cbc(b'100'), 'sha1'))}</Counter>"
    assert "changed on its way" in flaw(protected(package(sealed(), changed)), key=KEY).problem


def test_steps_and_drift_may_be_encrypted() -> None:
    """A token by time, with all its numbers encrypted."""
    data = f"<TimeInterval>{sealed(b'60')}</TimeInterval><TimeDrift>{sealed(bytes([3]))}</TimeDrift>"
    token = seed(protected(totp(data, secret=sealed())), key=KEY)
    assert (token.step, token.drift) == (60, 3)


def test_what_is_left_out_is_not_opened() -> None:
    """A PIN beside a token needs no key of ours to be left where it is."""
    pin = package(encrypted(b"damaged"), attributes='Id="2" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:pin"')
    assert isinstance(read(protected(pin), key=KEY)[0], LeftOut)


def test_pbes2_says_its_cipher_one_element_further_in() -> None:
    """EncryptionScheme is what counts then."""
    inner = '<EncryptionScheme Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/>'
    pbes2 = re.sub(r'Algorithm="[^"]*aes128-cbc"/>', f'Algorithm="x#pbes2">{inner}</xenc:EncryptionMethod>', GOOD)
    assert seed(protected(pbes2), key=KEY).secret == SEED
