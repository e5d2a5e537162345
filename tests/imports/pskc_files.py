"""PSKC files made for tests, so that one thing at a time can be wrong with them.

It is a second, plain writing-down of RFC 6030 and uses nothing of the reader but its entries.
RFC 6030 4 and 6.
"""

from __future__ import annotations

import base64
import hmac
import io
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from radiusd2fa.imports import pskc
from radiusd2fa.imports.seeds import Entry, Flaw, How, LeftOut, Seed, UnreadableError

NOW: Final = 1_800_000_000.0
SEED: Final = b"12345678901234567890"
KEY: Final = bytes(range(16))
MAC_KEY: Final = b"a key for the MACs.."
HOTP: Final = "urn:ietf:params:xml:ns:keyprov:pskc:hotp"
TOTP: Final = "urn:ietf:params:xml:ns:keyprov:pskc:totp"
XENC: Final = "http://www.w3.org/2001/04/xmlenc#"
DIGITS: Final = '<ResponseFormat Length="6" Encoding="DECIMAL"/>'
SHA1: Final = "http://www.w3.org/2000/09/xmldsig#hmac-sha1"
PRE_SHARED: Final = "<EncryptionKey><ds:KeyName>Batch 7</ds:KeyName></EncryptionKey>"


def base64_of(octets: bytes) -> str:
    """Return what a file has for octets."""
    return base64.b64encode(octets).decode()


def plain(octets: bytes = SEED) -> str:
    """Return a value in the clear."""
    return f"<PlainValue>{base64_of(octets)}</PlainValue>"


def cbc(value: bytes, key: bytes = KEY, vector: bytes = b"initialisation..") -> bytes:
    """Encrypt by AES-CBC with PKCS #5 padding."""
    missing = 16 - len(value) % 16
    encryptor = Cipher(AES(key), modes.CBC(vector)).encryptor()
    return vector + encryptor.update(value + bytes([missing]) * missing) + encryptor.finalize()


def cipher(octets: bytes, method: str = "aes128-cbc") -> str:
    """Return the inside of an element of XML Encryption."""
    return (
        f'<xenc:EncryptionMethod Algorithm="{XENC}{method}"/>\n'
        f"<xenc:CipherData><xenc:CipherValue>{base64_of(octets)}</xenc:CipherValue></xenc:CipherData>"
    )


def encrypted(octets: bytes, mac: bytes | None = None, method: str = "aes128-cbc") -> str:
    """Return an encrypted value, with the MAC where there is one."""
    value = f"<EncryptedValue>\n{cipher(octets, method)}\n</EncryptedValue>"
    return value if mac is None else f"{value}\n<ValueMAC>{base64_of(mac)}</ValueMAC>"


def sealed(value: bytes = SEED, mac_key: bytes = MAC_KEY, key: bytes = KEY) -> str:
    """Return an encrypted value with the right MAC."""
    octets = cbc(value, key)
    return encrypted(octets, hmac.digest(mac_key, octets, "sha1"))


def mac_method(mac_key: bytes = MAC_KEY, key: bytes = KEY) -> str:
    """Return the MACMethod of HMAC-SHA1, its key encrypted."""
    return f'<MACMethod Algorithm="{SHA1}"><MACKey>\n{cipher(cbc(mac_key, key))}\n</MACKey></MACMethod>'


def package(
    secret: str | None = None,
    data: str = "",
    *,
    serial: str = "S1",
    attributes: str = f'Id="K1" Algorithm="{HOTP}"',
    parameters: str = DIGITS,
    policy: str = "",
    device: str = "",
    key: str = "",
) -> str:
    """Return a KeyPackage: a HOTP token of six digits, unless told otherwise."""
    named = f"<SerialNo>{serial}</SerialNo>" if serial else ""
    secret = plain() if secret is None else secret
    return (
        f"<KeyPackage>\n<DeviceInfo>{named}{device}</DeviceInfo>\n<Key {attributes}>\n"
        f"<AlgorithmParameters>{parameters}</AlgorithmParameters>{key}\n"
        f"<Data>\n<Secret>{secret}</Secret>\n{data}</Data>\n{policy}</Key>\n</KeyPackage>\n"
    )


def totp(data: str = "", **rest: str) -> str:
    """Return a KeyPackage of a token by time."""
    return package(data=data, attributes=f'Id="K1" Algorithm="{TOTP}"', **rest)


def container(*parts: str, attributes: str = 'Version="1.0"', start: str = '<?xml version="1.0"?>\n') -> bytes:
    """Return a file of these parts; the first part begins in line 3."""
    return (
        f'{start}<KeyContainer {attributes} xmlns="urn:ietf:params:xml:ns:keyprov:pskc" '
        f'xmlns:ds="http://www.w3.org/2000/09/xmldsig#" xmlns:xenc="{XENC}">\n{"".join(parts)}</KeyContainer>\n'
    ).encode()


def protected(*packages: str) -> bytes:
    """Return a file whose seeds are encrypted with KEY and have MACs."""
    return container(PRE_SHARED, mac_method(), *packages)


def read(file: bytes, **how: Any) -> list[Entry]:  # noqa: ANN401 -- the fields of How
    """Read a file as an administrator hands it over."""
    return list(pskc.read(io.BytesIO(file), How(now=NOW, **how)))


def seed(file: bytes, **how: Any) -> Seed:  # noqa: ANN401 -- the fields of How
    """Read a file of one token, which must be good."""
    (entry,) = read(file, **how)
    assert isinstance(entry, Seed), entry
    return entry


def flaw(file: bytes, **how: Any) -> Flaw:  # noqa: ANN401 -- the fields of How
    """Read a file of one token, which must have a flaw."""
    (entry,) = read(file, **how)
    assert isinstance(entry, Flaw), entry
    return entry


def left_out(file: bytes, **how: Any) -> LeftOut:  # noqa: ANN401 -- the fields of How
    """Read a file of one token, which must be none of ours."""
    (entry,) = read(file, **how)
    assert isinstance(entry, LeftOut), entry
    return entry


def unreadable(file: bytes, **how: Any) -> UnreadableError:  # noqa: ANN401 -- the fields of How
    """Read a file in which there must be no sense."""
    try:
        entries = read(file, **how)
    except UnreadableError as error:
        return error
    raise AssertionError(entries)
