"""The command line at work beside the running daemon: what it changes holds from the next packet on, nothing restarts.

Each command is a process of its own, as an administrator would run it.
RFC 4226 7.4 (resynchronisation by two codes in a row); RFC 2865 4.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from radiusd2fa.emulators.softfob import SoftFob

from .site import APPEND, CHALLENGE, CODE_ONLY, PASSWORD, SECRET, Daemon, Site
from .wire import gather, request


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site in which each test has its own person."""
    return Site.make(tmp_path_factory.mktemp("administration"))


@pytest.fixture(scope="module")
def daemon(site: Site) -> Iterator[Daemon]:
    """One daemon, which nobody restarts."""
    with site.serving() as daemon:
        yield daemon


def _done(site: Site, *arguments: str, stdin: str = "") -> str:
    result = site.run(*arguments, stdin=stdin)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_revoked_token_is_refused_at_once(site: Site, daemon: Daemon) -> None:
    """After `token revoke` the next code is refused, also in answer to a challenge that was open already."""
    ann = site.person("ann")
    with daemon.peer(CODE_ONLY) as code_only, daemon.peer(CHALLENGE) as asking:
        assert code_only.ask("ann", ann.press()).kind == "accept"
        state = asking.ask("ann", PASSWORD).state
        _done(site, "token", "revoke", ann.fob.serial)
        assert asking.ask("ann", ann.press(), state).kind != "accept"
        assert code_only.ask("ann", ann.press()).kind == "reject"
        # for ever: no other state leads back
        assert site.run("token", "enable", ann.fob.serial).returncode == 1
        assert code_only.ask("ann", ann.press()).kind == "reject"


def test_a_disabled_token_comes_back(site: Site, daemon: Daemon) -> None:
    """`token disable` refuses from the next packet on, `token enable` lets in again, and used codes stay used."""
    ben = site.person("ben")
    with daemon.peer() as peer:
        used = ben.press()
        assert peer.ask("ben", used).kind == "accept"
        _done(site, "token", "disable", ben.fob.serial)
        assert peer.ask("ben", ben.code_at(1)).kind == "reject"
        _done(site, "token", "enable", ben.fob.serial)
        assert peer.ask("ben", used).kind == "reject"
        assert peer.ask("ben", ben.press()).kind == "accept"


def test_a_disabled_user_is_refused_at_once(site: Site, daemon: Daemon) -> None:
    """After `user disable` neither code nor challenge lets in, after `user enable` both do."""
    cleo = site.person("cleo")
    with daemon.peer(CODE_ONLY) as code_only, daemon.peer(CHALLENGE) as asking:
        state = asking.ask("cleo", PASSWORD).state
        _done(site, "user", "disable", "cleo")
        assert asking.ask("cleo", cleo.code_at(0), state).kind != "accept"
        assert code_only.ask("cleo", cleo.code_at(0)).kind == "reject"
        _done(site, "user", "enable", "cleo")
        assert code_only.ask("cleo", cleo.press()).kind == "accept"
        state = asking.ask("cleo", PASSWORD).state
        assert asking.ask("cleo", cleo.press(), state).kind == "accept"


def test_a_new_password_is_valid_at_once_and_the_old_one_is_not(site: Site, daemon: Daemon) -> None:
    """After `user password` the old password is refused and the new one leads to the question for the code."""
    dora = site.person("dora")
    with daemon.peer(CHALLENGE) as peer:
        assert peer.ask("dora", PASSWORD).kind == "challenge"
        _done(site, "user", "password", "dora", "--password-stdin", stdin="battery staple\n")
        assert peer.ask("dora", PASSWORD).kind == "reject"
        state = peer.ask("dora", "battery staple").state
        assert peer.ask("dora", dora.press(), state).kind == "accept"


