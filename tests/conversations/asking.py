"""Turns a line of a transcript into a request, and sends it.

What comes back is not looked at here, and nothing is judged; passwords and codes come from people's pockets.
Requests are those of RFC 2865 4.1, with CHAP (5.3) and the attributes of MS-CHAPv2 (RFC 2548 2.3.2).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from radiusd2fa.emulators.nas import CALLING_STATION_ID, STATE, USER_NAME, Answer

from .attributes import Attributes, attribute_of, dictionary, is_attribute
from .configuration import OLD_SECRET, Device
from .replies import PROXY_STATE
from .scenery import Site
from .stage import Stage, TalkingDevice
from .transcript import Line, Packet, octets

VENDOR_SPECIFIC: Final = 26
MSCHAP2: Final = (311).to_bytes(4, "big") + bytes((25, 52)) + bytes(50)
MSCHAP_CHALLENGE: Final = (311).to_bytes(4, "big") + bytes((11, 18)) + bytes(16)

_KEYS: Final = (
    *("password", "code", "chap", "chap-challenge", "mschap", "state", "caller"),
    *("proxy-state", "unsigned", "secret"),
)
_ALONE: Final = {"chap-challenge", "mschap", "unsigned"}


@dataclass(slots=True)
class Asking:
    """The devices of a conversation, as far as they ask."""

    site: Site
    stage: Stage
    answers: dict[str, Answer] = field(default_factory=dict)
    """Replies that were given a name (``as A``)."""
    answered: bytes = b""
    """The State of the last packet."""

    def ask(self, packet: Packet, device: Device) -> tuple[TalkingDevice, Answer, list[bytes]]:
        """Send it; return the far end, the reply, and the Proxy-State that was sent."""
        options = [word for word in packet.words if "=" in word.partition('"')[0] or word in _ALONE]
        names = [word for word in packet.words if word not in options]
        given = [(key, value) for key, _, value in (word.partition("=") for word in options if not is_attribute(word))]
        more = [_attribute(word, packet.line) for word in options if is_attribute(word)]
        if unknown := [key for key, _ in given if key not in _KEYS]:
            raise packet.line.fault(f"{unknown[0]}: not one of {', '.join(_KEYS)}")
        secret = {"old": OLD_SECRET, "wrong": b"not the secret of anybody"}.get(dict(given).get("secret", ""))
        talking = self.stage.device(device, secret)
        proxied = [octets(value) for key, value in given if key == "proxy-state"]
        self.answered = b""
        match names:
            case ["again"]:
                return talking, talking.repeat(), proxied
            case ["status"]:
                return talking, talking.ask_status(sign="unsigned" not in dict(given)), proxied
            case [name]:
                more += [(PROXY_STATE, value) for value in proxied]
                return talking, self._log_in(talking, octets(name), dict(given), more, packet.line), proxied
            case _:
                raise packet.line.fault("say who logs in, and nothing else without an =")

    def _log_in(
        self, talking: TalkingDevice, name: bytes, options: dict[str, str], more: Attributes, line: Line
    ) -> Answer:
        attributes: Attributes = [(USER_NAME, name), *more]
        if "caller" in options:
            attributes.append((CALLING_STATION_ID, octets(options["caller"])))
        if "state" in options:
            self.answered = self._state(options["state"], line)
            self.site.pocket.keychain.answering = options["state"]
            attributes.append((STATE, self.answered))
        if "mschap" in options:
            attributes += [(VENDOR_SPECIFIC, MSCHAP2), (VENDOR_SPECIFIC, MSCHAP_CHALLENGE)]
        typed = {
            how: self.site.pocket.say(options[how], name.decode(errors="replace"), self.stage.clock.now, line)
            for how in ("password", "code", "chap")
            if how in options
        }
        return talking.ask_with(
            attributes,
            typed.get("password", typed.get("code")),
            typed.get("chap"),
            challenge=bytes(range(16)) if "chap-challenge" in options else b"",
            sign="unsigned" not in options,
        )

    def _state(self, text: str, line: Line) -> bytes:
        if text.startswith('"'):
            return octets(text)
        answer = self.answers.get(text)
        if answer is None or answer.state is None:
            raise line.fault(f"there is no challenge {text}")
        return answer.state


def _attribute(word: str, line: Line) -> tuple[int, bytes]:
    name, _, value = word.partition("=")
    if name not in dictionary().attributes:
        raise line.fault(f"{name}: no attribute that transcripts know")
    return attribute_of(name, octets(value))
