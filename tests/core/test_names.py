"""One person, one name: what is the same name, what is nobody's name.

Refusals first. A name that is not refused has one canonical form, and that form is its own.
RFC 2865 5.1 (User-Name), RFC 8265 in spirit.
"""

from __future__ import annotations

import unicodedata
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from radiusd2fa.core.names import MAX_OCTETS, canonical, canonical_group, read_name, split_realm

NOBODY: Final = {
    "nothing": b"",
    "a space": b" ",
    "space before": b" alice",
    "space after": b"alice ",
    "tab after": b"alice\t",
    "newline after": b"alice\n",
    "NUL after": b"alice\0",
    "NUL within": b"ali\0ce",
    "bell": b"ali\x07ce",
    "delete": b"alice\x7f",
    "C1 control": "ali\x9bce".encode(),
    "no-break space within": "ali\N{NO-BREAK SPACE}ce".encode(),
    "ideographic space within": "ali\N{IDEOGRAPHIC SPACE}ce".encode(),
    "en quad after": "alice\N{EN QUAD}".encode(),
    "line separator": "ali\N{LINE SEPARATOR}ce".encode(),
    "paragraph separator": "ali\N{PARAGRAPH SEPARATOR}ce".encode(),
    "zero-width space": "ali\N{ZERO WIDTH SPACE}ce".encode(),
    "zero-width joiner": "ali\N{ZERO WIDTH JOINER}ce".encode(),
    "soft hyphen": "ali\N{SOFT HYPHEN}ce".encode(),
    "right-to-left override": "ali\N{RIGHT-TO-LEFT OVERRIDE}ce".encode(),
    "byte order mark": b"\xef\xbb\xbfalice",
    "language tag": "alice\N{TAG LATIN SMALL LETTER A}".encode(),
    "private use": "ali\ue000ce".encode(),
    "unassigned": "ali\U000e0fffce".encode(),
    "invalid UTF-8": b"ali\xffce",
    "cut UTF-8": b"alic\xc3",
    "overlong UTF-8": b"ali\xc0\xafce",
    "a surrogate": b"ali\xed\xa0\x80ce",
    "beyond Unicode": b"ali\xf4\x90\x80\x80",
    "254 octets": b"a" * 254,
    "254 octets in 127 characters": "é".encode() * 127,
    "longer than 253 octets once folded": "\N{LATIN SMALL LETTER N PRECEDED BY APOSTROPHE}".encode() * 126,
}


@pytest.mark.parametrize("raw", NOBODY.values(), ids=NOBODY.keys())
@pytest.mark.parametrize("strip_realm", [False, True])
def test_names_of_nobody(raw: bytes, strip_realm: bool) -> None:
    """Controls, invisible characters, odd spaces, broken UTF-8 and overlong names are refused, never repaired."""
    assert canonical(raw) is None
    assert read_name(raw, strip_realm=strip_realm) == (None, "")


ONE_PERSON: Final = (
    ("ALICE", "alice"),
    ("aLiCe", "alice"),
    ("alice2", "alice2"),
    ("alice smith", "alice smith"),
    ("alice.smith", "alice.smith"),
    ("Stra\N{LATIN SMALL LETTER SHARP S}e", "strasse"),
    ("\N{LATIN CAPITAL LETTER SHARP S}", "ss"),
    ("José", "josé"),
    ("Jose\N{COMBINING ACUTE ACCENT}", "josé"),
    ("\N{KELVIN SIGN}arl", "karl"),
    ("\N{LATIN SMALL LIGATURE FI}ona", "fiona"),
    ("ΣΊΣΥΦΟΣ", "σίσυφοσ"),
    ("Σίσυφος", "σίσυφοσ"),
    ("a" * 253, "a" * 253),
    ("alice|bob", "alice|bob"),
    ("alice' or '1'='1", "alice' or '1'='1"),
)


@pytest.mark.parametrize(("typed", "name"), ONE_PERSON)
def test_spellings_of_one_name(typed: str, name: str) -> None:
    """Case and the two ways to write an accent make no difference; everything else does."""
    assert canonical(typed.encode()) == name


APART: Final = ("alice", "a1ice", "alicé", "\N{CYRILLIC SMALL LETTER A}lice", "al ice", "alice.", "alice@a", "A\\alice")


def test_different_names_stay_different() -> None:
    """No two of these are one person: a Cyrillic letter, an accent, a space, a dot, a realm."""
    assert len({canonical(name.encode()) for name in APART} - {None}) == len(APART)


REALMS: Final = (
    (b"EXAMPLE\\Alice", "alice"),
    (b"alice@EXAMPLE.ORG", "alice"),
    (b"example.org\\alice@example.org", "alice"),
    (b"a\\b\\alice", "alice"),
    (b"alice@one@two", "alice"),
    (b"alice", "alice"),
    (b"alice\\", None),
    (b"@example.org", None),
    (b"EXAMPLE\\@example.org", None),
    (b"EXAMPLE\\ alice", None),
    (b"alice @example.org", None),
    (b"\\", None),
)


@pytest.mark.parametrize(("raw", "name"), REALMS)
def test_realms_where_the_client_strips_them(raw: bytes, name: str | None) -> None:
    """``DOMAIN\\user`` and ``user@realm`` are ``user``, for a client that says so; with nothing left, nobody."""
    assert read_name(raw, strip_realm=True)[0] == name


