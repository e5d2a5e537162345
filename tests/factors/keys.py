"""Security keys of the tests: private keys that sign whatever a test tells them to, right or wrong.

It shares no line with ``radiusd2fa.core.responder`` and the emulated key: cryptography signs, and texts, CBOR and
challenges are written down here a second time. The same name makes the same key, so a failure can be repeated.
WebAuthn 6.1 (authenticator data), 6.3.3 (assertions), 6.5.2 (attested credential data); RFC 9053 (COSE keys).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from radiusd2fa.core.answer import Assertion
from radiusd2fa.core.model import Token
from radiusd2fa.core.rules import FidoRules

RP_ID: Final = "auth.example.org"
ORIGIN: Final = "https://auth.example.org"
FIDO: Final = FidoRules(RP_ID, ORIGIN)
UP, UV, BE, BS, AT, ED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80

Sign = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Key:
    """One credential on one key."""

    algorithm: int
    cose: bytes
    sign_octets: Sign = field(repr=False)
    credential_id: bytes

    def attested(self) -> bytes:
        """Return what is stored of it: AAGUID, length of the id, id, public key."""
        return bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + self.cose

    def token(self, token_id: int = 3, serial: str = "K1", counter: int = 5) -> Token:
        """Return it as somebody's second factor."""
        return Token(token_id, serial, "fido", counter, self.attested(), digits=0)

    @property
    def selector(self) -> bytes:
        """The four octets by which a response names it."""
        return hashlib.sha256(self.credential_id).digest()[:4]

    def sign(self, authenticator_data: bytes, client_data: bytes) -> bytes:
        """Return a signature as WebAuthn has it: DER for ECDSA, raw for EdDSA."""
        return self.sign_octets(authenticator_data + hashlib.sha256(client_data).digest())

    def sign_compactly(self, authenticator_data: bytes, client_data: bytes) -> bytes:
        """Return a signature in 64 octets, as a response carries it."""
        signature = self.sign(authenticator_data, client_data)
        if self.algorithm != -7:
            return signature
        r, s = decode_dss_signature(signature)
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


# --- what is signed --------------------------------------------------------------------------------------------------


def challenge_of(label: bytes, nonce: bytes, *names: str) -> bytes:
    """Derive a challenge: SHA-256 over the label, a zero octet, and each part after its length in two octets."""
    hashed = hashlib.sha256(label + b"\0")
    for part in (nonce, *(name.encode() for name in names)):
        hashed.update(bytes(divmod(len(part), 256)) + part)
    return hashed.digest()


def text_of(octets: bytes) -> str:
    """Base64url without padding."""
    return base64.b64encode(octets, altchars=b"-_").decode().rstrip("=")


def client_data(challenge: bytes, /, **changes: object) -> bytes:
    """Client data as a good client writes it, but for the changes. A change to ... leaves the member out."""
    members = {"type": "radiusd2fa.get", "challenge": text_of(challenge), "origin": ORIGIN, "crossOrigin": False}
    kept = {name: value for name, value in (members | changes).items() if value is not ...}
    return json.dumps(kept, separators=(",", ":")).encode()


def authenticator_data(flags: int = UP, counter: int = 6, rp_id: str = RP_ID) -> bytes:
    """Authenticator data as a good key writes it."""
    return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + counter.to_bytes(4, "big")


def assertion(
    key: Key, challenge: bytes, client: bytes | None = None, data: bytes | None = None, *, compact: bool = False
) -> Assertion:
    """Sign client data and authenticator data, whatever they are, as the answer to a challenge."""
    client = client_data(challenge) if client is None else client
    data = authenticator_data() if data is None else data
    sign = key.sign_compactly if compact else key.sign
    return Assertion(key.selector, client, data, sign(data, client), challenge, compact)


# --- how it travels --------------------------------------------------------------------------------------------------


def response(key: Key, challenge: bytes, flags: int = UP, counter: int = 6, fido: FidoRules = FIDO) -> bytes:
    """What a responder hands back, in 99 characters."""
    client = client_data(challenge, origin=fido.origin)
    signature = key.sign_compactly(authenticator_data(flags, counter, fido.rp_id), client)
    octets = b"\x01" + key.selector + bytes([flags]) + counter.to_bytes(4, "big") + signature
    return text_of(octets).encode()


