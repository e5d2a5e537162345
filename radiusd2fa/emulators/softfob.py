"""A key fob without hardware: a seed, a counter or a clock, and a button.

It never shows a code before the counter behind it is on disk, and it shares no code with `radiusd2fa.factors`: pyotp
computes for seeds of 112 bits and more, a few lines of the standard library for the shorter ones that pyotp refuses.
It answers to RFC 4226 5.3 (HOTP) and RFC 6238 4.2 (TOTP).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Self

import pyotp

from radiusd2fa.emulators.keeping import lock_folder, replace_file

Kind = Literal["hotp", "totp"]
Content = dict[str, str | int | float]

ALGORITHMS: Final = {"sha1": hashlib.sha1, "sha256": hashlib.sha256, "sha512": hashlib.sha512}
MIN_SEED_OCTETS: Final = 10
"""80 bits: what many fobs on the market hold."""
PYOTP_MIN_SEED_OCTETS: Final = 14
PYOTP_MAX_STEP: Final = 120
MAX_COUNTER: Final = 2**64 - 1
TEN_YEARS: Final = 10 * 366 * 86400
MAX_FILE_OCTETS: Final = 4096


class FobError(Exception):
    """The fob cannot be made, read or kept; the text says why and what to do."""


@dataclass(slots=True)
class SoftFob:
    """One fob. With a `path` it lives in that file, and every press is kept there before its code is seen."""

    kind: Kind
    secret: bytes = field(repr=False)
    digits: int = 6
    algorithm: str = "sha1"
    step: int = 30
    """TOTP: seconds a code is shown."""
    counter: int = 0
    """HOTP: the moving factor of the next press."""
    serial: str = "soft-fob"
    clock_offset: float = 0.0
    """TOTP: seconds by which the clock in the fob is ahead (negative: behind)."""
    path: Path | None = None

    def __post_init__(self) -> None:
        faults = {
            "kind must be hotp or totp": self.kind not in {"hotp", "totp"},
            f"secret must have at least {MIN_SEED_OCTETS} octets": len(self.secret) < MIN_SEED_OCTETS,
            "digits must be 6, 7 or 8": self.digits not in {6, 7, 8},
            "algorithm must be sha1, sha256 or sha512": self.algorithm not in ALGORITHMS,
            "step must be 1 to 3600 seconds": not 1 <= self.step <= 3600,
            "serial must be printable text": not (self.serial and self.serial.isprintable()),
            "clock_offset must be within ten years": not abs(self.clock_offset) <= TEN_YEARS,
            "counter must be 0 to 2^64-1": not 0 <= self.counter <= MAX_COUNTER,
        }
        if found := [text for text, is_fault in faults.items() if is_fault]:
            raise FobError(f"not a fob: {'; '.join(found)}")

    # --- what a person can do with a fob -----------------------------------------------------------------------------

    def press(self, now: float) -> str:
        """Push the button: the next HOTP code, or the TOTP code of this moment. `now` is in seconds since 1970."""
        if self.kind == "totp":
            return self.code(now)
        if self.path is None:
            pressed = self.counter
            self.counter = pressed + 1
        else:
            with _locked(self.path):
                kept = SoftFob.load(self.path)
                if not hmac.compare_digest(kept.secret, self.secret):
                    raise FobError(f"{self.path}: there is another fob in this file now; open it again")
                # Another window may have pressed since this one looked.
                pressed = max(self.counter, kept.counter)
                _replace(self.path, self._content() | {"counter": pressed + 1})
                self.counter = pressed + 1
        return self._hotp(pressed)

    def code(self, now: float) -> str:
        """What a TOTP fob shows at `now` (seconds since 1970) by its own clock."""
        if self.kind != "totp":
            raise FobError("an HOTP fob shows nothing until its button is pressed")
        clock = now + self.clock_offset
        if clock < 0:
            raise FobError("the fob's clock stands before 1970: RFC 6238 counts from there")
        if len(self.secret) >= PYOTP_MIN_SEED_OCTETS and self.step <= PYOTP_MAX_STEP:
            digest = ALGORITHMS[self.algorithm]
            return pyotp.TOTP(self._base32(), digits=self.digits, digest=digest, interval=self.step).at(int(clock))
        # RFC 6238 4.2: "T = (Current Unix time - T0) / X, where the default floor function is used"
        return self._hotp(int(clock) // self.step)

    def seconds_left(self, now: float) -> float:
        """How long a TOTP fob will go on showing what it shows at `now`."""
        return self.step - (now + self.clock_offset) % self.step

    # --- where it lives ----------------------------------------------------------------------------------------------

    @classmethod
    def load(cls, path: Path) -> Self:
        """The fob in that file. Raises FobError where the file is missing, readable by others, or not a fob."""
        place = path.resolve()  # a press replaces the file, not a link to it
        content = _checked(place, _read(place))
        try:
            secret = bytes.fromhex(str(content.pop("secret", "")))
            return cls(secret=secret, path=place, **content)  # type: ignore[arg-type]  # _checked has seen each type
        except (FobError, TypeError, ValueError) as fault:
            why = str(fault) if isinstance(fault, FobError) else "secret must be the seed in hex"
            raise FobError(f"{place}: {why}") from None

    def save(self, path: Path) -> None:
        """Put the fob into that file (mode 0600, whole or not at all); from now on it lives there."""
        place = path.resolve()
        with _locked(place):
            _replace(place, self._content())
        self.path = place

    # --- inside ------------------------------------------------------------------------------------------------------

    def _hotp(self, moving_factor: int) -> str:
        digest = ALGORITHMS[self.algorithm]
        if len(self.secret) >= PYOTP_MIN_SEED_OCTETS:
            return pyotp.HOTP(self._base32(), digits=self.digits, digest=digest).at(moving_factor)
        mac = hmac.digest(self.secret, moving_factor.to_bytes(8, "big"), digest)
        place = mac[-1] & 0x0F
        number = int.from_bytes(mac[place : place + 4], "big") & 0x7FFF_FFFF
        return f"{number % 10**self.digits:0{self.digits}d}"

    def _base32(self) -> str:
        return base64.b32encode(self.secret).decode()

    def _content(self) -> Content:
        common: Content = {
            "serial": self.serial,
            "kind": self.kind,
            "secret": self.secret.hex(),
            "digits": self.digits,
            "algorithm": self.algorithm,
        }
        if self.kind == "hotp":
            return common | {"counter": self.counter}
        return common | {"step": self.step, "clock_offset": self.clock_offset}


# --- the file -------------------------------------------------------------------------------------------------------

TYPES: Final[dict[str, tuple[type, ...]]] = {
    "serial": (str,),
    "kind": (str,),
    "secret": (str,),
    "digits": (int,),
    "algorithm": (str,),
    "counter": (int,),
    "step": (int,),
    "clock_offset": (int, float),
}


def _read(path: Path) -> bytes:
    """The octets of a file that only its owner can read."""
    try:
        # Without O_NONBLOCK a named pipe would hold us up here.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise FobError(f"{path}: not a regular file")
            if about.st_mode & 0o077:
                raise FobError(f"{path}: others may read this seed; run: chmod 600 {path}")
            return file.read(MAX_FILE_OCTETS + 1)
    except FileNotFoundError:
        example = '{"kind": "hotp", "secret": "<seed in hex>"}'
        raise FobError(f"{path}: no such file; a fob is a JSON file of mode 600 such as {example}") from None
    except OSError as fault:
        raise FobError(f"{path}: {fault.strerror}") from None


def _checked(path: Path, octets: bytes) -> Content:
    """What the file says, with known keys and the right types only."""
    try:
        content = json.loads(octets) if len(octets) <= MAX_FILE_OCTETS else None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise FobError(f"{path}: not a JSON object")
    for key, value in content.items():
        if key not in TYPES:
            raise FobError(f"{path}: unknown key {key!r}; known are {', '.join(TYPES)}")
        if type(value) not in TYPES[key]:
            raise FobError(f"{path}: {key} must be {'text' if str in TYPES[key] else 'a number'}")
    for key in ("kind", "secret"):
        if key not in content:
            raise FobError(f"{path}: {key} is missing")
    return content


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One press at a time, whoever presses."""
    try:
        folder = lock_folder(path)
    except OSError as fault:
        raise FobError(f"{path.parent}: {fault.strerror}") from None
    try:
        yield
    finally:
        os.close(folder)


def _replace(path: Path, content: Content) -> None:
    """Put a new file in the place of the old one. The folder must be locked."""
    try:
        replace_file(path, json.dumps(content, indent=2) + "\n")
    except OSError as fault:
        raise FobError(f"{path}: cannot be written: {fault.strerror}") from None
