"""multiOTP: its users/NAME.db and tokens/SERIAL.db, and the list that it takes its tokens from.

Nothing that multiOTP has encrypted is read, and no PIN. The format is multiOTP's own ("multiotp-database-format-v3",
multiotp.class.php); the tokens are RFC 4226 and RFC 6238.

``last_event`` is the HOTP counter that was used last, -1 before the first; ``last_login`` of a TOTP user is the second
at which the last used step begins, and ``delta_time`` the clock's offset in seconds. A token's own file stands still
from the day on which a user gets it, and so does the list: what was used since stands in the user's file alone.
``tail -v -n +1 users/*.db`` prints all users into one file, each under its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, Final

from radiusd2fa.factors.totp import MIN_STEP
from radiusd2fa.imports.elsewhere import NOT_TAKEN, Met, settled, steps_in, whole
from radiusd2fa.imports.secrets_text import hex_seed
from radiusd2fa.imports.sections import HEADER, Section, cut, sections
from radiusd2fa.imports.seeds import Entry, Flaw, How, LeftOut, Seed
from radiusd2fa.imports.text_lines import TextLine

NAME: Final = "multiotp"
TITLE: Final = "user and token files of multiOTP, and its CSV"

_FIRST_LINE: Final = "multiotp-database-format-v3"
_OF_TOKENS: Final = ("token_id", "attributed_users")
"""What only a token's own file has."""
_COLUMNS: Final = ("serial_number", "manufacturer", "algorithm", "seed", "digits", "interval_or_event")
_LIST_HEADER: Final = re.compile(r"serial_number[;,\t]manufacturer[;,\t]algorithm[;,\t]seed[;,\t]", re.IGNORECASE)
_ALGORITHMS: Final = {"": "sha1", "hmac-sha1": "sha1", "hmac-sha256": "sha256", "hmac-sha512": "sha512"}
_SIGNED: Final = re.compile(r"-?[0-9]{1,18}")
_LINE: Final = re.compile(r"([A-Za-z0-9_]+)(:?)=(.*)")
_WITH_NAMES: Final = "put files together with their names: tail -v -n +1 users/*.db"
_WRITE_PLAIN: Final = (
    "let multiOTP write it plainly: multiotp -config attributes-to-encrypt=*user_pin*, then change anything of the user"
)


def sniff(head: bytes) -> bool:
    """Say whether it begins as multiOTP begins its files, or with the header of its list."""
    lines = [line for line in head.decode("utf-8", "replace").splitlines() if line.strip()]
    if lines and HEADER.fullmatch(lines[0]):
        lines = lines[1:]
    return bool(lines) and (lines[0].strip() == _FIRST_LINE or _LIST_HEADER.match(lines[0]) is not None)


def read(file: BinaryIO, how: How) -> Iterator[Entry]:
    """Yield a token for each file of a user, and for each token that nobody has."""
    met = Met()
    for section in sections(file):
        if _LIST_HEADER.match(section.lines[0].text):
            yield from _list(section, how, met)
        elif section.lines[0].text.strip() != _FIRST_LINE:
            yield Flaw(section.line, "this is no file of multiOTP", f"it would begin with {_FIRST_LINE}")
        else:
            yield from _file(section, how, met)


def _file(section: Section, how: How, met: Met) -> Iterator[Entry]:
    values: dict[str, str] = {}
    for line in section.lines[1:]:
        if line.text.startswith(("#", ";")):
            continue
        if line.text == _FIRST_LINE:
            yield Flaw(line.number, "another file begins here, and whose it is, is not said", _WITH_NAMES)
            return
        form = _LINE.fullmatch(line.text)
        if form is None or form[1].lower() in values:
            yield Flaw(line.number, "the line is no attribute, or one that was there already", "take the file anew")
            return
        values[form[1].lower()] = f":{form[3]}" if form[2] and form[3] else form[3]
    if not section.whole:
        yield cut(section)
        return
    entry = _token(section, values, how, met)
    yield entry
    if isinstance(entry, Seed) and values.get("user_pin") and values.get("request_prefix_pin") == "1":
        yield LeftOut(section.line, f"the PIN of {entry.user or entry.serial}", NOT_TAKEN)


