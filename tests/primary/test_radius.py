"""An upstream that is scripted: every lie that it can tell is no answer, and the truth is passed on as it was told.

The upstream is a socket of the test's own on the same event loop; its replies are signed here, and pyrad judges what
was asked. RFC 2865 4 and 5.2, RFC 3579 3.2, RFC 5997; CVE-2024-3596, CVE-2013-0294 and CVE-2013-0342.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import hashlib
import hmac
import itertools
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, ParamSpec, Self, cast

import pytest
from pyrad.packet import AuthPacket

from radiusd2fa.core.model import Account, PrimaryAnswer, Reason, Relay, Verdict
from radiusd2fa.home_server import SILENT_REQUESTS
from radiusd2fa.primary import Question
from radiusd2fa.primary.radius import open_backend
from radiusd2fa.settings import RadiusSettings, UpstreamServer

SECRET: Final = b"the upstream's own secret"
PATIENCE: Final = 20.0
SHORT: Final = 0.05
"""Seconds after which the backend gives an upstream up, where that is all that the test waits for."""
FAIR: Final = 0.2
"""The same where another upstream must have answered within this time."""
ALICE: Final = Question(name="alice", password=b"hunter2")
UNAVAILABLE: Final = PrimaryAnswer(Verdict.UNAVAILABLE)
REFUSED: Final = PrimaryAnswer(Verdict.REFUSED)
PASSED: Final = PrimaryAnswer(Verdict.PASSED, account=Account())

ACCEPT, REJECT, CHALLENGE = 2, 3, 11
STATUS_SERVER: Final = 12

P = ParamSpec("P")


def played(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test on an event loop of its own."""

    @functools.wraps(test)
    def run(*arguments: P.args, **named: P.kwargs) -> None:
        asyncio.run(asyncio.wait_for(test(*arguments, **named), PATIENCE))

    return run


# --- the upstream ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heard:
    """One datagram that the upstream was sent."""

    octets: bytes
    source: tuple[Any, ...]

    @property
    def code(self) -> int:
        return self.octets[0]

    @property
    def attributes(self) -> list[tuple[int, bytes]]:
        """Type and value, in the order of the wire."""
        found, at = [], 20
        while at < len(self.octets):
            found.append((self.octets[at], self.octets[at + 2 : at + self.octets[at + 1]]))
            at += self.octets[at + 1]
        return found

    def all(self, kind: int) -> list[bytes]:
        """The values of all attributes of a type."""
        return [value for number, value in self.attributes if number == kind]

    def reply(
        self, code: int, attributes: Sequence[tuple[int, bytes]] = (), *, secret: bytes = SECRET, sign: bool = True
    ) -> bytes:
        """A right reply to it, or nearly."""
        body = b"".join(bytes((kind, 2 + len(value))) + value for kind, value in attributes)
        length = 20 + len(body) + (18 if sign else 0)
        head = struct.pack(">BBH", code, self.octets[1], length) + self.octets[4:20]
        if sign:
            body = b"\x50\x12" + hmac.digest(secret, head + b"\x50\x12" + bytes(16) + body, "md5") + body
        return head[:4] + hashlib.md5(head + body + secret, usedforsecurity=False).digest() + body


Script = Callable[["Upstream", Heard], None]


class Upstream(asyncio.DatagramProtocol):
    """One server on loopback, which does with each datagram what its script says."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.heard: list[Heard] = []
        self.asked: asyncio.Queue[Heard] = asyncio.Queue()
        self._transport: asyncio.DatagramTransport | None = None
        self._closed = asyncio.Event()

    @classmethod
    async def open(cls, script: Script, host: str = "127.0.0.1") -> Self:
        """Listen on a port of the kernel's choice."""
        loop = asyncio.get_running_loop()
        _, upstream = await loop.create_datagram_endpoint(lambda: cls(script), local_addr=(host, 0))
        return upstream

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        heard = Heard(data, addr)
        self.heard.append(heard)
        self._script(self, heard)
        self.asked.put_nowait(heard)

    @property
    def socket(self) -> asyncio.DatagramTransport:
        assert self._transport is not None
        return self._transport

    @property
    def server(self) -> UpstreamServer:
        """Itself, as the settings name it."""
        host, port, *_ = self.socket.get_extra_info("sockname")
        return UpstreamServer(host, port, SECRET)

    @property
    def logins(self) -> list[Heard]:
        """The Access-Requests among what it has heard."""
        return [heard for heard in self.heard if heard.code == 1]

    def send(self, octets: bytes, to: Heard) -> None:
        self.socket.sendto(octets, to.source)

    def connection_lost(self, exc: Exception | None) -> None:
        assert exc is None
        self._closed.set()

    async def close(self) -> None:
        self.socket.close()
        await self._closed.wait()

    async def until_asked_how_it_is(self) -> Heard:
        """Wait for the first Status-Server."""
        while not (found := [heard for heard in self.heard if heard.code == STATUS_SERVER]):
            await self.asked.get()
        return found[0]


