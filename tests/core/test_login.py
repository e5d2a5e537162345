"""What a decision changes in the world: questions, tries, counted failures, candidates and renewed hashes.

The matrix says who gets in; here each case says which effects come with an outcome and why a refusal is one.
RFC 2865 4.4 (State), RFC 4226 7.3 (throttling) and 7.4 (resynchronisation).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiusd2fa.core.model import (
    Accept,
    AccessRequest,
    AdvanceMovingFactor,
    Challenge,
    ChallengeKind,
    ClearFailures,
    CloseChallenge,
    Decision,
    Flow,
    Known,
    Nas,
    NoteResyncCandidate,
    Reason,
    RecordCallerFailure,
    RecordFailure,
    Reject,
    ReplacePasswordHash,
    Silence,
    TokenState,
    Verdict,
)
from radiusd2fa.core.nonce import NONCE_OCTETS, login_id
from radiusd2fa.core.rules import NOBODY, Rule, ThrottleRules
from tests.factors.reference import code_of

from .facts import (
    ALICE,
    COUNTER,
    HANDLE,
    HOTP,
    NONCE,
    NOW,
    PASSWORD,
    SECRET,
    SMALL,
    TOTP,
    WRONG,
    challenge,
    hotp,
    knows,
    opened,
    run,
    totp,
)

CALLER: Final = "192.0.2.7"
KNOWN: Final = Known(user=ALICE)
BOTH: Final = replace(ALICE, tokens=(HOTP, TOTP))


def packet(
    password: bytes, flow: Flow = Flow.CHALLENGE, state: str | None = None, caller: str = CALLER
) -> AccessRequest:
    """Build a request of alice's."""
    return AccessRequest(Nas("vpn", flow), "alice", password, state=state, caller=caller)


def answer(text: bytes, known: Known = KNOWN, tries: int = 3) -> Decision:
    """Answer an open question for the code."""
    return run(packet(text, state=HANDLE), replace(known, challenge=challenge(tries=tries))).outcome


AGAINST_USER: Final = RecordFailure(ALICE.id, NOW, 10, 60.0, 43200.0)
AGAINST_CALLER: Final = RecordCallerFailure("vpn", CALLER, NOW, 100, 600.0)
CLOSED: Final = CloseChallenge(HANDLE, NOW)

# --- refusals: why, and what they cost -------------------------------------------------------------------------------

REFUSALS: Final = {
    "wrong password": (packet(b"hunter3"), KNOWN, Reason.WRONG_PASSWORD, (AGAINST_CALLER,)),
    "unknown user": (packet(b"hunter3"), Known(), Reason.UNKNOWN_USER, (AGAINST_CALLER,)),
    "wrong password, right code": (
        packet(b"hunter3" + hotp(0), Flow.APPEND),
        KNOWN,
        Reason.WRONG_PASSWORD,
        (AGAINST_CALLER,),
    ),
    "wrong password, wrong code": (
        packet(b"hunter3" + WRONG, Flow.APPEND),
        KNOWN,
        Reason.WRONG_PASSWORD,
        (AGAINST_CALLER,),
    ),
    "right password, wrong code": (
        packet(PASSWORD + WRONG, Flow.APPEND),
        KNOWN,
        Reason.WRONG_CODE,
        (AGAINST_USER, AGAINST_CALLER),
    ),
    "the same in auto flow": (
        packet(PASSWORD + WRONG, Flow.AUTO),
        KNOWN,
        Reason.WRONG_CODE,
        (AGAINST_USER, AGAINST_CALLER),
    ),
    "used code": (packet(hotp(-1), Flow.CODE_ONLY), KNOWN, Reason.REPLAYED, ()),
    "wrong code alone": (packet(WRONG, Flow.CODE_ONLY), KNOWN, Reason.WRONG_CODE, (AGAINST_USER, AGAINST_CALLER)),
    "no code": (packet(b"help", Flow.CODE_ONLY), KNOWN, Reason.NO_CODE, (AGAINST_CALLER,)),
    "password only where both belong": (packet(PASSWORD, Flow.APPEND), KNOWN, Reason.NO_CODE, (AGAINST_CALLER,)),
    "wrong code of somebody unknown": (packet(WRONG, Flow.CODE_ONLY), Known(), Reason.UNKNOWN_USER, (AGAINST_CALLER,)),
    "right code of somebody locked": (
        packet(hotp(0), Flow.CODE_ONLY),
        Known(user=replace(ALICE, locked_until=NOW + 1)),
        Reason.LOCKED,
        (AGAINST_USER, AGAINST_CALLER),
    ),
    "right code of somebody disabled": (
        packet(hotp(0), Flow.CODE_ONLY),
        Known(user=replace(ALICE, enabled=False)),
        Reason.DISABLED_USER,
        (AGAINST_USER, AGAINST_CALLER),
    ),
    "right code of a revoked token": (
        packet(hotp(0), Flow.CODE_ONLY),
        Known(user=replace(ALICE, tokens=(replace(HOTP, state=TokenState.REVOKED),))),
        Reason.NO_TOKEN,
        (AGAINST_USER, AGAINST_CALLER),
    ),
    "sshd's word for nobody": (packet(b"\b\n\r\x7fINCORRECT"), KNOWN, Reason.HOST_REFUSED_USER, ()),
    "NUL in the password": (packet(b"hunter2\0"), KNOWN, Reason.BAD_PASSWORD_ENCODING, ()),
    "an answer to nothing": (packet(hotp(0), state="7" * 32), KNOWN, Reason.CHALLENGE_UNKNOWN, ()),
    "last wrong answer": (
        packet(WRONG, state=HANDLE),
        replace(KNOWN, challenge=challenge(tries=1)),
        Reason.WRONG_CODE,
        (CLOSED, AGAINST_USER, AGAINST_CALLER),
    ),
    "wrong password as an answer": (
        packet(b"hunter3", state=HANDLE),
        replace(KNOWN, challenge=challenge(ChallengeKind.PASSWORD, 1)),
        Reason.WRONG_PASSWORD,
        (CLOSED, AGAINST_CALLER),
    ),
}


