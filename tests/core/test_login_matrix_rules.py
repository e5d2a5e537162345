"""Who gets in under rules that ask for less: flows, packets, passwords, people and rules, compared with an oracle.

An Accept needs a new code and a settled password, or a password passed by somebody who checks it and exactly one of the
documented waivers. The oracle shares nothing with the decision but the nouns. RFC 2865 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_network
from itertools import product
from typing import Final

import pytest

from radiusd2fa.core.model import (
    Accept,
    AddAccount,
    AdvanceMovingFactor,
    Challenge,
    ChallengeKind,
    CloseChallenge,
    Flow,
    Known,
    NoteLogin,
    OpenChallenge,
    Reason,
    Reject,
    Relay,
    Silence,
    TokenState,
    User,
    Verdict,
)
from radiusd2fa.core.rules import LOCAL, NOBODY, Backend, Enrolment, Rule, Rules, Skip

from .facts import ALICE, HANDLE, HOTP, NOW, PASSWORD, SMALL, WRONG, Decided, hotp, run
from .test_login_matrix import PACKETS, PRIMARIES, Packet

HERE: Final = (ip_network("192.0.2.0/24"),)
"""Where the packets' caller is."""
AWAY: Final = (ip_network("198.51.100.0/24"), ip_network("2001:db8::/32"))

OLD: Final = Backend("old")

_RULES: Final[dict[str, Rule]] = {
    "required": Rule("all"),
    "off": Rule("all", enrolment=Enrolment(required=False)),
    "grace": Rule("all", enrolment=Enrolment(required=False, until=NOW + 0.001)),
    "grace is over": Rule("all", enrolment=Enrolment(required=False, until=NOW)),
    "upstream": Rule("all", enrolment=Enrolment(upstream="old", until=NOW + 0.001)),
    "upstream is over": Rule("all", enrolment=Enrolment(upstream="old", until=NOW)),
    "skip": Rule("all", skip=Skip(HERE, NOW + 0.001)),
    "skip is over": Rule("all", skip=Skip(HERE, NOW)),
    "skip elsewhere": Rule("all", skip=Skip(AWAY, NOW + 1)),
    "off and skip": Rule("all", enrolment=Enrolment(required=False), skip=Skip(HERE, NOW + 1)),
}
_ALWAYS: Final = {
    f"{name}, always asked": replace(_RULES[name], ask_always=True) for name in ("required", "off", "skip")
}
RULES: Final = {**_RULES, **_ALWAYS}

NEWCOMER: Final = replace(ALICE, tokens=(), enrolled=False)
PEOPLE: Final[dict[str, User | None]] = {
    "able": ALICE,
    "token revoked": replace(ALICE, tokens=(replace(HOTP, state=TokenState.REVOKED),)),
    "token removed": replace(ALICE, tokens=()),
    "locked": replace(ALICE, locked_until=NOW + 0.001),
    "disabled": replace(ALICE, enabled=False),
    "newcomer": NEWCOMER,
    "newcomer, locked": replace(NEWCOMER, locked_until=NOW + 0.001),
    "newcomer, disabled": replace(NEWCOMER, enabled=False),
    "stranger": None,
}
SHUT_OUT: Final = frozenset({"locked", "disabled", "newcomer, locked", "newcomer, disabled"})
UNENROLLED: Final = frozenset({"newcomer", "newcomer, locked", "newcomer, disabled", "stranger"})

DOOMED: Final = Packet("doomed question", frozenset())
UPSTREAMS: Final = Packet("upstream question")
NAMES: Final = (
    "password",
    "password+code",
    "code+password",
    "code",
    "SCRV1",
    "SCRV1 no code",
    "chap",
    "code question",
    "code question, no password",
    "password question",
)
"""About all the others the other matrix has said everything."""
SOME: Final = (*(packet for packet in PACKETS if packet.name in NAMES), DOOMED, UPSTREAMS)

