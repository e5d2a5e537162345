"""Logins at a station, decided: a touch counts for one person at one client, brought in by a station that may.

Nothing that a station brings in is believed; and no station, whatever it does, holds up another answer.
WebAuthn 7.2, RFC 2865 4.4 (State).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from radiusd2fa.core.model import (
    Accept,
    Challenge,
    ContestStations,
    PendingChallenge,
    Reason,
    Reject,
)
from tests.factors.keys import challenge_of, es256, station_answer

from .facts import ALICE, HOTP, NOW, WRONG, hotp
from .keyring import (
    AGAINST_CALLER,
    AGAINST_USER,
    CLOSED,
    HOST,
    K1,
    KEY,
    LATER_NONCE,
    PASTE,
    QUESTION,
    RULES,
    SECOND,
    SPENT,
    SSH,
    STATION,
    THEN,
    VPN,
    WITH_BOTH,
    WITH_FOB,
    WITH_KEY,
    WITH_NOTHING,
    accepted,
    answered,
    asked,
    begun,
    brought_in,
    costs,
    pending,
    touched,
)


@pytest.mark.parametrize("tries", [3, 1])
def test_enter_without_a_touch_is_refused(tries: int) -> None:
    """Silence of the station is no answer: Enter alone lets nobody in, and is no guess."""
    outcome = answered(b"", replace(QUESTION, tries=tries), WITH_KEY)
    assert isinstance(outcome, Challenge if tries > 1 else Reject)
    assert outcome.reason is Reason.STATION_NOT_TOUCHED
    assert costs(outcome) == (CLOSED, AGAINST_CALLER)


AT_A_STATION: Final[dict[str, PendingChallenge]] = {
    "a station that is not this client's": brought_in(QUESTION, station="attic"),
    "a station that does not exist": brought_in(QUESTION, station="cellar"),
    "a station without a name": brought_in(QUESTION, station=""),
    "another case of its name": brought_in(QUESTION, station="Lobby-1"),
    "somebody else's key": brought_in(QUESTION, key=es256("bob's")),
    "somebody else's key under this one's name": brought_in(
        QUESTION, key=replace(es256("bob's"), credential_id=KEY.credential_id)
    ),
    "a key that is not registered": brought_in(QUESTION, key=SECOND),
    "another credential's id": brought_in(QUESTION, id="AAAA"),
    "no id": brought_in(QUESTION, id=""),
    "no signature": brought_in(QUESTION, signature=""),
}


@pytest.mark.parametrize("question", AT_A_STATION.values(), ids=AT_A_STATION.keys())
def test_what_a_station_brings_in_is_not_believed(question: PendingChallenge) -> None:
    """A station that may not ask, or another key: it is as wrong as if it had come over the wire, and counts."""
    outcome = answered(b"", question, WITH_KEY)
    assert isinstance(outcome, Challenge)
    assert outcome.reason is Reason.WRONG_KEY_RESPONSE
    assert costs(outcome) == (CLOSED, AGAINST_CALLER)
    assert isinstance(answered(b"", brought_in(QUESTION), WITH_KEY), Accept)


SIGNED_FOR_ANOTHER: Final[dict[str, PendingChallenge]] = {
    "one that says it is another": brought_in(QUESTION, station="lobby-1", signed_for="attic"),
    "one that is another": brought_in(QUESTION, station="lab", signed_for="lobby-1"),
    "for another client": brought_in(QUESTION, nas="vpn"),
    "for another user": brought_in(QUESTION, user="bob"),
    "for another question": brought_in(QUESTION, nonce=bytes(16)),
}


@pytest.mark.parametrize("question", SIGNED_FOR_ANOTHER.values(), ids=SIGNED_FOR_ANOTHER.keys())
def test_what_the_key_has_signed_elsewhere_is_no_guess(question: PendingChallenge) -> None:
    """The person's own key has signed it, but for another station, client, user or question: refused, not counted."""
    outcome = answered(b"", question, WITH_KEY)
    assert isinstance(outcome, Challenge)
    assert (outcome.reason, outcome.token) == (Reason.REPLAYED, K1)
    assert costs(outcome) == (CLOSED,)


def test_a_responders_answer_is_no_stations() -> None:
    """What a laptop has signed cannot come in through a station."""
    assert QUESTION.ceremony is not None
    challenge = challenge_of(b"radiusd2fa-key-v1", QUESTION.ceremony.nonce, "alice", HOST)
    answer = station_answer(KEY, challenge, "lobby-1")
    question = replace(QUESTION, ceremony=replace(QUESTION.ceremony, answer=answer))
    outcome = answered(b"", question, WITH_KEY)
    assert isinstance(outcome, Challenge)
    assert outcome.reason is Reason.REPLAYED


