"""Who knows the people's passwords in a conversation: directories, and upstream servers that ask questions.

They stand in the place of real ones behind the program's own Primary protocol, and can be changed while people talk;
what they are asked is counted. They judge nothing that is ours to judge.
An upstream's questions are those of RFC 2865 4.4; real servers are asked in tests/primary and tests/directory.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from dataclasses import dataclass, field, replace
from typing import Final

from radiusd2fa.core.model import Account, PrimaryAnswer, Reason, Relay, Verdict
from radiusd2fa.primary import Done, Question
from radiusd2fa.settings import BackendSettings

from .attributes import attribute_of, is_attribute
from .transcript import Line, Setting, octets, options

STANDINGS: Final = {
    "password-expired": Reason.PASSWORD_EXPIRED,
    "locked": Reason.ACCOUNT_LOCKED,
    "expired": Reason.ACCOUNT_EXPIRED,
    "disabled": Reason.ACCOUNT_DISABLED,
}
"""Why a directory lets somebody not in whose password is right."""

_PERSON: Final = ("password", "id", "groups", "in", "asks", *STANDINGS)
_ROUND: Final = re.compile(r'("(?:[^"\\]|\\.)*")(->|=>)([^,]+)')
_UNAVAILABLE: Final = PrimaryAnswer(Verdict.UNAVAILABLE)
_REFUSED: Final = PrimaryAnswer(Verdict.REFUSED)


@dataclass(frozen=True, slots=True)
class Round:
    """A question of an upstream server, and its answer."""

    prompt: str
    hidden: bool
    answer: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whom an authority knows."""

    name: str
    password: bytes = field(repr=False)
    id: str | None
    groups: tuple[str, ...] = ()
    standing: Reason | None = None
    rounds: tuple[Round, ...] = ()
    gives: tuple[tuple[int, bytes], ...] = ()
    """What an upstream wants in the Access-Accept."""


@dataclass(slots=True)
class Authority:
    """A directory (``ldap``) or an upstream server (``radius``)."""

    name: str
    kind: str
    words: frozenset[str]
    pass_back: str = ""
    people: list[Person] = field(default_factory=list)
    away: bool = False
    asked: list[str] = field(default_factory=list)
    """The names that it was asked about: with `?` behind them where no password came with the question."""
    states: dict[bytes, tuple[Person, int]] = field(default_factory=dict)
    """An upstream's open questions."""

    def section(self) -> str:
        """Return how the configuration file speaks of it."""
        if self.kind == "radius":
            server = '{address: 192.0.2.50, secret: "what it shares with radiusd2fa"}'
            return f"{{kind: radius, servers: [{server}], pass_back: [{self.pass_back}]}}"
        found = 'bind_template: "uid={name},dc=example"' if "blind" in self.words else 'base: "dc=example"'
        return f'{{kind: ldap, servers: ["ldaps://{self.name}.example.org"], {found}}}'

    def knows(self, person: Person) -> None:
        """Put somebody in the place of whoever had that name."""
        self.people = [*(one for one in self.people if one.name != person.name), person]

    def answer(self, question: Question) -> PrimaryAnswer:
        """Say what it knows."""
        self.asked.append(question.name + ("?" if question.password is None else ""))
        if self.away:
            return _UNAVAILABLE
        if question.password == b"" and question.relay is None:
            return PrimaryAnswer(Verdict.REFUSED, reason=Reason.EMPTY_PASSWORD)
        return self._upstream(question) if self.kind == "radius" else self._directory(question)

    def _directory(self, question: Question) -> PrimaryAnswer:
        password = question.password
        if password is None and "blind" in self.words:
            return PrimaryAnswer(Verdict.PASSED)
        found = [one for one in self.people if self._spelled(one.name) == self._spelled(question.name)]
        if len(found) != 1:
            reason = Reason.ACCOUNT_AMBIGUOUS if found else Reason.ACCOUNT_UNKNOWN
            return PrimaryAnswer(Verdict.REFUSED, reason=reason)
        [person] = found
        if password not in (None, person.password):
            return _REFUSED
        if person.standing is not None:
            return PrimaryAnswer(Verdict.REFUSED, reason=person.standing)
        return PrimaryAnswer(Verdict.PASSED, account=Account(person.id, person.groups))

    def _spelled(self, name: str) -> str:
        """Width, case and blanks are nothing to many directories (RFC 4518 2.3 and 2.6.1)."""
        loose = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
        return loose if "loose" in self.words else name

    def _upstream(self, question: Question) -> PrimaryAnswer:
        person = next((one for one in self.people if one.name == question.name), None)
        if question.password is None:
            return PrimaryAnswer(Verdict.PASSED)
        done = 0
        if question.relay is None:
            right = person is not None and question.password == person.password
        else:  # a State is good for one answer, here as well
            asked, done = self.states.pop(question.relay.state, (None, 0))
            right = person is not None and asked is person and question.password == person.rounds[done - 1].answer
            right = right and question.relay.server == f"{self.name} 1"
        if person is None or not right:
            return _REFUSED
        if done < len(person.rounds):
            state = b"\0\xff%d" % (len(self.asked))
            self.states[state] = person, done + 1
            one = person.rounds[done]
            relay = Relay(one.prompt, state, f"{self.name} 1", hidden=one.hidden)
            return PrimaryAnswer(Verdict.CHALLENGED, relay=relay)
        return PrimaryAnswer(Verdict.PASSED, account=Account(), attributes=person.gives)