WITH_REALM: Final = (
    (b"alice", "alice", "alice", ""),
    (b"Alice@Example.org", "alice", "alice@example.org", "example.org"),
    (b"EXAMPLE\\Alice", "alice", "example\\alice", "example"),
    (b"EXAMPLE\\alice@example.org", "alice", "example\\alice@example.org", "example"),
    (b"alice@one@two", "alice", "alice@one@two", "two"),
    (b"alice@", "alice", "alice@", ""),
    (b"\\alice", "alice", "\\alice", ""),
    ("josé@Ärzte.example".encode(), "josé", "josé@ärzte.example", "ärzte.example"),
    ("jose\N{COMBINING ACUTE ACCENT}@x".encode(), "josé", "josé@x", "x"),
    (b"alice smith@x", "alice smith", "alice smith@x", "x"),
    (b"alice@ x", "alice", "alice@ x", " x"),
)


@pytest.mark.parametrize(("raw", "stripped", "whole", "realm"), WITH_REALM)
def test_the_realm_is_known_whether_it_is_stripped_or_not(raw: bytes, stripped: str, whole: str, realm: str) -> None:
    """Rules choose by it in both cases; it is canonical as the name is."""
    assert read_name(raw, strip_realm=True) == (stripped, realm)
    assert read_name(raw, strip_realm=False) == (whole, realm)
    assert split_realm(whole)[1] == realm


SPLIT: Final = (
    ("alice", "alice", ""),
    ("alice@example.org", "alice", "example.org"),
    ("alice@one@two", "alice@one", "two"),
    ("example\\alice", "alice", "example"),
    ("@", "", ""),
    ("\\", "", ""),
    ("", "", ""),
)


@pytest.mark.parametrize(("name", "user", "realm"), SPLIT)
def test_a_name_taken_apart(name: str, user: str, realm: str) -> None:
    """The last ``@`` and the first backslash count, for directories that are asked with one part only."""
    assert split_realm(name) == (user, realm)


GROUPS: Final = (
    ("Domain Admins", "domain admins"),
    ("NETADMIN", "netadmin"),
    ("Stra\N{LATIN SMALL LETTER SHARP S}e", "strasse"),
    ("Jose\N{COMBINING ACUTE ACCENT}", "josé"),
    ("cn=Ops,ou=Groups,dc=example,dc=org", "cn=ops,ou=groups,dc=example,dc=org"),
    ("g" * 1000, "g" * 1000),
)


@pytest.mark.parametrize(("text", "group"), GROUPS)
def test_spellings_of_one_group(text: str, group: str) -> None:
    """Case and the two ways to write an accent make no difference, and a DN may be long."""
    assert canonical_group(text) == canonical_group(text.upper()) == canonical_group(group) == group


NO_GROUPS: Final = ("", " ", " ops", "ops ", "ops\n", "o\0ps", "o\nps", "ops\u200b", "o\u00a0ps", "\ud800")


@pytest.mark.parametrize("text", NO_GROUPS)
def test_groups_of_nobody(text: str) -> None:
    """A list of groups is kept line by line: no group holds a line feed, a control or what cannot be seen."""
    assert canonical_group(text) is None


@given(st.text(max_size=60))
def test_a_canonical_group_is_its_own(text: str) -> None:
    """The one spelling is spelt so itself."""
    group = canonical_group(text)
    assert group is None or (canonical_group(group) == group and "\n" not in group)


def test_realms_where_the_client_does_not() -> None:
    """Elsewhere a realm is part of the name."""
    assert canonical(b"Alice@Example.org") == "alice@example.org"
    assert canonical(b"EXAMPLE\\Alice") == "example\\alice"


@given(st.binary(max_size=300) | st.text(max_size=130).map(lambda text: text.encode("utf-8", "surrogatepass")))
@example("ŉ".encode() * 84)
@example("\N{GREEK SMALL LETTER ALPHA}\N{COMBINING GREEK YPOGEGRAMMENI}\N{COMBINING ACUTE ACCENT}".encode())
def test_a_canonical_name_is_its_own(raw: bytes) -> None:
    """The canonical form of a canonical form is itself, fits into User-Name, and holds nothing invisible."""
    for strip_realm in (False, True):
        name, _ = read_name(raw, strip_realm=strip_realm)
        if name is None:
            continue
        assert read_name(name.encode(), strip_realm=strip_realm)[0] == name
        assert 0 < len(name.encode()) <= MAX_OCTETS
        assert name.isprintable()
        assert name == name.strip()


def test_every_character_between_letters() -> None:
    """No character of Unicode breaks the rule that a canonical name is its own; no control is ever in one."""
    for number in range(0x110000):
        if 0xD800 <= number < 0xE000:
            continue
        name = canonical(f"a{chr(number)}b".encode())
        if name is not None:
            assert canonical(name.encode()) == name
            assert not unicodedata.category(chr(number)).startswith(("C", "Zl", "Zp"))


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60))
def test_ascii_names_are_blind_to_case_only(text: str) -> None:
    """Upper, lower and mixed case are one name, and for ASCII nothing else is changed."""
    assert canonical(text.encode()) == canonical(text.upper().encode()) == text.lower()
