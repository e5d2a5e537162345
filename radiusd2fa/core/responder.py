"""The text forms of a security key's login: the code that a prompt shows, and the response that comes back.

A RADIUS prompt carries some 200 characters one way and 128 octets the other, so the two sides do not send what the key
signs: each builds it for itself, byte for byte, from the code, the user and the host. Nothing here signs or verifies.
WebAuthn 5.8.1 (client data), 6.1 (authenticator data), 6.5.5 (signatures); docs/fido-over-radius.md has the formats.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import field
from typing import Final

from radiusd2fa.core.record import record
from radiusd2fa.core.texts import base64url, octets

PREFIX: Final = "RK1-"
NONCE_OCTETS: Final = 16
SELECTOR_OCTETS: Final = 4
SIGNATURE_OCTETS: Final = 64
RESPONSE_OCTETS: Final = 74
"""Version 1, selector 4, flags 1, counter 4, signature 64."""
RESPONSE_LENGTH: Final = 99
"""Characters of a response in base64url."""
RESPONSE_LENGTH_CASE_FREE: Final = 119
"""Characters of a response in Crockford's base32."""
MAX_NAME_OCTETS: Final = 0xFFFF

OWN_TYPE: Final = "radiusd2fa.get"
"""What client data says that it is for. Browsers write ``webauthn.get``, so no web page can have a key sign for us."""

_VERSION: Final = 1
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES: Final = {sign: value for value, sign in enumerate(_ALPHABET)} | {"O": 0, "I": 1, "L": 1}
_CODE_LENGTH: Final = 26
_GROUP: Final = 5
_USER_VERIFICATION: Final = 1 << 128
_CODE: Final = re.compile(r"(?<![0-9A-Za-z])RK1-((?:[0-9A-Za-z]{5}-){5}[0-9A-Za-z])(?![0-9A-Za-z-])", re.IGNORECASE)
_SHORTEST_CUT: Final = 32
_LIKE_A_RESPONSE: Final = re.compile(rb"[0-9A-Za-z_-]+")


@record
class ResponderCode:
    """What the prompt asks of the key: 128 random bits, and whether the key must know its user (PIN, fingerprint)."""

    nonce: bytes
    user_verification: bool = False

    def __str__(self) -> str:
        """``RK1-`` and 26 characters in groups of five. Two bits are left over; the lower says "verify the user"."""
        number = int.from_bytes(self.nonce, "big") | (_USER_VERIFICATION if self.user_verification else 0)
        signs = _crockford(number, _CODE_LENGTH)
        return PREFIX + "-".join(signs[at : at + _GROUP] for at in range(0, _CODE_LENGTH, _GROUP))


def find_code(text: str) -> ResponderCode | None:
    """Return the one responder code in a prompt; None when there is none, or more than one, or it cannot be read."""
    found = _CODE.findall(text)
    number = _number(found[0].replace("-", "")) if len(found) == 1 else None
    if number is None or number >= 2 * _USER_VERIFICATION:
        return None
    return ResponderCode((number % _USER_VERIFICATION).to_bytes(NONCE_OCTETS, "big"), number >= _USER_VERIFICATION)


# --- what is signed --------------------------------------------------------------------------------------------------


def responder_challenge(nonce: bytes, user: str, host: str) -> bytes:
    """Return the 32 octets that a response must sign; ``host`` is the name that the user's ssh printed, or empty."""
    return _digest(b"radiusd2fa-key-v1", nonce, user, host)


def station_challenge(nonce: bytes, user: str, nas: str, station: str) -> bytes:
    """Return the 32 octets that a key at a station must sign. No responder can be made to sign these."""
    return _digest(b"radiusd2fa-station-v1", nonce, user, nas, station)


def client_data(challenge: bytes, origin: str) -> bytes:
    """Return the client data of an assertion as this project's own clients write it, byte for byte."""
    text = base64url(challenge)
    return f'{{"type":"{OWN_TYPE}","challenge":"{text}","origin":"{origin}","crossOrigin":false}}'.encode()


def authenticator_data(rp_id: str, flags: int, counter: int) -> bytes:
    """Return the 37 octets of authenticator data without extensions."""
    return hashlib.sha256(rp_id.encode()).digest() + bytes((flags,)) + counter.to_bytes(4, "big")


def selector(credential_id: bytes) -> bytes:
    """Return the four octets that say which credential was used. Several may share them."""
    return hashlib.sha256(credential_id).digest()[:SELECTOR_OCTETS]


def match_code(nonce: bytes) -> str:
    """Return the four digits that prompt and station both show, so that people can see that they belong together."""
    number = int.from_bytes(hashlib.sha256(b"radiusd2fa-match-v1\0" + nonce).digest()[:8], "big")
    return f"{number % 10_000:04d}"


# --- the response ----------------------------------------------------------------------------------------------------


@record
class KeyResponse:
    """What comes back: which credential, what the key says of itself, and its signature as 64 raw octets."""

    selector: bytes
    flags: int
    counter: int
    signature: bytes = field(repr=False)

    def __str__(self) -> str:
        """99 characters of base64url."""
        return base64url(self._octets())

    def case_free(self) -> str:
        """119 characters that survive a device which folds case."""
        return _crockford(int.from_bytes(self._octets(), "big"), RESPONSE_LENGTH_CASE_FREE)

    def _octets(self) -> bytes:
        head = bytes((_VERSION,)) + self.selector + bytes((self.flags,)) + self.counter.to_bytes(4, "big")
        return head + self.signature


@record
class Spoiled:
    """Something that set out to be a response. ``cut`` when it has another length, as if a device had cut it."""

    length: int
    cut: bool


def read_response(text: bytes) -> KeyResponse | Spoiled | None:
    """Read a response; None when the text is nothing of the kind, such as a code or a password."""
    if len(text) < _SHORTEST_CUT or not _LIKE_A_RESPONSE.fullmatch(text):
        return None
    raw = _from_base64url(text) if len(text) == RESPONSE_LENGTH else _from_crockford(text)
    if raw is None or raw[0] != _VERSION:
        return Spoiled(len(text), cut=len(text) not in {RESPONSE_LENGTH, RESPONSE_LENGTH_CASE_FREE})
    flags, counter = raw[5], int.from_bytes(raw[6:10], "big")
    return KeyResponse(raw[1:5], flags, counter, raw[10:])


def _from_base64url(text: bytes) -> bytes | None:
    try:
        return octets(text.decode())
    except ValueError:
        return None


def _from_crockford(text: bytes) -> bytes | None:
    number = _number(text.decode()) if len(text) == RESPONSE_LENGTH_CASE_FREE else None
    return None if number is None or number >> (8 * RESPONSE_OCTETS) else number.to_bytes(RESPONSE_OCTETS, "big")


def _crockford(number: int, length: int) -> str:
    return "".join(_ALPHABET[(number >> (5 * at)) & 31] for at in reversed(range(length)))


def _number(signs: str) -> int | None:
    number = 0
    for sign in signs.upper():
        value = _VALUES.get(sign)
        if value is None:
            return None
        number = number << 5 | value
    return number


def _digest(label: bytes, nonce: bytes, *names: str) -> bytes:
    parts = (nonce, *(name.encode() for name in names))
    return hashlib.sha256(label + b"\0" + b"".join(len(part).to_bytes(2, "big") + part for part in parts)).digest()
