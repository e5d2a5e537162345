"""Audit rows besides that of a decision: what happened at a login that is worth a row, and a message, of its own.

Pure: a row is an effect like any other, and is written with the login it belongs to. Answers to no RFC.
"""

from __future__ import annotations

from radiusd2fa.core.finding import Claimed, Right
from radiusd2fa.core.judging import Facts
from radiusd2fa.core.model import Event, Reason, Token, TokenState, WriteEvent
from radiusd2fa.core.nonce import login_id
from radiusd2fa.core.sheets import BREAK_GLASS


def about_token(facts: Facts, name: str, token: Token, outcome: str, reason: str = "") -> WriteEvent:
    """Return a row about a token at this login."""
    return WriteEvent(
        Event(
            time=facts.now,
            name=name,
            login=login_id(facts.known, facts.nonce),
            nas=facts.request.nas.name,
            user=facts.name,
            caller=facts.request.caller,
            factor=token.kind,
            serial=token.serial,
            outcome=outcome,
            reason=reason,
        )
    )


def worth_a_row(facts: Facts, token: Token, matched: Right) -> tuple[WriteEvent, ...]:
    """Say what a good answer has changed besides: a first code, a token out of the stock, an emergency code."""
    if token.kind == BREAK_GLASS.kind:
        return (about_token(facts, "breakglass.used", token, "done", Reason.EMERGENCY),)
    if isinstance(matched, Claimed):
        return (about_token(facts, "token.assigned", token, "done", Reason.SELF_ASSIGNED),)
    if token.state is TokenState.ASSIGNED:
        return (about_token(facts, "token.activated", token, "done"),)
    return ()
