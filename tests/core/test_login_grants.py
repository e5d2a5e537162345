"""Codes from sheets, grants, emergencies and tokens out of the stock, over all flows: who gets in, and what it spends.

An oracle of its own says for each case whether an Accept may come; the decision must agree. RFC 2865 4.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    CloseChallenge,
    Effect,
    Flow,
    Known,
    Nas,
    NoteLogin,
    OpenChallenge,
    Reject,
    Silence,
    TakeToken,
    Token,
    TokenState,
    User,
    UseSheet,
    Verdict,
    WriteEvent,
)
from radiusd2fa.core.rules import NOBODY, BreakGlass, Rule, Rules
from radiusd2fa.core.sheets import BREAK_GLASS, RECOVERY, SHEETS, TEMPORARY, Sheet, make, octets_wanted

from .facts import ALICE, HANDLE, HOTP, NOW, PASSWORD, SMALL, challenge, hotp, run

WRONG_PASSWORD: Final = b"hunter3"
STOCK: Final = replace(HOTP, id=5, serial="S1", state=TokenState.STOCK)
PRIMARIES: Final = ("passes", "refuses", "unavailable")


def sheet_token(sheet: Sheet, *, used: int = 0, until: float | None = None) -> tuple[Token, bytes]:
    """A sheet, and the first of its codes as it is printed."""
    made = make(sheet, 4, bytes(range(octets_wanted(sheet, 4))))
    token = Token(
        id=20 + list(SHEETS).index(sheet.kind),
        serial=sheet.kind[0].upper(),
        kind=sheet.kind,
        moving_factor=used,
        secret=made.secret,
        digits=sheet.length,
        valid_until=until,
    )
    return token, sheet.spelled(made.codes[0]).encode()


RULE_KINDS: Final[dict[str, Rule]] = {
    "plain": Rule("all", ("hotp",)),
    "recovery": Rule("all", ("hotp", "recovery"), grants=frozenset()),
    "no grants": Rule("all", ("hotp",), grants=frozenset()),
    "glass with password": Rule("all", ("hotp",), break_glass=BreakGlass.WITH_PASSWORD),
    "glass alone": Rule("all", ("hotp",), break_glass=BreakGlass.ALONE),
    "glass alone, asked always": Rule("all", ("hotp",), break_glass=BreakGlass.ALONE, ask_always=True),
    "self-assign": Rule("all", ("hotp",), self_assign=True),
}
COUNTS: Final = {
    RECOVERY.kind: {"recovery"},
    TEMPORARY.kind: set(RULE_KINDS) - {"recovery", "no grants"},
    BREAK_GLASS.kind: {"glass with password", "glass alone", "glass alone, asked always"},
}
"""Under which rules each kind of sheet counts."""
STANDINGS: Final = {"able": True, "disabled": False, "locked": False}
CONDITIONS: Final = {"open": True, "used": False, "ended": False, "revoked": False}


@dataclass(frozen=True, slots=True)
class Case:
    """One point of the product."""

    rule: str
    kind: str
    condition: str
    standing: str
    flow: Flow
    packet: str
    primary: str

    def user(self) -> User:
        """Whose sheet it is."""
        sheet = SHEETS[self.kind]
        until = {"ended": NOW, "open": NOW + 0.001}.get(self.condition)
        token, _ = sheet_token(sheet, used=int(self.condition == "used"), until=until)
        if self.condition == "revoked":
            token = replace(token, state=TokenState.REVOKED)
        user = replace(ALICE, tokens=(token,))
        if self.standing == "disabled":
            return replace(user, enabled=False)
        return replace(user, locked_until=NOW + 1) if self.standing == "locked" else user

    def outcome(self) -> Accept | Challenge | Reject | Silence:
        """Let the program decide."""
        _, code = sheet_token(SHEETS[self.kind])
        text = {
            "code": code,
            "password+code": PASSWORD + code,
            "code+password": code + PASSWORD,
            "wrong password+code": WRONG_PASSWORD + code,
            "answer": code,
            "answer without a password": code,
            "doomed answer": code,
            "answer to the password question": code,
        }[self.packet]
        asked = "answer" in self.packet
        pending = None
        if asked:
            passed = self.packet == "answer"
            kind = ChallengeKind.PASSWORD if "question" in self.packet else ChallengeKind.CODE
            pending = replace(challenge(kind), password_passed=passed, user_id=ALICE.id)
            pending = replace(pending, doomed=self.packet == "doomed answer")
        request = AccessRequest(Nas("vpn", self.flow), "alice", text, state=HANDLE if asked else None)
        rules = replace(SMALL, rules=(RULE_KINDS[self.rule],))
        return run(request, Known(user=self.user(), challenge=pending), self.ask, rules=rules).outcome

    def ask(self, password: bytes | None) -> Verdict:
        """What the primary backend says."""
        if self.primary == "unavailable":
            return Verdict.UNAVAILABLE
        return Verdict.PASSED if self.primary == "passes" and password == PASSWORD else Verdict.REFUSED


PACKETS: Final = (
    *("code", "password+code", "code+password", "wrong password+code"),
    *("answer", "answer without a password", "doomed answer", "answer to the password question"),
)


def may_enter(case: Case) -> bool:
    """The rule: the sheet open and counting, its owner able, and the password settled, or not wanted."""
    if not (CONDITIONS[case.condition] and STANDINGS[case.standing] and case.rule in COUNTS[case.kind]):
        return False
    alone = case.kind == BREAK_GLASS.kind and case.rule.startswith("glass alone")
    flow = Flow.CHALLENGE if "always" in case.rule and case.flow is Flow.AUTO else case.flow
    match case.packet:
        case "code":
            return alone or flow is Flow.CODE_ONLY
        case "password+code":
            return flow in (Flow.APPEND, Flow.AUTO) and case.primary == "passes"
        case "code+password":
            return flow is Flow.PREPEND and case.primary == "passes"
        case "answer":
            return True
        case "answer without a password":
            return flow is Flow.CODE_ONLY
        case "answer to the password question":
            return alone
        case _:
            return False


def cases(kind: str) -> Iterator[Case]:
    """The whole product for one kind of sheet."""
    for rule, condition, standing, flow, packet, primary in product(
        RULE_KINDS, CONDITIONS, STANDINGS, Flow, PACKETS, PRIMARIES
    ):
        yield Case(rule, kind, condition, standing, flow, packet, primary)


@pytest.mark.parametrize("kind", SHEETS)
def test_a_sheet_lets_in_exactly_where_the_rule_says(kind: str) -> None:
    """Over the whole product an Accept comes where sheet, rule, person and password allow it; it spends one code."""
    accepted = 0
    for case in cases(kind):
        outcome = case.outcome()
        assert isinstance(outcome, Accept) is may_enter(case), (case, outcome)
        if isinstance(outcome, Accept):
            accepted += 1
            assert outcome.effects[0] == UseSheet(case.user().tokens[0].id, ALICE.id, 0, NOW)
            assert ("answer" in case.packet) is any(isinstance(one, CloseChallenge) for one in outcome.effects)
            assert (kind == BREAK_GLASS.kind) is bool(rows(outcome.effects))
        elif isinstance(outcome, Reject):
            assert not spends(outcome.effects)
    assert accepted > 5


def rows(effects: tuple[Effect, ...]) -> list[str]:
    """The names of the audit rows that come besides."""
    return [effect.event.name for effect in effects if isinstance(effect, WriteEvent)]


def spends(effects: tuple[Effect, ...]) -> bool:
    """Whether anything is used up that lets somebody in."""
    return any(isinstance(one, (AdvanceMovingFactor, UseSheet, TakeToken, NoteLogin, OpenChallenge)) for one in effects)


def test_an_emergency_code_alone_asks_nobody() -> None:
    """Where it stands alone no backend is asked, so that it works while none answers."""
    token, code = sheet_token(BREAK_GLASS, until=NOW + 60)
    rules = replace(SMALL, rules=(RULE_KINDS["glass alone"],))
    request = AccessRequest(Nas("vpn"), "alice", code)
    decided = run(request, Known(user=replace(ALICE, tokens=(token,))), lambda _: Verdict.UNAVAILABLE, rules=rules)
    assert isinstance(decided.outcome, Accept)
    assert decided.questions == ()


# --- tokens out of the stock -----------------------------------------------------------------------------------------

TAKING: Final = replace(SMALL, rules=(RULE_KINDS["self-assign"],))


def claim(
    text: bytes,
    user: User | None = None,
    stock: Token | None = STOCK,
    rules: Rules = TAKING,
    *,
    passed: bool = True,
    flow: Flow = Flow.CHALLENGE,
) -> Accept | Challenge | Reject | Silence:
    """Answer the question with a serial and a code."""
    pending = replace(challenge(), password_passed=passed, user_id=ALICE.id)
    request = AccessRequest(Nas("vpn", flow), "alice", text, state=HANDLE)
    known = Known(user=user or replace(ALICE, tokens=()), challenge=pending)
    return run(request, known, rules=rules, stock={} if stock is None else {stock.serial: stock}).outcome


def test_a_token_out_of_the_stock_is_taken_and_its_code_spent_at_once() -> None:
    """One effect does both, and the question is closed with it."""
    outcome = claim(b"S1 " + hotp(1))
    assert isinstance(outcome, Accept)
    assert outcome.effects[0] == TakeToken(STOCK.id, ALICE.id, HOTP.moving_factor + 2, 0, NOW)
    assert isinstance(outcome.effects[1], CloseChallenge)
    assert rows(outcome.effects) == ["token.assigned"]


REFUSED: Final[dict[str, dict[str, object]]] = {
    "unknown serial": {"stock": None},
    "not yet valid": {"stock": replace(STOCK, valid_from=NOW + 1)},
    "no longer valid": {"stock": replace(STOCK, valid_until=NOW)},
    "of a kind that the rule leaves out": {"stock": replace(STOCK, kind="totp")},
    "a sheet": {"stock": sheet_token(RECOVERY)[0]},
    "who has a token": {"user": ALICE},
    "who has one handed out": {"user": replace(ALICE, tokens=(replace(HOTP, state=TokenState.ASSIGNED),))},
    "disabled": {"user": replace(ALICE, tokens=(), enabled=False)},
    "locked": {"user": replace(ALICE, tokens=(), locked_until=NOW + 1)},
    "no password before": {"passed": False},
    "code-only client": {"passed": False, "flow": Flow.CODE_ONLY},
    "nobody checks a password any more": {"rules": replace(TAKING, primary=NOBODY)},
    "another rule": {"rules": replace(SMALL, rules=(RULE_KINDS["plain"],))},
    "everybody is asked": {"rules": replace(SMALL, rules=(replace(RULE_KINDS["self-assign"], ask_always=True),))},
}


@pytest.mark.parametrize("why", REFUSED)
def test_nobody_else_takes_one(why: str) -> None:
    """Whatever is in the way, a right code takes nothing and lets nobody in."""
    outcome = claim(b"S1 " + hotp(0), **REFUSED[why])  # type: ignore[arg-type]
    assert isinstance(outcome, (Challenge, Reject))
    assert not any(isinstance(one, (TakeToken, AdvanceMovingFactor)) for one in outcome.effects)


@pytest.mark.parametrize("text", [b"S1", b"S1 ", b"S1 12345", b"S1123456", b" 123456", b"S1 123456 7", b"S1\0 123456"])
def test_what_is_no_serial_and_code_takes_nothing(text: bytes) -> None:
    """Without both, or with more, nothing is looked up."""
    outcome = claim(text)
    assert not isinstance(outcome, Accept)


def test_a_used_code_takes_no_token() -> None:
    """A code that the fob has shown before, which somebody may have seen in the shop, is refused as used."""
    outcome = claim(b"S1 " + hotp(-1))
    assert isinstance(outcome, Challenge)
    assert outcome.reason == "replayed"


def test_a_serial_that_does_not_exist_looks_like_a_wrong_code() -> None:
    """Reply and effects are the same, but for the State."""
    missing, wrong = claim(b"S2 " + hotp(0), stock=STOCK), claim(b"S1 " + b"000000")
    assert isinstance(missing, Challenge)
    assert isinstance(wrong, Challenge)
    assert missing == wrong