class Desk:
    """Where an authority is asked, for as long as one daemon lives: a Primary."""

    def __init__(self, authority: Authority, settings: BackendSettings) -> None:
        if settings.kind != authority.kind:
            raise AssertionError(f"{authority.name} is of kind {settings.kind} in the settings")
        self._authority = authority
        self._threads: list[threading.Thread] = []
        self._closed = False

    def verify(self, question: Question, done: Done) -> None:
        """Answer at once, or from another thread where the authority is slow."""
        answer = _UNAVAILABLE if self._closed else self._authority.answer(question)
        if "slow" in self._authority.words:
            self._threads.append(threading.Thread(target=done, args=(answer,)))
            self._threads[-1].start()
        else:
            done(answer)

    def close(self) -> None:
        """Answer nothing more."""
        self._closed = True
        for thread in self._threads:
            thread.join()


# --- from the transcript ---------------------------------------------------------------------------------------------


def authorities_in(head: tuple[Setting, ...]) -> dict[str, Authority]:
    """Return the directories and upstreams of a conversation with whom they know."""
    found: dict[str, Authority] = {}
    for setting in head:
        name, *words = setting.words
        if setting.noun == "directory":
            wanted = options(tuple(words), setting.line, "blind", "loose", "slow", "away")
            found[name] = Authority(name, "ldap", frozenset(wanted), away="away" in wanted)
        elif setting.noun == "upstream":
            wanted = options(tuple(words), setting.line, "pass_back", "slow", "away")
            back = wanted.get("pass_back", "")
            found[name] = Authority(name, "radius", frozenset(wanted), back, away="away" in wanted)
        elif setting.noun == "person":
            where = dict(word.partition("=")[::2] for word in words).get("in") or next(iter(found), "")
            _authority(found, where, setting.line).people.append(_person(setting.words, setting.line))
    return found


def let_happen(authorities: dict[str, Authority], who: str, verb: str, words: tuple[str, ...], line: Line) -> None:
    """Let something happen at an authority: ``= corp forgets bob``."""
    authority = _authority(authorities, who, line)
    match verb, words:
        case "knows", (_, *_):
            authority.knows(_person(words, line))
        case "forgets", (name,):
            authority.people = [one for one in authority.people if one.name != octets(name).decode()]
        case "renames", (old, "to", new):
            renamed = [one for one in authority.people if one.name == octets(old).decode()]
            authority.people = [one for one in authority.people if one not in renamed]
            authority.people += [replace(one, name=octets(new).decode()) for one in renamed]
        case "is", ("away" | "back" as where,):
            authority.away = where == "away"
        case _:
            raise line.fault("at an authority: knows NAME …, forgets NAME, renames NAME to NAME, is away, is back")


def _authority(authorities: dict[str, Authority], name: str, line: Line) -> Authority:
    if name not in authorities:
        raise line.fault(f"there is no directory and no upstream {name}")
    return authorities[name]


def _person(words: tuple[str, ...], line: Line) -> Person:
    name, *about = words
    wanted = options(tuple(word for word in about if not is_attribute(word)), line, *_PERSON)
    given = [word.partition("=")[::2] for word in about if is_attribute(word)]
    rounds = _ROUND.findall(wanted.get("asks", ""))
    spelled = octets(name).decode()
    identity = wanted.get("id", f"id of {spelled}")
    return Person(
        spelled,
        octets(wanted.get("password", "")),
        None if identity == "none" else identity,
        tuple(filter(None, wanted.get("groups", "").split(","))),
        next((STANDINGS[word] for word in wanted if word in STANDINGS), None),
        tuple(Round(octets(ask).decode(), arrow == "->", octets(answer)) for ask, arrow, answer in rounds),
        tuple(attribute_of(key, octets(value)) for key, value in given),
    )
