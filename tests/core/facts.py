"""People, tokens and requests that tests of the decision are made of, with codes from the tests' own reference.

Nothing here decides, waits or keeps anything. The seed is that of RFC 4226 Appendix D, so its codes are well known.
Names follow core.model (RFC 2865, RFC 4226, RFC 6238).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from radiusd2fa.core.login import decide
from radiusd2fa.core.model import (
    AccessRequest,
    Challenge,
    ChallengeKind,
    Decision,
    Known,
    Nas,
    NeedPrimary,
    NeedToken,
    OpenChallenge,
    PendingChallenge,
    PrimaryAnswer,
    Token,
    User,
    Verdict,
)
from radiusd2fa.core.nonce import NONCE_OCTETS
from radiusd2fa.core.rules import FACTORS, LOCAL, Backend, HotpRules, Rules, TotpRules
from radiusd2fa.core.sheets import SHEETS
from radiusd2fa.factors import find_functions
from tests.factors.reference import code_of, code_of_nobody

SECRET: Final = b"12345678901234567890"
NOW: Final = 1_700_000_000.0
NONCE: Final = bytes(range(NONCE_OCTETS))
PASSWORD: Final = b"hunter2"
HANDLE: Final = "5" * 32
COUNTER: Final = 40

FACTORS_FOUND: Final = find_functions((*FACTORS, *SHEETS))

SMALL: Final = Rules(hotp=HotpRules(look_ahead=3, resync_window=8), totp=TotpRules(resync_steps=4))
"""Narrow windows: the same decisions with less arithmetic."""

RULE_OF_ALL: Final = "all"
"""The name of the one rule that SMALL has."""

NAS: Final = Nas("vpn")
HOTP: Final = Token(id=1, serial="H1", kind="hotp", moving_factor=COUNTER, secret=SECRET)
TOTP: Final = Token(id=2, serial="T1", kind="totp", moving_factor=0, secret=SECRET, digits=8)
ALICE: Final = User(id=7, name="alice", password_hash="$argon2id$", tokens=(HOTP,), enrolled=True)

WRONG: Final = code_of_nobody(SECRET, range(400))
"""Six digits that are no code of the seed anywhere near."""

Ask = Callable[[bytes | None], Verdict | PrimaryAnswer]
"""A primary backend: it says PASSED or REFUSED about a password, about None whether the account is still there."""


@dataclass(frozen=True, slots=True)
class Decided:
    """How a decision went: its outcome, and what a primary backend was asked on the way."""

    outcome: Decision
    questions: tuple[NeedPrimary, ...] = ()

    @property
    def asked(self) -> tuple[bytes, ...]:
        """For which passwords."""
        return tuple(question.password for question in self.questions if question.password is not None)

    @property
    def looked_up(self) -> tuple[str, ...]:
        """Which backends were asked about the account alone."""
        return tuple(question.backend for question in self.questions if question.password is None)


def hotp(ahead: int, digits: int = 6) -> bytes:
    """Return the code so many counts from where HOTP stands."""
    return code_of(SECRET, COUNTER + ahead, digits)


def totp(steps: int = 0, now: float = NOW) -> bytes:
    """Return the code that TOTP shows so many steps from now."""
    return code_of(SECRET, int(now // TOTP.step) + steps, TOTP.digits)


def challenge(
    kind: ChallengeKind = ChallengeKind.CODE,
    tries: int = 3,
    name: str = "alice",
    rule: str = RULE_OF_ALL,
    backend: Backend = LOCAL,
) -> PendingChallenge:
    """Return an open challenge, put under that rule; the password before it was checked by that backend."""
    user_id = ALICE.id if name == ALICE.name else None
    passed = kind is ChallengeKind.CODE and backend.checks
    return PendingChallenge(
        HANDLE, NAS.name, name, user_id, kind, passed, "10619", NOW + 120, tries, rule=rule, backend=backend.name
    )


def knows(password: bytes) -> Callable[[bytes | None], Verdict]:
    """A primary backend with one right password."""
    return lambda asked: Verdict.PASSED if asked == password else Verdict.REFUSED


KNOWS_IT: Final = knows(PASSWORD)


def run(
    request: AccessRequest,
    known: Known,
    ask: Ask = KNOWS_IT,
    *,
    rules: Rules = SMALL,
    now: float = NOW,
    rehashed: str | None = None,
    nonce: bytes = NONCE,
    stock: Mapping[str, Token] | None = None,
) -> Decided:
    """Decide a request to its end, asking the primary backend as often as it wants."""
    questions: list[NeedPrimary] = []
    while True:
        outcome = decide(request, known, now, nonce, rules, FACTORS_FOUND)
        if isinstance(outcome, NeedToken):
            known = replace(known, stock={**known.stock, outcome.serial: (stock or {}).get(outcome.serial)})
            continue
        if not isinstance(outcome, NeedPrimary):
            return Decided(outcome, tuple(questions))
        assert outcome not in questions, "the same question twice"
        questions.append(outcome)
        said = ask(outcome.password)
        if isinstance(said, Verdict):
            said = PrimaryAnswer(said, rehashed if said is Verdict.PASSED else None)
        known = replace(known, primary={**known.primary, outcome.password: said})


def opened(outcome: object) -> PendingChallenge:
    """Return the one challenge that an outcome opens."""
    assert isinstance(outcome, Challenge), outcome
    (one,) = [effect.challenge for effect in outcome.effects if isinstance(effect, OpenChallenge)]
    return one
