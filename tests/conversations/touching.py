"""What happens at stations: their screens are read, keys are touched, and what was signed is brought in.

It meets the daemon in the database only, as a real station does; that both show one login by the same four digits is
checked at every look. WebAuthn 6.3.3 (what a key signs); no RFC speaks of stations.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from radiusd2fa.core.rules import Station
from radiusd2fa.store.address import SqliteFile
from radiusd2fa.store.waiting import Waiting, WaitingRoom

from .keychain import WORDS, match_code, match_codes_in, station_answer
from .scenery import Site
from .transcript import AtStation, Line, octets, options

NOBODY: Final = "nobody"
JUST_NOW: Final = "just now"


@dataclass(frozen=True, slots=True)
class Signed:
    """What a key has signed, and for which login."""

    nonce: bytes
    text: str


@dataclass(slots=True)
class Touching:
    """The stations of a site, and what was signed there."""

    site: Site
    prompts: dict[str, str] = field(default_factory=dict)
    """By login: what its person was asked last."""
    signed: dict[str, Signed] = field(default_factory=dict)

    def play(self, step: AtStation, now: float) -> str:
        """Play one line; return how it ended."""
        line = step.line
        station = next((one for one in self.site.settings.rules.stations if one.name == step.station), None)
        if station is None:
            raise line.fault(f"there is no station {step.station}")
        with WaitingRoom(SqliteFile(self.site.database)) as room:
            waiting = room.waiting(station.clients, now)
            for one in waiting:
                self._must_be_recognised(line, one)
            match step.words:
                case ("shows", *names):
                    shown = " ".join(f"{one.user}{'!' if one.contested else ''}" for one in waiting) or NOBODY
                    return step.end if shown == " ".join(names) else f"it shows {shown}"
                case ("touch", serial, *words, "as", name):
                    return (
                        step.end if self._touch(station, waiting, serial, tuple(words), name, line) else "nobody waits"
                    )
                case ("touch", serial, *words):
                    if not self._touch(station, waiting, serial, tuple(words), JUST_NOW, line):
                        return "nobody waits"
                    brought = self.signed[JUST_NOW]
                case ("bring", what):
                    brought = self._what(what, waiting, line)
                case ("bring", what, "instead"):
                    brought = Signed(waiting[0].nonce, self._what(what, waiting, line).text)
                case _:
                    raise line.fault("at a station: shows WHO, touch KEY, or bring WHAT")
            return "taken" if room.bring(brought.nonce, brought.text, now) else "too late"

    def _must_be_recognised(self, line: Line, one: Waiting) -> None:
        shown = match_codes_in(self.prompts.get(one.login, ""))
        if shown != [match_code(one.nonce)]:
            raise line.fault(f"the station shows the code {match_code(one.nonce)}, the prompt {shown or 'none'}")

    def _touch(
        self, station: Station, waiting: list[Waiting], serial: str, words: tuple[str, ...], name: str, line: Line
    ) -> bool:
        """Let the key sign for the login that waits for it, or for the one of somebody else that is named."""
        wanted = options(words, line, *WORDS, "flip", "for", "anyway")
        key = self.site.pocket.keychain.key(serial, "", line)
        whose = [one for one in waiting if "anyway" in wanted or not one.contested]
        if "for" in wanted:
            whose = [one for one in whose if one.user == wanted["for"]]
        else:
            whose = [one for one in whose if key.credential_id in one.credentials]
        if not whose:
            return False
        one = whose[0]
        text = station_answer(key, one.nonce, one.user, one.nas, station.name, wanted, verify=one.user_verification)
        self.signed[name] = Signed(one.nonce, text)
        return True

    def _what(self, what: str, waiting: list[Waiting], line: Line) -> Signed:
        """What was signed under that name, or any text for the first login that waits."""
        if what.startswith('"'):
            return Signed(waiting[0].nonce, octets(what).decode())
        if what not in self.signed:
            raise line.fault(f"nothing was signed as {what}")
        return self.signed[what]
