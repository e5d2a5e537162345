"""Accounts of a directory: who somebody is there, and when a rule lets them in without a token.

Refusals first: whoever ever had a token, is locked or disabled, or is somebody else in the directory than before, does
not get in by a password alone, nor with another one's token. RFC 4530 (entryUUID).
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
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
    Known,
    NoteAccount,
    NoteLogin,
    Reason,
    RecordCallerFailure,
    Reject,
    Silence,
    TokenState,
    User,
    Verdict,
)
from radiusd2fa.core.rules import LOCAL, NOBODY, Enrolment, Rule, Rules, Skip

from .directory import (
    CALLER,
    FRESH,
    LDAP,
    OLD,
    OWNER,
    STAFF,
    accepted,
    asked_again,
    first,
    is_silent,
    packet,
    refused,
    refuses,
    says,
    site,
    then,
)
from .facts import ALICE, COUNTER, HOTP, NOW, PASSWORD, WRONG, Ask, hotp, opened, run

UNTIL: Final = NOW + 100
OFFICE: Final = ip_network("192.0.2.0/24")

OFF: Final = Rule("all", enrolment=Enrolment(required=False))
GRACE: Final = Rule("all", enrolment=Enrolment(required=False, until=UNTIL))
UPSTREAM: Final = Rule("all", enrolment=Enrolment(upstream="old", until=UNTIL))
UPSTREAM_FOR_EVER: Final = Rule("all", enrolment=Enrolment(upstream="old"))
SKIPS: Final = Rule("all", skip=Skip((OFFICE,), UNTIL))
REQUIRED: Final = Rule("all")

WAIVERS: Final = {
    "off": (OFF, Reason.NOT_ENROLLED),
    "grace": (GRACE, Reason.GRACE),
    "upstream": (UPSTREAM, Reason.UPSTREAM),
    "upstream for ever": (UPSTREAM_FOR_EVER, Reason.UPSTREAM),
    "skip": (SKIPS, Reason.SKIPPED),
}
"""Rules that ask for no second factor, and what an Accept says of it."""
FOR_NEWCOMERS: Final = {name: WAIVERS[name] for name in WAIVERS if name != "skip"}

RETIRED: Final = replace(OWNER, tokens=(replace(HOTP, state=TokenState.REVOKED),))
SHUT_OUT: Final = {
    "disabled": replace(FRESH, enabled=False),
    "locked": replace(FRESH, locked_until=NOW + 0.001),
    "disabled, with a token": replace(OWNER, enabled=False),
    "locked, with a token": replace(OWNER, locked_until=NOW + 0.001),
}
ENROLLED: Final = {
    "a token": OWNER,
    "a revoked token": RETIRED,
    "a lost token": replace(OWNER, tokens=(replace(HOTP, state=TokenState.LOST),)),
    "a token that is over": replace(OWNER, tokens=(replace(HOTP, valid_until=NOW),)),
    "once had one": replace(OWNER, tokens=()),
}


# --- a password that is not enough -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("rule", "_reason"), FOR_NEWCOMERS.values(), ids=FOR_NEWCOMERS.keys())
@pytest.mark.parametrize("user", ENROLLED.values(), ids=ENROLLED.keys())
@pytest.mark.parametrize("flow", [Flow.CHALLENGE, Flow.AUTO])
def test_whoever_ever_had_a_token_never_gets_in_without_one(
    rule: Rule, _reason: Reason, user: User, flow: Flow
) -> None:
    """Losing the token, or taking it back, makes nobody a newcomer: the password leads to the question."""
    outcome = asked_again(first(site(rule), user, says(), flow=flow))
    assert opened(outcome).kind is ChallengeKind.CODE
    assert refused(then(site(rule), user, says(), replace(opened(outcome), tries=1), WRONG))


@pytest.mark.parametrize(("rule", "_reason"), FOR_NEWCOMERS.values(), ids=FOR_NEWCOMERS.keys())
@pytest.mark.parametrize("user", ENROLLED.values(), ids=ENROLLED.keys())
@pytest.mark.parametrize("flow", [Flow.APPEND, Flow.PREPEND])
def test_nor_where_password_and_code_come_together(rule: Rule, _reason: Reason, user: User, flow: Flow) -> None:
    """The password with nothing or a wrong code beside it is refused."""
    for text in (PASSWORD, PASSWORD + WRONG, WRONG + PASSWORD):
        assert isinstance(first(site(rule), user, says(), text, flow).outcome, Reject)


@pytest.mark.parametrize(("rule", "_reason"), WAIVERS.values(), ids=WAIVERS.keys())
@pytest.mark.parametrize("user", SHUT_OUT.values(), ids=SHUT_OUT.keys())
@pytest.mark.parametrize("flow", list(Flow))
def test_nobody_locked_or_disabled_gets_in_by_a_password(rule: Rule, _reason: Reason, user: User, flow: Flow) -> None:
    """No rule waives anything for them, and no code does: whatever the packet, and whatever comes after it."""
    for text in (PASSWORD, PASSWORD + hotp(0), hotp(0) + PASSWORD, hotp(0), b""):
        outcome = first(site(rule), user, says(), text, flow).outcome
        assert isinstance(outcome, (Challenge, Reject))
        if isinstance(outcome, Challenge):
            after = then(site(rule), user, says(), opened(outcome), text or PASSWORD, flow).outcome
            assert isinstance(after, (Challenge, Reject))


def test_a_lock_that_is_just_over_shuts_nobody_out() -> None:
    """At the very moment at which the lock ends the rule counts again."""
    assert accepted(first(site(OFF), replace(FRESH, locked_until=NOW), says())).reason is Reason.NOT_ENROLLED


@pytest.mark.parametrize(("rule", "_reason"), WAIVERS.values(), ids=WAIVERS.keys())
@pytest.mark.parametrize("user", [None, FRESH], ids=["unknown", "known"])
@pytest.mark.parametrize("flow", [Flow.CHALLENGE, Flow.APPEND, Flow.PREPEND, Flow.AUTO])
def test_a_wrong_password_is_refused_whatever_the_rule_waives(
    rule: Rule, _reason: Reason, user: User | None, flow: Flow
) -> None:
    """It counts against the caller, and nobody is noted."""
    outcome = refused(first(site(rule), user, says(password=b"another"), flow=flow))
    assert outcome.reason in {Reason.WRONG_PASSWORD, Reason.UNKNOWN_USER}
    assert outcome.effects == (RecordCallerFailure("vpn", CALLER, NOW, 100, 600.0),)


@pytest.mark.parametrize(("rule", "_reason"), WAIVERS.values(), ids=WAIVERS.keys())
@pytest.mark.parametrize("flow", list(Flow))
@pytest.mark.parametrize(
    "user", [None, replace(FRESH, source="local"), OWNER], ids=["unknown", "known", "with a token"]
)
def test_a_backend_that_checks_nothing_lets_nobody_in_by_a_password(
    rule: Rule, _reason: Reason, user: User | None, flow: Flow
) -> None:
    """`none` passes everything, so what it passes is no proof: no rule waives anything there."""
    nobody = site(replace(rule, enrolment=replace(rule.enrolment, upstream=None)), primary=NOBODY)
    for text in (PASSWORD, PASSWORD + WRONG, WRONG + PASSWORD):
        outcome = first(nobody, user, says(None), text, flow).outcome
        assert not isinstance(outcome, Accept)
        if isinstance(outcome, Challenge):
            assert not isinstance(then(nobody, user, says(None), opened(outcome), PASSWORD, flow).outcome, Accept)


@pytest.mark.parametrize(("rule", "_reason"), WAIVERS.values(), ids=WAIVERS.keys())
@pytest.mark.parametrize("user", [None, FRESH, OWNER], ids=["unknown", "known", "with a token"])
def test_where_the_code_is_all_there_is_nothing_waives_it(rule: Rule, _reason: Reason, user: User | None) -> None:
    """In code-only flow nobody's password is a reason to let them in, not even an upstream's."""
    outcome = first(site(rule), user, says(), PASSWORD, Flow.CODE_ONLY).outcome
    assert not isinstance(outcome, Accept)
    if isinstance(outcome, Challenge):
        after = then(site(rule), user, says(), opened(outcome), PASSWORD, Flow.CODE_ONLY).outcome
        assert not isinstance(after, Accept)


def test_whom_no_rule_fits_has_no_waiver() -> None:
    """Neither a stranger nor a newcomer gets in where no rule speaks about them."""
    for user in (None, FRESH):
        outcome = asked_again(first(site(replace(OFF, groups=frozenset({"others"}))), user, says()))
        assert opened(outcome).rule == ""
        assert isinstance(then(site(), FRESH, says(), opened(outcome), WRONG).outcome, (Challenge, Reject))


# --- until when ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [None, FRESH], ids=["unknown", "known"])
@pytest.mark.parametrize(("rule", "reason"), [WAIVERS["grace"], WAIVERS["upstream"]], ids=["grace", "upstream"])
@pytest.mark.parametrize("late", [0.0, 0.001, 1e9])
def test_grace_ends_to_the_second(rule: Rule, reason: Reason, user: User | None, late: float) -> None:
    """The moment that the rule names is over already; a thousandth before it is not."""
    assert accepted(first(site(rule), user, says(), now=UNTIL - 0.001)).reason is reason
    assert not isinstance(first(site(rule), user, says(), now=UNTIL + late).outcome, Accept)


@pytest.mark.parametrize("user", [None, FRESH, OWNER], ids=["unknown", "known", "with a token"])
def test_skipping_ends_to_the_second(user: User | None) -> None:
    """So does the network where nobody is asked for a code."""
    assert accepted(first(site(SKIPS), user, says(), now=UNTIL - 0.001)).reason is Reason.SKIPPED
    assert opened(first(site(SKIPS), user, says(), now=UNTIL).outcome).kind is ChallengeKind.CODE


def test_the_end_counts_at_the_last_packet() -> None:
    """A question for the password that was put in time and is answered too late leads to the code."""
    for rule in (GRACE, SKIPS):
        question = opened(first(site(rule), FRESH, says(), b"", now=UNTIL - 1).outcome)
        assert question.kind is ChallengeKind.PASSWORD
        assert accepted(then(site(rule), FRESH, says(), question, PASSWORD, now=UNTIL - 0.5)).token is None
        assert asked_again(then(site(rule), FRESH, says(), question, PASSWORD, now=UNTIL))


@pytest.mark.parametrize(
    "caller",
    ["", "192.0.3.7", "2001:db8::1", "00-11-22-33-44-55", "+4930123456", "192.0.2.7 ", "192.0.2.0/24", "::c000:207"],
)
@pytest.mark.parametrize("flow", [Flow.CHALLENGE, Flow.APPEND, Flow.AUTO])
@pytest.mark.parametrize("user", [None, FRESH, OWNER], ids=["unknown", "known", "with a token"])
def test_nothing_is_skipped_for_whoever_calls_from_elsewhere(user: User | None, flow: Flow, caller: str) -> None:
    """Nor for whom nobody knows where they call from: no address, a MAC, a telephone, another network."""
    assert not isinstance(first(site(SKIPS), user, says(), flow=flow, caller=caller).outcome, Accept)


@pytest.mark.parametrize("caller", ["192.0.2.0", "192.0.2.255", "192.0.2.7:4500", "::ffff:192.0.2.7"])
@pytest.mark.parametrize("flow", [Flow.CHALLENGE, Flow.APPEND, Flow.PREPEND, Flow.AUTO])
def test_in_the_named_network_the_password_is_enough(caller: str, flow: Flow) -> None:
    """Also for whoever has a token: it is noted that none was asked for, and the token is not touched."""
    outcome = accepted(first(site(SKIPS), OWNER, says(), flow=flow, caller=caller))
    assert (outcome.reason, outcome.token) == (Reason.SKIPPED, None)
    assert outcome.effects == (NoteLogin(OWNER.id, NOW, unenrolled=False),)


# --- who gets in without a token, and what is noted ------------------------------------------------------------------


@pytest.mark.parametrize(("rule", "reason"), FOR_NEWCOMERS.values(), ids=FOR_NEWCOMERS.keys())
@pytest.mark.parametrize("flow", [Flow.CHALLENGE, Flow.APPEND, Flow.PREPEND, Flow.AUTO])
def test_a_newcomer_of_the_store_gets_in_and_is_noted(rule: Rule, reason: Reason, flow: Flow) -> None:
    """The note holds only while they have no token: it is what a token that was given meanwhile would break."""
    outcome = accepted(first(site(rule), FRESH, says(), flow=flow))
    assert (outcome.reason, outcome.token) == (reason, None)
    assert outcome.effects == (NoteLogin(FRESH.id, NOW, unenrolled=True),)


@pytest.mark.parametrize(("rule", "reason"), WAIVERS.values(), ids=WAIVERS.keys())
def test_a_stranger_whom_the_directory_knows_is_added_and_let_in(rule: Rule, reason: Reason) -> None:
    """The account is added as the directory's, and lets in only if nobody of that name came to be meanwhile."""
    outcome = accepted(first(site(rule), None, says()))
    assert (outcome.reason, outcome.token) == (reason, None)
    added = AddAccount(
        "alice", "ldap", "id-1", ("staff",), NOW, admitted=True, without_kin=reason is not Reason.SKIPPED
    )
    if rule.enrolment.upstream:  # what the old system says of its people is not ours
        added = replace(added, directory_id=None, groups=())
    assert outcome.effects[0] == added
    assert not any(isinstance(effect, AddAccount) for effect in outcome.effects[1:])


