"""~/.google_authenticator, the file of libpam-google-authenticator: one person's seed and what was used of it.

Scratch codes are not taken: recovery codes are issued anew. The format is that project's FILEFORMAT, and what its
pam_google_authenticator.c reads; the tokens are RFC 4226 and RFC 6238 with SHA-1 and six digits.

HOTP_COUNTER is the next counter. DISALLOW_REUSE lists the steps that were used, TIME_SKEW is the clock's offset in
steps; without DISALLOW_REUSE nothing of TOTP is remembered, and WINDOW_SIZE / 2 steps ahead were taken. The file does
not say whose it is: several of them, each under its path as ``tail -v -n +1 /home/*/.google_authenticator`` prints it,
do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, Final

from radiusd2fa.imports.elsewhere import Met, settled, whole
from radiusd2fa.imports.secrets_text import base32_seed
from radiusd2fa.imports.sections import HEADER, Section, cut, sections
from radiusd2fa.imports.seeds import Entry, Flaw, How, LeftOut, Seed
from radiusd2fa.imports.text_lines import TextLine

NAME: Final = "google-authenticator"
TITLE: Final = "~/.google_authenticator of libpam-google-authenticator"

_SECRET: Final = re.compile(r"[A-Za-z2-7]{16,208}=*")
_OPTION: Final = re.compile(r'" ([A-Z][A-Z0-9_]*)(?: (.*))?')
_SCRATCH_CODE: Final = re.compile(r"[0-9]{8}")
_SKEW: Final = re.compile(r"[+-]?[0-9]{1,7}")
_OPTIONS_THAT_COUNT: Final = frozenset(
    {"TOTP_AUTH", "HOTP_COUNTER", "STEP_SIZE", "WINDOW_SIZE", "TIME_SKEW", "DISALLOW_REUSE"}
)
_USUAL_WINDOW: Final = "3"


def sniff(head: bytes) -> bool:
    """Say whether it begins with a seed, and goes on with an option or a scratch code."""
    lines = [line for line in head.decode("utf-8", "replace").splitlines() if line.strip()]
    if lines and HEADER.fullmatch(lines[0]):
        lines = lines[1:]
    if len(lines) < 2 or not _SECRET.fullmatch(lines[0].strip()):
        return False
    return _OPTION.fullmatch(lines[1].rstrip()) is not None or _SCRATCH_CODE.fullmatch(lines[1].strip()) is not None


def read(file: BinaryIO, how: How) -> Iterator[Entry]:
    """Yield the token, and what of the file is not taken."""
    met = Met()
    for section in sections(file):
        if section.whole:
            yield from _entries(section, how, met)
        else:
            yield cut(section)


def _entries(section: Section, how: How, met: Met) -> Iterator[Entry]:
    first, *others = section.lines
    secret = base32_seed(first.text) if _SECRET.fullmatch(first.text.strip()) else None
    if secret is None:
        yield Flaw(first.number, "the first line is no seed in base32", "the file begins with its seed: take it anew")
        return
    options = _options(others)
    if isinstance(options, Flaw):
        yield options
        return
    yield _token(section, secret, options, how, met)
    codes = [line.number for line in others if _SCRATCH_CODE.fullmatch(line.text.strip())]
    if codes:
        yield LeftOut(codes[0], f"{len(codes)} scratch codes", "recovery codes are issued anew")


def _options(lines: list[TextLine]) -> dict[str, str] | Flaw:
    options: dict[str, str] = {}
    for line in lines:
        option = _OPTION.fullmatch(line.text.rstrip())
        if option is None:
            if _SCRATCH_CODE.fullmatch(line.text.strip()):
                continue
            return Flaw(
                line.number, "the line is neither an option nor a scratch code", 'an option begins with a quote: " '
            )
        name = option[1]
        if name in options and name in _OPTIONS_THAT_COUNT:
            return Flaw(line.number, f"{name} stands there twice", "keep the line with the highest numbers")
        options[name] = (option[2] or "").strip()
    return options


def _token(section: Section, secret: bytes, options: dict[str, str], how: How, met: Met) -> Seed | Flaw | LeftOut:
    line = section.lines[0].number

    def flaw(name: str) -> Flaw:
        return Flaw(line, f"{name} is no number", "mend it: a guess could let used codes in")

    user = _user(section)
    # "HOTP mode is used only if HOTP_COUNTER is present", whatever else is
    kind = "hotp" if "HOTP_COUNTER" in options else "totp"
    serial = met.serial_for(user, kind, secret)
    if kind == "hotp":
        counter = whole(options["HOTP_COUNTER"])
        if counter is None:
            return flaw("HOTP_COUNTER")
        return settled(Seed(line, serial, kind, secret, moving_factor=counter, user=user), how, met)
    if "TOTP_AUTH" not in options:
        return LeftOut(line, "a seed without TOTP_AUTH or HOTP_COUNTER", "it let nobody in, only scratch codes did")
    step, window = whole(options.get("STEP_SIZE", "30")), whole(options.get("WINDOW_SIZE", _USUAL_WINDOW))
    if step is None or window is None or window > 100:
        return flaw("STEP_SIZE" if step is None else "WINDOW_SIZE")
    if not _SKEW.fullmatch(options.get("TIME_SKEW", "0")):
        return flaw("TIME_SKEW")
    used = [whole(step_used) for step_used in options.get("DISALLOW_REUSE", "").split()]
    if None in used:
        return flaw("DISALLOW_REUSE")
    seed = Seed(
        line=line,
        serial=serial,
        kind=kind,
        secret=secret,
        step=step,
        moving_factor=max((number for number in used if number is not None), default=0),
        drift=int(options.get("TIME_SKEW", "0")),
        user=user,
    )
    return settled(seed, how, met, ahead=0 if "DISALLOW_REUSE" in options else window // 2)


def _user(section: Section) -> str | None:
    """Whose home the file is in, or what it is called where all files are in one folder (``secret=``)."""
    if not section.name:
        return None
    return (section.folder_name if section.file_name.startswith(".google_auth") else section.file_name) or None
