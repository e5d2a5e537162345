"""`radiusd2fa token import`: a delivery of tokens, from a vendor's seed file or another system's export.

All of a file comes in, or nothing of it. It never shows a seed, and takes no key or password from the arguments.
Answers to no RFC: the formats in radiusd2fa/imports say which they follow.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from radiusd2fa.cli.bars import bars
from radiusd2fa.cli.import_report import Outcome, full_report, show, summary
from radiusd2fa.cli.new_file import STANDARD_OUTPUT, Output, new_file
from radiusd2fa.cli.seed_file import STANDARD_INPUT, SeedFile, key_from_file, opened, parsed_key, password_of
from radiusd2fa.cli.seed_reading import Contents, contents_of
from radiusd2fa.cli.site import canonical_name, now, read_secret, refuse, site_registry, site_settings, wrong_usage

if TYPE_CHECKING:
    from radiusd2fa.imports.seeds import How, Seed
    from radiusd2fa.settings import Settings
    from radiusd2fa.store.deliveries import TakenIn

MOST_OF_ONE_PERSON: Final = 10
"""Tokens that --user gives to one person: more are a delivery, not somebody's."""
_LONGEST_TEXT: Final = 100


class Kind(StrEnum):
    """What makes the code move."""

    HOTP = "hotp"
    TOTP = "totp"


def import_tokens(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The seed file; - for standard input.", show_default=False)
    ],
    format_name: Annotated[
        str, typer.Option("--format", metavar="NAME", help="What it is, if not recognised.")
    ] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing, only say what would come in.")] = False,
    skip_known: Annotated[
        bool,
        typer.Option("--skip-known", help="Pass over tokens that are here already; a higher counter is taken over."),
    ] = False,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="What the columns of a list are, e.g. serial,-,secret; - skips one.",
            show_default=False,
        ),
    ] = None,
    kind: Annotated[Kind | None, typer.Option(help="Where the file does not say.", show_default=False)] = None,
    digits: Annotated[
        int | None,
        typer.Option(
            min=6, max=8, metavar="N", help="Length of a code, where the file does not say.", show_default=False
        ),
    ] = None,
    step: Annotated[
        int | None,
        typer.Option(
            min=15, max=120, metavar="S", help="totp: seconds that a code is shown, likewise.", show_default=False
        ),
    ] = None,
    algorithm: Annotated[
        str | None, typer.Option(metavar="A", help="sha1, sha256 or sha512, likewise.", show_default=False)
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Give all to this person: for a file of one person's.", show_default=False),
    ] = None,
    unassigned: Annotated[
        bool, typer.Option("--unassigned", help="Put all into the stock, whomever the file names.")
    ] = False,
    batch: Annotated[str, typer.Option(metavar="NAME", help="What to call this delivery.", show_default=False)] = "",
    box: Annotated[str, typer.Option(metavar="NAME", help="Where the tokens lie.", show_default=False)] = "",
    delivered: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="When they came, e.g. 2026-03-01: their batteries age.", show_default=False),
    ] = None,
    model: Annotated[
        str, typer.Option(metavar="TEXT", help="Maker and model, where the file does not say.", show_default=False)
    ] = "",
    key_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The key of an encrypted file: hex, base64 or octets.", show_default=False),
    ] = None,
    key_stdin: Annotated[
        bool, typer.Option("--key-stdin", help="That key, hex or base64, is the first line of standard input.")
    ] = False,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="The file's password is the first line of standard input.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write all of the report into a new file; - for standard output.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of the report as JSON.")] = False,
) -> None:
    """Take in a delivery of tokens: all of a file, or nothing of it.

    Reads PSKC, OATH CSV, Yubico's logs, lists for Entra, of Token2 and Deepnet, SafeNet's and Aladdin's files, lists of
    your own, and what privacyIDEA, LinOTP, multiOTP, pam_oath, google-authenticator and FreeRADIUS keep. Tokens go into
    the stock; one that the file gives to a person who is known here becomes theirs, with its counter. Where it is
    refused, mend the file and give the command again. Logins go on meanwhile.
    """
    from radiusd2fa.log import visible

    moment = now()
    if user is not None and unassigned:
        wrong_usage("--user and --unassigned exclude each other")
    aside = report == STANDARD_OUTPUT
    if aside and as_json:
        wrong_usage("--report - and --json exclude each other: standard output takes one thing")
    owner = None if user is None else canonical_name(user)
    batch, box, model = _text(batch, "--batch"), _text(box, "--box"), _text(model, "--model")
    arrived = _date(delivered, moment)
    settings = site_settings(ctx.obj)
    with site_registry(ctx.obj) as registry:
        how = replace(
            _opening(file, key_file, moment, key_stdin=key_stdin, password_stdin=password_stdin),
            user=owner,
            columns=() if columns is None else tuple(name.strip() for name in columns.split(",")),
            kind=None if kind is None else kind.value,
            digits=digits,
            algorithm=_algorithm(algorithm),
            step=step,
        )
        with opened(file) as source, _report_file(report, settings) as output:
            _warn_of_readers(file, source)
            contents = contents_of(source, format_name, how, quiet=as_json)
            seeds = [_theirs(seed, model) for seed in contents.seeds]
            if owner is not None:
                seeds = _of_one_person(seeds, owner, source.name)
            elif unassigned:
                seeds = [replace(seed, user=None) for seed in seeds]
            with bars(quiet=as_json) as bar:
                done = registry.take_in(
                    seeds,
                    moment,
                    source=source.name,
                    batch=batch,
                    box=box,
                    delivered=arrived,
                    skip_known=skip_known,
                    dry_run=dry_run or bool(contents.faults),
                    progress=bar,
                )
            outcome = _outcome(source, contents, seeds, done, dry_run=dry_run)
            if output is not None:
                lines = "".join(f"{line}\n" for line in full_report(outcome))
                output.write(lines.encode(errors="backslashreplace"), else_say=summary(outcome))
        show(outcome, as_json=as_json, faults_alone=aside)
        if outcome.faults:
            refuse(summary(outcome))
        if not seeds:
            refuse(f"{source.name}: there is no token in it that could be taken in")
        if not as_json:
            typer.echo(summary(outcome), err=aside)
        if not as_json and not dry_run and file != STANDARD_INPUT:
            hint = f"delete the seeds now that they are here: shred -u {shlex.quote(str(file))}"
            typer.echo(visible(hint), err=aside)


