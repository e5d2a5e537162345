"""The shell around a primary backend that is silent, late or broken: nobody gets in by it, nobody else waits for it.

The real server, store and sockets; only the backend is scripted, and the loop's clock is turned on where time passes.
RFC 2865 3 (one reply for a request); replies are read and believed by pyrad.
"""

from __future__ import annotations

import asyncio
import gc
import secrets
import socket
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest
from pyrad.packet import AccessAccept, AccessChallenge, AccessReject, AccessRequest, AuthPacket

from radiusd2fa.core.model import Account, PrimaryAnswer, Verdict
from radiusd2fa.core.rules import FACTORS, Enrolment, Rule
from radiusd2fa.factors import find_functions
from radiusd2fa.listeners.udp import UdpListener
from radiusd2fa.primary import Done, Primary, Question
from radiusd2fa.regime import Regime, make_regime
from radiusd2fa.server import Server
from radiusd2fa.sightings import read_sightings
from radiusd2fa.store.address import SqliteFile
from radiusd2fa.store.engine import Store
from radiusd2fa.store.sqlite_database import SqliteDatabase
from tests.conversations.attributes import dictionary
from tests.conversations.scenery import Site, Template, build, make_template
from tests.conversations.stage import HeardJournal
from tests.conversations.transcript import parse

HEAD: Final = """\
# a site with two directories
client: vpn flow=challenge
client: mik flow=append
directory: ldap
directory: corp
rule: corp users=alice,bob primary=corp
rule: new users=dora primary=corp enrolment=off
rule: all enrolment=off
user: alice source=corp token=F1 hotp
user: bob source=corp
clock: 2026-03-02 09:00:00
> vpn alice password=hunter2 < silence
"""
PASSED: Final = PrimaryAnswer(Verdict.PASSED, account=Account("u1", ()))
REFUSED: Final = PrimaryAnswer(Verdict.REFUSED)
UNAVAILABLE: Final = PrimaryAnswer(Verdict.UNAVAILABLE)
LONGER_THAN_ANY_NAS: Final = 20.0
HANGING: Final = 50
NOT_REQUIRED: Final = Enrolment(required=False)
OTHERS: Final = 200


class TurnedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock can be turned on, so that no test waits for its timers."""

    ahead = 0.0

    def time(self) -> float:
        """Tell the loop's time."""
        return super().time() + self.ahead


@dataclass(slots=True)
class Holding:
    """A backend that answers when the test says so."""

    asked: list[tuple[Question, Done]] = field(default_factory=list)
    closed: bool = False

    def verify(self, question: Question, done: Done) -> None:
        """Keep the question."""
        self.asked.append((question, done))

    def close(self) -> None:
        """Answer what is left, as every backend does."""
        self.closed = True
        asked, self.asked = self.asked, []
        for _, done in asked:
            done(UNAVAILABLE)


@dataclass(slots=True)
class Answering:
    """A backend that does this."""

    act: Callable[[Question, Done], None] = lambda _, done: done(PASSED)

    def verify(self, question: Question, done: Done) -> None:
        """Do it."""
        self.act(question, done)

    def close(self) -> None:
        """Hold nothing."""


@dataclass(slots=True)
class House:
    """A daemon in work, and what can be asked of it."""

    site: Site
    loop: TurnedLoop
    server: Server
    listener: UdpListener
    journal: HeardJournal
    devices: list[Device] = field(default_factory=list)
    stopped: bool = False

    def device(self, name: str) -> Device:
        """Return a NAS with a port of its own."""
        self.devices.append(Device(self, name))
        return self.devices[-1]

    async def stop(self) -> None:
        """End the daemon, with no patience for what is in work."""
        if not self.stopped:
            self.stopped = True
            await self.server.stop(patience=0.0)

    async def until(self, said: Callable[[], bool]) -> None:
        """Wait for something that will happen."""
        async with asyncio.timeout(LONGER_THAN_ANY_NAS):
            while not said():  # noqa: ASYNC110 - a packet on its way is no event of ours
                await asyncio.sleep(0)

    async def time_passes(self, seconds: float = LONGER_THAN_ANY_NAS) -> None:
        """Turn the clock on, and let everything that is due by then happen."""
        self.loop.ahead += seconds
        await self.quiet()

    async def quiet(self) -> None:
        """Let everything happen that can happen now."""
        passed = self.loop.create_future()
        self.loop.call_later(0, passed.set_result, None)
        await passed
        for _ in range(10):
            await asyncio.sleep(0)

    def rows(self, columns: str, table: str) -> list[tuple[Any, ...]]:
        """Read the store as it is on the disk."""
        connection = sqlite3.connect(self.site.database)
        try:
            return connection.execute(f"SELECT {columns} FROM {table} ORDER BY 1").fetchall()  # noqa: S608 - ours
        finally:
            connection.close()

    def audit(self) -> list[str]:
        """The decisions of which there is a row."""
        return [reason for _, reason in self.rows("id, reason", "events") if reason]


