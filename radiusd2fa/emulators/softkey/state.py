"""What an emulated key remembers without power, and two places to keep it: in the process, or in a file.

A change is kept before anybody sees its effect, whole or not at all, and a file that others may read is refused.
CTAP 2.1 6.5.2 says what a PIN leaves behind (half its SHA-256, and the tries left); the counter is WebAuthn 6.1.1's.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol

from radiusd2fa.emulators.keeping import lock_folder, replace_file
from radiusd2fa.emulators.softkey.attestation import AAGUID, Format
from radiusd2fa.emulators.softkey.credential import SECRET_OCTETS

MAX_PIN_RETRIES: Final = 8
MAX_COUNTER: Final = 2**32 - 1
MAX_FILE_OCTETS: Final = 4096
WARNING: Final = "An emulated security key, for demo and tests. Who copies this file has the key: no second factor."


class KeyFileError(Exception):
    """The key cannot be made, read or kept; the text says why and what to do."""


class PinPolicy(StrEnum):
    """When a key that has a PIN wants it although the relying party does not."""

    WHEN_ASKED = "when asked"
    TO_REGISTER = "to register"
    """Like the keys of CTAP 2.0."""
    ALWAYS = "always"
    """CTAP's `alwaysUv`; such a key speaks no U2F."""


@dataclass(frozen=True, slots=True)
class State:
    """What a key remembers. Credentials are not among it: they travel in their ids."""

    wrapping_key: bytes = field(repr=False)
    counter: int = 0
    """Signatures made so far, over all credentials."""
    counts: bool = True
    """False: the counter stays 0, as on keys that have none."""
    u2f_only: bool = False
    aaguid: bytes = AAGUID
    attestation: Format = Format.PACKED
    pin_policy: PinPolicy = PinPolicy.WHEN_ASKED
    pin_hash: bytes | None = field(default=None, repr=False)
    """LEFT(SHA-256(PIN), 16)."""
    pin_retries: int = MAX_PIN_RETRIES

    def __post_init__(self) -> None:
        faults = {
            f"wrapping_key must have {SECRET_OCTETS} octets": len(self.wrapping_key) != SECRET_OCTETS,
            "counter must be 0 to 2^32-1": not 0 <= self.counter <= MAX_COUNTER,
            "aaguid must have 16 octets": len(self.aaguid) != 16,
            "pin_hash must have 16 octets": self.pin_hash is not None and len(self.pin_hash) != 16,
            f"pin_retries must be 0 to {MAX_PIN_RETRIES}": not 0 <= self.pin_retries <= MAX_PIN_RETRIES,
            "a key that only speaks U2F has no PIN": self.u2f_only and self.pin_hash is not None,
        }
        if found := [text for text, is_fault in faults.items() if is_fault]:
            raise KeyFileError(f"not a key: {'; '.join(found)}")


Change = Callable[[State], State]


class Place(Protocol):
    """Where a key's state lives."""

    def read(self) -> State:
        """Return the state as it is now."""

    def change(self, change: Change) -> State:
        """Keep what `change` makes of the state, and return it."""


class InProcess:
    """A state that ends with the process."""

    def __init__(self, state: State) -> None:
        self._state = state

    def read(self) -> State:
        """Return the state as it is now."""
        return self._state

    def change(self, change: Change) -> State:
        """Keep what `change` makes of the state, and return it."""
        self._state = change(self._state)
        return self._state


class InFile:
    """A state in a file of mode 0600. Several processes may use it: each reads it anew and changes it under a lock."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()  # a change replaces the file, not a link to it

    def read(self) -> State:
        """Return the state as the file has it. Raises KeyFileError where that is missing, open to others or no key."""
        return _state(self.path, _read(self.path))

    def change(self, change: Change) -> State:
        """Bring what `change` makes of the state to disk, and return it."""
        with _locked(self.path):
            state = change(self.read())
            _replace(self.path, state)
        return state

    def create(self, state: State) -> None:
        """Put a new key into a file that is not there yet."""
        with _locked(self.path):
            if self.path.exists():
                raise KeyFileError(f"{self.path}: there is a file already; a new key would void what is registered")
            _replace(self.path, state)


# --- the file --------------------------------------------------------------------------------------------------------


def _read(path: Path) -> bytes:
    """The octets of a file that only its owner can read."""
    try:
        # Without O_NONBLOCK a named pipe would hold us up here.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise KeyFileError(f"{path}: not a regular file")
            if about.st_mode & 0o077:
                raise KeyFileError(f"{path}: others may read this key; run: chmod 600 {path}")
            return file.read(MAX_FILE_OCTETS + 1)
    except OSError as fault:
        raise KeyFileError(f"{path}: {fault.strerror}") from None


def _content(state: State) -> dict[str, object]:
    return {
        "warning": WARNING,
        "wrapping_key": state.wrapping_key.hex(),
        "counter": state.counter,
        "counts": state.counts,
        "u2f_only": state.u2f_only,
        "aaguid": state.aaguid.hex(),
        "attestation": str(state.attestation),
        "pin_policy": str(state.pin_policy),
        "pin_hash": state.pin_hash.hex() if state.pin_hash is not None else "",
        "pin_retries": state.pin_retries,
    }


def _state(path: Path, octets: bytes) -> State:
    """What the file says, with known keys and the right types only."""
    try:
        content: Any = json.loads(octets) if len(octets) <= MAX_FILE_OCTETS else None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise KeyFileError(f"{path}: not a JSON object")
    expected = _content(State(bytes(SECRET_OCTETS)))
    if odd := sorted(content.keys() ^ expected.keys()):
        raise KeyFileError(f"{path}: not a soft key: {odd[0]!r} is {'unknown' if odd[0] in content else 'missing'}")
    for key, example in expected.items():
        if type(content[key]) is not type(example):
            raise KeyFileError(f"{path}: {key} must be {_KINDS[type(example)]}")
    try:
        return State(
            wrapping_key=bytes.fromhex(content["wrapping_key"]),
            counter=content["counter"],
            counts=content["counts"],
            u2f_only=content["u2f_only"],
            aaguid=bytes.fromhex(content["aaguid"]),
            attestation=Format(content["attestation"]),
            pin_policy=PinPolicy(content["pin_policy"]),
            pin_hash=bytes.fromhex(content["pin_hash"]) if content["pin_hash"] else None,
            pin_retries=content["pin_retries"],
        )
    except KeyFileError as fault:
        raise KeyFileError(f"{path}: {fault}") from None
    except ValueError:
        raise KeyFileError(f"{path}: octets are written in hex, and choices in known words") from None


_KINDS: Final[dict[type, str]] = {str: "text", int: "a number", bool: "true or false"}


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One change at a time."""
    try:
        folder = lock_folder(path)
    except OSError as fault:
        raise KeyFileError(f"{path.parent}: {fault.strerror}") from None
    try:
        yield
    finally:
        os.close(folder)


def _replace(path: Path, state: State) -> None:
    """Put a new file in the place of the old one. The folder must be locked."""
    try:
        replace_file(path, json.dumps(_content(state), indent=2) + "\n")
    except OSError as fault:
        raise KeyFileError(f"{path}: cannot be written: {fault.strerror}") from None
