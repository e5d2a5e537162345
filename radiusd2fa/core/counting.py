"""What a refusal leaves behind: who has guessed, whom the throttle must slow, and the alarm about a copied key.

Pure, and it refuses nobody. A code counts against the person only behind a right password, or where there is none:
nobody can lock somebody else's account by guessing at the password. WebAuthn 6.1.1 (signature counters).
"""

from __future__ import annotations

from radiusd2fa.core.judging import Facts, Judgement
from radiusd2fa.core.model import (
    DisableToken,
    Effect,
    Reason,
    RecordCallerFailure,
    RecordFailure,
    Token,
)
from radiusd2fa.core.rows import about_token


def counted(facts: Facts, judgement: Judgement) -> tuple[Effect, ...]:
    """A wrong code after a right password, or where there is no password, counts against the user too."""
    user, throttle = facts.known.user, facts.rules.throttle
    if judgement.reason is Reason.KEY_CLONED and judgement.token is not None:
        return _clone_alarm(facts, judgement.token)
    if judgement.genuine:
        return judgement.notes
    effects: tuple[Effect, ...] = (*judgement.notes, *counted_against_caller(facts))
    if user is None or not judgement.counts:
        return effects
    return (
        RecordFailure(user.id, facts.now, throttle.max_failures, throttle.first_lock, throttle.max_lock),
        *effects,
    )


def _clone_alarm(facts: Facts, token: Token) -> tuple[Effect, ...]:
    """Two keys with one private key give themselves away by their counters (WebAuthn 6.1.1): worth a row of its own."""
    locked = facts.rule.lock_clones
    alarm = about_token(facts, "token.cloned", token, "disabled" if locked else "refused", Reason.KEY_CLONED)
    return (DisableToken(token.id), alarm) if locked else (alarm,)


def counted_against_caller(facts: Facts) -> tuple[Effect, ...]:
    """Count a failure against the client and Calling-Station-Id that it came from, where there is one."""
    request, throttle = facts.request, facts.rules.throttle
    if not request.caller:
        return ()
    return (
        RecordCallerFailure(
            request.nas.name, request.caller, facts.now, throttle.caller_max_failures, throttle.caller_window
        ),
    )