class Device:
    """A NAS with one socket that asks and goes on."""

    def __init__(self, house: House, name: str) -> None:
        device = house.site.devices[name]
        self._house, self._secret = house, device.secret
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind((device.address, 0))
        self.socket.connect(house.listener.address[:2])

    def ask(self, name: str, password: bytes = b"hunter2", state: bytes = b"") -> AuthPacket:
        """Send an Access-Request; return it, for the reply to be held against."""
        request = AuthPacket(
            code=AccessRequest,
            id=secrets.randbelow(256),
            secret=self._secret,
            authenticator=secrets.token_bytes(16),
            dict=dictionary(),
            message_authenticator=True,
        )
        request[1] = [name.encode()]
        request[2] = [request.PwCrypt(password)]
        if state:
            request[24] = [state]
        self.send(request)
        return request

    def send(self, request: AuthPacket) -> None:
        """Send it, for the first time or again."""
        self.socket.send(request.RequestPacket())

    async def reply_to(self, request: AuthPacket) -> AuthPacket:
        """Return the next reply, which must be a good one to that request."""
        async with asyncio.timeout(LONGER_THAN_ANY_NAS):
            raw = await self._house.loop.sock_recv(self.socket, 4096)
        reply = request.CreateReply(packet=raw)
        assert request.VerifyReply(reply, raw, enforce_ma=True)
        return reply

    def hears_nothing(self) -> bool:
        """Whether no reply lies there unread."""
        try:
            self.socket.recv(4096)
        except BlockingIOError:
            return True
        return False


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The vault key and the empty database that each test begins with."""
    return make_template(tmp_path_factory.mktemp("server"))


@pytest.fixture
def site(template: Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The site of HEAD in a folder of its own."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    return build(parse("server.txt", HEAD)[0], template, tmp_path)


def _knows_everybody(question: Question, done: Done) -> None:
    done(PrimaryAnswer(Verdict.PASSED, account=Account(question.name, ())))


def play(site: Site, corp: Holding | Answering, scene: Callable[[House], Coroutine[Any, Any, None]]) -> None:
    """Run a scene around a daemon whose directory ``corp`` is this one; the other one passes everybody."""

    async def _play() -> None:
        async with _opened(site, corp) as house:
            await scene(house)

    with asyncio.Runner(loop_factory=TurnedLoop) as runner:
        runner.run(_play())


@asynccontextmanager
async def _opened(site: Site, corp: Holding | Answering) -> AsyncIterator[House]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, TurnedLoop)
    folder, log = site.folder, site.settings.log
    with (folder / "journal").open("a", encoding="utf-8") as file, HeardJournal(log, file) as journal:
        store = Store(
            SqliteFile(site.database), site.vault, lambda text: journal.note("error", "store.alarm", error=text)
        )
        primaries = {"ldap": Answering(_knows_everybody), "corp": corp}
        server = Server(site.settings, find_functions(FACTORS), primaries, journal, store, lambda: site.now)
        house = House(site, loop, server, UdpListener("127.0.0.1", 0), journal)
        server.listen(house.listener)
        try:
            yield house
        finally:
            await house.stop()
            for device in house.devices:
                device.socket.close()


# --- a backend that says nothing -------------------------------------------------------------------------------------


def test_a_silent_backend_is_silence(site: Site) -> None:
    """A login whose backend never answers ends in silence: no reply, no audit row, nothing in work, nobody added."""
    corp = Holding()

    async def scene(house: House) -> None:
        vpn = house.device("vpn")
        vpn.ask("bob")
        await house.until(lambda: len(corp.asked) == 1)
        await house.time_passes()
        assert house.server.counters["primary_unavailable"] == 1
        assert house.audit() == []
        assert vpn.hears_nothing()
        assert house.server._idle.is_set()

    play(site, corp, scene)


def test_nobody_is_asked_when_nobody_waits_any_more(site: Site) -> None:
    """A login whose NAS has tried for the last time is no question to a backend, and ends in silence."""
    corp = Holding()

    async def scene(house: House) -> None:
        vpn = house.device("vpn")
        vpn.ask("bob")
        (datagram,) = house.listener.read()
        house.server._take(house.listener, datagram, house.loop.time() - 100)
        house.server._flush()
        assert corp.asked == []
        assert house.server.counters["primary_unavailable"] == 1
        assert house.server._idle.is_set()

    play(site, corp, scene)


def test_what_waits_for_its_turn_has_it_before_the_end(site: Site) -> None:
    """Of a thousand packets that came in together none is thrown away because the daemon is told to end."""
    asked: list[Question] = []

    def refuse(question: Question, done: Done) -> None:
        asked.append(question)
        done(REFUSED)

    async def scene(house: House) -> None:
        vpn = house.device("vpn")
        batch = []
        for _ in range(10):
            for _ in range(100):
                vpn.ask("bob")
            batch += house.listener.read()
        house.server._receive(house.listener, batch)
        assert len(asked) == 64
        await house.stop()
        assert len(asked) == 1000

    play(site, Answering(refuse), scene)


@pytest.mark.parametrize("other_thread", [False, True])
@pytest.mark.parametrize("answer", [PASSED, REFUSED, UNAVAILABLE])
def test_a_late_answer_changes_nothing(answer: PrimaryAnswer, other_thread: bool, site: Site) -> None:
    """What a backend says after the server has given up is no reply, no row and no account, from whichever thread."""
    corp = Holding()

    async def scene(house: House) -> None:
        vpn = house.device("vpn")
        vpn.ask("alice")
        await house.until(lambda: len(corp.asked) == 1)
        await house.time_passes()
        counted = dict(house.server.counters)
        _, done = corp.asked.pop()
        await _call(done, answer, other_thread=other_thread)
        await house.quiet()
        assert dict(house.server.counters) == counted
        assert house.audit() == []
        assert house.rows("handle", "challenges") == []
        assert vpn.hears_nothing()

    play(site, corp, scene)


def test_a_retransmission_after_the_silence_is_a_new_chance(site: Site) -> None:
    """The same packet is asked about anew; its answer is the one reply, and the late one to the first is none."""
    corp = Holding()

    async def scene(house: House) -> None:
        vpn = house.device("vpn")
        request = vpn.ask("alice")
        await house.until(lambda: len(corp.asked) == 1)
        await house.time_passes()
        vpn.send(request)
        await house.until(lambda: len(corp.asked) == 2)
        corp.asked[0][1](REFUSED)
        await house.quiet()
        assert vpn.hears_nothing()
        corp.asked[1][1](PASSED)
        assert (await vpn.reply_to(request)).code == AccessChallenge
        corp.asked.clear()
        await house.quiet()
        assert vpn.hears_nothing()
        assert house.audit() == ["code_wanted"]

    play(site, corp, scene)


def test_while_it_thinks_a_retransmission_is_dropped(site: Site) -> None:
    """A packet that comes again while the backend is asked is not asked about twice, and gets one reply."""
    corp = Holding()

    async def scene(house: House) -> None:
        vpn = house.device("vpn")
        request = vpn.ask("alice")
        await house.until(lambda: len(corp.asked) == 1)
        vpn.send(request)
        vpn.send(request)
        await house.until(lambda: house.server.counters["duplicate_in_progress"] == 2)
        [(_, done)] = corp.asked
        corp.asked.clear()
        done(PASSED)
        assert (await vpn.reply_to(request)).code == AccessChallenge
        await house.quiet()
        assert vpn.hears_nothing()

    play(site, corp, scene)


@pytest.mark.parametrize("in_time", [True, False])
def test_nothing_is_remembered_of_a_login_that_is_over(in_time: bool, site: Site) -> None:
    """Once the backend lets go of its questions, no login and no password stays in memory, given up or not."""
    corp = Holding()

    async def scene(house: House) -> None:
        vpn = house.device("vpn")
        for _ in range(HANGING):
            vpn.ask("bob", b"canary-password")
        await house.until(lambda: len(corp.asked) == HANGING)
        if in_time:
            while corp.asked:
                corp.asked.pop()[1](REFUSED)
            await house.until(lambda: house.server.counters["access_reject"] == HANGING)
        await house.time_passes()
        assert house.server.counters["primary_unavailable"] == (0 if in_time else HANGING)
        corp.asked.clear()
        gc.collect()
        alive = [one for one in gc.get_objects() if type(one).__name__ in {"_Login", "_Waiting", "Question"}]
        alive = [one for one in alive if getattr(one, "name", "bob") == "bob"]  # other tests keep some
        assert alive == []

    play(site, corp, scene)


def test_others_go_on_while_it_hangs(site: Site) -> None:
    """With many logins hanging at one backend those of another are answered, each once and correctly."""
    corp = Holding()

    async def scene(house: House) -> None:
        stuck, vpn = house.device("mik"), house.device("vpn")
        for _ in range(HANGING):
            stuck.ask("alice", b"hunter2123456")
        await house.until(lambda: len(corp.asked) == HANGING)
        for number in range(OTHERS):
            request = vpn.ask(f"user{number}")
            assert (await vpn.reply_to(request)).code == AccessAccept
        assert house.audit() == ["not_enrolled"] * OTHERS
        assert len(corp.asked) == HANGING
        assert stuck.hears_nothing()
        assert house.server.counters["primary_unavailable"] == 0

    play(site, corp, scene)


def test_two_first_logins_at_once_are_one_account(site: Site) -> None:
    """When somebody logs in twice at once for the first time, both are let in, as one account with one id."""
    corp = Holding()

    async def scene(house: House) -> None:
        vpn, mik = house.device("vpn"), house.device("mik")
        first, second = vpn.ask("dora"), mik.ask("dora")
        await house.until(lambda: len(corp.asked) == 2)
        while corp.asked:
            corp.asked.pop()[1](PASSED)
        assert (await vpn.reply_to(first)).code == AccessAccept
        assert (await mik.reply_to(second)).code == AccessAccept
        assert house.rows("name, source, directory_id", "users WHERE name = 'dora'") == [("dora", "corp", "u1")]
        assert house.audit() == ["not_enrolled", "not_enrolled"]

    play(site, corp, scene)


def test_two_first_logins_at_once_of_two_people_are_not_both(site: Site) -> None:
    """Of two people whom a directory lets in under one name at once the first gets it, and the other is refused."""
    corp = Holding()

    async def scene(house: House) -> None:
        vpn, mik = house.device("vpn"), house.device("mik")
        first, second = vpn.ask("dora"), mik.ask("dora")
        await house.until(lambda: len(corp.asked) == 2)
        (_, one), (_, other) = corp.asked
        corp.asked.clear()
        one(PASSED)
        other(PrimaryAnswer(Verdict.PASSED, account=Account("u2", ())))
        replies = {(await vpn.reply_to(first)).code, (await mik.reply_to(second)).code}
        assert replies == {AccessAccept, AccessReject}
        assert house.rows("name, source, directory_id", "users WHERE name = 'dora'") == [("dora", "corp", "u1")]
        assert house.audit() == ["not_enrolled", "account_replaced"]

    play(site, corp, scene)


# --- a backend that is broken ----------------------------------------------------------------------------------------


def _broken(_: Question, __: Done) -> None:
    raise RuntimeError("broken")


def _answers_then_breaks(_: Question, done: Done) -> None:
    done(PASSED)
    raise RuntimeError("broken")


def _breaks_later(_: Question, done: Done) -> None:
    asyncio.get_running_loop().call_soon(done, PASSED)
    raise RuntimeError("broken")


@pytest.mark.parametrize("act", [_broken, _breaks_later])
def test_an_exception_in_a_backend_is_silence(act: Callable[[Question, Done], None], site: Site) -> None:
    """A backend that raises lets nobody in, is in the journal, and ends its login once, whatever time brings."""

    async def scene(house: House) -> None:
        vpn = house.device("vpn")
        vpn.ask("bob")
        await house.until(lambda: house.server.counters["internal_error"] == 1)
        await house.quiet()
        assert house.server._in_work == 0
        await house.time_passes()
        assert house.server._in_work == 0
        assert house.server.counters["internal_error"] == 1
        assert house.server.counters["primary_unavailable"] == 0
        assert house.audit() == []
        assert vpn.hears_nothing()
        assert any("broken" in line for line in house.journal.heard)

    play(site, Answering(act), scene)


def test_an_exception_behind_an_answer_ends_the_login_once(site: Site) -> None:
    """A backend that answers and then raises is in the journal; a reply is sent if and only if a row says so."""

    async def scene(house: House) -> None:
        vpn = house.device("vpn")
        vpn.ask("bob")
        await house.until(lambda: house.server.counters["internal_error"] == 1)
        await house.quiet()
        await house.time_passes()
        assert house.server._in_work == 0
        assert vpn.hears_nothing() is (house.audit() == [])
        assert vpn.hears_nothing()
        assert any("broken" in line for line in house.journal.heard)

    play(site, Answering(_answers_then_breaks), scene)


def test_two_answers_are_one(site: Site) -> None:
    """A backend that breaks its word and answers twice decides a login once: one reply, one row."""

    def _twice(_: Question, done: Done) -> None:
        done(REFUSED)
        done(PASSED)

    async def scene(house: House) -> None:
        vpn = house.device("vpn")
        request = vpn.ask("alice")
        assert (await vpn.reply_to(request)).code == AccessReject
        await house.quiet()
        assert vpn.hears_nothing()
        assert house.server._in_work == 0
        assert house.audit() == ["wrong_password"]

    play(site, Answering(_twice), scene)


# --- threads, and the end --------------------------------------------------------------------------------------------


def test_an_answer_from_another_thread_is_taken_on_the_loops(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decision is made, written and sent by the server's own thread, wherever the backend has its own."""
    corp = Holding()
    threads: set[int] = set()

    async def scene(house: House) -> None:
        vpn = house.device("vpn")
        commit = house.server._store.commit

        def watched(*what: Any) -> None:  # noqa: ANN401 - handed on
            threads.add(threading.get_ident())
            commit(*what)

        monkeypatch.setattr(house.server._store, "commit", watched)
        request = vpn.ask("alice")
        await house.until(lambda: len(corp.asked) == 1)
        [(question, done)] = corp.asked
        corp.asked.clear()
        assert question.name == "alice"
        await _call(done, PASSED, other_thread=True)
        assert (await vpn.reply_to(request)).code == AccessChallenge
        assert threads == {threading.get_ident()}

    play(site, corp, scene)


