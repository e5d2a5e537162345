"""Several stores on one database of PostgreSQL: one code, one yes; no node waits for another in a circle.

The nodes are processes or threads with connections of their own, and they do begin at the same moment. RFC 4226 7.2
and RFC 6238 5.2: whichever node is asked, a code is spent once.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radiusd2fa.core.chain import START, link
from radiusd2fa.core.model import (
    AddAccount,
    AdvanceMovingFactor,
    ClearFailures,
    CloseChallenge,
    Effect,
    Event,
    NoteLogin,
    OpenChallenge,
    RecordCallerFailure,
    TakeToken,
    UseSheet,
)
from radiusd2fa.store import engine, locks, postgresql_opening
from radiusd2fa.store.address import PostgresServer, SqliteFile
from radiusd2fa.store.database import Commit, Committed
from radiusd2fa.store.engine import Store
from radiusd2fa.store.postgresql_database import _login, _waves
from radiusd2fa.store.schema import EVENT_COLUMNS

from .conftest import NOW, Desk, Site, an_event, settle
from .test_commit import ALICE, BOB, H1, PENDING, SPEND, fail

pytestmark = pytest.mark.postgresql_only

ROUNDS: Final = 40
NODE: Final = """
import json, sys
from pathlib import Path
from radiusd2fa import vault
from radiusd2fa.core.model import AdvanceMovingFactor, Event
from radiusd2fa.store.address import PostgresServer
from radiusd2fa.store.engine import Store

uri, key, name = sys.argv[1:]
alarms = []
store = Store(PostgresServer(uri), vault.load(Path(key)), alarms.append, chain=name)
for line in sys.stdin:
    results = []
    spend = AdvanceMovingFactor(1, 1, int(line), 0, 1.7e9)
    store.commit([spend], Event(time=1.7e9, name="access.accepted", login="x", nas="vpn", user="alice"), results.append)
    store.flush()
    print(json.dumps(results == [True]), flush=True)
