"""No primary credential: the NAS, or nobody, checks the password.

It asks nobody and passes everything; the token is all that stands before the door. ``Backend.checks`` tells the
decision machine, so that a password from here is never mistaken for a proof.
"""

from __future__ import annotations

from radiusd2fa.core.model import PrimaryAnswer, Verdict
from radiusd2fa.primary import Done, Question, Say
from radiusd2fa.settings import NoneSettings


class NoPrimary:
    """Passes every password."""

    def __init__(self) -> None:
        self._answer = PrimaryAnswer(Verdict.PASSED)

    def verify(self, _: Question, done: Done) -> None:
        """Answer at once."""
        done(self._answer)

    def close(self) -> None:
        """Nothing is held, and nothing passes any more."""
        self._answer = PrimaryAnswer(Verdict.UNAVAILABLE)


def open_backend(_: NoneSettings, __: Say) -> NoPrimary:
    """Return the backend."""
    return NoPrimary()
