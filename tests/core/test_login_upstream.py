"""Questions of an upstream server on their way to the person and back, and what it wants in the Access-Accept.

No number of rounds ends in an Accept by itself: it takes the upstream's word, and a token of ours from everybody who
ever had one. RFC 2865 4.4 (State goes back as it came).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pytest

from radiusd2fa.core.model import (
    Accept,
    Account,
    AddAccount,
    AdvanceMovingFactor,
    Challenge,
    ChallengeKind,
    CloseChallenge,
    Flow,
    NoteAccount,
    NoteLogin,
    OpenChallenge,
    PendingChallenge,
    PrimaryAnswer,
    Reason,
    RecordCallerFailure,
    Reject,
    Relay,
    Silence,
    User,
    Verdict,
)
from radiusd2fa.core.rules import Backend, Enrolment, Rule, Rules

from .directory import (
    CALLER,
    FILTER_ID,
    FRESH,
    LDAP,
    NONCES,
    OLD,
    OWNER,
    STAFF,
    accepted,
    asked_again,
    asks,
    first,
    is_silent,
    passes,
    refused,
    refuses,
    says,
    site,
    then,
)
from .facts import ALICE, COUNTER, HOTP, NOW, PASSWORD, WRONG, Ask, Decided, hotp, opened

UNTIL: Final = NOW + 100
MIGRATION: Final = site(Rule("all", enrolment=Enrolment(upstream="old", until=UNTIL)))
"""Whoever has no token of ours goes to the old system."""
BEHIND: Final = site(primary=OLD)
"""Everybody's password is checked by an upstream server, and everybody needs a token of ours."""
MOST: Final = 8
MOVED: Final = replace(OWNER, source="old", directory_id=None)
"""Somebody whose password the upstream server checks."""

SITES: Final = {"migration": (MIGRATION, FRESH), "in front of a server": (BEHIND, MOVED)}
CLOSED_BY: Final = RecordCallerFailure("vpn", CALLER, NOW, 100, 600.0)


def conversation(*answers: PrimaryAnswer | Verdict) -> Sequence[Ask]:
    """An upstream server that says these one after the other, one for each packet."""
    return [lambda _, said=answer: said for answer in answers]  # type: ignore[misc]


def question_of(rules: Rules, user: User | None, text: bytes = PASSWORD, flow: Flow = Flow.CHALLENGE) -> Decided:
    """The first packet, which the upstream server answers with a question."""
    return first(rules, user, lambda _: asks("Old code: "), text, flow)


def rounds(rules: Rules, user: User | None, ask: Ask, most: int = 30) -> list[Decided]:
    """Go on answering until there is no question any more."""
    decided = [first(rules, user, ask)]
    while isinstance(decided[-1].outcome, Challenge) and len(decided) < most:
        question = opened(decided[-1].outcome)
        decided.append(then(rules, user, ask, question, b"000000", nonce=NONCES[len(decided) % len(NONCES)]))
    return decided


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rules", "user"), SITES.values(), ids=SITES.keys())
def test_questions_without_end_come_to_one(rules: Rules, user: User) -> None:
    """An upstream server that only ever asks lets nobody in: after eight questions the login is refused."""
    decided = rounds(rules, user, lambda _: asks("And now? "))
    assert [type(one.outcome) for one in decided] == [Challenge] * MOST + [Reject]
    last = opened(decided[-2].outcome)
    assert decided[-1].outcome == Reject(Reason.UPSTREAM_ASKS, (CloseChallenge(last.handle, NOW),))
    assert [opened(one.outcome).tries for one in decided[:-1]] == list(range(MOST, 0, -1))


@pytest.mark.parametrize(("rules", "user"), SITES.values(), ids=SITES.keys())
def test_a_question_without_one_is_refused(rules: Rules, user: User) -> None:
    """CHALLENGED with nothing to pass on is no word for anybody."""
    decided = first(rules, user, lambda _: PrimaryAnswer(Verdict.CHALLENGED))
    assert refused(decided).reason is Reason.UPSTREAM_ASKS
    question = opened(question_of(rules, user).outcome)
    after = then(rules, user, lambda _: PrimaryAnswer(Verdict.CHALLENGED), question, b"123456")
    assert refused(after) == Reject(Reason.UPSTREAM_ASKS, (CloseChallenge(question.handle, NOW),))


