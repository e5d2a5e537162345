"""A station: a place of ours with a key reader, where people touch their key for a login that waits somewhere else.

It shows whose login waits, at which client, and the code that the person's own prompt shows too; then it asks the key
and hands in what was signed. It decides nothing and holds no secret, and while it is broken every other way to log in
works. The daemon judges by WebAuthn 7.2; where two logins as one person wait at once, no touch is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Final

from radiusd2fa.core.ceremonies import StationAnswer
from radiusd2fa.core.responder import client_data, match_code, station_challenge
from radiusd2fa.core.rules import FidoRules, Station
from radiusd2fa.keys.asking import ask
from radiusd2fa.keys.model import Answer, Failed, FailureReason, FoundKey, Signed, SignRequest
from radiusd2fa.laptop.screen import Screen, harmless
from radiusd2fa.laptop.touching import Messenger, touch_or_type
from radiusd2fa.store.address import Address
from radiusd2fa.store.errors import StoreError
from radiusd2fa.store.waiting import Waiting, WaitingRoom

LOOK_AGAIN: Final = 0.3
"""Seconds between two looks at the logins that wait, and at the keys that are there."""
TRY_AGAIN: Final = 1.0
"""Seconds after which a database that did not answer is opened again."""
ALIVE_EVERY: Final = 30.0
TOUCH: Final = 20.0
"""Seconds that a key blinks for one login before others that wait get their turn."""
MOST_SHOWN: Final = 6

FindKeys = Callable[[], list[FoundKey]]


@dataclass(slots=True)
class StationDesk:
    """One station at work. ``database`` is opened anew by each thread; ``clock`` is in seconds since 1970."""

    station: Station
    fido: FidoRules
    database: Address
    find_keys: FindKeys
    screen: Screen
    clock: Callable[[], float] = time.time
    trouble: Callable[[], str | None] = lambda: None
    """Why no key can be read here, in one sentence; None when one could."""
    _refused: set[bytes] = field(default_factory=set)
    _not_held: dict[bytes, list[FoundKey]] = field(default_factory=dict)
    """The logins for which the keys named here hold no credential: they wait until other keys are there."""
    _said: str = ""

    def run(self, stop: Event) -> None:
        """Serve until the event is set. A database that does not answer is waited for."""
        while not stop.is_set():
            try:
                with WaitingRoom(self.database) as room:
                    self._serve(room, stop)
            except StoreError as error:
                self._say(f"{self.station.name}: the database does not answer ({error}); trying again")
                stop.wait(TRY_AGAIN)

    def _serve(self, room: WaitingRoom, stop: Event) -> None:
        next_sign = 0.0
        while not stop.is_set():
            now = self.clock()
            keys = self.find_keys()
            if now >= next_sign:
                room.seen(self.station.name, now, ", ".join(key.name for key in keys) or "no key")
                next_sign = now + ALIVE_EVERY
            waiting = room.waiting(self.station.clients, now)
            nonces = {one.nonce for one in waiting}
            self._refused &= nonces
            self._not_held = {nonce: tried for nonce, tried in self._not_held.items() if nonce in nonces}
            open_ones = [one for one in waiting if self._may_be_touched(one)]
            # where several wait, only those are shown alone for whom the keys that are here may be good
            turns = open_ones if len(open_ones) == 1 else [one for one in open_ones if self._may_be_here(one, keys)]
            for one in turns:
                if not stop.is_set():
                    self._attend(room, one, stop)
            if not turns:
                idle = _crowd(open_ones) if open_ones else self._idle(waiting, keys)
                self._say(idle + self._why_no_key(keys))
                stop.wait(LOOK_AGAIN)

    def _idle(self, waiting: Sequence[Waiting], keys: Sequence[FoundKey]) -> str:
        contested = [one for one in waiting if one.contested]
        if contested:
            users = sorted({harmless(one.user) for one in contested})
            until = time.strftime("%H:%M:%S", time.localtime(max(one.expires for one in contested)))
            return (
                f"Two logins as {' and as '.join(users)} at once, so no touch counts here. If you have begun only "
                f"one of them, somebody else has your password; if both are yours, begin again after {until}."
            )
        held = any(key.transport == "nfc" for key in keys)
        also = " The key on the reader is not needed: no login waits." if held else ""
        return f"{self.station.name}: waiting for a login at {' or '.join(sorted(self.station.clients))}.{also}"

    def _why_no_key(self, keys: Sequence[FoundKey]) -> str:
        why = None if keys else self.trouble()
        return "" if why is None else f" No key can be read here: {harmless(why)}"

    def _attend(self, room: WaitingRoom, one: Waiting, stop: Event) -> None:
        """Ask for the touch of one login, and hand in what comes of it."""
        challenge = station_challenge(one.nonce, one.user, one.nas, self.station.name)
        signed_text = client_data(challenge, self.fido.origin)
        request = SignRequest(self.fido.rp_id, signed_text, one.credentials, one.user_verification)

        def work(messenger: Messenger, cancel: Event) -> Answer:
            with self._watching(one, cancel, stop) as crowd:
                return self._ask(one, request, messenger, cancel, crowd)

        self._say(
            f"{harmless(one.user)} logs in at {harmless(one.nas)}. Code {match_code(one.nonce)}: "
            "touch your key only if your own prompt shows the same code."
        )
        answer = touch_or_type(work, self.screen, may_type=False)
        match answer:
            case Signed():
                text = StationAnswer(
                    self.station.name, answer.credential_id, signed_text, answer.authenticator_data, answer.signature
                )
                taken = room.bring(one.nonce, str(text), self.clock())
                self._say("Now press Enter at your prompt." if taken else "That login has ended meanwhile.")
            case Failed(FailureReason.CANCELLED) if stop.is_set():
                pass
            case Failed(FailureReason.CANCELLED) if not self._waits(room, one):
                self._say(f"The login of {harmless(one.user)} has ended.")
            case Failed(FailureReason.CANCELLED):
                self._refused.add(one.nonce)
                self._say(f"The login of {harmless(one.user)} was turned away here.")
            case Failed(FailureReason.NO_CREDENTIAL | FailureReason.NO_KEY | FailureReason.TIMED_OUT):
                stop.wait(LOOK_AGAIN)
            case Failed(_, detail):
                self._say(detail)
                stop.wait(LOOK_AGAIN)
            case _:
                self._say("The key has done something else than sign.")
                stop.wait(LOOK_AGAIN)

    def _ask(self, one: Waiting, request: SignRequest, messenger: Messenger, cancel: Event, crowd: Event) -> Answer:
        """Ask the keys that are there, and again when others are there; give way where others wait as well."""
        asked: list[FoundKey] | None = None
        while not cancel.is_set():
            keys = self.find_keys()
            if keys != asked:
                asked = keys
                if keys:
                    messenger.state("Looking at your key")
                    answer = ask(keys, request, messenger, timeout=TOUCH, cancel=cancel)
                    if not isinstance(answer, Failed) or answer.reason is not FailureReason.NO_CREDENTIAL:
                        return answer
                    self._not_held[one.nonce] = keys
                messenger.state(
                    "Another key is here: plug in your own" if keys else "Plug in your key, or hold it here"
                )
            if crowd.is_set():
                return Failed(FailureReason.NO_CREDENTIAL, "This key belongs to somebody else.")
            cancel.wait(LOOK_AGAIN)
        return Failed(FailureReason.CANCELLED, "No key was used.")

    @contextmanager
    def _watching(self, one: Waiting, cancel: Event, stop: Event) -> Iterator[Event]:
        """Cancel as soon as nobody waits for this touch any more, or a second login makes it worthless.

        The event that is handed out is set when somebody else waits here too.
        """
        done, crowd = Event(), Event()

        def watch() -> None:
            try:
                with WaitingRoom(self.database) as room:
                    while not done.wait(LOOK_AGAIN):
                        eligible = self._eligible(room)
                        if stop.is_set() or one.nonce not in eligible:
                            cancel.set()
                            return
                        if len(eligible) > 1:
                            crowd.set()
            except StoreError:
                cancel.set()

        thread = Thread(target=watch, name="watch", daemon=True)
        thread.start()
        try:
            yield crowd
        finally:
            done.set()
            thread.join()

    def _may_be_touched(self, one: Waiting) -> bool:
        return not one.contested and one.nonce not in self._refused

    def _may_be_here(self, one: Waiting, keys: list[FoundKey]) -> bool:
        return bool(keys) and self._not_held.get(one.nonce) != keys

    def _eligible(self, room: WaitingRoom) -> set[bytes]:
        waiting = room.waiting(self.station.clients, self.clock())
        return {one.nonce for one in waiting if self._may_be_touched(one)}

    def _waits(self, room: WaitingRoom, one: Waiting) -> bool:
        return one.nonce in self._eligible(room)

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self.screen.say(text)


def _crowd(waiting: Sequence[Waiting]) -> str:
    """What to say while several people wait and nobody's key is here."""
    logins = [
        f"{harmless(one.user)} at {harmless(one.nas)} (code {match_code(one.nonce)})" for one in waiting[:MOST_SHOWN]
    ]
    more = f" and {len(waiting) - MOST_SHOWN} more" if len(waiting) > MOST_SHOWN else ""
    return f"Waiting: {', '.join(logins)}{more}. Bring your key; touch it only for the code that your own prompt shows."
