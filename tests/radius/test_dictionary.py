"""Dictionaries: what a line may say, what is wrong with it, and whether ours say what everybody else's do.

FreeRADIUS' own dictionaries and pyrad's reader are the judges; nothing of them is copied.
dictionary(5) of FreeRADIUS 3; RFC 2865 5.26, RFC 2868, RFC 6929.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyrad.dictionary import Dictionary as PyradDictionary

from radiusd2fa.core.attributes import Layout
from radiusd2fa.radius.data_types import RANGES, DataType
from radiusd2fa.radius.dictionary import (
    DEEPEST_INCLUDE,
    AttributeType,
    Dictionary,
    DictionaryFault,
    read_dictionary,
)
from radiusd2fa.settings.dictionaries import SHIPPED, load_dictionaries

FREERADIUS: Final = Path("/usr/share/freeradius")
needs_freeradius = pytest.mark.skipif(
    not (FREERADIUS / "dictionary").is_file(), reason="needs Debian package freeradius-common"
)

ACME: Final = "VENDOR Acme 4711\nBEGIN-VENDOR Acme\n"


def read(text: str) -> Dictionary:
    """A dictionary of one file."""
    return read_dictionary([("site", text)])


def attribute(text: str, name: str) -> AttributeType:
    """One attribute of it."""
    found = read(text).find(name)
    assert found is not None
    return found


# --- what is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("ATTRIBUTE", 1, "no line of a FreeRADIUS 3 dictionary"),
        ("ATTRIBUTE A 1", 1, "no line of"),
        ("ATTRIBUTE A 1 string has_tag encrypt=2", 1, "no line of"),
        ("\n\nATTRIBUT A 1 string", 3, "no line of"),
        ("FLAGS internal", 1, "no line of"),
        ("ATTRIBUTE A 1 strong", 1, "the type is unknown"),
        ("ATTRIBUTE A 1 octets[x]", 1, "the type is unknown"),
        ("ATTRIBUTE A one string", 1, "the number is none"),
        ("ATTRIBUTE A 1. string", 1, "the number is none"),
        ("ATTRIBUTE A 0x string", 1, "the number is none"),
        ("ATTRIBUTE A ² string", 1, "the number is none"),
        ("ATTRIBUTE Ä 1 string", 1, "odd characters"),
        (f"ATTRIBUTE {'a' * 129} 1 string", 1, "too long"),
        ("ATTRIBUTE A 1 string Nobody", 1, "one of the flags is unknown"),
        ("ATTRIBUTE A 1 string encrypt=4", 1, "one of the flags is unknown"),
        ("ATTRIBUTE A 1 string has_tag,", 1, "one of the flags is unknown"),
        ("ATTRIBUTE A 1 string\nATTRIBUTE a 2 string", 2, "was something else further up"),
        ("VALUE A x 1", 1, "which no ATTRIBUTE has defined"),
        ("ATTRIBUTE A 1 integer\nVALUE A x y", 2, "the number is none"),
        ("VENDOR Acme", 1, "no line of"),
        ("VENDOR Acme x", 1, "the number is none"),
        ("VENDOR Acme 0", 1, "no such vendor's number"),
        ("VENDOR Acme -1", 1, "no such vendor's number"),
        ("VENDOR Acme 4294967296", 1, "no such vendor's number"),
        ("VENDOR Acme 4711 format=3,1", 1, "the format of the vendor's attributes"),
        ("VENDOR Acme 4711 format=2,1,c", 1, "the format of the vendor's attributes"),
        ("VENDOR Acme 4711\nVENDOR ACME 4712", 2, "has another number or format already"),
        ("VENDOR Acme 4711\nVENDOR Acme 4711 format=2,2", 2, "has another number or format already"),
        ("BEGIN-VENDOR Acme", 1, "which no VENDOR has defined"),
        (ACME, 0, "END-VENDOR is missing"),
        (ACME + "BEGIN-VENDOR Acme", 3, "stands inside another block"),
        (ACME + "END-VENDOR Other", 3, "ends no block"),
        ("END-VENDOR Acme", 1, "ends no block"),
        ("VENDOR Acme 4711\nBEGIN-VENDOR Acme format=2,2", 2, "the format of an extended attribute"),
        ("BEGIN-TLV A", 1, "no attribute of the type tlv"),
        ("ATTRIBUTE A 1 string\nBEGIN-TLV A", 2, "no attribute of the type tlv"),
        ("ATTRIBUTE A 1 tlv\nBEGIN-TLV A", 0, "END-TLV or END-VENDOR is missing"),
        ("ATTRIBUTE A 1 tlv\nEND-TLV A", 2, "ends no block"),
        ("ATTRIBUTE A 1 tlv\nBEGIN-TLV A\nEND-TLV B", 3, "ends no block"),
        ("$INCLUDE other", 1, "there is nowhere to look for it"),
    ],
)
def test_what_is_not_understood_is_a_fault_with_its_line(text: str, line: int, problem: str) -> None:
    """Nothing is skipped: each line that means nothing is named by file and line."""
    with pytest.raises(DictionaryFault) as fault:
        read(text)
    assert (fault.value.file, fault.value.line) == ("site", line)
    assert problem in fault.value.problem
    assert str(fault.value).startswith("site:" if not line else f"site:{line}: ")


@given(text=st.text(max_size=200) | st.text(alphabet="ATRIBUEVLND $\n\t#=,.0x1 c-", max_size=200))
def test_no_text_does_more_than_fail(text: str) -> None:
    """Whatever stands in a file, it is read or refused."""
    with suppress(DictionaryFault):
        assert read(text) is not None


@pytest.mark.parametrize("written", ["itself", "other"])
def test_a_file_cannot_include_itself(written: str) -> None:
    """A circle of files ends with a fault, directly or through another."""
    texts = {"itself": "$INCLUDE itself", "other": "$INCLUDE back", "back": "$INCLUDE other"}
    with pytest.raises(DictionaryFault, match="or one itself"):
        read_dictionary([("site", f"$INCLUDE {written}")], lambda _, name: (name, texts[name]))


def test_includes_have_a_depth() -> None:
    """Files that go on including new ones are stopped."""
    with pytest.raises(DictionaryFault, match="include one another") as fault:
        read_dictionary([("0", "$INCLUDE 1")], lambda _, name: (name, f"$INCLUDE {int(name) + 1}"))
    assert fault.value.file == str(DEEPEST_INCLUDE + 1)


def test_a_fault_in_an_included_file_is_named_there() -> None:
    """File and line are those of the fault, not those of the $INCLUDE."""
    with pytest.raises(DictionaryFault) as fault:
        read_dictionary([("site", "\n$INCLUDE other")], lambda *_: ("other", "\n\nnonsense"))
    assert (fault.value.file, fault.value.line) == ("other", 3)


def test_a_missing_file_is_a_fault_unless_it_may_be_missing() -> None:
    """$INCLUDE needs its file, $INCLUDE- takes it if it is there; one that cannot be read is a fault either way."""

    def missing(_file: str, _written: str) -> tuple[str, str]:
        raise FileNotFoundError(2, "No such file or directory")

    def forbidden(_file: str, _written: str) -> tuple[str, str]:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(DictionaryFault, match="site:1: the file that is included does not exist"):
        read_dictionary([("site", "$INCLUDE other")], missing)
    assert not read_dictionary([("site", "$INCLUDE- other")], missing).attributes
    with pytest.raises(DictionaryFault, match="Permission denied"):
        read_dictionary([("site", "$INCLUDE- other")], forbidden)


# --- what a line says ------------------------------------------------------------------------------------------------


def test_names_are_one_in_upper_and_lower_case() -> None:
    """Attributes, vendors, types and keywords may be written in any case; what is found has the case of its file."""
    dictionary = read("vendor Acme 4711\nbegin-vendor ACME\nattribute Acme-Name 1 String\nend-vendor acme\n")
    found = dictionary.find("aCME-name")
    assert found is not None
    assert (found.name, found.kind, found.vendor) == ("Acme-Name", DataType.STRING, dictionary.vendors["acme"])


def test_comments_and_blanks_say_nothing() -> None:
    """Comments may stand alone or behind a definition, and any blanks between the words."""
    assert attribute("# x\r\n\n  ATTRIBUTE\tA  0x1F\tstring\t# a comment\r\n", "A").path == (31,)


@pytest.mark.parametrize(
    ("flags", "tagged", "encryption"),
    [
        ("", False, 0),
        ("has_tag", True, 0),
        ("encrypt=1", False, 1),
        ("has_tag,encrypt=2", True, 2),
        ("encrypt=3", False, 3),
        ("array,concat,virtual,secret", False, 0),
    ],
)
def test_flags_are_read(flags: str, tagged: bool, encryption: int) -> None:
    """Tags and encryption are kept; flags that mean nothing to one attribute are let pass."""
    found = attribute(f"ATTRIBUTE A 1 string {flags}", "A")
    assert (found.tagged, found.encryption) == (tagged, encryption)


@pytest.mark.parametrize(
    ("written", "layout"),
    [
        ("", Layout(1, 1)),
        ("format=1,1", Layout(1, 1)),
        ("format=2,2", Layout(2, 2)),
        ("format=2,1", Layout(2, 1)),
        ("format=4,0", Layout(4, 0)),
        ("format=1,1,c", Layout(1, 1, continuation=True)),
    ],
)
def test_vendors_have_a_format(written: str, layout: Layout) -> None:
    """A vendor's type and length may have other widths than one octet."""
    found = attribute(f"VENDOR Acme 4711 {written}\nBEGIN-VENDOR Acme\nATTRIBUTE A 1 string\nEND-VENDOR Acme", "A")
    assert found.vendor is not None
    assert found.vendor.layout == layout


