"""What a person needs to log in with a key, looked at piece by piece, each with the remedy where it is missing.

It changes nothing and asks no key for anything. CTAP 2.1, 11 (USB and NFC), ssh(1); hardware/README.md has the remedies
at length.
"""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Final

from radiusd2fa.laptop.caller import SINCE, version_of
from radiusd2fa.laptop.profile import ProfileError, load_cards, profile_path


class State(StrEnum):
    """How grave a finding is."""

    GOOD = "good"
    NOTE = "note"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    about: str
    state: State
    text: str
    remedy: str = ""


_NO_RULE: Final = "sit at the machine itself and plug it in again; else its udev rule is missing (systemd has one)"


def examine(device: str) -> list[Finding]:
    """Look at everything. ``device`` is a key that the person has named, or empty."""
    return [_library(), *_keys(device), _readers(), _ssh(), _setting(), _cards()]


def _library() -> Finding:
    try:
        version = metadata.version("fido2")
    except metadata.PackageNotFoundError:
        return Finding("python-fido2", State.FAULT, "is not installed", "pip install 'fido2>=2.2'")
    return Finding("python-fido2", State.GOOD, version)


def _keys(device: str) -> list[Finding]:
    if device.startswith("/"):
        return [_named(Path(device))]
    from radiusd2fa.keys import nfc, usb

    found = [Finding("key", State.GOOD, f"{key.name} ({key.transport}, {key.path})") for key in nfc.find_keys()]
    for key in usb.find_keys():
        if os.access(key.path, os.R_OK | os.W_OK):
            found.append(Finding("key", State.GOOD, f"{key.name} (usb, {key.path})"))
        else:
            found.append(Finding("key", State.FAULT, f"{key.name}: you may not open {key.path}", _NO_RULE))
    return found or [Finding("key", State.FAULT, "no security key is at hand", "plug one in, or hold it to the reader")]


def _named(path: Path) -> Finding:
    try:
        mode = path.stat().st_mode
    except OSError as fault:
        return Finding(
            "key", State.FAULT, f"{path}: {fault.strerror}", "name the device file of a key that is plugged in"
        )
    if not stat.S_ISCHR(mode):
        return Finding("key", State.FAULT, f"{path} is no device", "name the device file of a key that is plugged in")
    if not os.access(path, os.R_OK | os.W_OK):
        return Finding("key", State.FAULT, f"you may not open {path}", _NO_RULE)
    return Finding("key", State.GOOD, f"{path}, as you have named it")


def _readers() -> Finding:
    from radiusd2fa.keys import nfc

    why = nfc.trouble()
    if why:
        return Finding("NFC", State.NOTE, why)
    return Finding("NFC", State.GOOD, ", ".join(nfc.readers()))


def _ssh() -> Finding:
    program = shutil.which("ssh")
    version = version_of(program) if program else None
    if version is None:
        return Finding("ssh", State.FAULT, "no OpenSSH is in your PATH", "install OpenSSH 8.5 or newer")
    text = f"OpenSSH {version[0]}.{version[1]} ({program})"
    if version < SINCE:
        remedy = "install 8.5 or newer; until then use radiusd2fa-key respond"
        return Finding("ssh", State.FAULT, f"{text} does not say which host asks", remedy)
    return Finding("ssh", State.GOOD, text)


def _setting() -> Finding:
    program = os.environ.get("SSH_ASKPASS", "")
    remedy = "radiusd2fa-key setup-ssh --write, then open a new terminal"
    if Path(program).name != "radiusd2fa-key":
        return Finding("SSH_ASKPASS", State.FAULT, "does not name radiusd2fa-key, so ssh does not ask it", remedy)
    if shutil.which(program) is None:
        return Finding("SSH_ASKPASS", State.FAULT, f"{program} cannot be started", remedy)
    if os.environ.get("SSH_ASKPASS_REQUIRE") != "force":
        return Finding("SSH_ASKPASS_REQUIRE", State.FAULT, "is not force, so ssh asks the terminal instead", remedy)
    return Finding("SSH_ASKPASS", State.GOOD, program)


def _cards() -> Finding:
    path = profile_path()
    try:
        cards = load_cards(path)
    except ProfileError as fault:
        return Finding("cards", State.FAULT, str(fault))
    if not cards:
        remedy = "radiusd2fa-key register INVITATION, or radiusd2fa-key add CARD"
        return Finding("cards", State.FAULT, f"none is stored in {path}", remedy)
    users = ", ".join(sorted({f"{card.user} at {card.rp_id}" for card in cards}))
    return Finding("cards", State.GOOD, f"{len(cards)} ({users})")