def _opening(file: Path, key_file: Path | None, moment: float, *, key_stdin: bool, password_stdin: bool) -> How:
    """Take what opens the file from where it was given."""
    from radiusd2fa.imports.seeds import How

    if sum((key_file is not None, key_stdin, password_stdin)) > 1:
        wrong_usage("--key-file, --key-stdin and --password-stdin exclude each other: a file has one key")
    if file == STANDARD_INPUT and (key_stdin or password_stdin):
        wrong_usage("the file and its key cannot both come over standard input; give the key with --key-file")
    if key_file is not None:
        return How(moment, key=key_from_file(key_file))
    if key_stdin:
        typed = read_secret("Key", from_stdin=True, option="--key-stdin")
        return How(moment, key=parsed_key(typed, "standard input"))
    if password_stdin:
        typed = read_secret("Password", from_stdin=True, option="--password-stdin")
        return How(moment, password=password_of(typed))
    return How(moment)


def _theirs(seed: Seed, model: str) -> Seed:
    """Spell a person as the store does, and say the model where the file says none."""
    from radiusd2fa.core.names import canonical

    user = seed.user
    if user is not None:
        user = canonical(user.encode("utf-8", errors="surrogateescape")) or user  # what is no name, the store refuses
    if user == seed.user and (seed.model or not model):
        return seed
    return replace(seed, user=user, model=seed.model or model)


def _of_one_person(seeds: Sequence[Seed], owner: str, name: str) -> list[Seed]:
    others = {seed.user for seed in seeds if seed.user is not None}
    if len(others) > 1:
        refuse(f"{name} has tokens of {len(others)} people; --user is for a file of one person's")
    if len(seeds) > MOST_OF_ONE_PERSON:
        refuse(
            f"{name} has {len(seeds)} tokens; nobody carries so many: take them in without --user, and hand them out "
            "with `radiusd2fa token assign`"
        )
    return [replace(seed, user=owner) for seed in seeds]


def _algorithm(said: str | None) -> str | None:
    from radiusd2fa.factors.hotp import ALGORITHMS

    name = None if said is None else said.lower().replace("-", "")
    if name is not None and name not in ALGORITHMS:
        wrong_usage(f"--algorithm {said}: choose {', '.join(ALGORITHMS)}")
    return name


def _text(said: str, option: str) -> str:
    if len(said) > _LONGEST_TEXT or not said.isprintable():
        wrong_usage(f"{option} is a few words in one line, of at most {_LONGEST_TEXT} characters")
    return said.strip()


def _date(said: str | None, moment: float) -> float | None:
    from radiusd2fa.imports import dates

    if said is None:
        return None
    found = dates.seconds(said)
    if found is None:
        wrong_usage(f"--delivered {said}: write the day as 2026-03-01")
    if found > moment:
        wrong_usage(f"--delivered {said}: that day is still to come")
    return found


def _outcome(source: SeedFile, contents: Contents, seeds: Sequence[Seed], done: TakenIn, *, dry_run: bool) -> Outcome:
    faults = sorted((*contents.faults, *done.faults), key=lambda flaw: flaw.line)
    return Outcome(
        file=source.name,
        format=contents.format,
        seeds=seeds,
        left_out=contents.left_out,
        faults=faults,
        known=done.known,
        raised=done.raised,
        taken=0 if faults else done.taken,
        dry_run=dry_run,
    )


@contextmanager
def _report_file(path: Path | None, settings: Settings) -> Iterator[Output | None]:
    """Make the file for the report, if there shall be one."""
    if path is None:
        yield None
        return
    with new_file(path, settings, "--report") as output:
        yield output


def _warn_of_readers(file: Path, source: SeedFile) -> None:
    from radiusd2fa.log import visible

    if source.open_to_others:
        typer.secho("warning: ", fg=typer.colors.YELLOW, err=True, nl=False)
        where = visible(shlex.quote(str(file)))
        typer.echo(
            f"others can read {where}, and with the seeds they have the tokens; run: chmod 600 {where}", err=True
        )