store.close()
assert alarms == [], alarms
"""


def together(*works: Callable[[], object]) -> list[object]:
    """Do all at the same moment, each in a thread of its own."""
    barrier = Barrier(len(works))

    def begin(work: Callable[[], object]) -> object:
        barrier.wait(60)
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(60) for future in [pool.submit(begin, work) for work in works]]


def nodes(site: Site, count: int) -> list[Desk]:
    """Open stores under chains of their own."""
    desks = []
    for number in range(count):
        alarms: list[str] = []
        desks.append(Desk(Store(site.address, site.vault, alarms.append, chain=f"node{number}"), alarms=alarms))
    return desks


# --- one code --------------------------------------------------------------------------------------------------------


def test_one_code_at_three_processes_is_accepted_once(site: Site, tmp_path: Path) -> None:
    """Of three daemons that are given one code at the same moment exactly one says yes, every time."""
    assert isinstance(site.address, PostgresServer)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", NODE, site.address.uri, str(tmp_path / "vault.key"), f"node{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    accepted = []
    for to in range(10, 10 + ROUNDS):
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(f"{to}\n")
            process.stdin.flush()
        answers = [process.stdout.readline() for process in processes if process.stdout is not None]
        accepted.append(sum(map(json.loads, answers)))
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert accepted == [1] * ROUNDS
    assert site.sql("SELECT count(*) FROM events WHERE name = 'access.accepted'") == [(ROUNDS,)]


ONCE: Final[dict[str, tuple[str, Sequence[Effect]]]] = {
    "a code": ("SELECT 1", [SPEND]),
    "a code of a sheet": (
        "UPDATE tokens SET kind = 'recovery', moving_factor = 16 WHERE id = 1",
        [UseSheet(H1, ALICE, 3, NOW)],
    ),
    "a question": ("SELECT 1", [CloseChallenge(PENDING.handle, NOW)]),
    "a token of the stock": (
        "UPDATE tokens SET user_id = NULL, state = 'stock' WHERE id = 3",
        [TakeToken(3, BOB, 50, 0, NOW)],
    ),
    "a newcomer": ("SELECT 1", [AddAccount("carl", "ldap", "id-9", (), NOW, admitted=True, without_kin=True)]),
}


@pytest.mark.parametrize("once", ONCE.values(), ids=ONCE.keys())
def test_what_happens_once_happens_once_over_three_nodes(site: Site, once: tuple[str, Sequence[Effect]]) -> None:
    """Every guard holds for one node alone, however close the others come."""
    plant, effects = once
    desks = nodes(site, 3)
    desks[0].commit(OpenChallenge(PENDING))
    site.sql(plant)
    for desk in desks:
        desk.queue(*effects)
    results = together(*(desk.write for desk in desks))
    assert sorted(map(str, results)) == ["[False]", "[False]", "[True]"]
    for desk in desks:
        desk.store.close()
        assert desk.alarms == []


def test_guesses_at_three_nodes_are_all_counted(site: Site) -> None:
    """The throttle is one for all nodes: thirty wrong codes at once lock as thirty in a row do."""
    desks = nodes(site, 3)
    for desk in desks:
        for number in range(10):
            desk.queue(fail(most=100), RecordCallerFailure("vpn", "192.0.2.7", NOW, 100, 600.0))
            desk.queue(RecordCallerFailure("vpn", f"192.0.2.{number}", NOW, 100, 600.0))
    together(*(desk.write for desk in desks))
    assert site.sql("SELECT failures FROM users WHERE id = 1") == [(30,)]
    assert site.sql("SELECT failures FROM callers WHERE caller = '192.0.2.7'") == [(33,)]
    for desk in desks:
        desk.store.close()
        assert desk.alarms == []


def test_kin_that_take_tokens_at_once_take_turns(site: Site) -> None:
    """Who is let in without a token, and who of the same name takes one, meet at a lock of that name."""
    login = locks.keys_of([NoteLogin(7, NOW, unenrolled=True)], replace(an_event(), user="carl@x"))
    taking = locks.keys_of([TakeToken(9, 8, 1, 0, NOW)], replace(an_event(), user="corp\\carl"))
    assert len(login & taking) == 1


# --- no circle -------------------------------------------------------------------------------------------------------


def test_groups_in_opposite_order_do_not_wait_in_a_circle(site: Site) -> None:
    """Two nodes that write the same people, tokens, callers and questions in opposite orders both come through."""
    desks = nodes(site, 2)
    for turn in range(25):
        for direction, desk in zip((1, -1), desks, strict=True):
            for user, token in ((ALICE, 1), (BOB, 3))[::direction]:
                desk.queue(
                    AdvanceMovingFactor(token, user, 100 + turn, 0, NOW),
                    ClearFailures(user),
                    RecordCallerFailure("vpn", f"192.0.2.{user}", NOW, 1000, 600.0),
                )
        results = [result for one in together(*(desk.write for desk in desks)) for result in one]  # type: ignore[attr-defined]
        assert sorted(map(str, results)) == ["False", "False", "True", "True"]
    for desk in desks:
        desk.store.close()
        assert desk.alarms == []


def test_sweeping_waits_for_nobody(site: Site) -> None:
    """While one node writes callers and questions that are over, another sweeps; neither stops the other."""
    desks = nodes(site, 2)
    for number in range(50):
        desks[0].queue(
            OpenChallenge(replace(PENDING, handle=f"{number:032d}")),
            RecordCallerFailure("vpn", f"192.0.2.{number}", NOW, 100, 600.0),
        )
    desks[0].write()
    for number in reversed(range(50)):
        desks[0].queue(RecordCallerFailure("vpn", f"192.0.2.{number}", NOW + 601, 100, 600.0))
    desks[1].queue(event=an_event(now=NOW + 601))
    together(*(desk.write for desk in desks))
    desks[1].commit(event=an_event(now=NOW + 1500))
    assert site.sql("SELECT count(*) FROM challenges") == [(0,)]
    assert site.sql("SELECT count(*) FROM callers") == [(0,)]
    for desk in desks:
        desk.store.close()
        assert desk.alarms == []


def test_no_login_runs_while_a_command_changes_something(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command holds the lock that groups share: a group waits for it, and then sees what it has changed."""
    monkeypatch.setattr(engine, "BUSY_TIMEOUT", 60.0)
    monkeypatch.setattr(postgresql_opening, "PATIENCE", 60.0)
    (desk,) = nodes(site, 1)
    desk.queue(SPEND)
    with ThreadPoolExecutor(1) as pool:
        with site.held():
            writing = pool.submit(desk.write)
            waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()"
            while not site.sql(waiting):
                pass
            assert not writing.done()
            site.sql("UPDATE tokens SET moving_factor = 6 WHERE id = 1")
        assert writing.result(60) == [False]
    desk.store.close()


# --- one chain -------------------------------------------------------------------------------------------------------


