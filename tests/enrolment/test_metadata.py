"""Lists of key models: what was not signed by the right party, in time, is refused before anything in it is read.

The lists are made up and signed here as the FIDO Alliance signs its own; nothing is fetched.
FIDO Metadata Service 3.0, 3.1 and 3.2; RFC 7515, RFC 7518 3.3 and 3.4.
"""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.mds3 import parse_blob
from hypothesis import given
from hypothesis import strategies as st

from radiusd2fa.enrolment import metadata as module
from radiusd2fa.enrolment.metadata import Metadata, MetadataError, Model, read_metadata

from .workshop import (
    AAGUID,
    MDS_HOST,
    MDS_LEAF,
    MDS_MIDDLE,
    MDS_ROOT,
    NOW,
    ROOT,
    Cert,
    Entry,
    b64url,
    blob,
    entry,
    p256,
    payload,
    rsa_key,
    sign,
)

DAY: Final = 86400.0
RSA_LEAF: Final = replace(MDS_LEAF, key=rsa_key())
GOOD: Final = blob(payload())
HEAD, BODY, SIGNATURE = GOOD.split(b".")
RAW: Final = base64.urlsafe_b64decode(SIGNATURE + b"==")
KEY_IDENTIFIER: Final = "0123456789abcdef0123456789abcdef01234567"


def read(octets: bytes, root: Cert = MDS_ROOT, now: float = NOW) -> Metadata:
    """Read a list."""
    return read_metadata(octets, root.der(), now)


def refusal(octets: bytes, root: Cert = MDS_ROOT, now: float = NOW) -> str:
    """Return why this list is refused; it must be, in one printable sentence."""
    with pytest.raises(MetadataError) as refused:
        read(octets, root, now)
    assert str(refused.value).isprintable()
    return str(refused.value)


def with_head(**changes: object) -> bytes:
    """A list whose header has other members."""
    return blob(payload(), **changes)  # type: ignore[arg-type]  # any member, for tests


# --- not signed by the right party -----------------------------------------------------------------------------------

UNREADABLE: Final[dict[str, bytes]] = {
    "nothing": b"",
    "no dots": HEAD,
    "two parts": HEAD + b"." + BODY,
    "four parts": GOOD + b".",
    "not ASCII": GOOD + "é".encode(),
    "padding": HEAD + b"==." + BODY + b"." + SIGNATURE,
    "a header that is no JSON": b".".join((b64url(b"alg").encode(), BODY, SIGNATURE)),
    "a header that is a list": b".".join((b64url(b"[]").encode(), BODY, SIGNATURE)),
    "a header with a member twice": b".".join((b64url(b'{"x5c":[],"x5c":[],"alg":""}').encode(), BODY, SIGNATURE)),
    "a header of 64 KiB": with_head(padding="x" * 65536),
    "a header nested 30,000 times": b".".join((b64url(b"[" * 30000).encode(), BODY, SIGNATURE)),
    "a critical member": with_head(crit=["exp"]),
    "a chain that is a text": with_head(x5c="x"),
    "a chain of numbers": with_head(x5c=[1]),
    "a chain in base64url": with_head(x5c=["_-_-"]),
    "no algorithm": with_head(alg=None),
}


