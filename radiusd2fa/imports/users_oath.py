"""users.oath, the file of pam_oath (liboath), and the UsersFile of mod_authn_otp, from which it comes.

A line that is commented out never counts, and a PIN is neither taken nor shown. The fields are described in
mod_authn_otp's UsersFile and read in liboath's usersfile.c; the tokens are RFC 4226 and RFC 6238.

What is remembered of used codes, as liboath 2.6 does it: of HOTP the counter of the code that was used last, not the
next one, kept apart from the next only by "last OTP" beside it; of TOTP nothing but the last OTP itself: the number in
the counter's place is a distance and no drift. mod_authn_otp writes HOTP's next counter, and TOTP's drift.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, Final

from radiusd2fa.core.record import record
from radiusd2fa.factors.hotp import DIGITS, MIN_SEED_OCTETS, code_maker
from radiusd2fa.factors.totp import MAX_STEP, MIN_STEP, step_at
from radiusd2fa.imports.dates import seconds
from radiusd2fa.imports.elsewhere import FARTHEST, NOT_TAKEN, Met, settled, whole
from radiusd2fa.imports.secrets_text import hex_seed
from radiusd2fa.imports.seeds import Entry, Flaw, How, LeftOut, Seed
from radiusd2fa.imports.text_lines import TextLine, text_lines

NAME: Final = "users-oath"
TITLE: Final = "users.oath of pam_oath, and UsersFile of mod_authn_otp"

_TYPE: Final = re.compile(r"HOTP(?:/(?:(E)|T([0-9]{0,3}))(?:/([0-9]{1,2}))?)?")
_OTHER_TYPES: Final = re.compile(r"(MOTP|OCRA)[-/:].*|MOTP")
_SNIFFED: Final = re.compile(rb"^[ \t]*(?:HOTP(?:/[ET0-9/]*)?|MOTP(?:/[ET0-9/]*)?)[ \t]+\S+[ \t]+\S+", re.MULTILINE)
_OFFSET: Final = re.compile(r"-?[0-9]{1,6}")
_AHEAD: Final = 3600
"""Seconds within which the last OTP is looked for: pam_oath's ``window`` is 20 steps in its examples."""
_NO_PINS: Final = ("-", "+")
"""None; and: somebody else asks for it."""


@record
class _Kind:
    kind: str
    step: int
    digits: int


def sniff(head: bytes) -> bool:
    """Say whether a line is a token type, a name and a PIN."""
    return _SNIFFED.search(head) is not None


def read(file: BinaryIO, how: How) -> Iterator[Entry]:
    """Yield a token for each line that pam_oath would read."""
    met = Met()
    for line in text_lines(file):
        fields = line.text.split()
        # liboath takes a line by its first word; "#HOTP" and "# HOTP" are none that it knows
        if fields and not fields[0].startswith("#"):
            yield from _entries(line, fields, how, met)


def _entries(line: TextLine, fields: list[str], how: How, met: Met) -> Iterator[Entry]:
    kind = _kind(fields[0])
    if kind is None:
        yield _unknown(line, fields[0])
    elif len(fields) < 4:
        yield Flaw(line.number, "the line has no key", "it is: type, user, PIN, key in hex")
    elif not line.ended:
        yield Flaw(
            line.number,
            "the line has no end: the file may have been cut there, within the counter perhaps",
            "take the file anew; if it is whole, end its last line with a line end",
        )
    else:
        entry = _token(line.number, fields, kind, how, met)
        yield entry
        if isinstance(entry, Seed) and fields[2] not in _NO_PINS:
            yield LeftOut(line.number, f"the PIN of {fields[1]}", NOT_TAKEN)


def _token(number: int, fields: list[str], kind: _Kind, how: How, met: Met) -> Seed | Flaw | LeftOut:
    user, secret = fields[1], hex_seed(fields[3])
    if secret is None:
        return Flaw(number, "the key is no hex", "pam_oath reads keys in hex alone: mend the line")
    counter = fields[4] if len(fields) > 4 else "0"
    moving_factor: int | None
    if kind.kind == "hotp":
        moving_factor, drift = _next_counter(counter, fields), 0
    else:
        moving_factor, drift = _last_step(fields, secret, kind, how), _drift(fields, kind)
    if moving_factor is None:
        return Flaw(number, "the counter is no whole number", "mend the line: a guess could let used codes in")
    seed = Seed(
        line=number,
        serial=met.serial_for(user, kind.kind, secret),
        kind=kind.kind,
        secret=secret,
        digits=kind.digits,
        step=kind.step,
        moving_factor=moving_factor,
        drift=drift,
        user=user,
    )
    return settled(seed, how, met)


def _kind(word: str) -> _Kind | None:
    form = _TYPE.fullmatch(word)
    if form is None:
        return None
    digits = int(form[3] or 6)
    # "HOTP/T" alone is a step of 30 seconds
    return _Kind("hotp", 30, digits) if form[2] is None else _Kind("totp", int(form[2] or 30), digits)


def _unknown(line: TextLine, word: str) -> Flaw | LeftOut:
    other = _OTHER_TYPES.fullmatch(word)
    if other is not None:
        return LeftOut(line.number, f"a token of the type {other[1] or 'MOTP'}", "it is neither HOTP nor TOTP")
    return Flaw(line.number, "the first word is no token type", "types are HOTP, HOTP/E/8, HOTP/T30, HOTP/T60/8 ...")


def _next_counter(counter: str, fields: list[str]) -> int | None:
    """liboath writes the counter that it has found; what stands behind it tells that there was a login at all.

    mod_authn_otp has the next one there already, and loses one code that nobody has used.
    """
    number = whole(counter)
    return None if number is None else number + (1 if len(fields) > 5 else 0)


def _last_step(fields: list[str], secret: bytes, kind: _Kind, how: How) -> int:
    """Return the step of the last OTP where it lies ahead of us, else 0: ``window`` codes ahead are taken there."""
    wanted = {field.encode() for field in fields[5:7] if len(field) == kind.digits}
    sound = MIN_STEP <= kind.step <= MAX_STEP and kind.digits in DIGITS and len(secret) >= MIN_SEED_OCTETS
    if not wanted or not sound or _is_long_ago(fields, how):
        return 0
    code, here = code_maker(secret, "sha1", kind.digits), step_at(how.now, kind.step)
    ahead = range(here + _AHEAD // kind.step, here, -1)
    return next((step for step in ahead if code(step) in wanted), 0)


def _is_long_ago(fields: list[str], how: How) -> bool:
    """Say whether the last OTP is of so many days ago that it cannot lie ahead: ``2026-11-22T05:43:03L``."""
    moments = (seconds(field.removesuffix("L")) for field in fields[6:] if field.endswith("L"))
    return any(moment is not None and moment < how.now - 2 * FARTHEST for moment in moments)


def _drift(fields: list[str], kind: _Kind) -> int:
    """Return mod_authn_otp's offset; its lines have a failure counter where liboath's have the last OTP."""
    is_of_mod_authn_otp = len(fields) > 6 and len(fields[5]) < kind.digits
    return int(fields[4]) if is_of_mod_authn_otp and _OFFSET.fullmatch(fields[4]) else 0
