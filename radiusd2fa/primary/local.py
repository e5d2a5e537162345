"""Passwords of our own: argon2id hashes in the users table (RFC 9106).

A bounded pool of threads computes them and a bounded queue is fair, so that a flood of guesses costs memory for a few
hashes and keeps nobody else waiting; somebody unknown costs as much as somebody known. It never sees a code and
never writes the store: a hash that should be renewed is handed back.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from threading import Lock

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from radiusd2fa.core.model import PrimaryAnswer, Reason, User, Verdict
from radiusd2fa.core.record import record
from radiusd2fa.fair_queue import FairQueue
from radiusd2fa.primary import Done, Question, Say
from radiusd2fa.settings import LocalSettings

_REFUSED = PrimaryAnswer(Verdict.REFUSED)
_UNAVAILABLE = PrimaryAnswer(Verdict.UNAVAILABLE)
_KNOWN = PrimaryAnswer(Verdict.PASSED)
_UNKNOWN = PrimaryAnswer(Verdict.REFUSED, reason=Reason.ACCOUNT_UNKNOWN)


def hasher(settings: LocalSettings) -> PasswordHasher:
    """Return the hasher for today's parameters; the command line uses it to set passwords."""
    return PasswordHasher(time_cost=settings.passes, memory_cost=settings.memory_kib, parallelism=1)


@record
class _Asked:
    """One question, and who waits for the answer."""

    question: Question
    done: Done


class LocalPasswords:
    """Checks passwords against the hash that came with the user; a few at a time, the others wait in a fair queue."""

    def __init__(
        self, settings: LocalSettings, clock: Callable[[], float] = time.monotonic, pool: Executor | None = None
    ) -> None:
        """``clock`` is the loop's; ``pool`` computes, with room for as many hashes at a time as the settings say."""
        self._hasher = hasher(settings)
        self._nobodys_hash = self._hasher.hash(secrets.token_bytes(16))
        self._pool = pool or ThreadPoolExecutor(settings.workers, thread_name_prefix="argon2")
        self._clock = clock
        self._idle = settings.workers
        self._given_up: list[_Asked] = []
        self._waiting: FairQueue[_Asked] = FairQueue(settings.queue, self._given_up.append)
        self._lock = Lock()  # for the four above: hashes end on the pool's threads
        self._closed = False

    def verify(self, question: Question, done: Done) -> None:
        """Queue one hash; with no room left the answer is UNAVAILABLE, so that the NAS tries again or elsewhere."""
        if self._closed:
            done(_UNAVAILABLE)
        elif question.password is None:
            done(_UNKNOWN if question.user is None else _KNOWN)
        else:
            asked = _Asked(question, done)
            with self._lock:
                now = self._clock()
                if not self._waiting.put(question.client, question.name, asked, question.until, now):
                    self._given_up.append(asked)
            self._go_on()

    def close(self) -> None:
        """Finish the hashes that are being computed; those that wait are UNAVAILABLE."""
        self._closed = True
        with self._lock:
            self._waiting.empty()
        self._go_on()
        self._pool.shutdown(wait=True)

    def _go_on(self) -> None:
        """Begin what there are threads for, and tell those who wait in vain."""
        begun = []
        with self._lock:
            while self._idle and (asked := self._waiting.take(self._clock())) is not None:
                self._idle -= 1
                begun.append(asked)
            given_up, self._given_up[:] = self._given_up[:], []
        for asked in begun:
            self._begin(asked)
        for asked in given_up:
            asked.done(_UNAVAILABLE)

    def _begin(self, asked: _Asked) -> None:
        question = asked.question
        try:
            work = self._pool.submit(self._verify, question.user, question.password or b"")
        except RuntimeError:  # it is shutting down
            asked.done(_UNAVAILABLE)
        else:
            work.add_done_callback(partial(self._finished, asked.done))

    def _finished(self, done: Done, work: Future[PrimaryAnswer]) -> None:
        with self._lock:
            self._idle += 1
        try:
            done(_UNAVAILABLE if work.cancelled() or work.exception() is not None else work.result())
        finally:
            self._go_on()

    def _verify(self, user: User | None, password: bytes) -> PrimaryAnswer:
        known = user is not None and user.password_hash is not None
        stored = user.password_hash if user is not None and user.password_hash is not None else self._nobodys_hash
        try:
            right = self._hasher.verify(stored, password)
        except VerifyMismatchError:
            return _REFUSED
        except (VerificationError, InvalidHashError):  # no memory for the hash, or no hash in the row
            return _UNAVAILABLE
        if not (right and known and password):
            return _REFUSED
        if self._hasher.check_needs_rehash(stored):
            return PrimaryAnswer(Verdict.PASSED, rehashed=self._hasher.hash(password))
        return PrimaryAnswer(Verdict.PASSED)


def open_backend(settings: LocalSettings, _: Say) -> LocalPasswords:
    """Return the backend with its own threads."""
    return LocalPasswords(settings)
