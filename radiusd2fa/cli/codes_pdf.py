"""A sheet of codes as a PDF: one page A4, in the letters that every reader and printer brings along.

It draws what it is given, reads nothing and writes no file. ISO 32000-1: 9.6.2.2 (the standard fonts), Annex D.2
(WinAnsiEncoding); a letter that this lacks is printed as its number.
"""

from __future__ import annotations

import io
import textwrap
from typing import Final

import pydyf  # type: ignore[import-untyped]  # the library says no types

from radiusd2fa.cli.codes_sheet import Paper

_WIDTH: Final = 595.0
_HEIGHT: Final = 842.0
"""A4 in points."""
_MARGIN: Final = 64.0
_FACTS: Final = 150.0
"""Where the value of a fact begins."""
_FONTS: Final = {"F": "Helvetica", "B": "Helvetica-Bold", "C": "Courier-Bold"}
_TITLE, _BODY, _CODE = 22.0, 10.5, 14.0
_LINE: Final = 1.4
"""From line to line, in sizes of the letters."""
_CHARACTERS: Final = 84
"""Of the body in a line: English in Helvetica takes half its size for a letter."""
_WIDE_CHARACTERS: Final = 42
"""The same where all of them might be `m`."""
_MOST_ROWS: Final = 12
"""Of codes: with more of them the page would not hold what to do with it."""


def as_pdf(paper: Paper) -> bytes:
    """Set a sheet as a PDF document."""
    page = _Page()
    page.down(_TITLE)
    page.write("B", _TITLE, _MARGIN, paper.title)
    page.down(_TITLE * _LINE)
    for name, value in paper.facts:
        page.write("F", _BODY, _MARGIN, name)
        for line in textwrap.wrap(value, _WIDE_CHARACTERS, break_on_hyphens=False):
            page.write("B", _BODY, _FACTS, line)
            page.down(_BODY * _LINE)
    page.codes(*paper.columns())
    for paragraph in paper.paragraphs():
        page.paragraph(paragraph)
    return page.document(paper.title)


class _Page:
    """A page that is written from the top down."""

    def __init__(self) -> None:
        self._stream = pydyf.Stream()
        self._y = _HEIGHT - _MARGIN

    def down(self, by: float) -> None:
        """Leave room."""
        self._y -= by

    def write(self, font: str, size: float, x: float, text: str) -> None:
        """Write one line here."""
        self._stream.begin_text()
        self._stream.set_font_size(font, size)
        self._stream.set_text_matrix(1, 0, 0, 1, x, self._y)
        self._stream.show_text_string(text.encode("cp1252", errors="backslashreplace"))
        self._stream.end_text()

    def paragraph(self, text: str) -> None:
        """Write a paragraph, and leave room after it."""
        for line in textwrap.wrap(text, _CHARACTERS, break_on_hyphens=False):
            self.write("F", _BODY, _MARGIN, line)
            self.down(_BODY * _LINE)
        self.down(_BODY * 0.6)

    def codes(self, left: tuple[str, ...], right: tuple[str, ...]) -> None:
        """Write the codes in two columns within a frame, each with a box to tick."""
        pitch = _CODE * (2.0 if len(left) <= _MOST_ROWS else 1.3)
        height = len(left) * pitch + _CODE
        self.down(_CODE * 0.5)
        self._stream.rectangle(_MARGIN, self._y - height, _WIDTH - 2 * _MARGIN, height)
        self._stream.stroke()
        self.down(_CODE * 0.5)
        for row, code in enumerate(left):
            self.down(pitch * 0.7)
            self._code(_MARGIN + 20, code)
            if row < len(right):
                self._code(_WIDTH / 2 + 10, right[row])
            self.down(pitch * 0.3)
        self.down(_CODE * 2.5)

    def _code(self, x: float, code: str) -> None:
        self._stream.rectangle(x, self._y, _CODE * 0.7, _CODE * 0.7)
        self._stream.stroke()
        self.write("C", _CODE, x + _CODE * 1.3, code)

    def document(self, title: str) -> bytes:
        """Return the page as a document."""
        pdf = pydyf.PDF()
        pdf.info["Title"] = pydyf.String(title)
        fonts = pydyf.Dictionary()
        for short, name in _FONTS.items():
            font = {"Type": "/Font", "Subtype": "/Type1", "BaseFont": f"/{name}", "Encoding": "/WinAnsiEncoding"}
            fonts[short] = pydyf.Dictionary(font)
        pdf.add_object(self._stream)
        page = {
            "Type": "/Page",
            "Parent": pdf.pages.reference,
            "MediaBox": pydyf.Array([0, 0, _WIDTH, _HEIGHT]),
            "Resources": pydyf.Dictionary({"Font": fonts}),
            "Contents": self._stream.reference,
        }
        pdf.add_page(pydyf.Dictionary(page))
        output = io.BytesIO()
        pdf.write(output)
        return output.getvalue()
