"""What a key says of itself and of the credential that it has just made: authenticator data, taken apart.

It checks shapes and the public key's mathematics, and never whether anybody signed for them.
WebAuthn Level 3, 6.1 (authenticator data) and 6.5.1 (attested credential data); RFC 9053 7 (COSE keys).
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicNumbers

from radiusd2fa.core.record import record
from radiusd2fa.enrolment import cbor
from radiusd2fa.enrolment.outcome import MalformedError

USER_PRESENT: Final = 0x01
USER_VERIFIED: Final = 0x04
BACKUP_ELIGIBLE: Final = 0x08
BACKED_UP: Final = 0x10
ATTESTED: Final = 0x40
EXTENSIONS: Final = 0x80

ES256: Final = -7
EDDSA: Final = -8
ALGORITHMS: Final = (ES256, EDDSA)
"""What we offer, best first."""

_HEAD_OCTETS: Final = 37
_AAGUID_OCTETS: Final = 16
_COORDINATE_OCTETS: Final = 32
_KEY_TYPE, _ALGORITHM, _CURVE, _X, _Y = 1, 3, -1, -2, -3
_OKP, _EC2 = 1, 2
_P256, _ED25519 = 1, 6


@record
class Credential:
    """Attested credential data, as octets and as its parts."""

    octets: bytes
    aaguid: bytes
    id: bytes
    algorithm: int
    cose_key: dict[cbor.Key, cbor.Value]


@record
class AuthenticatorData:
    """Authenticator data, as octets and as its parts."""

    octets: bytes
    rp_id_hash: bytes
    flags: int
    counter: int
    credential: Credential | None


def read_authenticator_data(octets: bytes) -> AuthenticatorData:
    """Take it apart; ValueError when it is none, or when anything is left over."""
    if len(octets) < _HEAD_OCTETS:
        raise MalformedError("cut off")
    flags, counter, at = octets[32], int.from_bytes(octets[33:_HEAD_OCTETS], "big"), _HEAD_OCTETS
    credential = None
    if flags & ATTESTED:
        credential, at = _credential(octets, at)
    if flags & EXTENSIONS:
        at = _past_extensions(octets, at)
    if at != len(octets):
        raise MalformedError("something follows the authenticator data")
    return AuthenticatorData(octets, octets[:32], flags, counter, credential)


def is_valid_key(credential: Credential) -> bool:
    """Say whether this is a P-256 or an Ed25519 key, as its algorithm demands, complete and with nothing added."""
    key = credential.cose_key
    kind = [key.get(label) for label in (_KEY_TYPE, _CURVE)]
    if any(isinstance(number, bool) for number in kind):  # true is 1 to Python, but not to CBOR
        return False
    x, y = key.get(_X), key.get(_Y)
    if not isinstance(x, bytes) or len(x) != _COORDINATE_OCTETS:
        return False
    # WebAuthn 6.5.1.1: the key "MUST contain the "alg" parameter and MUST NOT contain any other OPTIONAL parameters"
    if credential.algorithm == EDDSA:
        return kind == [_OKP, _ED25519] and key.keys() == {_KEY_TYPE, _ALGORITHM, _CURVE, _X}
    if kind != [_EC2, _P256] or key.keys() != {_KEY_TYPE, _ALGORITHM, _CURVE, _X, _Y}:
        return False
    return isinstance(y, bytes) and len(y) == _COORDINATE_OCTETS and _is_on_p256(x, y)


def _is_on_p256(x: bytes, y: bytes) -> bool:
    try:
        EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), SECP256R1()).public_key()
    except ValueError:
        return False
    return True


def _credential(octets: bytes, start: int) -> tuple[Credential, int]:
    at = start + _AAGUID_OCTETS + 2
    id_end = at + int.from_bytes(octets[at - 2 : at], "big")
    key, end = cbor.read_at(octets, id_end)  # which refuses to begin past the end, wherever that is
    algorithm = key.get(_ALGORITHM) if isinstance(key, dict) else None
    if not isinstance(key, dict) or not isinstance(algorithm, int) or isinstance(algorithm, bool):
        raise MalformedError("no public key that names its algorithm")
    # python-fido2 would write these octets anew from what it understood; we keep those that the key has signed
    return Credential(octets[start:end], octets[start : at - 2], octets[at:id_end], algorithm, key), end


def _past_extensions(octets: bytes, at: int) -> int:
    """Return where the extension outputs end.

    We ask for no extension, and some keys send one unasked (credProtect, say). What is well-formed is passed over:
    no output changes what the credential may do here, and refusing it would only turn good keys away.
    """
    extensions, end = cbor.read_at(octets, at)
    if not isinstance(extensions, dict) or not all(isinstance(name, str) for name in extensions):
        raise MalformedError("extensions are a map with texts for keys")
    return end
