"""`radiusd2fa user`: people, their passwords, and how refusals end.

Exit codes: 0 done, 1 refused, 2 wrong usage. No password is ever in an argument or in the output.
RFC 2865 5.2 bounds a password to 128 octets.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import sqlite3
from typing import Final

import pytest

from radiusd2fa.primary.local import hasher
from radiusd2fa.settings import LocalSettings

from .conftest import PASSWORD, Shell


def hash_of(shell: Shell, name: str) -> str | None:
    """The hash in the store."""
    from radiusd2fa import vault
    from radiusd2fa.store.address import SqliteFile
    from radiusd2fa.store.engine import Store
    from tests.looking import look

    store = Store(SqliteFile(shell.folder / "radiusd2fa.db"), vault.load(shell.folder / "vault.key"), print)
    user = look(store, name).user
    store.close()
    assert user is not None
    return user.password_hash


def is_password(shell: Shell, name: str, password: bytes) -> bool:
    """Whether these octets are somebody's password now."""
    stored = hash_of(shell, name)
    assert stored is not None
    try:
        return hasher(LocalSettings(memory_kib=64, passes=1)).verify(stored, password)
    except Exception:  # noqa: BLE001 - any refusal will do
        return False


# --- refusals --------------------------------------------------------------------------------------------------------

UNKNOWN: Final = ("show", "enable", "disable", "unlock", "remove", "password")


@pytest.mark.parametrize("verb", UNKNOWN)
def test_somebody_unknown(people: Shell, verb: str) -> None:
    """Every command about somebody who is not there is refused, and says where to look."""
    options = {"remove": ("--yes",), "password": ("--password-stdin",)}.get(verb, ())
    assert "user list" in people.refused("user", verb, "bob", *options, typed="x\n")


NOT_NAMES: Final = (" alice", "alice ", "ali\tce", "ali\nce", "", "a" * 254, "ali\u200bce", "ali\u202ece")


@pytest.mark.parametrize("name", NOT_NAMES)
def test_what_cannot_be_a_name(shell: Shell, name: str) -> None:
    """A name that could be nobody's on the wire cannot be added, and is not repaired."""
    assert "cannot be a user name" in shell.wrong("user", "add", name, "--no-password")
    assert shell.say("user", "list", "--json").json() == []


NOT_PASSWORDS: Final = {
    "nothing": b"",
    "an empty line": b"\n",
    "129 octets": b"x" * 129 + b"\n",
    "a NUL": b"hunter\0two\n",
}


@pytest.mark.parametrize("typed", NOT_PASSWORDS.values(), ids=NOT_PASSWORDS.keys())
def test_what_cannot_be_a_password(people: Shell, typed: bytes) -> None:
    """What User-Password could never carry is refused, when somebody is added and when it is changed."""
    assert "1 to 128 octets" in people.wrong("user", "add", "bob", "--password-stdin", typed=typed)
    assert "1 to 128 octets" in people.wrong("user", "password", "alice", "--password-stdin", typed=typed)
    assert [user["name"] for user in people.say("user", "list", "--json").json()] == ["alice"]
    assert is_password(people, "alice", PASSWORD.encode())


def test_without_a_terminal_nobody_is_asked(shell: Shell) -> None:
    """A script that forgets --password-stdin is told about it, and nobody is added."""
    assert "--password-stdin" in shell.wrong("user", "add", "alice", typed="hunter2\n")
    assert shell.say("user", "list", "--json").json() == []


def test_a_password_and_none_exclude_each_other(shell: Shell) -> None:
    """Two options that contradict each other are wrong usage."""
    shell.wrong("user", "add", "alice", "--no-password", "--password-stdin", typed="x\n")


@pytest.mark.parametrize("group", ["", " ", " a", "a\nb"])
def test_what_cannot_be_a_group(shell: Shell, group: str) -> None:
    """A group name is not empty, has no spaces at its ends, and is one line."""
    assert "group" in shell.wrong("user", "add", "alice", "--no-password", "--group", group)


@pytest.mark.parametrize("name", ["alice", "ALICE", "Alice"])
def test_a_name_that_is_taken(people: Shell, name: str) -> None:
    """In whatever case it is written, a name is one person's, whose password is not changed by the try."""
    assert "user password" in people.refused("user", "add", name, "--password-stdin", typed="another\n")
    assert is_password(people, "alice", PASSWORD.encode())


def test_removing_asks_first(people: Shell) -> None:
    """Anything but yes leaves the person there."""
    for typed in ("n\n", "\n", ""):
        people.refused("user", "remove", "alice", typed=typed)
    people.run("user", "show", "alice")
    assert "removed alice" in people.run("user", "remove", "alice", typed="y\n")


# --- what they do ----------------------------------------------------------------------------------------------------


def test_somebody_new(shell: Shell) -> None:
    """The canonical name is kept and shown, with groups, and the next step is named."""
    out = shell.run("user", "add", "Alice", "--password-stdin", "--group", "staff", "--group", "ops", typed="hunter2\n")
    assert "token add --user alice" in out
    (user,) = shell.say("user", "list", "--json").json()
    assert (user["name"], user["groups"], user["has_password"], user["tokens"]) == ("alice", ["staff", "ops"], True, [])
    assert is_password(shell, "alice", b"hunter2")


