"""What the tests of lists share: a file in memory, its entries, and a look for seeds where none may be.

It decides nothing. It answers to no RFC.
"""

from __future__ import annotations

import base64
import hashlib
import io
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import BinaryIO, Final, Protocol

import pytest

from radiusd2fa.imports.seeds import Entry, Flaw, How, LeftOut, Seed, UnreadableError

NOW: Final = 1_800_000_000.0
HOW: Final = How(now=NOW)
HERE: Final = int(NOW) // 30
"""The TOTP step of NOW."""


class Reading(Protocol):
    """The part of a format that reads."""

    def read(self, file: BinaryIO, how: How) -> Iterator[Entry]:
        """Yield the entries."""


def seed(number: int, octets: int = 20) -> bytes:
    """Return one of many seeds, all different."""
    return hashlib.shake_128(f"seed {number}".encode()).digest(octets)


def in_hex(number: int, octets: int = 20) -> str:
    """Write it in hex."""
    return seed(number, octets).hex()


def in_base32(number: int, octets: int = 20) -> str:
    """Write it in base32, without padding."""
    return base64.b32encode(seed(number, octets)).decode().rstrip("=")


def entries(module: Reading, text: str | bytes, how: How = HOW) -> list[Entry]:
    """Read a file that stands in the test."""
    octets = text.encode() if isinstance(text, str) else text
    return list(module.read(io.BytesIO(octets), how))


def seeds(module: Reading, text: str | bytes, how: How = HOW) -> list[Seed]:
    """Read a file in which everything is right."""
    found = entries(module, text, how)
    assert [entry for entry in found if not isinstance(entry, Seed)] == []
    return [entry for entry in found if isinstance(entry, Seed)]


def flaw(module: Reading, text: str | bytes, how: How = HOW) -> Flaw:
    """Read a file in which one entry is wrong, and return that; it must not show anything of a seed."""
    flaws = [entry for entry in entries(module, text, how) if isinstance(entry, Flaw)]
    assert len(flaws) == 1, flaws
    assert_tells_no_seed(flaws, text)
    assert flaws[0].remedy
    return flaws[0]


def left_out(module: Reading, text: str | bytes, how: How = HOW) -> LeftOut:
    """Read a file of which one entry is left out, and return that."""
    some = [entry for entry in entries(module, text, how) if isinstance(entry, LeftOut)]
    assert len(some) == 1, some
    assert_tells_no_seed(some, text)
    return some[0]


def refusal(module: Reading, text: str | bytes, how: How = HOW) -> UnreadableError:
    """Read a file that makes no sense as a whole; neither error nor traceback may show anything of a seed."""
    with pytest.raises(UnreadableError) as caught:
        entries(module, text, how)
    shown = "".join(traceback.format_exception(caught.value.with_traceback(None)))
    assert_tells_no_seed([shown], text)
    assert caught.value.remedy
    return caught.value


def by(kind: str | None = None, columns: Sequence[str] = ()) -> How:
    """What an administrator says beside the file."""
    return replace(HOW, kind=kind, columns=tuple(columns))


def assert_tells_no_seed(shown: Sequence[object], text: str | bytes) -> None:
    """No word of the file that could be a seed, of sixteen characters or more, stands in what is shown."""
    file = text if isinstance(text, str) else text.decode("utf-8", errors="replace")
    words = "".join(character if character.isalnum() else " " for character in file).split()
    said = " ".join(str(each) + repr(each) for each in shown)
    for word in words:
        assert len(word) < 16 or (word.isdigit() and len(word) < 20) or word not in said
