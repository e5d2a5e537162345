"""`radiusd2fa token label`, `validity` and `counter`: what is written down of a token, its time, and its place.

A counter is raised here and never lowered, whoever asks. Each change is audited, a row for each token. Answers to no
RFC; RFC 4226 7.2 is why counters only grow.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Annotated, Final

import typer

from radiusd2fa.cli.custody import Why
from radiusd2fa.cli.site import now, reason, refuse, site_registry, site_settings, wrong_usage
from radiusd2fa.cli.token_lists import Serial
from radiusd2fa.cli.when import end_of_day, start_of_day

if TYPE_CHECKING:
    from radiusd2fa.settings import Settings

LONGEST_TEXT: Final = 64

Label = Annotated[
    str | None, typer.Option(metavar="TEXT", help="What people call it; empty takes it away.", show_default=False)
]
Model = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="Its model, as hardware/devices.yaml calls it.", show_default=False),
]
Batch = Annotated[str | None, typer.Option(metavar="TEXT", help="With which delivery it came.", show_default=False)]
Box = Annotated[str | None, typer.Option(metavar="TEXT", help="Where it lies.", show_default=False)]
Delivered = Annotated[str | None, typer.Option(metavar="DATE", help="When it came, as 2027-01-31.", show_default=False)]


def label(
    ctx: typer.Context,
    serials: Annotated[
        list[str] | None, typer.Argument(metavar="[SERIAL]...", help="The tokens' serial numbers.", show_default=False)
    ] = None,
    label_: Annotated[
        str | None, typer.Option("--label", metavar="TEXT", help="What people call it.", show_default=False)
    ] = None,
    model: Model = None,
    batch: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="With which delivery they came; without any SERIAL: which batch is meant.",
            show_default=False,
        ),
    ] = None,
    box: Box = None,
    delivered: Delivered = None,
) -> None:
    """Write down what people call a token, its model, batch and box, and when it came. An empty text takes it away."""
    from radiusd2fa.store.selecting import Selection

    settings = site_settings(ctx.obj)
    texts = {"label": label_, "model": model, "batch": batch if serials else None, "box": box}
    changes = papers_of(texts, delivered, settings)
    if not (serials or batch):
        wrong_usage("say which tokens: SERIAL..., or --batch NAME for all of a batch")
    if not changes:
        wrong_usage("say what to write down: --label, --model, --batch, --box or --delivered")
    with site_registry(ctx.obj) as registry:
        meant = serials or [one.serial for one in registry.selected(Selection(now=now(), batch=batch))]
        if not meant:
            refuse(f"there is no token of batch {batch}; `radiusd2fa token list` shows the batches")
        registry.describe(list(dict.fromkeys(meant)), changes, now())
    typer.echo(f"wrote it down for {len(meant)} tokens" if len(meant) > 1 else f"wrote it down for {meant[0]}")


def papers_of(texts: dict[str, str | None], delivered: str | None, settings: Settings) -> dict[str, str | float | None]:
    """Return what somebody has said to write down, and nothing that they have not; or end the command."""
    papers: dict[str, str | float | None] = {name: text for name, text in texts.items() if text is not None}
    for name, text in papers.items():
        if len(str(text)) > LONGEST_TEXT or not str(text).isprintable():
            wrong_usage(f"--{name} has at most {LONGEST_TEXT} printable characters")
    if delivered is not None:
        papers["delivered"] = start_of_day(delivered, "--delivered", settings) if delivered else None
    return papers


def validity(
    ctx: typer.Context,
    serial: Serial,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="The first day, as 2027-01-31.", show_default=False)
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="The last day, or never.", show_default=False)
    ] = None,
    why: Why = None,
) -> None:
    """Say from when until when a token may log anybody in."""
    settings = site_settings(ctx.obj)
    begins = None if from_ is None else start_of_day(from_, "--from", settings)
    ends = None if until is None else inf if until == "never" else end_of_day(until, "--until", settings)
    if begins is None and ends is None:
        wrong_usage("say --from DATE, or --until DATE, or --until never")
    said = reason(settings, why, f"change the validity of {serial}")
    with site_registry(ctx.obj) as registry:
        registry.set_validity(serial, now(), begins=begins, ends=ends, reason=said)
    typer.echo(f"{serial} is valid" + (f" from {from_}" if from_ else "") + _in_words(until))


def _in_words(until: str | None) -> str:
    if until is None:
        return ""
    return " without end" if until == "never" else f" until {until}, that day included"


def counter(
    ctx: typer.Context,
    serial: Serial,
    to: Annotated[
        int, typer.Option(min=0, max=2**62, metavar="N", help="The next counter that counts.", show_default=False)
    ],
    why: Why = None,
) -> None:
    """Raise the counter of an HOTP token, as when another system has used it meanwhile. It is never lowered."""
    said = reason(site_settings(ctx.obj), why, f"set the counter of {serial}")
    with site_registry(ctx.obj) as registry:
        registry.raise_counter(serial, to, now(), said)
    typer.echo(f"{serial} goes on at {to}")
