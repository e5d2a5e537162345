"""The host's PAM checks the password, in a few threads of its own, where a module may take its time.

A module that never comes back costs one of these threads and nobody else's time; nothing here waits for it, not even
the end. It reads no shadow file and holds no session: what PAM answers is the answer.
pam(7), getpwnam(3); the numbers are those of radiusd2fa.libpam.
"""

from __future__ import annotations

import asyncio
import grp
import pwd
from collections import deque
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Final

from radiusd2fa.core.model import Account, PrimaryAnswer, Reason, User, Verdict
from radiusd2fa.core.names import MAX_OCTETS, canonical_group, split_realm
from radiusd2fa.core.record import record
from radiusd2fa.libpam import LibPam, Outcome, Status, group_ids
from radiusd2fa.primary import Done, Question, Say
from radiusd2fa.radius.attributes import Attribute, text
from radiusd2fa.radius.packet import MAX_PASSWORD
from radiusd2fa.settings import PamSettings

SAY_AGAIN: Final = 60.0
"""Seconds between two log lines about the same trouble."""

_UNAVAILABLE: Final = PrimaryAnswer(Verdict.UNAVAILABLE)
_REFUSED: Final = PrimaryAnswer(Verdict.REFUSED)
_EMPTY: Final = PrimaryAnswer(Verdict.REFUSED, reason=Reason.EMPTY_PASSWORD)
_BAD_NAME: Final = PrimaryAnswer(Verdict.REFUSED, reason=Reason.BAD_NAME)
_UNKNOWN: Final = PrimaryAnswer(Verdict.REFUSED, reason=Reason.ACCOUNT_UNKNOWN)
_EXPIRED: Final = PrimaryAnswer(Verdict.REFUSED, reason=Reason.PASSWORD_EXPIRED)

_REFUSALS: Final = {
    Status.OTHER_USER.value: _REFUSED,
    Status.AUTH_ERR.value: _REFUSED,
    Status.MAXTRIES.value: _REFUSED,
    Status.PERM_DENIED.value: _REFUSED,
    Status.USER_UNKNOWN.value: _UNKNOWN,
    Status.ACCT_EXPIRED.value: PrimaryAnswer(Verdict.REFUSED, reason=Reason.ACCOUNT_EXPIRED),
    Status.NEW_AUTHTOK_REQD.value: _EXPIRED,
    Status.AUTHTOK_EXPIRED.value: _EXPIRED,
    Status.CRED_EXPIRED.value: _EXPIRED,
}
"""What a no looks like. Every other number but success is trouble, and no answer about anybody."""


@record
class _Said:
    """What came of one conversation: the answer, and what the log should know."""

    answer: PrimaryAnswer
    trouble: str = ""


class _Call:
    """One question on its way through a thread."""

    def __init__(self, name: str, question: Question, done: Done) -> None:
        self.name = name
        self.password = question.password
        self.user = question.user
        self.rhost = _rhost(question)
        self.done = done
        self.timer: asyncio.TimerHandle
        self.overdue = False
        """Whether it was answered already, because PAM had not come back in time."""


def _rhost(question: Question) -> bytes:
    """Where the person sits, if the NAS says it in printable characters."""
    stations = [value for kind, value in question.attributes if kind == Attribute.CALLING_STATION_ID]
    return stations[0] if stations and text(stations[0]) is not None else b""


