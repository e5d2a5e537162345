"""What the store does with security keys: counters, questions that wait for a station, and the rows of old databases.

Each guard is tested by its negation: the one fact that must stop it, and nothing else. The database is a real file.
WebAuthn 6.1.1 (signature counter), RFC 2865 4.4 (State).
"""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from alembic import command
from alembic.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from radiusd2fa import store
from radiusd2fa.core.model import (
    ChallengeKind,
    CloseChallenge,
    ContestStations,
    DisableToken,
    Effect,
    KeyCeremony,
    OpenChallenge,
    PendingChallenge,
    RecordAssertion,
    TokenState,
    WriteEvent,
)
from radiusd2fa.store.address import SqliteFile
from radiusd2fa.store.schema import REVISION
from radiusd2fa.store.sqlite import StoreError
from radiusd2fa.store.upgrade import bring_up_to_date, create
from radiusd2fa.store.waiting import WaitingRoom
from tests.factors.keys import es256

from .conftest import NOW, SEED, Desk, Site, Template, an_event, hotp

ALICE: Final = 1
BOB: Final = 2
K1: Final = 4
"""The row of alice's key, after the three fobs of the template."""
COUNTER: Final = 5
ASSERTED: Final = RecordAssertion(K1, ALICE, counter=6, now=NOW)
CEREMONY: Final = KeyCeremony(bytes(range(16)), station=True, credentials=(b"one", b"other"))
PENDING: Final = PendingChallenge(
    "5" * 32, "vpn", "alice", ALICE, ChallengeKind.CODE, True, "a1", NOW + 120, 3, CEREMONY
)
CLOSE: Final = CloseChallenge(PENDING.handle, NOW)


