"""A real daemon in front of a real directory: who appears, who is refused and why, and what a sick one costs others.

slapd is asked over TLS; what happens to its people there (a new name, the end, a successor of the same name) happens
while the daemon runs. RFC 4511, RFC 4515 (metacharacters), RFC 4530 (entryUUID).
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from radiusd2fa import vault
from radiusd2fa.core.model import Token
from radiusd2fa.emulators.softfob import SoftFob
from radiusd2fa.store.address import SqliteFile
from radiusd2fa.store.keyring import Keyring
from tests.conversations.keychain import RP_ID, Key, asked_in, make_key, response
from tests.directory import slapd as directory
from tests.directory.slapd import ALICES_ID, WEIRD, slapd

from .company import Company, backend
from .site import APPEND, CHALLENGE, CODE_ONLY, PASSWORD, SECRET, USUAL_CLIENTS, Daemon, Person, Site
from .wire import PATIENCE, Peer, Reply, gather, request

pytestmark = directory.needs_slapd

DIRECTORYS: Final = directory.PASSWORD.decode()
"""The password of everybody in the directory."""
LOCAL: Final = "127.0.1.9"
"""A client whose people have passwords of our own."""
PLAIN: Final = "127.0.1.10"
"""A client at which a password is enough."""
CLIENTS: Final = USUAL_CLIENTS | {
    "local": f'{{networks: [{LOCAL}/32], secret: "{SECRET.decode()}", reject_delay: 0s}}',
    "plain": f'{{networks: [{PLAIN}/32], secret: "{SECRET.decode()}", reject_delay: 0s}}',
}
RULES: Final = """[
  {name: own-passwords, when: {clients: [local]}, primary: ours, enrolment: off},
  {name: passwords, when: {clients: [plain]}, enrolment: off},
  {name: all, factors: [fido, hotp], ceremonies: [paste]}]"""
WAITING: Final = 20
"""Logins that meet a directory which has just begun to hang."""
OTHERS: Final = 200
CALLS: Final = 4
HASTY: Final = {"connect_timeout": "300ms", "timeout": "300ms", "retry_after": "1s", "calls": str(CALLS)}


def _site(folder: Path, primary: str) -> Site:
    return Site.make(
        folder,
        CLIENTS,
        primary=primary,
        backends="{ours: {kind: local, memory_kib: 64, passes: 1, queue: 1000}}",
        rules=RULES,
        fido=f"{{rp_id: {RP_ID}}}",
    )


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """A directory in which each test has its own people."""
    with slapd(tmp_path_factory.mktemp("company") / "slapd") as server:
        yield Company(server)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, company: Company) -> Site:
    """A site whose people are that directory's."""
    return _site(tmp_path_factory.mktemp("directory"), company.backend())


@pytest.fixture(scope="module")
def daemon(site: Site) -> Iterator[Daemon]:
    """One daemon, which nobody restarts."""
    with site.serving() as daemon:
        yield daemon


@pytest.fixture
def asking(daemon: Daemon) -> Iterator[Peer]:
    """A client that is asked for the code."""
    with daemon.peer(CHALLENGE) as peer:
        yield peer


@pytest.fixture
def coding(daemon: Daemon) -> Iterator[Peer]:
    """A client that sends nothing but codes."""
    with daemon.peer(CODE_ONLY) as peer:
        yield peer


def _appeared(site: Site, asking: Peer, name: str) -> Person:
    """Somebody of the directory who has tried to log in once, and was given a fob then."""
    assert asking.ask(name, DIRECTORYS).kind == "challenge"
    return Person(name, site.fob(name))


def _logs_in(asking: Peer, name: str, code: str) -> Reply:
    question = asking.ask(name, DIRECTORYS)
    assert question.kind == "challenge"
    return asking.ask(name, code, question.state)


