"""A crowd that logs in again and again while something goes wrong, and the judge of what became of it.

It remembers every code it has sent and every answer it has got, and believes nothing else; a code that was let in once
and gets in again is a failed test, at any moment and by any way. RFC 4226 7.2 and RFC 6238 5.2 (no code counts twice),
RFC 5080 2.2.1 (who hears nothing sends the same packet again).
"""

from __future__ import annotations

import json
import random
import selectors
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.daemon.site import CHALLENGE, CODE_ONLY, PASSWORD, SECRET, Daemon, Person, Site
from tests.daemon.wire import PATIENCE, Peer, gather, read, request

RESEND: Final = 0.2
"""Seconds after which a NAS that has heard nothing sends the same packet again."""

_ACCEPT: Final = 2
_FURTHEST: Final = 990
_REPLAYED_AT_ONCE: Final = 200
"""Wrong codes in a row that are far from locking anybody."""
_KINDS: Final = ("hotp",) * 5 + ("totp",) * 3
_DOORS: Final = (CODE_ONLY, CODE_ONLY, CODE_ONLY, CHALLENGE, CHALLENGE, CODE_ONLY, CODE_ONLY, CHALLENGE)


def found(folder: Path, **sections: str) -> tuple[Site, list[Person]]:
    """A site with five people who have a fob with a button and three who have one with a clock.

    Replaying locks nobody there, and a fob with a clock can be pressed a thousand times in a row.
    """
    usual = {
        "throttle": "{max_failures: 1000, caller_max_failures: 1000000}",
        "totp": "{steps_either_side: 10, max_drift: 1000}",
    }
    site = Site.make(folder, **(usual | sections))  # type: ignore[arg-type]  # no section has the name of an argument
    return site, [site.person(f"{kind}{at}", kind) for at, kind in enumerate(_KINDS)]


@dataclass(eq=False, slots=True)
class Try:
    """A packet that was sent, and what came of it."""

    octets: bytes
    number: int | None
    """The count, or the time step, whose code it carries; None: it carries a password."""
    kind: str | None = None
    """What was answered; None: nothing that ever arrived."""
    reply: bytes = b""

    def is_answered_by(self, raw: bytes) -> bool:
        """Whether a reply belongs to this packet, by the secret of both."""
        try:
            read(raw, self.octets, SECRET)
        except AssertionError:
            return False
        return True


@dataclass(eq=False, slots=True)
class Member:
    """One person with one fob, who always comes through the same door."""

    person: Person
    door: str
    number: int
    """The count, or the time step, whose code the fob shows next."""
    first: int
    tries: list[Try] = field(default_factory=list)
    """Every code that was sent."""
    peers: list[Peer] = field(default_factory=list)
    """The ways to the daemons through that door: one for each."""
    others: list[Peer] = field(default_factory=list)
    """The same for whoever has only a code."""
    state: bytes | None = None
    """The question that was asked and is not answered yet."""
    asked: Try | None = None
    """What waits for its answer."""
    asked_at: float = 0.0
    in_doubt: bool = False
    """Whether the code ``number`` may have been taken without our hearing of it."""

    @property
    def accepted(self) -> list[int]:
        """The numbers of all codes that were let in, oldest first."""
        return [one.number for one in self.tries if one.kind == "accept" and one.number is not None]

    @property
    def used(self) -> list[int]:
        """The numbers of all codes that were let in, or are spent without our having heard of it."""
        return sorted({one.number for one in self.tries if one.number is not None and one.number < self.number})

    def shows_one(self) -> bool:
        """Whether the fob has another code for now: one with a clock can be pressed ahead, but not for ever."""
        return self.person.fob.kind == "hotp" or self.number - time.time() // self.person.fob.step < _FURTHEST

    def ask(self, chance: random.Random) -> None:
        """Send what comes next: the password, where a door asks for it first, or the code."""
        name = self.person.name
        if self.door == CHALLENGE and self.state is None:
            self.asked = Try(request(SECRET, name, PASSWORD.encode()), None)
        else:
            code = self.person.code_at(self.number).encode()
            self.asked = Try(request(SECRET, name, code, self.state), self.number)
            self.tries.append(self.asked)
        self._send(self.asked, chance)

    def ask_again(self, chance: random.Random) -> None:
        """Send the same packet once more; whatever comes now, the first may have done its work unheard."""
        assert self.asked is not None
        self.in_doubt |= self.asked.number is not None
        self._send(self.asked, chance)

    def _send(self, one: Try, chance: random.Random) -> None:
        self.asked_at = time.monotonic()
        chance.choice(self.peers).send(one.octets)

    def hear(self, raw: bytes) -> None:
        """Take an answer down. A good code that is refused, and cannot have been used, is a failed test."""
        if self.asked is None or not self.asked.is_answered_by(raw):
            self._hear_late(raw)
            return
        one, self.asked = self.asked, None
        reply = read(raw, one.octets, SECRET)
        one.kind, one.reply = reply.kind, raw
        if one.number is None:
            assert reply.kind == "challenge", f"{self.person.name}: {reply.kind} for a right password"
            self.state = reply.state
            return
        assert reply.kind == "accept" or self.in_doubt, f"{self.person.name}: a good code was refused"
        assert self.accepted.count(one.number) <= 1, "one code was let in twice"
        self.number += 1
        self.state, self.in_doubt = None, False

    def _hear_late(self, raw: bytes) -> None:
        """The answer to a packet that was sent more than once; only the second of two nodes may say anything else."""
        for one in self.tries[-4:]:
            if one.is_answered_by(raw) and raw != one.reply and raw[0] == _ACCEPT:
                assert self.accepted.count(one.number or 0) == 0, "one code was let in twice"
                one.kind, one.reply = "accept", raw

    def lose_touch(self, peers: Sequence[Peer], others: Sequence[Peer]) -> None:
        """The daemons are gone and others are there: what waits for an answer will not get it."""
        self.in_doubt |= self.asked is not None and self.asked.number is not None
        self.asked = None
        self.peers[:] = peers
        self.others[:] = others