PASSWORD_ALONE: Final = frozenset({"password", "password question", "SCRV1 no code", "upstream question"})
"""Packets that hold the right password and nothing else."""


@dataclass(frozen=True, slots=True)
class Case:
    """One point of the product."""

    flow: Flow
    packet: Packet
    primary: str
    rule: str
    person: str
    code: bytes

    @property
    def upstream_decides(self) -> bool:
        """Whether the old system is asked in the place of the usual backend."""
        return self.rule == "upstream" and self.person in UNENROLLED

    @property
    def read_as(self) -> Flow:
        """In which flow a text is read: where the code is always asked for, it is not sought in the password."""
        return Flow.CHALLENGE if "always" in self.rule and self.flow is Flow.AUTO else self.flow

    def site(self) -> Rules:
        """The site."""
        primary = NOBODY if self.primary == "none" else LOCAL
        return replace(SMALL, rules=(RULES[self.rule],), primary=primary, backends={"old": OLD})

    def decide(self) -> Decided:
        """Let the program decide."""
        site, person = self.site(), PEOPLE[self.person]
        user = None if person is None else replace(person, source=site.primary.name)
        request = self.packet.request(self.flow, self.code)
        known = self.packet.known(user, site, "all")
        if self.packet is DOOMED:
            request = replace(request, state=HANDLE, password=self.code)
            asked = _named("code question").known(user, site, "all").challenge
            assert asked is not None
            known = Known(user, replace(asked, password_passed=False, doomed=True))
        elif self.packet is UPSTREAMS:
            request = replace(request, state=HANDLE, password=PASSWORD)
            asked = _named("password question").known(user, site, "all").challenge
            assert asked is not None
            relay = Relay("Old: ", b"state", "192.0.2.1:1812")
            known = Known(user, replace(asked, kind=ChallengeKind.UPSTREAM, relay=relay, backend="old"))
        return run(request, known, self.ask, rules=site)

    def ask(self, password: bytes | None) -> Verdict:
        """What a backend says; `none` passes everything, and whoever is asked in its place does not."""
        unchecked = self.primary == "none" and not self.upstream_decides and self.packet is not UPSTREAMS
        if unchecked or (self.primary in {"passes", "none"} and password == PASSWORD):
            return Verdict.PASSED
        return Verdict.UNAVAILABLE if self.primary == "unavailable" else Verdict.REFUSED


def _named(name: str) -> Packet:
    return next(packet for packet in PACKETS if packet.name == name)


def cases(flow: Flow) -> Iterator[Case]:
    """The product for one flow; a packet without a code comes once."""
    for packet, primary, rule, person in product(SOME, PRIMARIES, RULES, PEOPLE):
        if packet is UPSTREAMS and "upstream" not in rule:
            continue
        codes = (hotp(1), WRONG) if packet.carries_code_in or packet is DOOMED else (hotp(1),)
        for code in codes:
            yield Case(flow, packet, primary, rule, person, code)


# --- the oracle ------------------------------------------------------------------------------------------------------


def grounds(case: Case) -> list[Reason]:
    """All reasons for which this very login may be accepted."""
    return [*([Reason.OK] if by_code(case) else []), *waivers(case)]


def by_code(case: Case) -> bool:
    """A new code of a token that can be used, in a packet that carries one, and the password settled."""
    settled = (
        case.packet.settled
        or case.flow is Flow.CODE_ONLY
        or case.primary == "none"
        or (case.primary == "passes" and case.packet.password == PASSWORD)
    )
    carried = case.read_as in case.packet.carries_code_in
    return settled and carried and case.code == hotp(1) and case.person == "able"


