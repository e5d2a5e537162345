"""The table Token of LinOTP's database, as JSON or as ``mysql --batch`` prints it, with the key file that opens it.

LinOTP exports no seeds, so this is where they are: encrypted with the first 32 octets of its ``encKey``. No PIN is
taken. The columns are those of LinOTP's model (2 and 3); the tokens are RFC 4226, RFC 6238 and Yubico OTP.

``LinOtpCount`` is the next counter of HOTP, and one more than the last step (TOTP) or use (YubiKey): ``incOtpCounter``
runs after each login. ``timeShift`` is the clock's offset in seconds. Whose a token is the table tells by an id of the
user's directory, not by a name: tokens come without users, unless a column User.username was added.
"""

from __future__ import annotations

import json
import re
from calendar import timegm
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO, Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from radiusd2fa.factors.yubico import KEY_OCTETS, PRIVATE_OCTETS, modhex_to_octets
from radiusd2fa.imports.elsewhere import Met, settled, steps_in, whole
from radiusd2fa.imports.json_elements import Object, objects
from radiusd2fa.imports.secrets_text import hex_seed
from radiusd2fa.imports.seeds import YUBICO_DIGITS, Entry, Flaw, How, LeftOut, LockedError, Seed, UnreadableError
from radiusd2fa.imports.text_lines import BYTE_ORDER_MARK, text_lines

NAME: Final = "linotp"
TITLE: Final = "table Token of LinOTP's database, with its encKey"

_SERIAL: Final = "LinOtpTokenSerialnumber"
_SNIFFED: Final = re.compile(rb"LinOtp\.?(?:TokenSerialnumber|TokenId|TokenDesc|KeyEnc)")
_NEEDED: Final = (_SERIAL, "LinOtpTokenType", "LinOtpCount", "LinOtpIsactive", "LinOtpOtpLen", "LinOtpTokenInfo")
_HEAD: Final = 4096
_PIECE: Final = 64 * 1024
_KEY_LENGTH: Final = 32
_BLOCK: Final = 16
_KINDS: Final = {"hmac": "hotp", "totp": "totp", "yubikey": "yubikey"}
_YES: Final = ("1", "true", "t")
_NO: Final = ("0", "false", "f")
_DATE: Final = re.compile(r"([0-9]{2})/([0-9]{2})/([0-9]{2}) ([0-9]{2}):([0-9]{2})")
_EASTERNMOST: Final = 14 * 3600
"""LinOTP writes its own local time without saying which: this is the earliest that it can be."""
_BATCH: Final = {"n": "\n", "t": "\t", "0": "", "\\": "\\"}
_WHICH_KEY: Final = "give LinOTP's key file: /etc/linotp2/encKey, or SECRET_FILE of LinOTP 3"
_ASK_THE_DATABASE: Final = "ask the database: mysql --batch -e 'SELECT * FROM Token' LinOTP2"


def sniff(head: bytes) -> bool:
    """Say whether the columns of LinOTP's tokens are named."""
    return _SNIFFED.search(head) is not None


def read(file: BinaryIO, how: How) -> Iterator[Entry]:
    """Yield a token for each row that is one of ours."""
    met = Met()
    is_first = True
    for line, values in _rows(file):
        if is_first:
            _look_at_columns(line, values)
        if isinstance(entry := _entry(line, values, how, met, is_first=is_first), Seed):
            is_first = False
        yield entry


def _rows(file: BinaryIO) -> Iterator[tuple[int, Object]]:
    head = file.read(_HEAD)
    file.seek(0)
    start = head.removeprefix(BYTE_ORDER_MARK).lstrip()
    if start.startswith(b"["):
        found = objects(iter(lambda: file.read(_PIECE), b""))
    elif start.startswith(b"{"):
        raise UnreadableError(1, "this is an answer of LinOTP's interface, and it holds no seeds", _ASK_THE_DATABASE)
    else:
        found = _batch(file)
    # the interface writes LinOtp.Count for the column LinOtpCount
    return ((line, {_column(name): value for name, value in values.items()}) for line, values in found)


def _batch(file: BinaryIO) -> Iterator[tuple[int, Object]]:
    columns: list[str] = []
    for line in text_lines(file):
        fields = [_unescaped(field) for field in line.text.split("\t")]
        if not columns:
            columns = fields
            if len(columns) < 2 or len(set(columns)) != len(columns):
                raise UnreadableError(line.number, "the first line names no columns, parted by tabs", _ASK_THE_DATABASE)
        elif len(fields) != len(columns) or not line.ended:
            problem = f"the line has {len(fields)} fields of {len(columns)}, or no end: it may have been cut"
            raise UnreadableError(line.number, problem, _ASK_THE_DATABASE)
        else:
            known = ("" if field == "NULL" else field for field in fields)
            yield line.number, dict(zip(columns, known, strict=True))


def _look_at_columns(line: int, values: Object) -> None:
    for name in _NEEDED:
        if name not in values:
            raise UnreadableError(line, f"the column {name} is missing", _ASK_THE_DATABASE)
    if "LinOtpKeyEnc" not in values or "LinOtpKeyIV" not in values:
        raise UnreadableError(line, "the seeds are missing: LinOtpKeyEnc and LinOtpKeyIV", _ASK_THE_DATABASE)


