"""What a person has at hand: fobs, keys, and a head for what was typed last.

Codes come from the soft fob, which shares no code with the factors of the daemon; no answer of the daemon is looked at.
RFC 4226 (HOTP), RFC 6238 (TOTP); SCRV1 is OpenVPN's static challenge.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field, replace
from typing import Final

from radiusd2fa.emulators.softfob import SoftFob
from tests.factors.yubikey import YubiKey

from .keychain import SPOILING, WORDS, Keychain
from .transcript import Line, octets, options

_PART: Final = re.compile(r'(?:[^+"(]|"(?:[^"\\]|\\.)*"|\([^)]*\))+')
_CODE: Final = re.compile(r"(?:([\w-]+):)?(HOTP|TOTP|OTP|SPARE|wrong)(?:\(([+-]\d+)\)|@(\d+))?")
_KEY: Final = re.compile(r"(?:([\w-]+):)?KEY\(([^)]*)\)")
_STATIC: Final = re.compile(r"SCRV1\(([^,]*),(.*)\)")


@dataclass(slots=True)
class Pocket:
    """The fobs of a conversation, by serial, and its keys."""

    fobs: dict[str, SoftFob] = field(default_factory=dict)
    yubikeys: dict[str, YubiKey] = field(default_factory=dict)
    sheets: dict[str, list[str]] = field(default_factory=dict)
    """The codes of each sheet, by its serial."""
    owners: dict[str, str] = field(default_factory=dict)
    keychain: Keychain = field(default_factory=Keychain)
    last: bytes = b""
    """The code or response that was typed last."""

    def say(self, text: str, user: str, now: float, line: Line) -> bytes:
        """Return what somebody types: words and codes, joined by ``+``."""
        if static := _STATIC.fullmatch(text):
            password, code = (base64.b64encode(self.say(part, user, now, line)) for part in static.groups())
            return b"SCRV1:" + password + b":" + code
        return b"".join(self._part(part, user, now, line) for part in _PART.findall(text))

    def _part(self, text: str, user: str, now: float, line: Line) -> bytes:
        if text == "same":
            return self.last
        if text.startswith("fullwidth("):
            digits = self._part(text[len("fullwidth(") : -1], user, now, line).decode()
            return "".join(chr(ord(digit) + 0xFEE0) for digit in digits).encode()
        if key := _KEY.fullmatch(text):
            host, *words = key[2].split(",")
            wanted = options(tuple(words), line, *WORDS, *SPOILING, "at")
            self.last = self.keychain.respond(key[1], user, host, wanted, line)
            return self.last
        match = _CODE.fullmatch(text)
        if match is None:
            return octets(text)
        serial, kind, shift, at = match.groups()
        if kind == "OTP":
            self.last = _otp(self.yubikeys[serial], int(shift or 0), at)
            return self.last
        if kind == "SPARE":
            self.last = self.sheets[serial][int(at or 0)].encode()
            return self.last
        fob = self._fob(serial, user, line)
        if kind == "wrong":
            self.last = self._wrong(fob, now)
        elif kind.lower() != fob.kind:
            raise line.fault(f"{fob.serial} is a {fob.kind} fob")
        elif kind == "TOTP":
            self.last = fob.code(now + int(shift or 0) * fob.step).encode()
        else:
            self.last = _hotp(fob, int(shift or 0), at)
        return self.last

    def _fob(self, serial: str | None, user: str, line: Line) -> SoftFob:
        if serial is None:
            mine = [one for one, owner in self.owners.items() if owner == user] or list(self.fobs)
            if len(mine) != 1:
                raise line.fault(f"{user} has the fobs {', '.join(mine) or '(none)'}: say which, as in F1:HOTP")
            serial = mine[0]
        if serial not in self.fobs:
            raise line.fault(f"there is no fob {serial}")
        return self.fobs[serial]

    def _wrong(self, like: SoftFob, now: float) -> bytes:
        """A code of the right length that no fob of this conversation shows anywhere near."""
        near = {code for fob in self.fobs.values() for code in _near(fob, now)}
        return next(code for code in (b"%0*d" % (like.digits, n) for n in range(1000)) if code not in near)


def _hotp(fob: SoftFob, shift: int, at: str | None) -> bytes:
    """Press, after so many presses in the pocket; ``(-1)`` and ``@7`` are codes seen before, and nobody presses."""
    if at is not None:
        return replace(fob, counter=int(at)).press(0.0).encode()
    if shift < 0:
        return replace(fob, counter=fob.counter + shift).press(0.0).encode()
    fob.counter += shift
    return fob.press(0.0).encode()


def _otp(key: YubiKey, shift: int, at: str | None) -> bytes:
    if at is not None or shift < 0:
        return key.typed(key.position + shift if at is None else int(at))
    key.position += shift
    return key.press()


def _near(fob: SoftFob, now: float) -> list[bytes]:
    if fob.kind == "totp":
        return [fob.code(now + shift * fob.step).encode() for shift in range(-30, 31)]
    return [replace(fob, counter=n).press(0.0).encode() for n in range(max(0, fob.counter - 15), fob.counter + 120)]
