"""What administrators do is told to syslog: each change once it is committed; no command waits for it, or fails by it.

The receivers are real sockets of the test's own; what they get is RFC 5424 with the facility and the severity in front.
RFC 5426 (UDP), RFC 6587 3.4.1 (TCP).
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import select

from radiusd2fa import vault
from radiusd2fa.cli import announcing
from radiusd2fa.core.chain import Checkpoint
from radiusd2fa.core.model import Event
from radiusd2fa.log import Level, level_of
from radiusd2fa.settings import SyslogSettings
from radiusd2fa.store.address import SqliteFile
from radiusd2fa.store.administration import RefusedError
from radiusd2fa.store.auditing import checkpoint_of
from radiusd2fa.store.registry import Registry
from radiusd2fa.store.schema import checkpoints
from radiusd2fa.syslog import Sender

from .conftest import Shell

AUTHPRIV: Final = 10 * 8
ALERT, WARNING, NOTICE, INFO = 1, 4, 5, 6


@contextlib.contextmanager
def collector(shell: Shell) -> Iterator[socket.socket]:
    """Receive over UDP what the site sends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        shell.change("syslog: off", f"syslog: {{to: 'udp://127.0.0.1:{receiver.getsockname()[1]}'}}")
        yield receiver


def received(receiver: socket.socket) -> list[str]:
    """Return all messages that have come."""
    messages = []
    with contextlib.suppress(BlockingIOError):
        while True:
            messages.append(receiver.recv(4096).decode())
    return messages


def told(message: str) -> tuple[int, str, dict[str, str]]:
    """Take a message apart: severity, event, parameters."""
    found = re.fullmatch(r"<(\d+)>1 \S+ \S+ radiusd2fa \d+ (\S+) \[radiusd2fa@32473 (.*?)\] .*", message)
    assert found is not None, message
    return int(found[1]) - AUTHPRIV, found[2], dict(re.findall(r'(\w+)="(.*?)"', found[3]))


# --- nothing fails, and nobody waits ----------------------------------------------------------------------------------


def test_a_change_that_is_refused_is_not_told(people: Shell) -> None:
    """What is not in the audit has not happened."""
    with collector(people) as receiver:
        people.refused("user", "add", "alice", "--no-password")
        people.refused("user", "unlock", "nobody")
        assert received(receiver) == []


def test_what_the_database_takes_back_is_not_told(people: Shell) -> None:
    """An error in the middle of a change leaves neither the row nor the message."""
    with contextlib.closing(sqlite3.connect(people.folder / "radiusd2fa.db")) as database:
        database.execute("CREATE TRIGGER broken BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'planted'); END")
    with collector(people) as receiver:
        assert "planted" in people.refused("user", "unlock", "alice")
        assert received(receiver) == []


NOBODY_THERE: Final = {
    "no socket": ("unix:/nonexistent/log", "unix:/nonexistent/log: No such file or directory"),
    "no listener": ("tcp://127.0.0.1:1", "tcp://127.0.0.1:1: Connection refused"),
}


@pytest.mark.parametrize(("to", "why"), NOBODY_THERE.values(), ids=list(NOBODY_THERE))
def test_without_a_receiver_the_change_is_made_all_the_same(people: Shell, to: str, why: str) -> None:
    """One line says that syslog was not told, and why; the command has done what it was asked for."""
    people.change("syslog: off", f"syslog: {{to: '{to}'}}")
    said = people.say("user", "disable", "alice")
    assert (said.code, said.out) == (0, "disabled alice\n")
    assert said.err == f"warning: syslog has not been told of 1 of 1 changes ({why}); the audit has all\n"
    assert people.events()[-1].name == "user.disabled"


