"""Logs of YubiKey programming: the Personalization Tool's traditional and Yubico formats, and key lists of a KSM.

It takes Yubico OTP and OATH-HOTP, and leaves out what cannot be checked here: static passwords, challenge-response, and
HOTP keys that type an identifier before the code. It answers to no RFC; the columns are those of the Personalization
Tool 3.1 and of ``ykksm-gen-keys``, whose public ids are in modhex and all else in hex.

- Traditional: event, time, slot, public id, private id, key, two access codes, three flags, digits, moving factor, five
  flags. No serial: the public id stands for it.
- Yubico (``ykman`` writes it too), KSM: serial, public id, private id, key, access code, time, ... In the middle of a
  HOTP key stands its moving factor; the digits are not said. A challenge-response key looks just like a HOTP key here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, Final

from radiusd2fa.imports.fields import seeds_of, shown, yubico_otp
from radiusd2fa.imports.secrets_text import hex_seed
from radiusd2fa.imports.seeds import Entry, Flaw, How, LeftOut
from radiusd2fa.imports.table import NamedRow, Row, first_row, rows

NAME: Final = "yubico"
TITLE: Final = "YubiKey programming log"
_YUBICO_OTP: Final = "yubico otp"
_HOTP: Final = "oath-hotp"
_START: Final = "logging start"
_EVENTS: Final = (
    _YUBICO_OTP,
    _HOTP,
    "static password",
    "challenge-response",
    "configuration update",
    "configuration swap",
    "unknown programming mode",
)
_TRADITIONAL_FIELDS: Final = 18
"""One more where the time is written with a comma: the fields are counted from the end."""
_SHORT_FIELDS: Final = (5, 8)
_MODHEX: Final = re.compile(r"[cbdefghijklnrtuv]*", re.IGNORECASE | re.ASCII)
_MIDDLE: Final = re.compile(r"(?:\d{1,7}|[0-9a-f]{12})?", re.IGNORECASE | re.ASCII)
_COUNTER: Final = re.compile(r"\d{1,7}", re.ASCII)
_HOTP_OCTETS: Final = 20


def sniff(head: bytes) -> bool:
    """Whether the first line is an event of the traditional log, or a serial, two ids and a key."""
    fields = first_row(head)
    if not fields:
        return False
    if _event(fields):
        return True
    return (
        _SHORT_FIELDS[0] <= len(fields) <= _SHORT_FIELDS[1]
        and _is_number(fields[0])
        and _MODHEX.fullmatch(fields[1]) is not None
        and _MIDDLE.fullmatch(fields[2]) is not None
        and hex_seed(fields[3]) is not None
    )


def read(file: BinaryIO, how: How) -> Iterator[Entry]:
    """Yield one entry for each line that programmed a key."""
    for row in rows(file):
        if isinstance(row, Flaw):
            yield row
        elif event := _event(row.fields):
            yield from _traditional(row, event, how)
        else:
            yield _short(row, how)


def _traditional(row: Row, event: str, how: How) -> Iterator[Entry]:
    if event == _START:
        return
    if event not in (_YUBICO_OTP, _HOTP):
        yield LeftOut(row.line, event, "it makes no one-time passwords")
    elif len(row.fields) not in (_TRADITIONAL_FIELDS, _TRADITIONAL_FIELDS + 1):
        yield _cut(row)
    elif event == _YUBICO_OTP:
        public_id, private_id, key = row.fields[-15:-12]
        yield yubico_otp(NamedRow(row.line, {}), how, key=key, private_id=private_id, public_id=public_id)
    elif row.fields[-15]:
        yield _prefixed(row)
    else:
        yield Flaw(row.line, "a HOTP key without a serial", "put serials and keys into a list of your own")


def _short(row: Row, how: How) -> Entry:
    fewest, most = _SHORT_FIELDS
    if not fewest <= len(row.fields) <= most:
        return _cut(row)
    serial, public_id, middle, key = row.fields[:4]
    if not _is_number(serial):
        return Flaw(row.line, "the line begins with no serial and no event of the log", "take it anew from the log")
    if not middle:
        return LeftOut(
            row.line, f"the key {shown(serial)}".rstrip(), "it types a static password, and no one-time passwords"
        )
    if not _COUNTER.fullmatch(middle):
        named = NamedRow(row.line, {"serial": serial})
        return yubico_otp(named, how, key=key, private_id=middle, public_id=public_id)
    if len(hex_seed(key) or b"") != _HOTP_OCTETS:
        return Flaw(
            row.line,
            f"the HOTP key is not {_HOTP_OCTETS} octets in hex",
            "take the line anew from the log",
            shown(serial),
        )
    if public_id:
        return _prefixed(row)
    values = {"serial": serial, "kind": "hotp", "secret": key, "counter": middle}
    return next(seeds_of([NamedRow(row.line, values)], how, hex_seed))


def _prefixed(row: Row) -> LeftOut:
    return LeftOut(
        row.line,
        "a HOTP key that types an identifier before its code",
        "program it anew without an OATH token identifier",
    )


def _cut(row: Row) -> Flaw:
    return Flaw(row.line, f"the line has {len(row.fields)} fields: it is cut off", "take it anew from the log")


def _event(fields: tuple[str, ...]) -> str:
    """What was logged, in small letters; empty where the line is not of the traditional log."""
    first = fields[0].casefold().split(":")[0]
    return first if first in (_START, *_EVENTS) else ""


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