def _is_refused(daemon: Daemon, reply: Reply, user: str, reason: str) -> None:
    """The NAS is told nothing, the log why."""
    assert (reply.kind, len(reply.attributes)) == ("reject", 1)
    assert daemon.wait_for("access.rejected", user=user, reason=reason)


# --- who is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "password", "reason"),
    [
        pytest.param("bob", "wrong", "wrong_password", id="a wrong password"),
        pytest.param("nobody-here", DIRECTORYS, "account_unknown", id="nobody of that name"),
        pytest.param("twin", DIRECTORYS, "account_ambiguous", id="two of that name"),
        pytest.param("locked", DIRECTORYS, "account_locked", id="locked"),
        pytest.param("expired", DIRECTORYS, "password_expired", id="password too old"),
        pytest.param("reset", DIRECTORYS, "password_expired", id="password to be changed"),
        pytest.param("left", DIRECTORYS, "account_expired", id="account past its end"),
        pytest.param("*", DIRECTORYS, "account_unknown", id="star"),
        pytest.param("b*b", DIRECTORYS, "account_unknown", id="star within"),
        pytest.param("bob)(uid=*", DIRECTORYS, "account_unknown", id="brackets"),
        pytest.param("\\62ob", DIRECTORYS, "account_unknown", id="an escape"),
        pytest.param("*)(|(objectclass=*", DIRECTORYS, "account_unknown", id="an alternative"),
        pytest.param("bob,ou=people", DIRECTORYS, "account_unknown", id="part of a distinguished name"),
    ],
)
@pytest.mark.parametrize("client", [CHALLENGE, PLAIN], ids=["where a code follows", "where a password is enough"])
def test_a_refusal_has_its_reason(daemon: Daemon, client: str, user: str, password: str, reason: str) -> None:
    """Each fault of a password, an account or a name is an Access-Reject, its reason in the log and in no reply."""
    with daemon.peer(client) as peer:
        _is_refused(daemon, peer.ask(user, password), user, reason)


def test_nobody_refused_was_added(site: Site, daemon: Daemon, asking: Peer) -> None:
    """Nobody whom the directory refuses appears in the store."""
    asking.ask("locked", DIRECTORYS)
    asking.ask("bob", "wrong again")
    known = {user["name"] for user in json.loads(site.cli("user", "list", "--json"))}
    assert known.isdisjoint({"locked", "twin", "nobody-here", "*"})


@pytest.mark.parametrize("name", [b"bob\0", b"bob ", b" bob", b"b\xffb", b"bo\tb"])
def test_what_is_no_name_is_asked_about_nowhere(daemon: Daemon, asking: Peer, name: bytes) -> None:
    """A name with NUL, a blank at an end, a control character or bad UTF-8 is refused, and nobody is asked."""
    assert asking.ask(name, DIRECTORYS).kind == "reject"
    assert daemon.wait_for("access.rejected", reason="bad_name")


def test_an_empty_password_binds_nowhere(company: Company, site: Site, daemon: Daemon, asking: Peer) -> None:
    """slapd passes every empty password here; the daemon refuses it as a first, as an answer, and before a code."""
    company.add("emma")
    emma = _appeared(site, asking, "emma")
    question = asking.ask("emma", "")
    assert question.prompt == "Enter your password: "
    _is_refused(daemon, asking.ask("emma", "", question.state), "emma", "empty_password")
    with daemon.peer(APPEND) as appending:
        assert appending.ask("emma", emma.code_at(0)).kind == "reject"
        assert appending.ask("emma", DIRECTORYS + emma.code_at(0)).kind == "accept"


