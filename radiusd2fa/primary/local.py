"""Passwords of our own: argon2id hashes in the users table (RFC 9106).

A bounded pool of threads computes them, so that a flood of guesses costs memory for a few hashes and no more; somebody
unknown costs as much as somebody known. It never sees a code and never writes the store: a hash that should be renewed
is handed back.
"""

from __future__ import annotations

import secrets
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from radiusd2fa.core.model import PrimaryAnswer, Reason, User, Verdict
from radiusd2fa.primary import Done, Question, Say
from radiusd2fa.settings import LocalSettings

_REFUSED = PrimaryAnswer(Verdict.REFUSED)
_UNAVAILABLE = PrimaryAnswer(Verdict.UNAVAILABLE)
_KNOWN = PrimaryAnswer(Verdict.PASSED)
_UNKNOWN = PrimaryAnswer(Verdict.REFUSED, reason=Reason.ACCOUNT_UNKNOWN)


def hasher(settings: LocalSettings) -> PasswordHasher:
    """Return the hasher for today's parameters; the command line uses it to set passwords."""
    return PasswordHasher(time_cost=settings.passes, memory_cost=settings.memory_kib, parallelism=1)


class LocalPasswords:
    """Checks passwords against the hash that came with the user."""

    def __init__(self, settings: LocalSettings) -> None:
        self._hasher = hasher(settings)
        self._nobodys_hash = self._hasher.hash(secrets.token_bytes(16))
        self._pool = ThreadPoolExecutor(settings.workers, thread_name_prefix="argon2")
        self._closed = False
        self._room = BoundedSemaphore(settings.workers + settings.queue)

    def verify(self, question: Question, done: Done) -> None:
        """Queue one hash; with no room left the answer is UNAVAILABLE, so that the NAS tries again or elsewhere."""
        user, password = question.user, question.password
        if password is None and not self._closed:
            done(_KNOWN if user is not None else _UNKNOWN)
            return
        if password is None or not self._room.acquire(blocking=False):
            done(_UNAVAILABLE)
            return
        try:
            work = self._pool.submit(self._verify, user, password)
        except RuntimeError:  # the pool is shutting down
            self._room.release()
            done(_UNAVAILABLE)
            return
        work.add_done_callback(partial(self._finished, done))

    def close(self) -> None:
        """Finish the hashes that are being computed; those that wait are UNAVAILABLE."""
        self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _finished(self, done: Done, work: Future[PrimaryAnswer]) -> None:
        self._room.release()
        done(_UNAVAILABLE if work.cancelled() or work.exception() is not None else work.result())

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