@pytest.mark.parametrize("case", REFUSALS.values(), ids=REFUSALS.keys())
def test_what_a_refusal_costs(case: tuple[AccessRequest, Known, Reason, tuple[object, ...]]) -> None:
    """A wrong code counts against its user only after a right password; everything else against the caller at most."""
    request, known, reason, effects = case
    outcome = run(request, known).outcome
    assert isinstance(outcome, Reject)
    assert (outcome.reason, outcome.effects) == (reason, effects)


def test_without_a_caller_only_the_user_is_counted() -> None:
    """A NAS that does not say who calls has no callers to count."""
    outcome = run(packet(WRONG, Flow.CODE_ONLY, caller=""), KNOWN).outcome
    assert isinstance(outcome, Reject)
    assert outcome.effects == (AGAINST_USER,)


def test_the_throttle_is_the_sites() -> None:
    """The numbers in the effects are those of the rules."""
    rules = replace(SMALL, throttle=ThrottleRules(3, 5.0, 50.0, 7, 70.0))
    outcome = run(packet(WRONG, Flow.CODE_ONLY), KNOWN, rules=rules).outcome
    assert isinstance(outcome, Reject)
    assert outcome.effects == (
        RecordFailure(ALICE.id, NOW, 3, 5.0, 50.0),
        RecordCallerFailure("vpn", CALLER, NOW, 7, 70.0),
    )


@pytest.mark.parametrize("length", [1, 4, 8, 13, 14, 26, 128])
def test_sshd_junk_of_every_length(length: int) -> None:
    """sshd cuts or repeats its junk to the length of what was typed; none of it is hashed or counted."""
    decided = run(packet((b"\b\n\r\x7fINCORRECT" * 10)[:length]), KNOWN)
    assert isinstance(decided.outcome, Reject)
    assert decided.outcome.reason is Reason.HOST_REFUSED_USER
    assert decided.asked == ()


@pytest.mark.parametrize("password", [b"\bsecret", b"\b\n\r\x7fINCORRECT!", b"x\b\n\r\x7fINCORRECT"])
def test_a_password_that_resembles_junk_is_a_password(password: bytes) -> None:
    """Only sshd's own text is taken for it."""
    assert run(packet(password), KNOWN).asked == (password,)


