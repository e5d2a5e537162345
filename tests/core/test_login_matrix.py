"""Who gets in: every flow, packet, password, code and person, compared with a rule written down a second time.

The oracle below shares nothing with the decision but the nouns; it says in a dozen lines when an Accept is right.
Everything else about a decision that must hold for all of them is checked on the way. RFC 2865 4.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

import pytest

from radiusd2fa.core.model import (
    Accept,
    AccessRequest,
    AdvanceMovingFactor,
    Challenge,
    ChallengeKind,
    Chap,
    CloseChallenge,
    Effect,
    Flow,
    Known,
    Nas,
    OpenChallenge,
    Reject,
    Silence,
    Token,
    TokenState,
    User,
    Verdict,
)
from radiusd2fa.core.rules import LOCAL, NO_RULE, NOBODY, Rule, Rules

from .facts import ALICE, COUNTER, HANDLE, HOTP, NOW, PASSWORD, SMALL, WRONG, Decided, challenge, hotp, run

GUARDED: Final = (AdvanceMovingFactor, CloseChallenge)

# --- the axes --------------------------------------------------------------------------------------------------------

PRIMARIES: Final = ("passes", "refuses", "unavailable", "none")

CODES: Final = {
    "next": (hotp(0), HOTP, True),
    "end of the window": (hotp(3), HOTP, True),
    "beyond the window": (hotp(4), HOTP, False),
    "end of the resynchronisation window": (hotp(8), HOTP, False),
    "far away": (hotp(9), HOTP, False),
    "used": (hotp(-1), HOTP, False),
    "wrong": (WRONG, HOTP, False),
    "successor of a candidate": (hotp(7), replace(HOTP, candidate=COUNTER + 6, candidate_until=NOW + 1), True),
    "successor of a candidate too late": (hotp(7), replace(HOTP, candidate=COUNTER + 6, candidate_until=NOW), False),
    "no code": (b"a1b2c3", HOTP, False),
}
"""What is typed, the token that it is typed for, and whether that is right."""

WITHOUT_CODE: Final = {"next": CODES["next"]}


def _with(token: Token, **changes: object) -> User:
    return replace(ALICE, tokens=(replace(token, **changes),))  # type: ignore[arg-type]


def _in_state(state: TokenState) -> Callable[[Token], User]:
    return lambda token: _with(token, state=state)


HANDED_OUT: Final = (TokenState.ACTIVE, TokenState.ASSIGNED)
PEOPLE: Final[dict[str, tuple[Callable[[Token], User | None], bool]]] = {
    "able": (lambda t: replace(ALICE, tokens=(t,)), True),
    "able, with a second token": (lambda t: replace(ALICE, tokens=(replace(HOTP, id=9, secret=b"x" * 20), t)), True),
    "able, with failures": (lambda t: replace(ALICE, failures=9, tokens=(t,)), True),
    "able, lock just over": (lambda t: replace(ALICE, locked_until=NOW, tokens=(t,)), True),
    "able, token valid since now": (lambda t: _with(t, valid_from=NOW), True),
    "unknown": (lambda t: None, False),
    "disabled": (lambda t: replace(ALICE, enabled=False, tokens=(t,)), False),
    "locked": (lambda t: replace(ALICE, locked_until=NOW + 0.001, tokens=(t,)), False),
    "without token": (lambda t: replace(ALICE, tokens=()), False),
    "token not yet valid": (lambda t: _with(t, valid_from=NOW + 0.001), False),
    "token no longer valid": (lambda t: _with(t, valid_until=NOW), False),
    "token of a kind that the rule leaves out": (lambda t: _with(t, kind="totp"), False),
    "token handed out": (_in_state(TokenState.ASSIGNED), True),
    "token handed out, still in time": (lambda t: _with(t, state=TokenState.ASSIGNED, activate_by=NOW + 0.001), True),
    "token handed out, too late": (lambda t: _with(t, state=TokenState.ASSIGNED, activate_by=NOW), False),
    **{f"token {state}": (_in_state(state), False) for state in TokenState if state not in HANDED_OUT},
}

RULE: Final = Rule("hotp only", ("hotp",))
RULES: Final = replace(SMALL, rules=(RULE,))


def checked_by(primary: str, rules: Rules = RULES) -> Rules:
    """The site whose passwords are checked by that one of PRIMARIES."""
    return replace(rules, primary=NOBODY if primary == "none" else LOCAL)


@dataclass(frozen=True, slots=True)
class Packet:
    """One way to ask: what is in the packet, which flows take a code from it, and which password comes along."""

    name: str
    carries_code_in: frozenset[Flow] = frozenset()
    password: bytes | None = None
    """What the packet says is the password; None where there is none in it, or it was settled before."""
    settled: bool = False
    """Whether the answer to an earlier question proves that the password was right."""

    def request(self, flow: Flow, code: bytes) -> AccessRequest:
        """Build it."""
        nas, state = Nas("vpn", flow), None
        text: bytes | None = _TEXTS[self.name](code) if self.name in _TEXTS else code
        chap = None
        if self.name == "chap":
            text, chap = None, Chap(1, hashlib.md5(b"\1" + code + b"c", usedforsecurity=False).digest(), b"c")
        elif self.name in {"mschap", "nothing at all"}:
            text = None
        if self.settled or "question" in self.name:
            state = HANDLE
        if self.name == "question: forged":
            state = "6" * 32
        return AccessRequest(nas, "alice", text, chap, self.name == "mschap", state, "192.0.2.7")

    def known(self, user: User | None, rules: Rules, rule: str = RULE.name) -> Known:
        """What the store knows when it comes: a question was put under that rule, for that site's usual backend."""
        asked = None if user is None else user.id
        code = replace(challenge(), password_passed=True)
        password = replace(challenge(ChallengeKind.PASSWORD, 1), user_id=asked)
        pending = {
            "code question": replace(code, user_id=asked),
            "code question, last try": replace(code, tries=1, user_id=asked),
            "code question, no password": replace(code, user_id=asked, password_passed=False),
            "question: a namesake's": replace(code, user_id=8),
            "password question": password,
            "password question, empty answer": password,
            "question: another client's": replace(code, nas="ssh"),
            "question: another person's": replace(code, user_name="bob", user_id=None),
            "question: expired": replace(code, expires=NOW),
        }.get(self.name)
        if pending is not None:
            pending = replace(pending, rule=rule, backend=rules.primary.name)
        return Known(user=user, challenge=pending)


