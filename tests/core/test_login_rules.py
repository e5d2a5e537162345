"""A rule at work in a login: its flow, factors, windows, throttle, texts, backend and reply, from question to Accept.

An answer is judged under the rule of its question, and a rule that only the directory's groups reveal counts from the
moment they are known. RFC 2865 4.4, RFC 4226 7.2 and 7.3.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from radiusd2fa.core.attributes import AttributeCondition, ReplyAttribute
from radiusd2fa.core.model import (
    Account,
    ChallengeKind,
    Flow,
    Known,
    NoteAccount,
    NoteLogin,
    NoteResyncCandidate,
    Reason,
    RecordCallerFailure,
    RecordFailure,
    Reject,
    User,
    Verdict,
)
from radiusd2fa.core.rules import (
    LOCAL,
    NOBODY,
    Backend,
    ChallengeRules,
    Enrolment,
    HotpRules,
    Rule,
    Rules,
    ThrottleRules,
    TotpRules,
)
from tests.factors.reference import code_of

from .directory import (
    CALLER,
    FRESH,
    LDAP,
    NONCES,
    OWNER,
    accepted,
    asked_again,
    first,
    is_silent,
    packet,
    passes,
    refused,
    says,
    site,
    then,
)
from .facts import ALICE, HOTP, KNOWS_IT, NOW, PASSWORD, SECRET, SMALL, TOTP, WRONG, hotp, opened, run, totp

SERVICE_TYPE: Final = (6, b"\0\0\0\x08")
"""Authenticate-Only: pam_radius sends it in the first packet and leaves it out of the answer to a challenge."""
BY_SERVICE: Final = AttributeCondition("Service-Type", 6, values=frozenset({SERVICE_TYPE[1]}))
OPS: Final = Account("id-1", ("ops",))
FILTER: Final = ReplyAttribute("Filter-Id", 11, pair=(11, b"ours"))

BOTH: Final = replace(ALICE, tokens=(HOTP, TOTP))


def here(*rules: Rule) -> Rules:
    """A site with local passwords and these rules."""
    return replace(SMALL, rules=rules)


# --- the rule of a question ------------------------------------------------------------------------------------------

STRICT: Final = Rule("strict", ("totp",), attributes=(BY_SERVICE,))
LAX: Final = Rule("lax", ("totp", "hotp"), enrolment=Enrolment(required=False))
TWO: Final = here(STRICT, LAX)


@pytest.mark.parametrize("attributes", [(), (SERVICE_TYPE,), ((6, b"\0\0\0\x01"),)], ids=["none", "the same", "others"])
def test_an_answer_is_judged_under_the_rule_of_its_question(attributes: tuple[tuple[int, bytes], ...]) -> None:
    """What the second packet says or leaves out opens no laxer rule: a code that the rule leaves out stays wrong."""
    question = opened(run(packet(PASSWORD, attributes=(SERVICE_TYPE,)), Known(user=BOTH), rules=TWO).outcome)
    assert question.rule == "strict"
    wrong = then(TWO, BOTH, KNOWS_IT, question, hotp(0), attributes=attributes)
    assert asked_again(wrong).reason is Reason.WRONG_CODE
    assert opened(wrong.outcome).rule == "strict"
    assert accepted(then(TWO, BOTH, KNOWS_IT, question, totp(), attributes=attributes)).token == TOTP


@pytest.mark.parametrize("attributes", [(), (SERVICE_TYPE,)], ids=["without", "with"])
@pytest.mark.parametrize("known", [("staff",), ("ops",), ()], ids=lambda groups: "+".join(groups) or "no groups")
def test_so_is_the_answer_to_a_question_for_the_password(
    attributes: tuple[tuple[int, bytes], ...], known: tuple[str, ...]
) -> None:
    """Groups that come with it, old or new, do not make a rule fit of whose condition the first packet was none."""
    rules = site(STRICT, LAX)
    newcomer = replace(FRESH, groups=known)
    question = opened(run(packet(b"", attributes=(SERVICE_TYPE,)), Known(user=newcomer), says(), rules=rules).outcome)
    assert (question.kind, question.rule) == (ChallengeKind.PASSWORD, "strict")
    after = then(rules, newcomer, says(), question, PASSWORD, attributes=attributes)
    assert opened(after.outcome).rule == "strict"
    last = opened(after.outcome)
    assert refused(then(rules, newcomer, says(), replace(last, tries=1), WRONG, attributes=attributes))


def test_nor_does_an_attribute_that_only_the_answer_has() -> None:
    """The other way round: a first packet without it is judged without it to the end."""
    rules = site(Rule("easy", enrolment=Enrolment(required=False), attributes=(BY_SERVICE,)), Rule("all"))
    for user in (FRESH, replace(FRESH, groups=("ops",))):
        question = opened(first(rules, user, says(), b"").outcome)
        after = then(rules, user, says(), question, PASSWORD, attributes=(SERVICE_TYPE,))
        assert opened(after.outcome).rule == "all"
        again = then(rules, user, says(), opened(after.outcome), WRONG, attributes=(SERVICE_TYPE,))
        assert opened(again.outcome).rule == "all"


def test_a_question_under_a_rule_that_is_gone_lets_nobody_in() -> None:
    """When the settings are read anew without that rule, its questions are judged under none."""
    question = opened(run(packet(PASSWORD), Known(user=ALICE), rules=here(Rule("old name"))).outcome)
    for rules in (here(Rule("new name")), here()):
        outcome = refused(then(rules, ALICE, KNOWS_IT, replace(question, tries=1), hotp(0)))
        assert outcome.reason is Reason.NO_RULE


def test_a_question_is_judged_by_its_rule_as_it_is_now() -> None:
    """A factor that the site takes out of a rule counts no more for questions that are open."""
    question = opened(run(packet(PASSWORD), Known(user=ALICE), rules=here(Rule("all", ("hotp",)))).outcome)
    now = here(Rule("all", ("totp",)))
    assert refused(then(now, ALICE, KNOWS_IT, replace(question, tries=1), hotp(0))).reason is Reason.NO_TOKEN


@pytest.mark.parametrize("caller", ["198.51.100.1", ""])
def test_the_hour_may_strike_between_question_and_answer(caller: str) -> None:
    """The rule of the question goes on counting when its span or its network no longer fits."""
    rules = replace(
        here(Rule("day", hours=((0, 1),)), Rule("night", ())),
        minute_of_week=lambda now: int(now > NOW),
    )
    question = opened(run(packet(PASSWORD), Known(user=ALICE), rules=rules).outcome)
    assert question.rule == "day"
    outcome = accepted(then(rules, ALICE, KNOWS_IT, question, hotp(0), now=NOW + 30, caller=caller))
    assert outcome.token == HOTP


# --- groups that the directory has just said -------------------------------------------------------------------------

FOR_OPS: Final = Rule("ops", ("totp",), groups=frozenset({"ops"}), reply=(FILTER,), challenge=ChallengeRules(tries=2))
FOR_ALL: Final = Rule("all", ("hotp",), enrolment=Enrolment(required=False))
GROUPS: Final = site(FOR_OPS, FOR_ALL)


@pytest.mark.parametrize("user", [None, FRESH], ids=["a stranger", "a newcomer"])
def test_a_group_that_the_directory_says_counts_at_once(user: User | None) -> None:
    """Whom the store does not know in that group is not let in by the rule for the others: not even the first time."""
    assert accepted(first(GROUPS, user, says())).reason is Reason.NOT_ENROLLED
    question = asked_again(first(GROUPS, user, says(OPS)))
    assert (opened(question).rule, opened(question).tries) == ("ops", 2)
    assert refused(first(GROUPS, user, says(OPS), PASSWORD, Flow.APPEND))


@pytest.mark.parametrize("flow", [Flow.APPEND, Flow.AUTO])
def test_it_says_which_factor_counts_too(flow: Flow) -> None:
    """The code that the old rule would have taken is refused, the one that the new rule wants is accepted."""
    short = replace(TOTP, digits=6)
    user = replace(OWNER, tokens=(HOTP, short))
    assert refused(first(GROUPS, user, says(OPS), PASSWORD + hotp(0), flow))
    outcome = accepted(first(GROUPS, user, says(OPS), PASSWORD + code_of(SECRET, int(NOW // TOTP.step)), flow))
    assert (outcome.token, outcome.reply, outcome.groups) == (short, (FILTER,), ("ops",))
    assert NoteAccount(OWNER.id, "id-1", ("ops",)) in outcome.effects
    assert accepted(first(GROUPS, user, says(), PASSWORD + hotp(0), flow)).reply == ()


def test_a_group_that_was_taken_away_is_gone_at_once() -> None:
    """What the store remembers of the groups counts only until the directory has spoken."""
    lenient = site(Rule("ops", groups=frozenset({"ops"}), enrolment=Enrolment(required=False)), Rule("all"))
    was = replace(FRESH, groups=("ops",))
    assert accepted(first(lenient, was, says(OPS))).reason is Reason.NOT_ENROLLED
    for flow in (Flow.CHALLENGE, Flow.APPEND, Flow.AUTO):
        outcome = first(lenient, was, says(), flow=flow).outcome
        assert isinstance(outcome, Reject) if flow is Flow.APPEND else opened(outcome).rule == "all"


def test_a_group_that_no_rule_is_for_lets_nobody_in() -> None:
    """Whom no rule fits any more gets the question, and then a refusal for every code."""
    only = site(replace(FOR_ALL, groups=frozenset({"staff"})))
    question = opened(first(only, OWNER, says(OPS)).outcome)
    assert question.rule == ""
    outcome = then(only, replace(OWNER, groups=("ops",)), says(OPS), replace(question, tries=1), hotp(0))
    assert refused(outcome).reason is Reason.NO_RULE


@pytest.mark.parametrize(
    "case", [(site(FOR_OPS, FOR_ALL), hotp(0)), (site(FOR_OPS, FOR_ALL), b"")], ids=["at once", "asked"]
)
def test_groups_count_where_no_password_is_checked_too(case: tuple[Rules, bytes]) -> None:
    """In code-only flow the directory's word about the account brings its groups: the rule is theirs."""
    rules, text = case
    user = replace(OWNER, tokens=(HOTP, TOTP))
    decided = first(rules, user, says(OPS), text, Flow.CODE_ONLY)
    if not text:
        question = opened(decided.outcome)
        decided = then(rules, user, says(OPS), replace(question, tries=1), hotp(0), Flow.CODE_ONLY)
    assert refused(decided).reason is Reason.WRONG_CODE


