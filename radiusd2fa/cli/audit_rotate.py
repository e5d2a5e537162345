"""`radiusd2fa audit rotate`: the oldest rows into a file, an anchor in their place, and then out of the store.

No row goes before the file lies on the disk and was read back and found whole. Ended at any moment, nothing is lost,
and the same command goes on. Answers to no RFC.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from radiusd2fa.cli.bars import Bar, bars
from radiusd2fa.cli.new_file import STANDARD_OUTPUT, new_file
from radiusd2fa.cli.site import now, refuse, site_audit, site_settings
from radiusd2fa.cli.when import day, start_of_day

if TYPE_CHECKING:
    from collections.abc import Iterable

    from radiusd2fa.core.chain_findings import Finding
    from radiusd2fa.settings import Settings
    from radiusd2fa.store.archiving import Archived, Archiving, Cut

_OWN_OUTPUT: Final = Path("/proc/self/fd/1")


def rotate(
    ctx: typer.Context,
    before: Annotated[
        str, typer.Option(metavar="DAY", help="Rows of before this day go, as in 2027-01-01.", show_default=False)
    ],
    to: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="Where they go, one JSON object a line; - is a file of your shell's.",
            show_default=False,
        ),
    ],
    despite_faults: Annotated[
        bool, typer.Option("--despite-faults", help="Even though the audit is not whole: what is wrong goes along.")
    ] = False,
) -> None:
    """Move the oldest rows of the audit into an archive. Logins go on meanwhile.

    The audit is verified, the rows are written and read back, an anchor is signed that says where each chain goes on,
    and only then the rows are taken out. Ended in between, the same command goes on.
    """
    settings = site_settings(ctx.obj)
    moment = start_of_day(before, "--before", settings)
    with site_audit(ctx.obj) as audit, bars() as bar:
        if not despite_faults:
            _refuse_what_is_not_whole(audit, bar)
        _finish_what_was_begun(audit, bar)
        cuts = audit.cuts(moment)
        rows = sum(cut.rows for cut in cuts.values())
        if not rows:
            typer.echo(f"no row is older than {day(moment, settings)}: nothing to archive, and no file was made")
            return
        archived = _write(audit, to, settings, cuts, bar, despite_faults=despite_faults)
        if archived.rows != rows:
            refuse(f"{to}: it holds {archived.rows:,} of {rows:,} rows; nothing was taken out")
        audit.anchor(archived.anchors, rows, to.name, now())
        gone = audit.take_out(lambda done, of: bar("taking out", done, of))
    place = "standard output" if to == STANDARD_OUTPUT else str(to)
    typer.echo(f"archived {rows:,} rows in {place}; {gone:,} were taken out", err=to == STANDARD_OUTPUT)


def _refuse_what_is_not_whole(audit: Archiving, bar: Bar) -> None:
    result = audit.verify(progress=lambda done, of: bar("verifying the audit", done, of))
    if result.count:
        refuse(
            "the audit is not whole: `radiusd2fa audit verify` says what is wrong. Find out why; then --despite-faults "
            "archives it as it is, and `audit verify --archive` goes on saying so"
        )


def _finish_what_was_begun(audit: Archiving, bar: Bar) -> None:
    """Take out what an earlier rotation has archived and was kept from taking out."""
    gone = audit.take_out(lambda done, of: bar("taking out", done, of))
    if gone:
        typer.echo(f"finished an earlier rotation: {gone:,} rows were taken out", err=True)


def _write(
    audit: Archiving, to: Path, settings: Settings, cuts: dict[str, Cut], bar: Bar, *, despite_faults: bool
) -> Archived:
    """Write the archive, and believe only what can be read back from the disk."""
    with closing(audit.archive(cuts, now(), lambda done, of: bar("archiving", done, of))) as texts:
        blocks = (text.encode() for text in texts)
        if to == STANDARD_OUTPUT:
            _write_own_output(blocks)
            return _read_back(audit, _OWN_OUTPUT, despite_faults=despite_faults)
        with new_file(to, settings, "--to") as file:
            for block in blocks:
                file.write(block, else_say="nothing was taken out")
            with _folder(to) as folder:
                os.fsync(folder)
            return _read_back(audit, to, despite_faults=despite_faults)


def _write_own_output(blocks: Iterable[bytes]) -> None:
    """Write to the file that the shell has opened for us: the rows must lie on a disk before they go."""
    status = os.fstat(sys.stdout.fileno())
    if not stat.S_ISREG(status.st_mode) or status.st_size:
        refuse("--to -: standard output must be a new file, as with --to - >FILE; nothing was taken out")
    try:
        for block in blocks:
            sys.stdout.buffer.write(block)
        sys.stdout.buffer.flush()
        os.fsync(sys.stdout.fileno())
    except OSError as error:
        refuse(f"standard output: cannot write to it ({error.strerror}); nothing was taken out")


def _read_back(audit: Archiving, file: Path, *, despite_faults: bool) -> Archived:
    from radiusd2fa.store.archiving import verify_archive

    try:
        with file.open(encoding="utf-8", newline="\n") as lines:
            archived = verify_archive(lines, audit.public_keys())
    except OSError as error:
        refuse(f"{file}: cannot be read back ({error.strerror}); nothing was taken out")
    if archived.findings and not despite_faults:
        refuse(f"{file}: what was read back is not whole ({_first(archived.findings)}); nothing was taken out")
    return archived


def _first(findings: tuple[Finding, ...]) -> str:
    return f"{findings[0].fault}: {findings[0].meaning}"


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
