"""Asking security keys to sign or to register: the one that can answer is asked for its touch, the others are let go.

One thread talks to one key and never two to the same; every request ends by its answer, its time limit or its cancel,
however silent a key is. Nothing here decides whether an answer is good: the server does (WebAuthn 7.1, 7.2).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import Final

from radiusd2fa.keys.model import (
    ALGORITHMS,
    Answer,
    Failed,
    FailureReason,
    FoundKey,
    Person,
    Ready,
    Registered,
    RegisterRequest,
    Request,
    Signed,
    SignRequest,
)

__all__ = [
    "ALGORITHMS",
    "Answer",
    "Failed",
    "FailureReason",
    "FoundKey",
    "Person",
    "RegisterRequest",
    "Registered",
    "Request",
    "SignRequest",
    "Signed",
    "ask",
]

_TICK: Final = 0.05
"""Seconds in which a cancel is noticed."""
_PARTING: Final = 1.0
"""Seconds that all keys together get to end. A thread that sits in a reader's driver any longer ends with its call."""
_MOST_TELLING: Final = (
    FailureReason.PIN_BLOCKED,
    FailureReason.PIN_WRONG,
    FailureReason.PIN_NEEDED,
    FailureReason.TIMED_OUT,
    FailureReason.VERIFICATION_IMPOSSIBLE,
    FailureReason.ALREADY_REGISTERED,
    FailureReason.NOT_PERMITTED,
    FailureReason.UNPLUGGED,
    FailureReason.BROKEN,
    FailureReason.CANCELLED,
    FailureReason.NO_CREDENTIAL,
    FailureReason.NO_KEY,
)
"""Of several failures, the one that its person can do most about."""


@dataclass(slots=True, eq=False)
class Asked:
    """One of the keys that are asked, seen from the referee's side and from its worker's."""

    key: FoundKey
    ended: Event = field(default_factory=Event)
    """Its conversation is over: nothing may be prompted any more."""
    chosen: Event = field(default_factory=Event)
    """It is to go on after its first look, or it is over."""
    has_rivals: bool = False

    def let_go(self) -> None:
        """End its conversation, whatever it is doing."""
        self.ended.set()
        self.chosen.set()


@dataclass(slots=True, eq=False)
class Table:
    """Where the workers put what their keys say, and take the person's ear in turn."""

    person: Person
    asked: list[Asked]
    reports: SimpleQueue[tuple[Asked, Ready | Answer]] = field(default_factory=SimpleQueue)
    winner: Asked | None = None
    fault: BaseException | None = None
    """What the person raised."""
    ear: Lock = field(default_factory=Lock)
    _claim: Lock = field(default_factory=Lock)

    def claim(self, claimant: Asked) -> bool:
        """Let all other keys go, if this one was touched first."""
        with self._claim:
            if self.winner is None and not claimant.ended.is_set():
                self.winner = claimant
                for rival in self.asked:
                    if rival is not claimant:
                        rival.let_go()
            return self.winner is claimant


def ask(keys: Sequence[FoundKey], request: Request, person: Person, *, timeout: float, cancel: Event) -> Answer:
    """Return the first answer that a key gives. `timeout` is in seconds; any thread may set `cancel`.

    What `person` raises is raised here. A `person.pin` that does not return keeps its thread, but does not keep us.
    """
    if not keys:
        return Failed(FailureReason.NO_KEY, "No security key was found: plug one in, or hold one to the reader.")
    from radiusd2fa.keys.working import work  # it takes 0.1 s to load python-fido2

    deadline = time.monotonic() + timeout
    table = Table(person, [Asked(key) for key in dict.fromkeys(keys)])
    threads = [
        Thread(target=work, args=(asked, request, table), name=f"key {asked.key.path}", daemon=True)
        for asked in table.asked
    ]
    try:
        for thread in threads:
            thread.start()
        answer = _refereed(table, deadline, cancel)
    finally:
        for asked in table.asked:
            asked.let_go()
        _part(threads)
    if table.fault is not None:
        raise table.fault
    return answer


def _refereed(table: Table, deadline: float, cancel: Event) -> Answer:
    ready: dict[Asked, Ready] = {}
    failures: list[Failed] = []
    awaited = set(table.asked)
    while awaited:
        report = _next_report(table, deadline, cancel)
        if isinstance(report, Failed):
            return report
        asked, said = report
        awaited.discard(asked)
        match said:
            case Ready():
                ready[asked] = said
            case Failed() if asked is not table.winner:
                failures.append(said)
            case _:
                return said
        if not awaited:
            awaited = _chosen(ready)
            ready = {}
    return min(failures, key=lambda failure: _MOST_TELLING.index(failure.reason))


def _next_report(table: Table, deadline: float, cancel: Event) -> tuple[Asked, Ready | Answer] | Failed:
    while not cancel.is_set():
        left = deadline - time.monotonic()
        if left <= 0:
            return Failed(FailureReason.TIMED_OUT, "No security key answered in time.")
        try:
            return table.reports.get(timeout=min(_TICK, left))
        except Empty:
            continue
    return Failed(FailureReason.CANCELLED, "The request was cancelled.")


def _chosen(ready: dict[Asked, Ready]) -> set[Asked]:
    """Tell the keys that hold a credential to go on, or where none is sure of it, those that may; let the others go."""
    chosen = {asked for asked, said in ready.items() if said.sure} or set(ready)
    for asked in ready:
        if asked in chosen:
            asked.has_rivals = len(chosen) > 1
            asked.chosen.set()
        else:
            asked.let_go()
    return chosen


def _part(threads: Iterable[Thread]) -> None:
    limit = time.monotonic() + _PARTING
    for thread in threads:
        if thread.ident is not None:
            thread.join(max(0.0, limit - time.monotonic()))
