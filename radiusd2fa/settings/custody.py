"""Who administers tokens, by the operating system's groups, and how long a token waits for its first code.

Nothing is looked up here: which groups exist, and who is in them, is known when a command runs. Group names are those
of group(5).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from radiusd2fa.settings.section import Section, each_once, some
from radiusd2fa.settings.values import USUAL_ACTIVATION, Administrators
from radiusd2fa.settings.windows import DAY, HOUR
from radiusd2fa.settings.words import Surroundings, a_text, duration, reader, refused
from radiusd2fa.settings.yaml_lines import Word


def _system_group(word: Word, around: Surroundings) -> str:
    """Read the name of a group of this host; a directory behind it may allow spaces and backslashes."""
    name = a_text(word, around)
    if name != name.strip() or set(name) & set(":,") or name.startswith("%"):
        raise refused("is no name of a group", "write it as `getent group` shows it, as in token-desk")
    return name


Groups = Annotated[tuple[Annotated[str, reader(_system_group)], ...], AfterValidator(some), AfterValidator(each_once)]


class AdministratorsSection(Section):
    """``administrators:``."""

    helpdesk: Groups = ()
    operator: Groups = ()
    admin: Groups = ()

    def values(self) -> Administrators:
        """Return who may do what."""
        return Administrators(frozenset(self.helpdesk), frozenset(self.operator), frozenset(self.admin))


def somebody(section: AdministratorsSection | None) -> AdministratorsSection | None:
    """Refuse a section without groups: it would leave everything to root."""
    if section is not None and not section.model_fields_set:
        raise refused("names nobody", "write groups of this host, as in {admin: [security], helpdesk: [service-desk]}")
    return section


class TokensSection(Section):
    """``tokens:``."""

    activation: Annotated[float, duration(HOUR, 3650 * DAY)] = USUAL_ACTIVATION
