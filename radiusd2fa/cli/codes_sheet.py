"""The sheet of codes that somebody prints and keeps: made, set as text, and written to files of its own.

A code is on the sheet and nowhere else: in no log, no argument and no error. A file is written before the codes count,
so that no sheet is in force that nobody has; to standard output it goes when they do. NIST SP 800-63B 3.1.2.
"""

from __future__ import annotations

import secrets
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from radiusd2fa.cli.new_file import STANDARD_OUTPUT, new_file
from radiusd2fa.cli.site import wrong_usage

if TYPE_CHECKING:
    from radiusd2fa.core.model import Token
    from radiusd2fa.core.sheets import Sheet
    from radiusd2fa.settings import Settings

PdfFile = Annotated[
    Path | None,
    typer.Option(
        "--pdf",
        metavar="FILE",
        help="Write the sheet as PDF, one page A4, into a new file; - for standard output.",
        show_default=False,
    ),
]
TextFile = Annotated[
    Path | None,
    typer.Option(
        "--text",
        metavar="FILE",
        help="Write the sheet as plain text into a new file; - for standard output.",
        show_default=False,
    ),
]

_WIDTH: Final = 72
_BOX: Final = "[ ] "
_GAP: Final = "    "


@dataclass(frozen=True, slots=True)
class Paper:
    """What is printed. Whoever reads it knows what it is, whose, and what to do with it."""

    title: str
    facts: tuple[tuple[str, str], ...]
    codes: tuple[str, ...] = field(repr=False)
    to_do: str
    """With an empty line between paragraphs; where lines end means nothing."""
    if_found: str

    def paragraphs(self) -> tuple[str, ...]:
        """Return what stands below the codes."""
        text = f"{self.to_do}\n\nIf you have found this sheet: {self.if_found}"
        return tuple(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))

    def columns(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the codes as they stand side by side; they are read down the first column."""
        half = (len(self.codes) + 1) // 2
        return self.codes[:half], self.codes[half:]


def new_sheet(
    sheet: Sheet, letter: str, count: int, *, valid_until: float | None = None
) -> tuple[Token, tuple[str, ...]]:
    """Make a sheet: what is kept of it, and its codes as people read them."""
    from radiusd2fa.cli.token import made_up_serial
    from radiusd2fa.core.model import Token
    from radiusd2fa.core.sheets import make, octets_wanted

    made = make(sheet, count, secrets.token_bytes(octets_wanted(sheet, count)))
    token = Token(
        id=0,
        serial=made_up_serial(f"{letter}-"),
        kind=sheet.kind,
        moving_factor=0,
        secret=made.secret,
        digits=sheet.length,
        algorithm="sha256",
        step=0,
        valid_until=valid_until,
    )
    return token, tuple(map(sheet.spelled, made.codes))


def site_name(settings: Settings) -> str:
    """Return what to call this site on paper: as its keys know it, or by this machine's name."""
    import socket

    return settings.rules.fido.rp_id if settings.rules.fido is not None else socket.gethostname()


def as_text(paper: Paper, width: int = _WIDTH) -> str:
    """Set a sheet as plain text, no line longer than ``width``."""
    lines = [paper.title.upper(), "=" * len(paper.title), ""]
    longest = max(len(name) for name, _ in paper.facts) + 2
    for name, value in paper.facts:
        lines += textwrap.wrap(
            value, width, initial_indent=name.ljust(longest), subsequent_indent=" " * longest, break_on_hyphens=False
        )
    left, right = paper.columns()
    if len(_BOX + left[0]) * 2 + len(_GAP) > width:
        left, right = paper.codes, ()
    lines.append("")
    for row, code in enumerate(left):
        lines.append(_BOX + code + (_GAP + _BOX + right[row] if row < len(right) else ""))
    for paragraph in paper.paragraphs():
        lines += ["", *textwrap.wrap(paragraph, width, break_on_hyphens=False)]
    return "\n".join(lines) + "\n"


def hand_over(paper: Paper, sentences: Sequence[str], pdf: Path | None, text: Path | None) -> None:
    """Say what was made, and show the sheet, once; what has gone to a file, or is the output, is not shown."""
    aside = STANDARD_OUTPUT in (pdf, text)
    for sentence in sentences:
        typer.echo(sentence, err=aside)
    if pdf is None and text is None:
        typer.echo()
        show(paper)
    else:
        typer.echo(said(pdf, text), err=aside)


def show(paper: Paper) -> None:
    """Print a sheet, as wide as the terminal lets it be."""
    width = min(_WIDTH, shutil.get_terminal_size().columns) if sys.stdout.isatty() else _WIDTH
    typer.echo(as_text(paper, width))
    typer.echo("Shown once: print it, or copy it by hand, now.", err=True)


@contextmanager
def written(paper: Paper, pdf: Path | None, text: Path | None, settings: Settings, *, as_json: bool) -> Iterator[None]:
    """Write the files that were asked for; take them away again if what follows does not come to be."""
    _refuse_several(pdf, text, as_json=as_json)
    wanted = [("--text", text, False), ("--pdf", pdf, True)]
    with ExitStack() as stack:
        # standard output is the last to end, so that no file is taken away because that has failed
        for option, path, is_pdf in sorted(wanted, key=lambda one: one[1] != STANDARD_OUTPUT):
            if path is not None:
                file = stack.enter_context(new_file(path, settings, option, binary=is_pdf))
                file.write(_as_pdf(paper) if is_pdf else as_text(paper).encode(), else_say=_where_codes_stand(path))
        yield


def said(pdf: Path | None, text: Path | None) -> str:
    """Say where the sheet is, and what to do with the file."""
    files = [str(path) for path in (text, pdf) if path is not None and path != STANDARD_OUTPUT]
    places = [f"in {' and '.join(files)} (mode 0600)"] if files else []
    if STANDARD_OUTPUT in (pdf, text):
        places.append("on standard output")
    return f"the sheet is {' and '.join(places)}: print it, then delete it; the codes are not shown again"


def _refuse_several(pdf: Path | None, text: Path | None, *, as_json: bool) -> None:
    if [pdf, text].count(STANDARD_OUTPUT) + as_json > 1:
        wrong_usage("--pdf -, --text - and --json exclude each other: standard output takes one thing")


def _as_pdf(paper: Paper) -> bytes:
    from radiusd2fa.cli.codes_pdf import as_pdf

    return as_pdf(paper)


def _where_codes_stand(path: Path) -> str:
    if path == STANDARD_OUTPUT:
        return "these codes count, and nobody has them: give the command again for others"
    return "no codes were made"