# --- silence ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flow", [Flow.CHALLENGE, Flow.APPEND, Flow.PREPEND, Flow.AUTO])
@pytest.mark.parametrize("code", [hotp(0), WRONG])
def test_no_primary_no_answer(flow: Flow, code: bytes) -> None:
    """While the primary backend does not answer, nothing is said and nothing is spent, right code or not."""
    text = code + PASSWORD if flow is Flow.PREPEND else PASSWORD + code
    assert run(packet(text, flow), KNOWN, lambda _: Verdict.UNAVAILABLE).outcome == Silence(Reason.PRIMARY_UNAVAILABLE)


def test_a_question_survives_a_primary_that_is_away() -> None:
    """The answer to a password question is not spent by an outage."""
    known = replace(KNOWN, challenge=challenge(ChallengeKind.PASSWORD, 1))
    outcome = run(packet(PASSWORD, state=HANDLE), known, lambda _: Verdict.UNAVAILABLE).outcome
    assert outcome == Silence(Reason.PRIMARY_UNAVAILABLE)


# --- questions -------------------------------------------------------------------------------------------------------


def test_a_right_password_leads_to_the_question_for_the_code() -> None:
    """The question carries a State of 16 random octets in hexadecimal and lives as long as the rules say."""
    outcome = run(packet(PASSWORD), KNOWN).outcome
    assert isinstance(outcome, Challenge)
    assert (outcome.prompt, outcome.hidden) == ("Enter the code from your token: ", False)
    pending = opened(outcome)
    assert pending.handle == outcome.state == NONCE[:16].hex()
    assert (pending.kind, pending.tries, pending.expires) == (ChallengeKind.CODE, 3, NOW + 120)
    assert (pending.nas, pending.user_name, pending.login) == ("vpn", "alice", NONCE[16:24].hex())


def test_an_empty_password_leads_to_the_question_for_it() -> None:
    """The password is asked for hidden, once; nobody is asked about an empty one."""
    decided = run(packet(b""), KNOWN)
    assert isinstance(decided.outcome, Challenge)
    assert (decided.outcome.prompt, decided.outcome.hidden) == ("Enter your password: ", True)
    assert decided.outcome.reason is Reason.PASSWORD_WANTED
    assert (opened(decided.outcome).kind, opened(decided.outcome).tries) == (ChallengeKind.PASSWORD, 1)
    assert decided.asked == ()


def test_without_a_primary_an_empty_password_leads_to_the_code() -> None:
    """Where nobody checks passwords, nobody asks for one."""
    decided = run(packet(b""), KNOWN, rules=replace(SMALL, primary=NOBODY))
    assert opened(decided.outcome).kind is ChallengeKind.CODE


def test_the_password_as_an_answer_leads_on_in_the_same_login() -> None:
    """The second question of a login has the id of the first, and closes it."""
    known = replace(KNOWN, challenge=challenge(ChallengeKind.PASSWORD, 1))
    outcome = run(packet(PASSWORD, state=HANDLE), known).outcome
    assert isinstance(outcome, Challenge)
    assert outcome.effects[0] == CLOSED
    assert opened(outcome).login == challenge().login == login_id(known, NONCE)
    assert opened(outcome).kind is ChallengeKind.CODE


@pytest.mark.parametrize("tries", [3, 2])
@pytest.mark.parametrize("text", [WRONG, hotp(-1), hotp(4), b"", b"help"])
def test_a_wrong_answer_leads_to_the_next_question_with_one_try_less(tries: int, text: bytes) -> None:
    """Whatever is wrong with an answer, the person is asked for the next code, in the same words, with fewer tries."""
    outcome = answer(text, tries=tries)
    assert isinstance(outcome, Challenge)
    assert outcome.prompt == "Enter the next code: "
    assert outcome.effects[0] == CLOSED
    pending = opened(outcome)
    assert (pending.tries, pending.handle) == (tries - 1, NONCE[:16].hex())
    assert pending.expires == NOW + 120


def test_the_last_wrong_answer_ends_the_login() -> None:
    """With no try left the outcome is a refusal that closes the question."""
    outcome = answer(WRONG, tries=1)
    assert isinstance(outcome, Reject)
    assert outcome.effects[0] == CLOSED


def test_a_right_answer_spends_code_and_question_together() -> None:
    """Both are guards of one transaction: whoever comes second gets neither."""
    outcome = answer(hotp(2))
    assert isinstance(outcome, Accept)
    assert outcome.effects == (AdvanceMovingFactor(HOTP.id, ALICE.id, COUNTER + 3, 0, NOW), CLOSED)


