"""`radiusd2fa user sync` beside a real directory: what it finds and does, and when it keeps its hands off.

Nothing is changed by a dry run, by a directory that cannot be asked, or when suspiciously many people have vanished.
Exit codes: 0 all in order, 1 refused or people are left who are gone and have tokens, 2 wrong usage. RFC 4530.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from tests.daemon.company import Company
from tests.directory import slapd as directory
from tests.directory.slapd import slapd

from .conftest import Shell

pytestmark = directory.needs_slapd

LOCAL: Final = "primary: {kind: local, memory_kib: 64, passes: 1}"
HASTY: Final = {"connect_timeout": "150ms", "timeout": "150ms"}
"""For directories that do not answer anyway."""


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """A directory in which each test has its own people."""
    with slapd(tmp_path_factory.mktemp("company") / "slapd") as server:
        yield Company(server)


@pytest.fixture
def desk(shell: Shell, company: Company) -> Shell:
    """The desk of a site whose people are that directory's; nobody is in the store yet."""
    shell.change(LOCAL, f"primary: {company.backend()}")
    return shell


def _add(desk: Shell, company: Company, *names: str) -> None:
    """Let people begin to work, be known here, and have a fob each: NAME-1."""
    company.add(*names)
    for name in names:
        desk.run("user", "add", name)
        desk.add_token(f"{name}-1", user=name, seed=name.encode().ljust(20, b"."))


def _found(desk: Shell, *options: str, code: int = 0) -> list[dict[str, Any]]:
    said = desk.say("user", "sync", "--json", *options)
    assert said.code == code, said
    found: list[dict[str, Any]] = said.json()
    return found


def _changes(desk: Shell, *options: str, code: int = 0) -> dict[str, tuple[str, str | None]]:
    return {one["user"]: (one["change"], one["done"]) for one in _found(desk, *options, code=code)}


def _store(desk: Shell) -> list[tuple[Any, ...]]:
    """All that a synchronisation could change, and the audit."""
    with closing(sqlite3.connect(desk.folder / "radiusd2fa.db")) as database:
        people = database.execute("SELECT * FROM users ORDER BY id").fetchall()
        tokens = database.execute("SELECT * FROM tokens ORDER BY id").fetchall()
        return people + tokens + database.execute("SELECT id FROM events").fetchall()


# --- nothing is changed -----------------------------------------------------------------------------------------------


def test_a_site_without_directory_is_told_so(shell: Shell) -> None:
    """Where no directory is configured the command is wrong usage."""
    assert "no directory is configured" in shell.wrong("user", "sync")


def test_a_directory_that_cannot_be_searched_is_told_so(shell: Shell, company: Company) -> None:
    """Where people are known by a template alone nobody can be looked up, and that is wrong usage too."""
    template = f'bind_template: "uid={{name}},ou=people,{directory.BASE}", id_attribute: none, groups: none'
    primary = f'{{kind: ldap, servers: ["{company.slapd.tls}"], ca_file: {company.slapd.authority}, {template}}}'
    shell.change(LOCAL, f"primary: {primary}")
    assert "nobody can be looked up" in shell.wrong("user", "sync")


def test_everybody_as_they_were(desk: Shell, company: Company) -> None:
    """Where nothing has happened it says so, and changes nothing."""
    _add(desk, company, "anna")
    before = _store(desk)
    assert "looked 1 people up: all are as the store has them" in desk.run("user", "sync", "--revoke")
    assert _found(desk, "--revoke") == []
    assert _store(desk) == before


def test_a_silent_directory_is_no_empty_one(desk: Shell, company: Company) -> None:
    """While slapd hangs nobody is taken for gone: the command is refused, and changes nothing."""
    _add(desk, company, "berta")
    desk.change("kind: ldap", f"kind: ldap, {', '.join(f'{key}: {value}' for key, value in HASTY.items())}")
    before = _store(desk)
    company.slapd.stop_answering()
    try:
        for options in ((), ("--revoke",), ("--revoke", "--yes"), ("--revoke", "--json")):
            assert "cannot be asked" in desk.refused("user", "sync", *options)
    finally:
        company.slapd.answer_again()
    assert _store(desk) == before
    assert _found(desk, "--revoke") == []


