"""People with security keys, the client and the stations where they use them, and their logins packet by packet.

The keys are those of ``tests.factors.keys``, which share no line with the program; nothing here decides anything.
WebAuthn 7.2, RFC 2865 4.4 (State).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from radiusd2fa.core.login import decide
from radiusd2fa.core.model import (
    Accept,
    AccessRequest,
    Challenge,
    CloseChallenge,
    ContestStations,
    Decision,
    Flow,
    KeyCeremony,
    Known,
    Nas,
    NeedPrimary,
    NeedToken,
    OpenChallenge,
    PendingChallenge,
    PrimaryAnswer,
    RecordAssertion,
    RecordCallerFailure,
    RecordFailure,
    Reject,
    User,
)
from radiusd2fa.core.nonce import NONCE_OCTETS
from radiusd2fa.core.rules import CEREMONIES, FACTORS, Rule, Rules, Station
from tests.factors.keys import FIDO, UP, Key, challenge_of, eddsa, es256, response, station_answer

from .facts import ALICE, FACTORS_FOUND, HOTP, KNOWS_IT, NONCE, NOW, PASSWORD, SMALL

HOST: Final = "bastion.example.org"
BASTION: Final = Nas("bastion", host_names=(HOST, "gate"))
VPN: Final = Nas("vpn")
CALLER: Final = "192.0.2.7"
LATER_NONCE: Final = bytes(range(100, 100 + NONCE_OCTETS))

RULE: Final = Rule("all", FACTORS, ceremonies=CEREMONIES)
STATIONS: Final = (
    Station("lobby-1", frozenset({"bastion"})),
    Station("lab", frozenset({"bastion", "vpn"})),
    Station("attic", frozenset({"vpn"})),
)
RULES: Final = replace(SMALL, fido=FIDO, stations=STATIONS, rules=(RULE,))

KEY: Final = es256()
SECOND: Final = eddsa("alice's second")
K1: Final = KEY.token()
K2: Final = SECOND.token(4, "K2", counter=0)

WITH_KEY: Final = replace(ALICE, tokens=(K1,))
WITH_KEYS: Final = replace(ALICE, tokens=(K1, K2))
WITH_FOB: Final = ALICE
WITH_BOTH: Final = replace(ALICE, tokens=(HOTP, K1))
WITH_NOTHING: Final = replace(ALICE, tokens=())


def by_rule(rule: Rule, rules: Rules = RULES) -> Rules:
    """The same site with one rule only."""
    return replace(rules, rules=(rule,))


def packet(
    text: bytes, nas: Nas = BASTION, state: str | None = None, name: str = "alice", flow: Flow | None = None
) -> AccessRequest:
    """Build a request."""
    nas = nas if flow is None else replace(nas, flow=flow)
    return AccessRequest(nas, name, text, state=state, caller=CALLER)


def decided(
    request: AccessRequest, known: Known, rules: Rules = RULES, now: float = NOW, nonce: bytes = NONCE
) -> Decision:
    """Decide a request to its end; the primary backend knows one password."""
    while isinstance(outcome := decide(request, known, now, nonce, rules, FACTORS_FOUND), NeedPrimary):
        answer = PrimaryAnswer(KNOWS_IT(outcome.password))
        known = replace(known, primary={**known.primary, outcome.password: answer})
    assert not isinstance(outcome, NeedToken)
    return outcome


def asked(user: User | None, nas: Nas = BASTION, rules: Rules = RULES, text: bytes = PASSWORD) -> Challenge:
    """Give the right password, and be asked for the second factor."""
    outcome = decided(packet(text, nas), Known(user=user), rules)
    assert isinstance(outcome, Challenge)
    return outcome


def pending(outcome: object) -> PendingChallenge:
    """Return the question that an outcome puts."""
    assert isinstance(outcome, Challenge)
    (opened,) = [effect.challenge for effect in outcome.effects if isinstance(effect, OpenChallenge)]
    return opened


def begun(outcome: object) -> KeyCeremony:
    """Return what that question offers to a key."""
    ceremony = pending(outcome).ceremony
    assert ceremony is not None
    return ceremony


def answered(
    text: bytes,
    to: PendingChallenge,
    user: User | None,
    nas: Nas = BASTION,
    rules: Rules = RULES,
    *,
    now: float = NOW + 20,
    name: str = "alice",
) -> Decision:
    """Answer a question; the State is that of the question."""
    request = packet(text, nas, to.handle, name)
    return decided(request, Known(user=user, challenge=to), rules, now, LATER_NONCE)


def touched(
    to: PendingChallenge,
    *,
    key: Key = KEY,
    host: str = HOST,
    user: str = "alice",
    nonce: bytes | None = None,
    flags: int = UP,
    counter: int = 6,
) -> bytes:
    """What the responder on a laptop hands back when its user touches the key."""
    assert to.ceremony is not None
    challenge = challenge_of(b"radiusd2fa-key-v1", nonce or to.ceremony.nonce, user, host)
    return response(key, challenge, flags, counter)


def brought_in(
    to: PendingChallenge,
    *,
    key: Key = KEY,
    station: str = "lobby-1",
    signed_for: str | None = None,
    nas: str = "bastion",
    user: str = "alice",
    nonce: bytes | None = None,
    flags: int = UP,
    counter: int = 6,
    **members: str,
) -> PendingChallenge:
    """The same question with what a station has brought in."""
    assert to.ceremony is not None
    names = (user, nas, station if signed_for is None else signed_for)
    challenge = challenge_of(b"radiusd2fa-station-v1", nonce or to.ceremony.nonce, *names)
    answer = station_answer(key, challenge, station, flags, counter, **members)
    return replace(to, ceremony=replace(to.ceremony, answer=answer))


# --- one question, and what comes of it ------------------------------------------------------------------------------

THEN: Final = NOW + 20
"""When the answer comes."""
QUESTION: Final = pending(asked(WITH_KEY))
CLOSED: Final = CloseChallenge(QUESTION.handle, THEN)
SPENT: Final = RecordAssertion(K1.id, ALICE.id, 6, THEN)
AGAINST_USER: Final = RecordFailure(ALICE.id, THEN, 10, 60.0, 43200.0)
AGAINST_CALLER: Final = RecordCallerFailure("bastion", CALLER, THEN, 100, 600.0)

SSH: Final = by_rule(replace(RULE, ceremonies=("ssh",)))
PASTE: Final = by_rule(replace(RULE, ceremonies=("paste",)))
STATION: Final = by_rule(replace(RULE, ceremonies=("station",)))
STRICT: Final = by_rule(replace(RULE, user_verification=True))
LOCKING: Final = by_rule(replace(RULE, lock_clones=True))


def last_try(to: PendingChallenge) -> PendingChallenge:
    """The same question with one try left."""
    return replace(to, tries=1)


def costs(outcome: Decision) -> tuple[object, ...]:
    """What an outcome changes, but for the question that it puts again."""
    assert isinstance(outcome, (Challenge, Reject))
    return tuple(effect for effect in outcome.effects if not isinstance(effect, (OpenChallenge, ContestStations)))


def accepted(outcome: Decision) -> Accept:
    """It must be one."""
    assert isinstance(outcome, Accept), outcome
    return outcome
