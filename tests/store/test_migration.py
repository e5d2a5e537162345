"""A database of the version before directories: what its people are after the upgrade, and its questions worth.

The file is made by the migrations themselves up to the one before, and filled past all of our code.
RFC 4226 7.2 and RFC 6238 5.2 rest on it that nothing is forgotten.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from radiusd2fa import store
from radiusd2fa.core.model import Accept, AddAccount, Challenge, Flow, Reason, Reject
from radiusd2fa.core.rules import NOBODY
from radiusd2fa.store.address import SqliteFile
from radiusd2fa.store.schema import REVISION
from radiusd2fa.store.upgrade import bring_up_to_date
from tests.core.directory import packet, says
from tests.core.directory import site as rules
from tests.core.facts import COUNTER, SECRET, hotp, run

from .conftest import NOW, Site

pytestmark = pytest.mark.sqlite_only

USERS: Final = {
    1: ("alice", "Staff, Ops,,staff"),
    2: ("bob@x", ""),
    3: ("corp\\carol@y", " ,, ,"),
    4: ("dora", "NETADMINS,netadmins ,Net Admins"),
    5: ("erin", "stra\N{LATIN SMALL LETTER SHARP S}e,STRASSE"),
    6: ("frank", "a\x07b,ops"),
    7: ("grace", "a"),
}
"""Names, and their groups in a row, as `user add --group` never wrote them but a hand may have."""
GROUPS: Final = {
    "alice": ("staff", "ops"),
    "bob@x": (),
    "corp\\carol@y": (),
    "dora": ("netadmins", "net admins"),
    "erin": ("strasse",),
    "frank": ("ops",),
    "grace": ("a",),
}
EVENTS: Final = (("bob@x", "token.added"), ("corp\\carol@y", "token.assigned"), ("dora", "key.registered"))
"""Who has had a token once, of which only the audit knows."""
INNOCENT: Final = (
    ("erin", "user.added"),
    ("erin", "access.accepted"),
    ("frank", "token.revoked"),
    ("", "token.added"),
    ("nobody", "token.added"),
    ("Frank", "token.added"),
)
"""What makes nobody of these people enrolled."""
QUESTION: Final = "5" * 32


def run_migrations(path: Path, to: str) -> None:
    """Run the migrations up to one of them, and none beyond."""
    config = Config()
    config.set_main_option("script_location", str(Path(store.__file__).parent / "migrations"))
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, to)
    engine.dispose()


@pytest.fixture
def old(site: Site, tmp_path: Path) -> Site:
    """A database of schema 0002, with people, a token of alice's, one in stock, an audit and open questions."""
    old = Site(SqliteFile(tmp_path / "old.db"), site.vault)
    run_migrations(old.path, "0002")
    old.sql("INSERT INTO meta VALUES ('vault_key_id', ?)", site.vault.key_id.hex())
    for number, (name, groups) in USERS.items():
        old.sql("INSERT INTO users (id, name, groups, created) VALUES (?, ?, ?, 1.5)", number, name, groups)
    for number, (serial, owner) in enumerate((("H1", 1), ("H2", None)), 1):
        old.sql(
            "INSERT INTO tokens"
            " (id, serial, user_id, kind, sealed, digits, algorithm, step, state, created, moving_factor)"
            " VALUES (?, ?, ?, 'hotp', ?, 6, 'sha1', 30, ?, 1, ?)",
            number,
            serial,
            owner,
            site.vault.seal(number, SECRET),
            "active" if owner else "stock",
            COUNTER,
        )
    for user, name in (*EVENTS, *INNOCENT):
        old.sql(
            "INSERT INTO events (time, name, login, nas, user, caller, factor, serial, outcome, reason, latency, actor)"
            " VALUES (1.5, ?, '', '', ?, '', '', '', 'done', '', 0, 'root')",
            name,
            user,
        )
    for handle, name, number, kind in ((QUESTION, "alice", 1, "code"), ("6" * 32, "alice", 1, "password")):
        old.sql(
            "INSERT INTO challenges (handle, nas, user_name, user_id, kind, password_passed, login, expires, tries)"
            " VALUES (?, 'vpn', ?, ?, ?, ?, '10619', ?, 3)",
            handle,
            name,
            number,
            kind,
            kind == "code",
            NOW + 120,
        )
    return old