def test_the_password_question_is_spent_with_the_accept() -> None:
    """Whoever is let in by the answer to a question cannot be let in by it twice."""
    for user in (FRESH, None):
        question = opened(first(site(OFF), user, says(), b"").outcome)
        outcome = accepted(then(site(OFF), user, says(), question, PASSWORD))
        assert CloseChallenge(question.handle, NOW) in outcome.effects
        assert isinstance(outcome.effects[0], (NoteLogin, AddAccount))


@pytest.mark.parametrize("flow", [Flow.APPEND, Flow.PREPEND, Flow.AUTO])
@pytest.mark.parametrize("password", [b"hunter123456", b"123456hunter", b"123456", b"12345678901234"])
def test_a_newcomers_password_may_look_like_a_code(flow: Flow, password: bytes) -> None:
    """Where no code need be there, the whole text is tried as the password too."""
    assert accepted(first(site(OFF), FRESH, says(password=password), password, flow)).reason is Reason.NOT_ENROLLED


@pytest.mark.parametrize("flow", [Flow.APPEND, Flow.AUTO])
def test_whoever_types_a_code_is_judged_by_it(flow: Flow) -> None:
    """A wrong code behind the right password is refused although the password alone would have been enough."""
    for user in (FRESH, OWNER):
        rule = OFF if user is FRESH else SKIPS
        assert isinstance(first(site(rule), user, says(), PASSWORD + WRONG, flow).outcome, Reject)
    assert accepted(first(site(SKIPS), OWNER, says(), PASSWORD + hotp(0), flow)).token == HOTP