def test_wrong_and_used_codes_are_refused(company: Company, site: Site, daemon: Daemon, asking: Peer) -> None:
    """After the right password a wrong code and a used one lead to the next question and then to a refusal."""
    company.add("fritz")
    fritz = _appeared(site, asking, "fritz")
    used = fritz.press()
    assert _logs_in(asking, "fritz", used).kind == "accept"
    for code, reason in ((fritz.wrong_codes(1)[0], "wrong_code"), (used, "replayed")):
        reply = _logs_in(asking, "fritz", code)
        assert reply.prompt == "Enter the next code: "
        reply = asking.ask("fritz", code, reply.state)
        _is_refused(daemon, asking.ask("fritz", code, reply.state), "fritz", reason)
    assert _logs_in(asking, "fritz", fritz.press()).kind == "accept"


def test_only_the_right_backend_s_password_counts(company: Company, site: Site, daemon: Daemon) -> None:
    """A local password opens nothing to whom the directory is asked about, nor the directory's to whom it is not."""
    company.add("karl")
    site.cli("user", "add", "karl", "--password-stdin", stdin=PASSWORD)
    with daemon.peer(LOCAL) as local, daemon.peer(PLAIN) as plain:
        assert local.ask("karl", PASSWORD).kind == "accept"
        assert local.ask("karl", DIRECTORYS).kind == "reject"
        assert plain.ask("karl", PASSWORD).kind == "reject"
        # this karl may be anybody: the directory's does not become him
        _is_refused(daemon, plain.ask("karl", DIRECTORYS), "karl", "account_elsewhere")


# --- who gets in ------------------------------------------------------------------------------------------------------


def test_the_first_login_makes_the_account(site: Site, daemon: Daemon, asking: Peer) -> None:
    """The right password adds the person with the directory's groups and id; a token given then lets in."""
    question = asking.ask("alice", DIRECTORYS)
    assert question.prompt == "Enter the code from your token: "
    facts = site.facts("alice")
    assert (facts["source"], facts["directory_id"], facts["enabled"]) == ("ldap", ALICES_ID, True)
    assert facts["groups"] == ["vpn users"]
    assert facts["tokens"] == []
    for _ in range(2):
        question = asking.ask("alice", "12345678", question.state)
        assert question.prompt == "Enter the next code: "
    _is_refused(daemon, asking.ask("alice", "12345678", question.state), "alice", "no_token")
    alice = Person("alice", site.fob("alice"))
    assert _logs_in(asking, "alice", alice.press()).kind == "accept"


def test_a_name_full_of_metacharacters_is_a_name(site: Site, asking: Peer) -> None:
    """Somebody who is really called so logs in."""
    assert asking.ask(WEIRD, DIRECTORYS).kind == "challenge"
    fob = SoftFob("hotp", b"twenty octets of it!")
    words = ("--user", WEIRD, "--kind", "hotp", "--serial", "WEIRD-1", "--secret-stdin")
    site.cli("token", "add", *words, stdin=fob.secret.hex())
    assert _logs_in(asking, WEIRD, fob.press(0)).kind == "accept"


# --- what becomes of people -------------------------------------------------------------------------------------------


def _key(site: Site, user: str) -> Key:
    """Give somebody an emulated security key."""
    key = make_key(f"KEY-{user}", user, {})
    token = Token(0, key.serial, "fido", key.counter, bytes(key.credential), digits=0)
    with Keyring(SqliteFile(site.database), vault.load(site.folder / "vault.key"), "root") as keyring:
        keyring.add(user, token, "", time.time())
    return key


def _signs_in(asking: Peer, key: Key, name: str) -> str:
    question = asking.ask(name, DIRECTORYS)
    asked = asked_in(question.prompt)
    assert asked is not None
    return asking.ask(name, response(key, asked, name, "", {}), question.state).kind


