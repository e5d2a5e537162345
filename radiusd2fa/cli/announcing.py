"""Tells syslog what an administrator has changed, once it is committed, as the daemon tells it of each decision.

It never makes a command wait for longer than a second in all, never makes one fail, and never sends twice. What could
not be sent is said in one line; the audit has it all. The form is that of RFC 5424.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from radiusd2fa.core.chain import Checkpoint
    from radiusd2fa.core.model import Event
    from radiusd2fa.log import Note
    from radiusd2fa.settings import SyslogSettings
    from radiusd2fa.syslog import Sender

PATIENCE: Final = 1.0
"""Seconds that a command waits at its end for a receiver that is slow to take its messages."""
_GLANCE: Final = 0.02
"""Seconds between two looks at what wakes nobody: the resolver."""


@contextmanager
def announced(syslog: SyslogSettings | None) -> Iterator[Callable[[Event | Checkpoint], object]]:
    """Give what takes each committed change, and what signs it; when the command ends, they have been sent."""
    from radiusd2fa.core.model import Event

    committed: list[Event] = []
    signed: list[Checkpoint] = []

    def take(told: Event | Checkpoint) -> None:
        if isinstance(told, Event):
            committed.append(told)
        else:
            signed.append(told)

    try:
        yield take if syslog is not None else _nobody_listens
    finally:
        if syslog is not None and (committed or signed) and not _is_nowhere(syslog, committed):
            _announce(committed, signed, syslog)


def _is_nowhere(syslog: SyslogSettings, committed: list[Event]) -> bool:
    """Whether this host just has no syslog, as a container has none; who must hear of an emergency is told so."""
    from radiusd2fa.log import Level, level_of
    from radiusd2fa.settings import SyslogSettings

    if syslog.scheme != "unix" or syslog.path != SyslogSettings().path or Path(syslog.path).exists():
        return False
    return all(level_of(one) is not Level.CRITICAL for one in committed)


def _nobody_listens(_: Event | Checkpoint) -> None:
    """``syslog: off``."""


def _announce(committed: list[Event], signed: list[Checkpoint], syslog: SyslogSettings) -> None:
    from radiusd2fa.syslog import Sender

    sender = Sender(syslog, limit=len(committed) + len(signed))
    try:
        for change in committed:
            sender.offer(change)
        for one in signed:
            sender.offer(_as_note(one))
        trouble = _bring_out(sender, time.monotonic() + PATIENCE)
    except Exception as error:  # noqa: BLE001 - the change is made: whatever this is, it must not look as if it were not
        trouble = type(error).__name__
    finally:
        sender.close()
    lost = len(committed) - sender.sent
    if lost > 0:  # a checkpoint that is lost does not matter: the next one says as much
        _warn(f"syslog has not been told of {lost} of {len(committed)} changes ({trouble}); the audit has all")


def _as_note(signed: Checkpoint) -> Note:
    from radiusd2fa.log import Level, Note

    return Note(signed.time, Level.INFO, "audit.checkpoint", signed.fields())


def _bring_out(sender: Sender, deadline: float) -> str:
    """Send what leaves in time; return what kept the rest."""
    while sender.busy(now := time.monotonic()) and now < deadline:
        sender.step(now)
        if sender.busy(now):
            _wait(sender, min(deadline, now + _GLANCE if sender.interest() is None else deadline) - now)
    return next(
        (f"{news['receiver']}: {_why(news['error'])}" for _, _, news in sender.news if "error" in news), "too slow"
    )


def _wait(sender: Sender, seconds: float) -> None:
    wakers = select.poll()
    if (interest := sender.interest()) is not None:
        wakers.register(*interest)
    wakers.poll(max(1, int(seconds * 1000)))


def _why(error: object) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__


def _warn(text: str) -> None:
    typer.secho("warning: ", fg=typer.colors.YELLOW, err=True, nl=False)
    typer.echo(text, err=True)