def test_a_vendor_may_stand_in_the_place_of_flags() -> None:
    """Old dictionaries name the vendor behind the type."""
    found = attribute("VENDOR Acme 4711\nATTRIBUTE A 1 string Acme", "A")
    assert found.vendor is not None
    assert found.vendor.number == 4711


def test_attributes_inside_others_know_how_deep_they_are() -> None:
    """BEGIN-TLV and dotted numbers mean the same; extended blocks are marked."""
    text = (
        ACME + "ATTRIBUTE Outer 9 tlv\nATTRIBUTE Dotted 9.2 string\n"
        "BEGIN-TLV Outer\nATTRIBUTE Inner 1 string\nEND-TLV Outer\nEND-VENDOR Acme\n"
        "BEGIN-VENDOR Acme format=Extended-Vendor-Specific-5\nATTRIBUTE Evs 1 string\nEND-VENDOR Acme\n"
    )
    assert attribute(text, "Dotted").path == (9, 2)
    assert attribute(text, "Inner").path == (9, 1)
    assert not attribute(text, "Inner").extended
    assert attribute(text, "Evs").extended


def test_values_may_come_before_and_in_other_files() -> None:
    """A number's name may be given before its attribute is, and by another file; for text it means nothing."""
    dictionary = read_dictionary(
        [("one", "VALUE A early 1\nATTRIBUTE A 1 integer"), ("two", "VALUE a late 0x10\nATTRIBUTE T 2 string")]
    )
    found = dictionary.find("A")
    assert found is not None
    assert found.values == {"early": 1, "late": 16}
    assert not attribute("ATTRIBUTE T 2 string\nVALUE T x y", "T").values


