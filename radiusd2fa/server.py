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
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from radiusd2fa.audit import Journal
from radiusd2fa.clients import ClientTable, Refused, Vetted, access_request, vet
from radiusd2fa.core.attributes import Person
from radiusd2fa.core.finding import Find
from radiusd2fa.core.login import decide
from radiusd2fa.core.model import (
    Accept,
    AccessRequest,
    AddAccount,
    Challenge,
    Event,
    Known,
    NeedPrimary,
    NeedToken,
    PrimaryAnswer,
    Reason,
    Reject,
    Reply,
    Silence,
    Verdict,
    WriteEvent,
)
from radiusd2fa.core.names import split_realm
from radiusd2fa.core.nonce import NONCE_OCTETS, login_id
from radiusd2fa.listeners.udp import Datagram, UdpListener
from radiusd2fa.primary import Primary, Question
from radiusd2fa.radius.attributes import Attribute, reply_message
from radiusd2fa.radius.duplicates import IN_PROGRESS, NEW, Duplicates
from radiusd2fa.radius.packet import REPLY_OVERHEAD, Code, MalformedPacket, OversizedReply, Packet, decode, encode_reply
from radiusd2fa.radius.reply import UnsayableReply, encode
from radiusd2fa.radius.wrapping import SALT_OCTETS
from radiusd2fa.settings import ClientSettings, Settings
from radiusd2fa.settings.profiles import mschap_advice
from radiusd2fa.settings.values import PATIENCE
from radiusd2fa.sightings import STRANGERS, Sighting, Sightings
from radiusd2fa.store.engine import Committed, Store
from radiusd2fa.store.sqlite import StoreUnavailableError

_SAY_AGAIN_AFTER: Final = 60.0
_MOST_SOURCES: Final = 64
_PROMPT_HIDDEN: Final = (Attribute.PROMPT, (0).to_bytes(4, "big"))
_PROMPT_SHOWN: Final = (Attribute.PROMPT, (1).to_bytes(4, "big"))
_TELL_EVERY: Final = 3.0


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
    sighting: Sighting
    now: float = 0.0
    """Seconds since 1970 at which it was looked up, and is decided."""
    reply: tuple[tuple[int, bytes], ...] = ()
    """What the Access-Accept will carry."""
    waiting: _Waiting | None = None
    """The question to a primary backend that has no answer yet."""
    is_over: bool = False
    retried: bool = False
    """Whether it was decided anew because an account came to be meanwhile."""


@dataclass(eq=False, slots=True)
class _Waiting:
    """A login that a primary backend has been asked about."""

    login: _Login
    need: NeedPrimary
    deadline: asyncio.TimerHandle