def descriptors() -> int:
    """How many files and sockets this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def silent(upstream: Upstream, heard: Heard) -> None:
    """Say nothing."""


def answering(code: int, attributes: Sequence[tuple[int, bytes]] = ()) -> Script:
    """Say the same to everybody."""
    return lambda upstream, heard: upstream.send(heard.reply(code, attributes), heard)


# --- the backend -----------------------------------------------------------------------------------------------------


class Scene:
    """Upstreams, and the backend that asks them."""

    def __init__(self, upstreams: Sequence[Upstream], settings: RadiusSettings) -> None:
        self.upstreams = upstreams
        self.backend = open_backend(settings, self._say)
        self.said: list[tuple[str, str]] = []
        self._heard = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.answers: list[PrimaryAnswer] = []

    @classmethod
    async def open(cls, *scripts: Script, host: str = "127.0.0.1", **changed: Any) -> Self:  # noqa: ANN401 - fields of the settings
        """Open one upstream for each script, in this order of preference."""
        upstreams = [await Upstream.open(script, host) for script in scripts]
        settings = RadiusSettings("old", tuple(upstream.server for upstream in upstreams), timeout=PATIENCE)
        return cls(upstreams, replace(settings, **changed))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.backend.close()
        for upstream in self.upstreams:
            await upstream.close()

    def begin(self, question: Question) -> Awaitable[PrimaryAnswer]:
        """Ask; every answer is kept, also a second one to the same question."""
        future: asyncio.Future[PrimaryAnswer] = self._loop.create_future()

        def done(answer: PrimaryAnswer) -> None:
            self.answers.append(answer)
            if not future.done():
                future.set_result(answer)

        self.backend.verify(question, done)
        return future

    async def ask(self, question: Question = ALICE) -> PrimaryAnswer:
        """Ask, and wait for the answer."""
        return await self.begin(question)

    async def until_said(self, words: str) -> None:
        """Wait for a sentence with these words in it."""
        while not self.warnings(words):
            self._heard.clear()
            await self._heard.wait()

    def _say(self, level: str, sentence: str) -> None:
        self.said.append((level, sentence))
        self._heard.set()

    def warnings(self, words: str) -> list[str]:
        """What was said with these words in it."""
        return [sentence for _, sentence in self.said if words in sentence]


# --- what is not asked -----------------------------------------------------------------------------------------------

NOT_ASKED: Final = {
    "empty": (replace(ALICE, password=b""), PrimaryAnswer(Verdict.REFUSED, reason=Reason.EMPTY_PASSWORD)),
    "129 octets": (replace(ALICE, password=b"x" * 129), REFUSED),
    "NUL at the end": (replace(ALICE, password=b"hunter2\0"), REFUSED),
    "NUL within": (replace(ALICE, password=b"hunter2\0x"), REFUSED),
    "an answer of 129 octets": (replace(ALICE, password=b"x" * 129, relay=Relay("?", b"s", "there")), REFUSED),
    "no name": (replace(ALICE, name=""), PrimaryAnswer(Verdict.REFUSED, reason=Reason.BAD_NAME)),
    "NUL in the name": (replace(ALICE, name="al\0ice"), PrimaryAnswer(Verdict.REFUSED, reason=Reason.BAD_NAME)),
    "254 octets": (replace(ALICE, name="ö" * 127), PrimaryAnswer(Verdict.REFUSED, reason=Reason.BAD_NAME)),
    "nothing before the realm": (
        replace(ALICE, name="@example.org"),
        PrimaryAnswer(Verdict.REFUSED, reason=Reason.BAD_NAME),
    ),
    "a blank before the realm": (
        replace(ALICE, name="alice @example.org"),
        PrimaryAnswer(Verdict.REFUSED, reason=Reason.BAD_NAME),
    ),
    "only the account": (replace(ALICE, password=None), PrimaryAnswer(Verdict.PASSED)),
}


@pytest.mark.parametrize(("question", "answer"), NOT_ASKED.values(), ids=NOT_ASKED.keys())
@played
async def test_what_cannot_be_asked_is_answered_without_the_upstream(question: Question, answer: PrimaryAnswer) -> None:
    """A password that is empty or would not arrive whole is refused, and so is a name that is nobody's."""
    async with await Scene.open(answering(ACCEPT), strip_realm=True) as scene:
        assert await scene.ask(question) == answer
        assert await scene.ask() == PASSED
        assert len(scene.upstreams[0].heard) == 1


