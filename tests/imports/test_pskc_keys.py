"""Keys and passwords of encrypted PSKC files: which one is wanted, and what is made of it.

RFC 6030 6.1 and 6.2, RFC 8018 5.2.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest

from radiusd2fa.imports.pskc_crypto import MOST_ITERATIONS
from tests.imports.pskc_files import (
    KEY,
    MAC_KEY,
    SEED,
    base64_of,
    cbc,
    container,
    flaw,
    mac_method,
    package,
    protected,
    sealed,
    seed,
    unreadable,
)

OCTETS = cbc(SEED)
MAC = hmac.digest(MAC_KEY, OCTETS, "sha1")
GOOD = package(sealed())
PASSWORD = "open sesame"


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ({}, "none has been given"),
        ({"password": "secret"}, "a password has been given"),
        ({"key": bytes(16)}, "the key is wrong"),
        ({"key": bytes(15)}, "takes a key of 16 octets, and this one has 15"),
        ({"key": b""}, "takes a key of 16 octets, and this one has 0"),
    ],
)
def test_the_key_that_is_wanted_is_named(how: dict[str, Any], problem: str) -> None:
    """None, a password instead, another one, one of the wrong length: which is wanted is said."""
    error = unreadable(protected(GOOD), **how)
    assert problem in error.problem
    assert 'the pre-shared key that its sender calls "Batch 7"' in error.remedy


def test_a_file_that_names_no_key_wants_one_all_the_same() -> None:
    """Without EncryptionKey the given key is tried, and wanted where there is none."""
    file = container(mac_method(), GOOD)
    assert "encrypted" in unreadable(file).problem
    assert seed(file, key=KEY).secret == SEED


@pytest.mark.parametrize("how", [{}, {"key": KEY}])
def test_a_password_that_is_wanted_is_named(how: dict[str, Any]) -> None:
    """A key does not do where a password is asked for."""
    error = unreadable(derived(), **how)
    assert "encrypted with a password" in error.problem
    assert 'the password that its sender calls "Our word"' in error.remedy


def test_a_wrong_password_is_named() -> None:
    """It opens nothing, and nothing is taken."""
    error = unreadable(derived(), password="Open Sesame")
    assert "the key is wrong" in error.problem
    assert 'the password that its sender calls "Our word"' in error.remedy


def derived(
    password: str = PASSWORD,
    *,
    salt: str = "<Salt><Specified>c2FsdHNhbHQ=</Specified></Salt>",
    iterations: object = 1000,
    length: object = 16,
    prf: str = "",
    hash_name: str = "sha1",
    method: str = "http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5v2-0#pbkdf2",
) -> bytes:
    """Return a file whose key is made from a password."""
    key = hashlib.pbkdf2_hmac(hash_name, password.encode(), b"saltsalt", 1000, 16)
    return container(
        f'<EncryptionKey><x:DerivedKey xmlns:x="http://www.w3.org/2009/xmlenc11#">'
        f'<x:KeyDerivationMethod Algorithm="{method}"><x:PBKDF2-params>{salt}'
        f"<IterationCount>{iterations}</IterationCount><KeyLength>{length}</KeyLength>{prf}</x:PBKDF2-params>"
        "</x:KeyDerivationMethod><x:MasterKeyName>Our word</x:MasterKeyName></x:DerivedKey></EncryptionKey>\n",
        mac_method(key=key),
        package(sealed(key=key)),
    )


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"iterations": 0}, "0 iterations"),
        ({"iterations": MOST_ITERATIONS + 1}, "10000001 iterations"),
        ({"iterations": 10**18}, "IterationCount"),
        ({"iterations": -1}, "IterationCount"),
        ({"iterations": ""}, "IterationCount"),
        ({"iterations": "²"}, "IterationCount"),
        ({"length": 128}, "a key of 128 octets"),
        ({"length": 10**9}, "a key of 1000000000 octets"),
        ({"salt": ""}, "salt"),
        ({"salt": "<Salt/>"}, "salt"),
        ({"salt": "<Salt><Specified>*</Specified></Salt>"}, "salt"),
        ({"prf": '<PRF Algorithm="http://www.w3.org/2001/04/xmldsig-more#hmac-md5"/>'}, "hmac-md5"),
        ({"method": "http://www.w3.org/2009/xmlenc11#ConcatKDF"}, "PBKDF2"),
    ],
)
def test_a_derivation_that_cannot_be_is_refused(wrong: dict[str, Any], problem: str) -> None:
    """Iterations, lengths, salts and functions have bounds: no file keeps the machine busy for hours."""
    error = unreadable(derived(**wrong), password=PASSWORD)
    assert problem in error.problem
    assert error.line == 3


@pytest.mark.parametrize(
    ("prf", "hash_name"),
    [
        ("", "sha1"),
        ("<PRF/>", "sha1"),
        ('<PRF Algorithm="http://www.w3.org/2000/09/xmldsig#hmac-sha1"/>', "sha1"),
        ('<PRF Algorithm="http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"/>', "sha256"),
        ('<PRF Algorithm="http://www.w3.org/2001/04/xmldsig-more#hmac-sha512"/>', "sha512"),
        ("<PRF>http://www.w3.org/2001/04/xmldsig-more#hmac-sha256</PRF>", "sha256"),
    ],
)
@pytest.mark.parametrize("password", ["open sesame", "Öffne dich"])
def test_passwords_make_keys(prf: str, hash_name: str, password: str) -> None:
    """PBKDF2 with the function that the file names, HMAC-SHA1 where it names none; passwords are UTF-8."""
    file = derived(password, prf=prf, hash_name=hash_name)
    assert seed(file, password=password).secret == SEED


@pytest.mark.parametrize("element", ["X509Data", "KeyValue"])
def test_a_certificate_is_refused_by_name(element: str) -> None:
    """RSA cannot be opened here, whatever key is given."""
    file = container(f"<EncryptionKey><ds:{element}/></EncryptionKey>\n", mac_method(), GOOD)
    assert "certificate" in unreadable(file, key=KEY).problem


def test_no_error_says_a_key_or_a_seed() -> None:
    """Whatever is wrong, neither the key, the password nor a value shows."""
    errors = [
        unreadable(protected(GOOD), key=b"sixteen letters!"),
        unreadable(protected(GOOD), key=b"a key too short"),
        unreadable(derived(), password="hush hush"),
        flaw(protected(GOOD.replace("<ValueMAC>", "<ValueMAC>*")), key=KEY),
    ]
    said = " ".join(f"{error!r} {error!s}" for error in errors)
    for telling in ("sixteen", "too short", "hush", base64_of(cbc(SEED))[:12], KEY.hex()):
        assert telling not in said
