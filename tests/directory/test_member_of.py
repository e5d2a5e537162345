"""Which of the groups that an entry names count: those below group_base, where one is written, and no others.

Whoever may make a group anywhere in the directory must not make one that rules take for another. Nothing is searched.
RFC 4514 (how the names of entries are written).
"""

from __future__ import annotations

from typing import Final

import pytest

from radiusd2fa.directory import dn

from .logins import ask, opened, patient, run
from .scripted import Script, entry, saying, searched, serving

BASE: Final = "ou=groups,dc=test"
OUTSIDE: Final = (
    "cn=admins,ou=own,dc=test",
    "cn=admins,dc=test",
    "cn=admins",
    "cn=admins,ou=groups,dc=test2",
    "cn=admins,ou=groups,dc=test,dc=evil",
    "cn=admins,ou=mygroups,dc=test",
    "cn=admins,xou=groups,dc=test",
    "cn=admins,ou=own\\,ou=groups\\,dc=test",
    "cn=admins\\,ou=groups\\,dc=test,ou=own,dc=test",
    "cn=admins\\2cou=groups\\2cdc=test,ou=own,dc=test",
    "cn=admins+ou=groups,dc=test",
    "cn=admins,ou=groups+cn=x,dc=test",
    "cn=admins,dc=test,ou=groups",
    "ou=groups",
    "admins",
    "cn=admins,ou=groups,dc=test,",
)
BELOW: Final = {
    "cn=admins,ou=groups,dc=test": "admins",
    "CN=Admins,OU=Groups,DC=Test": "admins",
    "cn=admins , ou=groups , dc=test": "admins",
    "cn=admins,ou=deep,ou=groups,dc=test": "admins",
    "cn=ad\\6dins,ou=gr\\6fups,dc=test": "admins",
}


def groups_of(*names: str, group_base: str | None = BASE, group_name: str = "cn") -> tuple[str, ...] | None:
    """Log in as somebody whose entry names these groups."""

    async def test() -> tuple[str, ...] | None:
        held = {"uid": [b"alice"], "entryUUID": [b"A"], "memberOf": [name.encode() for name in names]}
        script = Script(search=saying(entry("uid=alice,dc=test", held), searched()))
        async with serving(script) as port:
            settings = patient(port, groups="member_of", group_base=group_base, group_name=group_name)
            async with opened(settings) as backend:
                account = (await ask(backend, "alice")).account
        assert account is not None
        assert len(script.searches) == 1
        return account.groups

    return run(test())


def test_groups_of_elsewhere_do_not_count() -> None:
    """However their names are made to look like one of a group below the base."""
    assert groups_of(*OUTSIDE) == ()
    assert groups_of(*OUTSIDE, "cn=staff,ou=groups,dc=test") == ("staff",)


@pytest.mark.parametrize(("written", "name"), BELOW.items())
def test_groups_below_the_base_count_in_each_spelling(written: str, name: str) -> None:
    """A server may write the name of an entry as it likes."""
    assert groups_of(written) == (name,)
    assert groups_of(written, group_base="OU=Groups, DC=TEST") == (name,)


def test_whole_names_are_held_to_the_base_too() -> None:
    """Also where rules name groups by all of it."""
    assert groups_of(*OUTSIDE, group_name="dn") == ()


def test_without_a_base_all_groups_count() -> None:
    """As they always have: whoever has groups in several places writes none."""
    assert groups_of("cn=admins,ou=own,dc=test", "cn=staff,ou=groups,dc=test", group_base=None) == ("admins", "staff")


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_is_not_below_is_not(name: str) -> None:
    """Each of them alone."""
    assert dn.is_below(name, BASE) is False
