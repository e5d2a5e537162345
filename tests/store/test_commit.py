"""What a commit does and does not: guards, all or nothing, groups, and what happens when the database is in trouble.

Each guard is tested by its negation: the one fact that must stop it, and nothing else wrong.
RFC 4226 7.2 and RFC 6238 5.2: a code is spent once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radiusd2fa.core.model import (
    AdvanceMovingFactor,
    ChallengeKind,
    ClearFailures,
    CloseChallenge,
    Effect,
    NoteResyncCandidate,
    OpenChallenge,
    PendingChallenge,
    RecordCallerFailure,
    RecordFailure,
    ReplacePasswordHash,
)
from radiusd2fa.store import engine
from radiusd2fa.store.errors import StoreUnavailableError

from .conftest import NOW, Desk, Site, an_event

pytestmark = pytest.mark.both_stores

ALICE: Final = 1
BOB: Final = 2
H1: Final = 1
SPEND: Final = AdvanceMovingFactor(H1, ALICE, to=6, drift=0, now=NOW)
PENDING: Final = PendingChallenge("5" * 32, "vpn", "alice", 1, ChallengeKind.CODE, True, "10619", NOW + 120, 3)
CLOSE: Final = CloseChallenge(PENDING.handle, NOW)


def fail(now: float = NOW, most: int = 3, first: float = 60.0, longest: float = 400.0) -> RecordFailure:
    """One wrong code of alice's."""
    return RecordFailure(ALICE, now, most, first, longest)


def everything(site: Site) -> list[list[tuple[object, ...]]]:
    """All rows of all tables that a login could change."""
    return [site.sql(f"SELECT * FROM {table}") for table in ("users", "tokens", "challenges", "callers", "events")]  # noqa: S608


# --- guards ----------------------------------------------------------------------------------------------------------

NEGATIONS: Final = {
    "the moving factor is not greater": ("SELECT 1", replace(SPEND, to=5)),
    "the moving factor is smaller": ("SELECT 1", replace(SPEND, to=4)),
    "somebody was faster": ("UPDATE tokens SET moving_factor = 6 WHERE id = 1", SPEND),
    "somebody was faster by far": ("UPDATE tokens SET moving_factor = 700 WHERE id = 1", SPEND),
    "another owner": ("UPDATE tokens SET user_id = 2 WHERE id = 1", SPEND),
    "no owner": ("UPDATE tokens SET user_id = NULL WHERE id = 1", SPEND),
    "another user than the owner": ("SELECT 1", replace(SPEND, user_id=BOB)),
    "no such token": ("SELECT 1", replace(SPEND, token_id=99)),
    "token disabled": ("UPDATE tokens SET state = 'disabled' WHERE id = 1", SPEND),
    "token revoked": ("UPDATE tokens SET state = 'revoked' WHERE id = 1", SPEND),
    "token lost": ("UPDATE tokens SET state = 'lost' WHERE id = 1", SPEND),
    "token expired": ("UPDATE tokens SET state = 'expired' WHERE id = 1", SPEND),
    "token in stock": ("UPDATE tokens SET state = 'stock' WHERE id = 1", SPEND),
    "token returned": ("UPDATE tokens SET state = 'returned' WHERE id = 1", SPEND),
    "user disabled": ("UPDATE users SET enabled = false WHERE id = 1", SPEND),
    "user locked": ("UPDATE users SET locked_until = 1700000000.5 WHERE id = 1", SPEND),
    "no such challenge": ("SELECT 1", replace(CLOSE, handle="6" * 32)),
    "challenge closed": ("DELETE FROM challenges", CLOSE),
    "challenge expired": ("UPDATE challenges SET expires = 1700000000", CLOSE),
}


@pytest.mark.parametrize("negation", NEGATIONS.values(), ids=NEGATIONS.keys())
def test_each_guard_holds_alone(site: Site, desk: Desk, negation: tuple[str, Effect]) -> None:
    """With this one thing changed since the look, the commit is refused and leaves no trace, not even in the audit."""
    plant, effect = negation
    assert desk.commit(OpenChallenge(PENDING)) is True
    site.sql(plant)
    before = everything(site)
    assert desk.commit(effect, fail()) is False
    assert everything(site) == before


@pytest.mark.parametrize("effect", [SPEND, CLOSE], ids=["code", "question"])
def test_without_the_negation_the_same_commits_go_through(desk: Desk, effect: Effect) -> None:
    """The guards above hold for the reason named: the very same effects are committed where nothing was changed."""
    assert desk.commit(OpenChallenge(PENDING)) is True
    assert desk.commit(effect, fail()) is True
    assert desk.commit(effect, fail()) is False


