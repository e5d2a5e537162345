"""The shell around the decision: receive, load, decide, ask, commit, log, encode, send.

It decides nothing about a login. An Access-Accept leaves only after the store has said that its effects are on the
disk, and an exception anywhere is silence with a traceback in the log, never an Accept.
RFC 2865 (access), RFC 5080 2.2.2 (duplicates), RFC 5997 (Status-Server).
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from radiusd2fa.audit import Journal
from radiusd2fa.clients import ClientTable, Refused, Vetted, access_request, vet
from radiusd2fa.core.finding import Find
from radiusd2fa.core.login import NONCE_OCTETS, decide, login_id
from radiusd2fa.core.model import (
    Accept,
    AccessRequest,
    Challenge,
    Event,
    Known,
    NeedPrimary,
    PrimaryAnswer,
    Reason,
    Reject,
    Reply,
    Silence,
    WriteEvent,
)
from radiusd2fa.listeners.udp import Datagram, UdpListener
from radiusd2fa.primary import Primary
from radiusd2fa.radius.attributes import Attribute, reply_message
from radiusd2fa.radius.duplicates import IN_PROGRESS, NEW, Duplicates
from radiusd2fa.radius.packet import Code, MalformedPacket, OversizedReply, Packet, decode, encode_reply
from radiusd2fa.settings import ClientSettings, Settings
from radiusd2fa.store.engine import Committed, Store
from radiusd2fa.store.sqlite import StoreUnavailableError

_SAY_AGAIN_AFTER: Final = 60.0
_MOST_SOURCES: Final = 64
_PROMPT_HIDDEN: Final = (Attribute.PROMPT, (0).to_bytes(4, "big"))


def _nonces() -> Iterator[bytes]:
    """Random octets, a few hundred logins' worth at a time: one system call each costs more than the rest of it."""
    while True:
        block = os.urandom(NONCE_OCTETS * 256)
        yield from (block[at : at + NONCE_OCTETS] for at in range(0, len(block), NONCE_OCTETS))


@dataclass(slots=True)
class _Login:
    """One Access-Request on its way through the house."""

    listener: UdpListener
    datagram: Datagram
    packet: Packet
    client: ClientSettings
    secret: bytes = field(repr=False)
    key: bytes
    request: AccessRequest
    nonce: bytes = field(repr=False)
    arrived: float
    known: Known