def test_a_receiver_that_takes_nothing_is_not_waited_for(people: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that nobody accepts ends with the patience of the command, and one line."""
    monkeypatch.setattr(announcing, "PATIENCE", 0.05)
    with socket.socket() as listener, contextlib.ExitStack() as crowd:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):  # until the queue of the kernel is full
            waiting = crowd.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        people.change("syslog: off", f"syslog: {{to: 'tcp://127.0.0.1:{listener.getsockname()[1]}'}}")
        said = people.say("user", "disable", "alice")
    assert said.code == 0
    assert "syslog has not been told of 1 of 1 changes (too slow)" in said.err


def test_a_resolver_that_hangs_is_not_waited_for(people: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of the receiver is asked for beside the command."""
    release, ask = threading.Event(), socket.getaddrinfo

    def hang(host: str, *rest: object, **options: object) -> object:
        if host == "collector.example.org" and options.get("flags") != socket.AI_NUMERICHOST:
            release.wait(10)
            raise socket.gaierror(socket.EAI_AGAIN, "planted")
        return ask(host, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(announcing, "PATIENCE", 0.05)
    monkeypatch.setattr(socket, "getaddrinfo", hang)
    people.change("syslog: off", "syslog: {to: 'udp://collector.example.org:514'}")
    said = people.say("user", "disable", "alice")
    release.set()
    assert said.code == 0
    assert "(too slow)" in said.err


def test_an_error_of_ours_does_not_look_like_one_of_the_change(people: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong while telling, the change is made and the command says so."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Sender, "offer", broken)
    people.change("syslog: off", "syslog: {to: unix:/nonexistent/log}")
    said = people.say("user", "disable", "alice")
    assert (said.code, said.out) == (0, "disabled alice\n")
    assert "warning: syslog has not been told" in said.err


def test_switched_off_nothing_is_sent(people: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a socket is made."""
    monkeypatch.setattr(announcing, "_announce", None)
    people.run("user", "disable", "alice")


@pytest.mark.parametrize(("name", "tried"), [("user.disabled", False), ("breakglass.requested", True)])
def test_a_host_without_syslog_is_no_trouble_but_for_an_emergency(
    monkeypatch: pytest.MonkeyPatch, name: str, tried: bool
) -> None:
    """Where /dev/log is not there nobody is warned at each change; of an emergency somebody must hear."""
    calls: list[object] = []
    monkeypatch.setattr(announcing, "_announce", lambda *what: calls.append(what))
    monkeypatch.setattr(Path, "exists", lambda _: False)
    with announcing.announced(SyslogSettings()) as tell:
        tell(Event(time=0.0, name=name, login="", nas="", user="alice", actor="root"))
    assert bool(calls) is tried


def test_looking_sends_nothing(people: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a change there is nothing to tell, and a receiver that is not there is no trouble."""
    people.change("syslog: off", "syslog: {to: unix:/nonexistent/log}")
    monkeypatch.setattr(announcing, "_announce", None)
    people.run("user", "list")
    people.run("check")


# --- what is told -----------------------------------------------------------------------------------------------------


def test_each_change_is_told_with_who_did_it_and_why(people: Shell) -> None:
    """As the audit has it."""
    with collector(people) as receiver:
        people.run("user", "unlock", "alice", "--reason", "called")
        message, _ = received(receiver)
    severity, event, values = told(message)
    assert (severity, event) == (NOTICE, "user.unlocked")
    audited = people.events()[-1]
    assert (values["user"], values["reason"], values["outcome"]) == ("alice", "called", "done")
    assert values["actor"] == audited.actor


def test_all_rows_of_one_command_are_told_in_their_order(people: Shell) -> None:
    """Removing somebody ends what they had, each with a row of its own."""
    before = len(people.events())
    with collector(people) as receiver:
        people.run("user", "remove", "alice", "--yes")
        *names, signed = [told(message)[1] for message in received(receiver)]
    assert names == [event.name for event in people.events()[before:]]
    assert (names[-1], signed) == ("user.removed", "audit.checkpoint")


def test_what_was_done_before_a_refusal_is_told(people: Shell) -> None:
    """The desk may do several things; the first stays done when the second is refused, and is told."""
    database, key = people.folder / "radiusd2fa.db", vault.load(people.folder / "vault.key")
    heard: list[Event | Checkpoint] = []
    with Registry(SqliteFile(database), key, "nobody", tell=heard.append) as desk:
        desk.unlock("alice", 1.0)
        with pytest.raises(RefusedError):
            desk.unlock("bob", 1.0)
    assert names_of(heard) == ["user.unlocked"]


def names_of(heard: list[Event | Checkpoint]) -> list[str]:
    """What has happened, without what signs it."""
    return [one.name for one in heard if isinstance(one, Event)]


def _half_a_change(desk: Registry) -> None:
    with desk._change("grant.closed", 1.0) as connection:
        desk._note(connection, "token.revoked", 1.0, serial="T1")
        raise ZeroDivisionError


def test_a_row_of_a_change_that_failed_later_is_never_told(people: Shell) -> None:
    """Neither at once nor with the next change: the audit has not got it either."""
    database, key = people.folder / "radiusd2fa.db", vault.load(people.folder / "vault.key")
    heard: list[Event | Checkpoint] = []
    with Registry(SqliteFile(database), key, "nobody", tell=heard.append) as desk:
        with pytest.raises(ZeroDivisionError):
            _half_a_change(desk)
        desk.unlock("alice", 2.0)
    assert names_of(heard) == ["user.unlocked"]
    assert "token.revoked" not in [event.name for event in people.events()]


def test_a_delivery_is_told_in_one_message(people: Shell) -> None:
    """Its tokens have a row each in the audit; a hundred thousand messages would help nobody."""
    database, key = people.folder / "radiusd2fa.db", vault.load(people.folder / "vault.key")
    heard: list[Event | Checkpoint] = []
    with (
        Registry(SqliteFile(database), key, "nobody", tell=heard.append) as desk,
        desk._change("tokens.imported", 1.0, reason="3 of box 7") as connection,
    ):
        for number in range(3):
            desk._note(connection, "token.imported", 1.0, serial=f"T{number}")
    assert [one.reason for one in heard if isinstance(one, Event)] == ["3 of box 7"]
    assert [event.name for event in people.events()[-4:]] == [*["token.imported"] * 3, "tokens.imported"]


def test_where_the_chain_has_got_to_is_told_signed(people: Shell) -> None:
    """One message for each change, with all that verifies it later, whole: nothing in it is cut short."""
    with collector(people) as receiver:
        people.run("user", "unlock", "alice")
        _, message = received(receiver)
    severity, event, values = told(message)
    with people.registry() as registry, registry._looking() as connection:
        (*_, last) = map(checkpoint_of, connection.execute(select(checkpoints).order_by(checkpoints.c.id)))
    assert (severity, event) == (INFO, "audit.checkpoint")
    assert values == {
        name: str(value).lower() if value is False else str(value) for name, value in last.fields().items()
    }
    assert len(values["signature"]) == 88


def test_a_refusal_of_a_role_is_a_warning(people: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has tried what they may not."""
    people.change("primary:", "administrators: {admin: [sys]}\nprimary:")
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", "1")
    with collector(people) as receiver:
        people.refused("user", "list")
        message, _ = received(receiver)
    severity, event, values = told(message)
    assert (severity, event, values["outcome"], values["reason"]) == (
        WARNING,
        "administration.refused",
        "refused",
        "user list",
    )


def test_a_unix_socket_gets_it_too(people: Shell, tmp_path: Path) -> None:
    """/dev/log as every Debian has it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "log"))
        receiver.setblocking(False)
        people.change("syslog: off", f"syslog: {{to: 'unix:{tmp_path / 'log'}', facility: authpriv}}")
        people.run("user", "disable", "alice")
        message, _ = received(receiver)
    assert told(message)[:2] == (INFO, "user.disabled")


def test_a_stream_gets_it_whole_although_the_command_ends(people: Shell) -> None:
    """Over TCP each message has its length in front, and the connection is closed behind it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(5)
        people.change("syslog: off", f"syslog: {{to: 'tcp://127.0.0.1:{listener.getsockname()[1]}'}}")
        people.run("user", "disable", "alice")
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as stream:
            length, _, message = stream.read().decode().partition(" ")
    message, rest = message[: int(length)], message[int(length) :]
    assert told(message)[1] == "user.disabled"
    length, _, signed = rest.partition(" ")
    assert int(length) == len(signed)
    assert told(signed)[1] == "audit.checkpoint"


# --- how loud ---------------------------------------------------------------------------------------------------------

LOUD: Final = {
    "breakglass.sealed": Level.CRITICAL,
    "breakglass.requested": Level.CRITICAL,
    "breakglass.approved": Level.CRITICAL,
    "breakglass.closed": Level.CRITICAL,
    "administration.refused": Level.WARNING,
    "grant.opened": Level.NOTICE,
    "recovery.issued": Level.NOTICE,
    "user.enabled": Level.NOTICE,
    "user.password_set": Level.NOTICE,
    "token.enabled": Level.NOTICE,
    "token.assigned": Level.INFO,
    "tokens.imported": Level.INFO,
    "user.offboarded": Level.INFO,
}


@pytest.mark.parametrize(("name", "level"), LOUD.items(), ids=list(LOUD))
@pytest.mark.parametrize("reason", ["", "internal_error", "emergency", "locked"])
def test_how_loud_a_change_is_hangs_on_what_it_is(name: str, level: Level, reason: str) -> None:
    """Emergencies are alerts, what lets somebody in more easily is a notice; what was typed as a reason is neither."""
    assert level_of(Event(0.0, name, "", "", "alice", reason=reason, actor="root")) is level


DECISIONS: Final = {
    "emergency": Level.CRITICAL,
    "skip_granted": Level.NOTICE,
    "self_assigned": Level.NOTICE,
    "token_wanted": Level.INFO,
}


@pytest.mark.parametrize(("reason", "level"), DECISIONS.items(), ids=list(DECISIONS))
def test_how_loud_a_login_is_hangs_on_its_reason(reason: str, level: Level) -> None:
    """Somebody who comes in by an emergency code is an alert wherever it happens."""
    assert level_of(Event(0.0, "access.accepted", "1", "vpn", "alice", reason=reason)) is level
