"""PSKC files of others: the RFC's figures, and what python-pskc writes.

The figures are no part of the project: they are read from beside the checkout, and without them nothing of them runs.
RFC 6030.
"""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from radiusd2fa.imports.seeds import LeftOut, Seed
from tests.imports.pskc_files import KEY, SEED, flaw, read, seed, unreadable

pskc = pytest.importorskip("pskc", reason="needs python-pskc of the group dev")

VECTORS: Final = Path(__file__).parents[3] / "shared" / "vectors" / "pskc-rfc6030.json"

needs_figures = pytest.mark.skipif(not VECTORS.is_file(), reason=f"{VECTORS}: the RFC's figures are not here")


def figure(number: str) -> dict[str, Any]:
    """Return one figure of the RFC, with what it should come out as."""
    cases: list[dict[str, Any]] = json.loads(VECTORS.read_text())["cases"]
    return next(case for case in cases if case["origin"].endswith(f" figure {number}"))


@needs_figures
@pytest.mark.parametrize("number", ["3", "5", "6", "7", "9", "10"])
def test_the_figures_of_the_rfc(number: str) -> None:
    """Each HOTP key of each figure comes out, with serial, digits, counter and secret; a PIN and a signature do not."""
    case = figure(number)
    key = bytes.fromhex(case["pre_shared_key_hex"]) if "pre_shared_key_hex" in case else None
    entries = read(case["xml"].encode(), key=key, password=case.get("passphrase"))
    assert [
        (entry.serial, entry.digits, entry.moving_factor, entry.secret.hex())
        for entry in entries
        if isinstance(entry, Seed)
    ] == [
        (said["serial"], said["response_length"], said.get("counter", 0), said["secret_hex"])
        for said in case["keys"]
        if said["algorithm"].endswith(":hotp")
    ]
    others = [entry for entry in entries if not isinstance(entry, Seed)]
    assert all(isinstance(entry, LeftOut) for entry in others)
    assert len(others) == (number in {"5", "9"})


@needs_figures
def test_the_figures_that_hold_no_token_of_ours() -> None:
    """A seed of four octets, one that is derived elsewhere, and one for the holder of a certificate."""
    assert "4 octets" in flaw(figure("2")["xml"].encode(), digits=6).problem
    (derived,) = read(figure("4")["xml"].encode())
    assert isinstance(derived, LeftOut)
    assert "certificate" in unreadable(figure("8")["xml"].encode(), key=KEY).problem


@needs_figures
@pytest.mark.parametrize(("number", "wrong"), [("6", {"key": bytes(16)}), ("7", {"password": "qwertz"})])
def test_the_encrypted_figures_with_a_wrong_key(number: str, wrong: dict[str, Any]) -> None:
    """Nothing comes out, and what is wanted is named."""
    error = unreadable(figure(number)["xml"].encode(), **wrong)
    assert "the key is wrong" in error.problem
    assert ("Pre-shared-key" if number == "6" else "My Password 1") in error.remedy


def written(secret: bytes, **counter: int) -> Any:  # noqa: ANN401 -- a PSKC of python-pskc
    """Return a container of python-pskc with one token."""
    file = pskc.PSKC()
    file.add_key(
        id="1",
        serial="S1",
        secret=secret,
        algorithm="urn:ietf:params:xml:ns:keyprov:pskc:hotp",
        response_length=6,
        response_encoding="DECIMAL",
        **counter,
    )
    return file


def text_of(file: Any) -> bytes:  # noqa: ANN401 -- a PSKC of python-pskc
    """Return what python-pskc writes."""
    out = io.BytesIO()
    file.write(out)
    return out.getvalue()


CIPHERS: Final = (
    "aes128-cbc", "aes192-cbc", "aes256-cbc", "tripledes-cbc",
    "kw-aes128", "kw-aes192", "kw-aes256", "kw-tripledes",
)  # fmt: skip
LENGTHS: Final = (10, 16, 20, 24, 32, 64)
WHOLE_BLOCKS: Final = "kw-tripledes"
"""It takes no other length than a multiple of 8 octets."""


