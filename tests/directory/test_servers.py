"""Several servers: which one is asked, what a sick one costs the others, and when it is asked again.

Scripted servers fall ill at a word of the test; OpenLDAP's is stopped by a signal. Nothing here measures a time: the
bench does. Answers to no RFC.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from asyncio import Event
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

import pytest

from radiusd2fa.core.model import PrimaryAnswer, Verdict
from radiusd2fa.directory.server import Server
from radiusd2fa.primary import Question
from radiusd2fa.primary.ldap import Ldap

from .logins import PATIENCE, UNAVAILABLE, Voice, ask, hasty, opened, patient, run, site
from .scripted import ALICE, BIND, Play, Script, Talk, bound, extended, hang, saying, searched, serving
from .slapd import Slapd, needs_slapd, slapd

PASSED: Final = Verdict.PASSED
_AT_ONCE: Final = 20


async def many(backend: Ldap, count: int, name: str = "alice") -> list[Verdict]:
    """Log in many times, some at a time."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def one() -> Verdict:
        async with room:
            return (await ask(backend, name)).verdict

    return await asyncio.gather(*(one() for _ in range(count)))


def servers_of(backend: Ldap) -> list[Server]:
    """Look into the backend."""
    assert backend._servers is not None
    return backend._servers._servers


async def probed(backend: Ldap) -> None:
    """Wait until it is known of every server whether it is well."""
    for server in servers_of(backend):
        if server._probe is not None:
            await asyncio.wait([server._probe])


async def until(voice: Voice, sentence: str) -> None:
    """Wait until something was said."""
    async with asyncio.timeout(PATIENCE):
        while sentence not in voice:
            voice.heard.clear()
            await voice.heard.wait()


async def _drip(talk: Talk) -> None:
    await talk.drip(b"\x30\x84\x00\x00\x10\x00" + b"\x30" * 4000, 0.02)


def test_the_first_server_is_preferred() -> None:
    """While the first is well the others are not asked."""

    async def test() -> None:
        first, second = Script(), Script()
        async with serving(first) as a, serving(second) as b, opened(patient(a, b)) as backend:
            await ask(backend, "alice")
            await probed(backend)
            second.heard.clear()
            assert await many(backend, 5) == [PASSED] * 5
            assert second.heard == []

    run(test())


async def _busy(talk: Talk) -> None:
    talk.answer(bound(51) if talk.asked.tag == BIND else searched(51))


@pytest.mark.parametrize("play", [hang, _drip, _busy], ids=["hangs", "drips", "is busy"])
@pytest.mark.parametrize("step", ["search", "bind"])
def test_a_sick_server_costs_only_the_logins_on_it(step: str, play: Play) -> None:
    """When the first falls ill under way, two hundred logins pass on the second; the first sees no more than fit it."""

    async def test() -> None:
        first = Script()
        settings = {"timeout": 0.4, "calls": 8}
        async with serving(first) as a, serving(Script()) as b, opened(patient(a, b, **settings)) as backend:
            assert await many(backend, 5) == [PASSED] * 5
            first.heard.clear()
            setattr(first, step, play)
            assert await many(backend, 200) == [PASSED] * 200
            assert len(first.searches) <= 8

    run(test())


def test_a_silent_server_gets_no_new_logins() -> None:
    """Long before its time is over, a server that has gone silent is passed over."""

    async def test() -> None:
        first = Script(search=hang)
        async with serving(first) as a, serving(Script()) as b:
            settings = patient(a, b, calls=1000)
            async with opened(settings) as backend:
                answers: list[PrimaryAnswer] = []
                await probed(backend)
                backend.verify(Question("alice", b"hunter2"), answers.append)
                while not servers_of(backend)[0].is_silent():  # noqa: ASYNC110  # silence makes no event
                    await asyncio.sleep(0.01)
                assert await many(backend, 50) == [PASSED] * 50
                assert len(first.searches) == 1
                assert answers == []

    run(test())


