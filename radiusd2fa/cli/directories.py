"""A site's directories, asked on behalf of a command: with the cause said when they do not answer.

Nothing is decided and nothing printed here. Answers to no RFC.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from radiusd2fa.directory.people import People
    from radiusd2fa.settings import LdapSettings, Settings


class NoAnswerError(Exception):
    """A directory could not be asked; the text says why."""


@contextmanager
def asking(directory: LdapSettings) -> Iterator[People]:
    """Open a directory. NoAnswerError: it does not answer, or knows several people where one is meant."""
    from radiusd2fa.directory.people import AmbiguousError, People
    from radiusd2fa.directory.trouble import DirectoryUnavailableError

    said: list[str] = []
    try:
        # what follows a semicolon is what a daemon does about it, and this is none
        with People(directory, lambda _, text: said.append(text.partition("; it is left alone")[0])) as people:
            yield people
    except AmbiguousError:
        raise NoAnswerError(f"{directory.name} knows several people of that name; make its filter narrower") from None
    except (DirectoryUnavailableError, ValueError) as error:
        cause = "; ".join(dict.fromkeys(said)) or str(error) or "there was no answer in time"
        raise NoAnswerError(f"{directory.name} cannot be asked: {cause}") from None


def directories_of(settings: Settings) -> list[LdapSettings]:
    """Return the directories in which people can be looked up."""
    from radiusd2fa.settings import LdapSettings
    from radiusd2fa.settings.backends import looks_up

    return [one for one in settings.backends if isinstance(one, LdapSettings) and looks_up(one)]