def test_somebody_whose_password_is_checked_elsewhere(shell: Shell) -> None:
    """With --no-password there is none, and an empty one is not it."""
    shell.run("user", "add", "alice", "--no-password")
    assert hash_of(shell, "alice") is None
    assert "password      none" in shell.run("user", "show", "alice")


@pytest.mark.parametrize(
    ("typed", "password"),
    [
        (b"hunter2\n", b"hunter2"),
        (b"hunter2\r\n", b"hunter2"),
        (b"hunter2", b"hunter2"),
        (b" hunter2 \n", b" hunter2 "),
        (b"hunter2\nsecond line\n", b"hunter2"),
        ("pässwörd\n".encode(), "pässwörd".encode()),
        (b"\xff\xfe\x80\n", b"\xff\xfe\x80"),
        (b"x" * 128 + b"\n", b"x" * 128),
    ],
)
def test_a_password_is_the_first_line_to_the_octet(people: Shell, typed: bytes, password: bytes) -> None:
    """Nothing but the end of the line is taken away, and it need not be text."""
    people.run("user", "password", "alice", "--password-stdin", typed=typed)
    assert is_password(people, "alice", password)
    assert not is_password(people, "alice", PASSWORD.encode())


def test_disable_and_enable(people: Shell) -> None:
    """The state is shown, and tokens stay the person's."""
    people.run("user", "disable", "alice")
    (user,) = people.say("user", "list", "--json").json()
    assert (user["enabled"], user["tokens"]) == (False, ["H1"])
    assert "disabled" in people.run("user", "show", "alice")
    people.run("user", "enable", "ALICE")
    assert people.say("user", "show", "alice", "--json").json()["enabled"] is True


def test_unlock(people: Shell) -> None:
    """A lock is shown with its end, and lifted."""
    connection = sqlite3.connect(people.folder / "radiusd2fa.db")
    with connection:
        connection.execute("UPDATE users SET failures = 12, locked_until = 4102444800")
    connection.close()
    assert "locked until 2" in people.run("user", "show", "alice")
    assert people.say("user", "show", "alice", "--json").json()["locked"] is True
    people.run("user", "unlock", "alice")
    shown = people.say("user", "show", "alice", "--json").json()
    assert (shown["locked"], shown["failures"], shown["locked_until"]) == (False, 0, 0.0)


def test_remove(people: Shell) -> None:
    """The person goes, the token goes back to the stock, and the output says which."""
    assert "H1" in people.run("user", "remove", "alice", "--yes")
    assert people.say("user", "list", "--json").json() == []
    assert people.say("token", "show", "H1", "--json").json()["state"] == "stock"


def test_an_empty_list_says_what_to_do(shell: Shell) -> None:
    """For people a sentence, for programs an empty list."""
    assert "user add" in shell.run("user", "list")
    assert shell.say("user", "list", "--json").json() == []


def test_the_table_shows_what_matters(people: Shell) -> None:
    """Name, source, state, tokens and the last login stand in one line."""
    line = next(line for line in people.run("user", "list").splitlines() if "alice" in line)
    assert line.split() == ["alice", "local", "enabled", "H1", "-"]


def test_markup_in_a_name_is_text(shell: Shell) -> None:
    """Brackets in a name are shown, not obeyed."""
    shell.run("user", "add", "[red]alice[/red]", "--no-password", "--group", "[bold]")
    assert "[red]alice[/red]" in shell.run("user", "list")
    assert "[bold]" in shell.run("user", "list")


def test_show_and_list_agree(people: Shell) -> None:
    """Both commands give the same record, with every field that the table has."""
    (listed,) = people.say("user", "list", "--json").json()
    assert people.say("user", "show", "alice", "--json").json() == listed
    assert {"name", "source", "enabled", "groups", "has_password", "failures", "locked", "tokens"} <= set(listed)


def test_no_password_and_no_hash_is_ever_shown(people: Shell) -> None:
    """Neither in tables nor in JSON, nor in the audit."""
    shown = repr(people.events())
    for words in (("list",), ("list", "--json"), ("show", "alice"), ("show", "alice", "--json")):
        shown += people.run("user", *words)
    assert PASSWORD not in shown
    assert "argon2" not in shown
    assert "password_hash" not in shown


# --- who did it ------------------------------------------------------------------------------------------------------


def test_every_change_names_the_administrator(people: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The account that ran the command stands in the audit, whatever the environment claims."""
    monkeypatch.setenv("USER", "mallory")
    monkeypatch.setenv("LOGNAME", "mallory")
    people.run("user", "disable", "alice")
    event = people.events()[-1]
    assert (event.name, event.user, event.actor) == ("user.disabled", "alice", pwd.getpwuid(os.getuid()).pw_name)


def test_a_change_that_the_database_refuses_shows_no_hash(shell: Shell) -> None:
    """The driver's error is told in one line, without the values that were to be written."""
    with contextlib.closing(sqlite3.connect(shell.folder / "radiusd2fa.db")) as database:
        database.execute("CREATE TRIGGER broken BEFORE INSERT ON users BEGIN SELECT RAISE(ABORT, 'planted'); END")
    error = shell.refused("user", "add", "dave", "--password-stdin", typed=PASSWORD)
    assert "planted" in error
    assert "argon2" not in error
    assert len(error.splitlines()) == 1
