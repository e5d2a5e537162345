"""`radiusd2fa audit verify`: holds the audit against its own chains, against syslog, or an archive against its anchors.

It says which row is wrong and what that means, and changes nothing. It opens what it is given to read, and never
follows what stands in there. Answers to no RFC.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TextIO

import typer

from radiusd2fa.cli.bars import bars
from radiusd2fa.cli.site import REFUSED, complain, refuse, site_audit, wrong_usage
from radiusd2fa.cli.tables import moment, show_json, show_table

if TYPE_CHECKING:
    from radiusd2fa.cli.audit_collected import Heard
    from radiusd2fa.core.chain_findings import Finding, Witness
    from radiusd2fa.store.archiving import Archiving
    from radiusd2fa.store.auditing import Verified, Walked
    from radiusd2fa.store.checkpoints import PublicKeys

_SHOWN: Final = 20
"""Findings that are printed; JSON has more."""
_STANDARD_INPUT: Final = Path("-")


def verify(
    ctx: typer.Context,
    syslog: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="What a syslog collector has of us; - is standard input.", show_default=False
        ),
    ] = None,
    archive: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Verify this archive, and not the store.", show_default=False),
    ] = None,
    public_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Believe these keys, and not the vault's.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find out whether a row was changed, taken out, put in, moved or cut off. Ends with 1 if one was.

    With --syslog the store is held against what has left it, too: only that shows a database which was taken back as a
    whole. Logins go on meanwhile.
    """
    keys = None if public_key is None else _keys_in(public_key)
    if archive:
        if syslog:
            wrong_usage("--syslog is held against the store, and --archive against its anchors: give one of them")
        _verify_archives(ctx, archive, keys, as_json=as_json)
        return
    heard = {file: _heard(file) for file in syslog or ()}
    with site_audit(ctx.obj) as audit, bars(quiet=as_json) as bar:
        collected = _Collected(keys or audit.public_keys(), heard)
        result = audit.verify(
            keys=keys, collected=collected.good, progress=lambda done, of: bar("verifying the audit", done, of)
        )
    findings = (*collected.findings, *result.findings)
    count = result.count + len(collected.findings)
    if as_json:
        _show_result(result, findings, count, collected)
    else:
        _say_chains(result)
        collected.say()
        _say_findings(findings, count)
    if count or collected.is_useless():
        raise typer.Exit(REFUSED)


class _Collected:
    """What syslog has of us, verified."""

    def __init__(self, keys: PublicKeys, heard: dict[Path, Heard]) -> None:
        from radiusd2fa.core.chain_findings import Fault, Finding, Witness
        from radiusd2fa.store.checkpoints import Verdict

        self.heard = heard
        self.good: list[Witness] = []
        self.findings: list[Finding] = []
        self.foreign = 0
        """Checkpoints of a key that is none of ours: others may send to the same collector."""
        for file, said in heard.items():
            for number, signed in said.checkpoints:
                verdict = keys.judge(signed)
                if verdict is Verdict.GOOD:
                    self.good.append(Witness(signed, f"{file} line {number}"))
                elif verdict is Verdict.UNKNOWN:
                    self.foreign += 1
                else:
                    meaning = f"the checkpoint in {file} line {number} is signed wrongly"
                    self.findings.append(
                        Finding(Fault.BAD_SIGNATURE, signed.chain, meaning, signed.sequence, None, signed.time)
                    )

    def unreadable(self) -> int:
        return sum(len(one.unreadable) for one in self.heard.values())

    def is_useless(self) -> bool:
        """Whether nothing was found where something was promised."""
        return bool(self.heard) and not self.good

    def say(self) -> None:
        """Say what it was good for."""
        if not self.heard:
            return
        names = ", ".join(map(str, self.heard))
        typer.echo(f"checkpoints in {names}: {len(self.good):,}")
        if self.foreign:
            typer.echo(f"checkpoints of other keys, as another site's are: {self.foreign:,}")
        if unreadable := self.unreadable():
            typer.echo(f"lines about a checkpoint that hold none whole: {unreadable:,}")
        if self.is_useless():
            complain(f"{names}: there is no checkpoint of this store in it, so it proves nothing")