@pytest.mark.parametrize("other_thread", [False, True])
def test_an_answer_after_the_end_is_nothing(other_thread: bool, site: Site) -> None:
    """Once the server has stopped nothing is decided, written or opened any more."""
    corp = Answering()
    kept: list[Done] = []
    corp.act = lambda _, done: kept.append(done)

    async def scene(house: House) -> None:
        vpn = house.device("vpn")
        vpn.ask("bob")
        await house.until(lambda: len(kept) == 1)
        await house.stop()
        before = house.rows("name, directory_id", "users")
        await _call(kept[0], PASSED, other_thread=other_thread)
        await house.quiet()
        assert house.rows("name, directory_id", "users") == before
        assert house.audit() == []
        assert isinstance(house.server._store._database, SqliteDatabase)
        assert house.server._store._database._connection is None
        assert vpn.hears_nothing()

    play(site, corp, scene)


def test_an_answer_after_the_loop_has_ended_is_nothing(site: Site) -> None:
    """A thread that comes back when the daemon is gone is not told off for it."""
    corp = Answering()
    kept: list[Done] = []
    corp.act = lambda _, done: kept.append(done)

    async def scene(house: House) -> None:
        vpn = house.device("vpn")
        vpn.ask("bob")
        await house.until(lambda: len(kept) == 1)

    play(site, corp, scene)
    thread = threading.Thread(target=kept[0], args=(PASSED,))
    thread.start()
    thread.join()