def test_two_writers_of_one_chain_do_not_fork_it(site: Site) -> None:
    """While one daemon hands over to the next, both append to the node's chain, one row behind the other."""
    stores = [site.desk(), site.desk()]
    for _ in range(15):
        for desk in stores:
            for _ in range(3):
                desk.queue(fail(most=1000))
        together(*(desk.write for desk in stores))
    columns = ", ".join(f'"{column.name}"' for column in EVENT_COLUMNS)
    rows = site.sql(f"SELECT {columns}, sequence, hash FROM events WHERE chain = 'daemon' ORDER BY sequence")  # noqa: S608
    assert [row[12] for row in rows] == list(range(1, 91))
    digest = START
    for row in rows:
        digest = link(digest, "daemon", row[12], Event(*row[:12]))
        assert row[13] == digest
    for desk in stores:
        desk.store.close()


# --- waves -----------------------------------------------------------------------------------------------------------


def _waves_of(*logins: Sequence[Effect]) -> list[list[int]]:
    commits = [Commit(effects, an_event(), lambda _: None) for effects in logins]
    return [[one.number for one in wave] for wave in _waves([_login(n, one) for n, one in enumerate(commits)])]


def test_logins_that_meet_nobody_are_one_wave() -> None:
    """Whom no guard of another could stop is written in the same round."""
    bobs = AdvanceMovingFactor(3, BOB, 9, 0, NOW)
    assert _waves_of([SPEND], [bobs], [fail()], [CloseChallenge("7" * 32, NOW)]) == [[0, 1, 2, 3]]


def test_guards_that_meet_are_waves_of_their_own() -> None:
    """Whether the second holds hangs on whether the first has held; what stands between them stays between."""
    caller = RecordCallerFailure("vpn", "192.0.2.7", NOW, 3, 600.0)
    assert _waves_of([SPEND], [SPEND], [SPEND]) == [[0], [1], [2]]
    assert _waves_of([fail()], [fail()], [SPEND], [fail()], [SPEND]) == [[0, 1, 2, 3], [4]]
    assert _waves_of([SPEND], [SPEND, caller], [caller], [CloseChallenge("7" * 32, NOW), caller]) == [[0], [1, 2], [3]]


# --- the same as over a file -----------------------------------------------------------------------------------------

_ANY_LOGIN: Final = st.lists(
    st.one_of(
        st.builds(lambda to: AdvanceMovingFactor(1, ALICE, to, 0, NOW), st.integers(4, 9)),
        st.builds(lambda to: AdvanceMovingFactor(3, BOB, to, 0, NOW), st.integers(4, 9)),
        st.builds(lambda n: OpenChallenge(replace(PENDING, handle=str(n) * 32)), st.integers(0, 3)),
        st.builds(lambda n: CloseChallenge(str(n) * 32, NOW), st.integers(0, 3)),
        st.just(fail(most=6)),
        st.just(ClearFailures(ALICE)),
    ),
    max_size=3,
)


@pytest.fixture
def twin(site: Site, tmp_path: Path) -> Site:
    """The same site over a file."""
    twin = Site(SqliteFile(tmp_path / "twin.db"), site.vault)
    settle(twin.address, site.vault)
    return twin


@given(groups=st.lists(st.lists(_ANY_LOGIN, max_size=8), max_size=3))
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_stores_come_to_the_same(site: Site, twin: Site, groups: list[list[list[Effect]]]) -> None:
    """Whatever logins are written together, in whatever order: the same are accepted, and the same rows are left."""
    left = []
    for one in (site, twin):
        one.sql("DELETE FROM challenges")
        one.sql("UPDATE users SET failures = 0, locked_until = 0")
        start = one.sql("SELECT moving_factor FROM tokens ORDER BY id")
        desk = one.desk()
        results: list[Committed] = []
        for group in groups:
            for effects in group:
                desk.queue(*(_from(start, effect) for effect in effects))
            results += desk.write()
        desk.store.close()
        left.append(
            (
                [result is True for result in results],
                one.sql("SELECT name, failures, locked_until FROM users ORDER BY id"),
                one.sql("SELECT serial, moving_factor, state, last_used FROM tokens ORDER BY id"),
                one.sql("SELECT handle, expires FROM challenges ORDER BY handle"),
                one.sql("SELECT count(*) FROM events WHERE name = 'access.accepted'"),
            )
        )
    assert left[0] == left[1]


def _from(start: list[tuple[int]], effect: Effect) -> Effect:
    """A moving factor only grows, also from one example to the next."""
    if isinstance(effect, AdvanceMovingFactor):
        return replace(effect, to=effect.to - 5 + start[effect.token_id - 1][0])
    return effect