@pytest.mark.parametrize("locked_until", [0.0, NOW - 1, NOW])
def test_a_lock_that_is_over_stops_nobody(site: Site, desk: Desk, locked_until: float) -> None:
    """The lock ends with its last moment."""
    site.sql("UPDATE users SET locked_until = ?", locked_until)
    assert desk.commit(SPEND) is True


def test_spending_a_code_moves_the_token_and_forgets_its_candidate(desk: Desk) -> None:
    """Moving factor, drift and last use are those of the effect, and no half resynchronisation stays behind."""
    desk.commit(NoteResyncCandidate(H1, 50, NOW + 300))
    assert desk.commit(replace(SPEND, to=52, drift=-3)) is True
    token = desk.token()
    assert (token.moving_factor, token.drift, token.last_used) == (52, -3, NOW)
    assert (token.candidate, token.candidate_until) == (None, 0.0)


# --- all or nothing --------------------------------------------------------------------------------------------------

OTHERS: Final = (
    fail(),
    ClearFailures(ALICE),
    RecordCallerFailure("vpn", "192.0.2.7", NOW, 100, 600.0),
    NoteResyncCandidate(H1, 60, NOW + 300),
    ReplacePasswordHash(ALICE, "$argon2id$alice", "$argon2id$new"),
    OpenChallenge(replace(PENDING, handle="7" * 32)),
)


@pytest.mark.parametrize("broken", [0, 1])
@pytest.mark.parametrize("order", [1, -1])
def test_two_guards_hold_together_or_not_at_all(site: Site, desk: Desk, broken: int, order: int) -> None:
    """When either of code and question is gone, the other is not spent, in whatever order they stand."""
    desk.commit(OpenChallenge(PENDING))
    site.sql("UPDATE users SET failures = 2")
    site.sql(("UPDATE tokens SET moving_factor = 6 WHERE id = 1", "DELETE FROM challenges")[broken])
    before = everything(site)
    assert desk.commit(*(SPEND, CLOSE)[::order], *OTHERS) is False
    assert everything(site) == before


@pytest.mark.parametrize("place", range(len(OTHERS) + 1))
def test_a_guard_undoes_what_stood_before_it(site: Site, desk: Desk, place: int) -> None:
    """Wherever among the effects a guard stands, when it does not hold nothing has happened."""
    site.sql("UPDATE users SET failures = 2")
    before = everything(site)
    refused = replace(SPEND, to=1)
    assert desk.commit(*OTHERS[:place], refused, *OTHERS[place:]) is False
    assert everything(site) == before


def test_both_are_spent_together(site: Site, desk: Desk) -> None:
    """With both guards holding everything is done, and the audit has one row more."""
    desk.commit(OpenChallenge(PENDING))
    rows = len(site.sql("SELECT * FROM events"))
    assert desk.commit(SPEND, CLOSE) is True
    assert desk.token().moving_factor == 6
    assert site.sql("SELECT * FROM challenges") == []
    assert len(site.sql("SELECT * FROM events")) == rows + 1


# --- groups ----------------------------------------------------------------------------------------------------------


def test_one_group_one_winner(desk: Desk) -> None:
    """Of fifty logins with one code in one group, the first is committed and the rest are told that they were late."""
    for _ in range(50):
        desk.queue(SPEND)
    assert desk.write() == [True] + [False] * 49


def test_a_group_says_what_became_of_each(site: Site, desk: Desk) -> None:
    """A login that is refused takes none of its neighbours with it, and the results come in order."""
    desk.queue(SPEND, fail())
    desk.queue(replace(SPEND, to=3), fail())
    desk.queue(AdvanceMovingFactor(3, BOB, to=9, drift=0, now=NOW))
    desk.queue(CLOSE)
    desk.queue(fail())
    assert desk.write() == [True, False, True, False, True]
    assert desk.user().failures == 2
    assert desk.token("H2", "bob").moving_factor == 9


def test_a_group_larger_than_a_transaction(site: Site, desk: Desk) -> None:
    """However many logins wait, each is written once and hears once."""
    for number in range(600):
        desk.queue(replace(SPEND, to=10 + number))
    assert desk.write() == [True] * 600
    assert desk.token().moving_factor == 609
    assert site.sql("SELECT count(*) FROM events WHERE name = 'access.accepted'") == [(600,)]


