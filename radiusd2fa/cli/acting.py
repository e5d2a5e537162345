"""Who gives the command: the account of the operating system, or the person that sudo ran it for.

It never believes what the shell claims (USER, LOGNAME), and believes SUDO_UID only where a lie would gain nothing:
from root and from the account that owns the database or the vault key, which could write any row by other means.
Answers to no RFC; sudo(8) sets SUDO_UID, and the login uid is that of pam_loginuid(8).
"""

from __future__ import annotations

import os
import pwd
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from radiusd2fa.settings import Settings

ROOT: Final = 0
_NOBODY_LOGGED_IN: Final = 0xFFFFFFFF
_LOGIN_UID: Final = Path("/proc/self/loginuid")


@dataclass(frozen=True, slots=True)
class Administrator:
    """Whoever gives the command. Two of them are the same when their ``uid`` is."""

    uid: int
    """Of the person, where one is known; else of the account."""
    account: str
    """The account of that uid."""
    name: str
    """For the audit: ``alice``, or ``alice as root``."""
    gid: int | None
    """Of the account; None: there is none of that uid."""
    is_keeper: bool
    """Whether that is root, or owns the database or the vault key."""
    behind_sudo: bool
    is_person: bool
    """Whether one human being stands behind it: not root nor the service's account without sudo, nor somebody who has
    logged in to the machine as another."""


def administrator(settings: Settings) -> Administrator:
    """Say who gives the command about that site."""
    uid = os.getuid()
    keepers = {ROOT, *_owners(settings)}
    behind = _behind_sudo() if uid in keepers else None
    whoever = uid if behind is None else behind
    account, gid = _account(whoever)
    return Administrator(
        uid=whoever,
        account=account,
        name=account if whoever == uid else f"{account} as {_account(uid)[0]}",
        gid=gid,
        # behind sudo the configuration may be the person's own, and so what it says of owners proves nothing
        is_keeper=behind is None and whoever in keepers,
        behind_sudo=whoever != uid,
        # root can become anybody by su, and say anything in SUDO_UID; the kernel remembers who has logged in
        is_person=whoever not in keepers and gid is not None and login_uid() in (None, whoever),
    )


def may_have_written(settings: Settings, who: Administrator) -> bool:
    """Whether somebody behind sudo may have made the configuration themselves, to be what they like by it.

    Only root and the account that the command runs as are above that; never whoever owns what the configuration names.
    """
    return who.behind_sudo and settings.writer not in {ROOT, os.getuid()}


def out_of_reach(path: Path) -> Path | None:
    """Return where a configuration really is, if nobody whom sudo runs us for can put another one there.

    None: somebody else owns a folder above it, or can write there; a link of theirs could be turned while we read.
    """
    found = path.resolve(strict=True)
    trusted = {ROOT, os.getuid()}
    for folder in found.parents:
        status = folder.stat()
        others_write = status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX
        if status.st_uid not in trusted or others_write:
            return None
    return found


def is_behind_sudo() -> bool:
    """Whether sudo runs us for somebody else than the account that we are."""
    return _behind_sudo() not in (None, os.getuid())


def _account(uid: int) -> tuple[str, int | None]:
    """Return the name of an account, and its group."""
    try:
        found = pwd.getpwuid(uid)
    except KeyError:
        return f"uid {uid}", None
    return found.pw_name, found.pw_gid


def login_uid() -> int | None:
    """Return who has logged in to this machine, as the kernel remembers it through su and sudo; None: it does not."""
    try:
        uid = int(_LOGIN_UID.read_text())
    except (OSError, ValueError):
        return None
    return None if uid == _NOBODY_LOGGED_IN else uid


def _owners(settings: Settings) -> set[int]:
    """Return the accounts that own what everything hangs on. A database on a server is no account's of this machine."""
    from radiusd2fa.store.address import SqliteFile, address

    owners = set()
    store = address(settings.store)
    for path in (settings.vault_key, *([store.path] if isinstance(store, SqliteFile) else [])):
        with suppress(OSError):
            owners.add(path.stat().st_uid)
    return owners


def _behind_sudo() -> int | None:
    """Return whom sudo says that it runs for; root's own sudo is nobody."""
    behind = os.environ.get("SUDO_UID", "")
    uid = int(behind) if behind.isascii() and behind.isdecimal() and len(behind) <= 10 else ROOT
    return None if uid == ROOT or uid >= _NOBODY_LOGGED_IN else uid
