"""JSON arrays read one object at a time: whole, cut anywhere, too deep, too large, and with doubled names.

The whole array as ``json`` reads it is the judge of what stands in it. RFC 8259.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from radiusd2fa.imports.json_elements import LARGEST_OBJECT, objects
from radiusd2fa.imports.seeds import UnreadableError

WHOLE = '[\n  {"serial": "A1", "count": 5, "active": true,\n   "info": {"step": "30"}},\n\n  {"serial": "B\\n2"}\n]\n'


def pieces(text: str | bytes, size: int = 1) -> Iterator[bytes]:
    """The file in pieces of so many octets."""
    octets = text.encode() if isinstance(text, str) else text
    return (octets[start : start + size] for start in range(0, len(octets), size))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no list"),
        ("{}", "no list"),
        ("5", "no list"),
        ("[5]", "an object is wanted"),
        ("[{},]", "an object is wanted"),
        ("[{} {}]", "neither a comma"),
        ("[{}] {}", "follows behind"),
        ('[{"a": 1, "a": 2}]', "twice"),
        ('[{"i": {"a": 1, "a": 2}}]', "twice"),
        ('[{"a": NaN}]', "NaN"),
        ('[{"a": ' + "9" * 5000 + "}]", "too many digits"),
        ('[{"a": ' + "[" * 100_000 + "}]", "nested too deeply"),
        ('[{"a": ' + '{"a":' * 100_000 + "}]", "nested too deeply"),
        ('[{"a": "\t"}]', "no JSON"),
        ("[{'a': 1}]", "no JSON"),
    ],
)
def test_what_is_no_list_of_objects_is_refused(text: str, problem: str) -> None:
    """Other values, doubled names, endless nests and endless numbers are refused by name."""
    with pytest.raises(UnreadableError, match=problem):
        list(objects(pieces(text, 4096)))


@pytest.mark.parametrize("end", range(len(WHOLE.rstrip())))
def test_a_file_that_is_cut_anywhere_is_refused(end: int) -> None:
    """No place of the file can be cut and leave a list that ends well."""
    with pytest.raises(UnreadableError):
        list(objects(pieces(WHOLE[:end], 7)))


@pytest.mark.parametrize("octets", [WHOLE.encode("utf-16"), WHOLE.encode() + b"\0", b"PK\x03\x04", b'[{"a": "\xff"}]'])
def test_what_is_no_text_is_refused(octets: bytes) -> None:
    """UTF-16, NUL, archives and Latin-1 are refused."""
    with pytest.raises(UnreadableError):
        list(objects(pieces(octets, 64)))


def test_an_object_has_a_largest_size() -> None:
    """An object that never ends is given up, and is not read to the end of the file."""
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        yield b'[{"a": "'
        while read < 20 * LARGEST_OBJECT:
            read += 4096
            yield b"x" * 4096

    with pytest.raises(UnreadableError, match="end is missing"):
        list(objects(endless()))
    assert read < 5 * LARGEST_OBJECT


@pytest.mark.parametrize("size", [1, 2, 3, 5, 4096])
def test_objects_come_with_their_lines_however_the_file_is_read(size: int) -> None:
    """Values are text, inner ones stand behind a dot, and lines are those of the file."""
    assert list(objects(pieces("\ufeff" + WHOLE, 4096 if size < 3 else size))) == [
        (2, {"serial": "A1", "count": "5", "active": "true", "info.step": "30"}),
        (5, {"serial": "B\n2"}),
    ]
    many = [{"serial": f"S{n}", "text": "\N{GREEK SMALL LETTER PI}" * n} for n in range(50)]
    assert [found for _, found in objects(pieces(json.dumps(many, ensure_ascii=False), size))] == many
    assert list(objects(pieces("[ ]\n", size))) == []