@dataclass(slots=True)
class Crowd:
    """All of them, and a thief among them, who tries what must never work."""

    site: Site
    chance: random.Random
    members: list[Member]
    _thiefs: list[Peer] = field(default_factory=list)
    _stolen: bytes = b""
    _stolen_at: float = 0.0
    thefts: int = 0
    """Answers that the thief got: refusals all."""

    @classmethod
    def of(cls, site: Site, people: Sequence[Person], seed: int) -> Crowd:
        """These people, each at the door that is theirs; ``seed`` plays it again."""
        print(f"seed {seed}")  # noqa: T201
        now = int(time.time()) // 30
        firsts = [0 if person.fob.kind == "hotp" else now for person in people]
        members = [
            Member(person, door, first, first) for person, door, first in zip(people, _DOORS, firsts, strict=True)
        ]
        return cls(site, random.Random(seed), members)

    @property
    def answers(self) -> int:
        """How many codes were answered so far."""
        return sum(one.kind is not None for member in self.members for one in member.tries)

    @property
    def waiting(self) -> int:
        """How many codes wait for their answer."""
        return sum(member.asked is not None and member.asked.number is not None for member in self.members)

    @contextmanager
    def facing(self, *daemons: Daemon) -> Iterator[None]:
        """Stand before these daemons; each packet goes to any of them, also one that continues a login."""
        with ExitStack() as opened:
            self.turn_to(opened, *daemons)
            yield

    def turn_to(self, opened: ExitStack, *daemons: Daemon) -> None:
        """The same, when the caller closes the sockets."""
        for member in self.members:
            doors = [opened.enter_context(daemon.peer(member.door)) for daemon in daemons]
            member.lose_touch(doors, [opened.enter_context(daemon.peer(CODE_ONLY)) for daemon in daemons])
        self._thiefs[:] = [opened.enter_context(daemon.peer(CODE_ONLY)) for daemon in daemons]
        self._stolen = b""

    # --- working -----------------------------------------------------------------------------------------------------

    def log_in(self, logins: int) -> None:
        """Let so many codes be answered, and then all that are on their way."""
        self.press_on(logins)
        self.finish()

    def press_on(self, logins: int, who: Collection[Member] | None = None) -> None:
        """Let so many codes be answered, and leave others on their way."""
        until = self.answers + logins
        self.work(lambda: self.answers >= until, who)

    def work(self, enough: Callable[[], bool], who: Collection[Member] | None = None) -> None:
        """All, or those, log in again as soon as the answer is there; ``enough`` is asked after each and meanwhile."""
        working = self.members if who is None else who
        heard_at = time.monotonic()
        with selectors.DefaultSelector() as selector:
            for member in self.members:
                for peer in member.peers:
                    selector.register(peer.socket, selectors.EVENT_READ, (peer, member))
            for peer in self._thiefs:
                selector.register(peer.socket, selectors.EVENT_READ, (peer, None))
            while not enough():
                self._send(working)
                ready = selector.select(RESEND / 10)
                now = time.monotonic()
                for key, _ in ready:
                    self._take(*key.data)
                    heard_at = now
                assert now < heard_at + PATIENCE, "nobody answers any more"

    def finish(self) -> None:
        """Wait for what is on its way, and ask for nothing more."""
        self.work(lambda: not any(member.asked is not None for member in self.members), who=())

    def forget_questions(self) -> None:
        """Whoever was asked for a code begins anew."""
        for member in self.members:
            member.state = None

    def hear_the_last(self) -> None:
        """Take down what had left before the daemon was killed: it has arrived."""
        for member in self.members:
            for peer in member.peers:
                for raw in peer.waiting():
                    member.hear(raw)
        for peer in self._thiefs:
            for raw in peer.waiting():
                self._thief_hears(raw)

    def _send(self, working: Collection[Member]) -> None:
        overdue = time.monotonic() - RESEND
        for member in self.members:
            if member.asked is not None:
                if member.asked_at < overdue:
                    member.ask_again(self.chance)
            elif member in working and member.shows_one():
                member.ask(self.chance)
        if working and (not self._stolen or self._stolen_at < overdue):
            self._steal()

    def _take(self, peer: Peer, member: Member | None) -> None:
        for raw in peer.waiting():
            if member is None:
                self._thief_hears(raw)
            else:
                member.hear(raw)

    # --- what must never work ----------------------------------------------------------------------------------------

    def _steal(self) -> None:
        """Try a used code, a wrong one, or a password alone, in somebody else's name."""
        victim = self.chance.choice(self.members)
        used = victim.accepted
        tool = self.chance.choice(["used", "used", "used", "wrong", "half"])
        if tool == "used" and used:
            credentials = victim.person.code_at(self.chance.choice([used[-1], self.chance.choice(used)]))
        elif tool == "half":
            credentials = PASSWORD
        else:
            credentials = f"{self.chance.randrange(10**7):07d}"  # eight digits could be a right code by chance
        self._stolen = request(SECRET, victim.person.name, credentials.encode())
        self._stolen_at = time.monotonic()
        self.chance.choice(self._thiefs).send(self._stolen)

    def _thief_hears(self, raw: bytes) -> None:
        assert raw[0] != _ACCEPT, "somebody got in with a used code, a wrong one or a password alone"
        self.thefts += 1
        self._stolen = b""

    # --- judging -----------------------------------------------------------------------------------------------------

    def judge(self, *, everything: bool = False) -> None:
        """Nothing used is of use, what was cut off happened once or not at all, and everybody's next code works."""
        self._compare_with_the_store()
        self.replay(everything=everything)
        self.finish()  # who was cut off in the middle of a login asks again here
        self._everybody_once()

    def _compare_with_the_store(self) -> None:
        """No count that was accepted is lost, and none was taken that nobody has sent."""
        tokens = {token["serial"]: token for token in json.loads(self.site.cli("token", "list", "--json"))}
        for member in self.members:
            fob = member.person.fob
            spent = tokens[fob.serial]["moving_factor"] + (fob.kind == "totp")
            if member.accepted:
                assert spent > member.accepted[-1], f"{member.person.name}: a used code was forgotten"
                assert spent - member.number in ({0, 1} if member.in_doubt else {0}), (
                    f"{member.person.name}: over-advance"
                )

    def replay(self, *, everything: bool) -> None:
        """Send codes again that are spent: of each member the last and some, or all that there ever were."""
        again = {}
        for member in self.members:
            used = member.used
            again[member] = used[::-1] if everything else used[-1:] + self.chance.sample(used, min(3, len(used)))
        for at in range(max(map(len, again.values()))):
            asked = [
                (self.chance.choice(member.others), request(SECRET, member.person.name, code.encode()))
                for member, numbers in again.items()
                if at < len(numbers) and (code := member.person.code_at(numbers[at]))
            ]
            for peer, octets in asked:
                peer.send(octets)
            assert "accept" not in {reply.kind for reply in gather(asked)}, "a used code was let in again"
            if at % _REPLAYED_AT_ONCE == _REPLAYED_AT_ONCE - 1:
                self._everybody_once()  # who has logged in has no failures: what was refused above was not the lock

    def _everybody_once(self) -> None:
        begun = {member: len(member.accepted) for member in self.members if member.shows_one()}
        self.work(lambda: all(len(member.accepted) > count for member, count in begun.items()))
        self.finish()
