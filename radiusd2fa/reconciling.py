"""What has become of the people whom a directory once let in: who is gone, disabled, renamed, or somebody else now.

It asks and compares, and changes nothing; what is done about a difference is the administrator's choice. A directory
that does not answer is an error, never an empty one. Answers to no RFC; entryUUID is RFC 4530.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum

from radiusd2fa.core.names import canonical, split_realm
from radiusd2fa.core.record import record
from radiusd2fa.directory.people import AmbiguousError, Person
from radiusd2fa.store.registry import UserRecord


class Change(StrEnum):
    """What the directory says otherwise than the store."""

    GONE = "gone"
    """The directory knows that person no more."""
    REPLACED = "replaced"
    """Somebody else has that name now, and the person is gone."""
    DISABLED = "disabled"
    """The directory lets them in nowhere."""
    RENAMED = "renamed"
    """The same person, under another name."""
    UNBOUND = "unbound"
    """Known by name alone so far; the directory says who it is."""
    AMBIGUOUS = "ambiguous"
    """Several people have that name or id."""


ORPHANED = frozenset({Change.GONE, Change.REPLACED})
"""Whose tokens nobody can use any more, and nobody should be able to."""


@record
class Difference:
    """One person of whom the directory says something else."""

    user: UserRecord
    change: Change
    person: Person | None = None
    """Who the directory means; None when it means nobody."""

    @property
    def detail(self) -> str:
        """What to tell people beside the change."""
        if self.change is Change.RENAMED and self.person is not None:
            return f"now {self.person.name}"
        if self.change is Change.DISABLED and self.person is not None and self.person.reason is not None:
            return self.person.reason.replace("_", " ")
        return "somebody else has this name now" if self.change is Change.REPLACED else ""


@record
class Directory:
    """Two questions to a directory (directory.people.People)."""

    find: Callable[[str], Person | None]
    by_name: Callable[[str], Person | None]


def differences(users: Iterable[UserRecord], directory: Directory) -> Iterator[Difference | None]:
    """Yield for each person what the directory says otherwise, or None, in their order: it may take its time."""
    for user in users:
        try:
            yield _difference(user, directory)
        except AmbiguousError:
            yield Difference(user, Change.AMBIGUOUS)


def is_done(one: Difference) -> bool:
    """Whether nothing is left to be done about somebody who is gone."""
    return one.change in ORPHANED and not one.user.enabled and not one.user.live


def _difference(user: UserRecord, directory: Directory) -> Difference | None:
    if user.directory_id is None:
        person = directory.by_name(user.name)
        if person is None:
            return Difference(user, Change.GONE)
        if person.id is not None:
            return Difference(user, Change.UNBOUND, person)
    else:
        person = directory.find(user.directory_id)
        if person is None:
            other = directory.by_name(user.name)
            return Difference(user, Change.GONE if other is None else Change.REPLACED, other)
    if not person.enabled:
        return Difference(user, Change.DISABLED, person)
    new = new_name(user.name, person)
    if new is None or _finds(directory, user.name, person) or not _finds(directory, new, person):
        return None  # somebody may have several names, and is not renamed by logging in with the second
    return Difference(user, Change.RENAMED, person)


def _finds(directory: Directory, name: str, person: Person) -> bool:
    found = directory.by_name(name)
    return found is not None and found.id == person.id


def new_name(user: str, person: Person) -> str | None:
    """What that person must type now, in our spelling; None when it is what they typed before, or not known."""
    name = None if person.name is None else canonical(person.name.encode())
    if name is None:
        return None
    realm = split_realm(user)[1]
    whole = f"{name}@{realm}" if realm and not split_realm(name)[1] else name
    return None if whole == user else whole
