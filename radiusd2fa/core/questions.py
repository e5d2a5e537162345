"""Questions to the person: for the password, for a code or a key, and those of an upstream server that are passed on.

Pure. What stands in a question never shows what was found out about whoever is asked, unless the password was right.
RFC 2865 4.4 (Access-Challenge), RFC 2869 5.10 (Prompt).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from radiusd2fa.core.ceremonies import as_shown, ceremony, offer, prompt
from radiusd2fa.core.claiming import is_empty_handed
from radiusd2fa.core.judging import Facts, Judgement
from radiusd2fa.core.model import (
    Challenge,
    ChallengeKind,
    ContestStations,
    Effect,
    KeyCeremony,
    OpenChallenge,
    Outcome,
    PendingChallenge,
    PrimaryAnswer,
    Reason,
    Reject,
)
from radiusd2fa.core.nonce import for_a_key, handle, login_id

_MOST_QUESTIONS_OF_UPSTREAM: Final = 8


def ask_for_password(facts: Facts) -> Challenge:
    """Ask for the password, of whoever has typed nothing at all."""
    challenge = _pending(facts, ChallengeKind.PASSWORD, tries=1, password_passed=False)
    return Challenge(
        effects=(OpenChallenge(challenge),),
        prompt=as_shown(facts.request.nas, facts.rules.challenge.password_prompt),
        state=challenge.handle,
        reason=Reason.PASSWORD_WANTED,
        hidden=True,
    )


def ask_for_code(
    facts: Facts,
    effects: tuple[Effect, ...] = (),
    *,
    password_passed: bool = False,
    doomed: Reason | None = None,
    before: PendingChallenge | None = None,
    judgement: Judgement | None = None,
    reply: tuple[tuple[int, bytes], ...] = (),
) -> Challenge:
    """Ask for a code, or for a key; ``before`` is the question that this one repeats, ``judgement`` how that went.

    ``doomed`` says why no answer can be good enough any more, which must not be seen in the question.
    """
    made = offer(facts, password_passed=password_passed and not facts.blind)
    begun = ceremony(made, for_a_key(facts.nonce), None if before is None else before.ceremony)
    tries = facts.rules.challenge.tries if before is None else before.tries - 1
    challenge = _pending(
        facts, ChallengeKind.CODE, tries=1 if facts.blind else tries, password_passed=password_passed, begun=begun
    )
    if doomed is not None:
        nobody_awaited = None if begun is None else replace(begun, station=False, credentials=())
        challenge = replace(challenge, doomed=True, ceremony=nobody_awaited)
    elif reply or (before is not None and before.reply):
        challenge = replace(challenge, reply=reply if before is None else before.reply)
    # Enter came before the touch, and no code was wrong; to strangers both look the same
    claiming = password_passed and doomed is None and begun is None and is_empty_handed(facts)
    untouched = password_passed and judgement is not None and judgement.reason is Reason.STATION_NOT_TOUCHED
    opening: tuple[Effect, ...] = (OpenChallenge(challenge),)
    if challenge.ceremony is not None and challenge.ceremony.station and challenge.user_id is not None:
        opening = (*opening, ContestStations(challenge.user_id, facts.now))
    return Challenge(
        effects=(*effects, *opening),
        prompt=as_shown(facts.request.nas, facts.rules.challenge.token_prompt)
        if claiming
        else prompt(facts, made, begun, again=before is not None and not untouched),
        state=challenge.handle,
        reason=doomed or (_wanted(claiming) if judgement is None else judgement.reason),
        token=None if judgement is None else judgement.token,
        # how long a claim took would tell whether there is such a token in stock
        unhurried=facts.blind or (claiming and judgement is not None),
    )


def _wanted(claiming: bool) -> Reason:
    return Reason.TOKEN_WANTED if claiming else Reason.CODE_WANTED


def _pending(
    facts: Facts, kind: ChallengeKind, *, tries: int, password_passed: bool, begun: KeyCeremony | None = None
) -> PendingChallenge:
    return PendingChallenge(
        handle=handle(facts.nonce),
        nas=facts.request.nas.name,
        user_name=facts.name,
        user_id=None if facts.known.user is None else facts.known.user.id,
        kind=kind,
        password_passed=password_passed,
        login=login_id(facts.known, facts.nonce),
        expires=facts.now + facts.rules.challenge.lifetime,
        tries=tries,
        ceremony=begun,
        rule=facts.rule.name,
        backend=facts.backend.name,
        attributes=_first_attributes(facts),
    )


def _first_attributes(facts: Facts) -> tuple[tuple[int, bytes], ...]:
    """What rules may ask about in the first packet of this login."""
    challenge = facts.known.challenge
    if challenge is not None and facts.request.state is not None:
        return challenge.attributes
    return facts.site.looked_at(facts.request.attributes)


def pass_on_question(
    facts: Facts, answer: PrimaryAnswer, closing: tuple[Effect, ...], before: PendingChallenge | None
) -> Outcome:
    """An upstream server asks something of its own; the answer will go back to it."""
    relay = answer.relay
    rounds = _MOST_QUESTIONS_OF_UPSTREAM if before is None or before.relay is None else before.tries - 1
    if relay is None or rounds < 1:
        return Reject(Reason.UPSTREAM_ASKS, closing)
    challenge = replace(
        _pending(facts, ChallengeKind.UPSTREAM, tries=rounds, password_passed=False),
        relay=relay,
    )
    return Challenge(
        effects=(*closing, OpenChallenge(challenge)),
        prompt=relay.prompt,
        state=challenge.handle,
        reason=Reason.UPSTREAM_ASKS,
        hidden=relay.hidden,
    )