def test_a_locked_user_is_unlocked_at_once(site: Site, daemon: Daemon) -> None:
    """Ten wrong codes lock; the right one is refused like a wrong one; after `user unlock` it is accepted."""
    emil = site.person("emil")
    with daemon.peer() as peer:
        refusals = [peer.ask("emil", code) for code in emil.wrong_codes(10)]
        locked = peer.ask("emil", emil.code_at(0))
        assert {reply.kind for reply in (*refusals, locked)} == {"reject"}
        assert locked.attributes[1:] == refusals[0].attributes[1:] == ()
        assert json.loads(_done(site, "user", "show", "emil", "--json"))["locked"]
        _done(site, "user", "unlock", "emil")
        assert peer.ask("emil", emil.press()).kind == "accept"


def test_a_new_person_with_a_new_token_gets_in_at_once(site: Site, daemon: Daemon) -> None:
    """Somebody unknown is refused; after `user add` and `token add` the first code lets in."""
    seed = b"twenty octets of it!"
    with daemon.peer() as peer:
        assert peer.ask("bob", "755224").kind == "reject"
        _done(site, "user", "add", "bob", "--no-password")
        arguments = ("--user", "bob", "--kind", "hotp", "--serial", "FOB-1", "--secret-stdin", "--json")
        added = json.loads(_done(site, "token", "add", *arguments, stdin=seed.hex()))
        assert added["serial"] == "FOB-1"
        assert seed.hex() not in json.dumps(added)
        assert peer.ask("bob", SoftFob("hotp", seed).press(0)).kind == "accept"


def test_a_token_that_ran_away_is_brought_back(site: Site, daemon: Daemon) -> None:
    """A fob pressed forty times in a pocket is refused; after `token resync` with its next two codes it is accepted."""
    fritz = site.person("fritz")
    fritz.fob.counter = 40
    with daemon.peer() as peer:
        first, second, third = fritz.press(), fritz.press(), fritz.press()
        assert peer.ask("fritz", third).kind == "reject"
        assert site.run("token", "resync", fritz.fob.serial, second, first).returncode == 1
        _done(site, "token", "resync", fritz.fob.serial, first, second)
        assert [peer.ask("fritz", code).kind for code in (first, second)] == ["reject", "reject"]
        assert peer.ask("fritz", third).kind == "accept"
        # what was resynchronised once does not go back
        assert site.run("token", "resync", fritz.fob.serial, first, second).returncode == 1


@pytest.mark.parametrize("command", ["token revoke", "token disable", "token unassign", "user disable"])
def test_what_changes_while_a_password_is_hashed_counts(tmp_path: Path, command: str) -> None:
    """A login that was looked at before the change, and is decided after it, is refused."""
    primary = "{kind: local, memory_kib: 19456, passes: 4, workers: 1}"
    site = Site.make(tmp_path / "site", primary=primary)
    hugo = site.person("hugo")
    with site.serving() as daemon, contextlib.ExitStack() as opened:
        crowd = [opened.enter_context(daemon.peer(CHALLENGE)) for _ in range(15)]
        in_front = [(peer, request(SECRET, "hugo", b"wrong")) for peer in crowd]
        last = opened.enter_context(daemon.peer(APPEND))
        asked = [*in_front, (last, request(SECRET, "hugo", f"{PASSWORD}{hugo.press()}".encode()))]
        for peer, octets in asked:
            peer.send(octets)
        daemon.wait_until_read()
        site.cli(*command.split(), hugo.fob.serial if command.startswith("token") else "hugo")
        assert last.waiting() == [], "the password was hashed too soon: this has shown nothing"
        assert gather(asked)[-1].kind == "reject"


def test_what_was_done_stands_in_the_audit_with_who_did_it(site: Site, daemon: Daemon) -> None:
    """Administration and logins leave rows in one audit, the former with the name of the administrator."""
    gerda = site.person("gerda")
    with daemon.peer() as peer:
        assert peer.ask("gerda", gerda.press()).kind == "accept"
    _done(site, "token", "revoke", gerda.fob.serial)
    rows = [row for row in site.audit() if row["user"] == "gerda" or row["serial"] == gerda.fob.serial]
    assert [row["name"] for row in rows] == ["user.added", "token.added", "access.accepted", "token.revoked"]
    assert [bool(row["actor"]) for row in rows] == [True, True, False, True]
