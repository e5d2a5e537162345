"""PSKC, the seed files of token makers: one token after the other, with what the file says of each.

It takes no seed in the clear out of an encrypted file, reads no number that could be two, and asks no clock.
RFC 6030 4 (tokens and their data) and 8 (bulk), with what vendors and drafts write otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, Final

from radiusd2fa.factors.totp import MAX_STEP, MIN_STEP, step_at
from radiusd2fa.imports import dates
from radiusd2fa.imports.fields import COUNTER_UNSAID, if_new
from radiusd2fa.imports.pskc_crypto import Opener
from radiusd2fa.imports.pskc_policy import KINDS, algorithm_of, hash_of, parameters_of, why_left_out
from radiusd2fa.imports.pskc_xml import Element, FlawError, line_of, pieces, shown
from radiusd2fa.imports.secrets_text import base64_seed
from radiusd2fa.imports.seeds import (
    LONGEST_SERIAL,
    STEPS_AHEAD,
    Entry,
    Flaw,
    How,
    LeftOut,
    Seed,
    UnreadableError,
    checked,
    used_elsewhere,
)

NAME: Final = "pskc"
TITLE: Final = "PSKC, the XML of RFC 6030"

USUAL_STEP: Final = 30
"""RFC 6238 4.1; Gemalto's files leave TimeInterval out."""
LARGEST_DRIFT: Final = 100
"""Steps. A clock that is further off is beyond any search."""
PLAUSIBLE_COUNTER: Final = 1_000_000
"""Nobody presses a fob more often; where a number can be read in two ways, a larger one is not meant."""

_WHOLE_NUMBER: Final = re.compile(r"-?[0-9]{1,19}")
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2}){10,}")
_ASK_THE_VENDOR: Final = "ask whoever made the file for one as RFC 6030 has it"
_CONVERT: Final = "have it written anew as RFC 6030 has it, by its maker or with pskc2pskc (Debian package pskc-utils)"


def sniff(head: bytes) -> bool:
    """Whether a file that begins like this is a PSKC container, in UTF-8 or UTF-16."""
    text = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    return text.startswith(b"<") and b"KeyContainer" in text


def read(file: BinaryIO, how: How) -> Iterator[Entry]:
    """Yield the tokens of a container as they come; UnreadableError when there is no sense in it, or no key for it."""
    parts = pieces(file)
    _must_be_container(next(parts))
    encryption_key = mac_method = opener = None
    for part in parts:
        match part.name:
            case "EncryptionKey" | "MACMethod" | "MACAlgorithm" if opener is not None:
                problem = f"<{part.name}> stands behind the first token, and must stand before it"
                raise UnreadableError(part.line, problem, _ASK_THE_VENDOR)
            case "EncryptionKey" if encryption_key is None:
                encryption_key = part
            case "MACMethod" | "MACAlgorithm" if mac_method is None:
                mac_method = part
            case "EncryptionKey" | "MACMethod" | "MACAlgorithm":
                raise UnreadableError(part.line, f"<{part.name}> stands twice", _ASK_THE_VENDOR)
            case "KeyPackage" | "Device":
                opener = opener or _opener(encryption_key, mac_method, how)
                yield from _entries(part, opener, how)
            case "Signature":
                why = "it is not checked here; pskctool --verify does that (Debian package pskctool)"
                yield LeftOut(part.line, "the signature of the file", why)
            case "Extensions":
                pass
            case _:
                yield LeftOut(part.line, f"<{line_of(part.name)}>", "RFC 6030 knows no such part of a container")
    if opener is None:
        raise UnreadableError(0, "there is no token in it", "ask whoever made the file")


def _must_be_container(outermost: Element) -> None:
    name = outermost.name
    if name.endswith(("}KeyContainer", "}SecretContainer")):
        raise UnreadableError(outermost.line, "it is a draft of PSKC, older than RFC 6030", _CONVERT)
    if name != "KeyContainer":
        problem = f"it is XML, but no PSKC: it begins with <{line_of(name)}>, and not with <KeyContainer>"
        raise UnreadableError(outermost.line, problem, "name its format, if it is a seed file at all")
    version = outermost.attribute("Version", "version") or "1.0"
    # 1.2: a larger minor version is to be ignored, and so are leading zeros
    if version.partition(".")[0].lstrip("0") != "1":
        problem = f"it is PSKC of version {shown(version)}, and 1.0 is what is known here"
        raise UnreadableError(outermost.line, problem, _ASK_THE_VENDOR)