@pytest.fixture(scope="module")
def template(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The site, where alice has two keys as well; the second does not count."""
    copied = template.copied(tmp_path_factory.mktemp("keys"))
    with copied.site().registry() as registry:
        registry.add_token(es256().token(0, "K1", COUNTER), "alice", NOW)
        registry.add_token(es256("silent").token(0, "K2", 0), "alice", NOW)
    return copied


@pytest.mark.both_stores
def test_the_keys_are_where_these_tests_say(site: Site) -> None:
    """Rows of the template: a change there is noticed here."""
    assert site.sql("SELECT id, serial, moving_factor FROM tokens WHERE kind = 'fido'") == [(4, "K1", 5), (5, "K2", 0)]


def rows(site: Site) -> list[list[tuple[Any, ...]]]:
    """Everything that a login could change."""
    return [site.sql(f"SELECT * FROM {table}") for table in ("users", "tokens", "challenges", "events")]  # noqa: S608


# --- the counter of a key --------------------------------------------------------------------------------------------

NOT_COUNTED: Final[dict[str, tuple[str, RecordAssertion]]] = {
    "the same counter": ("SELECT 1", replace(ASSERTED, counter=5)),
    "a smaller one": ("SELECT 1", replace(ASSERTED, counter=4)),
    "zero after five": ("SELECT 1", replace(ASSERTED, counter=0)),
    "zero after one": (
        "UPDATE tokens SET moving_factor = 1 WHERE id = 5",
        RecordAssertion(5, ALICE, counter=0, now=NOW),
    ),
    "somebody was faster": ("UPDATE tokens SET moving_factor = 6 WHERE id = 4", ASSERTED),
    "somebody was faster by far": ("UPDATE tokens SET moving_factor = 4294967295 WHERE id = 4", ASSERTED),
    "token disabled": ("UPDATE tokens SET state = 'disabled' WHERE id = 4", ASSERTED),
    "token revoked": ("UPDATE tokens SET state = 'revoked' WHERE id = 4", ASSERTED),
    "token lost": ("UPDATE tokens SET state = 'lost' WHERE id = 4", ASSERTED),
    "token in stock": ("UPDATE tokens SET state = 'stock' WHERE id = 4", ASSERTED),
    "another owner": ("UPDATE tokens SET user_id = 2 WHERE id = 4", ASSERTED),
    "no owner": ("UPDATE tokens SET user_id = NULL WHERE id = 4", ASSERTED),
    "another user than the owner": ("SELECT 1", replace(ASSERTED, user_id=BOB)),
    "no such token": ("SELECT 1", replace(ASSERTED, token_id=99)),
    "no such user": ("SELECT 1", replace(ASSERTED, user_id=99)),
    "user disabled": ("UPDATE users SET enabled = false WHERE id = 1", ASSERTED),
    "user locked": ("UPDATE users SET locked_until = 1700000000.5 WHERE id = 1", ASSERTED),
    "never counted, but disabled": (
        "UPDATE tokens SET state = 'disabled' WHERE id = 5",
        RecordAssertion(5, ALICE, counter=0, now=NOW),
    ),
    "never counted, but another's": (
        "UPDATE tokens SET user_id = 2 WHERE id = 5",
        RecordAssertion(5, ALICE, counter=0, now=NOW),
    ),
    "never counted, but its user is locked": (
        "UPDATE users SET locked_until = 1700000000.5 WHERE id = 1",
        RecordAssertion(5, ALICE, counter=0, now=NOW),
    ),
}


@pytest.mark.both_stores
@pytest.mark.parametrize("case", NOT_COUNTED.values(), ids=NOT_COUNTED.keys())
def test_each_guard_of_a_key_holds_alone(site: Site, desk: Desk, case: tuple[str, RecordAssertion]) -> None:
    """With this one thing changed since the look, the State is not spent either, and nothing at all is written."""
    plant, effect = case
    assert desk.commit(OpenChallenge(PENDING)) is True
    site.sql(plant)
    before = rows(site)
    assert desk.commit(effect, CLOSE) is False
    assert desk.commit(CLOSE, effect) is False
    assert rows(site) == before


@pytest.mark.both_stores
@pytest.mark.parametrize("counter", [6, 7, 1000, 2**31, 2**32 - 1])
def test_a_counter_that_has_grown_is_recorded(site: Site, desk: Desk, counter: int) -> None:
    """By one, by two, by any number: it is stored with the time, and the same answer is refused from then on."""
    asserted = replace(ASSERTED, counter=counter)
    assert desk.commit(asserted) is True
    token = desk.token("K1")
    assert (token.moving_factor, token.last_used) == (counter, NOW)
    assert desk.commit(asserted) is False
    assert desk.commit(replace(asserted, counter=counter - 1)) is False


@pytest.mark.both_stores
def test_a_key_that_does_not_count_is_guarded_by_its_question(desk: Desk) -> None:
    """Zero after zero goes through, again and again; what makes an answer good once is the State beside it."""
    silent = RecordAssertion(5, ALICE, counter=0, now=NOW)
    assert desk.commit(OpenChallenge(PENDING)) is True
    for _ in range(20):
        desk.queue(silent, CLOSE)
    assert desk.write() == [True] + [False] * 19
    assert desk.token("K2").last_used == NOW
    assert desk.commit(silent) is True
    assert desk.commit(replace(silent, counter=1)) is True
    assert desk.commit(silent) is False


@pytest.mark.both_stores
@pytest.mark.parametrize("expires", [NOW, NOW - 1])
def test_a_question_whose_time_is_over_stops_a_key(site: Site, desk: Desk, expires: float) -> None:
    """Time runs out between look and write as well."""
    desk.commit(OpenChallenge(PENDING))
    site.sql("UPDATE challenges SET expires = ?", expires)
    assert desk.commit(ASSERTED, CLOSE) is False
    assert desk.token("K1").moving_factor == COUNTER


@pytest.mark.both_stores
def test_of_many_equal_answers_one_is_accepted(desk: Desk) -> None:
    """In one group, and over two groups."""
    desk.commit(OpenChallenge(PENDING))
    for _ in range(30):
        desk.queue(ASSERTED, CLOSE)
    assert desk.write() == [True] + [False] * 29
    assert desk.commit(ASSERTED, CLOSE) is False


@pytest.mark.both_stores
def test_only_that_key_is_touched(site: Site, desk: Desk) -> None:
    """Fobs, and the drift and candidate of every token, stay as they were."""
    others = "SELECT * FROM tokens WHERE id <> 4"
    rest = "SELECT serial, user_id, kind, sealed, state, drift, candidate, candidate_until FROM tokens WHERE id = 4"
    before = (site.sql(others), site.sql(rest))
    assert desk.commit(ASSERTED) is True
    assert (site.sql(others), site.sql(rest)) == before


# --- disabling, and a second audit row -------------------------------------------------------------------------------


@pytest.mark.both_stores
def test_a_disabled_key_is_gone_at_the_next_look(site: Site, desk: Desk) -> None:
    """It can log nobody in until an administrator has looked at it; the other tokens can."""
    assert desk.commit(DisableToken(K1)) is True
    assert {token.serial for token in desk.user().tokens} == {"H1", "T1", "K2"}
    assert desk.commit(ASSERTED) is False
    with site.registry() as registry:
        assert registry.token("K1").state is TokenState.DISABLED
        registry.set_state("K1", TokenState.ACTIVE, NOW)
    assert desk.commit(ASSERTED) is True


@pytest.mark.both_stores
@pytest.mark.parametrize("state", ["revoked", "lost", "expired", "stock", "returned", "disabled"])
def test_disabling_brings_no_token_back(site: Site, desk: Desk, state: str) -> None:
    """What is worse than disabled stays so: no way leads from revoked over disabled to active."""
    site.sql("UPDATE tokens SET state = ? WHERE id = 4", state)
    assert desk.commit(DisableToken(K1)) is True
    assert site.sql("SELECT state FROM tokens WHERE id = 4") == [(state,)]
    assert site.sql("SELECT DISTINCT state FROM tokens WHERE id <> 4") == [("active",)]


@pytest.mark.both_stores
def test_an_alarm_has_its_own_row_in_the_audit(site: Site, desk: Desk) -> None:
    """Beside the row of the decision, with everything that the event says; and neither without the other."""
    alarm = replace(an_event("token.cloned"), caller="192.0.2.7", factor="fido", serial="K1", reason="key_cloned")
    before = len(site.sql("SELECT * FROM events"))
    assert desk.commit(DisableToken(K1), WriteEvent(alarm), event=an_event("access.rejected")) is True
    written = site.sql('SELECT name, login, nas, "user", caller, factor, serial, reason FROM events ORDER BY id')[
        before:
    ]
    assert written == [
        ("token.cloned", "10619", "vpn", "alice", "192.0.2.7", "fido", "K1", "key_cloned"),
        ("access.rejected", "10619", "vpn", "alice", "", "", "", ""),
    ]
    assert desk.commit(WriteEvent(alarm), replace(ASSERTED, counter=1)) is False
    assert len(site.sql("SELECT * FROM events")) == before + 2


# --- questions that wait for a station -------------------------------------------------------------------------------


def waiting(handle: str, login: str, **changes: Any) -> PendingChallenge:  # noqa: ANN401 - fields of two nouns
    """A question of alice's that a station shows, but for the changes."""
    ceremony = replace(CEREMONY, nonce=hashlib.md5(handle.encode(), usedforsecurity=False).digest())
    question = replace(PENDING, handle=handle, login=login, ceremony=ceremony)
    if "station" in changes:
        question = replace(question, ceremony=replace(ceremony, station=changes.pop("station")))
    return replace(question, **changes)


def put(desk: Desk, question: PendingChallenge, now: float = NOW) -> None:
    """Put a question as a login does."""
    effects: list[Effect] = [OpenChallenge(question)]
    if question.ceremony is not None and question.ceremony.station and question.user_id is not None:
        effects.append(ContestStations(question.user_id, now))
    assert desk.commit(*effects) is True


def contested(site: Site) -> set[str]:
    """The questions that no touch can answer any more."""
    return {handle for (handle,) in site.sql("SELECT handle FROM challenges WHERE contested = true")}


@pytest.mark.both_stores
def test_two_logins_contest_each_other(site: Site, desk: Desk) -> None:
    """As soon as a second login of one person waits for a touch, neither the first nor the second can have it."""
    put(desk, waiting("a", "1"))
    assert contested(site) == set()
    put(desk, waiting("b", "2"))
    assert contested(site) == {"a", "b"}
    put(desk, waiting("c", "3"))
    assert contested(site) == {"a", "b", "c"}
    found = desk.load(state="a").challenge
    assert found is not None
    assert found.ceremony is not None
    assert found.ceremony.contested


@pytest.mark.both_stores
def test_two_logins_of_one_group_contest_each_other(site: Site, desk: Desk) -> None:
    """Written in one transaction they are no less at once."""
    for handle in ("a", "b"):
        desk.queue(OpenChallenge(waiting(handle, handle)), ContestStations(ALICE, NOW))
    assert desk.write() == [True, True]
    assert contested(site) == {"a", "b"}


UNCONTESTED: Final[dict[str, PendingChallenge]] = {
    "the same login, asked again": waiting("a", "2"),
    "another person": waiting("a", "1", user_id=BOB, user_name="bob"),
    "somebody unknown": waiting("a", "1", user_id=None),
    "a question that has run out": waiting("a", "1", expires=NOW),
    "a question that ran out long ago": waiting("a", "1", expires=NOW - 1000),
    "a question that no station shows": waiting("a", "1", station=False),
    "a question without a key": waiting("a", "1", ceremony=None),
}


@pytest.mark.both_stores
@pytest.mark.parametrize("other", UNCONTESTED.values(), ids=UNCONTESTED.keys())
def test_what_contests_nothing(site: Site, desk: Desk, other: PendingChallenge) -> None:
    """Only two unexpired questions of two logins of one person, both shown by stations, stand in each other's way."""
    put(desk, other)
    put(desk, waiting("b", "2"))
    assert contested(site) == set()


@pytest.mark.both_stores
def test_a_contest_reaches_nobody_else(site: Site, desk: Desk) -> None:
    """Of all open questions only those are marked that could be mixed up."""
    put(desk, waiting("bob's", "9", user_id=BOB, user_name="bob"))
    put(desk, waiting("by responder", "3", station=False))
    put(desk, waiting("over", "4", expires=NOW - 1))
    put(desk, waiting("plain", "5", ceremony=None))
    put(desk, waiting("a", "1"))
    put(desk, waiting("b", "2"))
    assert contested(site) == {"a", "b"}


@pytest.mark.both_stores
def test_a_login_that_asks_again_stays_contested(site: Site, desk: Desk) -> None:
    """The next question of a contested login waits in vain as well, for as long as the other one does."""
    put(desk, waiting("a", "1"))
    put(desk, waiting("b", "2"))
    again = waiting("c", "1")
    assert desk.commit(CloseChallenge("a", NOW), OpenChallenge(again), ContestStations(ALICE, NOW)) is True
    assert contested(site) == {"b", "c"}


@pytest.mark.both_stores
def test_a_login_without_a_password_spoils_none_that_has_one(site: Site, desk: Desk) -> None:
    """Whoever knows a name only keeps nobody from a station who has proved more; such a login spoils itself."""
    put(desk, waiting("proved", "1", password_passed=True))
    put(desk, waiting("named", "2", password_passed=False))
    assert contested(site) == {"named"}
    put(desk, waiting("named too", "3", password_passed=False))
    assert contested(site) == {"named", "named too"}
    put(desk, waiting("proved too", "4", password_passed=True))
    assert contested(site) == {"named", "named too", "proved", "proved too"}


@pytest.mark.both_stores
def test_a_touch_that_was_spoilt_meanwhile_closes_nothing(site: Site, desk: Desk) -> None:
    """The commit itself looks once more: a login that was marked since it was loaded is not accepted for its touch."""
    put(desk, waiting("a", "1"))
    put(desk, waiting("b", "2"))
    assert desk.commit(CloseChallenge("a", NOW, uncontested=True)) is False
    assert desk.commit(CloseChallenge("a", NOW)) is True
    put(desk, waiting("c", "3", user_id=BOB, user_name="bob"))
    assert desk.commit(CloseChallenge("c", NOW, uncontested=True)) is True


# --- what a station brings in ----------------------------------------------------------------------------------------


@pytest.mark.both_stores
@pytest.mark.parametrize(
    "plant",
    [
        "UPDATE challenges SET contested = true",
        "UPDATE challenges SET station = false",
        "UPDATE challenges SET expires = 1700000000",
        "UPDATE challenges SET answer = 'first'",
        "UPDATE challenges SET nonce = '00'",
        "DELETE FROM challenges",
    ],
)
def test_a_station_cannot_bring_in_what_nobody_waits_for(site: Site, desk: Desk, plant: str) -> None:
    """Contested, over, answered, or not shown by any station: a touch comes too late or not at all."""
    put(desk, PENDING)
    site.sql(plant)
    before = rows(site)
    with WaitingRoom(site.address) as room:
        assert room.bring(CEREMONY.nonce, "RKS1-late", NOW) is False
    assert rows(site) == before


@pytest.mark.both_stores
def test_what_a_station_brings_in_is_there_at_the_next_look(site: Site, desk: Desk) -> None:
    """The answer stands beside the question that the daemon then loads, and no second one replaces it."""
    put(desk, PENDING)
    with WaitingRoom(site.address) as room:
        (shown,) = room.waiting({"vpn"}, NOW)
        assert (shown.nonce, shown.user, shown.credentials) == (CEREMONY.nonce, "alice", CEREMONY.credentials)
        assert room.waiting({"gw"}, NOW) == []
        assert room.bring(CEREMONY.nonce, "RKS1-answer", NOW) is True
        assert room.bring(CEREMONY.nonce, "RKS1-second", NOW) is False
        assert room.waiting({"vpn"}, NOW) == []
    assert desk.load(state=PENDING.handle).challenge == replace(
        PENDING, ceremony=replace(CEREMONY, answer="RKS1-answer")
    )


# --- there and back --------------------------------------------------------------------------------------------------

CEREMONIES: Final = st.none() | st.builds(
    KeyCeremony,
    st.binary(min_size=16, max_size=16),
    station=st.booleans(),
    credentials=st.lists(st.binary(min_size=1, max_size=80), max_size=4).map(tuple),
    user_verification=st.booleans(),
    contested=st.booleans(),
    answer=st.none() | st.text("RKS1-aZ09_", max_size=40),
)


@pytest.mark.both_stores
@given(ceremony=CEREMONIES, number=st.integers(0, 2**60))
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_ceremony_is_loaded_as_it_was_written(desk: Desk, ceremony: KeyCeremony | None, number: int) -> None:
    """Whatever a question offers to a key is there when the answer comes, octet for octet."""
    question = replace(PENDING, handle=f"{number:x}", ceremony=ceremony)
    if desk.load(state=question.handle).challenge is None:
        assert desk.commit(OpenChallenge(question)) is True
        assert desk.load(state=question.handle).challenge == question


@pytest.mark.both_stores
@pytest.mark.parametrize("length", [1, 16, 64, 255, 1023])
def test_ids_of_any_length_survive(desk: Desk, length: int) -> None:
    """A key chooses the length of its ids (WebAuthn 4: at most 1,023 octets)."""
    ids = (bytes(length), b"\xff" * length, bytes(n % 256 for n in range(length)))
    question = replace(PENDING, ceremony=replace(CEREMONY, credentials=ids))
    desk.commit(OpenChallenge(question))
    assert desk.load(state=question.handle).challenge == question


@pytest.mark.both_stores
def test_a_key_is_loaded_as_it_was_stored(desk: Desk) -> None:
    """What the verifier needs of a credential comes out of the vault as it went in, and shows no codes."""
    expected = es256().token(K1, "K1", COUNTER)
    assert desk.token("K1") == replace(expected, state=TokenState.ACTIVE)


# --- one credential, one person --------------------------------------------------------------------------------------


@pytest.mark.both_stores
def test_no_two_tokens_share_a_credential(site: Site) -> None:
    """The database itself refuses a key that is registered already, whoever asks; tokens without one do not clash."""
    site.sql("UPDATE tokens SET credential = 'aa' WHERE id = 4")
    for clash in (
        "UPDATE tokens SET credential = 'aa' WHERE id = 1",
        "UPDATE tokens SET credential = 'bb'",
        "UPDATE tokens SET credential = 'aa' WHERE id = 5",
    ):
        with pytest.raises(Exception, match=r"(?i)unique"):
            site.sql(clash)
    assert site.sql("SELECT count(*) FROM tokens WHERE credential IS NULL") == [(4,)]
    site.sql("UPDATE tokens SET credential = 'bb' WHERE id = 1")


# --- a database of the version before --------------------------------------------------------------------------------


def run_migrations(path: Path, to: str) -> None:
    """Run the migrations up to one of them, and none beyond."""
    config = Config()
    config.set_main_option("script_location", str(Path(store.__file__).parent / "migrations"))
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, to)
    engine.dispose()