@pytest.mark.parametrize(("rules", "user"), SITES.values(), ids=SITES.keys())
@pytest.mark.parametrize("reason", [None, Reason.ACCOUNT_LOCKED])
def test_a_wrong_answer_is_refused_and_spends_the_question(rules: Rules, user: User, reason: Reason | None) -> None:
    """The upstream server's refusal is ours, and counts against the caller like a wrong password."""
    question = opened(question_of(rules, user).outcome)
    outcome = refused(then(rules, user, refuses(reason), question, b"000000"))
    assert outcome == Reject(reason or Reason.WRONG_PASSWORD, (CloseChallenge(question.handle, NOW), CLOSED_BY))


@pytest.mark.parametrize(("rules", "user"), SITES.values(), ids=SITES.keys())
def test_an_upstream_that_is_away_spends_no_question(rules: Rules, user: User) -> None:
    """Silence before the first question and after it; the question can still be answered."""
    assert first(rules, user, is_silent).outcome == Silence(Reason.PRIMARY_UNAVAILABLE)
    question = opened(question_of(rules, user).outcome)
    assert then(rules, user, is_silent, question, b"1").outcome == Silence(Reason.PRIMARY_UNAVAILABLE)


def test_the_answer_to_its_question_is_no_code_of_ours() -> None:
    """A right code of ours goes to the upstream server, which does not know it, and is not spent."""
    question = opened(question_of(BEHIND, MOVED).outcome)
    decided = then(BEHIND, MOVED, refuses(), question, hotp(0))
    assert not any(isinstance(effect, AdvanceMovingFactor) for effect in refused(decided).effects)
    assert decided.asked == (hotp(0),)


@pytest.mark.parametrize("flow", [Flow.APPEND, Flow.PREPEND])
def test_where_everything_comes_in_one_packet_nothing_is_asked(flow: Flow) -> None:
    """A server behind us that asks all the same has not passed the password."""
    text = hotp(0) + PASSWORD if flow is Flow.PREPEND else PASSWORD + hotp(0)
    assert refused(question_of(BEHIND, MOVED, text, flow)).reason is Reason.UPSTREAM_ASKS


WRONG_HANDS: Final = {
    "another client's": {"nas": "ssh"},
    "another person's": {"user_name": "bob"},
    "a namesake's": {"user_id": 99},
    "expired": {"expires": NOW},
}


@pytest.mark.parametrize("change", WRONG_HANDS.values(), ids=WRONG_HANDS.keys())
def test_its_question_is_one_persons_at_one_client(change: dict[str, object]) -> None:
    """Like every question: nobody else's answer reaches the upstream server."""
    question = replace(opened(question_of(MIGRATION, FRESH).outcome), **change)  # type: ignore[arg-type]
    decided = then(MIGRATION, FRESH, passes(), question, b"123456")
    assert refused(decided).reason in {Reason.CHALLENGE_UNKNOWN, Reason.CHALLENGE_EXPIRED}
    assert decided.questions == ()


def test_whoever_gets_a_token_meanwhile_needs_it() -> None:
    """The old system's word, asked for before, is worth nothing any more: nobody is let in by it."""
    question = opened(question_of(MIGRATION, FRESH).outcome)
    outcome = then(MIGRATION, OWNER, passes(), question, b"123456").outcome
    assert isinstance(outcome, (Challenge, Reject))
    if isinstance(outcome, Challenge):
        assert isinstance(then(MIGRATION, OWNER, passes(), opened(outcome), WRONG).outcome, (Challenge, Reject))


@pytest.mark.parametrize("late", [0.0, 50.0])
def test_when_the_old_system_is_over_its_answer_lets_nobody_in(late: float) -> None:
    """A conversation that was begun in time and is finished after the date ends without an Accept."""
    question = replace(opened(question_of(MIGRATION, FRESH).outcome), expires=UNTIL + 60)
    assert isinstance(then(MIGRATION, FRESH, passes(), question, b"1", now=UNTIL - 0.001).outcome, Accept)
    assert not isinstance(then(MIGRATION, FRESH, passes(), question, b"1", now=UNTIL + late).outcome, Accept)


@pytest.mark.parametrize("change", [{"enabled": False}, {"locked_until": NOW + 1}], ids=["disabled", "locked"])
def test_nobody_locked_or_disabled_comes_in_by_the_old_system(change: dict[str, object]) -> None:
    """Nor does the old system's word at the end of a conversation lift a lock of ours."""
    user = replace(FRESH, **change)  # type: ignore[arg-type]
    question = opened(question_of(MIGRATION, user).outcome)
    outcome = then(MIGRATION, user, passes(), question, b"123456").outcome
    assert isinstance(outcome, (Challenge, Reject))


