"""The lines of a text file, one after another, or what the file is instead of text.

It holds one line at a time, of bounded length, and never shows what stands in it. UTF-8 alone is read (RFC 3629), with
or without a byte order mark; lines may end as Unix or Windows end them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import BinaryIO, Final

from radiusd2fa.core.record import record
from radiusd2fa.imports.seeds import UnreadableError

LONGEST_LINE: Final = 8192
"""Octets. The longest seed takes 256 characters."""
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_UNREADABLE_CHARACTER: Final = "\N{REPLACEMENT CHARACTER}"
_SAVE_AS_UTF8: Final = 'in a spreadsheet save it as "CSV UTF-8", elsewhere convert it with iconv'
_SOMETHING_ELSE: Final = (
    (b"PK\x03\x04", "this is a zip archive or a spreadsheet (.xlsx)", "unpack it, or save the sheet as CSV UTF-8"),
    (b"\x1f\x8b", "this is packed with gzip", "unpack it with gunzip"),
    (b"\xd0\xcf\x11\xe0", "this is an old spreadsheet (.xls)", "save the sheet as CSV UTF-8"),
    (b"%PDF", "this is a PDF", "ask the vendor for the list itself"),
    (b"-----BEGIN PGP MESSAGE", "this is encrypted with OpenPGP", "decrypt it first, with gpg --decrypt"),
    (b"\xff\xfe", "this is UTF-16", _SAVE_AS_UTF8),
    (b"\xfe\xff", "this is UTF-16", _SAVE_AS_UTF8),
)


@record
class TextLine:
    """One line, without its end."""

    number: int
    text: str = field(repr=False)
    ended: bool
    """Whether a line end follows: without one the file may have been cut here."""


def other_than_text(head: bytes) -> UnreadableError | None:
    """Return what a file is that begins like this and is no text, or None."""
    for beginning, problem, remedy in _SOMETHING_ELSE:
        if head.startswith(beginning):
            return UnreadableError(1, problem, remedy)
    if b"\0" in head:
        line = head[: head.index(b"\0")].count(b"\n") + 1
        return UnreadableError(
            line, "there is a NUL octet, which no text has: UTF-16, or a damaged file", _SAVE_AS_UTF8
        )
    return None


def text_lines(file: BinaryIO) -> Iterator[TextLine]:
    """Yield the lines, blank ones too; UnreadableError at the first that is no text."""
    number = 0
    while raw := file.readline(LONGEST_LINE + 2):
        number += 1
        if number == 1:
            raw = raw.removeprefix(BYTE_ORDER_MARK)
        yield _line(number, raw)


def _line(number: int, raw: bytes) -> TextLine:
    if (number == 1 or b"\0" in raw) and (trouble := other_than_text(raw)) is not None:
        raise UnreadableError(number, trouble.problem, trouble.remedy)
    ended = raw.endswith(b"\n")
    octets = raw.rstrip(b"\r\n")
    if b"\r" in octets:
        raise UnreadableError(number, "a carriage return stands inside the line or ends it alone", _SAVE_AS_UTF8)
    if len(octets) > LONGEST_LINE:
        raise UnreadableError(
            number,
            f"the line is longer than {LONGEST_LINE} octets",
            "no list of tokens has such lines: look whether this is the right file",
        )
    # not an exception: it would carry the line, and with it the seed, into a traceback
    text = octets.decode("utf-8", errors="replace")
    if _UNREADABLE_CHARACTER in text:
        raise UnreadableError(number, "a character is not UTF-8", _SAVE_AS_UTF8)
    return TextLine(number, text, ended)
