"""Which role each command needs, and which one whoever gives it has, by the groups of the operating system.

Asked wherever the store is opened for a command; one that is not in the table needs the highest role. Root without sudo
and the account that owns the database are never refused: they could change it without this program.
Answers to no RFC; groups are those of group(5), as getgrouplist(3) knows them.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from radiusd2fa.cli.acting import Administrator
    from radiusd2fa.settings import Administrators


class Role(IntEnum):
    """What somebody may do. Each role may do what those before it may."""

    HELPDESK = 1
    OPERATOR = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        """How the settings call it."""
        return self.name.lower()


_HELPDESK: Final = (
    # to look
    *("check", "doctor"),
    *("user list", "user show"),
    *("token list", "token show", "token history"),
    *("key list", "key card", "key stations", "key test"),
    *("recovery status", "grant list", "breakglass list"),
    *("report coverage", "report stale", "report exceptions", "report recovery", "report inventory", "report failures"),
    *("report page",),
    *("audit list", "audit verify", "audit key"),
    # to help who stands at the counter
    *("user unlock", "token resync", "token lost"),
    *("grant temporary", "grant close"),
)
_OPERATOR: Final = (
    *("user add",),
    *("token add", "token import", "token label"),
    *("token assign", "token unassign", "token return", "token restock"),
    *("key register", "key invite", "key accept", "key rename"),
    *("recovery issue", "recovery revoke"),
)
_ADMIN: Final = (
    *("user password", "user enable", "user disable", "user bind", "user rename", "user sync"),
    *("user offboard", "user remove"),
    *("token enable", "token disable", "token revoke", "token validity", "token counter"),
    *("key revoke",),
    *("grant skip",),
    *("breakglass seal", "breakglass request", "breakglass approve", "breakglass close"),
    *("audit rotate",),
    *("db upgrade", "db copy", "db backup", "db restore", "db gap", "db verify", "db rotate-key"),
)

ROLES: Final[Mapping[str, Role]] = {
    **dict.fromkeys(_HELPDESK, Role.HELPDESK),
    **dict.fromkeys(_OPERATOR, Role.OPERATOR),
    **dict.fromkeys(_ADMIN, Role.ADMIN),
}
"""The role that each command needs."""


def needed(command: str) -> Role:
    """Return the role that a command needs, written as it is given: ``token assign``.

    What nobody has thought of is left to the highest.
    """
    return ROLES.get(command, Role.ADMIN)


def refusal(administrators: Administrators | None, who: Administrator, command: str) -> str | None:
    """Say why somebody may not do that; None: they may."""
    if administrators is None or who.is_keeper:
        return None
    wanted, theirs = needed(command), role_of(administrators, groups_of(who))
    if theirs is not None and theirs >= wanted:
        return None
    groups = {role.word: ", ".join(sorted(_groups(administrators, role))) for role in Role if role >= wanted}
    holders = [f"{names} ({role})" for role, names in groups.items() if names]
    has = "has no role here" if theirs is None else f"has the role {theirs.word}"
    return (
        f"{who.name} may not do this: `{command}` needs the role {wanted.word}, and {who.account} {has}; "
        f"ask somebody of {' or '.join(holders) or 'root'}"
    )


def role_of(administrators: Administrators, groups: Iterable[str]) -> Role | None:
    """Return the highest role that one of these groups has."""
    return max((role for role in Role if not _groups(administrators, role).isdisjoint(groups)), default=None)


def groups_of(who: Administrator) -> frozenset[str]:
    """Return the names of the groups that the operating system counts somebody to; none for who is unknown to it."""
    if who.gid is None:
        return frozenset()
    return frozenset(name for gid in os.getgrouplist(who.account, who.gid) if (name := _group(gid)) is not None)


def missing_groups(administrators: Administrators) -> list[str]:
    """Return the groups of the settings that this host does not know."""
    return [name for name in _all_groups(administrators) if _members(name) is None]


def empty_groups(administrators: Administrators) -> list[str]:
    """Return the groups of the settings that list nobody, and are nobody's own group either."""
    return [name for name in _all_groups(administrators) if _members(name) == 0]


def _groups(administrators: Administrators, role: Role) -> frozenset[str]:
    return {
        Role.HELPDESK: administrators.helpdesk,
        Role.OPERATOR: administrators.operator,
        Role.ADMIN: administrators.admin,
    }[role]


def _group(gid: int) -> str | None:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return None


def _all_groups(administrators: Administrators) -> list[str]:
    return sorted({name for role in Role for name in _groups(administrators, role)})


def _members(name: str) -> int | None:
    """Count whom a group lists, and whose own group it is; None: there is no such group.

    A directory may show its people to nobody who does not ask for them by name: then a group only seems to be empty.
    """
    try:
        group = grp.getgrnam(name)
    except KeyError:
        return None
    return len(group.gr_mem) + sum(one.pw_gid == group.gr_gid for one in pwd.getpwall())