def test_the_flow_is_that_of_what_was_typed() -> None:
    """A flow that the new rule would want comes too late: the text was typed for the old one."""
    rules = site(replace(FOR_OPS, factors=("hotp",), flow=Flow.CODE_ONLY), FOR_ALL)
    assert refused(first(rules, OWNER, says(OPS), hotp(0), Flow.APPEND)).reason is not Reason.OK
    outcome = accepted(first(rules, OWNER, says(OPS), PASSWORD + hotp(0), Flow.APPEND))
    assert outcome.reply == (FILTER,)


def test_a_question_under_the_new_rule_was_still_after_a_password() -> None:
    """Where the new rule asks for none, the question remembers that one was right; nobody answers it without."""
    rules = site(replace(FOR_OPS, factors=("hotp",), flow=Flow.CODE_ONLY), FOR_ALL)
    question = opened(first(rules, OWNER, says(OPS)).outcome)
    assert (question.rule, question.password_passed) == ("ops", True)
    known = replace(OWNER, groups=("ops",))
    assert accepted(then(rules, known, is_silent, question, hotp(0))).token == HOTP


# --- what a rule says ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flow", list(Flow))
@pytest.mark.parametrize("other", list(Flow))
def test_the_flow_of_the_rule_counts_and_not_the_clients(flow: Flow, other: Flow) -> None:
    """Whatever the client's flow, a text is read as the rule says."""
    ruled, usual = here(Rule("all", flow=flow)), here(Rule("all"))
    for text in (PASSWORD, PASSWORD + hotp(0), hotp(0) + PASSWORD, hotp(0), WRONG, b""):
        by_rule = run(packet(text, other), Known(user=ALICE), rules=ruled)
        by_client = run(packet(text, flow), Known(user=ALICE), rules=usual)
        assert (by_rule.outcome, by_rule.asked) == (by_client.outcome, by_client.asked)