def test_a_later_file_has_the_say() -> None:
    """A site's file changes what ours has said; the same twice in one file is no contradiction."""
    dictionary = read_dictionary([("ours", "ATTRIBUTE A 1 integer"), ("site", "ATTRIBUTE a 2 string")])
    found = dictionary.find("A")
    assert found is not None
    assert (found.path, found.kind) == ((2,), DataType.STRING)
    assert attribute("ATTRIBUTE A 1 string\nATTRIBUTE A 1 string", "A").path == (1,)


def test_two_names_may_mean_one_attribute() -> None:
    """An alias is found under both names."""
    text = "ATTRIBUTE Calling-Station-Id 31 string\nATTRIBUTE Caller-ID 31 string"
    assert attribute(text, "Caller-ID").path == attribute(text, "Calling-Station-Id").path


def test_somebody_who_mistypes_is_shown_what_was_meant() -> None:
    """The nearest names are offered, best first; to nonsense nothing is near."""
    dictionary = load_dictionaries([SHIPPED])
    assert dictionary.closest("Sesion-Timeout")[0] == "Session-Timeout"
    assert dictionary.closest("cisco-avpairs")[0] == "Cisco-AVPair"
    assert dictionary.closest("zzzz") == ()


# --- ours, and those of others ---------------------------------------------------------------------------------------