def test_the_end_does_not_wait_for_ever(site: Site) -> None:
    """Stopping says how many logins it has given up, closes the backends, and answers nobody whom they answer then."""
    corp = Holding()

    async def scene(house: House) -> None:
        vpn = house.device("vpn")
        vpn.ask("bob")
        await house.until(lambda: len(corp.asked) == 1)
        await house.stop()
        assert corp.closed
        assert "server.gave_up 1" in house.journal.heard
        assert house.server.counters["primary_unavailable"] == 1
        assert house.audit() == []
        assert vpn.hears_nothing()

    play(site, corp, scene)


# --- what is kept for the doctor -------------------------------------------------------------------------------------


def test_sightings_hold_no_secret(site: Site) -> None:
    """What is written for the doctor has neither password nor name, State, code or shared secret in it."""
    canaries = ["canary-name", "canary-password", "canary-state", "vpn, of 16 octets"]

    async def scene(house: House) -> None:
        vpn = house.device("vpn")
        request = vpn.ask("canary-name", b"canary-password", b"canary-state")
        assert (await vpn.reply_to(request)).code == AccessReject
        request = vpn.ask("alice", b"canary-password")
        state = (await vpn.reply_to(request))[24][0]
        request = vpn.ask("alice", b"987654", state)
        assert (await vpn.reply_to(request)).code == AccessChallenge
        await house.time_passes(3)
        [written] = [packets for client, packets in house.rows("client, packets", "sightings") if client == "vpn"]
        for canary in [*canaries, state.decode(), "987654", "alice"]:
            assert canary not in written, canary
            assert canary.encode().hex() not in written, canary

    play(site, Answering(), scene)


