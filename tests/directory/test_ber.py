"""BER and LDAP messages: what is not LDAP is refused, and what we write is read back.

The tables are worked out by hand from X.690 8.1; slapd judges the rest in tests/primary/test_ldap.py. RFC 4511 5.1.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiusd2fa.directory import ber, messages
from radiusd2fa.directory.ber import MalformedError

MALFORMED = {
    "indefinite length": "30800000",
    "length of five octets": "3085000000000100",
    "tag of several octets": "1f8101",
    "beyond its parent": "300502010a",
    "cut in its length": "308200",
    "a child beyond its parent": "30030205aa",
}


@pytest.mark.parametrize("octets", MALFORMED.values(), ids=MALFORMED)
def test_what_ldap_does_not_allow_is_refused(octets: str) -> None:
    """Indefinite and endless lengths, long tags and elements that overrun are malformed."""
    with pytest.raises(MalformedError):
        [ber.elements(content) for _, content in ber.elements(bytes.fromhex(octets))]


@pytest.mark.parametrize("octets", ["", "30", "3082", "308201"])
def test_a_size_that_has_not_come_yet_is_not_guessed(octets: str) -> None:
    """Of a header that is not complete nothing is said."""
    assert ber.size_of(bytes.fromhex(octets)) is None


SIZES = {"3000": 2, "30051234": 7, "3081ff": 258, "308400000005": 11, "3084ffffffff": 2**32 + 5}


@pytest.mark.parametrize(("octets", "size"), SIZES.items())
def test_a_size_is_told_from_the_header(octets: str, size: int) -> None:
    """Short, long and needlessly long forms; how much of the content has come does not matter."""
    assert ber.size_of(bytes.fromhex(octets)) == size


def test_too_many_elements_are_refused() -> None:
    """A message of thousands of tiny elements does not take the time of other people's logins."""
    with pytest.raises(MalformedError):
        ber.elements(b"\x05\x00" * (ber.MOST_ELEMENTS + 1))


@given(st.binary(max_size=80))
def test_any_octets_are_read_or_malformed(octets: bytes) -> None:
    """Whatever a server sends, reading it ends with a message or with MalformedError."""
    wrapped = ber.element(ber.SEQUENCE, ber.integer(1), octets)
    for data in (octets, wrapped):
        try:
            message = messages.read(data)
            messages.read_result(message)
            messages.read_entry(message.body)
        except MalformedError:
            continue


@given(st.binary(max_size=300), st.integers(0, 255).filter(lambda tag: tag & 0x1F != 0x1F))
def test_what_is_written_is_read_back(content: bytes, tag: int) -> None:
    """An element of any length is read as it was written, and its size is told right."""
    written = ber.element(tag, content)
    assert ber.elements(written) == [(tag, content)]
    assert ber.size_of(written) == len(written)


@given(st.integers(0, 2**62))
def test_numbers_are_written_as_they_are_read(value: int) -> None:
    """A number that is not negative never turns into one that is."""
    ((_, content),) = ber.elements(ber.integer(value))
    assert ber.number(content) == value


@pytest.mark.parametrize(("name", "password"), [("", b"x"), ("cn=x", b""), ("", b"")])
def test_a_bind_that_proves_nothing_cannot_be_written(name: str, password: bytes) -> None:
    """RFC 4513 5.1.2: without a name or without a password a bind is anonymous, and is never sent."""
    with pytest.raises(ValueError, match="proves nothing"):
        messages.bind(name, password)


def test_a_request_shows_no_password() -> None:
    """A bind's octets are in no repr."""
    assert "hunter2" not in repr(messages.bind("cn=x", b"hunter2"))