def station_answer(key: Key, challenge: bytes, station: str, flags: int = UP, counter: int = 6, **more: str) -> str:
    """What a station brings in; ``more`` are members that are put over the right ones."""
    client, data = client_data(challenge), authenticator_data(flags, counter)
    members = {
        "station": station,
        "id": text_of(key.credential_id),
        "clientDataJSON": text_of(client),
        "authenticatorData": text_of(data),
        "signature": text_of(key.sign(data, client)),
    }
    return "RKS1-" + text_of(json.dumps(members | more).encode())


# --- keys of every kind ----------------------------------------------------------------------------------------------


@cache
def es256(name: str = "alice's", algorithm: int = -7) -> Key:
    """ECDSA over P-256 with SHA-256, which every key has had since U2F."""
    return _ecdsa(name, algorithm, ec.SECP256R1(), 1, hashes.SHA256())


@cache
def es256k(name: str = "alice's") -> Key:
    """The same over secp256k1."""
    return _ecdsa(name, -47, ec.SECP256K1(), 8, hashes.SHA256())


@cache
def es384(name: str = "alice's") -> Key:
    """The same over P-384."""
    return _ecdsa(name, -35, ec.SECP384R1(), 2, hashes.SHA384())


@cache
def es512(name: str = "alice's") -> Key:
    """The same over P-521."""
    return _ecdsa(name, -36, ec.SECP521R1(), 3, hashes.SHA512())


@cache
def eddsa(name: str = "alice's", algorithm: int = -8) -> Key:
    """Ed25519."""
    private = ed25519.Ed25519PrivateKey.from_private_bytes(_digest(name))
    public = private.public_key().public_bytes_raw()
    return Key(algorithm, _cose({1: 1, 3: algorithm, -1: 6, -2: public}), private.sign, _digest(f"id of {name}"))


@cache
def ed448_key(name: str = "alice's") -> Key:
    """Ed448."""
    private = ed448.Ed448PrivateKey.from_private_bytes(_digest(name) + _digest(name)[:25])
    public = private.public_key().public_bytes_raw()
    return Key(-53, _cose({1: 1, 3: -53, -1: 7, -2: public}), private.sign, _digest(f"id of {name}"))


@cache
def rsa_key(algorithm: int = -257) -> Key:
    """RSA with PKCS #1 v1.5 (RS256) or PSS (PS256). This one is made by chance."""
    private = rsa.generate_private_key(65537, 2048)
    numbers = private.public_key().public_numbers()
    scheme = padding.PKCS1v15() if algorithm == -257 else padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    cose = _cose({1: 3, 3: algorithm, -1: numbers.n.to_bytes(256, "big"), -2: b"\1\0\1"})
    return Key(algorithm, cose, lambda octets: private.sign(octets, scheme, hashes.SHA256()), _digest("id of rsa"))


@cache
def ml_dsa_44(name: str = "alice's") -> Key | None:
    """ML-DSA-44; None where this cryptography has none."""
    try:
        from cryptography.hazmat.primitives.asymmetric import mldsa
    except ImportError:
        return None
    private = mldsa.MLDSA44PrivateKey.from_seed_bytes(_digest(name))
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return Key(-48, _cose({1: 7, 3: -48, -1: public}), private.sign, _digest(f"id of {name}"))


def _ecdsa(name: str, algorithm: int, curve: ec.EllipticCurve, number: int, digest: hashes.HashAlgorithm) -> Key:
    private = ec.derive_private_key(int.from_bytes(_digest(name), "big") >> 1, curve)
    point, size = private.public_key().public_numbers(), (curve.key_size + 7) // 8
    x, y = point.x.to_bytes(size, "big"), point.y.to_bytes(size, "big")
    cose = _cose({1: 2, 3: algorithm, -1: number, -2: x, -3: y})
    return Key(algorithm, cose, lambda octets: private.sign(octets, ec.ECDSA(digest)), _digest(f"id of {name}"))


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def _cose(members: dict[int, int | bytes]) -> bytes:
    """A COSE key in CBOR (RFC 8949 3): a map from whole numbers to whole numbers or octets."""
    return _head(5, len(members)) + b"".join(_item(name) + _item(value) for name, value in members.items())


def _item(value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    return _head(0, value) if value >= 0 else _head(1, -1 - value)


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    return bytes([major << 5 | 24, number]) if number < 256 else bytes([major << 5 | 25]) + number.to_bytes(2, "big")