_OURS_ALONE: Final = {("Mikrotik-Wireless-VLANID-Type", "802.1q"), ("Mikrotik-Wireless-VLANID-Type", "802.1ad")}
"""Values that FreeRADIUS' dictionaries do not have: they stand in the maker's documentation."""


def _facts(found: AttributeType) -> tuple[object, ...]:
    vendor = (found.vendor.number, found.vendor.layout) if found.vendor else None
    return found.path, vendor, found.kind, found.tagged, found.encryption, found.size


@needs_freeradius
def test_our_dictionaries_agree_with_those_of_freeradius() -> None:
    """Each of our names has the number, vendor, type, flags and values that FreeRADIUS has for it."""
    ours, theirs = load_dictionaries([SHIPPED]), load_dictionaries([FREERADIUS])
    differences = []
    for mine in ours.attributes.values():
        other = theirs.find(mine.name)
        if other is None or _facts(mine) != _facts(other):
            differences.append(f"{mine.name}: {_facts(mine)}, theirs {_facts(other) if other else 'missing'}")
            continue
        differences += [
            f"{mine.name} {name}: {number}, theirs {other.values.get(name)}"
            for name, number in mine.values.items()
            if other.values.get(name) != number and (mine.name, name) not in _OURS_ALONE
        ]
    assert not differences


@needs_freeradius
def test_all_of_freeradius_is_read() -> None:
    """The whole tree of FreeRADIUS 3 can be a site's dictionary: vendor formats, nested and extended attributes too."""
    dictionary = load_dictionaries([SHIPPED, FREERADIUS])
    assert len(dictionary.attributes) > 7000
    layouts = {vendor.layout for vendor in dictionary.vendors.values()}
    assert {Layout(), Layout(2, 1), Layout(2, 2), Layout(4, 0), Layout(1, 1, continuation=True)} <= layouts


def test_pyrad_reads_our_dictionaries_alike(caplog: pytest.LogCaptureFixture) -> None:
    """Another reader of the format finds the same names, numbers, types, flags and values in our files."""
    caplog.set_level(logging.ERROR)
    theirs = PyradDictionary(str(SHIPPED / "dictionary"))
    ours = load_dictionaries([SHIPPED])
    assert {entry.name for entry in ours.attributes.values()} == set(theirs.attributes) | theirs.skipped_attributes
    for mine in ours.attributes.values():
        if mine.name in theirs.skipped_attributes:
            continue
        other = theirs[mine.name]
        assert (mine.path, mine.kind, mine.tagged, mine.encryption) == (
            (other.code,),
            other.type,
            other.has_tag,
            other.encrypt,
        )
        assert (mine.vendor.name if mine.vendor else "") == other.vendor
        width = 4 if mine.kind in RANGES else 0
        assert {name: number.to_bytes(width, "big") for name, number in mine.values.items()} == dict(
            other.values.forward
        )


def test_our_values_fit_their_types() -> None:
    """No number that has a name is out of its type's range, and no two names of one attribute differ by case alone."""
    for found in load_dictionaries([SHIPPED]).attributes.values():
        least, most = RANGES.get(found.kind, (0, 0))
        assert all(least <= number <= most for number in found.values.values())
        assert len({name.lower() for name in found.values}) == len(found.values)


def test_each_vendor_that_a_profile_needs_is_there() -> None:
    """Every vendor of the list has its number and at least one attribute."""
    dictionary = load_dictionaries([SHIPPED])
    numbers = {found.vendor.number for found in dictionary.attributes.values() if found.vendor}
    assert numbers >= {9, 3076, 2636, 12356, 25461, 14988, 311, 14823, 2620, 3375, 66, 13644}
