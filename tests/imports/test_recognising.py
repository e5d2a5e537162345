"""Which format a file is: every sample is one format's alone, and says what is written on it.

All samples and all formats of the folder are held against one another. It answers to no RFC.
"""

from __future__ import annotations

import importlib
import io
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

import radiusd2fa.imports
from radiusd2fa.imports import columns, entra, oath_csv, own_csv, safenet, safenet_dat, yubico_csv
from radiusd2fa.imports.seeds import Entry, Flaw, How, LeftOut, Seed
from radiusd2fa.imports.table import rows
from radiusd2fa.imports.text_lines import BYTE_ORDER_MARK

from .tables import NOW

SAMPLES: Final = Path(__file__).parents[2] / "hardware" / "samples"
HEAD: Final = 4096
LISTS: Final = {
    "entra-deepnet.csv": (entra, "TTT"),
    "entra-token2.csv": (entra, "TTT"),
    "oath.csv": (oath_csv, "HHTTT-"),
    "own-excel.csv": (own_csv, "HH"),
    "own.csv": (own_csv, "HHTTY"),
    "safenet.dat": (safenet_dat, "HHT-"),
    "safenet.xml": (safenet, "HHH"),
    "yubico-format.csv": (yubico_csv, "YYHH-"),
    "yubico-ksm.csv": (yubico_csv, "YY"),
    "yubico-traditional.csv": (yubico_csv, "YY---"),
}
"""What each of our samples is, and what stands in it: H(OTP), T(OTP), Y(ubico), - for what is left out."""


def formats() -> list[ModuleType]:
    """Return every module of the folder that is a format."""
    names = [module.name for module in pkgutil.iter_modules(radiusd2fa.imports.__path__)]
    modules = [importlib.import_module(f"radiusd2fa.imports.{name}") for name in names]
    return [module for module in modules if hasattr(module, "sniff") and hasattr(module, "NAME")]


def head_of(sample: Path) -> bytes:
    """Return what ``sniff`` is given."""
    return sample.read_bytes()[:HEAD].removeprefix(BYTE_ORDER_MARK)


def samples() -> list[Path]:
    """Return the files of the folder that are seed files, and neither keys to them nor words about them."""
    return sorted(
        path for path in SAMPLES.iterdir() if path.is_file() and not path.suffix.casefold().endswith(("md", "key"))
    )


def letter(entry: Entry) -> str:
    """Return what an entry is, in one letter."""
    match entry:
        case Seed():
            return entry.kind[0].upper()
        case LeftOut():
            return "-"
        case Flaw():
            return "!"


@pytest.mark.parametrize("sample", samples(), ids=lambda path: path.name)
def test_every_sample_is_one_formats_alone(sample: Path) -> None:
    """Exactly one format says that a file is its own."""
    found = [module.NAME for module in formats() if module.sniff(head_of(sample))]
    assert len(found) == 1, found


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_recognised_as_what_it_is(name: str) -> None:
    """Our own samples are taken by the format that they were made for, also where only their beginning is known."""
    module, _ = LISTS[name]
    head = head_of(SAMPLES / name)
    assert module.sniff(head)
    assert module.sniff(head[: len(head) * 2 // 3])


@pytest.mark.parametrize("name", LISTS)
def test_a_list_says_what_is_written_on_it(name: str) -> None:
    """The tokens of a sample come out in their order, with nothing wrong and different seeds and serials."""
    module, expected = LISTS[name]
    with (SAMPLES / name).open("rb") as file:
        found = list(module.read(file, How(now=NOW)))
    assert "".join(map(letter, found)) == expected
    tokens = [entry for entry in found if isinstance(entry, Seed)]
    assert len({token.serial for token in tokens}) == len({token.secret for token in tokens}) == len(tokens)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\n\n",
        b"hello\n",
        b"PK\x03\x04serial,secret\n",
        b"\0\0\0\0",
        b"\xff\xfes\0e\0r\0i\0a\0l\0",
        b"date;amount;text\n2026-03-01;12,50;coffee\n",
        b"name,telephone\nalice,123456789\n",
    ],
)
def test_what_is_no_seed_file_is_nobodys(head: bytes) -> None:
    """No format of lists takes a file that is none."""
    assert not any(module.sniff(head) for module, _ in LISTS.values())


def test_every_format_has_its_own_name() -> None:
    """``--format`` has one word for each, and every one has a title."""
    names = [module.NAME for module in formats()]
    assert len(set(names)) == len(names)
    assert all(module.TITLE for module in formats())
    assert columns.NAME in names


class _Endless(io.RawIOBase):
    """A file that makes its lines while it is read, and counts what was taken."""

    def __init__(self) -> None:
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readline(self, size: int | None = -1, /) -> bytes:
        self.taken += 1
        return f"A{self.taken:07d},{self.taken:040x}\n".encode()


def test_a_list_is_read_line_by_line() -> None:
    """However long a file is, no more than its beginning is held before the first entry comes."""
    file = _Endless()
    stream = oath_csv.read(file, How(now=NOW))  # type: ignore[arg-type]
    for _ in range(5000):
        entry = next(stream)
    assert entry.line == 5000
    assert file.taken <= 5001
    assert next(rows(_Endless()))  # type: ignore[arg-type]