def test_a_login_forgets_failures_only_if_there_are_any() -> None:
    """The counter is cleared with the Accept and with nothing less."""
    failed = replace(KNOWN, user=replace(ALICE, failures=4))
    outcome = answer(hotp(0), failed)
    assert isinstance(outcome, Accept)
    assert outcome.effects[-1] == ClearFailures(ALICE.id)
    after_password = run(packet(PASSWORD), failed).outcome
    assert isinstance(after_password, Challenge)
    assert ClearFailures(ALICE.id) not in after_password.effects


@given(st.binary(min_size=NONCE_OCTETS, max_size=NONCE_OCTETS))
def test_state_and_login_id_share_no_octet(nonce: bytes) -> None:
    """The id in the log tells nothing about the State on the wire."""
    assert login_id(Known(), nonce) == nonce[16:24].hex()
    assert len(nonce[16:24]) == 8


# --- candidates ------------------------------------------------------------------------------------------------------


def test_a_code_beyond_the_window_is_noted_and_counted() -> None:
    """It is a failure like any other, and a note for five minutes; the answer looks like that to a wrong code."""
    outcome = answer(hotp(4))
    assert isinstance(outcome, Challenge)
    assert NoteResyncCandidate(HOTP.id, COUNTER + 4, NOW + 300) in outcome.effects
    assert AGAINST_USER in outcome.effects
    assert outcome.prompt == "Enter the next code: "


def test_its_successor_resynchronises_and_is_accepted() -> None:
    """Two codes in a row, the first beyond the window: the second lets the person in."""
    waiting = replace(
        KNOWN, user=replace(ALICE, tokens=(replace(HOTP, candidate=COUNTER + 4, candidate_until=NOW + 1),))
    )
    outcome = answer(hotp(5), waiting)
    assert isinstance(outcome, Accept)
    assert outcome.reason is Reason.RESYNCHRONISED
    assert outcome.effects[0] == AdvanceMovingFactor(HOTP.id, ALICE.id, COUNTER + 6, 0, NOW)


def test_no_candidate_is_noted_for_a_wrong_password() -> None:
    """Somebody without the password cannot prepare a resynchronisation."""
    outcome = run(packet(b"hunter3" + hotp(4), Flow.APPEND), KNOWN).outcome
    assert isinstance(outcome, Reject)
    assert not any(isinstance(effect, NoteResyncCandidate) for effect in outcome.effects)


# --- several tokens --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flow", [Flow.APPEND, Flow.PREPEND, Flow.AUTO])
@pytest.mark.parametrize(("code", "token"), [(hotp(0), HOTP), (totp(), TOTP)], ids=["six digits", "eight digits"])
@pytest.mark.parametrize("password", [b"hunter2", b"hunter2 12", b"12345678"])
def test_tokens_with_codes_of_different_lengths(flow: Flow, code: bytes, token: object, password: bytes) -> None:
    """Where one field holds both, every way to read it is tried, in an order that does not depend on the codes."""
    text = code + password if flow is Flow.PREPEND else password + code
    decided = run(
        packet(text, flow), Known(user=BOTH), lambda asked: Verdict.PASSED if asked == password else Verdict.REFUSED
    )
    assert isinstance(decided.outcome, Accept)
    assert decided.outcome.token == token
    assert decided.asked[-1] == password


@pytest.mark.parametrize("flow", [Flow.APPEND, Flow.PREPEND, Flow.AUTO])
@pytest.mark.parametrize("wrong", [b"000000", b"00000000"], ids=["six digits", "eight digits"])
def test_a_wrong_code_counts_however_long_it_is(flow: Flow, wrong: bytes) -> None:
    """Codes of two lengths give a guesser no reading that nobody counts."""
    text = wrong + PASSWORD if flow is Flow.PREPEND else PASSWORD + wrong
    outcome = run(packet(text, flow), Known(user=BOTH), knows(PASSWORD)).outcome
    assert isinstance(outcome, Reject)
    assert AGAINST_USER in outcome.effects


