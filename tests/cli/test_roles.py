"""Who may give which command, by the groups of the operating system, and what is said and written down of a refusal.

Every leaf of the tree of commands must stand in the table of roles, or open no store at all. People and groups are
those that every Debian has, each account with a group of its own. Answers to no RFC; group(5).
"""

from __future__ import annotations

import grp
import os
import pwd
import re
from typing import Final

import pytest

from radiusd2fa.cli import roles
from radiusd2fa.cli.acting import Administrator
from radiusd2fa.cli.roles import ROLES, Role, groups_of, needed, refusal
from radiusd2fa.settings import Administrators

from .conftest import Shell
from .test_exceptions import tomorrow
from .test_root import COMMANDS
from .test_terminal import at_a_terminal

DESK: Final = Administrators(
    helpdesk=frozenset({"daemon"}), operator=frozenset({"bin", "no-such-group"}), admin=frozenset({"sys"})
)
SECTION: Final = "administrators: {helpdesk: [daemon], operator: [bin, no-such-group], admin: [sys]}\nprimary:"
HELPDESK, OPERATOR, ADMIN, NOBODY = "1", "2", "3", "6"

OPENS_NO_STORE: Final = frozenset({"init", "serve", "login", "station", "fob", "softkey", "demo"})
"""They begin a site, are the daemon or its client, or pretend to be a token: nothing of a site is administered."""


# --- which command needs which role -----------------------------------------------------------------------------------


def test_every_command_has_a_role_or_opens_no_store() -> None:
    """A new command must be thought of, and one that is gone must not stay in the table."""
    assert set(COMMANDS) - OPENS_NO_STORE == set(ROLES)
    assert set(COMMANDS) >= OPENS_NO_STORE


def test_what_nobody_has_thought_of_needs_the_highest_role() -> None:
    """A command that is in no table, and one that cannot be told, are refused to everybody else."""
    assert (needed("token melt"), needed(""), needed("Check")) == (Role.ADMIN, Role.ADMIN, Role.ADMIN)


LOOKS: Final = [name for name in ROLES if name.split()[-1] in {"list", "show", "history", "status", "check", "doctor"}]


def test_everybody_with_a_role_may_look() -> None:
    """Lists, histories, reports and checks change nothing."""
    assert len(LOOKS) > 8
    assert {needed(name) for name in [*LOOKS, *(name for name in ROLES if name.startswith("report "))]} == {
        Role.HELPDESK
    }


EACH: Final = {
    "user unlock": Role.HELPDESK,
    "grant temporary": Role.HELPDESK,
    "token resync": Role.HELPDESK,
    "token lost": Role.HELPDESK,
    "token assign": Role.OPERATOR,
    "token import": Role.OPERATOR,
    "token add": Role.OPERATOR,
    "user add": Role.OPERATOR,
    "recovery issue": Role.OPERATOR,
    "key register": Role.OPERATOR,
    "user password": Role.ADMIN,
    "user enable": Role.ADMIN,
    "user remove": Role.ADMIN,
    "user bind": Role.ADMIN,
    "token enable": Role.ADMIN,
    "token validity": Role.ADMIN,
    "token counter": Role.ADMIN,
    "grant skip": Role.ADMIN,
    "breakglass request": Role.ADMIN,
    "breakglass approve": Role.ADMIN,
    "user offboard": Role.ADMIN,
    "db upgrade": Role.ADMIN,
}


@pytest.mark.parametrize(("command", "role"), EACH.items(), ids=list(EACH))
def test_the_role_of_a_command(command: str, role: Role) -> None:
    """Help at the counter, handing out, and what weakens or ends something."""
    assert needed(command) is role


# --- who has which role -----------------------------------------------------------------------------------------------


def person(uid: int, *, keeper: bool = False) -> Administrator:
    """Make somebody out of an account of this machine."""
    account = pwd.getpwuid(uid)
    return Administrator(
        uid, account.pw_name, account.pw_name, account.pw_gid, keeper, behind_sudo=False, is_person=True
    )


MAY: Final = {
    1: {"user unlock": True, "token assign": False, "user remove": False},
    2: {"user unlock": True, "token assign": True, "user remove": False},
    3: {"user unlock": True, "token assign": True, "user remove": True},
    6: {"user list": False, "user unlock": False, "token assign": False, "user remove": False},
}


@pytest.mark.parametrize("uid", MAY)
def test_each_role_may_what_those_before_it_may(uid: int) -> None:
    """And nothing more; whoever is in none of the groups may not even look."""
    assert {command: refusal(DESK, person(uid), command) is None for command in MAY[uid]} == MAY[uid]


def test_without_the_section_everybody_may_everything() -> None:
    """Then the rights of the files are what counts."""
    assert refusal(None, person(6), "user remove") is None


def test_who_keeps_the_files_may_everything() -> None:
    """Root and the owner of the database could write into it anyway."""
    assert refusal(Administrators(), person(0, keeper=True), "user remove") is None


