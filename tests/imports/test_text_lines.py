"""What a file of text is, and what is refused because it is none: archives, spreadsheets, UTF-16, endless lines.

The lines come one by one. Our own list stands for all formats that are read so. RFC 3629 (UTF-8).
"""

from __future__ import annotations

import gzip
import io
import zipfile

import pytest

from radiusd2fa.imports import own_csv, safenet
from radiusd2fa.imports.seeds import UnreadableError
from radiusd2fa.imports.text_lines import LONGEST_LINE, other_than_text, text_lines

from .tables import in_hex, refusal, seeds

LIST = f"serial,kind,secret\nA1,hotp,{in_hex(1)}\nA2,hotp,{in_hex(2)}\n"


def _zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("tokens.csv", LIST)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("octets", "line", "word"),
    [
        (_zipped(), 1, "zip"),
        (gzip.compress(LIST.encode()), 1, "gzip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + LIST.encode(), 1, "spreadsheet"),
        (b"-----BEGIN PGP MESSAGE-----\n\nhQEMA\n", 1, "OpenPGP"),
        (b"%PDF-1.7\n", 1, "PDF"),
        (LIST.encode("utf-16"), 1, "UTF-16"),
        (b"\xfe\xff" + LIST.encode("utf-16-be"), 1, "UTF-16"),
        (LIST.encode("utf-16-le"), 1, "NUL"),
        (LIST.encode() + b"A3,hotp,\0\n", 4, "NUL"),
        (LIST.encode() + f"A3,hotp,{in_hex(3)},Zoë\n".encode("latin-1"), 4, "UTF-8"),
        (LIST.encode().replace(b"\n", b"\r"), 1, "carriage return"),
        (LIST.encode() + b"A3,ho\rtp," + in_hex(3).encode() + b"\n", 4, "carriage return"),
        (LIST.encode() + b"A" * 1_000_000 + b"\n", 4, "longer"),
        (b"A" * (LONGEST_LINE + 1), 1, "longer"),
    ],
)
def test_what_is_no_text_is_refused_with_its_line_and_its_name(octets: bytes, line: int, word: str) -> None:
    """The error says where, what it is instead and what to do, and nothing of what stands there."""
    error = refusal(own_csv, octets)
    assert error.line == line
    assert word in error.problem


def test_an_archive_is_no_xml_either() -> None:
    """The XML format says the same of a zip file, instead of complaining of its syntax."""
    assert "zip" in refusal(safenet, _zipped()).problem


def test_a_line_of_a_megabyte_is_never_held() -> None:
    """Reading stops at the bound, whatever follows."""
    file = io.BytesIO(b"x" * 1_000_000)
    with pytest.raises(UnreadableError):
        list(text_lines(file))
    assert file.tell() <= LONGEST_LINE + 2


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_marks_and_line_ends_of_windows_change_nothing(mark: bytes, end: str) -> None:
    """The same list comes out with a byte order mark and without, with LF, CRLF and a doubled CR."""
    assert seeds(own_csv, mark + LIST.replace("\n", end).encode()) == seeds(own_csv, LIST)


def test_a_line_as_long_as_allowed_is_read() -> None:
    """The bound itself is inside, with either line end."""
    for end in (b"\n", b"\r\n"):
        lines = list(text_lines(io.BytesIO(b"x" * (LONGEST_LINE) + end + b"y")))
        assert [(line.number, len(line.text), line.ended) for line in lines] == [(1, LONGEST_LINE, True), (2, 1, False)]


def test_a_line_shows_nothing_of_itself() -> None:
    """What stands in a line is in no repr of it."""
    assert "secret" not in repr(next(text_lines(io.BytesIO(b"secret\n"))))


def test_text_is_nothing_else() -> None:
    """No list of tokens is taken for an archive or for UTF-16."""
    assert other_than_text(LIST.encode()) is None
    assert other_than_text(b"") is None