class Server:
    """A running daemon, but for its sockets' addresses and its signals. Everything runs on one loop."""

    def __init__(
        self,
        settings: Settings,
        factors: Mapping[str, Find],
        primary: Primary,
        journal: Journal,
        store: Store,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take over ``primary`` and ``store``; ``clock`` is in seconds since 1970."""
        self._rules = settings.rules
        self._clients = ClientTable(settings.clients)
        self._factors = factors
        self._primary = primary
        self._journal = journal
        self._clock = clock
        self._duplicates = Duplicates()
        self._nonces = _nonces()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._store = store
        self._listeners: list[UdpListener] = []
        self._said: dict[str, set[str]] = {}
        self._forget_said_at = 0.0
        self._in_work = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.counters: Counter[str] = Counter()
        """Packets by what became of them."""

    # --- life -------------------------------------------------------------------------------------------------------

    def listen(self, listener: UdpListener) -> None:
        """Serve one bound socket from now on."""
        self._listeners.append(listener)
        listener.start(self._loop, self._receive)

    async def stop(self, patience: float = 5.0) -> None:
        """Take no new packet, finish what is in work for at most ``patience`` seconds, write what is waiting."""
        for listener in self._listeners:
            listener.stop(self._loop)
        try:
            await asyncio.wait_for(self._idle.wait(), patience)
        except TimeoutError:
            self._journal.note("warning", "server.gave_up", count=self._in_work)
        self._primary.close()
        self._store.close()
        self.counters["turned_away"] = self._duplicates.turned_away
        self.counters["abandoned"] = self._duplicates.abandoned
        for listener in self._listeners:
            listener.close()

    # --- in ---------------------------------------------------------------------------------------------------------

    def _receive(self, listener: UdpListener, batch: list[Datagram]) -> None:
        for datagram in batch:
            try:
                self._take(listener, datagram)
            except MalformedPacket as malformed:
                self._drop(malformed.reason, datagram.source[0])
            except Exception as error:  # noqa: BLE001 - fail closed: a bug is silence, never an answer
                self._drop("internal_error", datagram.source[0], exception=error)
        self._store.flush()

    def _take(self, listener: UdpListener, datagram: Datagram) -> None:
        source = datagram.source[0]
        client = self._clients.find(source)
        if client is None:
            self._drop("unknown_client", source)
            return
        packet = decode(datagram.octets)
        match vet(packet, client):
            case Refused(reason):
                self._drop(reason, source, client.nas.name)
            case Vetted(secret, signed):
                if not signed:
                    self._count_unsigned(source, client.nas.name)
                if packet.code == Code.STATUS_SERVER:
                    self._answer_status(listener, datagram, packet, client, secret)
                else:
                    self._begin(listener, datagram, packet, client, secret)

    def _answer_status(
        self, listener: UdpListener, datagram: Datagram, packet: Packet, client: ClientSettings, secret: bytes
    ) -> None:
        """Alive means: the store answers. Otherwise silence, so that the NAS takes its next server."""
        self.counters["status_server"] += 1
        if self._store.answers():
            listener.send(encode_reply(Code.ACCESS_ACCEPT, packet, (), secret, sign=client.sign_replies), datagram)

    def _begin(
        self, listener: UdpListener, datagram: Datagram, packet: Packet, client: ClientSettings, secret: bytes
    ) -> None:
        arrived = self._loop.time()
        request = access_request(packet, client.nas, secret)
        key = Duplicates.key(datagram.source, id(listener), packet.raw)
        seen = self._duplicates.begin(key, arrived)
        if seen is IN_PROGRESS:
            self.counters["duplicate_in_progress"] += 1
        elif seen is not NEW:
            self.counters["duplicate_answered"] += 1
            listener.send(seen, datagram)
        else:
            nonce = next(self._nonces)
            self._in_work += 1
            self._idle.clear()
            login = _Login(listener, datagram, packet, client, secret, key, request, nonce, arrived, Known())
            self._guarded(login, self._load)

    # --- deciding ---------------------------------------------------------------------------------------------------

    def _guarded(self, login: _Login, step: Callable[[_Login], None]) -> None:
        """Run one step of a login; whatever goes wrong in it ends that login in silence."""
        try:
            step(login)
        except StoreUnavailableError as error:
            self._silent(login, Reason.STORE_UNAVAILABLE, error=error)
        except Exception as error:  # noqa: BLE001 - fail closed: a bug is silence, never an answer
            self._silent(login, Reason.INTERNAL_ERROR, exception=error)

    def _load(self, login: _Login) -> None:
        request = login.request
        if request.user_name is not None:
            login.known = self._store.load(
                request.user_name, request.state, request.nas.name, request.caller, self._clock()
            )
        self._decide(login)

    def _decide(self, login: _Login) -> None:
        now = self._clock()
        outcome = decide(login.request, login.known, now, login.nonce, self._rules, self._factors)
        if isinstance(outcome, NeedPrimary):
            password = outcome.password
            self._primary.verify(login.known.user, password, lambda answer: self._answered(login, password, answer))
        elif isinstance(outcome, Silence):
            self._silent(login, outcome.reason)
        else:
            self._commit(login, outcome, now)

    def _answered(self, login: _Login, password: bytes, answer: PrimaryAnswer) -> None:
        """The primary backend's answer, from whichever thread."""
        login.known = replace(login.known, primary={**login.known.primary, password: answer})
        if threading.get_ident() == self._thread:
            self._guarded(login, self._decide)
        else:
            self._loop.call_soon_threadsafe(self._resume, login)

    def _resume(self, login: _Login) -> None:
        self._guarded(login, self._decide)
        self._store.flush()

    # --- committing -------------------------------------------------------------------------------------------------

    def _commit(self, login: _Login, outcome: Reply, now: float) -> None:
        event = self._event(login, outcome, now)

        def done(result: Committed) -> None:
            self._guarded(login, lambda login: self._conclude(login, outcome, event, result))

        self._store.commit(outcome.effects, event, done)

    def _conclude(self, login: _Login, outcome: Reply, event: Event, result: Committed) -> None:
        if result is True:
            self._journal.record(event)
            for effect in outcome.effects:
                if isinstance(effect, WriteEvent):
                    self._journal.record(effect.event)
            self._reply(login, outcome)
        elif result is False:
            # somebody else spent this code or State, or the account changed, between our look and our write
            self._commit(login, Reject(Reason.REPLAYED, token=outcome.token), event.time)
        else:
            self._silent(login, Reason.STORE_UNAVAILABLE, error=result)

    def _event(self, login: _Login, outcome: Reply, now: float) -> Event:
        match outcome:
            case Accept():
                word = "accepted"
            case Challenge():
                word = "challenged"
            case Reject():
                word = "rejected"
        token = outcome.token
        return Event(
            time=now,
            name=f"access.{word}",
            login=login_id(login.known, login.nonce),
            nas=login.client.nas.name,
            user=login.request.user_name or "",
            caller=login.request.caller,
            factor="" if token is None else token.kind,
            serial="" if token is None else token.serial,
            outcome=word,
            reason=outcome.reason,
            latency=self._loop.time() - login.arrived,
        )

    # --- out --------------------------------------------------------------------------------------------------------

    def _reply(self, login: _Login, outcome: Reply) -> None:
        match outcome:
            case Accept():
                self._send(login, Code.ACCESS_ACCEPT, ())
            case Challenge():
                attributes = [(Attribute.STATE, outcome.state.encode()), reply_message(outcome.prompt)]
                self._send(login, Code.ACCESS_CHALLENGE, (*attributes, *((_PROMPT_HIDDEN,) if outcome.hidden else ())))
            case Reject():
                # a refusal leaves at the same moment after arrival whatever its reason, so that time tells nothing
                at = login.arrived + login.client.reject_delay
                if at <= self._loop.time():
                    self._send(login, Code.ACCESS_REJECT, ())
                else:
                    self._loop.call_at(at, self._guarded, login, self._send_reject)

    def _send_reject(self, login: _Login) -> None:
        self._send(login, Code.ACCESS_REJECT, ())

    def _send(self, login: _Login, code: Code, attributes: tuple[tuple[int, bytes], ...]) -> None:
        try:
            reply = encode_reply(code, login.packet, attributes, login.secret, sign=login.client.sign_replies)
        except OversizedReply:
            self._silent(login, Reason.OVERSIZED_REPLY)
            return
        self._duplicates.finish(login.key, reply, self._loop.time())
        if not login.listener.send(reply, login.datagram):
            self.counters["unsent_reply"] += 1
        self.counters[code.name.lower()] += 1
        self._ended()

    def _silent(self, login: _Login, reason: Reason, **what: BaseException) -> None:
        """No answer, and no memory of the request: the NAS's retransmission is a new chance."""
        self._duplicates.forget(login.key)
        self._drop(reason, login.datagram.source[0], login.client.nas.name, **what)
        self._ended()

    def _ended(self) -> None:
        self._in_work -= 1
        if self._in_work == 0:
            self._idle.set()

    # --- counting ---------------------------------------------------------------------------------------------------

    def _drop(self, reason: str, source: str, nas: str = "", **what: BaseException) -> None:
        self.counters[reason] += 1
        if self._worth_saying(reason, source):
            level = "error" if what else "warning"
            self._journal.note(level, "packet.dropped", reason=reason, source=source, nas=nas, **what)

    def _count_unsigned(self, source: str, nas: str) -> None:
        self.counters["unsigned"] += 1
        if self._worth_saying("unsigned", source):
            self._journal.note("warning", "packet.unsigned", source=source, nas=nas)

    def _worth_saying(self, what: str, source: str) -> bool:
        """Once a minute for each kind and source, and for so many sources of a kind: a flood cannot drown the rest."""
        now = self._loop.time()
        if now >= self._forget_said_at:
            self._said.clear()
            self._forget_said_at = now + _SAY_AGAIN_AFTER
        said = self._said.setdefault(what, set())
        if source in said or len(said) >= _MOST_SOURCES:
            return False
        said.add(source)
        return True