def test_the_number_of_an_account_gives_no_role_without_the_account() -> None:
    """Nobody knows the groups of a uid that no account has."""
    stranger = Administrator(4294967, "sys", "sys", None, is_keeper=False, behind_sudo=False, is_person=False)
    assert refusal(DESK, stranger, "user list") is not None


def test_groups_are_the_own_one_and_all_that_list_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """As getgrouplist(3) says; a number without a group is left out."""
    monkeypatch.setattr(os, "getgrouplist", lambda name, gid: {("daemon", 1): [1, 2, 4294967]}[name, gid])
    assert groups_of(person(1)) == {"daemon", "bin"}


def test_a_refusal_says_who_may() -> None:
    """Who was refused, which role the command needs, which one they have, and in which groups somebody may."""
    assert refusal(DESK, person(1), "token assign") == (
        "daemon may not do this: `token assign` needs the role operator, and daemon has the role helpdesk; "
        "ask somebody of bin, no-such-group (operator) or sys (admin)"
    )
    told = refusal(Administrators(helpdesk=frozenset({"x"})), person(1), "user remove")
    assert told is not None
    assert told.endswith("needs the role admin, and daemon has no role here; ask somebody of root")


# --- at the command line ----------------------------------------------------------------------------------------------


@pytest.fixture
def desk(people: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A site with roles, administered by sudo as root."""
    people.change("primary:", SECTION)
    monkeypatch.setattr(os, "getuid", lambda: 0)
    os.chmod(people.config, 0o600)  # noqa: PTH101 - as `init` makes it
    return people


def test_a_refused_command_changes_nothing_and_is_written_down(desk: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1, the sentence, and one row in the audit with the person, the command and its outcome."""
    monkeypatch.setenv("SUDO_UID", HELPDESK)
    before = len(desk.events())
    assert "`user remove` needs the role admin" in desk.refused("user", "remove", "alice", "--yes", "--reason", "x")
    *_, row = events = desk.events()
    assert len(events) == before + 1
    assert (row.name, row.actor, row.outcome, row.reason) == (
        "administration.refused",
        "daemon as root",
        "refused",
        "user remove",
    )
    monkeypatch.delenv("SUDO_UID")
    assert [user["name"] for user in desk.say("user", "list", "--json").json()] == ["alice"]


@pytest.mark.parametrize("command", [("report", "coverage"), ("check",), ("db", "upgrade")])
def test_a_refusal_before_the_store_is_opened_is_written_down_too(
    desk: Shell, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """Also of commands that only read, or that work on the database as a whole."""
    monkeypatch.setenv("SUDO_UID", NOBODY)
    desk.refused(*command)
    row = desk.events()[-1]
    assert (row.name, row.reason) == ("administration.refused", " ".join(command))


def test_who_has_no_role_may_not_even_look(desk: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the site is printed."""
    monkeypatch.setenv("SUDO_UID", NOBODY)
    said = desk.say("user", "list")
    assert (said.code, said.out) == (1, "")
    assert "has no role here" in said.err


DONE: Final = {
    "the helpdesk unlocks": (HELPDESK, ("user", "unlock", "alice", "--reason", "called"), "daemon as root"),
    "the operator takes a token back": (OPERATOR, ("token", "unassign", "H1"), "bin as root"),
    "the admin disables": (ADMIN, ("user", "disable", "alice"), "sys as root"),
    "root without sudo": (None, ("user", "disable", "alice"), "root"),
}


@pytest.mark.parametrize(("sudo", "words", "actor"), DONE.values(), ids=list(DONE))
def test_a_command_that_a_role_allows_is_done(
    desk: Shell, sudo: str | None, words: tuple[str, ...], actor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the name of whoever is behind sudo."""
    if sudo is not None:
        monkeypatch.setenv("SUDO_UID", sudo)
    desk.run(*words)
    assert desk.events()[-1].actor == actor
    assert desk.events()[-1].name != "administration.refused"


def test_the_database_is_brought_up_to_date_by_admins_alone(desk: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """That command opens the store in its own way, and asks for the role all the same."""
    monkeypatch.setenv("SUDO_UID", OPERATOR)
    assert "`db upgrade` needs the role admin" in desk.refused("db", "upgrade")
    monkeypatch.setenv("SUDO_UID", ADMIN)
    assert "already" in desk.run("db", "upgrade")


@pytest.mark.parametrize("mode", [0o600, 0o620, 0o602])
@pytest.mark.parametrize("words", [("user", "list"), ("db", "upgrade")])
def test_a_configuration_of_one_s_own_gives_nobody_a_role(
    desk: Shell, mode: int, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that the person behind sudo may have written counts for nothing, whatever it says of administrators."""
    if os.geteuid() != 0:
        pytest.skip("needs root: the file is given to another account")
    desk.change(SECTION, "primary:")
    secret = re.search(r'secret: "(.*)"', desk.config.read_text())
    assert secret is not None
    (desk.folder / "lab.secret").write_text(secret[1])
    (desk.folder / "lab.secret").chmod(0o600)
    desk.change(secret[0], "secret_file: lab.secret")  # else others may not even read the configuration
    os.chmod(desk.config, mode)  # noqa: PTH101
    if mode == 0o600:
        os.chown(desk.config, int(HELPDESK), int(HELPDESK))
    monkeypatch.setenv("SUDO_UID", HELPDESK)
    assert "a configuration counts only if" in desk.wrong(*words)
    monkeypatch.delenv("SUDO_UID")
    desk.run(*words)


# --- reasons ----------------------------------------------------------------------------------------------------------

OF_PEOPLE: Final = {
    "enable": ("user", "enable", "alice"),
    "unlock": ("user", "unlock", "alice"),
    "password": ("user", "password", "alice", "--password-stdin"),
    "bind": ("user", "bind", "alice", "--source", "local", "--yes"),
    "remove": ("user", "remove", "alice", "--yes"),
}
WEAKENING: Final = OF_PEOPLE | {
    "offboard": ("user", "offboard", "alice"),
    "enable a token": ("token", "enable", "H1"),
    "validity": ("token", "validity", "H1", "--until", "2999-01-31"),
    "counter": ("token", "counter", "H1", "--to", "500"),
    "recovery codes": ("recovery", "issue", "alice"),
    "temporary codes": ("grant", "temporary", "alice"),
    "skip": ("grant", "skip", "alice", "--until", tomorrow()),
    "seal": ("breakglass", "seal", "alice"),
    "request": ("breakglass", "request", "alice"),
}


@pytest.mark.parametrize("words", WEAKENING.values(), ids=list(WEAKENING))
@pytest.mark.parametrize("given", [(), ("--reason", ""), ("--reason", " \t"), ("--reason", "\x1b\u202e\x00")])
def test_what_weakens_something_wants_a_reason(
    desk: Shell, words: tuple[str, ...], given: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing, spaces and what cannot be seen are none; nothing is changed without one."""
    monkeypatch.setenv("SUDO_UID", ADMIN)
    before = desk.events()
    assert "--reason" in desk.wrong(*words, *given, typed="a new password\n")
    assert desk.events() == before


@pytest.mark.parametrize("words", OF_PEOPLE.values(), ids=list(OF_PEOPLE))
def test_a_reason_stays_in_the_audit(desk: Shell, words: tuple[str, ...]) -> None:
    """In one clean line, whatever was typed."""
    desk.run(*words, "--reason", "  called\nfrom \x1b[31mher   desk ", typed="a new password\n")
    rows = [row.reason for row in desk.events() if row.name.startswith("user.")]
    assert rows[-1].removeprefix("to local: ") == "called from [31mher desk"


def test_without_roles_a_reason_may_be_given_and_need_not(people: Shell) -> None:
    """Sites without the section go on as before."""
    people.run("user", "unlock", "alice")
    people.run("user", "unlock", "alice", "--reason", "called")
    assert [row.reason for row in people.events() if row.name == "user.unlocked"] == ["", "called"]


@pytest.mark.parametrize(("length", "code"), [(200, 0), (201, 2)])
def test_a_reason_is_a_line_and_no_letter(people: Shell, length: int, code: int) -> None:
    """200 characters are enough; more are not cut off in silence."""
    assert people.say("user", "unlock", "alice", "--reason", "x" * length).code == code


def test_a_reason_is_asked_for_on_a_terminal(people: Shell) -> None:
    """Where one is wanted and none was given; what is typed goes to the audit, and nothing typed is none."""
    people.change("primary:", SECTION)
    question = "Why do you unlock alice? "
    code, seen = at_a_terminal(people, "user", "unlock", "alice", answers=((question, "called\n"),))
    assert code == 0, seen
    assert (people.events()[-1].name, people.events()[-1].reason) == ("user.unlocked", "called")
    code, seen = at_a_terminal(people, "user", "unlock", "alice", answers=((question, "\n"),))
    assert code == 2, seen
    assert "say why you unlock alice" in seen


# --- what check says --------------------------------------------------------------------------------------------------


def test_groups_that_give_nobody_a_role_are_warned_about(people: Shell) -> None:
    """One that this host does not know, one in which nobody is, and that there is no admin."""
    empty = next(group.gr_name for group in grp.getgrall() if roles._members(group.gr_name) == 0)
    people.change("primary:", f"administrators: {{helpdesk: [daemon, {empty}], operator: [no-such-group]}}\nprimary:")
    said = [one for one in people.say("check", "--json").json()["warnings"] if one.startswith("administrators: ")]
    assert [one.partition(": ")[2].split(";")[0] for one in said] == [
        "this host has no group no-such-group, so it gives nobody a role",
        f"nobody seems to be in the group {empty}",
        "no group has the role admin, so what needs it is left to root",
    ]


def test_groups_with_people_are_not(people: Shell) -> None:
    """An account's own group has that account in it."""
    people.change("primary:", "administrators: {admin: [daemon]}\nprimary:")
    assert not [one for one in people.say("check", "--json").json()["warnings"] if "administrators" in one]