OLD_ROWS: Final = (
    "INSERT INTO users VALUES (1, 'alice', 'local', 1, 'staff', 2, 17.5, '$argon2id$alice', 1.5)",
    "INSERT INTO users VALUES (2, 'bob', 'ldap', 0, '', 0, 0, NULL, 2.5)",
    "INSERT INTO challenges VALUES ('5', 'vpn', 'alice', 1, 'code', 1, 'a1', 1700000120, 2)",
    "INSERT INTO callers VALUES ('vpn', '192.0.2.7', 3, 9.5, 0)",
    "INSERT INTO events VALUES (1, 1.5, 'user.added', '', '', 'alice', '', '', '', 'done', '', 0, 'root')",
    "INSERT INTO events VALUES (2, 2.5, 'access.accepted', 'a1', 'vpn', 'alice', '', 'hotp', 'H1', '', 'ok', 0.1, '')",
)
TABLES: Final = ("users", "tokens", "challenges", "callers", "events", "meta")


@pytest.fixture
def old(site: Site, tmp_path: Path) -> Site:
    """A database as the version before made it, with something in every table."""
    old = Site(SqliteFile(tmp_path / "old.db"), site.vault)
    run_migrations(old.path, "0001")
    for row in OLD_ROWS:
        old.sql(row)
    for number, (serial, owner) in enumerate((("H1", 1), ("H2", 2), ("H3", None)), 1):
        old.sql(
            "INSERT INTO tokens VALUES (?, ?, ?, 'hotp', ?, 6, 'sha1', 30, 'active', 0, NULL, 1, 7, -2, 8.5, 9, 10.5)",
            number,
            serial,
            owner,
            site.vault.seal(number, SEED),
        )
    old.sql("INSERT INTO meta VALUES ('vault_key_id', ?)", site.vault.key_id.hex())
    return old