def test_in_another_flow_of_the_rule_the_password_comes_first() -> None:
    """A question that was put without a password is worth nothing under a rule that wants one by now."""
    question = opened(run(packet(b"", Flow.CODE_ONLY), Known(user=ALICE), rules=here(Rule("all"))).outcome)
    assert not question.password_passed
    for rules in (here(Rule("all", flow=Flow.CHALLENGE)), here(Rule("all", flow=Flow.APPEND))):
        outcome = then(rules, ALICE, KNOWS_IT, question, hotp(0), Flow.CODE_ONLY).outcome
        assert outcome == Reject(Reason.CHALLENGE_UNKNOWN)


def test_the_windows_of_the_rule() -> None:
    """Wider or narrower than the site's, at once and after a question; the resynchronisation as well."""
    wide = Rule("wide", hotp=HotpRules(look_ahead=6, resync_window=9), totp=TotpRules(steps_either_side=3))
    narrow = Rule("narrow", hotp=HotpRules(look_ahead=0, resync_window=2), totp=TotpRules(steps_either_side=0))

    def is_right(rule: Rule, code: bytes) -> bool:
        outcome = run(packet(code, Flow.CODE_ONLY), Known(user=BOTH), rules=here(rule)).outcome
        question = opened(run(packet(PASSWORD), Known(user=BOTH), rules=here(rule)).outcome)
        answered = then(here(rule), BOTH, KNOWS_IT, replace(question, tries=1), code).outcome
        assert isinstance(outcome, Reject) is isinstance(answered, Reject)
        return not isinstance(outcome, Reject)

    assert [is_right(wide, hotp(ahead)) for ahead in (0, 3, 6, 7)] == [True, True, True, False]
    assert [is_right(narrow, hotp(ahead)) for ahead in (0, 1)] == [True, False]
    assert [is_right(Rule("usual"), hotp(ahead)) for ahead in (3, 4)] == [True, False]
    assert [is_right(wide, totp(steps)) for steps in (-3, 3, 4)] == [True, True, False]
    assert [is_right(narrow, totp(steps)) for steps in (-1, 0, 1)] == [False, True, False]