def test_a_token_goes_on_working_where_none_is_asked_for() -> None:
    """An enrolled person under a rule for newcomers logs in by code as anywhere."""
    for rule, _ in FOR_NEWCOMERS.values():
        question = opened(first(site(rule), OWNER, says()).outcome)
        assert accepted(then(site(rule), OWNER, says(), question, hotp(0))).token == HOTP


# --- whose account that is -------------------------------------------------------------------------------------------

SOMEBODY_ELSE: Final = {
    "another id": (OWNER, says(Account("id-2", ("staff",))), None, Reason.ACCOUNT_REPLACED),
    "an id in other letters": (OWNER, says(Account("ID-1", ("staff",))), None, Reason.ACCOUNT_REPLACED),
    "no id any more": (OWNER, says(Account(None, ("staff",))), None, Reason.ACCOUNT_REPLACED),
    "no account any more": (OWNER, says(None), None, Reason.ACCOUNT_REPLACED),
    "known here under another name": (OWNER, says(), "alison", Reason.ACCOUNT_RENAMED),
    "a stranger known under another name": (None, says(), "alison", Reason.ACCOUNT_RENAMED),
    "unbound, known under another name": (replace(OWNER, directory_id=None), says(), "alison", Reason.ACCOUNT_RENAMED),
    "a local account": (ALICE, says(), None, Reason.ACCOUNT_ELSEWHERE),
    "an account of another directory": (replace(OWNER, source="ldap2"), says(), None, Reason.ACCOUNT_ELSEWHERE),
    "a newcomer's with another id": (FRESH, says(Account("id-2")), None, Reason.ACCOUNT_REPLACED),
}
"""Whom the store knows, what the directory says, under which other name the account is known, and why it is refused."""