def test_sightings_say_what_became_of_each_packet(site: Site) -> None:
    """Every few seconds, and once more at the end, the store gets what came from each client and how that ended."""
    corp = Holding()

    async def scene(house: House) -> None:
        vpn, mik = house.device("vpn"), house.device("mik")
        request = vpn.ask("carol")
        assert (await vpn.reply_to(request)).code == AccessAccept
        vpn.ask("bob")
        await house.until(lambda: len(corp.asked) == 1)
        assert house.rows("client", "sightings") == []
        await house.time_passes(3)
        assert _fates(house) == {"vpn": ["accepted:not_enrolled", ""]}
        await house.time_passes()
        assert _fates(house) == {"vpn": ["accepted:not_enrolled", "primary_unavailable"]}
        request = mik.ask("dave")
        assert (await mik.reply_to(request)).code == AccessAccept
        assert "mik" not in _fates(house)
        await house.stop()
        assert _fates(house)["mik"] == ["accepted:not_enrolled"]

    play(site, corp, scene)


def _fates(house: House) -> dict[str, list[str]]:
    rows = house.rows("client, packets", "sightings")
    return {client: [seen.fate for seen in read_sightings(packets)] for client, packets in rows}


# --- another regime -------------------------------------------------------------------------------------------------


def _laxer(house: House, primary: Primary) -> Regime:
    """What lets everybody in with a password, who is asked for one by ``primary`` from now on."""
    rules = replace(house.site.settings.rules, rules=(Rule(name="all", primary="corp", enrolment=NOT_REQUIRED),))
    settings = replace(house.site.settings, rules=rules)
    return make_regime(settings, find_functions(FACTORS), {"ldap": primary, "corp": primary})


