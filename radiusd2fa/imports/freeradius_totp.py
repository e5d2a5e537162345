"""The users file of FreeRADIUS, where rlm_totp finds the seeds: TOTP-Secret in base32, TOTP-Key in octets.

It follows no $INCLUDE, and an entry that turns its user away brings no token. The file is FreeRADIUS's users(5) and
rlm_files; what a token is, its rlm_totp: RFC 6238 with SHA-1, and in the file nothing of steps or digits, which are the
module's (``time_step``, ``otp_length``): say them with --step and --digits where they are not 30 and 6.

rlm_totp keeps no record of used codes beyond its own memory, so each step up to now counts as used.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Iterator
from dataclasses import field
from typing import BinaryIO, Final

from radiusd2fa.core.record import record
from radiusd2fa.imports.elsewhere import Met, settled, steps_in
from radiusd2fa.imports.secrets_text import base32_seed, hex_seed
from radiusd2fa.imports.seeds import Entry, Flaw, How, LeftOut, Seed
from radiusd2fa.imports.text_lines import TextLine, text_lines

NAME: Final = "freeradius"
TITLE: Final = "users file of FreeRADIUS with TOTP-Secret or TOTP-Key"

_SNIFFED: Final = re.compile(rb"^[^#\n]*\bTOTP[-.](?:Secret|Key)\b", re.MULTILINE | re.IGNORECASE)
_NAME: Final = re.compile(r'"((?:[^"\\]|\\.)+)"|([^\s",]+)')
_ITEM: Final = re.compile(
    r"&?(?:(?:control|reply|request)[:.])?(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?::[0-9]+|\[[0-9*]\])?\s*"
    r"(?P<operator>:=|\+=|-=|==|!=|<=|>=|=~|!~|=\*|!\*|<|>|=)\s*"
    r"(?:\"(?P<double>(?:[^\"\\]|\\.)*)\"|'(?P<single>(?:[^'\\]|\\.)*)'|`[^`]*`|(?P<bare>[^\s,#\"']+))?"
)
_BETWEEN: Final = re.compile(r"[\s,]*")
_ESCAPED: Final = re.compile(r"\\(.)")
_SETTING: Final = (":=", "=", "+=")
_OF_TOTP: Final = ("totp-secret", "totp-key", "totp-time-offset")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE: Final = re.compile(
    r"([A-Za-z]{3})[a-z]* ([0-9]{1,2}),? ([0-9]{4})\b.*|([0-9]{1,2}) ([A-Za-z]{3})[a-z]* ([0-9]{4})\b.*"
)
_MOST_LINES: Final = 1000


@record
class _User:
    """One entry: the name in the first column, and the items of its line and the indented ones below."""

    line: int
    name: str
    items: tuple[tuple[str, str, str], ...] = field(repr=False)
    """Name, operator, value."""
    ended: bool


def sniff(head: bytes) -> bool:
    """Say whether a line that is no comment names one of the two attributes."""
    return _SNIFFED.search(head) is not None


def read(file: BinaryIO, how: How) -> Iterator[Entry]:
    """Yield a token for each entry that has one; entries without are nothing to report."""
    met, rejected = Met(), set[str]()
    for entry in _users(file):
        if not isinstance(entry, _User):
            yield entry
            continue
        # the first entry that fits a user is the one that counts (users(5))
        if _rejects(entry):
            rejected.add(entry.name)
        if any(name in _OF_TOTP[:2] for name, _, _ in entry.items):
            yield _token(entry, how, met, is_rejected=entry.name in rejected)


def _users(file: BinaryIO) -> Iterator[_User | Flaw | LeftOut]:
    held: list[TextLine] = []
    for line in text_lines(file):
        text = line.text
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        if text.startswith("$INCLUDE"):
            yield LeftOut(line.number, "a line that includes another file", "import that file by itself")
            continue
        if text[0] not in " \t":
            if held:
                yield _user(held)
            held = []
        held.append(line)
        if len(held) > _MOST_LINES:
            yield Flaw(line.number, f"an entry of more than {_MOST_LINES} lines", "look whether this is the right file")
            return
    if held:
        yield _user(held)


def _user(lines: list[TextLine]) -> _User | Flaw:
    first, last = lines[0], lines[-1]
    name = _NAME.match(first.text)
    if name is None:
        return Flaw(first.number, "the line begins with no user name", "a line that goes on with an entry is indented")
    items: list[tuple[str, str, str]] = []
    for line in lines:
        found = _items(line.text[name.end() :] if line is first else line.text)
        if found is None:
            return Flaw(line.number, "the line is no list of attributes", 'each is: Attribute := "value"')
        items += found
    return _User(first.number, _unescaped(name[1]) if name[1] else name[2], tuple(items), last.ended)


def _items(text: str) -> list[tuple[str, str, str]] | None:
    items, place = [], _end(_BETWEEN, text, 0)
    while place < len(text) and text[place] != "#":
        item = _ITEM.match(text, place)
        if item is None:
            return None
        double, single = item["double"], item["single"]
        value = _unescaped(double) if double is not None else single if single is not None else item["bare"] or ""
        items.append((item["name"].casefold().replace(".", "-"), item["operator"], value))
        behind = _end(_BETWEEN, text, item.end())
        if behind == item.end() and behind < len(text):
            return None
        place = behind
    return items


def _token(entry: _User, how: How, met: Met, *, is_rejected: bool) -> Entry:
    values: dict[str, str] = {}
    for name, operator, value in entry.items:
        if name in _OF_TOTP:
            if operator not in _SETTING:
                return Flaw(entry.line, f"an attribute of TOTP is compared ({operator}), not set", "write it with :=")
            if name in values:
                return Flaw(entry.line, "an attribute of TOTP is set twice", "leave one of them out")
            values[name] = value
    if entry.name == "DEFAULT":
        return LeftOut(entry.line, "the seed of DEFAULT", "one seed for everybody is nobody's token")
    if is_rejected:
        return LeftOut(entry.line, f"the token of {entry.name}", "FreeRADIUS turns this user away: Auth-Type := Reject")
    if not entry.ended:
        return Flaw(
            entry.line,
            "its last line has no end: the file may have been cut there",
            "take the file anew; if it is whole, end its last line with a line end",
        )
    secret = _secret(values)
    if secret is None:
        return Flaw(entry.line, "the seed cannot be read", "TOTP-Secret is base32, TOTP-Key begins with 0x and is hex")
    step = how.step or 30
    # "TOTP-Time-Offset": seconds by which this token's clock is off
    drift = steps_in(values.get("totp-time-offset", "0"), step)
    ends = _ends(entry)
    if drift is None or isinstance(ends, Flaw):
        return ends if isinstance(ends, Flaw) else Flaw(entry.line, "TOTP-Time-Offset is no number", "mend the line")
    seed = Seed(
        line=entry.line,
        serial=met.serial_for(entry.name, "totp", secret),
        kind="totp",
        secret=secret,
        digits=how.digits or 6,
        algorithm=how.algorithm or "sha1",
        step=step,
        drift=drift,
        valid_until=ends,
        user=entry.name,
    )
    return settled(seed, how, met)


def _secret(values: dict[str, str]) -> bytes | None:
    """rlm_totp: "Look for the raw key first", then for the secret."""
    key = values.get("totp-key")
    if key is None:
        return base32_seed(values.get("totp-secret", ""))
    # what does not begin with 0x are the octets themselves
    return hex_seed(key[2:]) if key[:2].lower() == "0x" else key.encode() or None


def _rejects(entry: _User) -> bool:
    checks = [item for item in entry.items if item[0] not in _OF_TOTP]
    return any(name == "auth-type" and value.casefold() == "reject" for name, _, value in checks)


def _ends(entry: _User) -> float | Flaw | None:
    """Return when the account ends (``Expiration``), at the beginning of that day."""
    said = next((value for name, _, value in entry.items if name == "expiration"), None)
    if said is None:
        return None
    date = _DATE.fullmatch(said)
    month, day, year = (date[1] or date[5], date[2] or date[4], date[3] or date[6]) if date else ("", "0", "0")
    if month.casefold() not in _MONTHS or not 1 <= int(day) <= 31:
        return Flaw(entry.line, "Expiration is no date", 'write it as "31 Dec 2027", or leave it out')
    return float(timegm((int(year), _MONTHS.index(month.casefold()) + 1, int(day), 0, 0, 0)))


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)


def _end(pattern: re.Pattern[str], text: str, place: int) -> int:
    found = pattern.match(text, place)
    return found.end() if found else place