def test_one_directory_of_two_that_is_silent_stops_all(desk: Shell, company: Company, tmp_path: Path) -> None:
    """What the first directory has said is not acted upon when the second cannot be asked."""
    _add(desk, company, "carl")
    with slapd(tmp_path / "other") as server:
        other = Company(server)
        text = desk.config.read_text()
        desk.config.write_text(f"{text}backends: {{other: {other.backend(**HASTY)}}}\n")
        desk.run("user", "add", "alice", "--source", "other")
        company.remove("carl")
        before = _store(desk)
        server.stop_answering()
        assert "other cannot be asked" in desk.refused("user", "sync", "--revoke")
        assert _store(desk) == before
        server.answer_again()
        assert _changes(desk, "--revoke") == {"carl": ("gone", "disabled, revoked carl-1")}


def test_a_dry_run_changes_nothing(desk: Shell, company: Company) -> None:
    """With --dry-run everything is shown and nothing done, also beside --revoke; who is gone makes the exit code 1."""
    _add(desk, company, "dora", "ernst")
    company.remove("dora")
    company.rename("ernst", "ernestine")
    before = _store(desk)
    for options in (("--dry-run",), ("--dry-run", "--revoke"), ("--dry-run", "--revoke", "--yes")):
        assert _changes(desk, *options, code=1) == {"dora": ("gone", None), "ernst": ("renamed", None)}
        said = desk.say("user", "sync", *options)
        assert said.code == 1
        assert said.out.count("nothing (--dry-run)") == 2
        assert "1 people are gone and have tokens" in said.err
    assert _store(desk) == before


def test_many_gone_at_once_are_kept(desk: Shell, company: Company) -> None:
    """More than a fifth of the people gone looks like a wrong base: nothing is revoked without --yes."""
    names = [f"many-{number}" for number in range(8)]
    _add(desk, company, *names)
    company.rename(names[7], "lots-7")
    company.remove(*names[:6])
    before = _store(desk)
    assert "6 of 8 people of ldap would lose their tokens" in desk.refused("user", "sync", "--revoke")
    assert _store(desk) == before
    said = desk.say("user", "sync", "--revoke", "--yes")
    assert said.code == 0
    assert said.out.count("disabled, revoked many-") == 6
    assert "renamed to lots-7" in said.out
    # those are done with: they are in nobody's way the next night
    assert desk.say("user", "sync", "--revoke").code == 0


def test_a_few_gone_are_no_reason_to_ask(desk: Shell, company: Company) -> None:
    """Five people may go at once in a small house."""
    names = [f"few-{number}" for number in range(5)]
    _add(desk, company, *names)
    company.remove(*names)
    assert set(_changes(desk, "--revoke")) == set(names)


# --- what is done -----------------------------------------------------------------------------------------------------


def test_who_is_gone_keeps_the_token_until_told_otherwise(desk: Shell, company: Company) -> None:
    """Without --revoke somebody who is gone is reported, with it disabled and their token revoked for ever."""
    _add(desk, company, "franz")
    company.remove("franz")
    said = desk.say("user", "sync")
    assert said.code == 1
    assert "franz" in said.out
    assert "gone" in said.out
    assert "user sync --revoke" in said.err
    assert desk.say("token", "show", "franz-1", "--json").json()["state"] == "active"
    assert _found(desk, "--revoke") == [
        {
            "user": "franz",
            "source": "ldap",
            "change": "gone",
            "detail": "",
            "tokens": ["franz-1"],
            "done": "disabled, revoked franz-1",
        }
    ]
    assert desk.say("token", "show", "franz-1", "--json").json()["state"] == "revoked"
    assert not desk.say("user", "show", "franz", "--json").json()["enabled"]
    # once done there is nothing left to do, with or without it
    before = _store(desk)
    assert _changes(desk) == {"franz": ("gone", "nothing")}
    assert _changes(desk, "--revoke") == {"franz": ("gone", "nothing")}
    assert desk.run("user", "sync").count("franz") == 1
    assert _store(desk) == before


