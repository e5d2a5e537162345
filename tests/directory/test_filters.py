"""Filters: what is not one is refused, and a name is one value whatever it is made of.

The encodings are worked out by hand from RFC 4511 4.5.1; the texts are those of RFC 4515 4 and our settings' defaults.
"""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiusd2fa.directory import ber
from radiusd2fa.directory.filters import IN_CHAIN, Place, compared_with, parse_filter, taking, through_groups
from radiusd2fa.settings import LdapSettings

PLACES: Final = frozenset({"name", "user", "dn"})

BAD: Final = {
    "nothing": "",
    "no parentheses": "uid={name}",
    "not closed": "(uid={name}",
    "closed twice": "(uid={name}))",
    "something behind": "(uid=a)(uid=b)",
    "empty and": "(&)",
    "no attribute": "(={name})",
    "no comparison": "(uid)",
    "an open parenthesis in a value": "(uid=a(b)",
    "half an escape": "(uid=\\2)",
    "no escape": "(uid=\\zz)",
    "an unknown place": "(uid={login})",
    "a place that is not closed": "(uid={name)",
    "two stars": "(uid=a**b)",
    "a star after >=": "(uid>=a*)",
    "a star in an extensible one": "(uid:dn:=a*)",
    "blanks between": "( uid=a)",
    "too deep": "(!" * 40 + "(a=b)" + ")" * 40,
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_what_is_no_filter_is_refused(text: str) -> None:
    """A filter that RFC 4515 does not know, or that has an unknown place, is a ValueError with a sentence."""
    with pytest.raises(ValueError, match=" "):
        parse_filter(text, PLACES)


WRITTEN: Final = {
    "(uid={name})": "a30c 0403756964 0405616c696365",
    "(uid=*)": "8703756964",
    "(!(uid=a))": "a20a a308 0403756964 040161",
    "(&(a=b)(c=d))": "a010 a306 040161 040162 a306 040163 040164",
    "(|(a=\\2a\\00)(a>=1))": "a111 a307 040161 04022a00 a506 040161 040131",
    "(a=x*y*z)": "a40e 040161 3009 800178 810179 82017a",
    "(a={name}*)": "a40c 040161 3007 8005616c696365",
    "(a~=b)": "a806 040161 040162",
    "(a<=b)": "a606 040161 040162",
    "(a:=b)": "a906 820161 830162",
    "(a:dn:2.4:=b)": "a90e 8103322e34 820161 830162 8401ff",
    "(:2.4:=b)": "a908 8103322e34 830162",
    "(a;x-y=b)": "a30a 0405613b782d79 040162",
    "(2.5.4.3=b)": "a30c 0407322e352e342e33 040162",
    "(a=)": "a305 040161 0400",
    "(a=é)": "a307 040161 0402c3a9",
}


@pytest.mark.parametrize(("text", "octets"), WRITTEN.items(), ids=WRITTEN)
def test_a_filter_is_written_as_rfc_4511_says(text: str, octets: str) -> None:
    """Each kind of filter has its own octets."""
    assert parse_filter(text, PLACES).encode({"name": b"alice"}) == bytes.fromhex(octets)


@given(st.text(max_size=80), st.sampled_from(["(uid={name})", "(&(objectClass=x)(|(uid={name})(mail={name}@x)))"]))
def test_any_name_is_one_value(name: str, text: str) -> None:
    """Two names give filters of the same shape: no character of a name is anything but part of a value."""
    one = parse_filter(text, PLACES)
    assert _shape(one.encode({"name": name.encode()})) == _shape(one.encode({"name": b"alice"}))


def _shape(octets: bytes) -> list[object]:
    return [(tag, _shape(content) if tag & 0x20 else None) for tag, content in ber.elements(octets)]


def test_a_name_stands_as_it_is() -> None:
    """What is dangerous in a filter's text goes to the directory unchanged, as a value."""
    octets = parse_filter("(uid={name})", PLACES).encode({"name": b"*)(uid=*\0\\"})
    assert octets == bytes.fromhex("a311 0403756964") + ber.octets(b"*)(uid=*\0\\")


COMPARED: Final = {
    "(uid={name})": ["uid"],
    "(&(objectClass=person)(|(uid={name})(mail={user})))": ["uid", "mail"],
    "(&(a=b)(!(uid={name})))": [],
    "(uid=*{name}*)": [],
    "(uid=alice)": [],
    "(cn:caseExactMatch:={name})": ["cn"],
    "(member={dn})": [],
}


@pytest.mark.parametrize(("text", "attributes"), COMPARED.items(), ids=COMPARED)
def test_the_attributes_that_hold_the_name_are_known(text: str, attributes: list[str]) -> None:
    """Only what is really compared with a name counts: no part of a value, and nothing behind a *not*."""
    found = compared_with(parse_filter(text, PLACES), frozenset({"name", "user"}))
    assert [one.attribute for one in found] == attributes


def test_a_name_is_taken_back_out_of_a_value() -> None:
    """What stands around the place is cut off; a value that does not fit has no name in it."""
    (one,) = compared_with(parse_filter("(mail={name}@example.org)", PLACES), frozenset({"name"}))
    take = taking(one)
    assert (take("Alice@Example.org"), take("alice@example.com"), take("@example.org")) == ("Alice", None, None)


def test_nested_groups_are_asked_for_by_the_rule_of_active_directory() -> None:
    """Every comparison with the entry's own name walks the chain; others stay as they are."""
    default = LdapSettings("x", ("ldaps://x",)).group_filter
    nested = through_groups(parse_filter(default, PLACES), "dn")
    text = f"(|(member:{IN_CHAIN}:={{dn}})(uniqueMember:{IN_CHAIN}:={{dn}})(memberUid={{name}}))"
    assert nested == parse_filter(text, PLACES)
    assert Place("dn") in next(iter(nested.parts)).value  # type: ignore[union-attr]
