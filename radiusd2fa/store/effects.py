"""Each effect of a decision as the one statement that brings it about, with its parameters in their places.

It runs nothing and decides nothing: what the effects mean is in core.model, what stops them in the statements.
RFC 2865 5 (attributes as they stand in a packet).
"""

from __future__ import annotations

from radiusd2fa.core.model import (
    AddAccount,
    AdvanceMovingFactor,
    ClearFailures,
    CloseChallenge,
    ContestStations,
    DisableToken,
    Effect,
    NoteAccount,
    NoteLogin,
    NoteResyncCandidate,
    OpenChallenge,
    PendingChallenge,
    RecordAssertion,
    RecordCallerFailure,
    RecordFailure,
    ReplacePasswordHash,
    TakeToken,
    UseSheet,
    WriteEvent,
)
from radiusd2fa.core.names import bare
from radiusd2fa.core.texts import base64url
from radiusd2fa.store import challenge_effects as questions
from radiusd2fa.store import token_effects as tokens
from radiusd2fa.store import user_effects as people
from radiusd2fa.store.statements import Step


def step_for(effect: Effect) -> Step:
    """Translate one effect; an audit row is none, because it needs its place in a chain."""
    match effect:
        case AdvanceMovingFactor(token_id, user_id, to, drift, now):
            return Step(tokens.ADVANCE, (to, drift, now, token_id, user_id, now, now, to, user_id, now), guarded=True)
        case UseSheet(token_id, user_id, number, now):
            bit = 1 << number
            return Step(tokens.USE_SHEET, (bit, now, token_id, user_id, now, bit, user_id, now), guarded=True)
        case TakeToken(token_id, user_id, to, drift, now):
            taken = (user_id, to, drift, now, now, token_id, now, to, user_id, now, user_id, now, now)
            return Step(tokens.TAKE, taken, guarded=True)
        case RecordAssertion(token_id, user_id, counter, now):
            return Step(
                tokens.ASSERTED, (counter, now, token_id, user_id, counter, counter, user_id, now), guarded=True
            )
        case DisableToken(token_id):
            return Step(tokens.DISABLE, (token_id,))
        case CloseChallenge(handle, now, uncontested):
            return Step(questions.CLOSE_TOUCHED if uncontested else questions.CLOSE, (handle, now), guarded=True)
        case ContestStations(user_id, now):
            return Step(questions.CONTEST, (user_id, now, user_id, now))
        case OpenChallenge(c):
            return _open(c)
        case RecordFailure(user_id, now, most, first, longest):
            return Step(people.FAIL, (most, now, longest, first, most, user_id, now))
        case ClearFailures(user_id):
            return Step(people.CLEAR, (user_id,))
        case RecordCallerFailure(nas, caller, now, most, window):
            until = now + window
            at_once = until if most <= 1 else 0.0
            return Step(questions.FAIL_CALLER, (nas, caller, until, at_once, now, now, until, now, most, until))
        case NoteResyncCandidate(token_id, moving_factor, until):
            return Step(tokens.NOTE_CANDIDATE, (moving_factor, until, token_id, moving_factor))
        case ReplacePasswordHash(user_id, old, new):
            return Step(people.REHASH, (new, user_id, old))
        case AddAccount(name, source, directory_id, groups, now, admitted, without_kin):
            row = (name, source, "\n".join(groups), now, directory_id, now if admitted else None, bare(name))
            if without_kin:
                return Step(people.ADMIT, (*row, bare(name), source, directory_id, directory_id), guarded=True)
            return Step(people.ADD_ACCOUNT, row, guarded=admitted)
        case NoteAccount(user_id, directory_id, groups):
            names = None if groups is None else "\n".join(groups)
            return Step(people.NOTE_ACCOUNT, (names, directory_id, user_id, directory_id, directory_id), guarded=True)
        case NoteLogin(user_id, now, unenrolled, granted):
            if granted:
                return Step(people.NOTE_GRANTED, (now, user_id, now, now), guarded=True)
            return Step(people.NOTE_UNENROLLED if unenrolled else people.NOTE_LOGIN, (now, user_id, now), guarded=True)
        case WriteEvent():
            raise TypeError("an audit row needs its place in a chain")


def _open(c: PendingChallenge) -> Step:
    row = (c.handle, c.nas, c.user_name, c.user_id, c.kind, c.password_passed, c.login, c.expires, c.tries)
    asked = (None, None) if c.relay is None else (c.relay.state, c.relay.server)
    kept = (attributes_as_octets(c.reply) or None, attributes_as_octets(c.attributes) or None)
    under = (c.rule, c.backend, c.doomed, *asked, *kept)
    if c.ceremony is None:
        return Step(questions.OPEN, (*row, *under))
    k = c.ceremony
    credentials = ",".join(map(base64url, k.credentials))
    ceremony = (k.nonce.hex(), k.station, k.contested, k.user_verification, credentials, k.answer)
    return Step(questions.OPEN_TO_KEYS, (*row, *ceremony, *under))


def attributes_as_octets(attributes: tuple[tuple[int, bytes], ...]) -> bytes:
    """Write attributes as they stand in a packet (RFC 2865 5)."""
    return b"".join([bytes((number, len(value) + 2)) + value for number, value in attributes])


def octets_as_attributes(octets: bytes) -> tuple[tuple[int, bytes], ...]:
    """Read what ``attributes_as_octets`` has written."""
    attributes, at = [], 0
    while at < len(octets):
        attributes.append((octets[at], octets[at + 2 : at + octets[at + 1]]))
        at += octets[at + 1]
    return tuple(attributes)