Somebody = tuple[User | None, Ask, str | None, Reason]


@pytest.mark.parametrize("case", SOMEBODY_ELSE.values(), ids=SOMEBODY_ELSE.keys())
@pytest.mark.parametrize("rule", [REQUIRED, OFF, SKIPS], ids=["required", "off", "skip"])
@pytest.mark.parametrize("flow", [Flow.CHALLENGE, Flow.APPEND, Flow.AUTO])
def test_another_person_of_the_same_name_inherits_nothing(case: Somebody, rule: Rule, flow: Flow) -> None:
    """Neither the token nor the waiver: the right password and the right code are refused, and nothing is noted."""
    user, ask, namesake, reason = case
    for text in (PASSWORD, PASSWORD + hotp(0)):
        if flow is Flow.CHALLENGE and text != PASSWORD:
            continue
        outcome = refused(first(site(rule), user, ask, text, flow, namesake=namesake))
        assert outcome.reason is reason
        assert outcome.effects == (RecordCallerFailure("vpn", CALLER, NOW, 100, 600.0),)


@pytest.mark.parametrize(("rule", "_reason"), FOR_NEWCOMERS.values(), ids=FOR_NEWCOMERS.keys())
@pytest.mark.parametrize("user", [None, FRESH], ids=["unknown", "known"])
@pytest.mark.parametrize("flow", [Flow.CHALLENGE, Flow.APPEND, Flow.PREPEND, Flow.AUTO])
def test_whoever_may_be_somebody_with_a_token_is_no_newcomer(
    rule: Rule, _reason: Reason, user: User | None, flow: Flow
) -> None:
    """What is waived for people without a token is not waived under another spelling of the name of one who has it."""
    outcome = refused(run(packet(PASSWORD, flow), Known(user=user, has_kin=True), says(), rules=site(rule)))
    assert outcome.reason is Reason.ACCOUNT_RENAMED
    assert outcome.effects == (RecordCallerFailure("vpn", CALLER, NOW, 100, 600.0),)


