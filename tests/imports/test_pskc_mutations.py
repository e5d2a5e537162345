"""PSKC files changed at random: nothing but an UnreadableError leaves the reader, and no other seed than was sent.

The seeds of the one file are in the clear, those of the other encrypted with MACs. RFC 6030 6.1.1.
"""

from __future__ import annotations

import re
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from radiusd2fa.imports.seeds import Entry, Seed, UnreadableError
from tests.imports.pskc_files import KEY, SEED, container, package, plain, protected, read, sealed, totp

NUMBERS: Final = "<Counter><PlainValue>7</PlainValue></Counter>"
POLICY: Final = '<Policy><StartDate>2026-01-01T00:00:00Z</StartDate><PINPolicy PINUsageMode="Local"/></Policy>'
CLEAR: Final = container(package(data=NUMBERS, policy=POLICY), totp("<Time><PlainValue>0</PlainValue></Time>"))
SEALED: Final = protected(package(sealed(), f"<Counter>{sealed(b'1000')}</Counter>", policy=POLICY))
ELEMENT: Final = re.compile(rb"<(\w[\w:]*)[^>]*(?:/>|>.*?</\1>)", re.DOTALL)
PIECES: Final = (
    b"<", b">", b"/", b'"', b"&", b"&#0;", b"]]>", b"<!--", b"<![CDATA[", b"\0", b"\xff", b"\xef\xbb\xbf",
    b"<!DOCTYPE x>", b"<Secret>", b"</Data>", b"-1", b"9" * 400, b"=", b"pbkdf2", b"kw-aes128", b"tripledes-cbc",
    b"aes256-cbc", b"aes128-cbc", plain(b"another seed of ours").encode(), b"PlainValue", b"EncryptedValue",
)  # fmt: skip


@st.composite
def changes(draw: st.DrawFn, of: bytes) -> bytes:
    """Return the file after one to four changes: bits, octets, pieces and whole elements."""
    file = of
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(file) - 1)))
        to = min(len(file), at + draw(st.integers(0, 60)))
        match draw(st.integers(0, 5)):
            case 0:
                file = file[:at] + bytes([file[at] ^ 1 << draw(st.integers(0, 7))]) + file[at + 1 :] if file else file
            case 1:
                file = file[:at] + file[to:]
            case 2:
                file = file[:at] + draw(st.sampled_from(PIECES)) + file[at:]
            case 3:
                file = file[:to] + file[at:to] + file[to:]
            case 4:
                elements = [found.span() for found in ELEMENT.finditer(file)]
                start, end = draw(st.sampled_from(elements)) if elements else (0, 0)
                file = draw(st.sampled_from((file[:start] + file[end:], file[:end] + file[start:end] + file[end:])))
            case _:
                old, new = draw(st.sampled_from(PIECES)), draw(st.sampled_from(PIECES))
                file = file.replace(old, new, 1)
    return file


def entries(file: bytes, key: bytes | None) -> list[Entry]:
    """Read what can be read; only an UnreadableError is expected."""
    try:
        return read(file, key=key, digits=6, kind="hotp")
    except UnreadableError:
        return []


@settings(max_examples=400, deadline=None)
@given(changes(CLEAR))
def test_a_changed_file_raises_nothing_unforeseen(file: bytes) -> None:
    """Each entry of it is a seed that may be one, a flaw, or left out."""
    for entry in entries(file, None):
        if isinstance(entry, Seed):
            assert 10 <= len(entry.secret) <= 128
            assert entry.moving_factor >= 0


@settings(max_examples=600, deadline=None)
@given(changes(SEALED))
def test_no_change_makes_another_seed_of_an_encrypted_one(file: bytes) -> None:
    """What comes out of a file with MACs is what was sent, or nothing; so it is with its encrypted counter."""
    for entry in entries(file, KEY):
        if isinstance(entry, Seed):
            assert entry.secret == SEED


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.sampled_from((b"", b"<KeyContainer>", b"<?xml version='1.0' encoding='utf-16'?>")))
def test_anything_at_all_raises_nothing_unforeseen(octets: bytes, start: bytes) -> None:
    """Octets that were never a file are refused like any other."""
    assert not any(isinstance(entry, Seed) for entry in entries(start + octets, None))


def test_the_unchanged_files_are_good() -> None:
    """Or nothing above would say anything."""
    assert [type(entry) for entry in entries(CLEAR, None)] == [Seed, Seed]
    (entry,) = entries(SEALED, KEY)
    assert isinstance(entry, Seed)
    assert (entry.secret, entry.moving_factor) == (SEED, 1000)