def test_a_new_name_takes_the_tokens_along(company: Company, site: Site, daemon: Daemon, asking: Peer) -> None:
    """Renamed in the directory: neither name logs in until `user sync`, then the new one with the old fob and key."""
    company.add("grit")
    grit, key = _appeared(site, asking, "grit"), _key(site, "grit")
    assert _signs_in(asking, key, "grit") == "accept"
    company.rename("grit", "greta")
    _is_refused(daemon, asking.ask("grit", DIRECTORYS), "grit", "account_unknown")
    _is_refused(daemon, asking.ask("greta", DIRECTORYS), "greta", "account_renamed")
    assert "nothing (--dry-run)" in site.attempt("user", "sync", "--dry-run")[1]
    _is_refused(daemon, asking.ask("greta", DIRECTORYS), "greta", "account_renamed")
    assert "renamed to greta" in site.attempt("user", "sync")[1]
    _is_refused(daemon, asking.ask("grit", DIRECTORYS), "grit", "account_unknown")
    assert _logs_in(asking, "greta", grit.press()).kind == "accept"
    assert _signs_in(asking, key, "greta") == "accept"


def test_a_successor_inherits_nothing(company: Company, site: Site, daemon: Daemon, asking: Peer, coding: Peer) -> None:
    """Deleted and made again under the same name: refused with password and with code alone, until `user bind`."""
    company.add("hans")
    hans = _appeared(site, asking, "hans")
    assert coding.ask("hans", hans.press()).kind == "accept"
    company.remove("hans")
    company.add("hans")
    _is_refused(daemon, asking.ask("hans", DIRECTORYS), "hans", "account_replaced")
    before = len(daemon.lines("access.rejected"))
    assert coding.ask("hans", hans.code_at(1)).kind == "reject"
    assert daemon.wait_for("access.rejected", before + 1)["reason"] == "account_replaced"
    site.cli("user", "bind", "hans", "--source", "ldap", "--yes")
    assert coding.ask("hans", hans.code_at(1)).kind == "accept"
    assert _logs_in(asking, "hans", hans.code_at(2)).kind == "accept"


def test_who_is_gone_is_refused_everywhere(
    company: Company, site: Site, daemon: Daemon, asking: Peer, coding: Peer
) -> None:
    """Deleted in the directory: refused at once, also where a code is all; `user sync --revoke` ends the token."""
    company.add("ina")
    ina = _appeared(site, asking, "ina")
    assert coding.ask("ina", ina.press()).kind == "accept"
    company.remove("ina")
    _is_refused(daemon, coding.ask("ina", ina.code_at(1)), "ina", "account_unknown")
    assert asking.ask("ina", DIRECTORYS).kind == "reject"
    assert site.attempt("user", "sync")[0] == 1
    assert site.token(ina.fob.serial)["state"] == "active"
    assert site.attempt("user", "sync", "--revoke")[0] == 0
    assert site.token(ina.fob.serial)["state"] == "revoked"
    assert not site.facts("ina")["enabled"]
    company.add("ina")
    assert coding.ask("ina", ina.code_at(1)).kind == "reject"


def test_a_lock_in_the_directory_holds_where_no_password_is_checked(
    company: Company, site: Site, daemon: Daemon, asking: Peer, coding: Peer
) -> None:
    """Whom the directory has locked gets in nowhere with a right code."""
    company.add("jan")
    jan = _appeared(site, asking, "jan")
    assert coding.ask("jan", jan.press()).kind == "accept"
    company.lock("jan")
    _is_refused(daemon, coding.ask("jan", jan.code_at(1)), "jan", "account_locked")


# --- a sick directory -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Held:
    """What the daemon's process has in its hands."""

    connections: int
    """To the directory's servers."""
    others: int
    """Descriptors of anything else."""
    threads: int


