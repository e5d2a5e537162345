"""Distinguished names: what a name of a person becomes in one, and when two are the same.

RFC 4514 2.4 and its examples in section 4.
"""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiusd2fa.directory import dn

ESCAPED: Final = {
    "alice": "alice",
    " a b ": "\\ a b\\ ",
    "#a#": "\\#a#",
    'a"+,;<>\\=': 'a\\"\\+\\,\\;\\<\\>\\\\\\=',
    "a\0\n": "a\\00\\0a",
    " ": "\\ ",
    "é*()": "é*()",
}


@pytest.mark.parametrize(("value", "text"), ESCAPED.items())
def test_a_value_is_escaped(value: str, text: str) -> None:
    """What would end the value, or begin another, has a backslash before it."""
    assert dn.escape(value) == text


@given(st.text(min_size=1, max_size=40))
def test_any_name_stays_one_value(value: str) -> None:
    """Whatever somebody types, the template's name has the steps that it had, and their name as it was."""
    filled = dn.fill("uid={name},ou=people,dc=x", {"name": value}, escaped=True)
    assert dn.parse(filled) == ((("uid", value),), (("ou", "people"),), (("dc", "x"),))


NO_NAMES: Final = ("alice", "=x", "uid=a,", "uid=a,,b=c", 'uid="a"', "uid=a+", "a b=c")


@pytest.mark.parametrize("text", NO_NAMES)
def test_what_is_no_name_is_not_read(text: str) -> None:
    """Text that RFC 4514 does not know is a ValueError, and compares as the text that it is."""
    with pytest.raises(ValueError, match="not a distinguished name"):
        dn.parse(text)
    assert dn.canonical(text) == dn.canonical(text.upper())
    assert dn.own_name(text) == ""


SAME: Final = {
    "CN=Admins,DC=Example": "cn=admins,dc=example",
    "cn = admins , dc=example": "cn=admins,dc=example",
    "cn=a\\2cb,dc=x": "cn=a\\,b,dc=x",
    "cn=\\c3\\a9": "cn=é",
    "b=2+a=1": "a=1+b=2",
    "cn=a  b": "cn=a b",
}


@pytest.mark.parametrize(("one", "other"), SAME.items())
def test_spellings_of_one_name_are_the_same(one: str, other: str) -> None:
    """Case, blanks around separators, kinds of escapes and the order within a step tell nothing apart."""
    assert dn.canonical(one) == dn.canonical(other)


def test_other_names_are_not_the_same() -> None:
    """A comma within a value is no separator, and another parent is another name."""
    assert dn.canonical("cn=a\\,dc=x") != dn.canonical("cn=a,dc=x")
    assert dn.canonical("cn=a,dc=x") != dn.canonical("cn=a,dc=y")


OWN: Final = {
    "cn=VPN Users,ou=groups,dc=x": "VPN Users",
    "ou=x+CN=y,dc=z": "y",
    "ou=x,dc=z": "x",
    "cn=a\\,b\\ ,dc=z": "a,b ",
    "cn=a ,dc=z": "a",
    "": "",
}


@pytest.mark.parametrize(("text", "name"), OWN.items())
def test_the_own_name_of_an_entry(text: str, name: str) -> None:
    """The first step says what a group is called, ``cn`` before anything else."""
    assert dn.own_name(text) == name


@pytest.mark.parametrize(
    ("template", "expected"),
    [("uid={name},dc=x", True), ("CN={name}", True), ("{name}@example.org", False), ("CORP\\{name}", False)],
)
def test_a_template_is_a_distinguished_name_or_not(template: str, expected: bool) -> None:
    """What begins like one is one; a userPrincipalName and a Windows name are not."""
    assert dn.is_dn(template) is expected