def contents(site: Site, columns: dict[str, list[str]]) -> dict[str, list[tuple[Any, ...]]]:
    """All rows, in those columns."""
    return {table: site.sql(f"SELECT {', '.join(names)} FROM {table}") for table, names in columns.items()}  # noqa: S608


def columns_of(site: Site) -> dict[str, list[str]]:
    """The columns of each table that was there before there were keys."""
    return {table: [f'"{row[1]}"' for row in site.sql(f"PRAGMA table_info({table})")] for table in TABLES}


def shape(site: Site) -> dict[str, object]:
    """Everything about tables, indices and triggers."""
    shapes: dict[str, object] = {}
    for kind, name, sql in site.sql("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"):
        shapes[f"{kind} {name}"] = (
            site.sql(f"PRAGMA table_xinfo({name})")
            + site.sql(f"PRAGMA foreign_key_list({name})")
            + [row[1:] for row in site.sql(f"PRAGMA index_list({name})")]
            if kind == "table"
            else sql
        )
    return shapes


def test_an_old_database_is_refused_until_it_is_brought_up_to_date(old: Site) -> None:
    """Neither daemon nor administration nor station reads a schema that is not theirs."""
    for use in (old.desk, old.registry, lambda: WaitingRoom(old.address)):
        with pytest.raises(StoreError, match="0001"):
            use()