def test_what_a_delivered_result_commits_is_written_too(site: Site) -> None:
    """A login that answers a refusal with another commit during the flush is served by the same flush."""
    desk = site.desk()
    try:
        desk.store.commit([replace(SPEND, to=1)], an_event(), lambda result: desk.queue(fail()))
        assert desk.write() == [True]
    finally:
        desk.store.close()


def test_closing_writes_what_waits(site: Site) -> None:
    """Nothing that was queued is lost by an orderly end."""
    desk = site.desk()
    desk.queue(SPEND)
    desk.store.close()
    assert desk.results == [True]
    assert site.sql("SELECT moving_factor FROM tokens WHERE id = 1") == [(6,)]


def test_every_commit_has_its_audit_row(site: Site, desk: Desk) -> None:
    """The row holds what the event says, and is in the database when the result is told."""
    event = replace(an_event(), caller="192.0.2.7", factor="hotp", serial="H1", outcome="accepted", latency=0.25)
    assert desk.commit(SPEND, event=event) is True
    columns = 'time, name, login, nas, "user", caller, factor, serial, outcome, latency'
    row = site.sql(f"SELECT {columns} FROM events ORDER BY id")[-1]  # noqa: S608
    assert row == (NOW, "access.accepted", "10619", "vpn", "alice", "192.0.2.7", "hotp", "H1", "accepted", 0.25)


# --- failures and locks ----------------------------------------------------------------------------------------------


def test_the_lock_begins_doubles_and_ends_at_its_bound(desk: Desk) -> None:
    """Two failures cost nothing; the third locks for a minute, each further one for twice as long, up to the bound."""
    locks, now = [], NOW
    for _ in range(8):
        assert desk.commit(fail(now)) is True
        user = desk.user()
        locks.append(max(0.0, user.locked_until - now))
        now = max(now, user.locked_until)
    assert locks == [0.0, 0.0, 60.0, 120.0, 240.0, 400.0, 400.0, 400.0]
    assert desk.user().failures == 8


def test_after_very_many_failures_the_lock_is_still_the_longest(site: Site, desk: Desk) -> None:
    """The doubling has no end that wraps around: neither negative nor short after a thousand failures."""
    for failures in (30, 31, 32, 62, 63, 64, 65, 1000, 2**31):
        site.sql("UPDATE users SET failures = ?, locked_until = 0", failures)
        assert desk.commit(fail(longest=43200.0)) is True
        assert desk.user().locked_until == NOW + 43200.0


def test_at_the_first_failure(desk: Desk) -> None:
    """A site that allows none locks at once."""
    desk.commit(fail(most=1))
    assert desk.user().locked_until == NOW + 60


def test_while_locked_nothing_is_counted(desk: Desk) -> None:
    """Somebody who goes on guessing during a lock does not make it longer, and the try leaves its audit row."""
    for _ in range(3):
        desk.commit(fail())
    for later in (0.0, 1.0, 59.9):
        assert desk.commit(fail(NOW + later)) is True
    assert (desk.user().failures, desk.user().locked_until) == (3, NOW + 60)


def test_parallel_guesses_of_one_group_do_not_pass_the_limit(desk: Desk) -> None:
    """A hundred guesses decided upon at once count up to the lock; a right code after them is late."""
    for _ in range(100):
        desk.queue(fail())
    desk.queue(SPEND)
    assert desk.write() == [True] * 100 + [False]
    assert desk.user().failures == 3


def test_a_login_clears_failures_and_lock(desk: Desk) -> None:
    """After full success the next wrong code is the first again."""
    for _ in range(2):
        desk.commit(fail())
    assert desk.commit(SPEND, ClearFailures(ALICE)) is True
    assert (desk.user().failures, desk.user().locked_until) == (0, 0.0)


def test_failures_are_ones_own(desk: Desk) -> None:
    """alice's failures lock alice."""
    for _ in range(5):
        desk.commit(fail())
    assert (desk.user("bob").failures, desk.user("bob").locked_until) == (0, 0.0)


# --- callers ---------------------------------------------------------------------------------------------------------


def caller_failure(now: float = NOW, caller: str = "192.0.2.7", nas: str = "vpn", most: int = 3) -> RecordCallerFailure:
    """One failure from an address."""
    return RecordCallerFailure(nas, caller, now, most, 600.0)