class Server:
    """A running daemon, but for its sockets' addresses and its signals. Everything runs on one loop."""

    def __init__(
        self,
        settings: Settings,
        factors: Mapping[str, Find],
        primaries: Mapping[str, Primary],
        journal: Journal,
        store: Store,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take over ``primaries`` (by their names) and ``store``; ``clock`` is in seconds since 1970."""
        self._rules = settings.rules
        self._clients = ClientTable(settings.clients)
        self._factors = factors
        self._primaries = primaries
        self._journal = journal
        self._clock = clock
        self._duplicates = Duplicates()
        self._nonces = _nonces()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._store = store
        self._listeners: list[UdpListener] = []
        self._sightings = Sightings()
        self._said: dict[str, set[str]] = {}
        self._forget_said_at = 0.0
        self._telling: asyncio.TimerHandle | None = None
        self._will_flush = False
        self._stopped = False
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
        if self._telling is None:
            self._telling = self._loop.call_later(_TELL_EVERY, self._tell_what_was_seen)

    async def stop(self, patience: float = 5.0) -> None:
        """Take no new packet, finish what is in work for at most ``patience`` seconds, write what is waiting."""
        for listener in self._listeners:
            listener.stop(self._loop)
        try:
            await asyncio.wait_for(self._idle.wait(), patience)
        except TimeoutError:
            self._journal.note("warning", "server.gave_up", count=self._in_work)
        for primary in self._primaries.values():
            primary.close()
        self._stopped = True
        if self._telling is not None:
            self._telling.cancel()
            self._store.note_sightings(self._sightings.news(), self._clock())
        self._store.close()
        self.counters["turned_away"] = self._duplicates.turned_away
        self.counters["abandoned"] = self._duplicates.abandoned
        for listener in self._listeners:
            listener.close()

    # --- in ---------------------------------------------------------------------------------------------------------

    def _receive(self, listener: UdpListener, batch: list[Datagram]) -> None:
        self._will_flush = True
        for datagram in batch:
            try:
                self._take(listener, datagram)
            except MalformedPacket as malformed:
                self._drop(malformed.reason, datagram.source[0])
                client = self._clients.find(datagram.source[0])
                self._saw(datagram, None, malformed.reason, STRANGERS if client is None else client.nas.name)
            except Exception as error:  # noqa: BLE001 - fail closed: a bug is silence, never an answer
                self._drop("internal_error", datagram.source[0], exception=error)
        self._flush()

    def _take(self, listener: UdpListener, datagram: Datagram) -> None:
        source = datagram.source[0]
        client = self._clients.find(source)
        if client is None:
            self._drop("unknown_client", source)
            self._saw(datagram, None, "unknown_client", STRANGERS)
            return
        packet = decode(datagram.octets)
        match vet(packet, client):
            case Refused(reason):
                self._drop(reason, source, client.nas.name)
                self._saw(datagram, packet, reason, client.nas.name)
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
        self._saw(datagram, packet, "status_server", client.nas.name)
        if self._store.answers():
            listener.send(encode_reply(Code.ACCESS_ACCEPT, packet, (), secret, sign=client.sign_replies), datagram)

    def _begin(
        self, listener: UdpListener, datagram: Datagram, packet: Packet, client: ClientSettings, secret: bytes
    ) -> None:
        arrived = self._loop.time()
        request = access_request(packet, client, secret)
        key = Duplicates.key(datagram.source, id(listener), packet.raw)
        seen = self._duplicates.begin(key, arrived)
        if seen is IN_PROGRESS:
            self.counters["duplicate_in_progress"] += 1
            self._saw(datagram, packet, "duplicate_in_progress", client.nas.name)
        elif seen is not NEW:
            self.counters["duplicate_answered"] += 1
            self._saw(datagram, packet, "duplicate_answered", client.nas.name)
            listener.send(seen, datagram)
        else:
            nonce = next(self._nonces)
            self._in_work += 1
            self._idle.clear()
            sighting = self._saw(datagram, packet, "", client.nas.name)
            login = _Login(listener, datagram, packet, client, secret, key, request, nonce, arrived, Known(), sighting)
            self._guarded(login, self._load)

    def _saw(self, datagram: Datagram, packet: Packet | None, fate: str, client: str) -> Sighting:
        source = datagram.source
        return self._sightings.saw(client, source[0], source[1], self._clock(), packet, fate)

    def _tell_what_was_seen(self) -> None:
        """Write down for `doctor` what was seen lately; nothing that matters depends on it."""
        self._telling = self._loop.call_later(_TELL_EVERY, self._tell_what_was_seen)
        news = self._sightings.news()
        if news:
            self._store.note_sightings(news, self._clock())

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
        login.now = self._clock()
        self._look_again(login)

    def _look_again(self, login: _Login) -> None:
        request, primary = login.request, login.known.primary
        if request.user_name is not None:
            login.known = self._store.load(
                request.user_name, request.state, request.nas.name, request.caller, login.now
            )
        if primary:
            login.known = replace(login.known, primary=primary)
        self._decide(login)

    def _decide(self, login: _Login) -> None:
        now = login.now  # of one moment, however long a backend takes: or its answer could be taken for another one's
        outcome = decide(login.request, login.known, now, login.nonce, self._rules, self._factors)
        if isinstance(outcome, NeedPrimary):
            self._ask(login, outcome)
        elif isinstance(outcome, NeedToken):
            stock = {**login.known.stock, outcome.serial: self._store.in_stock(outcome.serial)}
            login.known = replace(login.known, stock=stock)
            self._decide(login)
        elif isinstance(outcome, Silence):
            self._silent(login, outcome.reason)
        else:
            self._commit(login, outcome, now)

    def _ask(self, login: _Login, need: NeedPrimary) -> None:
        """Ask a primary backend, and wait for it no longer than any NAS would wait for us."""
        request, user = login.request, login.known.user
        question = Question(request.user_name or "", need.password, user, request.attributes, need.relay)
        waiting = _Waiting(login, need, self._loop.call_later(PATIENCE, self._give_up, login))
        login.waiting = waiting
        try:
            self._primaries[need.backend].verify(question, lambda answer: self._answered(waiting, answer))
        except Exception as error:
            if login.waiting is waiting:
                raise
            # it had answered before it broke, and the login goes its way
            self._drop(Reason.INTERNAL_ERROR, login.datagram.source[0], login.client.nas.name, exception=error)

    def _give_up(self, login: _Login) -> None:
        self._guarded(login, lambda login: self._silent(login, Reason.PRIMARY_UNAVAILABLE))

    def _answered(self, waiting: _Waiting, answer: PrimaryAnswer) -> None:
        """The primary backend's answer, from whichever thread."""
        if threading.get_ident() == self._thread:
            self._take_answer(waiting, answer)
        else:
            with suppress(RuntimeError):  # the loop has ended, and the login with it
                self._loop.call_soon_threadsafe(self._take_answer, waiting, answer)

    def _take_answer(self, waiting: _Waiting, answer: PrimaryAnswer) -> None:
        login = waiting.login
        waiting.deadline.cancel()
        if login.waiting is waiting and not self._stopped:  # else it is over, or this was answered already
            login.waiting = None
            login.known = replace(login.known, primary={**login.known.primary, waiting.need.password: answer})
            self._guarded(login, lambda login: self._recognise(login, waiting.need.backend, answer))
            self._flush_soon()

    def _flush_soon(self) -> None:
        """Write what answers of backends have led to, all that come at one time in one transaction."""
        if not self._will_flush:
            self._will_flush = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._will_flush = False
        self._store.flush()

    def _recognise(self, login: _Login, backend: str, answer: PrimaryAnswer) -> None:
        """Find out whether whom the directory means is known here under another name."""
        user = login.known.user
        identity = None if answer.account is None else answer.account.id
        if answer.verdict is Verdict.PASSED:
            name, known = login.request.user_name or "", login.known
            if identity is not None and (user is None or user.directory_id != identity):
                known = replace(known, namesake=self._store.namesake(name, backend, identity))
            if self._rules.may_waive() and (user is None or not user.enrolled):
                known = replace(known, has_kin=self._store.has_kin(name, backend, identity))
            login.known = known
        self._decide(login)

    # --- committing -------------------------------------------------------------------------------------------------

    def _commit(self, login: _Login, outcome: Reply, now: float) -> None:
        if isinstance(outcome, Accept):
            outcome = self._spell_out(login, outcome)
        event = self._event(login, outcome, now)

        def done(result: Committed) -> None:
            self._guarded(login, lambda login: self._conclude(login, outcome, event, result))

        self._store.commit(outcome.effects, event, done)

    def _spell_out(self, login: _Login, outcome: Accept) -> Reply:
        """Encode what the Access-Accept will carry, before the code is spent: what cannot be said is a refusal."""
        request = login.request
        if not (outcome.reply or outcome.passed_on or login.client.reply):
            return outcome
        name = request.user_name or ""
        person = Person(name, split_realm(name)[0], request.realm, outcome.groups)
        named = {(one.number, one.vendor, one.vendor_type) for one in outcome.reply}
        usual = [one for one in login.client.reply if (one.number, one.vendor, one.vendor_type) not in named]
        try:
            login.reply = (
                *encode(
                    [*usual, *outcome.reply],
                    person,
                    login.secret,
                    login.packet.authenticator,
                    login.nonce[:SALT_OCTETS],
                ),
                *outcome.passed_on,
            )
        except UnsayableReply as error:
            self._drop(Reason.UNSAYABLE_REPLY, login.datagram.source[0], login.client.nas.name, error=error)
            return Reject(Reason.UNSAYABLE_REPLY, token=outcome.token)
        if sum(2 + len(value) for _, value in login.reply) > login.client.max_reply - REPLY_OVERHEAD:
            return Reject(Reason.OVERSIZED_REPLY, token=outcome.token)
        return outcome

    def _conclude(self, login: _Login, outcome: Reply, event: Event, result: Committed) -> None:
        if result is True:
            self._journal.record(event)
            for effect in outcome.effects:
                if isinstance(effect, WriteEvent):
                    self._journal.record(effect.event)
            self._reply(login, outcome)
        elif result is False and not login.retried and any(isinstance(one, AddAccount) for one in outcome.effects):
            login.retried = True  # another login as the same newcomer was first, and is no reason to refuse this one
            self._guarded(login, self._look_again)
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
                self._send(login, Code.ACCESS_ACCEPT, login.reply, f"accepted:{outcome.reason}")
            case Challenge():
                attributes = [(Attribute.STATE, login.client.wire_state(outcome.state)), reply_message(outcome.prompt)]
                if outcome.hidden:
                    attributes.append(_PROMPT_HIDDEN)
                elif login.client.prompt_attribute:
                    attributes.append(_PROMPT_SHOWN)
                send = self._send_later if outcome.unhurried else self._send
                send(login, Code.ACCESS_CHALLENGE, tuple(attributes), f"challenged:{outcome.reason}")
            case Reject():
                if outcome.reason is Reason.MSCHAP_NOT_POSSIBLE:
                    self._advise_about_mschap(login)
                self._send_later(login, Code.ACCESS_REJECT, (), f"rejected:{outcome.reason}")

    def _advise_about_mschap(self, login: _Login) -> None:
        client = login.client
        if self._worth_saying("mschap", client.nas.name):
            self._journal.note("warning", "packet.mschap", message=mschap_advice(client.nas.name, client.profile))

    def _send_later(self, login: _Login, code: Code, attributes: tuple[tuple[int, bytes], ...], fate: str) -> None:
        """Let it leave at the same moment after arrival whatever was found out, so that time tells nothing."""
        at = login.arrived + login.client.reject_delay
        if at <= self._loop.time():
            self._send(login, code, attributes, fate)
        else:
            self._loop.call_at(at, self._guarded, login, lambda login: self._send(login, code, attributes, fate))

    def _send(self, login: _Login, code: Code, attributes: tuple[tuple[int, bytes], ...], fate: str) -> None:
        try:
            reply = encode_reply(code, login.packet, attributes, login.secret, sign=login.client.sign_replies)
        except OversizedReply:
            self._silent(login, Reason.OVERSIZED_REPLY)
            return
        self._duplicates.finish(login.key, reply, self._loop.time())
        if not login.listener.send(reply, login.datagram):
            self.counters["unsent_reply"] += 1
        self.counters[code.name.lower()] += 1
        login.sighting.latency = self._loop.time() - login.arrived
        self._ended(login, fate)

    def _silent(self, login: _Login, reason: Reason, **what: BaseException) -> None:
        """No answer, and no memory of the request: the NAS's retransmission is a new chance."""
        if login.is_over:
            return
        if login.waiting is not None:
            login.waiting.deadline.cancel()
            login.waiting = None
        self._duplicates.forget(login.key)
        self._drop(reason, login.datagram.source[0], login.client.nas.name, **what)
        self._ended(login, reason)

    def _ended(self, login: _Login, fate: str) -> None:
        login.is_over = True
        login.sighting.fate = fate
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