def _opener(encryption_key: Element | None, mac_method: Element | None, how: How) -> Opener:
    try:
        return Opener(encryption_key, mac_method, how)
    except FlawError as flaw:
        raise UnreadableError(flaw.line, flaw.problem, flaw.remedy) from None


def _entries(package: Element, opener: Opener, how: How) -> Iterator[Entry]:
    keys = [child for child in package.children if child.name == "Key"]
    if not keys:
        yield LeftOut(package.line, f"<{package.name}>", "there is no key in it")
    for key in keys:
        serial = ""
        try:
            serial = _serial(package, key)
            why = why_left_out(key)
            if why is None:
                yield checked(_seed(package, key, serial, opener, how))
            else:
                yield LeftOut(package.line, f"token {line_of(serial)}", why)
        except FlawError as flaw:
            yield Flaw(flaw.line, flaw.problem, flaw.remedy, line_of(serial, LONGEST_SERIAL))


def _serial(package: Element, key: Element) -> str:
    device = _device(package)
    serial = None if device is None else device.child("SerialNo")
    return (key.attribute("Id", "KeyId") or "") if serial is None else serial.text.strip()


def _device(package: Element) -> Element | None:
    return package.child("DeviceInfo", "DeviceId")


def _seed(package: Element, key: Element, serial: str, opener: Opener, how: How) -> Seed:
    device, parameters, policy = _device(package), parameters_of(key), key.child("Policy")
    kind, data = _kind(key, how), _data(key)
    step, drift = _clock(data, opener, how) if kind == "totp" else (USUAL_STEP, 0)
    starts = [date for date in (_date(device, "StartDate"), _date(policy, "StartDate")) if date is not None]
    ends = [date for date in (_date(device, "ExpiryDate"), _date(policy, "ExpiryDate")) if date is not None]
    name = key.child("FriendlyName")
    holder = key.child("UserId") or (None if device is None else device.child("UserId"))
    user = None if holder is None else line_of(holder.text) or None
    if kind == "hotp" and (user or how.user) and data.child("Counter") is None:
        remedy = "have it written with its next Counter, or 0 if nobody has ever used it"
        raise FlawError(key.line, COUNTER_UNSAID, f"{remedy}{if_new(how)}")
    return Seed(
        line=package.line,
        serial=serial,
        kind=kind,
        secret=_secret(data, opener),
        digits=_digits(parameters, key, how),
        algorithm=hash_of(parameters) or how.algorithm or "sha1",
        step=step,
        moving_factor=_last_step(data, step, drift, opener, how) if kind == "totp" else _counter(data, opener),
        drift=drift,
        valid_from=max(starts, default=0.0),
        valid_until=min(ends, default=None),
        user=user,
        label="" if name is None else line_of(name.text),
        model=_model(device),
    )


def _kind(key: Element, how: How) -> str:
    uri = algorithm_of(key)
    if uri is not None:
        return KINDS[uri]
    if how.kind is None:
        raise FlawError(key.line, "it does not say whether it is hotp or totp", "say it beside the file")
    return how.kind


def _data(key: Element) -> Element:
    every = [child for child in key.children if child.name == "Data"]
    if any("Name" in data.attributes for data in every):
        raise FlawError(every[0].line, "its seed is written as in a draft older than RFC 6030", _CONVERT)
    data = key.child("Data")
    if data is None:
        raise FlawError(key.line, "it has no seed", "ask whoever made the file for one with seeds")
    return data