# --- the way of a question -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rules", "user"), SITES.values(), ids=SITES.keys())
@pytest.mark.parametrize("hidden", [True, False])
def test_its_question_is_passed_on(rules: Rules, user: User, hidden: bool) -> None:
    """In its own words, hidden if it says so; our State is ours, and its own State stays here."""
    relay = Relay("Old code: ", b"\0upstream\xff", "192.0.2.1:1812", hidden)
    outcome = asked_again(first(rules, user, lambda _: PrimaryAnswer(Verdict.CHALLENGED, relay=relay)))
    assert (outcome.prompt, outcome.hidden, outcome.reason) == ("Old code: ", hidden, Reason.UPSTREAM_ASKS)
    pending = opened(outcome)
    assert (pending.kind, pending.relay, pending.backend) == (ChallengeKind.UPSTREAM, relay, OLD.name)
    assert not pending.password_passed
    assert outcome.state == pending.handle
    assert b"upstream" not in bytes.fromhex(pending.handle)
    assert [type(effect) for effect in outcome.effects] == [OpenChallenge]


@pytest.mark.parametrize(("rules", "user"), SITES.values(), ids=SITES.keys())
@pytest.mark.parametrize("text", [b"123456", b"", PASSWORD + hotp(0), b"SCRV1:aGk=:MTIzNDU2", b"\xff\xfe"])
@pytest.mark.parametrize("flow", [Flow.CHALLENGE, Flow.AUTO])
def test_the_answer_goes_back_whole_with_its_state(rules: Rules, user: User, text: bytes, flow: Flow) -> None:
    """Whatever is typed, empty or like something of ours, to the same backend and with what it must carry back."""
    question = opened(question_of(rules, user, flow=flow).outcome)
    decided = then(rules, user, lambda _: asks("Again: ", b"second"), question, text, flow)
    (need,) = decided.questions
    assert (need.password, need.backend, need.relay) == (text, OLD.name, question.relay)
    again = asked_again(decided)
    assert again.effects[0] == CloseChallenge(question.handle, NOW)
    assert opened(again).relay == asks("Again: ", b"second").relay
    assert opened(again).login == question.login


@pytest.mark.parametrize("flow", [Flow.CHALLENGE, Flow.APPEND, Flow.PREPEND, Flow.AUTO])
@pytest.mark.parametrize("text", [b"hunter2123456", b"SCRV1:aGk=:MTIzNDU2", b"123456"])
def test_what_is_typed_for_the_old_system_is_not_taken_apart(flow: Flow, text: bytes) -> None:
    """Passwords with its codes behind them are its business: it gets the whole text."""
    decided = first(MIGRATION, FRESH, says(password=text), text, flow)
    assert decided.asked == (text,)
    assert accepted(decided).reason is Reason.UPSTREAM


@pytest.mark.parametrize("questions", [0, 1, 2, MOST])
@pytest.mark.parametrize("user", [None, FRESH], ids=["a stranger", "known"])
def test_its_accept_is_ours_with_its_attributes(user: User | None, questions: int) -> None:
    """Somebody without a token of ours is let in by it, after as many questions as it likes, with what it wants."""
    heard = iter([*(asks(f"{n}: ") for n in range(questions)), PrimaryAnswer(Verdict.PASSED, attributes=FILTER_ID)])
    decided = rounds(MIGRATION, user, lambda _: next(heard))
    assert len(decided) == questions + 1
    outcome = accepted(decided[-1])
    assert (outcome.reason, outcome.token, outcome.passed_on) == (Reason.UPSTREAM, None, FILTER_ID)
    if user is None:
        assert outcome.effects[0] == AddAccount("alice", "ldap", None, (), NOW, admitted=True, without_kin=True)
    else:
        assert outcome.effects[0] == NoteLogin(FRESH.id, NOW, unenrolled=True)
    closed = [effect for effect in outcome.effects if isinstance(effect, CloseChallenge)]
    assert len(closed) == min(questions, 1)


def test_migration_may_be_for_a_group() -> None:
    """Groups are what the person's own directory says; the old system's answer, which has none, changes no rule."""
    rules = site(
        Rule("staff", groups=frozenset({"staff"}), enrolment=Enrolment(upstream="old", until=UNTIL)), Rule("all")
    )
    for account in (None, Account(), Account("old-7", ("other",))):
        outcome = accepted(first(rules, FRESH, passes(account)))
        assert (outcome.reason, outcome.groups) == (Reason.UPSTREAM, ("staff",))