def test_a_station_that_this_client_may_not_use_is_refused() -> None:
    """Which stations belong to a client is the site's to say, and so is whether a rule allows stations at all."""
    question = replace(brought_in(QUESTION, station="attic", nas="vpn"), nas="vpn")
    assert isinstance(answered(b"", question, WITH_KEY, replace(VPN, host_names=(HOST,))), Accept)
    nobody = replace(RULES, stations=())
    assert not isinstance(answered(b"", question, WITH_KEY, VPN, nobody), Accept)
    for rules in (SSH, PASTE):
        assert not isinstance(answered(b"", brought_in(QUESTION), WITH_KEY, rules=rules), Accept)
    assert isinstance(answered(b"", brought_in(QUESTION), WITH_KEY, rules=STATION), Accept)


MALFORMED: Final = ("", "RKS1-", "hello", "RKS1-e30", "RKS1-" + "W1tb" * 100, "RKS1-" + "A" * 20_000, "RKC1-e30")


@pytest.mark.parametrize("answer", MALFORMED)
@pytest.mark.parametrize("tries", [3, 1])
def test_what_cannot_be_read_of_a_station_is_refused(answer: str, tries: int) -> None:
    """Whatever is in the store, a login that meets it goes on or ends, and nothing is raised."""
    assert QUESTION.ceremony is not None
    question = replace(QUESTION, tries=tries, ceremony=replace(QUESTION.ceremony, answer=answer))
    outcome = answered(b"", question, WITH_KEY)
    assert isinstance(outcome, Challenge if tries > 1 else Reject)
    assert outcome.reason is Reason.KEY_RESPONSE_MALFORMED
    assert AGAINST_USER not in outcome.effects


def test_two_logins_at_one_station_are_both_refused() -> None:
    """When a second login waited for the same person's touch nobody can say whose it was: even a right one is lost."""
    assert QUESTION.ceremony is not None
    for question in (QUESTION, brought_in(QUESTION)):
        assert question.ceremony is not None
        contested = replace(question, ceremony=replace(question.ceremony, contested=True))
        outcome = answered(b"", contested, WITH_KEY)
        assert isinstance(outcome, Reject)
        assert outcome.reason is Reason.STATION_CONTESTED
        assert costs(outcome) == (CLOSED, AGAINST_CALLER)


def test_a_contest_does_not_touch_other_answers() -> None:
    """A response and a code belong to one login whatever waits at a station."""
    question = pending(asked(WITH_BOTH))
    assert question.ceremony is not None
    contested = replace(question, ceremony=replace(question.ceremony, contested=True))
    assert isinstance(answered(touched(question), contested, WITH_BOTH), Accept)
    assert isinstance(answered(hotp(0), contested, WITH_BOTH), Accept)


def test_a_question_that_waits_for_a_station_contests_all_others() -> None:
    """Each such question says in the store that it waits; questions that no station shows do not."""
    outcome = asked(WITH_KEY)
    assert outcome.effects[-1] == ContestStations(ALICE.id, NOW)
    again = answered(WRONG, pending(outcome), WITH_KEY)
    assert isinstance(again, Challenge)
    assert again.effects[-1] == ContestStations(ALICE.id, THEN)
    for user, rules in ((WITH_KEY, SSH), (WITH_FOB, RULES), (WITH_NOTHING, RULES)):
        assert not any(isinstance(effect, ContestStations) for effect in asked(user, rules=rules).effects)


def test_what_is_typed_counts_and_not_what_a_station_has() -> None:
    """Enter alone means the station; a text is judged by itself, even while a right touch waits."""
    waiting = brought_in(pending(asked(WITH_BOTH)))
    wrong = answered(WRONG, waiting, WITH_BOTH)
    assert isinstance(wrong, Challenge)
    assert wrong.reason is Reason.WRONG_CODE
    for text in (b"help", b" ", b"A" * 99):
        assert isinstance(answered(text, waiting, WITH_BOTH), Challenge)
    right = answered(hotp(0), waiting, WITH_BOTH)
    assert isinstance(right, Accept)
    assert right.token == HOTP


def test_enter_where_no_station_was_asked_is_no_touch() -> None:
    """A question that was put to no station cannot be answered by one, whatever the store says."""
    question = pending(asked(WITH_KEY, rules=SSH))
    outcome = answered(b"", brought_in(question), WITH_KEY)
    assert isinstance(outcome, Challenge)
    assert outcome.reason is Reason.NO_CODE


def test_what_was_wrong_at_a_station_is_asked_for_anew() -> None:
    """After a wrong touch the station is asked again, with another nonce and without the answer that was wrong."""
    wrong = brought_in(QUESTION, key=SECOND)
    again = begun(answered(b"", wrong, WITH_KEY))
    assert again.answer is None
    assert again.nonce == LATER_NONCE[24:]


@pytest.mark.parametrize("station", ["lobby-1", "lab"])
def test_a_touch_at_a_station_is_accepted(station: str) -> None:
    """Enter after a touch: the counter is recorded and the State spent, in one transaction."""
    outcome = accepted(answered(b"", brought_in(QUESTION, station=station), WITH_KEY))
    assert outcome == Accept((SPENT, replace(CLOSED, uncontested=True)), K1, Reason.OK)
