"""No primary credential: the NAS, or nobody, checks the password.

It asks nobody and passes everything; the token is all that stands before the door. ``rules.primary_checks`` tells the
decision machine, so that a password from here is never mistaken for a proof.
"""

from __future__ import annotations

from radiusd2fa.core.model import PrimaryAnswer, User, Verdict
from radiusd2fa.primary import Done
from radiusd2fa.settings import PrimarySettings

_PASSED = PrimaryAnswer(Verdict.PASSED)


class NoPrimary:
    """Passes every password."""

    def verify(self, user: User | None, password: bytes, done: Done) -> None:
        """Answer at once."""
        done(_PASSED)

    def close(self) -> None:
        """Nothing is held."""


def open_backend(settings: PrimarySettings) -> NoPrimary:
    """Return the backend."""
    return NoPrimary()