def test_a_successor_is_somebody_else(desk: Shell, company: Company) -> None:
    """Made again under the same name: the account is an orphan, and its token is revoked, not handed on."""
    _add(desk, company, "gerda")
    company.remove("gerda")
    company.add("gerda")
    (found,) = _found(desk, code=1)
    assert (found["change"], found["detail"]) == ("replaced", "somebody else has this name now")
    assert _changes(desk, "--revoke") == {"gerda": ("replaced", "disabled, revoked gerda-1")}


def test_a_new_name_is_taken_over(desk: Shell, company: Company) -> None:
    """Renamed there means renamed here, with token and all; a dry run has said so before."""
    _add(desk, company, "heidi")
    company.rename("heidi", "Adelheid")
    (found,) = _found(desk, "--dry-run")
    assert (found["change"], found["detail"]) == ("renamed", "now adelheid")
    assert _changes(desk) == {"heidi": ("renamed", "renamed to adelheid")}
    assert desk.say("user", "show", "adelheid", "--json").json()["tokens"] == ["heidi-1"]
    assert "there is no user heidi" in desk.refused("user", "show", "heidi")
    assert _found(desk) == []


def test_a_new_name_that_is_taken_is_not(desk: Shell, company: Company) -> None:
    """A new name that somebody has here already is left alone and said; the others are done."""
    _add(desk, company, "ilse", "jost")
    desk.run("user", "add", "juergen", "--source", "local", "--no-password")
    company.rename("jost", "juergen")
    company.rename("ilse", "ilsebill")
    done = _changes(desk)
    assert done["ilse"] == ("renamed", "renamed to ilsebill")
    assert (done["jost"][1] or "").startswith("not done: there is a user juergen already")
    assert desk.say("user", "show", "jost", "--json").json()["tokens"] == ["jost-1"]


def test_a_chain_of_names_is_followed(desk: Shell, company: Company) -> None:
    """Two people who have passed their names on lose and mix up nothing, in as many runs as it takes."""
    _add(desk, company, "kai", "lars")
    company.rename("lars", "ludwig")
    company.rename("kai", "lars")
    _found(desk)
    _found(desk)
    assert _found(desk) == []
    assert desk.say("user", "show", "ludwig", "--json").json()["tokens"] == ["lars-1"]
    assert desk.say("user", "show", "lars", "--json").json()["tokens"] == ["kai-1"]


def test_who_may_not_log_in_there_is_shown(desk: Shell, company: Company) -> None:
    """Locked in the directory is reported with its reason, is no orphan, and nothing is done: the directory refuses."""
    _add(desk, company, "mona")
    company.lock("mona")
    (found,) = _found(desk, "--revoke")
    assert (found["change"], found["detail"], found["done"]) == ("disabled", "account locked", "nothing")
    assert desk.say("token", "show", "mona-1", "--json").json()["state"] == "active"


def test_who_was_known_by_name_alone_is_bound(desk: Shell, company: Company) -> None:
    """Somebody without the directory's id gets it, and is somebody else's no more."""
    _add(desk, company, "nora")
    with closing(sqlite3.connect(desk.folder / "radiusd2fa.db")) as database, database:
        database.execute("UPDATE users SET directory_id = NULL WHERE name = 'nora'")
    assert _changes(desk, "--dry-run") == {"nora": ("unbound", None)}
    assert _changes(desk) == {"nora": ("unbound", "bound")}
    assert desk.say("user", "show", "nora", "--json").json()["directory_id"]


def test_people_of_ours_are_nobody_s_orphans(desk: Shell, company: Company) -> None:
    """Whom no directory has brought in is not asked about, whatever their name."""
    desk.run("user", "add", "otto", "--source", "local", "--no-password")
    desk.add_token("otto-1", user="otto")
    _add(desk, company, "paula")
    assert "looked 1 people up" in desk.run("user", "sync", "--revoke")
