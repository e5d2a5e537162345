"""Plays a conversation and compares: every reply, its form, and what was written down about it.

It decides nothing about a login; a difference ends with file, line, what was expected and what came.
The audit is what store.registry shows; the replies are those of RFC 2865 4.2 to 4.4.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from typer.testing import CliRunner

from radiusd2fa.cli.app import app
from radiusd2fa.core.model import Event
from radiusd2fa.emulators.nas import Answer
from radiusd2fa.store.registry import Registry

from .asking import Asking
from .attributes import in_words, is_attribute, shown
from .authorities import let_happen
from .configuration import Device
from .keychain import asked_in
from .replies import describe, form_fault, likeness, quoted, said_in
from .scenery import Site, reconfigure
from .stage import Stage
from .touching import Touching
from .transcript import (
    AtStation,
    Changing,
    Command,
    Conversation,
    Line,
    Packet,
    Passing,
    Restart,
    Step,
    Written,
    octets,
)

OUTCOMES: Final = {"accept": "accepted", "reject": "rejected", "challenge": "challenged"}
ASIDE: Final = {"token.cloned", "token.activated", "token.assigned", "breakglass.used"}
"""Rows besides that of the decision; a transcript that wants to see one names it."""


class WentOtherwiseError(AssertionError):
    """The conversation did not go as its transcript says."""


def otherwise(line: Line, expected: str, got: str, more: str = "") -> WentOtherwiseError:
    """Return the error, to be raised: where, what was expected, what came."""
    said = f"{line.file}:{line.number}: {line.text.strip()}\n  expected: {expected}\n  got:      {got}"
    return WentOtherwiseError(f"{said}\n  written:  {more}" if more else said)


@dataclass(slots=True)
class Player:
    """Somebody who reads the lines aloud."""

    site: Site
    stage: Stage
    registry: Registry
    logins: dict[bytes, str] = field(default_factory=dict)
    """By State: the id that the audit has given to the login."""
    codes: dict[bytes, str] = field(default_factory=dict)
    """By what a key was asked to sign: the login that asked."""
    rows: list[Event] = field(default_factory=list)
    """What the last packet or command has written and no ``!`` line has mentioned yet."""
    mentioned: int = 0
    seen: int = 0
    counted: Counter[str] = field(default_factory=Counter)
    asked: list[str] = field(default_factory=list)
    """What directories and upstreams were asked for the last packet."""
    heard: list[str] = field(default_factory=list)
    """What the journal was told."""
    touching: Touching = field(init=False)
    asking: Asking = field(init=False)

    def __post_init__(self) -> None:
        self.asking = Asking(self.site, self.stage)
        self.touching = Touching(self.site)

    def play(self, conversation: Conversation) -> None:
        """Play it from the beginning; WentOtherwiseError where it goes another way."""
        self._take_rows()
        for step in conversation.steps:
            self._step(step)
        if broken := self.stage.counters()["internal_error"]:
            raise otherwise(conversation.line, "no internal error", f"{broken} of them: see the journal")

    def _step(self, step: Step) -> None:
        match step:
            case Packet():
                self._packet(step)
            case Command():
                self._command(step)
            case Written():
                self._written(step)
            case AtStation():
                came = self.touching.play(step, self.stage.clock.now)
                if came != step.end:
                    raise otherwise(step.line, step.end, came)
            case Restart(change=change):
                if change is not None:
                    reconfigure(self.site, change)
                self.stage.restart()
            case Passing():
                self.stage.clock.now += step.seconds
            case Changing():
                let_happen(self.site.authorities, step.who, step.verb, step.words, step.line)

    # --- packets ------------------------------------------------------------------------------------------------------

    def _packet(self, packet: Packet) -> None:
        line = packet.line
        if packet.client not in self.site.devices:
            raise line.fault(f"there is no client {packet.client}")
        device = self.site.devices[packet.client]
        before = self.stage.counters()
        talking, answer, proxied = self.asking.ask(packet, device)
        self.counted = self.stage.counters() - before
        self._take_rows()
        self._listen()
        came = describe(answer, in_words(said_in(answer.raw), talking.secret, talking.authenticator))
        if answer.discarded:
            raise otherwise(line, "replies that pyrad believes", f"{answer.discarded} that it does not")
        if talking.replies > 1 or (talking.replies == 1) is not (answer.kind != "silence"):
            raise otherwise(line, "one reply or none", f"{talking.replies} replies, and {came}")
        self._compare(packet, answer, came)
        if packet.words[0] != "again" and (fault := _form_fault(answer, proxied, device)):
            raise otherwise(line, "a reply in good form", fault)
        self._count_rows(packet, answer)
        self._follow_login(packet, answer)

    def _listen(self) -> None:
        """Note what the authorities were asked and what the journal was told."""
        self.asked = [f"{name} {who}" for name, one in self.site.authorities.items() for who in one.asked]
        for authority in self.site.authorities.values():
            authority.asked = []
        self.heard = self.stage.heard()

    def _compare(self, packet: Packet, answer: Answer, came: str) -> None:
        line, reply, names = packet.line, packet.reply, []
        if len(reply) > 2 and reply[-2] == "as":
            names, reply = [reply[-1]], reply[:-2]
        if answer.state is not None:
            names.append("last")
        for name in names:
            self.asking.answers[name] = answer
            self.site.pocket.keychain.prompts[name] = answer.prompt
        match reply:
            case ["like" | "same" as how, name] if name in self.asking.answers:
                model = self.asking.answers[name]
                good = answer.raw == model.raw if how == "same" else likeness(answer.raw) == likeness(model.raw)
                expected = f"{how} {name}: {describe(model)}"
                came = f"{came}; {answer.raw.hex()} against {model.raw.hex()}"
            case [kind, *more] if kind in {*OUTCOMES, "silence"}:
                expected = " ".join((kind, *map(_spelled, more)))
                good = expected == came
            case _:
                raise line.fault('a reply is: accept, reject, silence, challenge "prompt", like NAME or same NAME')
        if not good:
            raise otherwise(line, expected, came, "; ".join((*map(show, self.rows), f"counted {dict(self.counted)}")))

    # --- what was written down ----------------------------------------------------------------------------------------

    def _take_rows(self) -> None:
        events = self.registry.events(last=1_000_000)
        self.rows, self.seen, self.mentioned = events[self.seen :], len(events), 0

    def _count_rows(self, packet: Packet, answer: Answer) -> None:
        """One audit row for each decision: what it says is what was sent."""
        wanted = [] if answer.kind == "silence" else [f"access.{OUTCOMES[answer.kind]}"]
        if packet.words[0] in {"again", "status"}:
            wanted = []
        decisions = [row.name for row in self.rows if row.name not in ASIDE]
        if decisions != wanted or any(row.nas != packet.client for row in self.rows):
            got = "; ".join(map(show, self.rows)) or "no audit row"
            raise otherwise(packet.line, f"in the audit: {wanted[0] if wanted else 'no row'} at {packet.client}", got)

    def _follow_login(self, packet: Packet, answer: Answer) -> None:
        """All packets of one login have one id in the audit, and no other login has it."""
        for row in self.rows:
            begun = self.logins.get(self.asking.answered, "")
            if begun and row.reason != "challenge_unknown" and row.login != begun:
                raise otherwise(packet.line, f"the login {begun} goes on", f"a row of login {row.login}")
            if not begun and row.login in self.logins.values():
                raise otherwise(packet.line, "a login of its own", f"a row of the earlier login {row.login}")
            if answer.state is not None:
                self.logins[answer.state] = row.login
                self._follow_code(packet, answer, row.login)

    def _follow_code(self, packet: Packet, answer: Answer, login: str) -> None:
        """What a key must sign is one login's; the digits beside it are those that a station shows."""
        self.touching.prompts[login] = answer.prompt
        asked = asked_in(answer.prompt)
        if asked is not None and self.codes.setdefault(asked.nonce, login) != login:
            raise otherwise(packet.line, "a code of its own", f"that of the login {self.codes[asked.nonce]}")

    def _written(self, written: Written) -> None:
        line, words = written.line, written.words
        match words:
            case ["dropped", reason]:
                if self.counted[reason] != 1:
                    raise otherwise(line, f"one packet counted as {reason}", str(dict(self.counted)))
                return
            case ["asked", *what]:
                names = [octets(word).decode() for word in what]
                expected = [" ".join(pair) for pair in zip(names[::2], names[1::2], strict=False)]
                if self.asked != expected:
                    raise otherwise(line, " ".join(words), f"asked {', '.join(self.asked) or 'nobody'}")
                return
            case ["noted", text]:
                if not any(octets(text).decode() in heard for heard in self.heard):
                    raise otherwise(line, " ".join(words), "; ".join(self.heard) or "nothing in the journal")
                return
            case ["nothing"]:
                if self.rows:
                    raise otherwise(line, "no audit row", "; ".join(map(show, self.rows)))
                return
            case [reason] if "." not in reason and "=" not in reason:
                name, facts = "", {"reason": reason}
            case [name, *pairs] if "=" not in name:
                facts = dict(pair.partition("=")[::2] for pair in pairs)
            case [*pairs]:
                name, facts = "", dict(pair.partition("=")[::2] for pair in pairs)
        if self.mentioned == len(self.rows):
            raise otherwise(line, " ".join(words), "nothing more was written")
        while not name and self.rows[self.mentioned].name in ASIDE and self.mentioned + 1 < len(self.rows):
            self.mentioned += 1  # only by its name
        row = self.rows[self.mentioned]
        self.mentioned += 1
        if unknown := [key for key in facts if key not in Event.__dataclass_fields__]:
            raise line.fault(f"{unknown[0]}: no field of the audit")
        facts = {key: octets(value).decode() for key, value in facts.items()} | ({"name": name} if name else {})
        if any(str(getattr(row, key)) != value for key, value in facts.items()):
            raise otherwise(line, " ".join(words), show(row))

    # --- administration -----------------------------------------------------------------------------------------------

    def _command(self, command: Command) -> None:
        line, words, stdin = command.line, list(command.words), None
        if words[-1].startswith("stdin="):
            stdin = octets(words.pop().removeprefix("stdin=")) + b"\n"
        now = self.stage.clock.now
        arguments = [self.site.pocket.say(word, "", now, line).decode() for word in words]
        result = CliRunner().invoke(app, ["-c", str(self.site.settings.path), *arguments], input=stdin)
        self._take_rows()
        end = {0: "done", 1: "refused", 2: "wrong usage"}.get(result.exit_code, "broken")
        if end != command.end or (result.exception is not None and not isinstance(result.exception, SystemExit)):
            raise otherwise(line, command.end, f"{end}: {result.output.strip()} {result.exception or ''}")
        printed = " ".join(result.output.split())
        if missing := [text for text in command.printed if text not in printed]:
            raise otherwise(line, f'"{missing[0]}"', printed)


def _spelled(word: str) -> str:
    """Return a word of a reply as `describe` would write it."""
    if is_attribute(word):
        name, _, value = word.partition("=")
        return f"{name}={shown(octets(value))}"
    return quoted(octets(word).decode()) if '"' in word else word


def _form_fault(answer: Answer, proxied: list[bytes], device: Device) -> str:
    return form_fault(answer.raw, proxied, signed=device.signs, state_length=device.state_length)


def show(row: Event) -> str:
    """Return an audit row in the words of a transcript."""
    keys = ("user", "nas", "reason", "factor", "serial", "caller", "actor")
    return " ".join((row.name, *(f"{key}={getattr(row, key)}" for key in keys if getattr(row, key))))