def test_a_caller_waits_after_too_many_failures_within_the_window(desk: Desk) -> None:
    """Over all users: the third failure within ten minutes blocks that address at that client for ten minutes."""
    for second in range(2):
        desk.commit(caller_failure(NOW + second))
        assert not desk.load(caller="192.0.2.7", now=NOW + second).caller_locked
    desk.commit(caller_failure(NOW + 2))
    assert desk.load("bob", caller="192.0.2.7", now=NOW + 2).caller_locked
    assert desk.load(caller="192.0.2.7", now=NOW + 601.9).caller_locked
    assert not desk.load(caller="192.0.2.7", now=NOW + 602).caller_locked


def test_a_site_that_forgives_no_caller(desk: Desk) -> None:
    """With a budget of one the first failure blocks, in the first window and in every later one."""
    for number in range(3):
        now = NOW + 700 * number
        assert not desk.load(caller="192.0.2.7", now=now).caller_locked
        desk.commit(caller_failure(now, most=1))
        assert desk.load(caller="192.0.2.7", now=now + 599).caller_locked


def test_another_caller_or_client_does_not_wait(desk: Desk) -> None:
    """The budget is that of one address at one client; a request without an address has none."""
    for _ in range(5):
        desk.commit(caller_failure())
        desk.commit(caller_failure(nas="ssh", caller="192.0.2.8"))
    assert not desk.load(caller="192.0.2.8").caller_locked
    assert not desk.load(caller="").caller_locked
    assert not desk.load(caller="192.0.2.70").caller_locked


def test_slow_failures_block_nobody(desk: Desk) -> None:
    """When the window is over the count begins anew."""
    for number in range(20):
        desk.commit(caller_failure(NOW + number * 301))
        assert not desk.load(caller="192.0.2.7", now=NOW + number * 301).caller_locked


# --- candidates ------------------------------------------------------------------------------------------------------


def test_a_candidate_is_kept_with_its_time(desk: Desk) -> None:
    """The newest one counts."""
    desk.commit(NoteResyncCandidate(H1, 50, NOW + 300))
    desk.commit(NoteResyncCandidate(H1, 40, NOW + 301))
    assert (desk.token().candidate, desk.token().candidate_until) == (40, NOW + 301)


def test_a_candidate_is_never_behind_the_token(desk: Desk) -> None:
    """A note that comes after the token was moved past it is forgotten, and the login goes on."""
    assert desk.commit(replace(SPEND, to=100)) is True
    assert desk.commit(NoteResyncCandidate(H1, 99, NOW + 300)) is True
    assert desk.token().candidate is None


# --- password hashes -------------------------------------------------------------------------------------------------


def test_a_renewed_hash_replaces_only_the_one_it_was_made_from(desk: Desk) -> None:
    """A password that was changed meanwhile stays changed."""
    assert desk.commit(ReplacePasswordHash(ALICE, "$argon2id$other", "$argon2id$new")) is True
    assert desk.user().password_hash == "$argon2id$alice"
    assert desk.commit(ReplacePasswordHash(ALICE, "$argon2id$alice", "$argon2id$new")) is True
    assert desk.user().password_hash == "$argon2id$new"
    assert desk.user("bob").password_hash is None


# --- challenges ------------------------------------------------------------------------------------------------------


def test_a_challenge_comes_back_as_it_was(desk: Desk) -> None:
    """Handle, client, person, kind, login, end and tries are kept; another handle finds nothing."""
    desk.commit(OpenChallenge(PENDING))
    assert desk.load(state=PENDING.handle).challenge == PENDING
    for other in ("", "5" * 31, "5" * 33, PENDING.handle.upper() + "\0", "' OR 1=1 --", "6" * 32):
        assert desk.load(state=other).challenge is None


def test_old_challenges_and_callers_are_swept(site: Site, desk: Desk) -> None:
    """What is over goes when the next login is written, now and then; what is open stays."""
    desk.commit(OpenChallenge(PENDING))
    desk.commit(OpenChallenge(replace(PENDING, handle="8" * 32, expires=NOW + 1000)))
    desk.commit(caller_failure())
    later = an_event(now=NOW + 700)
    desk.commit(event=later)
    assert site.sql("SELECT handle FROM challenges") == [("8" * 32,)]
    assert site.sql("SELECT * FROM callers") == []


def test_a_caller_who_waits_is_not_swept(site: Site, desk: Desk) -> None:
    """A block outlives its window."""
    for second in (0, 300, 599):
        desk.commit(caller_failure(NOW + second))
    desk.commit(event=an_event(now=NOW + 700))
    assert desk.load(caller="192.0.2.7", now=NOW + 700).caller_locked


