"""The soft key's vectors in tests/vectors/softkey.json: they are what the key makes today, and they verify.

Signatures are verified here by cryptography alone, with neither our verifier nor python-fido2's between.
WebAuthn 6.1, 6.5 and 7.2.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from fido2 import cbor

from .vectors import vectors

FILE: Final = Path(__file__).parents[2] / "vectors" / "softkey.json"
CONTENT: Final[dict[str, Any]] = json.loads(FILE.read_text())
EACH: Final = pytest.mark.parametrize("vector", CONTENT["vectors"], ids=lambda vector: vector["id"])


def _octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _verify(public_key: dict[int, Any], message: bytes, signature: bytes) -> None:
    if public_key[3] == -8:
        Ed25519PublicKey.from_public_bytes(public_key[-2]).verify(signature, message)
        return
    point = b"\x04" + public_key[-2] + public_key[-3]
    ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point).verify(signature, message, ec.ECDSA(SHA256()))


@EACH
def test_a_changed_octet_is_noticed(vector: dict[str, Any]) -> None:
    """With any octet of the authenticator data changed the signature does not fit."""
    public_key: Any = cbor.decode(_octets(vector["public_key"]))
    assertion = vector["assertion"]
    data, signature = _octets(assertion["authenticatorData"]), _octets(assertion["signature"])
    client_data_hash = hashlib.sha256(_octets(assertion["clientDataJSON"])).digest()
    for place in range(len(data)):
        changed = data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :]
        with pytest.raises(InvalidSignature):
            _verify(public_key, changed + client_data_hash, signature)


@EACH
def test_the_assertion_verifies(vector: dict[str, Any]) -> None:
    """Each login verifies under the public key of its registration, for the relying party and origin of the file."""
    public_key: Any = cbor.decode(_octets(vector["public_key"]))
    assertion, registration = vector["assertion"], vector["registration"]
    data, client_data = _octets(assertion["authenticatorData"]), _octets(assertion["clientDataJSON"])
    _verify(public_key, data + hashlib.sha256(client_data).digest(), _octets(assertion["signature"]))
    assert public_key[3] == vector["algorithm"]
    assert data[:32] == hashlib.sha256(CONTENT["rp_id"].encode()).digest()
    assert (data[32], int.from_bytes(data[33:], "big")) == (assertion["flags"], assertion["counter"])
    assert json.loads(client_data)["origin"] == CONTENT["origin"]
    attested: Any = cbor.decode(_octets(registration["attestationObject"]))
    credential_id = _octets(vector["credential_id"])
    assert attested["fmt"] == vector["format"]
    assert attested["authData"][53:].startswith(len(credential_id).to_bytes(2, "big") + credential_id)
    assert attested["authData"].endswith(_octets(vector["public_key"]))


def test_the_file_is_what_the_key_makes() -> None:
    """Made again from the same seeds the file comes out the same, octet by octet."""
    assert json.dumps(vectors(), indent=2) + "\n" == FILE.read_text()