def _secret(data: Element, opener: Opener) -> bytes:
    secret = data.child("Secret")
    if secret is None:
        raise FlawError(data.line, "it has no seed", "ask whoever made the file for one with seeds")
    plain = secret.child("PlainValue")
    if plain is None:
        return opener.open(secret)
    if secret.child("EncryptedValue") is not None:
        raise FlawError(plain.line, "its seed is there twice, encrypted and in the clear", _ASK_THE_VENDOR)
    if opener.expected:
        # or whoever holds the file on its way could put seeds of their own into it
        raise FlawError(
            plain.line,
            "its seed is in the clear, where seeds are said to be encrypted",
            "ask whoever made the file what they sent; give neither key nor password if they did not encrypt it",
        )
    if _HEX.fullmatch(plain.text.strip()):
        # which is base64 too, of another seed
        raise FlawError(plain.line, "its seed is hexadecimal, where PSKC has base64", _ASK_THE_VENDOR)
    octets = base64_seed(plain.text)
    if octets is None:
        raise FlawError(plain.line, "its seed is no base64", "fetch the file again")
    return octets


def _digits(parameters: Element | None, key: Element, how: How) -> int:
    response = None if parameters is None else parameters.child("ResponseFormat")
    length = None if response is None else response.attribute("Length", "length")
    if length is not None:
        return _whole(length, key.line, "Length")
    if how.digits is None:
        raise FlawError(key.line, "it does not say how many digits a code has", "say it beside the file")
    return how.digits


def _counter(data: Element, opener: Opener) -> int:
    # 10.1 has one for each HOTP token, and figure 7 none: then it is that of a new one, which nobody has had yet
    counter = _number(data, "Counter", opener, PLAUSIBLE_COUNTER)
    return 0 if counter is None else counter


def _clock(data: Element, opener: Opener, how: How) -> tuple[int, int]:
    step, drift = _number(data, "TimeInterval", opener, MAX_STEP), _number(data, "TimeDrift", opener, LARGEST_DRIFT)
    if drift is not None and abs(drift) > LARGEST_DRIFT:
        raise FlawError(data.line, f"its clock is {drift} steps off", "it cannot be used any more; leave it out")
    if step is None:
        step = USUAL_STEP if how.step is None else how.step
    return step, 0 if drift is None else drift


def _last_step(data: Element, step: int, drift: int, opener: Opener, how: How) -> int:
    if not MIN_STEP <= step <= MAX_STEP:
        return 0  # no such token is taken
    here = step_at(how.now, step)
    last = _number(data, "Time", opener, here) or 0
    if last > here + max(0, drift) + STEPS_AHEAD:
        problem = "the last step that it has used is still to come (Time)"
        raise FlawError(data.line, problem, "set this machine's clock right, or ask whoever made the file")
    return used_elsewhere(how.now, step, drift, last)


def _number(data: Element, name: str, opener: Opener, plausible: int) -> int | None:
    holder = data.child(name)
    if holder is None:
        return None
    plain = holder.child("PlainValue")
    if plain is not None:
        return _whole(plain.text.strip(), plain.line, name)
    octets = opener.open(holder)
    # how a number is encrypted is not written down: some makers take its digits, and some big-endian octets
    big_endian = int.from_bytes(octets, "big")
    if octets.isdigit() and len(octets) <= 19 and big_endian > plausible:
        return int(octets)
    if octets and len(octets) <= 8 and not octets.isdigit():
        return big_endian
    problem = f"its {name} is encrypted, and it is not clear which number it is"
    raise FlawError(holder.line, problem, f"ask whoever made the file for one whose {name} is not encrypted")


def _whole(text: str, line: int, name: str) -> int:
    if _WHOLE_NUMBER.fullmatch(text) is None:
        raise FlawError(line, f"its {name} is no whole number", _ASK_THE_VENDOR)
    return int(text)


def _date(element: Element | None, name: str) -> float | None:
    date = None if element is None else element.child(name)
    if date is None:
        return None
    seconds = dates.seconds(date.text)
    if seconds is None:
        raise FlawError(date.line, f"its {name} is no date", "a date is written as 2026-03-01T00:00:00Z")
    return seconds


def _model(device: Element | None) -> str:
    if device is None:
        return ""
    named = (device.child("Manufacturer"), device.child("Model"))
    return line_of(" ".join(element.text for element in named if element is not None))