def test_an_old_database_keeps_all_its_rows(old: Site) -> None:
    """Every row of every table is there afterwards, in every column that there was."""
    columns = columns_of(old)
    before = contents(old, columns)
    assert all(before.values())
    assert bring_up_to_date(old.address) == ("0001", REVISION)
    assert contents(old, columns) == before
    assert old.sql("SELECT DISTINCT label, credential FROM tokens") == [("", None)]
    assert old.sql("SELECT nonce, station, contested, user_verification, credentials, answer FROM challenges") == [
        (None, 0, 0, 0, "", None)
    ]
    assert old.sql("PRAGMA integrity_check") == [("ok",)]
    assert old.sql("PRAGMA foreign_key_check") == []
    assert bring_up_to_date(old.address) == (REVISION, REVISION)


def test_an_old_database_becomes_what_a_new_one_is(old: Site, tmp_path: Path) -> None:
    """Tables, columns, defaults, indices, triggers and references are those of a database made today."""
    fresh = Site(SqliteFile(tmp_path / "fresh.db"), old.vault)
    create(fresh.address, old.vault)
    assert shape(old) != shape(fresh)
    bring_up_to_date(old.address)
    assert shape(old) == shape(fresh)


def test_an_old_database_goes_on_where_it_was(old: Site) -> None:
    """Its seeds open, its open question can be answered, its counters guard, and a key can be added."""
    bring_up_to_date(old.address)
    with old.registry() as registry:
        registry.add_token(es256().token(0, "K1", COUNTER), "alice", NOW)
        registry.add_token(hotp("H9", seed=b"a seed of today's"), None, NOW)
    desk = old.desk()
    user = desk.user()
    assert {(token.serial, token.secret) for token in user.tokens} == {("H1", SEED), ("K1", es256().attested())}
    question = desk.load(state="5").challenge
    assert question == PendingChallenge("5", "vpn", "alice", 1, ChallengeKind.CODE, True, "a1", NOW + 120, 2)
    old.sql("UPDATE users SET locked_until = 0")
    assert desk.commit(RecordAssertion(desk.token("K1").id, 1, 6, NOW), CloseChallenge("5", NOW)) is True
    with pytest.raises(sqlite3.IntegrityError, match="only grows"):
        old.sql("UPDATE tokens SET moving_factor = 1")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        old.sql("DELETE FROM events")
    desk.store.close()