def test_what_the_old_system_calls_groups_chooses_no_rule_of_ours() -> None:
    """Its people get neither the rule nor the reply of a group of ours because it calls something by that name."""
    admins = Rule("admins", groups=frozenset({"admins"}), enrolment=Enrolment(upstream="old"))
    rules = site(admins, Rule("all", enrolment=Enrolment(upstream="old")))
    outcome = accepted(first(rules, replace(FRESH, groups=()), says(Account("old-7", ("admins",)))))
    assert outcome.groups == ()


# --- with a token of ours behind it ----------------------------------------------------------------------------------


@pytest.mark.parametrize("questions", [0, 1, 3])
def test_after_its_word_our_own_code_is_asked_for(questions: int) -> None:
    """A server that checks passwords for everybody lets nobody in: the question for our code follows, then the Accept.

    What it wants in the Accept is carried along, and is the same as without a question of ours.
    """
    heard = iter([*(asks(f"{n}: ") for n in range(questions)), PrimaryAnswer(Verdict.PASSED, attributes=FILTER_ID)])
    ask: Ask = lambda _: next(heard)  # noqa: E731 - one line says it
    decided = first(BEHIND, MOVED, ask)
    for packet in range(questions):
        decided = then(BEHIND, MOVED, ask, opened(decided.outcome), b"1", nonce=NONCES[packet + 1])
    question = opened(decided.outcome)
    assert (question.kind, question.password_passed, question.reply) == (ChallengeKind.CODE, True, FILTER_ID)
    assert question.relay is None
    wrong = opened(then(BEHIND, MOVED, is_silent, question, WRONG, nonce=NONCES[9]).outcome)
    assert wrong.reply == FILTER_ID
    for to in (question, wrong):
        outcome = accepted(then(BEHIND, MOVED, is_silent, to, hotp(1), nonce=NONCES[10]))
        assert outcome.passed_on == FILTER_ID
        assert outcome.effects == (
            AdvanceMovingFactor(HOTP.id, OWNER.id, COUNTER + 2, 0, NOW),
            CloseChallenge(to.handle, NOW),
        )


def answer_with_groups(groups: tuple[str, ...]) -> Ask:
    """A directory that says groups and wants an attribute."""
    return says(Account("id-1", groups), attributes=FILTER_ID)


@pytest.mark.parametrize("groups", [("staff",), ("ops", "staff"), ()])
def test_the_same_attributes_with_and_without_a_challenge(groups: tuple[str, ...]) -> None:
    """Rule, groups and upstream say the same in the Accept, in one packet or in two."""
    rules = site(Rule("ops", groups=frozenset({"ops"})), Rule("all"))
    ask = answer_with_groups(groups)
    at_once = accepted(first(rules, OWNER, ask, PASSWORD + hotp(0), Flow.APPEND))
    question = asked_again(first(rules, OWNER, ask))
    noted = [effect for effect in question.effects if isinstance(effect, NoteAccount)]
    # what the store has made of it meanwhile
    user = replace(OWNER, groups=noted[0].groups or ()) if noted else OWNER
    in_two = accepted(then(rules, user, is_silent, opened(question), hotp(0)))
    assert (in_two.reply, in_two.passed_on, in_two.groups) == (at_once.reply, at_once.passed_on, at_once.groups)
    assert at_once.passed_on == FILTER_ID
    assert at_once.groups == groups


def test_a_wrong_password_carries_nothing_along() -> None:
    """What an upstream server would want said of somebody else's login is not in a question that is doomed."""
    rules = site(Rule("all", ask_always=True), primary=OLD)
    question = opened(first(rules, MOVED, lambda _: PrimaryAnswer(Verdict.REFUSED, attributes=FILTER_ID)).outcome)
    assert (question.doomed, question.reply) == (True, ())


def test_somebody_elses_question_is_never_ours_to_answer() -> None:
    """Only the backend that has asked gets the answer, although another one is the site's own by now."""
    moved_on = site(Rule("all"), primary=LDAP)
    question: PendingChallenge = opened(question_of(MIGRATION, FRESH).outcome)
    assert then(moved_on, FRESH, passes(), question, b"123456").questions[0].backend == OLD.name
    gone = replace(moved_on, backends={})
    outcome = then(gone, FRESH, refuses(), question, b"123456").outcome
    assert not isinstance(outcome, Accept)


def test_another_backend_of_the_same_name_is_the_same() -> None:
    """A question is bound to the name, as settings read anew keep it."""
    renamed = replace(MIGRATION, backends={"old": Backend("old", looks_up=True)})
    question = opened(question_of(MIGRATION, FRESH).outcome)
    assert accepted(then(renamed, FRESH, passes(STAFF), question, b"1")).reason is Reason.UPSTREAM
    assert ALICE.source != "old"