def _scrv1(password: bytes, code: bytes) -> bytes:
    return b"SCRV1:" + base64.b64encode(password) + b":" + base64.b64encode(code)


_TEXTS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "empty": lambda code: b"",
    "password": lambda code: PASSWORD,
    "password question": lambda code: PASSWORD,
    "password question, empty answer": lambda code: b"",
    "password+code": lambda code: PASSWORD + code,
    "code+password": lambda code: code + PASSWORD,
    "wrong password+code": lambda code: b"hunter3" + code,
    "code+wrong password": lambda code: code + b"hunter3",
    "code with NUL": lambda code: code + b"\0",
    "code with newline": lambda code: code + b"\n",
    "SCRV1": lambda code: _scrv1(PASSWORD, code),
    "SCRV1 wrong password": lambda code: _scrv1(b"hunter3", code),
    "SCRV1 no password": lambda code: _scrv1(b"", code),
    "SCRV1 no code": lambda code: _scrv1(PASSWORD, b""),
    "SCRV1 cut": lambda code: b"SCRV1:" + base64.b64encode(PASSWORD),
    "SCRV1 one part more": lambda code: _scrv1(PASSWORD, code) + b":",
    "SCRV1 broken": lambda code: b"SCRV1:!!:" + base64.b64encode(code),
    "sshd junk": lambda code: b"\b\n\r\x7fINCORRECT\b\n\r\x7fIN",
}