def _say_chains(result: Verified) -> None:
    show_table(
        ("chain", "rows", "from", "to", "archived before"),
        [
            (one.name, f"{one.rows:,}", *(_ends(one) if one.rows else ("-", "-")), f"{one.archived:,}")
            for one in result.chains
        ],
        nothing="the audit is empty",
    )
    for one in result.chains:
        if one.unarchived:
            typer.echo(
                f"{one.name}: {one.unarchived:,} rows lie in an archive and are still here; `audit rotate` goes on"
            )
        for before, behind in one.lost:
            typer.echo(
                f"{one.name}: what stood between row {before} and row {behind} was lost when a backup was restored"
            )
    if not result.count:
        typer.echo(f"the audit is whole; checkpoints whose signatures hold: {result.checkpoints:,}")


def _ends(one: Walked) -> tuple[str, str]:
    return str(one.archived + 1), str(one.sequence)


def _say_findings(findings: tuple[Finding, ...], count: int) -> None:
    for one in findings[:_SHOWN]:
        complain(said(one))
    if count > _SHOWN:
        complain(f"and {count - _SHOWN:,} more; --json shows up to {len(findings):,}")


def said(one: Finding) -> str:
    """Say in one line what is wrong, and where."""
    from radiusd2fa.log import visible

    facts = [f"id {one.id}"] if one.id is not None else []
    facts += [moment(one.time)] if one.time is not None else []
    row = "" if one.sequence is None else f" row {one.sequence}"
    where = f"{one.chain or 'audit'}{row}{' (' + ', '.join(facts) + ')' if facts else ''}"
    return visible(f"{where}: {one.fault}: {one.meaning}")


def _show_result(result: Verified, findings: tuple[Finding, ...], count: int, collected: _Collected) -> None:
    document: dict[str, Any] = {
        "whole": not count,
        "chains": [asdict(one) for one in result.chains],
        "checkpoints": result.checkpoints,
        "findings": [asdict(one) for one in findings],
        "count": count,
    }
    if collected.heard:
        document["syslog"] = {
            "checkpoints": len(collected.good),
            "foreign": collected.foreign,
            "unreadable": collected.unreadable(),
        }
    show_json(document)


# --- archives ---------------------------------------------------------------------------------------------------------


def _verify_archives(ctx: typer.Context, files: list[Path], keys: PublicKeys | None, *, as_json: bool) -> None:
    """Verify each by itself, and against the anchors of the store; with keys of one's own no store is needed."""
    if keys is not None:
        _say_archives(files, keys, None, as_json=as_json)
        return
    with site_audit(ctx.obj) as audit:
        _say_archives(files, audit.public_keys(), audit, as_json=as_json)


def _say_archives(files: list[Path], keys: PublicKeys, audit: Archiving | None, *, as_json: bool) -> None:
    from radiusd2fa.store.archiving import verify_archive

    findings = []
    said_of = []
    for file in files:
        with _reading(file) as lines:
            result = verify_archive(lines, keys)
        wrong = [*result.findings, *(audit.unarchived(result.anchors) if audit is not None else ())]
        findings += wrong
        ends = {one.chain: one.sequence for one in result.anchors}
        said_of.append({"file": str(file), "whole": not wrong, "rows": result.rows, "ends": ends})
        if not as_json:
            _say_findings(tuple(wrong), len(wrong))
            if not wrong:
                ending = ", ".join(f"{chain} to row {sequence}" for chain, sequence in ends.items())
                typer.echo(f"{file}: whole; {result.rows:,} rows: {ending}")
    if as_json:
        show_json({"archives": said_of, "findings": [asdict(one) for one in findings]})
    if findings:
        raise typer.Exit(REFUSED)


# --- files ------------------------------------------------------------------------------------------------------------


def _keys_in(file: Path) -> PublicKeys:
    from radiusd2fa.store.checkpoints import PublicKeys, read_pem

    try:
        return PublicKeys(read_pem(file.read_bytes()))
    except OSError as error:
        refuse(f"{file}: cannot be read ({error.strerror})")
    except ValueError as error:
        refuse(f"{file}: {error}; `radiusd2fa audit key` prints the one that is meant")


def _heard(file: Path) -> Heard:
    from radiusd2fa.cli.audit_collected import checkpoints_in

    with _reading(file) as lines:
        return checkpoints_in(lines)


@contextmanager
def _reading(file: Path) -> Iterator[TextIO]:
    """Open a text, which may hold any octets: what is no UTF-8 is no line of ours."""
    if file == _STANDARD_INPUT:
        yield sys.stdin
        return
    try:
        with file.open(encoding="utf-8", errors="replace", newline="\n") as lines:
            yield lines
    except OSError as error:
        refuse(f"{file}: cannot be read ({error.strerror})")