def test_a_sick_server_is_asked_again_beside_the_logins() -> None:
    """When it answers again the log says so, and it is preferred as before."""

    async def test() -> None:
        first, second, voice = Script(), Script(), Voice()
        async with serving(first) as a, serving(second) as b:
            settings = hasty(a, b, retry_after=0.05, timeout=0.5, connect_timeout=5.0)
            first.root = hang
            async with opened(settings, voice) as backend:
                assert await many(backend, 5) == [PASSED] * 5
                await until(voice, "left alone")
                assert first.heard == []
                first.root = None
                await until(voice, "answers again")
                while first.heard == []:
                    assert await many(backend, 1) == [PASSED]

    run(test())


def test_no_login_tries_a_sick_server() -> None:
    """With nobody well, answers come at once and nobody is connected to."""

    async def test() -> None:
        script = Script(root=saying(searched(52)))
        async with serving(script) as port, opened(patient(port)) as backend:
            assert await ask(backend, "alice") == UNAVAILABLE
            before = script.connections
            assert await many(backend, 100) == [Verdict.UNAVAILABLE] * 100
            assert script.connections == before

    run(test())


def test_a_wrong_searching_password_is_not_tried_over_and_over() -> None:
    """Logins do not repeat the searching account's bind: the directory might lock it."""

    async def test() -> None:
        script, voice = Script(bind=saying(bound(49))), Voice()
        settings = {"search_user": "cn=search", "search_password": b"old", "retry_after": 0.01}
        async with serving(script) as port, opened(patient(port, **settings), voice) as backend:
            assert await many(backend, 50) == [Verdict.UNAVAILABLE] * 50
            again = servers_of(backend)[0]._next_probe
            assert again is not None
            assert again.when() > asyncio.get_running_loop().time() + 30
        assert len(script.binds) == 1
        assert "the searching account's name or password is wrong" in voice

    run(test())


def test_only_so_many_logins_wait() -> None:
    """Two on the server and three in the queue; whoever else comes is told at once."""

    async def test() -> None:
        go = Event()

        async def later(talk: Talk) -> None:
            await go.wait()
            await saying(bound())(talk)

        async with serving(Script(bind=later)) as port, opened(patient(port, calls=2, queue=3)) as backend:
            answers: asyncio.Queue[Verdict] = asyncio.Queue()
            for _ in range(10):
                backend.verify(Question("alice", b"hunter2"), lambda answer: answers.put_nowait(answer.verdict))
                await probed(backend)
            assert [await answers.get() for _ in range(5)] == [Verdict.UNAVAILABLE] * 5
            go.set()
            assert [await answers.get() for _ in range(5)] == [PASSED] * 5

    run(test())


def _note(order: asyncio.Queue[int], number: int, _: PrimaryAnswer) -> None:
    order.put_nowait(number)


def test_who_waits_is_served_in_order() -> None:
    """One after the other: nobody overtakes."""

    async def test() -> None:
        async with serving(Script()) as port, opened(patient(port, calls=1)) as backend:
            order: asyncio.Queue[int] = asyncio.Queue()
            for number in range(30):
                backend.verify(Question("alice", b"hunter2"), partial(_note, order, number))
            assert [await order.get() for _ in range(30)] == list(range(30))

    run(test())


def test_who_waits_for_a_server_that_falls_ill_is_told() -> None:
    """The queue of a server that hangs does not outlive it."""

    async def test() -> None:
        script = Script()
        async with serving(script) as port, opened(patient(port, timeout=0.5, calls=1)) as backend:
            assert await many(backend, 1) == [PASSED]
            script.bind = hang
            assert await many(backend, 20) == [Verdict.UNAVAILABLE] * 20
            assert len(script.binds) == 2

    run(test())


def test_one_slow_question_condemns_no_server() -> None:
    """While others are answered, an answer that does not come costs its own login only."""

    async def test() -> None:
        async def search(talk: Talk) -> None:
            await (hang if b"mallory" in talk.asked.body else usual)(talk)

        usual = saying(ALICE, searched())
        script = Script(search=search)
        async with serving(script) as port, opened(patient(port, timeout=2.0)) as backend:
            assert await many(backend, 1) == [PASSED]
            slow = asyncio.ensure_future(ask(backend, "mallory"))
            while not slow.done():
                assert await many(backend, 1) == [PASSED]
            assert await slow == UNAVAILABLE
            assert await many(backend, 5) == [PASSED] * 5

    run(test())


