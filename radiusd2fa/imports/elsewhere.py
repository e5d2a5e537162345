"""What all tokens have in common that another OTP system had before: what is spent there stays spent here.

It makes no counter smaller than the file's, takes no seed twice, and tells nothing of a seed but eight characters of a
digest where a file has neither serial nor name. Used codes are those of RFC 4226 7.2 and RFC 6238 5.2.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import Final

from radiusd2fa.core.names import canonical
from radiusd2fa.core.record import record
from radiusd2fa.factors.totp import MAX_STEP, MIN_STEP, step_at
from radiusd2fa.imports.seeds import LONGEST_SERIAL, Flaw, How, LeftOut, Seed, checked, used_elsewhere

FARTHEST: Final = 86400
"""Seconds that the last code used elsewhere, or a token's clock, may be from our own clock."""
NOT_TAKEN: Final = "the token is taken without it: who logs in is asked for the password that the rule names"
"""Why a PIN stays behind."""
_WHOLE: Final = re.compile(r"[0-9]{1,19}")
_SECONDS: Final = re.compile(r"([+-]?[0-9]{1,9})(?:\.[0-9]*)?")
_IN_A_SERIAL: Final = re.compile(r"[A-Za-z0-9@._+-]{1,48}")
_DIGEST_CHARACTERS: Final = 8
_LONGEST_TEXT: Final = 255


@record
class _First:
    """Where a seed was met for the first time."""

    line: int
    user: str | None
    kind: str
    moving_factor: int


class Met:
    """What one file has brought so far: every seed and every made serial comes once."""

    def __init__(self) -> None:
        self._seeds: dict[bytes, _First] = {}
        self._serials: set[str] = set()

    def serial_for(self, user: str | None, kind: str, secret: bytes) -> str:
        """Make a serial for a token that has none; the same file read again makes the same one."""
        stem = f"{user}-{kind}" if user and _IN_A_SERIAL.fullmatch(user) else f"{kind}-{_name_digest(user, secret)}"
        serial, number = stem, 1
        while serial in self._serials:
            number += 1
            serial = f"{stem}-{number}"
        self._serials.add(serial)
        return serial[:LONGEST_SERIAL]

    def take(self, seed: Seed) -> Seed | Flaw | LeftOut:
        """Return the seed at its first coming.

        Two tokens of one seed would let the same code in twice. Of the same person's, the first is enough, unless the
        second has counted further.
        """
        digest = hashlib.sha256(seed.secret).digest()
        first = self._seeds.get(digest)
        if first is None:
            self._seeds[digest] = _First(seed.line, seed.user, seed.kind, seed.moving_factor)
            return seed
        if (first.user, first.kind) == (seed.user, seed.kind) and seed.moving_factor <= first.moving_factor:
            return LeftOut(seed.line, "a second entry for the same token", f"line {first.line} has its seed already")
        return Flaw(
            seed.line,
            f"the seed is the same as in line {first.line}, so one code would count twice",
            "keep one of them, with the highest counter; another person needs a token of their own",
            seed.serial,
        )


def settled(seed: Seed, how: How, met: Met, *, ahead: int = 0) -> Seed | Flaw | LeftOut:
    """Return what a token becomes here, its used codes shut out.

    A HOTP seed comes with the next counter as its moving factor. A TOTP seed comes with the last step that is known to
    be used, or 0; ``ahead`` says how many steps before their time the other system took codes without noting them.
    """
    if seed.user is not None and canonical(seed.user.encode()) is None:
        return Flaw(seed.line, "the name of its user can be nobody's", "write the name as people log in with it")
    if seed.kind == "totp" and MIN_STEP <= seed.step <= MAX_STEP:
        most = FARTHEST // seed.step
        if abs(seed.drift) > most:
            return Flaw(
                seed.line,
                "the token's clock is off by more than a day",
                "no code of it could count here: hand out another token",
                seed.serial,
            )
        spent = used_elsewhere(how.now, seed.step, seed.drift + max(0, ahead), seed.moving_factor)
        if spent > step_at(how.now, seed.step) + 2 * most:
            return Flaw(
                seed.line,
                "its last used code is of days to come",
                "compare the clock here with that of the old system; if both are right, hand out another token",
                seed.serial,
            )
        seed = replace(seed, moving_factor=spent)
    sound = checked(replace(seed, label=_one_line(seed.label), model=_one_line(seed.model)))
    return met.take(sound) if isinstance(sound, Seed) else sound


def whole(text: str) -> int | None:
    """Return a number written in ASCII digits alone, or None."""
    return int(text) if _WHOLE.fullmatch(text) else None


def steps_in(seconds: str, step: int) -> int | None:
    """Return how many steps so many seconds are, away from zero: ``-12.5``; None for what is no number."""
    number = _SECONDS.fullmatch(seconds.strip())
    if number is None or step <= 0:
        return None
    whole_seconds = int(number[1])
    steps = -(-abs(whole_seconds) // step)
    return steps if whole_seconds >= 0 else -steps


def _one_line(text: str) -> str:
    """What people have written there, fit for a list: it may hold anything."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:_LONGEST_TEXT]).strip()


def _name_digest(user: str | None, secret: bytes) -> str:
    """Of the name where there is one; else of the seed, so that the same seed is known again when it comes again."""
    said = b"name\0" + user.encode() if user else b"seed\0" + secret
    return hashlib.sha256(b"radiusd2fa serial\0" + said).hexdigest()[:_DIGEST_CHARACTERS]