def _account(name: str) -> Account | None:
    """Who the host says that is; None when it knows nobody of that name, as with accounts that only PAM knows."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return None
    groups = []
    for number in group_ids(name.encode(), found.pw_gid):
        with suppress(KeyError):  # a number without a name
            group = canonical_group(grp.getgrgid(number).gr_name)
            if group is not None:
                groups.append(group)
    return Account(f"uid:{found.pw_uid}", tuple(groups))


class PamPasswords:
    """Hands questions to threads. Everything but ``_work``, and what it calls, runs on the event loop's thread."""

    def __init__(self, settings: PamSettings, say: Say) -> None:
        """OSError: this host's libpam is missing or too old."""
        self._pam = LibPam(settings.service, settings.folder)
        self._settings = settings
        self._say = say
        self._said: dict[str, float] = {}
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Call] = deque()
        self._running: set[_Call] = set()
        self._handed_out: SimpleQueue[_Call | None] = SimpleQueue()
        self._closed = False
        for number in range(settings.calls):
            # daemon threads: the process may end while a module hangs
            Thread(target=self._work, name=f"{settings.name}-{number}", daemon=True).start()

    def verify(self, question: Question, done: Done) -> None:
        """Queue one conversation; with no room, or no thread that PAM has given back, the answer is UNAVAILABLE."""
        name = split_realm(question.name)[0] if self._settings.strip_realm else question.name
        password = question.password
        if self._closed or self._all_stuck():
            done(_UNAVAILABLE)
        elif not name or name != name.strip() or "\0" in name or len(name.encode()) > MAX_OCTETS:
            done(_BAD_NAME)
        elif password is not None and not password:
            done(_EMPTY)
        elif password is not None and (len(password) > MAX_PASSWORD or b"\0" in password):
            done(_REFUSED)  # a C string would end before the password does
        elif len(self._running) == self._settings.calls and len(self._waiting) >= self._settings.queue:
            self._tell("error", f"{self._settings.queue} logins wait for PAM: no more until some are answered")
            done(_UNAVAILABLE)
        else:
            call = _Call(name, question, done)
            call.timer = self._loop.call_later(self._settings.timeout, self._run_out, call)
            self._waiting.append(call)
            self._hand_out()

    def close(self) -> None:
        """Answer who waits UNAVAILABLE, and let the threads end as PAM gives them back."""
        if self._closed:
            return
        self._closed = True
        for _ in range(self._settings.calls):
            self._handed_out.put(None)
        for call in (*self._waiting, *self._running):
            if not call.overdue:
                self._give_up(call)
        self._waiting.clear()

    def _all_stuck(self) -> bool:
        return sum(call.overdue for call in self._running) == self._settings.calls

    def _hand_out(self) -> None:
        while self._waiting and len(self._running) < self._settings.calls:
            call = self._waiting.popleft()
            self._running.add(call)
            self._handed_out.put(call)

    def _run_out(self, call: _Call) -> None:
        """Time is up for a call, which waits for a thread or has one that PAM has not given back."""
        if call in self._running:
            self._tell("warning", f"PAM has not answered within {self._settings.timeout:g} s")
        else:
            self._waiting.remove(call)
        self._give_up(call)
        if self._all_stuck():
            self._tell("error", f"PAM gives none of {self._settings.calls} conversations back: nobody can log in here")
            while self._waiting:
                self._give_up(self._waiting.popleft())

    def _give_up(self, call: _Call) -> None:
        call.timer.cancel()
        call.overdue = True
        call.done(_UNAVAILABLE)

    def _returned(self, call: _Call, said: _Said) -> None:
        """A thread is free again."""
        if self._closed:
            return
        if self._all_stuck():
            self._tell("info", "PAM gives conversations back again")
        self._running.discard(call)
        self._hand_out()
        if said.trouble:
            self._tell("warning", said.trouble)
        if not call.overdue:
            call.timer.cancel()
            call.done(said.answer)

    def _tell(self, level: str, sentence: str) -> None:
        now = self._loop.time()
        if now >= self._said.get(sentence, now):
            self._said[sentence] = now + SAY_AGAIN
            self._say(level, f"{self._settings.name}: service {self._settings.service}: {sentence}")

    def _work(self) -> None:
        """Hold one conversation after the other, in a thread of its own."""
        while (call := self._handed_out.get()) is not None:
            try:
                said = self._ask(call)
            except Exception as error:  # noqa: BLE001 - fail closed: a bug answers nothing
                said = _Said(_UNAVAILABLE, f"{type(error).__name__} in a conversation")
            call.password = None
            try:
                self._loop.call_soon_threadsafe(self._returned, call, said)
            except RuntimeError:  # the loop is closed: the daemon has ended
                return

    def _ask(self, call: _Call) -> _Said:
        if not self._pam.has_service():
            return _Said(_UNAVAILABLE, "PAM has no file for this service")
        if call.password is None and _account(call.name) is None:
            return _Said(_UNKNOWN)
        outcome = self._pam.check(call.name.encode(), call.password, call.rhost)
        if outcome.status in _REFUSALS:
            return _Said(_REFUSALS[outcome.status], _trouble(outcome))
        if outcome.status != Status.SUCCESS:
            return _Said(_UNAVAILABLE, _trouble(outcome) or f"PAM answers {outcome.words!r} ({outcome.status})")
        account = _account(call.name)
        if account is None and self._was_known(call.user):
            return _Said(_UNAVAILABLE, "the host does not know somebody now whom it has known before")
        return _Said(PrimaryAnswer(Verdict.PASSED, account=account or Account()))

    def _was_known(self, user: User | None) -> bool:
        """Whether tokens are bound to who this host says that is, so that not to know is no answer."""
        return user is not None and user.source == self._settings.name and user.directory_id is not None


def _trouble(outcome: Outcome) -> str:
    """What is wrong with the service, when a refusal is not about the person."""
    if outcome.asked_for_more:
        return "a module asks for more than one password, which nobody can answer"
    if outcome.status == Status.OTHER_USER:
        return "a module has put another user in the place of the one who was asked about"
    return ""


def open_backend(settings: PamSettings, say: Say) -> PamPasswords:
    """Return the backend with its own threads; OSError when this host's libpam is missing or too old."""
    return PamPasswords(settings, say)