@pytest.fixture
def upgraded(old: Site) -> Site:
    """The same of today."""
    assert bring_up_to_date(old.address) == ("0002", REVISION)
    return old


def test_groups_become_what_rules_compare(upgraded: Site) -> None:
    """Blanks around them, empty ones, capitals and doubles go; what can be no group's name is none."""
    desk = upgraded.desk()
    assert {name: desk.user(name).groups for name, _ in USERS.values()} == GROUPS
    desk.store.close()


def test_whoever_had_a_token_is_enrolled(upgraded: Site) -> None:
    """By the token in their hands, or by the audit when it is back in stock; and nobody else is."""
    enrolled = {name for (name,) in upgraded.sql("SELECT name FROM users WHERE enrolled = 1")}
    assert enrolled == {"alice", *(name for name, _ in EVENTS)}


def test_names_are_known_without_their_realms(upgraded: Site) -> None:
    """So that a token of the version before bars the other spellings of its person's name."""
    assert dict(upgraded.sql("SELECT name, bare FROM users WHERE id < 5")) == {
        "alice": "alice",
        "bob@x": "bob",
        "corp\\carol@y": "carol",
        "dora": "dora",
    }
    desk = upgraded.desk()
    for name in ("alice@x", "bob", "corp\\bob", "carol", "carol@z"):
        assert desk.store.has_kin(name, "ldap", "id-1") is True
        assert desk.commit(AddAccount(name, "ldap", "id-1", (), NOW, admitted=True, without_kin=True)) is False
    assert desk.store.has_kin("erin@x", "ldap", "id-1") is False
    desk.store.close()


def test_nobody_is_bound_to_a_directory_by_the_upgrade(upgraded: Site) -> None:
    """All are what they were: local, with no id, and nobody has logged in."""
    assert upgraded.sql("SELECT DISTINCT source, directory_id, last_login FROM users") == [("local", None, None)]


@pytest.mark.parametrize("statement", ["UPDATE tokens SET user_id = 5 WHERE id = 2", "UPDATE tokens SET user_id = 5"])
def test_tokens_enrol_from_now_on(upgraded: Site, statement: str) -> None:
    """The triggers stand in an old file too."""
    upgraded.sql(statement)
    assert upgraded.sql("SELECT enrolled FROM users WHERE id = 5") == [(1,)]
    upgraded.sql("UPDATE tokens SET user_id = NULL")
    assert upgraded.sql("SELECT enrolled FROM users WHERE id = 5") == [(1,)]


@pytest.mark.parametrize("flow", list(Flow))
@pytest.mark.parametrize("handle", [QUESTION, "6" * 32], ids=["code", "password"])
def test_a_question_of_before_is_answered_in_vain(upgraded: Site, handle: str, flow: Flow) -> None:
    """Under which rule it was put nobody knows, so no rule fits: the right code and password are not accepted."""
    desk = upgraded.desk()
    known = desk.load(state=handle)
    assert known.challenge is not None
    assert (known.challenge.rule, known.challenge.backend, known.challenge.doomed) == ("", "", False)
    for primary in (NOBODY, rules().primary):
        for text in (hotp(0), b"hunter2"):
            outcome = run(packet(text, flow, state=handle), known, says(None), rules=rules(primary=primary)).outcome
            assert isinstance(outcome, (Challenge, Reject))
            assert not isinstance(outcome, Accept)
    desk.store.close()


def test_the_next_login_is_as_ever(upgraded: Site) -> None:
    """Only what was open is lost: the same code is good for a login that begins now."""
    desk = upgraded.desk()
    known = desk.load()
    outcome = run(packet(hotp(0), Flow.CODE_ONLY), known, says(None), rules=rules(primary=NOBODY)).outcome
    assert isinstance(outcome, Accept)
    assert outcome.reason is Reason.OK
    assert desk.commit(*outcome.effects) is True
    desk.store.close()
