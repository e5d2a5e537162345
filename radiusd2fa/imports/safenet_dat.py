"""SafeNet's .dat for the eToken PASS: SafeWord's records, one block of ``name: value`` lines for each fob.

It leaves out clock fobs that count from 2000 (``sccPrTime``), whose codes no server that counts from 1970 can check,
and takes no seed that SafeWord has encrypted. It answers to no RFC but, in how lines are folded, to RFC 2849 (LDIF);
the names are those that LinOTP reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field
from typing import BinaryIO, Final

from radiusd2fa.core.record import record
from radiusd2fa.imports.fields import seeds_of, shown
from radiusd2fa.imports.secrets_text import hex_seed
from radiusd2fa.imports.seeds import Entry, Flaw, How, LeftOut, UnreadableError
from radiusd2fa.imports.table import NamedRow
from radiusd2fa.imports.text_lines import LONGEST_LINE, TextLine, text_lines

NAME: Final = "safenet-dat"
TITLE: Final = "SafeNet or SafeWord eToken PASS (.dat)"
_BANNER: Final = b"SafeWord Authenticator Records"
_TELLING: Final = (b"dn: sccauthenticatorid=", b"sccauthenticatorid:", b"objectclass: scc")
_MODES: Final = {"E": "hotp", "T": "totp"}
_MOST_LINES: Final = 100
_AGAIN: Final = "take the vendor's file again"


@record
class _Block:
    """The lines of one record, by their names in small letters."""

    line: int
    values: dict[str, str] = field(repr=False)
    ended: bool = True
    """Whether its last line ends with a line end."""


def sniff(head: bytes) -> bool:
    """Whether the file begins with SafeWord's banner or with one of its records."""
    lines = [line.strip() for line in head.splitlines() if line.strip()]
    if lines and lines[0].startswith(b"#") and _BANNER in lines[0]:
        return True
    first = next((line for line in lines if not line.startswith(b"#")), b"")
    return first.lower().startswith(_TELLING)


def read(file: BinaryIO, how: How) -> Iterator[Entry]:
    """Yield one entry for each record."""
    some = False
    for block in _blocks(_unfolded(file)):
        some = True
        row = _row(block)
        if isinstance(row, LeftOut):
            yield row
        else:
            yield from seeds_of([row], how, hex_seed)
    if not some:
        raise UnreadableError(0, "there is no record in this file", "look whether it is the right one")


def _row(block: _Block) -> NamedRow | Flaw | LeftOut:
    data = _pairs(block.values.get("scctokendata", ""))
    serial = block.values.get("sccauthenticatorid", "")
    if not data:
        if not serial:
            return LeftOut(block.line, "a record without a token", "it describes something else")
        return Flaw(block.line, "the record has no sccTokenData: it is cut off", _AGAIN, serial)
    if data.get("scckey", "").startswith("("):
        return Flaw(
            block.line, "the seed is encrypted with a key of SafeWord's", "ask for the seeds in the clear", serial
        )
    kind = _MODES.get(data.get("sccmode", "E").upper())
    needed = ("sccMode", "sccPwLen", "sccTick") if kind == "totp" else ("sccMode", "sccPwLen")
    missing = next((name for name in needed if not data.get(name.casefold())), None)
    if missing is not None:
        return Flaw(block.line, f"the record has no {missing}: it is cut off", _AGAIN, serial)
    if not block.ended and "sccsignature" not in block.values:
        return Flaw(block.line, "the file ends within the record, and may have been cut there", _AGAIN, serial)
    if kind is None:
        return LeftOut(
            block.line, f"the token {shown(serial)}".rstrip(), "it neither counts presses (E) nor follows a clock (T)"
        )
    if kind == "totp" and "sccprtime" in data:
        return LeftOut(
            block.line, f"the token {shown(serial)}".rstrip(), "its clock counts from 2000, and here it is from 1970"
        )
    return NamedRow(
        block.line,
        {
            "serial": serial,
            "kind": kind,
            "secret": data.get("scckey", ""),
            "digits": data["sccpwlen"],
            "step": data.get("scctick", "") if kind == "totp" else "",
            "algorithm": data.get("crypto", ""),
            "model": block.values.get("scctokentype", ""),
        },
    )


def _pairs(data: str) -> dict[str, str]:
    """``sccKey=…;sccMode=E;`` by name in small letters."""
    pairs = (part.partition("=") for part in data.split(";"))
    return {name.strip().casefold(): value.strip() for name, sign, value in pairs if sign}


def _blocks(lines: Iterable[TextLine]) -> Iterator[_Block]:
    """Records, which a blank line separates."""
    block: _Block | None = None
    for line in lines:
        number, text = line.number, line.text
        if not text.strip():
            if block is not None:
                yield block
            block = None
            continue
        if block is None:
            block = _Block(number, {})
        name, colon, value = text.partition(":")
        if not colon:
            raise UnreadableError(number, "the line is no name with a value behind a colon", _AGAIN)
        if value.startswith(":"):
            raise UnreadableError(number, "the value is in base64, which is not read here", "export it as plain text")
        if len(block.values) >= _MOST_LINES:
            raise UnreadableError(number, "the record has too many lines", _AGAIN)
        values = {**block.values, name.strip().casefold(): value.strip()}
        block = _Block(block.line, values, line.ended)
    if block is not None:
        yield block


def _unfolded(file: BinaryIO) -> Iterator[TextLine]:
    """Lines without remarks, those that begin with a space put behind the line before (RFC 2849, note 2)."""
    whole: TextLine | None = None
    for line in text_lines(file):
        if line.text.startswith("#"):
            continue
        if whole is not None and line.text.startswith(" ") and line.text.strip() and whole.text.strip():
            whole = TextLine(whole.number, whole.text + line.text[1:], line.ended)
            if len(whole.text) > LONGEST_LINE:
                raise UnreadableError(line.number, "the line is too long", _AGAIN)
            continue
        if whole is not None:
            yield whole
        whole = line
    if whole is not None:
        yield whole