def _token(section: Section, values: dict[str, str], how: How, met: Met) -> Entry:
    line, kind = section.line, values.get("algorithm", "").casefold()
    is_token = any(name in values for name in _OF_TOKENS)
    user = None if is_token else values.get("user") or section.file_name.removesuffix(".db") or None
    holders = values.get("attributed_users", "").strip(" ,;")
    if kind not in ("hotp", "totp"):
        return LeftOut(line, f"a token of the kind {kind}" if kind.isalnum() else "a token", "it is no HOTP or TOTP")
    if is_token and holders:
        return LeftOut(line, "a token that a user has", "its counter stands in the user's own file: import users/*.db")
    if values.get("desactivated", "0") == "1" or values.get("locked", "0") == "1":
        return LeftOut(line, f"the token of {user}" if user else "a token", "it is locked or deactivated in multiOTP")
    written = values.get("token_seed", "")
    if written.startswith((":", "ENC:")):
        return Flaw(line, "the seed is encrypted with multiOTP's own key", _WRITE_PLAIN)
    secret = hex_seed(written)
    if secret is None:
        return Flaw(line, "the seed is no hex", "take the file anew")
    digits, algorithm = whole(values.get("number_of_digits", "")), values.get("token_algo_suite", "").casefold()
    step = whole(values.get("time_interval", "")) if kind == "totp" else 30
    factor = _moving_factor(values, kind, step)
    drift = steps_in(values.get("delta_time", "0"), step or 1) if kind == "totp" else 0
    if digits is None or step is None or factor is None or drift is None:
        return Flaw(
            line, "digits, interval or a counter is no number", "take the file anew: a guess could let codes in"
        )
    seed = Seed(
        line=line,
        serial=values.get("token_serial") or values.get("token_id") or met.serial_for(user, kind, secret),
        kind=kind,
        secret=secret,
        digits=digits,
        algorithm=_ALGORITHMS.get(algorithm, algorithm),
        step=step,
        moving_factor=factor,
        drift=drift,
        user=user,
        label=values.get("description", ""),
        model=values.get("manufacturer", ""),
    )
    return settled(seed, how, met)


def _moving_factor(values: dict[str, str], kind: str, step: int | None) -> int | None:
    """Return HOTP's next counter, or TOTP's last step; None where the file does not say."""
    if kind == "totp":
        at = whole(values.get("last_login", ""))
        return None if at is None or step is None else at // max(step, MIN_STEP)
    last = values.get("last_event", "")
    return max(0, int(last) + 1) if _SIGNED.fullmatch(last) else None


def _list(section: Section, how: How, met: Met) -> Iterator[Entry]:
    """Yield the TOTP tokens of multiOTP's list; of a HOTP token it says where it stood before multiOTP had it."""
    header = section.lines[0].text
    separator = next(sign for sign in ";,\t" if sign in header)
    for line in section.lines[1:]:
        yield _listed(line, [field.strip(' "') for field in line.text.split(separator)], how, met)


def _listed(line: TextLine, fields: list[str], how: How, met: Met) -> Entry:
    number = line.number
    if len(fields) != len(_COLUMNS) or not line.ended:
        return Flaw(number, "the line has not six fields, or no end", "take the file anew: it may have been cut there")
    serial, manufacturer, kind, written, digits, interval = fields
    secret, shown, step = hex_seed(written), whole(digits), whole(interval)
    if kind.casefold() == "hotp":
        return Flaw(
            number,
            "where this counter stands today is not in this list: used codes could count again",
            "import users/*.db; a token that nobody has used goes into a list of its own, with --columns",
            serial if serial.isascii() and serial.isalnum() else "",
        )
    if kind.casefold() != "totp":
        return LeftOut(number, "a token that is no HOTP or TOTP", "it cannot be used here")
    if secret is None or shown is None or step is None:
        return Flaw(number, "seed, digits or interval cannot be read", "the seed is hex, the others are whole numbers")
    return settled(Seed(number, serial, "totp", secret, shown, step=step, model=manufacturer), how, met)