def test_a_login_keeps_the_regime_that_it_began_under(site: Site) -> None:
    """What needed a code when it was asked needs one when the answer comes, whatever is in force by then."""
    corp, later = Holding(), Holding()

    async def scene(house: House) -> None:
        vpn = house.device("vpn")
        before = vpn.ask("bob")
        await house.until(lambda: len(corp.asked) == 1)
        house.server.turn_to(_laxer(house, later))
        assert not corp.closed
        corp.asked.pop()[1](PASSED)
        assert (await vpn.reply_to(before)).code == AccessChallenge
        after = vpn.ask("bob")
        await house.until(lambda: len(later.asked) == 1)
        later.asked.pop()[1](PASSED)
        assert (await vpn.reply_to(after)).code == AccessAccept

    play(site, corp, scene)


def test_a_backend_that_is_over_is_closed_after_its_last_answer(site: Site) -> None:
    """Not while it owes one, though it is asked nothing any more; nor ever where the next regime has it as well."""
    corp, later = Holding(), Holding()

    async def scene(house: House) -> None:
        vpn = house.device("vpn")
        asked = vpn.ask("bob")
        await house.until(lambda: len(corp.asked) == 1)
        house.server.turn_to(_laxer(house, later))
        house.server.turn_to(_laxer(house, later))
        await house.quiet()
        assert not corp.closed
        corp.asked.pop()[1](REFUSED)
        assert (await vpn.reply_to(asked)).code == AccessReject
        await house.until(lambda: corp.closed)
        assert not later.closed

    play(site, corp, scene)


def test_what_waits_at_an_address_that_is_given_up_is_answered(site: Site) -> None:
    """It has come before the reload, so it is taken and answered; what comes later is not, and the address is free."""
    corp = Holding()

    async def scene(house: House) -> None:
        vpn, late = house.device("vpn"), house.device("vpn")
        asked = vpn.ask("bob")
        house.server.turn_to(_laxer(house, corp), [house.listener])
        late.ask("bob")
        assert len(corp.asked) == 1
        corp.asked.pop()[1](REFUSED)
        assert (await vpn.reply_to(asked)).code == AccessReject
        await house.quiet()
        assert corp.asked == []
        UdpListener(*house.listener.address[:2]).close()

    play(site, corp, scene)


async def _call(done: Done, answer: PrimaryAnswer, *, other_thread: bool) -> None:
    if other_thread:
        await asyncio.to_thread(done, answer)
    else:
        done(answer)
