"""What the fields of a list mean: from the named fields of a row to one token, or to what is wrong with it.

A field that is missing or empty is what the administrator has said for the whole file, and what is nowhere said is
never guessed where it could let a used code in again. The numbers are those of RFC 4226 and RFC 6238.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from radiusd2fa.factors.hotp import MIN_SEED_OCTETS
from radiusd2fa.factors.yubico import KEY_OCTETS, PRIVATE_OCTETS, modhex_to_octets, octets_to_modhex
from radiusd2fa.imports.dates import seconds
from radiusd2fa.imports.secrets_text import hex_or_base32, hex_seed
from radiusd2fa.imports.seeds import (
    YUBICO_DIGITS,
    YUBICO_OCTETS,
    Entry,
    Flaw,
    How,
    LeftOut,
    Seed,
    checked,
    used_elsewhere,
)
from radiusd2fa.imports.spreadsheet import REMEDY, damage, is_rounded
from radiusd2fa.imports.table import NamedRow

DAY: Final = 86400.0
LONGEST_TEXT: Final = 255
LONGEST_SHOWN: Final = 20
"""Characters of a serial that is repeated in an error; the shortest seed has sixteen."""
_KINDS: Final = {
    "hotp": "hotp",
    "oath-hotp": "hotp",
    "hmac": "hotp",
    "event": "hotp",
    "totp": "totp",
    "oath-totp": "totp",
    "time": "totp",
    "yubico": "yubico",
    "yubikey": "yubico",
    "yubico otp": "yubico",
}
_OF_OTHERS: Final = ("ocra", "ocra2", "sms", "email", "push", "tiqr", "pw", "spass", "static", "u2f", "webauthn")
"""Kinds of token that other systems have and that are no one-time passwords of ours."""
_NUMBERS: Final = {
    "digits": re.compile(r"[0-9]{1,3}"),
    "step": re.compile(r"[0-9]{1,5}"),
    "counter": re.compile(r"[0-9]{1,19}"),
}
_DATES: Final = ("valid_from", "valid_until")
_TEXTS: Final = ("user", "label", "manufacturer", "model")
COUNTER_UNSAID: Final = "somebody has this token, and its counter is not said: codes that were used could count again"
_CUT_UNSEEN: Final = ("serial", "user", "counter", "public_id")
"""What is still one of its kind when its end is missing."""

SecretReader = Callable[[str], bytes | None]


def seeds_of(
    rows: Iterable[NamedRow | Flaw], how: How, read_secret: SecretReader = hex_or_base32, *, kind: str | None = None
) -> Iterator[Entry]:
    """Yield one entry for each row; ``kind`` is what a token is where neither file nor administrator says it."""
    octets_before = 0
    for row in rows:
        entry = row if isinstance(row, Flaw) else seed_of(row, how, read_secret, kind=kind)
        if isinstance(row, NamedRow) and isinstance(entry, Seed):
            if _may_be_cut(row, len(entry.secret), octets_before):
                entry = _flaw(
                    row,
                    "the file ends within this line, without a line end, and may have been cut",
                    "take the vendor's file again; if it is whole, put a line end behind its last line",
                )
            else:
                octets_before = len(entry.secret)
        elif isinstance(entry, Flaw):
            entry = Flaw(entry.line, entry.problem, entry.remedy, shown(entry.serial))
        yield entry


def _may_be_cut(row: NamedRow, octets: int, octets_before: int) -> bool:
    """Whether the file ends in the middle of a field and one could not tell: a seed must be as long as the last one."""
    if row.last == "secret":
        return not row.ended and (octets < octets_before or not octets_before)
    return not row.ended and row.last in _CUT_UNSEEN


def seed_of(row: NamedRow, how: How, read_secret: SecretReader = hex_or_base32, *, kind: str | None = None) -> Entry:
    """Return the token that a row describes, or what is wrong with it, or why it is none for here."""
    word = row.values.get("kind", "").casefold()
    if word in _OF_OTHERS:
        return LeftOut(row.line, f"a token of the kind {word}", "it shows no HOTP, TOTP or Yubico code")
    which = _KINDS.get(word) if word else how.kind or kind
    malformed = _malformed(row)
    if malformed is not None:
        return malformed
    if which is None:
        problem = "the kind is none of hotp, totp, yubico" if word else "nobody says whether this is hotp or totp"
        return _flaw(row, problem, "name it in a column kind, or with --kind")
    return _yubico_of(row, how) if which == "yubico" else _oath_of(row, how, read_secret, which)


def yubico_otp(row: NamedRow, how: How, *, key: str, private_id: str, public_id: str) -> Entry:
    """Return a Yubico OTP from its three parts as the programming log writes them; without a serial it is its id."""
    aes, private, public = hex_seed(key), hex_seed(private_id), modhex_to_octets(public_id)
    if aes is None or len(aes) != KEY_OCTETS:
        return _flaw(row, f"the AES key is not {KEY_OCTETS} octets in hex", "take the line anew from the log")
    if private is None or len(private) != PRIVATE_OCTETS:
        return _flaw(row, f"the private id is not {PRIVATE_OCTETS} octets in hex", "take the line anew from the log")
    if public is None:
        return _flaw(row, "the public id is no modhex", "its letters are cbdefghijklnrtuv, in pairs")
    if not public and not row.values.get("serial"):
        return _flaw(row, "there is neither a serial nor a public id", "list it with a serial, by --columns")
    return _yubico(row, how, row.values.get("serial") or octets_to_modhex(public), aes + private + public)


def shown(serial: str) -> str:
    """Return the serial where it may be repeated, or nothing: in a damaged line it may be a seed, or have one in it."""
    if not (serial.isascii() and serial.isprintable() and len(serial) <= LONGEST_SHOWN):
        return ""
    return "" if len(hex_or_base32(serial) or b"") >= MIN_SEED_OCTETS else serial


def _yubico_of(row: NamedRow, how: How) -> Entry:
    values = row.values
    if "private_id" in values or "public_id" in values:
        return yubico_otp(
            row,
            how,
            key=values["secret"],
            private_id=values.get("private_id", ""),
            public_id=values.get("public_id", ""),
        )
    secret = hex_seed(values["secret"])
    if secret is None:
        return _flaw(row, "the secret is no hex", "write AES key, private id and public id one behind the other")
    return _yubico(row, how, values.get("serial", ""), secret)


def _yubico(row: NamedRow, how: How, serial: str, secret: bytes) -> Seed | Flaw:
    if _has_unknown_past(row, how):
        return _counter_wanted(row, how)
    return checked(
        Seed(
            line=row.line,
            serial=serial,
            kind="yubico",
            secret=secret,
            digits=YUBICO_DIGITS + 2 * max(0, len(secret) - YUBICO_OCTETS),
            moving_factor=int(row.values.get("counter") or 0),
            valid_from=_start(row),
            valid_until=_end(row),
            user=row.values.get("user") or None,
            label=row.values.get("label", ""),
            model=_model(row),
        )
    )


def _oath_of(row: NamedRow, how: How, read_secret: SecretReader, kind: str) -> Seed | Flaw:
    values = row.values
    secret = read_secret(values["secret"])
    if secret is None:
        return _flaw(
            row,
            "the secret is neither hex nor base32",
            "hex is 0-9 and a-f in pairs, base32 A-Z and 2-7; take the line anew from the vendor's file",
        )
    if kind == "hotp" and _has_unknown_past(row, how):
        return _counter_wanted(row, how)
    step = int(values.get("step") or how.step or 30)
    moving_factor = int(values.get("counter") or 0)
    if kind == "totp" and step > 0 and (values.get("user") or how.user or moving_factor):
        moving_factor = used_elsewhere(how.now, step, last=moving_factor)
    return checked(
        Seed(
            line=row.line,
            serial=values.get("serial", ""),
            kind=kind,
            secret=secret,
            digits=int(values.get("digits") or how.digits or 6),
            algorithm=_algorithm(values.get("algorithm") or how.algorithm or "sha1"),
            step=step,
            moving_factor=moving_factor,
            valid_from=_start(row),
            valid_until=_end(row),
            user=values.get("user") or None,
            label=values.get("label", ""),
            model=_model(row),
        )
    )


def _malformed(row: NamedRow) -> Flaw | None:
    """What is wrong with a single field, whatever the others say."""
    values = row.values
    harm = damage(values.get("serial", ""))
    if harm is not None:
        return Flaw(row.line, harm, REMEDY)
    secret = values.get("secret", "")
    if not secret:
        return _flaw(row, "there is no secret", "ask the vendor for it")
    if is_rounded(secret):
        return _flaw(row, "a spreadsheet has made a number of the secret and rounded it", REMEDY)
    for name, form in _NUMBERS.items():
        if not form.fullmatch(values.get(name) or "0"):
            return _flaw(row, f"the {name} is no whole number", "write it in digits alone")
    for name in _DATES:
        if values.get(name) and seconds(values[name]) is None:
            return _flaw(row, f"{name} is no date", "write it as 2027-12-31, or as 2027-12-31T18:00:00Z")
    for name in _TEXTS:
        text = values.get(name, "")
        if not text.isprintable() or len(text) > LONGEST_TEXT:
            return _flaw(row, f"the {name} is not plain text", f"write at most {LONGEST_TEXT} printable characters")
    return None


def _has_unknown_past(row: NamedRow, how: How) -> bool:
    """Whether somebody has this token already, and nobody says how often its button was pressed."""
    return bool(row.values.get("user") or how.user) and not row.values.get("counter")


def _counter_wanted(row: NamedRow, how: How) -> Flaw:
    return _flaw(
        row, COUNTER_UNSAID, f"write its next counter in a column counter, or 0 if nobody has ever used it{if_new(how)}"
    )


def if_new(how: How) -> str:
    """Return what else can be done where it is the administrator who gives a token to somebody; else nothing."""
    return "" if how.user is None else "; a new one goes into the stock, without --user, and is handed out from there"


def _start(row: NamedRow) -> float:
    return seconds(row.values.get("valid_from", "")) or 0.0


def _end(row: NamedRow) -> float | None:
    """The end of validity; of a day alone its last moment."""
    text = row.values.get("valid_until", "").strip()
    end = seconds(text)
    return end + DAY if end is not None and len(text) == len("2027-12-31") else end


def _algorithm(text: str) -> str:
    """``HMAC-SHA-256``, ``HmacSHA256`` and ``sha256`` are one."""
    return text.casefold().replace("-", "").replace("_", "").removeprefix("hmac")


def _model(row: NamedRow) -> str:
    return " ".join(filter(None, (row.values.get("manufacturer"), row.values.get("model"))))


def _flaw(row: NamedRow, problem: str, remedy: str) -> Flaw:
    return Flaw(row.line, problem, remedy, shown(row.values.get("serial", "")))