@pytest.mark.parametrize("octets", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_is_no_blob(octets: bytes) -> None:
    """What does not have the form of a signed list is refused, and the person is told where lists come from."""
    assert "not an MDS3 blob" in refusal(octets)


def test_cut_and_changed() -> None:
    """A list that was cut anywhere, or in which one octet is another, is refused."""
    for cut in range(0, len(GOOD), 11):
        assert refusal(GOOD[:cut])
    for place in range(0, len(GOOD), 11):
        other = b"A" if GOOD[place : place + 1] != b"A" else b"B"
        assert refusal(GOOD[:place] + other + GOOD[place + 1 :])


def test_changed_payload() -> None:
    """A list with a model of somebody else's in it is refused for its signature."""
    other = b64url(json.dumps(payload(entry(), entry())).encode()).encode()
    assert "signature is wrong" in refusal(HEAD + b"." + other + b"." + SIGNATURE)


ALGORITHMS: Final[dict[str, bytes]] = {
    "none": with_head(alg="none"),
    "an HMAC": with_head(alg="HS256"),
    "RS256 with a P-256 key": with_head(alg="RS256"),
    "ES384": with_head(alg="ES384"),
    "in lower case": with_head(alg="es256"),
    "ES256 with an RSA key": blob(payload(), (RSA_LEAF, MDS_MIDDLE), "ES256"),
    "PS256": blob(payload(), (RSA_LEAF, MDS_MIDDLE), "PS256"),
    "ES256 with a key of another curve": blob(
        payload(), (replace(MDS_LEAF, key=ec.derive_private_key(7, ec.SECP256K1())), MDS_MIDDLE)
    ),
    "RS256 with a short key": blob(payload(), (replace(MDS_LEAF, key=rsa_key(1024)), MDS_MIDDLE), "RS256"),
    "DER in the place of r || s": b".".join(
        (HEAD, BODY, b64url(sign(p256("mds"), HEAD + b"." + BODY)).encode()),
    ),
    "an octet between r and s": b".".join((HEAD, BODY, b64url(RAW[:32] + b"\0" + RAW[32:]).encode())),
    "no signature": HEAD + b"." + BODY + b".",
    "nought for r and s": HEAD + b"." + BODY + b"." + b64url(bytes(64)).encode(),
}


@pytest.mark.parametrize("octets", ALGORITHMS.values(), ids=ALGORITHMS.keys())
def test_signatures_of_other_kinds(octets: bytes) -> None:
    """Only ES256 by a P-256 key, as r || s, and RS256 by a long RSA key count as signatures."""
    assert refusal(octets)
    for algorithm, leaf in (("ES256", MDS_LEAF), ("RS256", RSA_LEAF)):
        assert read(blob(payload(), (leaf, MDS_MIDDLE), algorithm)).number == 42


SIGNERS: Final[dict[str, tuple[tuple[Cert, ...], Cert, str]]] = {
    "expired": ((replace(MDS_LEAF, ends=NOW - 1), MDS_MIDDLE), MDS_ROOT, "has expired"),
    "not valid yet": ((replace(MDS_LEAF, starts=NOW + 1), MDS_MIDDLE), MDS_ROOT, "is not valid yet"),
    "authority expired": ((MDS_LEAF, replace(MDS_MIDDLE, ends=NOW - 1)), MDS_ROOT, "has expired"),
    "root expired": ((MDS_LEAF, MDS_MIDDLE), replace(MDS_ROOT, ends=NOW - 1), "has expired"),
    "no authority": ((MDS_LEAF, replace(MDS_MIDDLE, ca=False)), MDS_ROOT, "not a certification authority"),
    "another issuer": ((replace(MDS_LEAF, issuer="Other"), MDS_MIDDLE), MDS_ROOT, "another name"),
    "signed by another": ((replace(MDS_LEAF, signer=p256("other")), MDS_MIDDLE), MDS_ROOT, "has not signed"),
    "another root": ((MDS_LEAF, MDS_MIDDLE), ROOT, "root that is trusted"),
    "another host": (
        (
            replace(MDS_LEAF, extensions=((x509.SubjectAlternativeName([x509.DNSName("www.example.org")]), False),)),
            MDS_MIDDLE,
        ),
        MDS_ROOT,
        "somebody else under the same root",
    ),
    "no host": ((replace(MDS_LEAF, extensions=()), MDS_MIDDLE), MDS_ROOT, "somebody else under the same root"),
    "no chain": ((), MDS_ROOT, "no certificate"),
}


@pytest.mark.parametrize(("chain", "root", "why"), SIGNERS.values(), ids=SIGNERS.keys())
def test_signers_that_are_not_trusted(chain: tuple[Cert, ...], root: Cert, why: str) -> None:
    """A list is refused when its signer's certificate is not the FIDO Alliance's, valid now, under the given root."""
    octets = blob(payload(), chain) if chain else with_head(x5c=[])
    assert why in refusal(octets, root)


def test_python_fido2_does_not_look_at_dates_or_names() -> None:
    """The library alone takes a list from an expired certificate of another host: that is why there is our own."""
    stranger = replace(RSA_LEAF, ends=NOW - 1, extensions=())
    octets = blob(payload(without(entry(), "metadataStatement")), (stranger, MDS_MIDDLE), "RS256")
    assert parse_blob(octets, MDS_ROOT.der()).no == 42
    assert "has expired" in refusal(octets)


def test_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that is larger than any is refused before it is looked at."""
    assert "32 MiB" in refusal(bytes(32 * 1024 * 1024 + 1))
    monkeypatch.setattr(module, "MAX_BLOB_OCTETS", len(GOOD))
    assert read(GOOD).number == 42
    assert "larger than" in refusal(GOOD + b" ")


# --- signed, but not to be used --------------------------------------------------------------------------------------

LONG_LIVED: Final = (replace(MDS_LEAF, ends=NOW + 99 * DAY), replace(MDS_MIDDLE, ends=NOW + 99 * DAY))


def test_lists_that_nobody_renewed() -> None:
    """From the day after nextUpdate a list is stale, for 30 days it is used all the same, and then refused."""
    octets, root = blob(payload(nextUpdate="2027-01-24"), LONG_LIVED), replace(MDS_ROOT, ends=NOW + 99 * DAY)
    midnight = 1_800_835_200.0  # 25 January 2027, 00:00 UTC
    assert not read(octets, root, midnight - 1).stale(midnight - 1)
    assert read(octets, root, midnight).stale(midnight)
    last = midnight + 30 * DAY
    assert not read(octets, root, last - 1).too_old(last - 1)
    assert "more than 30 days ago" in refusal(octets, root, last)


def without(content: Entry, *names: str) -> Entry:
    """The same object without some members."""
    return {name: value for name, value in content.items() if name not in names}


STRANGE: Final[dict[str, Entry | bytes]] = {
    "not JSON": b"entries",
    "a list": b"[]",
    "nested 100,000 times": b'{"entries":' + b"[" * 100_000,
    "no entries": without(payload(), "entries"),
    "entries that are no list": payload(entries={}),
    "an entry that is a text": payload(entries=["x"]),
    "no number": without(payload(), "no"),
    "a number that is a text": payload(no="42"),
    "no date": without(payload(), "nextUpdate"),
    "a date that is none": payload(nextUpdate="2027-02-30"),
    "a date with a month that is none": payload(nextUpdate="2027-13-01"),
    "a date in other digits": payload(nextUpdate="٢٠٢٧-01-01"),
    "a date in another order": payload(nextUpdate="01.02.2027"),
    "a date before all keys": payload(nextUpdate="1969-12-31"),
    "an AAGUID that is none": payload(entry() | {"aaguid": "x"}),
    "an AAGUID that is a number": payload(entry() | {"aaguid": 7}),
    "no status": payload(without(entry(), "statusReports")),
    "statuses that are no list": payload(entry() | {"statusReports": "REVOKED"}),
    "a status without its name": payload(entry() | {"statusReports": [{}]}),
    "a status that is a text": payload(entry() | {"statusReports": ["REVOKED"]}),
    "a status that is a number": payload(entry() | {"statusReports": [{"status": 1}]}),
    "a statement that is a text": payload(entry() | {"metadataStatement": "x"}),
    "a description that is a number": payload(entry() | {"metadataStatement": {"description": 1}}),
    "roots that are no list": payload(entry() | {"metadataStatement": {"attestationRootCertificates": "x"}}),
    "a root that is no base64": payload(entry() | {"metadataStatement": {"attestationRootCertificates": ["!"]}}),
    "a key identifier of another length": payload(entry() | {"attestationCertificateKeyIdentifiers": ["00"]}),
    "a key identifier in a text": payload(entry() | {"attestationCertificateKeyIdentifiers": KEY_IDENTIFIER}),
}


@pytest.mark.parametrize("content", STRANGE.values(), ids=STRANGE.keys())
def test_lists_that_say_something_strange(content: Entry | bytes) -> None:
    """A list that is signed but cannot be read as a whole is refused as a whole: a revocation might be what is lost."""
    assert "cannot read" in refusal(blob(content))


# --- read ------------------------------------------------------------------------------------------------------------


def test_what_is_read() -> None:
    """Of each model the name, the roots and what speaks against it are kept, by AAGUID and by key identifier."""
    u2f = entry(None, (MDS_ROOT,)) | {"attestationCertificateKeyIdentifiers": [KEY_IDENTIFIER.upper()]}
    uaf = entry(None) | {"aaid": "4e4e#4005"}
    metadata = read(blob(payload(entry(), u2f, uaf)) + b"\n")
    assert dict(metadata.models) == {
        str(AAGUID): Model("Example Key 1", (ROOT.der(),)),
        KEY_IDENTIFIER: Model("Example Key 1", (MDS_ROOT.der(),)),
    }
    assert metadata.number == 42
    assert metadata.next_update == 1_800_835_200.0 + DAY


@pytest.mark.parametrize(
    "status",
    [
        "REVOKED",
        "USER_VERIFICATION_BYPASS",
        "ATTESTATION_KEY_COMPROMISE",
        "USER_KEY_REMOTE_COMPROMISE",
        "USER_KEY_PHYSICAL_COMPROMISE",
    ],
)
def test_statuses_that_speak_against_a_model(status: str) -> None:
    """A model with such a report is unsafe for good, whatever came after it."""
    reports = [{"status": "FIDO_CERTIFIED"}, {"status": status}, {"status": "UPDATE_AVAILABLE"}]
    metadata = read(blob(payload(entry() | {"statusReports": reports})))
    assert metadata.models[str(AAGUID)].unsafe == (status,)


@pytest.mark.parametrize("status", ["FIDO_CERTIFIED_L2", "UPDATE_AVAILABLE", "NOT_FIDO_CERTIFIED", "NEW_IN_2030"])
def test_statuses_that_do_not(status: str) -> None:
    """Other reports, known or not, are no reason to refuse."""
    assert read(blob(payload(entry(status=status)))).models[str(AAGUID)].unsafe == ()


def test_one_model_twice() -> None:
    """Of a model that stands twice in the list, every root counts, and whatever speaks against it in either place."""
    metadata = read(blob(payload(entry(), entry(roots=(MDS_ROOT,), status="REVOKED"))))
    assert metadata.models[str(AAGUID)] == Model("Example Key 1", (ROOT.der(), MDS_ROOT.der()), ("REVOKED",))


def test_names_are_data() -> None:
    """A model's name is cut to a line's length and holds nothing that a terminal obeys."""
    statement = {"description": "Key\x1b[31m\n\u2028" + "x" * 500}
    name = read(blob(payload(entry() | {"metadataStatement": statement}))).models[str(AAGUID)].description
    assert name.isprintable()
    assert name.startswith("Key[31mx")
    assert len(name) == 100


def test_roots_with_line_breaks() -> None:
    """Base64 with line breaks in it, as some makers write it, is read."""
    statement = {"description": "", "attestationRootCertificates": [base64.encodebytes(ROOT.der()).decode()]}
    metadata = read(blob(payload(entry() | {"metadataStatement": statement})))
    assert metadata.models[str(AAGUID)].roots == (ROOT.der(),)


def test_a_signer_of_ones_own() -> None:
    """A site that signs a list of its own names its own host."""
    host = (x509.SubjectAlternativeName([x509.DNSName("keys.example.org")]), False)
    octets = blob(payload(), (replace(MDS_LEAF, extensions=(host,)), MDS_MIDDLE))
    assert "mds.fidoalliance.org" in refusal(octets)
    assert read_metadata(octets, MDS_ROOT.der(), NOW, signer="keys.example.org").number == 42
    assert host != MDS_HOST


@given(st.binary(max_size=200), st.integers(0, len(GOOD)), st.integers(0, 40))
def test_any_change(octets: bytes, start: int, length: int) -> None:
    """A list with any stretch of it replaced is the same list, or refused."""
    changed = GOOD[:start] + octets + GOOD[start + length :]
    try:
        metadata = read(changed)
    except MetadataError:
        return
    assert changed.strip() == GOOD
    assert metadata == read(GOOD)