@pytest.mark.parametrize("rule", [REQUIRED, OFF, GRACE])
def test_kin_shuts_nobody_out_who_has_a_token_or_needs_one(rule: Rule) -> None:
    """Where a code is wanted all the same, who is called like whom is no reason to refuse."""
    assert asked_again(run(packet(PASSWORD), Known(user=OWNER, has_kin=True), says(), rules=site(rule)))
    for user in (None, FRESH):
        assert asked_again(run(packet(PASSWORD), Known(user=user, has_kin=True), says(), rules=site(REQUIRED)))
        over = run(packet(PASSWORD), Known(user=user, has_kin=True), says(), rules=site(GRACE), now=UNTIL)
        assert asked_again(over)


TWO_READINGS: Final = (
    "alice@x\\bob",
    "alice@x@y",
    "a\\b\\alice",
    "alice@",
    "\\alice",
    "al\u00efce",
    "al ice",
    "alice+x",
)
"""Names of which each system makes what it likes."""


@pytest.mark.parametrize("name", TWO_READINGS)
@pytest.mark.parametrize("account", [None, Account(None, ("staff",))], ids=["no account", "no id"])
@pytest.mark.parametrize("rule", [REQUIRED, OFF, GRACE, UPSTREAM, SKIPS])
def test_a_name_with_two_readings_is_nobody_new_without_an_id(rule: Rule, account: Account | None, name: str) -> None:
    """Whom a backend means by it only its id could tell; with one they are as good as anybody."""
    outcome = refused(run(packet(PASSWORD, name=name), Known(), says(account), rules=site(rule)))
    assert outcome.reason is Reason.ACCOUNT_AMBIGUOUS
    assert not any(isinstance(effect, AddAccount) for effect in outcome.effects)
    assert not isinstance(run(packet(PASSWORD, name=name), Known(), says(), rules=site(rule)).outcome, Reject)


def test_the_same_name_is_no_namesake() -> None:
    """An account known under the very name that was typed is nobody else's."""
    assert asked_again(first(site(), OWNER, says(), namesake="alice"))


REFUSALS: Final = (
    Reason.ACCOUNT_UNKNOWN,
    Reason.ACCOUNT_AMBIGUOUS,
    Reason.ACCOUNT_LOCKED,
    Reason.ACCOUNT_DISABLED,
    Reason.ACCOUNT_EXPIRED,
    Reason.PASSWORD_EXPIRED,
    Reason.EMPTY_PASSWORD,
)


@pytest.mark.parametrize("reason", REFUSALS)
@pytest.mark.parametrize("flow", [Flow.CHALLENGE, Flow.APPEND, Flow.AUTO])
@pytest.mark.parametrize("user", [None, FRESH, OWNER], ids=["unknown", "known", "with a token"])
def test_why_the_directory_refuses_is_for_the_log_alone(user: User | None, flow: Flow, reason: Reason) -> None:
    """Two entries for one name, an expired password, a locked account: a refusal like any other, with its reason."""
    for rule in (REQUIRED, OFF, SKIPS):
        outcome = refused(first(site(rule), user, refuses(reason), PASSWORD + hotp(0), flow))
        assert outcome == Reject(reason, (RecordCallerFailure("vpn", CALLER, NOW, 100, 600.0),))


