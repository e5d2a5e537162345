"""The PSKC files in ``hardware/samples``: what we read out of them, and what two other programs do.

Their seeds are made up: each is a hash of the token's serial. RFC 6030.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from radiusd2fa.imports import pskc as ours
from radiusd2fa.imports.seeds import Entry, Flaw, How, LeftOut, Seed
from tests.imports.pskc_files import NOW, container, package, protected, sealed

pskc = pytest.importorskip("pskc", reason="needs python-pskc of the group dev")

SAMPLES: Final = Path(__file__).parents[2] / "hardware" / "samples"
needs_pskctool = pytest.mark.skipif(shutil.which("pskctool") is None, reason="needs the Debian package pskctool")

SAMPLE_KEYS: Final[dict[str, dict[str, Any]]] = {
    "rfc6030-plain": {},
    "feitian-like": {},
    "aes128-pre-shared": {"key": bytes.fromhex("00112233445566778899aabbccddeeff")},
    "pbkdf2": {"password": "only for samples"},
    "gemalto-like": {"password": "easy sample"},
    "safenet-like": {"password": "safe sample"},
}
SAMPLE_TOKENS: Final = {
    "rfc6030-plain": [
        ("SAMPLE-1001", "hotp", 6, "sha1", 30),
        ("SAMPLE-1002", "hotp", 8, "sha1", 30),
        ("SAMPLE-1003", "totp", 6, "sha1", 30),
    ],
    "feitian-like": [
        ("2600000000001", "totp", 6, "sha1", 60),
        ("2600000000002", "totp", 6, "sha1", 60),
        ("1000000000003", "hotp", 6, "sha1", 30),
    ],
    "aes128-pre-shared": [
        ("SAMPLE-2001", "hotp", 6, "sha1", 30),
        ("SAMPLE-2002", "hotp", 8, "sha1", 30),
        ("SAMPLE-2003", "totp", 8, "sha1", 60),
    ],
    "pbkdf2": [
        ("SAMPLE-3001", "hotp", 6, "sha1", 30),
        ("SAMPLE-3002", "totp", 6, "sha1", 30),
        ("SAMPLE-3003", "totp", 8, "sha256", 60),
    ],
    "gemalto-like": [
        ("GALT00000001", "totp", 6, "sha1", 30),
        ("GALT00000002", "totp", 6, "sha1", 30),
        ("GALT00000003", "hotp", 6, "sha1", 30),
    ],
    "safenet-like": [
        ("80000001", "totp", 6, "sha256", 30),
        ("80000002", "totp", 8, "sha256", 60),
        ("80000003", "hotp", 6, "sha1", 30),
    ],
}


def sample(name: str) -> Path:
    """Return where a sample is."""
    return SAMPLES / f"{name}.pskc.xml"


def seeds_of(name: str) -> list[Seed]:
    """Read a sample with what opens it."""
    with sample(name).open("rb") as file:
        entries: list[Entry] = list(ours.read(file, How(now=NOW, **SAMPLE_KEYS[name])))
    assert not any(isinstance(entry, Flaw | LeftOut) for entry in entries), entries
    return [entry for entry in entries if isinstance(entry, Seed)]


def test_there_is_an_expectation_for_every_sample() -> None:
    """A sample that is new is noticed, and so is one that is gone."""
    assert {path.name.removesuffix(".pskc.xml") for path in SAMPLES.glob("*.pskc.xml")} == SAMPLE_KEYS.keys()
    assert SAMPLE_KEYS.keys() == SAMPLE_TOKENS.keys()


@pytest.mark.parametrize("name", SAMPLE_KEYS)
def test_a_sample_comes_out_as_it_was_made(name: str) -> None:
    """Each token with its kind, digits, hash and step; its seed is made of its serial."""
    seeds = seeds_of(name)
    assert [(one.serial, one.kind, one.digits, one.algorithm, one.step) for one in seeds] == SAMPLE_TOKENS[name]
    for one in seeds:
        assert one.secret == hashlib.new(one.algorithm, f"a made-up seed for {one.serial}".encode()).digest()
    assert ours.sniff(sample(name).read_bytes()[:4096])


@pytest.mark.parametrize("name", SAMPLE_KEYS)
def test_python_pskc_reads_the_same_out_of_a_sample(name: str) -> None:
    """Another program's reading of serials and secrets."""
    file = pskc.PSKC(str(sample(name)))
    how = SAMPLE_KEYS[name]
    if "key" in how:
        file.encryption.key = how["key"]
    elif how:
        file.encryption.derive_key(how["password"])
    assert [(key.serial, key.secret) for key in file.keys] == [(one.serial, one.secret) for one in seeds_of(name)]


def pskctool(*arguments: str, text: bytes = b"") -> str:
    """Return what pskctool says."""
    done = subprocess.run(["pskctool", *arguments], input=text, capture_output=True, check=False, timeout=20)
    return done.stdout.decode()


@needs_pskctool
@pytest.mark.parametrize("name", SAMPLE_KEYS)
def test_a_sample_is_what_the_rfc_s_schema_allows(name: str) -> None:
    """pskctool has the schema, and says OK."""
    assert pskctool("--validate", str(sample(name))).strip() == "OK"


@needs_pskctool
@pytest.mark.parametrize("name", [name for name, how in SAMPLE_KEYS.items() if not how])
def test_pskctool_reads_the_same_out_of_a_sample(name: str) -> None:
    """It cannot open what is encrypted; of the others it shows serials, secrets and digits as we read them."""
    said = pskctool("--info", str(sample(name)))
    seeds = seeds_of(name)
    assert re.findall(r"SerialNo: (.*)", said) == [one.serial for one in seeds]
    assert re.findall(r"base64\): (.*)", said) == [base64.b64encode(one.secret).decode() for one in seeds]
    assert re.findall(r"Response Format Length: (.*)", said) == [str(one.digits) for one in seeds]


@needs_pskctool
def test_what_these_tests_write_themselves_is_pskc() -> None:
    """Both in the clear and encrypted, or the refusals would be of something else."""
    for file in (container(package()), protected(package(sealed()))):
        assert pskctool("--validate", text=file).strip() == "OK"
