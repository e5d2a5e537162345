"""fido2-cred and fido2-assert: how they are asked, and how their lines become what WebAuthn has, and back.

Nothing here verifies or signs; that is the tools' work. fido2-cred(1), fido2-assert(1); WebAuthn 6.5 (attestation).
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
from typing import Any

from fido2 import cbor

from tests.daemon.wire import PATIENCE

_MAKERS_ALGORITHM = -7
"""What the soft key's maker signs with, whatever the credential's own algorithm is. The tools do not print it."""


def tool(*command: str, lines: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run a tool on these lines, whatever comes of it."""
    given = "".join(f"{line}\n" for line in lines)
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=PATIENCE, check=False)


def asked(*command: str, lines: tuple[str, ...]) -> list[str]:
    """Have a tool do what must succeed; return its lines."""
    done = tool(*command, lines=lines)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def base64_of(octets: bytes) -> str:
    """Write octets as the tools read them."""
    return base64.b64encode(octets).decode()


def hash_of(client_data: bytes) -> str:
    """Write the hash of client data as the tools read it."""
    return base64_of(hashlib.sha256(client_data).digest())


def data_of(line: str) -> bytes:
    """Read authenticator data as the tools print it: a byte string in CBOR."""
    decoded = cbor.decode(base64.b64decode(line))
    assert isinstance(decoded, bytes)
    return decoded


def attestation_object(lines: list[str]) -> bytes:
    """Put together what fido2-cred -M prints in pieces."""
    form, data, signature, certificate = lines[2], data_of(lines[3]), lines[5], lines[6]
    statement: dict[str, Any] = {"sig": base64.b64decode(signature), "x5c": [base64.b64decode(certificate)]}
    if form == "packed":
        statement["alg"] = _MAKERS_ALGORITHM
    return cbor.encode({"fmt": form, "attStmt": statement, "authData": data})


def pieces(client_data: bytes, rp_id: str, attestation_object: bytes) -> tuple[str, ...]:
    """Take an attestation object apart for fido2-cred -V."""
    decoded: Any = cbor.decode(attestation_object)
    statement, data = decoded["attStmt"], decoded["authData"]
    # WebAuthn 6.5.1: AAGUID from octet 37, then two octets of length and the credential's id
    credential_id = data[55 : 55 + int.from_bytes(data[53:55], "big")]
    signed = (base64_of(statement["sig"]), base64_of(statement["x5c"][0]))
    head = (hash_of(client_data), rp_id, decoded["fmt"])
    return (*head, base64_of(cbor.encode(data)), base64_of(credential_id), *signed)