def test_sweeping_goes_on_after_the_clock_stepped_back(site: Site, desk: Desk) -> None:
    """A clock that was a year ahead for a moment does not end the sweeping for a year."""
    desk.commit(event=an_event(now=NOW + 3e7))
    desk.commit(OpenChallenge(PENDING))
    desk.commit(event=an_event(now=NOW + 130))
    assert site.sql("SELECT * FROM challenges") == []


@pytest.fixture
def few_challenges(monkeypatch: pytest.MonkeyPatch) -> int:
    """Make the bound on open challenges small."""
    monkeypatch.setattr(engine, "_MOST_CHALLENGES", 4)
    monkeypatch.setattr(engine, "_EVICTED_AT_ONCE", 1)
    return 4


def open_one(number: int, *, proved: bool = False) -> OpenChallenge:
    """One more question, put to somebody who has or has not shown a password."""
    expires = PENDING.expires + number
    return OpenChallenge(replace(PENDING, handle=f"{number:032d}", password_passed=proved, expires=expires))


def open_now(site: Site) -> list[int]:
    """Which questions are open."""
    return sorted(int(handle) for (handle,) in site.sql("SELECT handle FROM challenges"))


def test_a_flood_of_questions_drives_out_its_own_oldest(site: Site, desk: Desk, few_challenges: int) -> None:
    """At the bound the oldest question of those put to nobody in particular makes room for the new one."""
    for number in range(few_challenges + 3):
        assert desk.commit(open_one(number)) is True
    assert open_now(site) == [3, 4, 5, 6]


def test_a_flood_does_not_drive_out_who_has_shown_a_password(site: Site, desk: Desk, few_challenges: int) -> None:
    """Questions after a right password stay, and new ones are still opened, whatever strangers ask for."""
    assert desk.commit(open_one(0, proved=True)) is True
    for number in range(1, 20):
        assert desk.commit(open_one(number)) is True
    assert desk.commit(open_one(20, proved=True)) is True
    assert {0, 20} <= set(open_now(site))
    assert len(open_now(site)) <= few_challenges + 1


def test_at_the_bound_open_logins_go_on(desk: Desk, few_challenges: int) -> None:
    """A question that is exchanged for the next one goes through, and a login by code alone does too."""
    for number in range(few_challenges):
        desk.commit(open_one(number))
    newest = open_one(few_challenges - 1).challenge.handle
    assert desk.commit(CloseChallenge(newest, NOW), open_one(10)) is True
    assert desk.commit(SPEND) is True


def test_sweeping_forgets_what_has_run_out(site: Site, desk: Desk, few_challenges: int) -> None:
    """When the questions of a flood have run out, they are forgotten."""
    for number in range(few_challenges):
        desk.commit(open_one(number))
    desk.commit(event=an_event(now=NOW + 500))
    assert open_now(site) == []


def test_refused_and_failed_logins_use_up_no_room(site: Site, desk: Desk, few_challenges: int) -> None:
    """Only questions that are really in the database count against the bound, whatever went wrong before."""
    for number in range(20):
        assert desk.commit(replace(SPEND, to=1), open_one(number)) is False
    desk.commit(open_one(0))
    for _ in range(20):  # the same handle twice: this one fails, alone
        assert isinstance(desk.commit(open_one(0)), StoreUnavailableError)
    assert [desk.commit(open_one(number)) for number in (1, 2, 3)] == [True] * 3
    assert open_now(site) == [0, 1, 2, 3]


def test_a_restart_counts_what_is_open(site: Site, desk: Desk, few_challenges: int) -> None:
    """The bound holds over restarts."""
    for number in range(few_challenges):
        desk.commit(open_one(number))
    again = site.desk()
    again.commit(open_one(9))
    again.store.close()
    assert open_now(site) == [1, 2, 3, 9]


# --- never backwards, whatever happens -------------------------------------------------------------------------------


@given(steps=st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=25))
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_token_only_moves_forward(site: Site, steps: list[tuple[int, bool]]) -> None:
    """In whatever order and grouping codes are spent, exactly those beyond the token's place are committed."""
    site.sql("UPDATE tokens SET state = 'active'")
    desk = site.desk()
    try:
        start = at = desk.token().moving_factor
        expected: list[bool] = []
        got: list[object] = []
        for offset, flush in steps:
            to = start + offset - 20
            expected.append(to > at)
            at = max(at, to)
            desk.queue(replace(SPEND, to=to))
            if flush:
                got += desk.write()
        got += desk.write()
        assert got == expected
        assert desk.token().moving_factor == at
    finally:
        desk.store.close()