def _entry(line: int, values: Object, how: How, met: Met, *, is_first: bool) -> Entry:
    word = values.get("LinOtpTokenType", "").casefold()
    kind = _KINDS.get(word)
    serial = values.get(_SERIAL, "")
    shown = serial if serial.isascii() and serial.isprintable() and len(serial) <= 64 else ""

    def flaw(problem: str, remedy: str = "look at the row in LinOTP's database") -> Flaw:
        return Flaw(line, problem, remedy, shown)

    if kind is None:
        kind_there = word if word.isascii() and word.isalnum() else "another kind"
        return LeftOut(line, f"a token of the type {kind_there}", "it shows no HOTP, TOTP or Yubico code")
    active = values.get("LinOtpIsactive", "").casefold()
    if active in _NO:
        return LeftOut(line, f"the token {shown}", "it is disabled there")
    info = _info(values.get("LinOtpTokenInfo", ""))
    if active not in _YES or info is None:
        return flaw("LinOtpIsactive is neither 1 nor 0" if info is not None else "LinOtpTokenInfo is no JSON")
    if any(info.get(name, "0") not in ("", "0") for name in ("count_auth_max", "count_auth_success_max")):
        return LeftOut(line, f"the token {shown}", "it is good for a number of logins only, which no token here is")
    secret = _opened(line, values, how, is_first=is_first)
    since, until = (_date(info.get(f"validity_period_{which}", "")) for which in ("start", "end"))
    count, digits = whole(values.get("LinOtpCount", "")), whole(values.get("LinOtpOtpLen", ""))
    step = whole(info.get("timeStep") or str(how.step or 30))
    drift = steps_in(info.get("timeShift") or "0", step or 0) if kind == "totp" else 0
    if secret is None:
        return flaw("the seed does not open with the key of the others")
    if count is None or digits is None or step is None or drift is None:
        return flaw("a counter, a length, timeStep or timeShift is no number")
    if since is None or until is None:
        return flaw("the validity period is no date")
    seed = Seed(
        line=line,
        serial=serial,
        kind=kind,
        secret=secret,
        digits=digits,
        algorithm=(info.get("hashlib") or how.algorithm or "sha1").casefold(),
        step=step,
        moving_factor=count,
        drift=drift,
        valid_from=max(0.0, since),
        valid_until=until or None,
        user=_user(values),
        label=values.get("LinOtpTokenDesc", ""),
    )
    whose = _yubico(seed, info) if kind == "yubikey" else seed
    return settled(whose, how, met) if isinstance(whose, Seed) else whose


def _yubico(seed: Seed, info: Object) -> Seed | LeftOut | Flaw:
    """LinOTP keeps the private id from the first login on, the public one if it was said at enrolment."""
    private = hex_seed(info.get("yubikey.tokenid", ""))
    public = modhex_to_octets(info["public_uid"]) if info.get("public_uid") else None
    if private is None or public is None:
        return LeftOut(seed.line, f"the YubiKey {seed.serial}", "its ids are not known: import its programming log")
    if len(seed.secret) != KEY_OCTETS or len(private) != PRIVATE_OCTETS:
        return Flaw(seed.line, "the AES key or the private id has another length", "import its programming log")
    return replace(
        seed,
        kind="yubico",
        secret=seed.secret + private + public,
        digits=YUBICO_DIGITS + 2 * len(public),
        algorithm="sha1",
        moving_factor=max(0, seed.moving_factor - 1),
    )


def _opened(line: int, values: Object, how: How, *, is_first: bool) -> bytes | None:
    """Decrypt the seed: AES-256-CBC over its hex, padded as LinOTP 2 or as LinOTP 3 does it."""
    if how.key is None:
        raise LockedError(0, "the seeds are encrypted", _WHICH_KEY, password=False)
    if len(how.key) < _KEY_LENGTH:
        raise UnreadableError(0, f"the key has less than {_KEY_LENGTH} octets", _WHICH_KEY)
    sealed, vector = hex_seed(values.get("LinOtpKeyEnc", "")), hex_seed(values.get("LinOtpKeyIV", ""))
    if sealed is None or vector is None or len(vector) != _BLOCK or len(sealed) % _BLOCK:
        return None
    decryptor = Cipher(AES(how.key[:_KEY_LENGTH]), CBC(vector)).decryptor()
    seed = _without_padding(decryptor.update(sealed) + decryptor.finalize())
    if seed is None and is_first:
        raise UnreadableError(line, "the key is another than that of this database", "look for the right encKey")
    return seed


def _without_padding(plain: bytes) -> bytes | None:
    bare = plain.rstrip(b"\0")
    if bare.endswith(b"\x01\x02"):
        text = bare[:-2]
    else:
        length = plain[-1]
        if not 1 <= length <= _BLOCK or plain[-length:] != bytes([length]) * length:
            return None
        text = plain[:-length]
    return hex_seed(text.decode("ascii", "replace"))


def _info(text: str) -> Object | None:
    if not text:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    return {name: str(value) for name, value in found.items() if isinstance(value, str | int | float)}


def _date(text: str) -> float | None:
    """Return the moment, 0 for none, None for what cannot be read."""
    form = _DATE.fullmatch(text)
    if form is None:
        return None if text else 0.0
    day, month, year, hour, minute = (int(part) for part in form.groups())
    if not (1 <= day <= 31 and 1 <= month <= 12 and hour <= 23 and minute <= 59):
        return None
    return float(timegm((2000 + year, month, day, hour, minute, 0)) - _EASTERNMOST)


def _user(values: Object) -> str | None:
    name = values.get("Username") or ""
    return None if not name or name.startswith("/:") else name


def _column(name: str) -> str:
    """One spelling: ``LinOtp.Count`` is LinOtpCount, ``User.username`` is Username."""
    return "Username" if name.casefold() in ("user.username", "username") else name.replace(".", "")


def _unescaped(field: str) -> str:
    return re.sub(r"\\(.)", lambda found: _BATCH.get(found[1], found[1]), field)
