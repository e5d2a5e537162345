"""What a seed file says: one entry for each token, and one way to check it, whichever format it comes from.

Nothing of a seed is ever shown: an entry hides it, and a fault names the line, what is wrong and what to do. What a
token may be is RFC 4226 4 (seeds), RFC 4226 5.3 (digits), RFC 6238 1.2 (algorithms, steps).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import BinaryIO, Final, Protocol

from radiusd2fa.core.record import record
from radiusd2fa.factors.hotp import ALGORITHMS, DIGITS, MAX_SEED_OCTETS, MIN_SEED_OCTETS
from radiusd2fa.factors.totp import MAX_STEP, MIN_STEP, step_at
from radiusd2fa.factors.yubico import CHARACTERS, KEY_OCTETS, PRIVATE_OCTETS

KINDS: Final = ("hotp", "totp", "yubico")
LONGEST_SERIAL: Final = 64
LARGEST_COUNTER: Final = 2**62
YUBICO_OCTETS: Final = KEY_OCTETS + PRIVATE_OCTETS
"""AES key and private id; the public id, 0 to 16 octets, follows."""
YUBICO_DIGITS: Final = CHARACTERS
"""Characters of a Yubico OTP behind its public id."""
STEPS_AHEAD: Final = 2
"""How far ahead of our clock another system may have accepted a code."""


@record
class Seed:
    """One token of a seed file."""

    line: int
    """Where its entry begins."""
    serial: str
    kind: str
    secret: bytes = field(repr=False)
    """The HMAC key; of a Yubico OTP: AES key (16 octets), private id (6), public id (0 to 16)."""
    digits: int = 6
    """Length of a code; of a Yubico OTP of its 32 characters and those of the public id."""
    algorithm: str = "sha1"
    step: int = 30
    moving_factor: int = 0
    """hotp: the next counter that counts. totp, yubico: the last one that was used."""
    drift: int = 0
    """totp: learned offset of the token's clock, in steps."""
    valid_from: float = 0.0
    valid_until: float | None = None
    user: str | None = None
    """Whose it was in the system that it comes from, as written there."""
    label: str = ""
    model: str = ""
    """Maker and model, as the file says."""


@record
class Flaw:
    """An entry that cannot be taken."""

    line: int
    problem: str
    """What is wrong, to be read after the line: ``the seed has 7 octets``."""
    remedy: str
    serial: str = ""


@record
class LeftOut:
    """An entry that is none of ours to take, as a token that sends text messages: no fault of the file."""

    line: int
    what: str
    why: str


Entry = Seed | Flaw | LeftOut


class UnreadableError(Exception):
    """The file as a whole cannot be read: it is something else, is cut short, or its key is wrong."""

    def __init__(self, line: int, problem: str, remedy: str) -> None:
        super().__init__(f"line {line}: {problem}; {remedy}" if line else f"{problem}; {remedy}")
        self.line = line
        self.problem = problem
        self.remedy = remedy


class LockedError(UnreadableError):
    """The file is encrypted, and nothing that opens it was given."""

    def __init__(self, line: int, problem: str, remedy: str, *, password: bool) -> None:
        super().__init__(line, problem, remedy)
        self.password = password
        """Whether a password is wanted, and not a key."""


@record
class How:
    """What the administrator says beside the file."""

    now: float
    """Seconds since 1970: codes of another system's clock tokens count as used up to here."""
    key: bytes | None = field(default=None, repr=False)
    """The transport key of an encrypted file."""
    password: str | None = field(default=None, repr=False)
    """What such a key is derived from."""
    user: str | None = None
    """Who has had all of it, where the administrator says so: what they have used must not count again."""
    columns: tuple[str, ...] = ()
    """For a list whose columns nobody names: what they are."""
    kind: str | None = None
    """Where the file does not say: hotp or totp."""
    digits: int | None = None
    algorithm: str | None = None
    step: int | None = None


class Format(Protocol):
    """What a module of this folder offers."""

    NAME: str
    """The word for ``--format``."""
    TITLE: str
    """What people call it, in a few words."""

    def sniff(self, head: bytes) -> bool:
        """Whether a file that begins like this is one of these; ``head`` is at most 4,096 octets, without a BOM."""

    def read(self, file: BinaryIO, how: How) -> Iterator[Entry]:
        """Yield the entries in the order of the file; UnreadableError when it makes no sense as a whole."""


def checked(seed: Seed) -> Seed | Flaw:
    """Return the seed, or what is wrong with it."""

    def flaw(problem: str, remedy: str) -> Flaw:
        return Flaw(seed.line, problem, remedy, seed.serial if _is_serial(seed.serial) else "")

    if not _is_serial(seed.serial):
        return flaw("the serial is missing or no serial", "write 1 to 64 printable ASCII characters without spaces")
    if seed.kind not in KINDS:
        return flaw(f"a token is {', '.join(KINDS)}, and this one is none of them", "leave the line out")
    if seed.kind == "yubico":
        public = len(seed.secret) - YUBICO_OCTETS
        if not 0 <= public <= 16 or seed.digits != YUBICO_DIGITS + 2 * public:
            return flaw(
                "a Yubico OTP needs an AES key of 16 octets, a private id of 6 and a public id of at most 16",
                "take the line anew from the programming log",
            )
    elif not MIN_SEED_OCTETS <= len(seed.secret) <= MAX_SEED_OCTETS:
        return flaw(
            f"the seed has {len(seed.secret)} octets; a token has {MIN_SEED_OCTETS} to {MAX_SEED_OCTETS}",
            "ask the vendor for the file again",
        )
    elif seed.digits not in DIGITS:
        return flaw(f"a code of {seed.digits} digits", "a token shows 6, 7 or 8")
    elif seed.algorithm not in ALGORITHMS:
        return flaw(f"the algorithm is none of {', '.join(ALGORITHMS)}", "this token cannot be used here")
    elif seed.kind == "totp" and not MIN_STEP <= seed.step <= MAX_STEP:
        return flaw(f"a step of {seed.step} seconds", f"a token shows a code for {MIN_STEP} to {MAX_STEP} seconds")
    if not 0 <= seed.moving_factor <= LARGEST_COUNTER:
        return flaw(f"the counter {seed.moving_factor}", f"a counter is 0 to {LARGEST_COUNTER}")
    if seed.valid_until is not None and seed.valid_until <= seed.valid_from:
        return flaw("it ends before it begins", "mend the dates")
    return seed


def used_elsewhere(now: float, step: int, drift: int = 0, last: int = 0) -> int:
    """Return the TOTP step up to which another system may have accepted codes: none of them may count here again."""
    return max(last, step_at(now, step) + max(0, drift) + STEPS_AHEAD)


def _is_serial(serial: str) -> bool:
    return 1 <= len(serial) <= LONGEST_SERIAL and serial.isascii() and serial.isprintable() and " " not in serial
