"""What ``pi-tokenjanitor find ... export`` of privacyIDEA writes: encrypted JSON (format pi) and YAML.

No PIN is taken, and no token that cannot be used there comes back as usable here. The fields are those of privacyIDEA's
TokenClass.export_token; the tokens are RFC 4226, RFC 6238 and Yubico OTP. Its PSKC export is read as PSKC.

``counter`` (and ``count``) is HOTP's next counter; of TOTP the last step that was used, or after a resynchronisation
one more; of a YubiKey one more than its last use. ``timeShift`` is the clock's offset in seconds. All this is in
hotptoken.py, totptoken.py and yubikeytoken.py of 3.14. The CSV export has neither counters nor what is revoked, so it
is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO, Final

from radiusd2fa.factors.yubico import KEY_OCTETS, PRIVATE_OCTETS, modhex_to_octets
from radiusd2fa.imports.dates import seconds
from radiusd2fa.imports.elsewhere import Met, settled, steps_in, whole
from radiusd2fa.imports.fernet import BEGINNING, key_of, unwrapped
from radiusd2fa.imports.json_elements import Object, objects
from radiusd2fa.imports.secrets_text import hex_or_base32, hex_seed
from radiusd2fa.imports.seeds import YUBICO_DIGITS, Entry, Flaw, How, LeftOut, LockedError, Seed, UnreadableError
from radiusd2fa.imports.text_lines import BYTE_ORDER_MARK
from radiusd2fa.imports.yaml_records import records

NAME: Final = "privacyidea"
TITLE: Final = "export of privacyIDEA (pi-tokenjanitor)"

_CSV: Final = re.compile(
    rb"(?:[^,\n]+@[^,\n]*|n/a), [^,\s]+, [0-9A-Za-z=]+, (?:totp|hotp|TOTP|HOTP), \d+(?:, \w*)?\s*(?:\n|$)"
)
_YAML: Final = re.compile(rb"- \w+:.*\n(?:  .*\n)*?  (?:otpkey|info_list):")
_JSON: Final = re.compile(rb'\[\s*\{[^\0]*?"(?:otpkey|info_list)"\s*:')
_HEAD: Final = 4096
_PIECE: Final = 64 * 1024
_ENROLLED: Final = ("", "None", "null", "enrolled")
_WHICH_KEY: Final = "give the key that pi-tokenjanitor has shown when it wrote the file"
_OF_NOBODY: Final = ("", "n/a")


def sniff(head: bytes) -> bool:
    """Say whether it is an encrypted export, or begins with a token of privacyIDEA."""
    start = head.lstrip()
    return start.startswith(BEGINNING) or any(form.match(start) for form in (_JSON, _YAML, _CSV))


def read(file: BinaryIO, how: How) -> Iterator[Entry]:
    """Yield a token for each entry that is one of ours; of an encrypted file the lines are those inside."""
    met = Met()
    realm: str | None = None
    for line, values in _records(file, how):
        user, theirs = _owner(values)
        if user is not None and realm is None:
            realm = theirs
        if user is not None and realm != theirs:
            # alice of one realm need not be alice of another
            problem = "its user is of another realm than the users before"
            remedy = "export each realm by itself: pi-tokenjanitor find --tokenowner realm=NAME export"
            yield Flaw(line, problem, remedy, _shown(values))
        else:
            yield _entry(line, values, user, how, met)


def _records(file: BinaryIO, how: How) -> Iterator[tuple[int, Object]]:
    head = file.read(_HEAD)
    file.seek(0)
    chunks = iter(lambda: file.read(_PIECE), b"")
    start = head.removeprefix(BYTE_ORDER_MARK).lstrip()
    if start.startswith(BEGINNING):
        if how.key is None:
            raise LockedError(0, "the file is encrypted", _WHICH_KEY, password=False)
        key = key_of(how.key)
        if key is None:
            raise UnreadableError(0, "the key has neither 32 octets nor 44 characters", _WHICH_KEY)
        return objects(unwrapped(chunks, key))
    if _CSV.match(start):
        raise UnreadableError(
            1,
            "a CSV export of privacyIDEA says neither counters nor which tokens are revoked",
            "export it with --format pi or --format yaml; where that is past, list what you know, with --columns",
        )
    if start.startswith(b"- "):
        return records(file)
    return objects(chunks)


def _entry(line: int, values: Object, user: str | None, how: How, met: Met) -> Entry:
    kind = values.get("type", "").casefold()
    if kind not in ("hotp", "totp", "yubikey"):
        return LeftOut(line, f"a token of the type {_word(kind)}", "it shows no HOTP, TOTP or Yubico code")
    unusable = _unusable(values)
    if unusable is not None:
        return LeftOut(line, f"the token {_shown(values)}", unusable)
    if any(values.get(name) not in ("true", "false") for name in ("active", "revoked", "locked")):
        problem = "the entry does not say whether the token may be used"
        return Flaw(line, problem, "export it anew with pi-tokenjanitor: active, revoked and locked", _shown(values))
    until, since = (values.get(f"info_list.validity_period_{which}", "") for which in ("end", "start"))
    if (until and seconds(until) is None) or (since and seconds(since) is None):
        return Flaw(line, "the validity period is no date", "mend it there and export again", _shown(values))
    common = Seed(
        line=line,
        serial=values.get("serial", ""),
        kind=kind,
        secret=b"",
        valid_from=seconds(since) or 0.0,
        valid_until=seconds(until),
        user=user,
        label=values.get("description", ""),
    )
    seed = _yubico(common, values) if kind == "yubikey" else _oath(common, values, how)
    return settled(seed, how, met) if isinstance(seed, Seed) else seed


def _unusable(values: Object) -> str | None:
    """Why this token opens nothing there, and so must not here."""
    info = {name.removeprefix("info_list."): value for name, value in values.items()}
    if values.get("revoked") == "true":
        return "it is revoked there"
    if values.get("locked") == "true":
        return "it is locked there"
    if values.get("active") == "false":
        return "it is disabled there"
    if values.get("rollout_state", "") not in _ENROLLED:
        return "its enrolment was never finished there"
    if any(info.get(name, "0") not in ("", "0") for name in ("count_auth_max", "count_auth_success_max")):
        return "it is good for a number of logins only, which no token here is"
    return None


def _oath(common: Seed, values: Object, how: How) -> Seed | Flaw:
    secret = hex_or_base32(values.get("otpkey", ""))
    digits = whole(values.get("otplen", ""))
    counters = [whole(values[name]) for name in ("counter", "count") if name in values]
    step = whole(values.get("info_list.timeStep") or str(how.step or 30))
    drift = steps_in(values.get("info_list.timeShift") or "0", step or 0)

    def flaw(problem: str) -> Flaw:
        return Flaw(common.line, problem, "export it anew: nothing is guessed", _shown(values))

    if secret is None:
        return flaw("the seed is neither hex nor base32")
    if digits is None or step is None or (drift is None and common.kind == "totp"):
        return flaw("otplen, timeStep or timeShift is no number")
    if not counters or None in counters:
        return flaw("the entry has no counter")
    return replace(
        common,
        secret=secret,
        digits=digits,
        algorithm=(values.get("info_list.hashlib") or how.algorithm or "sha1").casefold(),
        step=step,
        moving_factor=max(number for number in counters if number is not None),
        drift=drift or 0 if common.kind == "totp" else 0,
    )


def _yubico(common: Seed, values: Object) -> Seed | Flaw | LeftOut:
    """privacyIDEA learns the ids of a YubiKey at its first login; before that it takes any key of that AES key."""
    key, private = hex_seed(values.get("otpkey", "")), hex_seed(values.get("info_list.yubikey.tokenid", ""))
    prefix = values.get("info_list.yubikey.prefix")
    public = modhex_to_octets(prefix) if prefix is not None else None
    use = whole(values.get("counter", ""))
    if private is None or public is None:
        why = "it was never used there, so its ids are not known: import its programming log"
        return LeftOut(common.line, f"the YubiKey {_shown(values)}", why)
    if key is None or len(key) != KEY_OCTETS or len(private) != PRIVATE_OCTETS or use is None:
        return Flaw(common.line, "AES key, private id or counter cannot be read", "export it anew", _shown(values))
    return replace(
        common,
        kind="yubico",
        secret=key + private + public,
        digits=YUBICO_DIGITS + 2 * len(public),
        # what is stored is the next use that counts, and the same session may go on with it
        moving_factor=max(0, use - 1),
    )


def _owner(values: Object) -> tuple[str | None, str]:
    """Return whose token it is, and of which realm; ``alice@corp`` in YAML, where names may hold an ``@`` too."""
    if values.get("user.login"):
        return values["user.login"], values.get("user.realm", "")
    owner = values.get("owner", "")
    login, _, realm = owner.rpartition("@")
    return (None, "") if owner in _OF_NOBODY or not login else (login, realm)


def _shown(values: Object) -> str:
    """The serial, if it is one that may be shown."""
    serial = values.get("serial", "")
    return serial if serial.isascii() and serial.isprintable() and len(serial) <= 64 else ""


def _word(kind: str) -> str:
    return kind if kind.isascii() and kind.isalnum() and len(kind) <= 32 else "another system"