# --- lies ------------------------------------------------------------------------------------------------------------


def _from(host: str) -> Script:
    """An Access-Accept that is right in every octet, sent from another socket of this address."""

    def script(_: Upstream, heard: Heard) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind((host, 0))
            other.sendto(heard.reply(ACCEPT), heard.source)

    return script


def _sending(lie: Callable[[Heard], bytes]) -> Script:
    return lambda upstream, heard: upstream.send(lie(heard), heard)


def _changed(octets: bytes, at: int, to: int) -> bytes:
    return octets[:at] + bytes((octets[at] ^ to,)) + octets[at + 1 :]


LIES: Final[dict[str, Script]] = {
    "nothing": silent,
    "an empty datagram": _sending(lambda _: b""),
    "unsigned": _sending(lambda heard: heard.reply(ACCEPT, sign=False)),
    "another secret": _sending(lambda heard: heard.reply(ACCEPT, secret=b"another secret")),
    "no secret": _sending(lambda heard: heard.reply(ACCEPT, secret=b"")),
    "a wrong Message-Authenticator": _sending(
        lambda heard: heard.reply(ACCEPT, [(80, bytes(16))], sign=False),
    ),
    "a wrong Response Authenticator": _sending(lambda heard: _changed(heard.reply(ACCEPT), 4, 1)),
    "a reject turned into an accept": _sending(lambda heard: bytes((ACCEPT,)) + heard.reply(REJECT)[1:]),
    "another identifier": _sending(lambda heard: _changed(heard.reply(ACCEPT), 1, 1)),
    "another request's": _sending(lambda heard: Heard(heard.octets[:4] + bytes(16), heard.source).reply(ACCEPT)),
    "an accounting response": _sending(lambda heard: heard.reply(5)),
    "our own request": _sending(lambda heard: heard.octets),
    "cut": _sending(lambda heard: heard.reply(ACCEPT)[:-1]),
    "over 4,096 octets": _sending(lambda heard: heard.reply(ACCEPT).ljust(4097, b"\0")),
    "two Message-Authenticators": _sending(lambda heard: heard.reply(ACCEPT, [(80, bytes(16))])),
    "another port": _from("127.0.0.1"),
    "another address": _from("127.0.0.2"),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
@played
async def test_no_lie_is_an_answer(lie: Script) -> None:
    """An Access-Accept that the asked server has not made for this very request never lets anybody in."""
    async with await Scene.open(lie, timeout=SHORT, tries=2) as scene:
        assert await scene.ask() == UNAVAILABLE
        assert len(scene.upstreams[0].logins) == 2


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
@played
async def test_a_lie_does_not_end_the_wait(lie: Script) -> None:
    """The true reply that comes after a false one is the answer."""

    def script(upstream: Upstream, heard: Heard) -> None:
        lie(upstream, heard)
        upstream.send(heard.reply(REJECT), heard)

    async with await Scene.open(script) as scene:
        assert await scene.ask() == REFUSED


@played
async def test_a_late_or_doubled_reply_changes_nothing() -> None:
    """What the first server says after the second was asked reaches nobody, and neither does a second reply."""

    def script(upstream: Upstream, heard: Heard) -> None:
        late = scene.upstreams[0].heard[0]
        for _ in range(2):
            scene.upstreams[0].send(late.reply(ACCEPT), late)
        upstream.send(heard.reply(REJECT), heard)
        upstream.send(heard.reply(ACCEPT), heard)

    async with await Scene.open(silent, script, timeout=FAIR) as scene:
        assert await scene.ask() == REFUSED
        assert await scene.ask() == REFUSED
        assert scene.answers == [REFUSED, REFUSED]


class _Overtaken(socket.socket):
    """A socket that has something in it from somebody else before it knows whom it talks to."""

    def connect(self, address: Any) -> None:  # noqa: ANN401 - as the socket module says
        self.bind(("127.0.0.1", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(b"forged", self.getsockname())
        super().connect(address)


@played
async def test_what_came_before_the_socket_was_connected_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel sorts out other senders only from then on; what it let in is not the server's, and the log says so."""
    async with await Scene.open(answering(REJECT)) as scene:
        monkeypatch.setattr("radiusd2fa.home_server.socket.socket", _Overtaken)
        assert await scene.ask() == REFUSED
        assert scene.warnings("did not come from it")


@played
async def test_the_reply_to_the_last_request_is_none_to_this_one() -> None:
    """An Access-Accept that was recorded is worth nothing, though the same server made it for the same person."""
    recorded: list[bytes] = []

    def script(upstream: Upstream, heard: Heard) -> None:
        recorded.append(heard.reply(ACCEPT))
        upstream.send(recorded[0], heard)

    async with await Scene.open(script, timeout=FAIR) as scene:
        assert await scene.ask() == PASSED
        assert await scene.ask() == UNAVAILABLE


SAID: Final = {
    "no Message-Authenticator": lambda heard: heard.reply(ACCEPT, sign=False),
    "compare the secret": lambda heard: heard.reply(ACCEPT, secret=b"another secret"),
    "wrong Message-Authenticator": lambda heard: heard.reply(ACCEPT, [(80, bytes(16))], sign=False),
    "(unexpected_code)": lambda heard: heard.reply(5),
}


@pytest.mark.parametrize(("words", "lie"), SAID.items(), ids=SAID.keys())
@played
async def test_trouble_is_said_once_with_the_server(words: str, lie: Callable[[Heard], bytes]) -> None:
    """What is wrong with a server's replies goes to the log, not once for each login, and names the server."""
    async with await Scene.open(_sending(lie), timeout=SHORT, tries=2) as scene:
        for _ in range(2):
            assert await scene.ask() == UNAVAILABLE
        (sentence,) = scene.warnings(words)
        assert f"old: 127.0.0.1:{scene.upstreams[0].server.port}: " in sentence
        assert SECRET.decode() not in sentence


@played
async def test_an_unsigned_reply_counts_where_the_settings_allow_it() -> None:
    """A server that cannot be updated may be believed by its Response Authenticator; a wrong signature may not."""
    async with await Scene.open(LIES["unsigned"], require_message_authenticator=False) as scene:
        assert await scene.ask() == PASSED
    lie = LIES["a wrong Message-Authenticator"]
    async with await Scene.open(lie, require_message_authenticator=False, timeout=SHORT) as scene:
        assert await scene.ask() == UNAVAILABLE


# --- answers ---------------------------------------------------------------------------------------------------------


@played
async def test_an_access_reject_refuses() -> None:
    """The upstream's no is a no, whatever stands beside it."""
    async with await Scene.open(answering(REJECT, [(18, b"no"), (25, b"x")]), pass_back=(25,)) as scene:
        assert await scene.ask() == REFUSED


@played
async def test_an_access_accept_passes_with_the_chosen_attributes() -> None:
    """Of the upstream's attributes only the chosen ones come back."""
    cisco = (26, (9).to_bytes(4, "big") + b"\x01\x06priv")
    script = answering(ACCEPT, [(18, b"welcome"), (25, b"staff"), cisco, (11, b"filter"), (24, b"state")])
    async with await Scene.open(script, pass_back=(18, 24, 25, 26)) as scene:
        answer = await scene.ask()
        assert answer == replace(PASSED, attributes=((25, b"staff"), cisco))
        assert "staff" not in repr(answer)


@played
async def test_the_request_is_what_another_implementation_expects() -> None:
    """pyrad finds the signature right, in the first place, and the password revealed; nothing else is told."""
    async with await Scene.open(answering(ACCEPT), strip_realm=True) as scene:
        nas = [
            (4, bytes((10, 0, 0, 1))),
            (31, b"192.0.2.7"),
            (33, b"proxy"),
            (24, b"ours"),
            (1, b"mallory"),
            (77, b"x"),
        ]
        await scene.ask(Question("alice@example.org", b"hunter2 \xff", attributes=tuple(nas)))
        (heard,) = scene.upstreams[0].heard
        assert [kind for kind, _ in heard.attributes] == [80, 1, 4, 31, 32, 2]
        assert heard.all(1) == [b"alice"]
        assert heard.all(31) == [b"192.0.2.7"]
        assert heard.all(32) == [b"radiusd2fa"]
        packet = AuthPacket(packet=heard.octets, secret=SECRET)
        assert packet.verify_message_authenticator()
        assert packet.PwDecrypt(heard.all(2)[0]) == "hunter2 "  # pyrad drops what is no UTF-8
        assert not AuthPacket(packet=heard.octets, secret=b"another").verify_message_authenticator()


@played
async def test_the_name_goes_upstream_with_its_realm_unless_told_otherwise() -> None:
    """``user@realm`` is what the upstream is told by default."""
    async with await Scene.open(answering(ACCEPT)) as scene:
        await scene.ask(replace(ALICE, name="jörg@example.org"))
        assert scene.upstreams[0].heard[0].all(1) == ["jörg@example.org".encode()]


@played
async def test_a_request_over_4096_octets_is_not_sent() -> None:
    """More attributes than fit make the login unanswerable, and the log says what to do."""
    many = tuple((31, bytes(253)) for _ in range(17))
    async with await Scene.open(answering(ACCEPT)) as scene:
        assert await scene.ask(replace(ALICE, attributes=many)) == UNAVAILABLE
        assert scene.warnings("pass fewer attributes on")
        assert scene.upstreams[0].heard == []


@played
async def test_an_upstream_may_have_an_ipv6_address() -> None:
    """Loopback of IPv6; the log writes it with brackets."""
    async with await Scene.open(answering(REJECT), host="::1") as scene:
        assert await scene.ask() == REFUSED
    async with await Scene.open(LIES["unsigned"], host="::1", timeout=SHORT) as scene:
        assert await scene.ask() == UNAVAILABLE
        assert scene.warnings(f"[::1]:{scene.upstreams[0].server.port}")


# --- challenges ------------------------------------------------------------------------------------------------------

ASKED: Final = [(24, b"upstream state"), (18, b"Code of the "), (18, b"old token: "), (76, b"\0\0\0\1")]


def _challenging(upstream: Upstream, heard: Heard) -> None:
    """Ask for a code, then accept the right one; an answer without the State, or a wrong one, is rejected."""
    password = AuthPacket(packet=heard.octets, secret=SECRET).PwDecrypt(heard.all(2)[0])
    if not heard.all(24):
        code = CHALLENGE if password == "hunter2" else REJECT
    else:
        code = ACCEPT if (heard.all(24), password) == ([b"upstream state"], "755224") else REJECT
    upstream.send(heard.reply(code, ASKED if code == CHALLENGE else ()), heard)


@played
async def test_a_challenge_is_relayed_and_its_answer_goes_back() -> None:
    """The question goes to the person, and the answer with the upstream's State to the server that has asked."""
    async with await Scene.open(silent, _challenging, timeout=FAIR) as scene:
        there = f"127.0.0.1:{scene.upstreams[1].server.port}"
        relay = Relay("Code of the old token: ", b"upstream state", there, hidden=False)
        assert await scene.ask() == PrimaryAnswer(Verdict.CHALLENGED, relay=relay)
        before = len(scene.upstreams[0].heard)
        for answer in (b"755225", b"", b"hunter2"):
            assert await scene.ask(replace(ALICE, password=answer, relay=relay)) == REFUSED
        assert await scene.ask(replace(ALICE, password=b"755224", relay=replace(relay, state=b"x"))) == REFUSED
        assert await scene.ask(replace(ALICE, password=b"755224", relay=relay)) == PASSED
        assert len(scene.upstreams[0].heard) == before
        assert "upstream state" not in repr(relay)


@pytest.mark.parametrize("attributes", [[(18, b"Code:")], [(18, b"Code:"), (24, b"")]])
@played
async def test_a_challenge_without_state_is_no_answer(attributes: list[tuple[int, bytes]]) -> None:
    """Nobody could answer it; the log says so."""
    async with await Scene.open(answering(CHALLENGE, attributes)) as scene:
        assert await scene.ask() == UNAVAILABLE
        assert scene.warnings("without State")


@played
async def test_an_answer_goes_to_no_other_server() -> None:
    """When the server that has asked is gone or silent, the answer to its question is heard by nobody else."""
    async with await Scene.open(silent, answering(ACCEPT), timeout=SHORT) as scene:
        gone = replace(ALICE, relay=Relay("?", b"state", "127.0.0.1:1"))
        assert await scene.ask(gone) == UNAVAILABLE
        asked = replace(ALICE, relay=Relay("?", b"state", f"127.0.0.1:{scene.upstreams[0].server.port}"))
        assert await scene.ask(asked) == UNAVAILABLE
        assert len(scene.upstreams[0].heard) == 1
        assert scene.upstreams[1].heard == []


# --- again, and elsewhere --------------------------------------------------------------------------------------------


@played
async def test_a_retransmission_is_the_same_packet_from_the_same_port() -> None:
    """So that the upstream can see that it is one (RFC 5080 2.2.2)."""

    def script(upstream: Upstream, heard: Heard) -> None:
        if len(upstream.heard) == 3:
            upstream.send(heard.reply(ACCEPT), heard)

    async with await Scene.open(script, timeout=FAIR, tries=3) as scene:
        assert await scene.ask() == PASSED
        assert len(scene.upstreams[0].heard) == 3
        assert len(set(scene.upstreams[0].heard)) == 1


@played
async def test_the_next_server_gets_a_packet_of_its_own() -> None:
    """Another port, authenticator and hidden password: two servers need not share a secret."""
    async with await Scene.open(silent, answering(ACCEPT), timeout=FAIR) as scene:
        assert await scene.ask() == PASSED
        first, second = scene.upstreams[0].heard[0], scene.upstreams[1].heard[0]
        assert first.source != second.source
        assert first.octets[4:20] != second.octets[4:20]
        assert first.all(2) != second.all(2)


@played
async def test_a_closed_port_is_no_reason_to_wait() -> None:
    """ICMP says that nobody listens: the next server is asked at once, and without one there is no answer at once."""
    closed = await Upstream.open(silent)
    nobody = closed.server
    await closed.close()
    async with await Scene.open(answering(ACCEPT)) as scene:
        servers = (nobody, scene.upstreams[0].server)
        # a timeout beyond the test's patience: waiting for it would fail
        backend = open_backend(RadiusSettings("old", servers, timeout=10 * PATIENCE), lambda *_: None)
        answers: asyncio.Queue[PrimaryAnswer] = asyncio.Queue()
        backend.verify(ALICE, answers.put_nowait)
        assert await answers.get() == PASSED
        backend.close()
        backend = open_backend(RadiusSettings("old", (nobody,), timeout=10 * PATIENCE), lambda *_: None)
        for _ in range(SILENT_REQUESTS + 2):
            backend.verify(ALICE, answers.put_nowait)
            assert await answers.get() == UNAVAILABLE
        backend.close()


@played
async def test_a_network_without_a_way_is_no_reason_to_wait() -> None:
    """What cannot even be sent is as good as unanswered."""
    async with await Scene.open(answering(ACCEPT)) as scene:
        # port 0 can be sent to by nobody
        servers = (UpstreamServer("127.0.0.1", 0, SECRET), scene.upstreams[0].server)
        backend = open_backend(RadiusSettings("old", servers, timeout=10 * PATIENCE), lambda *_: None)
        answers: asyncio.Queue[PrimaryAnswer] = asyncio.Queue()
        backend.verify(ALICE, answers.put_nowait)
        assert await answers.get() == PASSED
        backend.close()


# --- the breaker -----------------------------------------------------------------------------------------------------


async def _until_passed_over(scene: Scene) -> None:
    for _ in range(SILENT_REQUESTS):
        await scene.ask()
    assert scene.warnings("requests in a row")


@played
async def test_a_silent_server_is_passed_over() -> None:
    """After a few unanswered requests logins go straight to the next server, and nothing is sent to the silent one."""
    async with await Scene.open(silent, answering(ACCEPT), timeout=FAIR, retry_after=PATIENCE) as scene:
        await _until_passed_over(scene)
        for _ in range(10):
            assert await scene.ask() == PASSED
        assert len(scene.upstreams[0].heard) == SILENT_REQUESTS
        assert len(scene.warnings("requests in a row")) == 1


@played
async def test_a_server_that_answers_now_and_then_is_not_passed_over() -> None:
    """Only requests in a row count."""

    def script(upstream: Upstream, heard: Heard) -> None:
        if len(upstream.heard) % SILENT_REQUESTS == 0:
            upstream.send(heard.reply(REJECT), heard)

    async with await Scene.open(script, answering(ACCEPT), timeout=FAIR) as scene:
        for _ in range(2 * SILENT_REQUESTS):
            await scene.ask()
        assert len(scene.upstreams[0].logins) == 2 * SILENT_REQUESTS
        assert scene.said == []


@played
async def test_status_server_brings_a_server_back() -> None:
    """It is asked beside the logins how it is, signed; when it answers, logins go there again (RFC 5997)."""
    awake = False

    def script(upstream: Upstream, heard: Heard) -> None:
        if awake:
            upstream.send(heard.reply(ACCEPT if heard.code == STATUS_SERVER else REJECT), heard)

    async with await Scene.open(script, answering(ACCEPT), timeout=FAIR, retry_after=SHORT) as scene:
        await _until_passed_over(scene)
        awake = True
        first = scene.upstreams[0]
        status = await first.until_asked_how_it_is()
        assert [kind for kind, _ in status.attributes] == [80, 32]
        assert AuthPacket(packet=status.octets, secret=SECRET).verify_message_authenticator()
        await scene.until_said("answers again")
        assert await scene.ask() == REFUSED
        assert len(first.logins) == SILENT_REQUESTS + 1


@played
async def test_a_lie_about_its_state_does_not_bring_a_server_back() -> None:
    """The reply to Status-Server must be signed as any other."""

    def script(upstream: Upstream, heard: Heard) -> None:
        if heard.code == STATUS_SERVER:
            upstream.send(heard.reply(ACCEPT, secret=b"another secret"), heard)

    async with await Scene.open(script, answering(ACCEPT), timeout=SHORT, retry_after=0.0) as scene:
        await _until_passed_over(scene)
        first = scene.upstreams[0]
        while sum(heard.code == STATUS_SERVER for heard in first.heard) < 2:
            await first.asked.get()
        assert not scene.warnings("answers again")


@played
async def test_one_login_tries_a_server_that_knows_no_status_server() -> None:
    """Of many logins at once only one goes to it; the others do not wait for the outcome."""
    async with await Scene.open(silent, answering(ACCEPT), timeout=FAIR, retry_after=SHORT) as scene:
        await _until_passed_over(scene)
        first = scene.upstreams[0]
        await first.until_asked_how_it_is()
        assert await asyncio.gather(*(scene.begin(ALICE) for _ in range(20))) == [PASSED] * 20
        assert len(first.logins) == SILENT_REQUESTS + 1


@played
async def test_a_login_that_is_answered_brings_a_server_back() -> None:
    """A server without Status-Server is back with the first login that it answers."""

    def script(upstream: Upstream, heard: Heard) -> None:
        if heard.code == 1 and len(upstream.logins) > SILENT_REQUESTS:
            upstream.send(heard.reply(REJECT), heard)

    async with await Scene.open(script, answering(ACCEPT), timeout=FAIR, retry_after=SHORT) as scene:
        await _until_passed_over(scene)
        first = scene.upstreams[0]
        await first.until_asked_how_it_is()
        for _ in range(5):
            assert await scene.ask() == REFUSED
        assert scene.warnings("answers again")


@played
async def test_the_last_server_is_asked_at_once_how_it_is() -> None:
    """With nobody else to turn to, a few unanswered logins close no door for long: anybody could provoke them."""

    def script(upstream: Upstream, heard: Heard) -> None:
        if heard.code == STATUS_SERVER or heard.all(1) != [b"nobody@dead.example"]:
            upstream.send(heard.reply(ACCEPT), heard)

    async with await Scene.open(script, timeout=FAIR, retry_after=10 * PATIENCE) as scene:
        for _ in range(SILENT_REQUESTS):
            assert await scene.ask(replace(ALICE, name="nobody@dead.example")) == UNAVAILABLE
        await scene.until_said("answers again")
        assert await scene.ask() == PASSED


@played
async def test_with_every_server_passed_over_there_is_no_answer_at_once() -> None:
    """Nobody waits for servers that are known to be silent."""
    async with await Scene.open(silent, silent, timeout=SHORT, retry_after=10 * PATIENCE) as scene:
        await _until_passed_over(scene)
        last = scene.upstreams[1]
        await last.until_asked_how_it_is()
        await scene.ask()  # the one login that tries
        before = len(scene.upstreams[0].logins), len(last.logins)
        for _ in range(5):
            assert await scene.ask() == UNAVAILABLE
        assert (len(scene.upstreams[0].logins), len(last.logins)) == before


# --- bounds ----------------------------------------------------------------------------------------------------------


@played
async def test_requests_in_flight_are_bounded() -> None:
    """With no room the answer is UNAVAILABLE at once; when there is room again, logins go on."""
    waiting: list[Heard] = []

    async with await Scene.open(lambda _, heard: waiting.append(heard), calls=3) as scene:
        begun = [scene.begin(ALICE) for _ in range(3)]
        for _ in range(3):
            await scene.upstreams[0].asked.get()
        for _ in range(50):
            answer = scene.begin(ALICE)
            assert isinstance(answer, asyncio.Future)
            assert answer.done()
            assert await answer == UNAVAILABLE
        for heard in waiting:
            scene.upstreams[0].send(heard.reply(REJECT), heard)
        assert await asyncio.gather(*begun) == [REFUSED] * 3
        assert len(scene.upstreams[0].heard) == 3
        assert len(scene.warnings("3 requests are in flight")) == 1
        scene.begin(ALICE)
        await scene.upstreams[0].asked.get()


@played
async def test_a_host_without_descriptors_blames_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket, no answer; the servers stay as good as they were, and afterwards logins go on."""

    def none_left(*_: object, **__: object) -> socket.socket:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async with await Scene.open(answering(ACCEPT)) as scene:
        with monkeypatch.context() as patch:
            patch.setattr("radiusd2fa.home_server.socket.socket", none_left)
            for _ in range(2 * SILENT_REQUESTS):
                assert await scene.ask() == UNAVAILABLE
        assert len(scene.warnings("no socket")) == 1
        assert await scene.ask() == PASSED


@played
async def test_nothing_can_be_foreseen_and_nothing_is_left_open() -> None:
    """A thousand requests: no authenticator twice, identifiers and ports in no order, no socket left afterwards."""
    async with await Scene.open(answering(REJECT), calls=100) as scene:
        before = descriptors()
        for _ in range(10):
            assert await asyncio.gather(*(scene.begin(ALICE) for _ in range(100))) == [REFUSED] * 100
        heard = scene.upstreams[0].heard
        assert len({one.octets[4:20] for one in heard}) == 1000
        for values in ([one.octets[1] for one in heard], [one.source[1] for one in heard]):
            steps = [(later - earlier) % 65536 for earlier, later in itertools.pairwise(values)]
            assert len(set(values)) > 200
            assert max(steps.count(step) for step in set(steps)) < 100
        for at in range(0, 1000, 100):
            assert len({one.source[1] for one in heard[at : at + 100]}) == 100
        assert descriptors() == before


@played
async def test_closing_answers_everybody_once() -> None:
    """Who waits is UNAVAILABLE, once; what is asked afterwards is too, and nothing is sent any more."""
    async with await Scene.open(silent) as scene:
        begun = [scene.begin(ALICE) for _ in range(5)]
        for _ in range(5):
            await scene.upstreams[0].asked.get()
        scene.backend.close()
        scene.backend.close()
        assert await asyncio.gather(*begun) == [UNAVAILABLE] * 5
        for question in (ALICE, replace(ALICE, password=b""), replace(ALICE, password=None)):
            assert await scene.ask(question) == UNAVAILABLE
        assert len(scene.answers) == 8
        assert len(scene.upstreams[0].heard) == 5


@played
async def test_closing_ends_what_goes_on_beside_the_logins() -> None:
    """No Status-Server is under way, and no timer is left, after ``close``."""
    async with await Scene.open(silent, timeout=SHORT, retry_after=0.0) as scene:
        await _until_passed_over(scene)
        await scene.upstreams[0].until_asked_how_it_is()
        before = descriptors()
        scene.backend.close()
        assert descriptors() == before - 1


@played
async def test_no_secret_is_printed(caplog: pytest.LogCaptureFixture) -> None:
    """Neither the backend, nor an answer, nor what it says shows a password or a shared secret."""
    caplog.set_level(logging.DEBUG)
    async with await Scene.open(LIES["another secret"], _challenging, timeout=FAIR) as scene:
        answer = await scene.ask()
        shown = f"{scene.backend!r} {answer!r} {vars(scene.backend)!r} {scene.said!r} {caplog.text}"
        assert "hunter2" not in shown
        assert SECRET.decode() not in shown