def test_a_connection_that_the_server_has_closed_is_made_anew() -> None:
    """Servers end idle connections as they like: no login notices."""

    async def test() -> None:
        async def last_words(talk: Talk) -> None:
            talk.answer(extended(value=b"dn:uid=alice"))
            await talk.writer.drain()
            raise EOFError

        async with serving(Script(who=last_words)) as port, opened(patient(port)) as backend:
            for _ in range(5):
                assert await many(backend, 1) == [PASSED]

    run(test())


def test_a_password_is_tried_twice_at_most() -> None:
    """A server that closes at every bind sees one on a kept connection and one on a fresh one, lest it lock people."""

    async def test() -> None:
        async def close(_: Talk) -> None:
            raise EOFError

        script = Script()
        async with serving(script) as port, opened(patient(port)) as backend:
            await asyncio.gather(*(ask(backend, "alice") for _ in range(8)))
            script.heard.clear()
            script.bind = close
            assert await ask(backend, "alice") == UNAVAILABLE
            assert len(script.binds) == 2

    run(test())


def test_a_second_server_serves_while_the_first_cannot_be_reached() -> None:
    """From the very first login on: nobody waits for a server that was never well."""

    async def test() -> None:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            async with serving(Script()) as port, opened(patient(nobody.getsockname()[1], port)) as backend:
                assert await many(backend, 20) == [PASSED] * 20

    run(test())


def test_a_name_service_that_hangs_holds_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can end a lookup, so there is never more than one for a server; logins go on elsewhere."""
    come_back = threading.Event()

    def never(*_: object, **__: object) -> list[object]:
        come_back.wait(PATIENCE)
        return []

    async def test() -> None:
        monkeypatch.setattr(socket, "getaddrinfo", never)
        voice = Voice()
        async with serving(Script()) as port:
            settings = hasty(port, retry_after=0.01, connect_timeout=0.5, timeout=5.0)
            settings = replace(settings, servers=("ldap://slow.test", *settings.servers))
            async with opened(settings, voice) as backend:
                await until(voice, "no connection in time")
                assert await many(backend, 50) == [PASSED] * 50
                assert sum(thread.name == "ldap-lookup" for thread in threading.enumerate()) == 1
        come_back.set()

    try:
        run(test())
    finally:
        come_back.set()


# --- the same with OpenLDAP's server ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair_of_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Slapd, Slapd]]:
    """Two directories with the same people, under one authority each."""
    folder = tmp_path_factory.mktemp("pair")
    with slapd(folder / "first") as first, slapd(folder / "second", authority=first.made_by) as second:
        yield first, second


@needs_slapd[0]
@needs_slapd[1]
@pytest.mark.parametrize("start_tls", [False, True], ids=["ldaps", "StartTLS"])
def test_a_slapd_that_is_stopped_costs_only_the_logins_on_it(
    pair_of_servers: tuple[Slapd, Slapd], *, start_tls: bool
) -> None:
    """Its ports still take connections, as those of a machine that swaps: two hundred logins pass on the other."""
    first, second = pair_of_servers

    async def test() -> None:
        uris = (first.plain, second.plain) if start_tls else (first.tls, second.tls)
        settings = site(first, servers=uris, start_tls=start_tls, timeout=0.8, connect_timeout=5.0, retry_after=0.05)
        voice = Voice()
        async with opened(settings, voice) as backend:
            assert await many(backend, 20) == [PASSED] * 20
            first.stop_answering()
            try:
                assert await many(backend, 200) == [PASSED] * 200
                await until(voice, "left alone")
            finally:
                first.answer_again()
            await until(voice, "answers again")
            assert await many(backend, 20) == [PASSED] * 20

    run(test())