# --- what is remembered ----------------------------------------------------------------------------------------------


def notes(user: User | None, account: Account | None, rule: Rule = REQUIRED) -> list[object]:
    """What a right password leaves in the store about the account."""
    outcome = first(site(rule), user, says(account)).outcome
    assert isinstance(outcome, (Accept, Challenge))
    return [effect for effect in outcome.effects if isinstance(effect, (AddAccount, NoteAccount))]


def test_nothing_is_noted_when_nothing_has_changed() -> None:
    """A login of somebody known, in the groups that are known, writes nothing about them."""
    assert notes(OWNER, STAFF) == []
    assert notes(FRESH, STAFF, OFF) == []
    assert notes(replace(OWNER, directory_id=None), None) == []
    assert notes(OWNER, Account("id-1", None)) == []
    assert notes(replace(OWNER, directory_id=None), Account()) == []


def test_what_has_changed_is_noted() -> None:
    """The id when it was not known yet, and the groups as they are now."""
    assert notes(OWNER, Account("id-1", ())) == [NoteAccount(OWNER.id, "id-1", ())]
    assert notes(OWNER, Account("id-1", ("ops",))) == [NoteAccount(OWNER.id, "id-1", ("ops",))]
    unbound = replace(OWNER, directory_id=None)
    assert notes(unbound, STAFF) == [NoteAccount(OWNER.id, "id-1", ("staff",))]
    assert notes(unbound, Account("id-1")) == [NoteAccount(OWNER.id, "id-1", None)]
    assert notes(unbound, Account(None, ("ops",))) == [NoteAccount(OWNER.id, None, ("ops",))]


def test_a_stranger_is_added_with_the_question_and_not_let_in() -> None:
    """First use: the account comes to be when the directory has passed the password, and gets the question."""
    assert notes(None, STAFF) == [AddAccount("alice", "ldap", "id-1", ("staff",), NOW)]
    assert notes(None, None) == notes(None, Account()) == [AddAccount("alice", "ldap", None, (), NOW)]


@pytest.mark.parametrize("flow", [Flow.APPEND, Flow.AUTO])
def test_what_has_changed_is_noted_with_code_and_password_together(flow: Flow) -> None:
    """With the Accept, and with the refusal of a wrong code too: the password was right."""
    ops = says(Account("id-1", ("ops",)))
    outcome = accepted(first(site(), OWNER, ops, PASSWORD + hotp(0), flow))
    assert outcome.effects == (
        AdvanceMovingFactor(HOTP.id, OWNER.id, COUNTER + 1, 0, NOW),
        NoteAccount(OWNER.id, "id-1", ("ops",)),
    )
    wrong = refused(first(site(), OWNER, ops, PASSWORD + WRONG, flow))
    assert NoteAccount(OWNER.id, "id-1", ("ops",)) in wrong.effects


def test_a_stranger_answers_the_question_as_the_person_they_have_become() -> None:
    """The question was put before the store knew them; the answer finds an account, and still no token."""
    question = opened(first(site(), None, says()).outcome)
    assert (question.user_id, question.password_passed) == (None, True)
    assert refused(then(site(), FRESH, says(), replace(question, tries=1), WRONG)).reason is Reason.NO_TOKEN
    assert refused(then(site(), None, says(), replace(question, tries=1), WRONG)).reason is Reason.UNKNOWN_USER


def test_a_strangers_question_is_nobodys_who_has_a_token() -> None:
    """Had somebody of that name been given a token meanwhile, the question would not be theirs."""
    question = opened(first(site(), None, says()).outcome)
    assert refused(then(site(), OWNER, says(), question, hotp(0))) == Reject(Reason.CHALLENGE_UNKNOWN)
    unproved = replace(question, password_passed=False)
    for flow in Flow:
        assert refused(then(site(), FRESH, says(), unproved, hotp(0), flow)) == Reject(Reason.CHALLENGE_UNKNOWN)


