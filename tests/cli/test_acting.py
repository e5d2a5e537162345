"""Who gives a command: what the audit calls them, and whether they can be one of two persons.

The accounts are those that every Debian has; the machine's own logins are not looked at. sudo(8) sets SUDO_UID.
Answers to no RFC; the real sudo is in test_sudo.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from radiusd2fa.cli import acting
from radiusd2fa.cli.site import Administrator, administrator
from radiusd2fa.settings import Settings, load_settings

from .conftest import Shell

ROOT, DAEMON, BIN, SYS = 0, 1, 2, 3
SERVICE: Final = SYS
"""Who owns the database in these tests, unless it is root."""
UNKNOWN: Final = 4294967


@pytest.fixture
def settings(shell: Shell) -> Settings:
    """A site whose files belong to the service's account."""
    if os.geteuid() != ROOT:
        pytest.skip("needs root: files are given to other accounts")
    for name in ("radiusd2fa.db", "vault.key", "radiusd2fa.yaml"):
        os.chown(shell.folder / name, SERVICE, SERVICE)
    return load_settings(shell.config)


@pytest.fixture
def acting_as(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Callable[[int, str | None], Administrator]:
    """Run as an account, with this in SUDO_UID."""

    def act(uid: int, sudo: str | None = None) -> Administrator:
        monkeypatch.setattr(os, "getuid", lambda: uid)
        monkeypatch.delenv("SUDO_UID", raising=False)
        if sudo is not None:
            monkeypatch.setenv("SUDO_UID", sudo)
        return administrator(settings)

    return act


Acting = Callable[..., Administrator]

NOT_BELIEVED: Final = {
    "root by its own sudo": (ROOT, "0", "root"),
    "no number": (ROOT, "nonsense", "root"),
    "a negative number": (ROOT, "-1", "root"),
    "a number that is no uid": (ROOT, "4294967295", "root"),
    "a very large number": (ROOT, "1" * 5000, "root"),
    "digits of another alphabet": (ROOT, "\N{ARABIC-INDIC DIGIT ONE}", "root"),
    "nothing": (ROOT, "", "root"),
    "from somebody who is neither root nor the owner": (DAEMON, "2", "daemon"),
    "root, from somebody else": (DAEMON, "0", "daemon"),
}


@pytest.mark.parametrize(("uid", "sudo", "name"), NOT_BELIEVED.values(), ids=list(NOT_BELIEVED))
def test_sudo_is_not_believed(acting_as: Acting, uid: int, sudo: str, name: str) -> None:
    """Whoever is not root nor the owner of the database cannot claim to be another, and what is no uid is nobody."""
    who = acting_as(uid, sudo)
    assert (who.name, who.account, who.uid, who.behind_sudo) == (name, name, uid, False)


NO_PERSON: Final = {
    "root": (ROOT, None, "root"),
    "the service's account": (SERVICE, None, "sys"),
    "root as the service's account": (SERVICE, "0", "sys"),
    "the service's account as root": (ROOT, str(SERVICE), "sys as root"),
    "an account that does not exist": (UNKNOWN, None, "uid 4294967"),
    "the same as root": (ROOT, str(UNKNOWN), "uid 4294967 as root"),
}


@pytest.mark.parametrize(("uid", "sudo", "name"), NO_PERSON.values(), ids=list(NO_PERSON))
def test_who_cannot_be_one_of_two_persons(acting_as: Acting, uid: int, sudo: str | None, name: str) -> None:
    """Several people may stand behind root and the service's account, and behind an unknown number nobody."""
    who = acting_as(uid, sudo)
    assert (who.name, who.is_person) == (name, False)


@pytest.mark.parametrize("logged_in", [ROOT, SERVICE, BIN])
def test_who_has_logged_in_as_another_is_not_a_second_person(
    acting_as: Acting, logged_in: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel remembers the login through su and through any SUDO_UID that root may claim."""
    monkeypatch.setattr(acting, "login_uid", lambda: logged_in)
    assert not acting_as(DAEMON).is_person
    assert not acting_as(ROOT, "1").is_person


PERSONS: Final = {
    "by sudo to root": (ROOT, "1", "daemon as root", True),
    "by sudo to the service's account": (SERVICE, "1", "daemon as sys", True),
    "by an account of their own": (DAEMON, None, "daemon", False),
}


@pytest.mark.parametrize("logged_in", [None, DAEMON])
@pytest.mark.parametrize(("uid", "sudo", "name", "behind"), PERSONS.values(), ids=list(PERSONS))
def test_a_person(
    acting_as: Acting,
    uid: int,
    sudo: str | None,
    name: str,
    behind: bool,
    logged_in: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However they come, the uid is theirs, so that nobody is two persons; the audit says how they came."""
    monkeypatch.setattr(acting, "login_uid", lambda: logged_in)
    who = acting_as(uid, sudo)
    assert who == Administrator(
        uid=DAEMON, account="daemon", name=name, gid=DAEMON, is_keeper=False, behind_sudo=behind, is_person=True
    )


def test_the_owner_of_either_file_counts_as_the_service(acting_as: Acting, settings: Settings) -> None:
    """Who owns the database or the vault key alone could change everything; with sudo they are whoever is behind it."""
    os.chown(settings.vault_key, BIN, BIN)
    assert (acting_as(BIN).is_keeper, acting_as(SERVICE).is_keeper, acting_as(DAEMON).is_keeper) == (True, True, False)
    assert acting_as(BIN, "1").name == "daemon as bin"


def test_a_site_whose_files_are_gone_has_no_owner_but_root(acting_as: Acting, settings: Settings) -> None:
    """Then there is nothing to administer, and nobody is more than they are."""
    settings.vault_key.unlink()
    (settings.path.parent / "radiusd2fa.db").unlink()
    assert acting_as(SERVICE, "1").name == "sys"
    assert acting_as(ROOT).is_keeper


LOGINS: Final = {"1000\n": 1000, "0": 0, "4294967295": None, "": None, "x": None}


@pytest.mark.parametrize(("content", "uid"), LOGINS.items(), ids=repr)
def test_the_login_that_the_kernel_remembers(
    content: str, uid: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The largest number means that nobody has logged in: a service, a container."""
    monkeypatch.undo()
    (tmp_path / "loginuid").write_text(content)
    monkeypatch.setattr(acting, "_LOGIN_UID", tmp_path / "loginuid")
    assert acting.login_uid() == uid


def test_a_kernel_that_remembers_no_logins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the file nothing is known, and nobody is taken for another."""
    monkeypatch.undo()
    monkeypatch.setattr(acting, "_LOGIN_UID", tmp_path / "nothing")
    assert acting.login_uid() is None


def test_owning_what_a_configuration_names_makes_nobody_a_keeper_behind_sudo(
    acting_as: Acting, settings: Settings
) -> None:
    """The configuration may be the person's own, and its paths may lead to files of theirs for a moment."""
    os.chown(settings.vault_key, BIN, BIN)
    who = acting_as(ROOT, str(BIN))
    assert not who.is_keeper
    assert acting.may_have_written(replace(settings, writer=BIN), who)


@pytest.mark.parametrize(("writer", "foreign"), [(ROOT, False), (SERVICE, False), (BIN, True), (None, True)])
def test_behind_sudo_a_configuration_is_of_root_or_of_the_account_that_is_acted_as(
    acting_as: Acting, settings: Settings, writer: int | None, foreign: bool
) -> None:
    """Whoever else can write it could make themselves what they like."""
    who = acting_as(SERVICE, str(BIN))
    assert acting.may_have_written(replace(settings, writer=writer), who) is foreign


def test_a_configuration_is_read_from_where_nobody_else_can_turn_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: Shell
) -> None:
    """A folder of the person's own above it, or one where anybody may write, is refused; links are followed first."""
    if os.geteuid() != ROOT:
        pytest.skip("needs root: a folder is given to another account")
    assert acting.out_of_reach(shell.config) == shell.config.resolve()
    hers = tmp_path / "hers"
    hers.mkdir()
    (hers / "d").symlink_to(shell.folder)
    assert acting.out_of_reach(hers / "d" / "radiusd2fa.yaml") == shell.config.resolve()
    os.link(shell.config, hers / "radiusd2fa.yaml")
    os.chown(hers, BIN, BIN)
    assert acting.out_of_reach(hers / "radiusd2fa.yaml") is None
    os.chown(hers, ROOT, ROOT)
    hers.chmod(0o777)
    assert acting.out_of_reach(hers / "radiusd2fa.yaml") is None
    monkeypatch.setenv("SUDO_UID", str(BIN))
    monkeypatch.setattr(acting, "login_uid", lambda: None)
    assert "every folder above it" in Shell(hers).wrong("user", "list")