def waivers(case: Case) -> list[Reason]:
    """What the documentation says about passwords that are enough."""
    passed = case.primary in {"passes", "none"} if case.upstream_decides else case.primary == "passes"
    alone = case.packet.name in PASSWORD_ALONE and case.flow is not Flow.CODE_ONLY
    if case.upstream_decides and case.packet.name == "SCRV1 no code":
        alone = False  # the old system gets the text as it is
    if case.packet is UPSTREAMS and not case.upstream_decides:
        alone = False  # nobody asks it about them any more
    if not (passed and alone) or case.person in SHUT_OUT or "always" in case.rule:
        return []
    if case.person in UNENROLLED:
        by_enrolment = {
            "off": Reason.NOT_ENROLLED,
            "off and skip": Reason.NOT_ENROLLED,
            "grace": Reason.GRACE,
            "upstream": Reason.UPSTREAM,
        }
        if case.rule in by_enrolment:
            return [by_enrolment[case.rule]]
    # whom our own passwords do not know, our own passwords do not pass: here somebody else's might
    return [Reason.SKIPPED] if case.rule in {"skip", "off and skip"} else []


@pytest.mark.parametrize("flow", Flow)
def test_an_accept_exactly_on_documented_grounds(flow: Flow) -> None:
    """Over the whole product an Accept has one ground, says which, and comes wherever there is one."""
    seen: dict[Reason | None, int] = {}
    for case in cases(flow):
        decided = case.decide()
        expected = grounds(case)
        assert len(expected) <= 1, case
        accepted = decided.outcome.reason if isinstance(decided.outcome, Accept) else None
        assert accepted is (expected[0] if expected else None), (case, decided.outcome)
        seen[accepted] = seen.get(accepted, 0) + 1
        check_invariants(case, decided)
    waived = {Reason.NOT_ENROLLED, Reason.GRACE, Reason.UPSTREAM, Reason.SKIPPED}
    assert set(seen) == {None, Reason.OK} | (waived if flow is not Flow.CODE_ONLY else set())
    assert seen[None] > 5000


def check_invariants(case: Case, decided: Decided) -> None:
    """What holds for every decision."""
    outcome = decided.outcome
    match outcome:
        case Silence():
            assert case.primary == "unavailable"
        case Accept(token=None):
            check_waived(case, outcome)
        case Accept():
            assert isinstance(outcome.effects[0], AdvanceMovingFactor)
            assert not any(isinstance(effect, (NoteLogin, AddAccount)) for effect in outcome.effects)
        case Challenge():
            check_question(case, outcome)
        case Reject():
            unwanted = (AdvanceMovingFactor, OpenChallenge, NoteLogin)
            assert not any(isinstance(effect, unwanted) for effect in outcome.effects)
            assert not any(isinstance(effect, AddAccount) and effect.admitted for effect in outcome.effects)
    if case.packet is DOOMED:
        assert isinstance(outcome, Reject)
        assert decided.asked == ()
    assert len(decided.asked) <= 3


def check_waived(case: Case, accept: Accept) -> None:
    """A login without a token spends none, holds only for whom the rule has meant, and spends its question."""
    assert not any(isinstance(effect, (AdvanceMovingFactor, OpenChallenge)) for effect in accept.effects)
    proof = accept.effects[0]
    if case.person == "stranger":
        assert isinstance(proof, AddAccount)
        assert proof.admitted
    else:
        assert proof == NoteLogin(ALICE.id, NOW, unenrolled=accept.reason is not Reason.SKIPPED)
    closed = [effect.handle for effect in accept.effects if isinstance(effect, CloseChallenge)]
    assert closed == ([HANDLE] if "question" in case.packet.name else [])


def check_question(case: Case, question: Challenge) -> None:
    """A question names its rule and its backend, and says of the password only what somebody has checked."""
    (opened,) = [effect.challenge for effect in question.effects if isinstance(effect, OpenChallenge)]
    assert opened.rule == "all"
    assert not (opened.doomed and opened.password_passed)
    assert opened.doomed is False or "always" in case.rule
    if opened.password_passed:
        assert case.packet.settled or case.primary != "unavailable"
        assert case.primary == "passes" or case.packet.settled or case.upstream_decides or case.packet is UPSTREAMS
    if "always" in case.rule and opened.kind is ChallengeKind.CODE and not case.packet.settled:
        assert opened.tries == 1
        assert question.unhurried
