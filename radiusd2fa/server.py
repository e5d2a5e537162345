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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final

from radiusd2fa.audit import Journal
from radiusd2fa.clients import Refused, Vetted, access_request, vet
from radiusd2fa.core.finding import Find
from radiusd2fa.core.login import decide
from radiusd2fa.core.model import (
    Accept,
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
from radiusd2fa.core.nonce import NONCE_OCTETS
from radiusd2fa.listeners.recvmmsg import Datagram
from radiusd2fa.listeners.udp import UdpListener
from radiusd2fa.primary import Primary, Question
from radiusd2fa.radius.admission import Line, TurnedAway
from radiusd2fa.radius.duplicates import IN_PROGRESS, NEW, Duplicates
from radiusd2fa.radius.packet import Code, MalformedPacket, OversizedReply, Packet, decode, encode_reply
from radiusd2fa.radius.reply import UnsayableReply
from radiusd2fa.regime import Regime, Retired, make_regime
from radiusd2fa.replies import event_of, question, spelled_out
from radiusd2fa.settings import ClientSettings, Settings
from radiusd2fa.settings.profiles import mschap_advice
from radiusd2fa.settings.values import PATIENCE
from radiusd2fa.sightings import MOST_OF_STRANGERS, STRANGERS, Sighting, Sightings
from radiusd2fa.store.database import Committed, Looked
from radiusd2fa.store.engine import Store
from radiusd2fa.store.errors import StoreUnavailableError
from radiusd2fa.tally import Tally
from radiusd2fa.under_way import Login, Waiting

_MOST_BATCHES: Final = 256
"""How many are read from a socket that is given up: more than a buffer holds, and not for ever under a flood."""
_SENT: Final = {code: code.name.lower() for code in Code}
"""Counters by what was sent."""
_TELL_EVERY: Final = 3.0
_AT_ONCE: Final = 64
"""Packets that are judged and written together while others wait."""


_Arrival = tuple[UdpListener, Datagram, float]
"""A datagram, where it came in, and when on the loop's clock."""
_Alike = tuple[int, Datagram, str]
"""How many datagrams of one source were turned away for one reason, the last of them, and the client's name."""


def _nonces() -> Iterator[bytes]:
    """Random octets, a few hundred logins' worth at a time: one system call each costs more than the rest of it."""
    while True:
        block = os.urandom(NONCE_OCTETS * 256)
        yield from (block[at : at + NONCE_OCTETS] for at in range(0, len(block), NONCE_OCTETS))


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
        self._regime = make_regime(settings, factors, primaries)
        self._clients = self._regime.clients
        self._retired = Retired()
        self._journal = journal
        self._clock = clock
        self._duplicates = Duplicates()
        self._line: Line[_Arrival] = Line(self._gone)
        self._will_work = False
        self._turned_away: dict[tuple[str, str], _Alike] = {}
        self._nonces = _nonces()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._store = store
        self._listeners: list[UdpListener] = []
        self._sightings = Sightings()
        self._telling: asyncio.TimerHandle | None = None
        self._will_flush = False
        self._stopped = False
        self._in_work = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._tally = Tally(journal, self._loop.time)
        self.counters = self._tally.counters
        """Packets by what became of them."""

    # --- life -------------------------------------------------------------------------------------------------------

    def listen(self, listener: UdpListener) -> None:
        """Serve one bound socket from now on."""
        self._listeners.append(listener)
        listener.start(self._loop, self._receive)
        if self._telling is None:
            self._telling = self._loop.call_later(_TELL_EVERY, self._tell_what_was_seen)

    def turn_to(self, regime: Regime, leaving: Sequence[UdpListener] = ()) -> None:
        """Put another regime in force: for packets that are read from now on, while logins in work keep their own.

        What waits at the sockets that are ``leaving`` is still taken under the old one.
        """
        for listener in leaving:
            self._take_what_waits(listener)
            listener.stop(self._loop)
            self._listeners.remove(listener)
        old, self._regime, self._clients = self._regime, regime, regime.clients
        old.leaving.extend(leaving)
        self._retired.add(old)
        self._close_retired()

    def speak_to(self, journal: Journal) -> None:
        """Bring decisions and notes to another journal from now on."""
        self._journal = self._tally.journal = journal

    def _take_what_waits(self, listener: UdpListener) -> None:
        for _ in range(_MOST_BATCHES):
            batch = listener.read()
            if not batch:
                break
            self._receive(listener, batch)
        self._work_off()

    def _close_retired(self) -> None:
        self._retired.close_what_is_idle(self._regime)

    async def stop(self, patience: float = 5.0) -> None:
        """Take no new packet, finish what is in work for at most ``patience`` seconds, write what is waiting."""
        for listener in self._listeners:
            listener.stop(self._loop)
        self._work_off()
        try:
            await asyncio.wait_for(self._idle.wait(), patience)
        except TimeoutError:
            self._journal.note("warning", "server.gave_up", count=self._in_work)
        self._retired.close(self._regime)
        for primary in self._regime.primaries.values():
            primary.close()
        self._stopped = True
        if self._telling is not None:
            self._telling.cancel()
            self._store.note_sightings(self._sightings.news(), self._clock())
        self._store.close(self._clock())
        self.counters["turned_away"] = self._duplicates.turned_away
        self.counters["abandoned"] = self._duplicates.abandoned
        for listener in self._listeners:
            listener.close()

    # --- in ---------------------------------------------------------------------------------------------------------

    def _receive(self, listener: UdpListener, batch: list[Datagram]) -> None:
        """Let in what may be judged; all of it now, unless more has come than can be done in one go."""
        now = self._loop.time()
        let_in = [(datagram, client) for datagram in batch if (client := self._let_in(datagram, now)) is not None]
        if self._line or len(let_in) > _AT_ONCE:
            for datagram, client in let_in:
                arrived = now - datagram.waited
                self._line.put(client.nas.name, (listener, datagram, arrived), arrived + client.timeout, now)
            if not self._will_work:
                self._work()
        else:
            self._judge([(listener, datagram, now - datagram.waited) for datagram, _ in let_in])
        if self._turned_away:
            self._tell_turned_away()

    def _let_in(self, datagram: Datagram, now: float) -> ClientSettings | None:
        """Return the client, unless its packet is not to be judged; of that nothing is read: a flood must be cheap."""
        client = self._clients.find(datagram.source[0])
        if client is None:
            self._turn_away(datagram, "unknown_client")
        elif datagram.waited >= client.timeout:
            self._turn_away(datagram, TurnedAway.TOO_LATE, client.nas.name)
        elif not self._regime.rates[client.nas.name].allows(now):
            self._turn_away(datagram, TurnedAway.TOO_MANY, client.nas.name)
        else:
            return client
        return None

    def _gone(self, arrival: _Arrival, reason: TurnedAway) -> None:
        _, datagram, _ = arrival
        client = self._clients.find(datagram.source[0])
        self._turn_away(datagram, reason, STRANGERS if client is None else client.nas.name)

    def _turn_away(self, datagram: Datagram, reason: str, nas: str = STRANGERS) -> None:
        """Remember that a datagram is not judged; those of one source and reason are counted and told together."""
        key = (reason, datagram.source[0])
        alike = self._turned_away.get(key)
        self._turned_away[key] = (1 if alike is None else alike[0] + 1, datagram, nas)

    def _tell_turned_away(self) -> None:
        alike = list(self._turned_away.items())
        self._turned_away.clear()
        for (reason, source), (count, _, nas) in alike:
            self.counters[reason] += count - 1
            self._drop(reason, source, nas)
        for (reason, _), (_, datagram, nas) in alike[-MOST_OF_STRANGERS:]:
            self._saw(datagram, None, reason, nas)

    def _work(self) -> None:
        """Judge some of those who wait; whatever has come meanwhile is let in before the next."""
        self._will_work = False
        batch = self._line.take(_AT_ONCE, self._loop.time())
        self._judge(batch)
        if self._line:
            self._will_work = True
            self._loop.call_soon(self._work)
        if self._turned_away:
            self._tell_turned_away()

    def _work_off(self) -> None:
        """Judge all who wait."""
        while self._line:
            self._work()

    def _judge(self, batch: list[_Arrival]) -> None:
        self._will_flush = True
        for listener, datagram, arrived in batch:
            try:
                self._take(listener, datagram, arrived)
            except MalformedPacket as malformed:
                self._drop(malformed.reason, datagram.source[0])
                client = self._clients.find(datagram.source[0])
                self._saw(datagram, None, malformed.reason, STRANGERS if client is None else client.nas.name)
            except Exception as error:  # noqa: BLE001 - fail closed: a bug is silence, never an answer
                self._drop("internal_error", datagram.source[0], exception=error)
        self._flush()

    def _take(self, listener: UdpListener, datagram: Datagram, arrived: float) -> None:
        source = datagram.source[0]
        client = self._clients.find(source)
        if client is None:  # the site has struck it out while the packet waited
            self._turn_away(datagram, "unknown_client")
            return
        packet = decode(datagram.octets)
        match vet(packet, client):
            case Refused(reason):
                self._drop(reason, source, client.nas.name)
                self._saw(datagram, packet, reason, client.nas.name)
            case Vetted(secret, signed):
                if not signed:
                    self._tally.unsigned(source, client.nas.name)
                if packet.code == Code.STATUS_SERVER:
                    self._answer_status(listener, datagram, packet, client, secret)
                else:
                    self._begin(listener, datagram, packet, client, secret, arrived)

    def _answer_status(
        self, listener: UdpListener, datagram: Datagram, packet: Packet, client: ClientSettings, secret: bytes
    ) -> None:
        """Alive means: the store answers. Otherwise silence, so that the NAS takes its next server."""
        self.counters["status_server"] += 1
        self._saw(datagram, packet, "status_server", client.nas.name)
        if self._store.answers():
            listener.send(encode_reply(Code.ACCESS_ACCEPT, packet, (), secret, sign=client.sign_replies), datagram)

    def _begin(
        self,
        listener: UdpListener,
        datagram: Datagram,
        packet: Packet,
        client: ClientSettings,
        secret: bytes,
        arrived: float,
    ) -> None:
        request = access_request(packet, client, secret)
        key = Duplicates.key(datagram.source, id(listener), packet.raw)
        seen = self._duplicates.begin(key, self._loop.time())
        if seen is IN_PROGRESS:
            self.counters["duplicate_in_progress"] += 1
            self._saw(datagram, packet, "duplicate_in_progress", client.nas.name)
        elif seen is not NEW:
            self.counters["duplicate_answered"] += 1
            self._saw(datagram, packet, "duplicate_answered", client.nas.name)
            listener.send(seen, datagram)
        else:
            nonce = next(self._nonces)
            if not self._in_work:
                self._idle.clear()
            self._in_work += 1
            self._regime.in_work += 1
            sighting = self._saw(datagram, packet, "", client.nas.name)
            regime, known = self._regime, Known()
            login = Login(
                regime, listener, datagram, packet, client, secret, key, request, nonce, arrived, known, sighting
            )
            self._guarded(login, self._load)

    def _saw(self, datagram: Datagram, packet: Packet | None, fate: str, client: str) -> Sighting:
        source = datagram.source
        return self._sightings.saw(client, source[0], source[1], self._clock(), packet, fate)

    def _tell_what_was_seen(self) -> None:
        """Write down for `doctor` what was seen lately, and sign the end of the audit; no login depends on either."""
        self._telling = self._loop.call_later(_TELL_EVERY, self._tell_what_was_seen)
        news = self._sightings.news()
        if news:
            self._store.note_sightings(news, self._clock())
        self._store.sign_end(self._clock())

    # --- deciding ---------------------------------------------------------------------------------------------------

    def _guarded(self, login: Login, step: Callable[..., None], *facts: object) -> None:
        """Run one step of a login; whatever goes wrong in it ends that login in silence."""
        try:
            step(login, *facts)
        except StoreUnavailableError as error:
            self._silent(login, Reason.STORE_UNAVAILABLE, error=error)
        except Exception as error:  # noqa: BLE001 - fail closed: a bug is silence, never an answer
            self._silent(login, Reason.INTERNAL_ERROR, exception=error)

    def _load(self, login: Login) -> None:
        login.now = self._clock()
        self._look_again(login)

    def _look_again(self, login: Login) -> None:
        request = login.request
        if request.user_name is None:
            self._decide(login)
        else:
            done = partial(self._looked, login)
            self._store.load(request.user_name, request.state, request.nas.name, request.caller, login.now, done)

    def _looked(self, login: Login, looked: Looked) -> None:
        """Go on with what the store knows, where it knows anything."""
        if isinstance(looked, StoreUnavailableError):
            self._silent(login, Reason.STORE_UNAVAILABLE, error=looked)
            return
        primary = login.known.primary
        login.known = replace(looked, primary=primary) if primary else looked
        self._guarded(login, self._decide)

    def _decide(self, login: Login) -> None:
        now = login.now  # of one moment, however long a backend takes: or its answer could be taken for another one's
        regime = login.regime
        outcome = decide(login.request, login.known, now, login.nonce, regime.rules, regime.factors)
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

    def _ask(self, login: Login, need: NeedPrimary) -> None:
        """Ask a primary backend, and wait for it no longer than any NAS would wait for us."""
        request, user = login.request, login.known.user
        now, client = self._loop.time(), login.client
        until = min(login.arrived + client.timeout * client.tries, now + PATIENCE)
        name, nas = request.user_name or "", client.nas.name
        question = Question(name, need.password, user, request.attributes, need.relay, nas, until)
        waiting = Waiting(login, need, self._loop.call_at(now + PATIENCE, self._give_up, login))
        login.waiting = waiting
        if until <= now:
            self._give_up(login)
            return
        try:
            login.regime.primaries[need.backend].verify(question, lambda answer: self._answered(waiting, answer))
        except Exception as error:
            if login.waiting is waiting:
                raise
            # it had answered before it broke, and the login goes its way
            self._drop(Reason.INTERNAL_ERROR, login.datagram.source[0], login.client.nas.name, exception=error)

    def _give_up(self, login: Login) -> None:
        self._guarded(login, lambda login: self._silent(login, Reason.PRIMARY_UNAVAILABLE))

    def _answered(self, waiting: Waiting, answer: PrimaryAnswer) -> None:
        """The primary backend's answer, from whichever thread."""
        if threading.get_ident() == self._thread:
            self._take_answer(waiting, answer)
        else:
            with suppress(RuntimeError):  # the loop has ended, and the login with it
                self._loop.call_soon_threadsafe(self._take_answer, waiting, answer)

    def _take_answer(self, waiting: Waiting, answer: PrimaryAnswer) -> None:
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

    def _recognise(self, login: Login, backend: str, answer: PrimaryAnswer) -> None:
        """Find out whether whom the directory means is known here under another name."""
        user = login.known.user
        identity = None if answer.account is None else answer.account.id
        if answer.verdict is Verdict.PASSED:
            name, known = login.request.user_name or "", login.known
            if identity is not None and (user is None or user.directory_id != identity):
                known = replace(known, namesake=self._store.namesake(name, backend, identity))
            if login.regime.rules.may_waive() and (user is None or not user.enrolled):
                known = replace(known, has_kin=self._store.has_kin(name, backend, identity))
            login.known = known
        self._decide(login)

    # --- committing -------------------------------------------------------------------------------------------------

    def _commit(self, login: Login, outcome: Reply, now: float) -> None:
        if isinstance(outcome, Accept):
            outcome = self._spell_out(login, outcome)
        event = event_of(login, outcome, now, self._loop.time() - login.arrived)
        self._store.commit(outcome.effects, event, partial(self._guarded, login, self._conclude, outcome, event))

    def _spell_out(self, login: Login, outcome: Accept) -> Reply:
        """Encode the Access-Accept before the code is spent: what cannot be said is a refusal."""
        try:
            login.reply = spelled_out(login, outcome)
        except UnsayableReply as error:
            self._drop(Reason.UNSAYABLE_REPLY, login.datagram.source[0], login.client.nas.name, error=error)
            return Reject(Reason.UNSAYABLE_REPLY, token=outcome.token)
        except OversizedReply:
            return Reject(Reason.OVERSIZED_REPLY, token=outcome.token)
        return outcome

    def _conclude(self, login: Login, outcome: Reply, event: Event, result: Committed) -> None:
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

    # --- out --------------------------------------------------------------------------------------------------------

    def _reply(self, login: Login, outcome: Reply) -> None:
        match outcome:
            case Accept():
                self._send(login, Code.ACCESS_ACCEPT, login.reply, f"accepted:{outcome.reason}")
            case Challenge():
                send = self._send_later if outcome.unhurried else self._send
                asked = question(login.client, outcome)
                send(login, Code.ACCESS_CHALLENGE, asked, f"challenged:{outcome.reason}")
            case Reject():
                if outcome.reason is Reason.MSCHAP_NOT_POSSIBLE:
                    self._advise_about_mschap(login)
                self._send_later(login, Code.ACCESS_REJECT, (), f"rejected:{outcome.reason}")

    def _advise_about_mschap(self, login: Login) -> None:
        client = login.client
        if self._tally.worth_saying("mschap", client.nas.name):
            self._journal.note("warning", "packet.mschap", message=mschap_advice(client.nas.name, client.profile))

    def _send_later(self, login: Login, code: Code, attributes: tuple[tuple[int, bytes], ...], fate: str) -> None:
        """Let it leave at the same moment after arrival whatever was found out, so that time tells nothing."""
        at = login.arrived + login.client.reject_delay
        if at <= self._loop.time():
            self._send(login, code, attributes, fate)
        else:
            self._loop.call_at(at, self._guarded, login, lambda login: self._send(login, code, attributes, fate))

    def _send(self, login: Login, code: Code, attributes: tuple[tuple[int, bytes], ...], fate: str) -> None:
        try:
            reply = encode_reply(code, login.packet, attributes, login.secret, sign=login.client.sign_replies)
        except OversizedReply:
            self._silent(login, Reason.OVERSIZED_REPLY)
            return
        now = self._loop.time()
        self._duplicates.finish(login.key, reply, now)
        if not login.listener.send(reply, login.datagram):
            self.counters["unsent_reply"] += 1
        self.counters[_SENT[code]] += 1
        login.sighting.latency = now - login.arrived
        self._ended(login, fate)

    def _silent(self, login: Login, reason: Reason, **what: BaseException) -> None:
        """No answer, and no memory of the request: the NAS's retransmission is a new chance."""
        if login.is_over:
            return
        if login.waiting is not None:
            login.waiting.deadline.cancel()
            login.waiting = None
        self._duplicates.forget(login.key)
        self._drop(reason, login.datagram.source[0], login.client.nas.name, **what)
        self._ended(login, reason)

    def _ended(self, login: Login, fate: str) -> None:
        login.is_over = True
        login.sighting.fate = fate
        self._in_work -= 1
        if self._in_work == 0:
            self._idle.set()
        regime = login.regime
        regime.in_work -= 1
        if regime.in_work == 0 and regime is not self._regime:
            self._loop.call_soon(self._close_retired)  # not from within a backend's own answer

    def _drop(self, reason: str, source: str, nas: str = "", **what: BaseException) -> None:
        self._tally.drop(reason, source, nas, **what)