def test_local_accounts_are_never_made_by_a_login() -> None:
    """Passwords of our own belong to accounts that exist: nothing is added, noted or renamed."""
    user = replace(ALICE, tokens=(), enrolled=False)
    outcome = accepted(first(site(OFF, primary=LOCAL), user, says(None)))
    assert outcome.effects == (NoteLogin(user.id, NOW, unenrolled=True),)


def test_the_old_system_makes_accounts_of_the_usual_backend() -> None:
    """Whoever it lets in first will have their password checked by the directory once they have a token of ours."""
    for usual in (LDAP, LOCAL):
        rules = site(UPSTREAM, primary=usual)
        outcome = accepted(first(rules, None, says(Account("old-7", ("old group",)))))
        assert outcome.effects[0] == AddAccount("alice", usual.name, None, (), NOW, admitted=True, without_kin=True)


def test_the_old_system_rebinds_nobody() -> None:
    """What it says of ids and groups is its own business: the directory's person stays who they are."""
    outcome = accepted(first(site(UPSTREAM), FRESH, says(Account("old-7", ("old group",)))))
    assert outcome.effects == (NoteLogin(FRESH.id, NOW, unenrolled=True),)


def test_who_is_asked_about_whom() -> None:
    """The old system about those who never had a token of ours and until its end; the usual one about all others."""
    assert first(site(UPSTREAM), FRESH, says()).questions[0].backend == OLD.name
    assert first(site(UPSTREAM), None, says()).questions[0].backend == OLD.name
    assert first(site(UPSTREAM), OWNER, says()).questions[0].backend == LDAP.name
    assert first(site(UPSTREAM), RETIRED, says()).questions[0].backend == LDAP.name
    assert first(site(UPSTREAM), FRESH, says(), now=UNTIL).questions[0].backend == LDAP.name


# --- where no password is checked ------------------------------------------------------------------------------------

CODE_ONLY: Final = (site(), Flow.CODE_ONLY, hotp(0), WRONG)
UNCHECKED: Final = (site(primary=NOBODY), Flow.APPEND, b"whatever" + hotp(0), b"whatever" + WRONG)
ALONE: Final = {"code-only": CODE_ONLY, "nobody checks passwords": UNCHECKED}

Alone = tuple[Rules, Flow, bytes, bytes]


def passing(ask: Ask, case: Alone) -> Ask:
    """What is asked where nobody checks passwords: `none` about the password, the directory about the account."""
    return ask if case is CODE_ONLY else lambda asked: Verdict.PASSED if asked is not None else ask(asked)


@pytest.mark.parametrize("case", ALONE.values(), ids=ALONE.keys())
def test_the_directory_is_asked_whatever_the_code_is(case: Alone) -> None:
    """A directory that does not answer is silence for a right code as for a wrong one: no code can be tried out."""
    rules, flow, right, wrong = case
    ask = passing(says(), case)
    for user in (OWNER, replace(OWNER, enabled=False)):
        assert first(rules, user, ask, wrong, flow).looked_up == ("ldap",)
        assert first(rules, user, ask, right, flow).looked_up == ("ldap",)
    down = passing(lambda _: Verdict.UNAVAILABLE, case)
    for code in (right, wrong):
        assert first(rules, OWNER, down, code, flow).outcome == Silence(Reason.PRIMARY_UNAVAILABLE)


def test_strangers_are_looked_up_too() -> None:
    """Where the directory checks passwords elsewhere, somebody whom we do not know is silence with it as well."""
    rules, flow, right, wrong = CODE_ONLY
    down: Ask = lambda _: Verdict.UNAVAILABLE  # noqa: E731 - one line says it
    for code in (right, wrong):
        assert first(rules, None, down, code, flow).outcome == Silence(Reason.PRIMARY_UNAVAILABLE)
    assert refused(first(rules, None, refuses(), right, flow)).reason is Reason.UNKNOWN_USER


GONE: Final = {
    "vanished": (refuses(), Reason.ACCOUNT_UNKNOWN),
    "disabled": (refuses(Reason.ACCOUNT_DISABLED), Reason.ACCOUNT_DISABLED),
    "ambiguous": (refuses(Reason.ACCOUNT_AMBIGUOUS), Reason.ACCOUNT_AMBIGUOUS),
    "replaced": (says(Account("id-2", ("staff",))), Reason.ACCOUNT_REPLACED),
    "no id any more": (says(None), Reason.ACCOUNT_REPLACED),
}