@pytest.mark.filterwarnings("ignore:.*TripleDES")
@pytest.mark.parametrize(
    ("algorithm", "octets"),
    [(name, octets) for name in CIPHERS for octets in LENGTHS if name != WHOLE_BLOCKS or octets % 8 == 0],
)
def test_what_python_pskc_encrypts(algorithm: str, octets: int) -> None:
    """Each cipher with a key of its length, seeds of all lengths; and no other key opens it."""
    secret = bytes(range(octets))
    file = written(secret)
    file.encryption.setup_preshared_key(algorithm=algorithm, key_name="Batch 7")
    text = text_of(file)
    assert seed(text, key=file.encryption.key).secret == secret
    wrong = bytes([file.encryption.key[0] ^ 2]) + file.encryption.key[1:]
    error = unreadable(text, key=wrong)
    assert "the key is wrong" in error.problem
    assert '"Batch 7"' in error.remedy


@pytest.mark.filterwarnings("ignore:.*TripleDES")
@pytest.mark.parametrize("algorithm", ["tripledes-cbc", "kw-tripledes"])
def test_triple_des_with_a_key_of_two_parts(algorithm: str) -> None:
    """16 octets mean that the first part comes again as the third."""
    file = written(bytes(range(24)))
    file.encryption.setup_preshared_key(key=KEY, algorithm=algorithm)
    assert seed(text_of(file), key=KEY).secret == bytes(range(24))


@pytest.mark.parametrize("algorithm", ["aes128-cbc", "kw-aes256"])
@pytest.mark.parametrize("bit", range(0, 8 * 8, 5))
def test_what_python_pskc_encrypts_is_refused_when_a_bit_is_changed(algorithm: str, bit: int) -> None:
    """Key wraps have no MAC and need none: they bring a check of their own."""
    file = written(SEED)
    file.encryption.setup_preshared_key(algorithm=algorithm)
    text = text_of(file)
    said = re.findall(rb"<xenc:CipherValue>(.*?)</xenc:CipherValue>", text)[-1]
    octets = bytearray(base64.b64decode(said))
    octets[bit // 8] ^= 1 << bit % 8
    error = unreadable(text.replace(said, base64.b64encode(octets)), key=file.encryption.key)
    assert "changed on its way" in error.problem


@pytest.mark.parametrize("prf", [None, "hmac-sha1", "hmac-sha256", "hmac-sha512"])
@pytest.mark.parametrize("algorithm", ["aes128-cbc", "aes256-cbc", "kw-aes128"])
def test_what_python_pskc_encrypts_with_a_password(algorithm: str, prf: str | None) -> None:
    """PBKDF2 with each function; and no other password opens it."""
    file = written(SEED)
    file.encryption.setup_pbkdf2("Öffne dich", algorithm=algorithm, prf=prf, iterations=1000, key_name="Our word")
    text = text_of(file)
    assert seed(text, password="Öffne dich").secret == SEED
    assert '"Our word"' in unreadable(text, password="offne dich").remedy


@pytest.mark.parametrize("counter", [0, 1, 42, 47, 58, 250, 70_000, 2**40])
def test_a_counter_that_python_pskc_encrypts(counter: int) -> None:
    """It writes as few big-endian octets as it can."""
    file = written(SEED, counter=counter)
    file.encryption.setup_preshared_key(key=KEY, fields=["secret", "counter"])
    assert seed(text_of(file), key=KEY).moving_factor == counter


@pytest.mark.parametrize("counter", [48, 50, 57, 0x3132])
def test_a_counter_that_python_pskc_reads_as_a_smaller_one_is_refused(counter: int) -> None:
    """Its octets are digits: to believe them would let used codes in again."""
    file = written(SEED, counter=counter)
    file.encryption.setup_preshared_key(key=KEY, fields=["secret", "counter"])
    again = pskc.PSKC(io.BytesIO(text_of(file)))
    again.encryption.key = KEY
    assert again.keys[0].counter < counter
    assert "not clear which number" in flaw(text_of(file), key=KEY).problem