EVERY: Final = frozenset(Flow)
PACKETS: Final = (
    Packet("empty"),
    Packet("password"),
    Packet("password+code", frozenset({Flow.APPEND, Flow.AUTO}), PASSWORD),
    Packet("code+password", frozenset({Flow.PREPEND}), PASSWORD),
    Packet("wrong password+code", frozenset({Flow.APPEND, Flow.AUTO}), b"hunter3"),
    Packet("code+wrong password", frozenset({Flow.PREPEND}), b"hunter3"),
    Packet("code", EVERY - {Flow.CHALLENGE}, b""),
    Packet("code with NUL"),
    Packet("code with newline", frozenset({Flow.PREPEND}), b"\n"),
    Packet("SCRV1", EVERY, PASSWORD),
    Packet("SCRV1 wrong password", EVERY, b"hunter3"),
    Packet("SCRV1 no password", EVERY, b""),
    Packet("SCRV1 no code"),
    Packet("SCRV1 cut"),
    Packet("SCRV1 one part more"),
    Packet("SCRV1 broken"),
    Packet("sshd junk"),
    Packet("chap", frozenset({Flow.CODE_ONLY})),
    Packet("mschap"),
    Packet("nothing at all"),
    Packet("code question", EVERY, settled=True),
    Packet("code question, last try", EVERY, settled=True),
    Packet("code question, no password", EVERY),
    Packet("question: a namesake's"),
    Packet("password question"),
    Packet("password question, empty answer"),
    Packet("question: another client's"),
    Packet("question: another person's"),
    Packet("question: expired"),
    Packet("question: forged"),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One point of the product."""

    flow: Flow
    packet: Packet
    primary: str
    code: str
    person: str

    def decide(self) -> Decided:
        """Let the program decide."""
        code, token, _ = CODES[self.code]
        user = PEOPLE[self.person][0](token)
        rules = checked_by(self.primary)
        return run(self.packet.request(self.flow, code), self.packet.known(user, rules), self.ask, rules=rules)

    def ask(self, password: bytes | None) -> Verdict:
        """What the primary backend says. Even one that passes refuses a wrong password; `none` passes everything."""
        if self.primary == "none" or (self.primary == "passes" and password == PASSWORD):
            return Verdict.PASSED
        return Verdict.UNAVAILABLE if self.primary == "unavailable" else Verdict.REFUSED


def cases(flow: Flow) -> Iterator[Case]:
    """The whole product for one flow. Where a packet carries no code, one code stands for all."""
    for packet in PACKETS:
        codes = CODES if "code" in packet.name or packet.carries_code_in else WITHOUT_CODE
        for primary, code, person in product(PRIMARIES, codes, PEOPLE):
            yield Case(flow, packet, primary, code, person)


# --- the oracle ------------------------------------------------------------------------------------------------------


def may_enter(case: Case) -> bool:
    """The rule: the password settled, the code right, the person able. Nothing else lets anybody in."""
    code_is_right = CODES[case.code][2] and case.flow in case.packet.carries_code_in
    person_is_able = PEOPLE[case.person][1]
    password_is_settled = (
        case.packet.settled  # by the question that this packet answers
        or case.flow is Flow.CODE_ONLY  # by the NAS
        or case.primary == "none"  # by nobody, as the site has chosen
        or (case.primary == "passes" and case.packet.password == PASSWORD)
    )
    return code_is_right and person_is_able and password_is_settled


@pytest.mark.parametrize("flow", Flow)
def test_an_accept_exactly_where_the_rule_says(flow: Flow) -> None:
    """Over the whole product an Accept comes where password, code and person are right, and nowhere else."""
    seen = {True: 0, False: 0}
    for case in cases(flow):
        decided = case.decide()
        accepted = isinstance(decided.outcome, Accept)
        assert accepted is may_enter(case), (case, decided.outcome)
        check_invariants(case, decided)
        seen[accepted] += 1
    assert seen[True] > 50
    assert seen[False] > 5000


def check_invariants(case: Case, decided: Decided) -> None:
    """What holds for every decision."""
    outcome, asked = decided.outcome, decided.asked
    assert len(asked) <= 2, case
    if isinstance(outcome, Silence):
        assert case.primary == "unavailable"
        assert asked
        return
    assert guards_come_first(outcome.effects), case
    match outcome:
        case Accept():
            check_accept(case, outcome)
        case Challenge():
            opened = [effect.challenge for effect in outcome.effects if isinstance(effect, OpenChallenge)]
            assert [one.handle for one in opened] == [outcome.state]
            assert opened[0].expires > NOW
            assert opened[0].tries >= 1
            assert (opened[0].nas, opened[0].user_name) == ("vpn", "alice")
            assert opened[0].kind is ChallengeKind.PASSWORD or code_question_is_earned(case), case
        case Reject():
            assert not any(isinstance(effect, AdvanceMovingFactor | OpenChallenge) for effect in outcome.effects)


def guards_come_first(effects: tuple[Effect, ...]) -> bool:
    """Whether no unguarded effect stands before a guarded one."""
    guarded = [isinstance(effect, GUARDED) for effect in effects]
    return guarded == sorted(guarded, reverse=True)


def check_accept(case: Case, accept: Accept) -> None:
    """An Accept spends its code and its question, once, in its own transaction."""
    spent = [effect for effect in accept.effects if isinstance(effect, AdvanceMovingFactor)]
    closed = [effect.handle for effect in accept.effects if isinstance(effect, CloseChallenge)]
    assert [(one.token_id, one.user_id) for one in spent] == [(HOTP.id, ALICE.id)], case
    assert spent[0].to > COUNTER
    assert closed == ([HANDLE] if "code question" in case.packet.name else [])
    assert not any(isinstance(effect, OpenChallenge) for effect in accept.effects)
    assert accept.token is not None
    assert accept.token.id == HOTP.id


def code_question_is_earned(case: Case) -> bool:
    """A question for the code says that the password was right, or that nobody asks for one."""
    return case.packet.settled or case.flow is Flow.CODE_ONLY or case.primary in {"passes", "none"}


# --- nobody can tell who is who --------------------------------------------------------------------------------------

SHUT_OUT: Final = ("disabled", "locked", "without token", "token revoked", "token disabled", "token no longer valid")


def on_the_wire(decided: Decided) -> tuple[object, ...]:
    """What a stranger sees of a decision: the answer, and how often a password was hashed for it."""
    outcome = decided.outcome
    shown = (outcome.prompt, outcome.hidden) if isinstance(outcome, Challenge) else ()
    return type(outcome), shown, len(decided.asked)


@pytest.mark.parametrize("flow", Flow)
@pytest.mark.parametrize("person", SHUT_OUT)
def test_somebody_shut_out_looks_like_somebody_with_a_wrong_code(flow: Flow, person: str) -> None:
    """A locked or disabled user, or one without a token, gets the answer of a wrong code, also for a right one."""
    for packet, primary, code in product(PACKETS, PRIMARIES, ("next", "wrong", "beyond the window")):
        shut_out = Case(flow, packet, primary, code, person).decide()
        wrong = Case(flow, packet, primary, "wrong", "able").decide()
        assert on_the_wire(shut_out) == on_the_wire(wrong), (packet, primary, code)


@pytest.mark.parametrize("flow", Flow)
def test_somebody_unknown_looks_like_somebody_with_a_wrong_password(flow: Flow) -> None:
    """The same outcome, the same prompt and as many questions to the primary backend, whatever the packet."""
    for packet, primary, code in product(PACKETS, ("refuses", "unavailable", "none"), ("next", "wrong")):
        unknown = Case(flow, packet, primary, code, "unknown").decide()
        known = Case(flow, packet, primary, "wrong", "able").decide()
        assert on_the_wire(unknown) == on_the_wire(known), (packet, primary, code)


# --- what is refused before anything is counted ----------------------------------------------------------------------

BEFORE_COUNTING: Final = {
    "a name that is nobody's": ({"user_name": None}, {}, RULES),
    "a caller who must wait": ({}, {"caller_locked": True}, RULES),
}

NO_RULES: Final = {
    "no rule": replace(RULES, rules=()),
    "a rule for others": replace(RULES, rules=(Rule("others", groups=frozenset({"netadmin"})),)),
}


@pytest.mark.parametrize("rules", NO_RULES.values(), ids=NO_RULES.keys())
@pytest.mark.parametrize("flow", Flow)
def test_whom_no_rule_fits_looks_like_somebody_with_a_wrong_code(flow: Flow, rules: Rules) -> None:
    """The same questions and the same refusals, and never an Accept: who is in which group is nobody's business."""
    for packet, primary in product(PACKETS, PRIMARIES):
        case = Case(flow, packet, primary, "next", "able")
        checked = checked_by(primary, rules)
        known = packet.known(ALICE, checked, NO_RULE.name)
        decided = run(packet.request(flow, hotp(0)), known, case.ask, rules=checked)
        assert on_the_wire(decided) == on_the_wire(replace(case, code="wrong").decide()), (packet, primary)


@pytest.mark.parametrize("refusal", BEFORE_COUNTING.values(), ids=BEFORE_COUNTING.keys())
@pytest.mark.parametrize("flow", Flow)
def test_refusals_that_ask_nobody_and_change_nothing(
    flow: Flow, refusal: tuple[dict[str, None], dict[str, bool], Rules]
) -> None:
    """Whatever the packet, these are refused at once: no question, no effect, and no way round with a right code."""
    request_changes, known_changes, rules = refusal
    for packet in PACKETS:
        request = replace(packet.request(flow, hotp(0)), **request_changes)  # type: ignore[arg-type]
        known = replace(packet.known(ALICE, rules), **known_changes)  # type: ignore[arg-type]
        decided = run(request, known, rules=rules)
        assert isinstance(decided.outcome, Reject)
        assert decided.outcome.effects == ()
        assert decided.asked == ()