def test_the_throttle_of_the_rule() -> None:
    """The numbers in the effects are those of the rule, for the person and for the caller."""
    rule = Rule("all", throttle=ThrottleRules(3, 5.0, 50.0, 7, 70.0))
    outcome = refused(first(here(rule), ALICE, KNOWS_IT, PASSWORD + WRONG, Flow.APPEND))
    assert outcome.effects == (
        RecordFailure(ALICE.id, NOW, 3, 5.0, 50.0),
        RecordCallerFailure("vpn", CALLER, NOW, 7, 70.0),
    )


GERMAN: Final = ChallengeRules(
    lifetime=33.0,
    tries=2,
    code_prompt="Code vom Token: ",
    next_code_prompt="Der nächste Code: ",
    password_prompt="Ihr Kennwort: ",
    resync_lifetime=44.0,
)


def test_the_texts_and_the_patience_of_the_rule() -> None:
    """Each question speaks the rule's language, lives as long as it says and can be answered as often."""
    rules = here(Rule("all", challenge=GERMAN))
    password = asked_again(first(rules, ALICE, KNOWS_IT, b""))
    assert password.prompt == "Ihr Kennwort: "
    code = asked_again(then(rules, ALICE, KNOWS_IT, opened(password), PASSWORD))
    assert code.prompt == "Code vom Token: "
    again = asked_again(then(rules, ALICE, KNOWS_IT, opened(code), hotp(4), nonce=NONCES[2]))
    assert again.prompt == "Der nächste Code: "
    assert NoteResyncCandidate(HOTP.id, 44, NOW + 44.0) in again.effects
    assert [(opened(one).expires, opened(one).tries) for one in (password, code, again)] == [
        (NOW + 33, 1),
        (NOW + 33, 2),
        (NOW + 33, 1),
    ]


