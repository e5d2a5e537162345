"""An emulated security key: what it remembers, how it is touched, and what it forgets when the power goes.

It speaks no protocol, opens no socket and starts no thread; `ctap2.py` and `u2f.py` are its commands, and the clock and
the randomness are handed in. One transport at a time may use it.
CTAP 2.1 6.5.2 (state of the PIN), 11.2.9.1.5 (a key that waits to be touched); WebAuthn 6.1.1 (signature counter).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric import ec

from radiusd2fa.emulators.softkey.attestation import AAGUID, Batch, Format, batch
from radiusd2fa.emulators.softkey.credential import (
    SECRET_OCTETS,
    Algorithm,
    KeyPair,
    Randomness,
    hash_of,
    new_key_pair,
    p256_key,
    seal,
    unseal,
)
from radiusd2fa.emulators.softkey.misbehaviour import WELL_BEHAVED, Misbehaviour
from radiusd2fa.emulators.softkey.state import MAX_PIN_RETRIES, InFile, InProcess, KeyFileError, PinPolicy, Place, State

TOUCH_TIMEOUT: Final = 30.0
"""Seconds until a key stops blinking."""
U2F_PATIENCE: Final = 1.5
"""Seconds between two requests of a U2F client that still count as one."""
MIN_PIN_LENGTH: Final = 4
MAX_PIN_OCTETS: Final = 63
PIN_HASH_OCTETS: Final = 16
_USER_ACTION_TIMEOUT: Final = b"\x2f"


@dataclass(frozen=True, slots=True)
class TouchRequest:
    """What the key blinks for, in plain words, and for how many seconds it has been blinking (0.0: since just now)."""

    purpose: str
    waited: float


Touch = Callable[[TouchRequest], bool]
"""Asked again and again while the key waits; True is one touch."""


def automatic(_asked: TouchRequest) -> bool:
    """Touch the key at once, whatever it wants."""
    return True


class Button:
    """A touch that somebody else gives. Like on a real key, touching it while it does not blink does nothing."""

    def __init__(self) -> None:
        self._pressed = threading.Event()
        self.blinks = threading.Event()
        """Set when the key has begun to wait."""

    def press(self) -> None:
        """Touch the key."""
        self._pressed.set()

    def __call__(self, asked: TouchRequest) -> bool:
        """Whether it was touched since it began to blink."""
        if not asked.waited:
            self._pressed.clear()
            self.blinks.set()
        touched = self._pressed.is_set()
        if touched:
            self._pressed.clear()
            self.blinks.clear()
        return touched


@dataclass(slots=True)
class PowerCycle:
    """What the key knows until it is pulled out: secrets shared with its clients, and how often a PIN was wrong."""

    key_agreement: ec.EllipticCurvePrivateKey = field(repr=False)
    mismatches: int = 0
    token: bytes = field(default=b"", repr=False)
    token_protocol: int = 0
    token_permissions: int = 0
    token_rp_id: str | None = None
    token_issued_at: float = 0.0


@dataclass(slots=True)
class SoftKey:
    """One emulated key. It is a file, or less: for demo and tests, and no second factor."""

    place: Place = field(repr=False)
    random: Randomness = field(default=os.urandom, repr=False)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    touch: Touch = field(default=automatic, repr=False)
    batch: Batch | None = field(default=None, repr=False)
    """Who attests; None: our own test root, by the AAGUID."""
    misbehaviour: Misbehaviour = WELL_BEHAVED
    touch_timeout: float = TOUCH_TIMEOUT
    power: PowerCycle = field(init=False, repr=False)
    _u2f_asked: tuple[str, float, float] = field(default=("", 0.0, 0.0), init=False, repr=False)

    def __post_init__(self) -> None:
        self.power_up()

    @classmethod
    def make(
        cls,
        seed: bytes | None = None,
        *,
        path: Path | None = None,
        u2f_only: bool = False,
        pin: str | None = None,
        pin_policy: PinPolicy = PinPolicy.WHEN_ASKED,
        attestation: Format = Format.PACKED,
        aaguid: bytes = AAGUID,
        counts: bool = True,
        clock: Callable[[], float] = time.monotonic,
        touch: Touch = automatic,
    ) -> Self:
        """Make a new key, in a new file where a path is given. The same seed makes the same key, byte for byte."""
        if pin is not None and not is_fit_for_a_pin(pin.encode()):
            raise KeyFileError(f"a PIN has {MIN_PIN_LENGTH} characters at least and {MAX_PIN_OCTETS} octets at most")
        random = os.urandom if seed is None else from_seed(seed)
        state = State(
            wrapping_key=random(SECRET_OCTETS),
            counts=counts,
            u2f_only=u2f_only,
            aaguid=aaguid,
            attestation=attestation,
            pin_policy=pin_policy,
            pin_hash=None if pin is None else pin_hash(pin.encode()),
        )
        place: Place = InProcess(state)
        if path is not None:
            place = InFile(path)
            place.create(state)
        return cls(place, random=random, clock=clock, touch=touch)

    @classmethod
    def load(cls, path: Path, *, clock: Callable[[], float] = time.monotonic, touch: Touch = automatic) -> Self:
        """Return the key in that file. Raises KeyFileError where it is missing, open to others, or no key."""
        place = InFile(path)
        place.read()
        return cls(place, clock=clock, touch=touch)

    @property
    def state(self) -> State:
        """What it remembers now."""
        return self.place.read()

    def power_up(self) -> None:
        """Plug it in, anew."""
        self.power = PowerCycle(p256_key(self.random(SECRET_OCTETS)))

    def forget_everything(self) -> None:
        """Reset: no PIN, and no credential made so far is known any more."""
        fresh = self.random(SECRET_OCTETS)
        self.place.change(
            lambda state: replace(state, wrapping_key=fresh, pin_hash=None, pin_retries=MAX_PIN_RETRIES),
        )
        self.power_up()

    # --- credentials -------------------------------------------------------------------------------------------------

    def new_credential(self, algorithm: Algorithm, rp_id_hash: bytes) -> tuple[bytes, KeyPair]:
        """Make a credential: its id, which holds it, and its key pair."""
        pair = new_key_pair(algorithm, self.random)
        return seal(self.state.wrapping_key, pair, rp_id_hash, self.random), pair

    def key_pair(self, credential_id: bytes, rp_id_hash: bytes) -> KeyPair | None:
        """Return the key pair in a credential id; None where this key did not make it for this relying party."""
        return unseal(self.state.wrapping_key, credential_id, rp_id_hash)

    def signer(self, credential_id: bytes, pair: KeyPair, rp_id_hash: bytes) -> tuple[bytes, KeyPair]:
        """Return who is to sign: the credential that was asked, unless the key misbehaves."""
        if not self.misbehaviour.unknown_credential:
            return credential_id, pair
        return self.new_credential(pair.algorithm, rp_id_hash)

    def count(self) -> int:
        """Return the signature counter, raised by one and kept."""
        state = self.state
        if not state.counts:
            return 0
        if self.misbehaviour.stale_counter:
            return state.counter
        return self.place.change(lambda state: replace(state, counter=state.counter + 1)).counter

    def claimed_rp(self, rp_id_hash: bytes) -> bytes:
        """Return the relying party that the key says it signs for."""
        return hash_of("another.example") if self.misbehaviour.wrong_rp_id_hash else rp_id_hash

    def spoiled(self, signature: bytes) -> bytes:
        """Return the signature, unless the key misbehaves."""
        return signature[:-1] if self.misbehaviour.broken_signature else signature

    def attesting_batch(self) -> Batch:
        """Return the batch whose private key attests new credentials."""
        return self.batch if self.batch is not None else batch(self.state.aaguid)

    # --- touch -------------------------------------------------------------------------------------------------------

    def is_touched(self, purpose: str, waited: float) -> bool:
        """Whether somebody touches the key now."""
        return not self.misbehaviour.never_touched and self.touch(TouchRequest(purpose, waited))

    def is_touched_for_u2f(self, purpose: str) -> bool:
        """The same for a U2F client, which asks again and again and never says since when."""
        now = self.clock()
        what, since, last = self._u2f_asked
        if what != purpose or now - last > U2F_PATIENCE:
            since = now
        touched = self.is_touched(purpose, now - since)
        self._u2f_asked = ("", 0.0, 0.0) if touched else (purpose, since, now)
        return touched


class Waiting:
    """A CTAP2 command that goes on when the key is touched. `poll` it until it gives the reply."""

    def __init__(self, key: SoftKey, purpose: str, finish: Callable[[], bytes]) -> None:
        self._key = key
        self._purpose = purpose
        self._finish = finish
        self._since: float | None = None

    def poll(self) -> bytes | None:
        """Return the reply, or None as long as nobody has touched the key."""
        now = self._key.clock()
        if self._since is None:
            self._since = now
        waited = now - self._since
        if waited >= self._key.touch_timeout:
            return _USER_ACTION_TIMEOUT
        return self._finish() if self._key.is_touched(self._purpose, waited) else None


def from_seed(seed: bytes) -> Randomness:
    """Return octets that follow from a seed alone: for test vectors, and for nothing that must not be guessed."""
    drawn = 0

    def random(octets: int) -> bytes:
        nonlocal drawn
        stream = b""
        while len(stream) < octets:
            stream += hmac.digest(seed, drawn.to_bytes(8, "big"), "sha256")
            drawn += 1
        return stream[:octets]

    return random


def is_fit_for_a_pin(pin: bytes) -> bool:
    """Whether these octets may be a PIN: long enough, and not too long for CTAP."""
    try:
        return len(pin.decode()) >= MIN_PIN_LENGTH and len(pin) <= MAX_PIN_OCTETS
    except UnicodeDecodeError:
        return False


def pin_hash(pin: bytes) -> bytes:
    """Return what the key keeps of a PIN."""
    return hashlib.sha256(pin).digest()[:PIN_HASH_OCTETS]