@pytest.mark.parametrize("case", ALONE.values(), ids=ALONE.keys())
@pytest.mark.parametrize(("ask", "reason"), GONE.values(), ids=GONE.keys())
def test_whoever_left_the_directory_does_not_get_in_by_a_code(ask: Ask, reason: Reason, case: Alone) -> None:
    """Disabled or vanished there is refused here, with the right code, which is not spent.

    The answer to a question is asked for again, as anybody's wrong one: nobody learns who has left.
    """
    rules, flow, right, _ = case
    outcome = refused(first(rules, OWNER, passing(ask, case), right, flow))
    assert outcome.reason is reason
    assert {type(effect) for effect in outcome.effects} <= {RecordCallerFailure}
    question = opened(first(rules, OWNER, passing(ask, case), b"", flow).outcome) if flow is Flow.CODE_ONLY else None
    if question is not None:
        again = then(rules, OWNER, passing(ask, case), question, hotp(0), flow).outcome
        stranger = then(rules, None, passing(ask, case), replace(question, user_id=None), hotp(0), flow).outcome
        assert isinstance(again, Challenge)
        assert isinstance(stranger, Challenge)
        assert (again.reason, again.prompt) == (reason, stranger.prompt)
        assert not any(isinstance(effect, AdvanceMovingFactor) for effect in again.effects)


@pytest.mark.parametrize("case", ALONE.values(), ids=ALONE.keys())
def test_a_directory_that_does_not_answer_is_no_answer(case: Alone) -> None:
    """Silence, and neither code nor question is spent: the NAS asks again, or elsewhere."""
    rules, flow, right, _ = case
    assert first(rules, OWNER, passing(is_silent, case), right, flow).outcome == Silence(Reason.PRIMARY_UNAVAILABLE)
    if flow is Flow.CODE_ONLY:
        question = opened(first(rules, OWNER, is_silent, b"", flow).outcome)
        outcome = then(rules, OWNER, is_silent, question, hotp(0), flow).outcome
        assert outcome == Silence(Reason.PRIMARY_UNAVAILABLE)


@pytest.mark.parametrize("case", ALONE.values(), ids=ALONE.keys())
def test_whoever_is_still_there_gets_in_by_a_code(case: Alone) -> None:
    """The code is spent; of accounts whose backend cannot look anybody up nobody is asked."""
    rules, flow, right, _ = case
    outcome = accepted(first(rules, OWNER, passing(says(), case), right, flow))
    assert outcome.effects == (AdvanceMovingFactor(HOTP.id, OWNER.id, COUNTER + 1, 0, NOW),)
    for source in ("local", "old"):
        elsewhere = replace(OWNER, source=source, directory_id=None)
        decided = first(rules, elsewhere, passing(refuses(), case), right, flow)
        assert accepted(decided).token == HOTP
        assert decided.looked_up == ()


@pytest.mark.parametrize("case", ALONE.values(), ids=ALONE.keys())
def test_an_account_whose_backend_is_gone_does_not_get_in(case: Alone) -> None:
    """Nobody can be asked about it any more; accounts of our own need nobody."""
    rules, flow, right, _ = case
    orphan = replace(OWNER, source="a directory of last year")
    assert refused(first(rules, orphan, passing(says(), case), right, flow)).reason is Reason.ACCOUNT_ELSEWHERE


@pytest.mark.parametrize("case", ALONE.values(), ids=ALONE.keys())
def test_what_the_directory_says_then_is_noted_too(case: Alone) -> None:
    """Else an account that was never bound could be re-created, and the next of that name would inherit the token."""
    rules, flow, right, _ = case
    for user, account in ((replace(OWNER, directory_id=None), STAFF), (OWNER, Account("id-1", ("ops",)))):
        outcome = accepted(first(rules, user, passing(says(account), case), right, flow))
        assert NoteAccount(OWNER.id, "id-1", account.groups) in outcome.effects


def test_the_answer_to_a_question_notes_it_as_well() -> None:
    """A code typed after the question is worth as much as one typed at once."""
    ask = says(Account("id-1", ("ops",)))
    for rules, flow, text in ((site(), Flow.CODE_ONLY, b""), (site(primary=NOBODY), Flow.CHALLENGE, b"")):
        question = opened(first(rules, OWNER, ask, text, flow).outcome)
        outcome = accepted(then(rules, OWNER, ask, question, hotp(0), flow))
        assert NoteAccount(OWNER.id, "id-1", ("ops",)) in outcome.effects
        assert outcome.groups == ("ops",)