def test_rules_say_what_they_change_and_the_site_the_rest() -> None:
    """What a rule does not mention is the site's; another rule's words are its own."""
    rules = here(Rule("bob", users=frozenset({"bob"}), challenge=GERMAN), Rule("all", hotp=HotpRules(look_ahead=0)))
    question = asked_again(first(rules, ALICE, KNOWS_IT))
    assert question.prompt == "Enter the code from your token: "
    assert rules.under(rules.rules[0]).hotp == SMALL.hotp
    assert rules.under(rules.rules[1]).challenge == SMALL.challenge
    assert rules.under(Rule("unknown")) is rules


def test_the_backend_of_the_rule_is_asked() -> None:
    """By rule, by realm, or the site's own; what it says is all that counts."""
    partners = Backend("partners")
    rules = site(
        Rule("bob", users=frozenset({"bob"}), primary="none", flow=Flow.CODE_ONLY),
        Rule("partners", realms=frozenset({"partner.example"}), primary="partners"),
        Rule("all"),
        beside=(partners,),
    )
    asked = [
        run(packet(PASSWORD, name=name, realm=realm), Known(), says(password=b"another"), rules=rules)
        for name, realm in (("alice", ""), ("alice@partner.example", "partner.example"), ("bob", "partner.example"))
    ]
    assert [[question.backend for question in decided.questions] for decided in asked] == [["ldap"], ["partners"], []]
    strangers = replace(OWNER, name="alice@partner.example", source="partners", directory_id=None)
    request = packet(PASSWORD + hotp(0), Flow.APPEND, name=strangers.name, realm="partner.example")
    assert accepted(run(request, Known(user=strangers), passes(None), rules=rules)).token == HOTP
    elsewhere = run(request, Known(user=replace(strangers, source="ldap")), passes(None), rules=rules)
    assert refused(elsewhere).reason is Reason.ACCOUNT_ELSEWHERE


def test_what_the_rule_wants_to_be_said_is_in_every_accept() -> None:
    """With a code at once, after a question, and where no code was asked for; never in another rule's."""
    rule = Rule("all", reply=(FILTER,), enrolment=Enrolment(required=False))
    question = opened(first(site(rule), OWNER, says()).outcome)
    outcomes = (
        first(site(rule), OWNER, says(), PASSWORD + hotp(0), Flow.APPEND),
        first(site(rule), OWNER, says(), hotp(0), Flow.CODE_ONLY),
        then(site(rule), OWNER, is_silent, question, hotp(0)),
        first(site(rule), FRESH, says()),
        first(site(rule), None, says()),
    )
    assert [accepted(outcome).reply for outcome in outcomes] == [(FILTER,)] * 5
    assert accepted(first(site(), OWNER, says(), hotp(0), Flow.CODE_ONLY)).reply == ()


def test_a_rule_may_leave_every_factor_out() -> None:
    """Then nobody who needs one gets in by it, whatever they have."""
    rules = here(Rule("all", ()))
    for text, flow in ((PASSWORD + hotp(0), Flow.APPEND), (hotp(0), Flow.CODE_ONLY), (PASSWORD + hotp(0), Flow.AUTO)):
        assert refused(first(rules, BOTH, KNOWS_IT, text, flow)).reason is Reason.NO_TOKEN


def test_none_for_one_rule_is_none_for_that_rule_alone() -> None:
    """`primary: none` in a rule makes no password right anywhere else."""
    rules = site(Rule("kiosk", clients=frozenset({"kiosk"}), primary="none"), Rule("all"), primary=LOCAL)
    assert rules.backend("none") == NOBODY
    assert refused(first(rules, ALICE, KNOWS_IT, b"hunter3")).reason is Reason.WRONG_PASSWORD
    assert first(rules, ALICE, lambda _: Verdict.REFUSED, PASSWORD).questions[0].backend == LOCAL.name
    assert rules.backend("ldap") == LDAP


def test_nobody_is_noted_twice() -> None:
    """A login without a token notes one login, whoever it is."""
    for user in (None, FRESH):
        outcome = accepted(first(GROUPS, user, says()))
        assert sum(isinstance(effect, NoteLogin) for effect in outcome.effects) == (user is not None)