@pytest.mark.parametrize("flow", [Flow.APPEND, Flow.PREPEND, Flow.AUTO])
def test_with_a_wrong_password_a_right_code_changes_nothing(flow: Flow) -> None:
    """Outcome, effects and what the primary backend is asked about are those of a wrong code."""

    def tried(code: bytes) -> tuple[object, ...]:
        text = code + b"hunter3" if flow is Flow.PREPEND else b"hunter3" + code
        decided = run(packet(text, flow), KNOWN, knows(PASSWORD))
        return decided.outcome, tuple(asked.replace(code, b"") for asked in decided.asked)

    assert tried(hotp(0)) == tried(WRONG)


@pytest.mark.parametrize("flow", [Flow.APPEND, Flow.PREPEND, Flow.AUTO])
@pytest.mark.parametrize(("code", "token"), [(hotp(0), HOTP), (totp(), TOTP)], ids=["six digits", "eight digits"])
@pytest.mark.parametrize("order", [("totp", "hotp"), ("hotp", "totp")])
@pytest.mark.parametrize("password", [b"", b"hunter2"])
def test_codes_of_different_lengths_without_a_primary(
    flow: Flow, code: bytes, token: object, order: tuple[str, ...], password: bytes
) -> None:
    """Where every password passes, the code that is right says how the field was meant, whichever is tried first."""
    text = code + password if flow is Flow.PREPEND else password + code
    rules = replace(SMALL, primary=NOBODY, rules=(Rule("all", order),))
    outcome = run(packet(text, flow), Known(user=BOTH), lambda _: Verdict.PASSED, rules=rules).outcome
    assert isinstance(outcome, Accept)
    assert outcome.token == token


@pytest.mark.parametrize("order", [("totp", "hotp"), ("hotp", "totp")])
def test_the_rule_says_which_factor_comes_first(order: tuple[str, ...]) -> None:
    """When one text is right for two tokens, the factor that the rule names first is spent."""
    step = int(NOW // 30)
    twins = (replace(HOTP, moving_factor=step), replace(TOTP, digits=6))
    rules = replace(SMALL, rules=(Rule("all", order),))
    outcome = run(packet(code_of(SECRET, step), Flow.CODE_ONLY), Known(user=replace(ALICE, tokens=twins)), rules=rules)
    assert isinstance(outcome.outcome, Accept)
    assert outcome.outcome.token is not None
    assert outcome.outcome.token.kind == order[0]


def test_only_the_token_that_matched_is_spent() -> None:
    """The other tokens of the user stay where they are."""
    outcome = run(packet(totp(), Flow.CODE_ONLY), Known(user=BOTH)).outcome
    assert isinstance(outcome, Accept)
    assert outcome.effects == (AdvanceMovingFactor(TOTP.id, ALICE.id, int(NOW // 30), 0, NOW),)


# --- auto ------------------------------------------------------------------------------------------------------------


def test_in_auto_flow_a_password_may_end_in_digits() -> None:
    """A password like hunter123456 is asked about whole as well, and leads to the question for the code."""
    decided = run(packet(b"hunter123456", Flow.AUTO), KNOWN, knows(b"hunter123456"))
    assert opened(decided.outcome).kind is ChallengeKind.CODE
    assert decided.asked == (b"hunter", b"hunter123456")


# --- renewed hashes --------------------------------------------------------------------------------------------------

RENEWED: Final = ReplacePasswordHash(ALICE.id, "$argon2id$", "$argon2id$new")


@pytest.mark.parametrize(
    ("text", "flow"), [(PASSWORD, Flow.CHALLENGE), (PASSWORD + hotp(0), Flow.APPEND), (PASSWORD + WRONG, Flow.APPEND)]
)
def test_a_renewed_hash_is_stored_whenever_the_password_was_right(text: bytes, flow: Flow) -> None:
    """With the question, with the Accept, and with the refusal of a wrong code after a right password."""
    outcome = run(packet(text, flow), KNOWN, rehashed="$argon2id$new").outcome
    assert not isinstance(outcome, Silence)
    assert RENEWED in outcome.effects


def test_a_refused_password_renews_nothing() -> None:
    """Only a right password is worth a new hash."""
    outcome = run(packet(b"hunter3"), KNOWN, rehashed="$argon2id$new").outcome
    assert isinstance(outcome, Reject)
    assert RENEWED not in outcome.effects