def _held(daemon: Daemon, *ports: int) -> Held:
    process = Path(f"/proc/{daemon.process.pid}")
    links = []
    for descriptor in (process / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed while we looked
            links.append(str(descriptor.readlink()))
    # proc(5), /proc/net/tcp: remote address in field 3, inode in field 10
    rows = [line.split() for line in (process / "net/tcp").read_text().splitlines()[1:]]
    to_servers = {f"socket:[{row[9]}]" for row in rows if int(row[2].partition(":")[2], 16) in ports}
    connections = sum(link in to_servers for link in links)
    return Held(connections, len(links) - connections, len(list((process / "task").iterdir())))


@contextlib.contextmanager
def _peers(daemon: Daemon, count: int, source: str) -> Iterator[list[Peer]]:
    with contextlib.ExitStack() as opened:
        yield [opened.enter_context(daemon.peer(source)) for _ in range(count)]


def _sent(peers: Sequence[Peer], user: str, password: str) -> list[tuple[Peer, bytes]]:
    asked = [(peer, request(SECRET, user, password.encode())) for peer in peers]
    for peer, octets in asked:
        peer.send(octets)
    return asked


def _log_in_at_once(peers: Sequence[Peer], user: str, password: str) -> set[str]:
    return {reply.kind for reply in gather(_sent(peers, user, password))}


def _others_go_on(daemon: Daemon, count: int = OTHERS) -> None:
    """Many people log in whom another backend knows."""
    with _peers(daemon, 10, LOCAL) as peers:
        for _ in range(count // 10):
            assert _log_in_at_once(peers, "lisa", PASSWORD) == {"accept"}


def _until_well(daemon: Daemon) -> None:
    """Let alice log in until she gets in."""
    deadline = time.monotonic() + PATIENCE
    with daemon.peer(PLAIN) as peer:
        while not peer.is_answered(request(SECRET, "alice", DIRECTORYS.encode()), 0.2):
            assert time.monotonic() < deadline, "the directory was never asked again"


def _until_as_before(daemon: Daemon, before: Held, *ports: int) -> None:
    """Wait until nothing is left of what was asked in vain: no more connections than are kept, and nothing else."""
    deadline = time.monotonic() + PATIENCE
    while True:
        now = _held(daemon, *ports)
        kept = 2 * CALLS * len(ports)  # of those that search, and of those that people bind on
        if now.connections <= kept and (now.others, now.threads) == (before.others, before.threads):
            return
        assert time.monotonic() < deadline, f"{before} has become {now}"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory, company: Company) -> Iterator[Company]:
    """A second server with the same alice, under the same authority."""
    with slapd(tmp_path_factory.mktemp("second") / "slapd", company.slapd.made_by) as server:
        yield Company(server)


@pytest.fixture(scope="module")
def patient_site(tmp_path_factory: pytest.TempPathFactory, company: Company, second: Company) -> Site:
    """A site with both servers, and with lisa, whose password is ours."""
    site = _site(tmp_path_factory.mktemp("two"), company.backend(second, **HASTY))
    site.cli("user", "add", "lisa", "--password-stdin", stdin=PASSWORD)
    return site


@contextlib.contextmanager
def _hanging(*servers: Company) -> Iterator[None]:
    for one in servers:
        one.slapd.stop_answering()
    try:
        yield
    finally:
        for one in servers:
            one.slapd.answer_again()


def test_when_one_server_hangs_the_other_is_asked(patient_site: Site, company: Company) -> None:
    """The first of two servers stops in the middle of logins: each of them, and all that follow, gets in."""
    with patient_site.serving() as daemon, _peers(daemon, WAITING, PLAIN) as peers:
        _until_well(daemon)
        assert _log_in_at_once(peers, "alice", DIRECTORYS) == {"accept"}
        asked = _sent(peers[: WAITING // 2], "alice", DIRECTORYS)
        with _hanging(company):
            asked += _sent(peers[WAITING // 2 :], "alice", DIRECTORYS)
            assert {reply.kind for reply in gather(asked)} == {"accept"}
            for _ in range(5):
                assert _log_in_at_once(peers, "alice", DIRECTORYS) == {"accept"}
            assert _log_in_at_once(peers, "alice", "wrong") == {"reject"}
        sick = [line["message"] for line in daemon.lines("primary.note")]
        assert any(company.slapd.tls in line and "left alone" in line for line in sick)
        assert not any(DIRECTORYS in line for line in sick)


def test_when_all_servers_hang_there_is_silence_and_others_go_on(
    patient_site: Site, company: Company, second: Company
) -> None:
    """Both servers stop: their people get no answer, 200 others get in, and nothing is left behind."""
    with patient_site.serving() as daemon:
        with _peers(daemon, WAITING, PLAIN) as peers:
            _others_go_on(daemon)
            _until_well(daemon)
            assert _log_in_at_once(peers, "alice", DIRECTORYS) == {"accept"}
            ports = company.slapd.tls_port, second.slapd.tls_port
            before = _held(daemon, *ports)
            with _hanging(company, second):
                _sent(peers, "alice", DIRECTORYS)
                _others_go_on(daemon)
                assert daemon.wait_for("packet.dropped", reason="primary_unavailable")
                _sent(peers, "alice", "wrong")
                _others_go_on(daemon, 20)
            _until_well(daemon)
            assert [peer.waiting() for peer in peers] == [[]] * WAITING
            assert _log_in_at_once(peers, "alice", DIRECTORYS) == {"accept"}
            _until_as_before(daemon, before, *ports)
        daemon.stop()
        assert daemon.counters()["primary_unavailable"] >= 2 * WAITING


def test_a_code_is_not_spent_on_a_directory_that_hangs(patient_site: Site, company: Company, second: Company) -> None:
    """Where a code is all, silence of the directory is silence to the NAS; the same code lets in afterwards."""
    with patient_site.serving() as daemon, daemon.peer(PLAIN) as plain, daemon.peer(CODE_ONLY) as coding:
        assert plain.ask("alice", DIRECTORYS).kind == "accept"
        code = Person("alice", patient_site.fob("alice")).code_at(0)
        with _hanging(company, second):
            coding.send(request(SECRET, "alice", code.encode()))
            assert daemon.wait_for("packet.dropped", reason="primary_unavailable")
            assert coding.waiting() == []
        _until_well(daemon)
        assert coding.ask("alice", code).kind == "accept"


@contextlib.contextmanager
def _dripping() -> Iterator[int]:
    """A server that answers everybody with one octet of an LDAP message after the other, and never comes to its end."""
    finished = threading.Event()
    message = bytes.fromhex("3084 0000ffff 020101 61") + bytes(1 << 16)

    def drip(listening: socket.socket) -> None:
        with contextlib.ExitStack() as opened:
            talks: list[tuple[socket.socket, Iterator[int]]] = []
            while not finished.wait(0.01):
                if select.select([listening], [], [], 0)[0]:
                    talks.append((opened.enter_context(listening.accept()[0]), iter(message)))
                for talk, octets in talks:
                    with contextlib.suppress(OSError):  # whoever has gone hears nothing
                        talk.send(bytes((next(octets),)))

    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        thread = threading.Thread(target=drip, args=(listening,))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            finished.set()
            thread.join(PATIENCE)


def test_a_directory_that_drips_is_given_up(tmp_path: Path) -> None:
    """A server that sends one octet at a time for ever gets no login and keeps none; others go on, nothing piles up."""
    with _dripping() as port:
        site = _site(tmp_path / "site", backend(f"ldap://127.0.0.1:{port}", **HASTY))
        site.cli("user", "add", "lisa", "--password-stdin", stdin=PASSWORD)
        with site.serving() as daemon, _peers(daemon, WAITING, PLAIN) as peers:
            _others_go_on(daemon, 20)
            before = _held(daemon, port)
            for _ in range(2):
                _sent(peers, "alice", DIRECTORYS)
                _others_go_on(daemon, OTHERS // 2)
            assert daemon.wait_for("packet.dropped", reason="primary_unavailable")
            _until_as_before(daemon, before, port)
            daemon.stop()
            assert [peer.waiting() for peer in peers] == [[]] * WAITING
            assert daemon.counters()["primary_unavailable"] == 2 * WAITING
