"""Files that are no PSKC, or damaged, or made to harm: named with their line, and never more than a little memory."""

from __future__ import annotations

import io
import re
import tracemalloc
from collections.abc import Iterator

import pytest

from radiusd2fa.imports import pskc, pskc_xml
from radiusd2fa.imports.seeds import How, Seed, UnreadableError
from tests.imports.pskc_files import NOW, SEED, container, package, plain, read, seed, unreadable

GOOD = container(package())
BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
EXTERNAL = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
PARAMETER = '<!DOCTYPE x [<!ENTITY % a SYSTEM "http://127.0.0.1/x.dtd"> %a;]>'


@pytest.mark.parametrize("doctype", [BOMB, EXTERNAL, PARAMETER, "<!DOCTYPE KeyContainer>"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_doctype_is_refused_before_anything_of_it_counts(doctype: str, encoding: str) -> None:
    """Entity bombs, files and addresses behind entities: a DOCTYPE ends the reading, in every encoding."""
    start = f'<?xml version="1.0" encoding="{encoding}"?>\n\n{doctype}\n'
    error = unreadable(container(package(), start=start).decode().encode(encoding))
    assert error.line == 3
    assert "DOCTYPE" in error.problem


def test_an_entity_that_nobody_defined_is_refused() -> None:
    """Without a DOCTYPE there is none but XML's own five."""
    error = unreadable(container(package(serial="&file;")))
    assert error.line == 4
    assert "undefined entity" in error.problem


def test_the_five_entities_of_xml_are_read() -> None:
    """An ampersand in a name is written as XML asks for it."""
    assert seed(container(package(device="<Model>A&amp;B</Model>"))).model == "A&B"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("<a>" * 40, "32 deep"),
        ("<a/>" * 600, "more than 500 elements"),
        (f"<Issuer>{'x' * 20_000}</Issuer>", "more than 16384 characters"),
        (f"<Issuer>{'<!-- -->x' * 20_000}</Issuer>", "more than 16384 characters"),
        (f'<Issuer a="{"x" * 400_000}"/>', "without an element"),
        (f"<!--{'x' * 400_000}-->", "without an element"),
        (f"<?x {'x' * 400_000}?>", "without an element"),
    ],
)
def test_more_than_a_token_needs_is_refused(content: str, said: str) -> None:
    """Depth, number of elements, length of texts, tags and comments have an end."""
    assert said in unreadable(container(package(key=content))).problem


@pytest.mark.parametrize(
    "one",
    [
        "<Extensions><x{}/></Extensions>",
        '<Extensions x{}="1"/>',
        '<Extensions xmlns:x{}="y"/>',
        '<Extensions xmlns="x{}"/>',
    ],
)
def test_ever_new_names_are_refused(one: str) -> None:
    """The parser remembers each name, prefix and namespace, so a file has so many and no more."""
    error = unreadable(container(*(one.format(number) for number in range(1_200))))
    assert "different names" in error.problem


def most_memory(tokens: int) -> int:
    """Return how many octets were in use at most while a file of so many tokens was read."""
    file = io.BytesIO(container(*[package(plain())] * tokens))
    tracemalloc.start()
    count = sum(isinstance(entry, Seed) for entry in pskc.read(file, How(now=NOW)))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == tokens
    return most


def test_a_large_file_is_never_in_memory() -> None:
    """Five times as many tokens take no more memory."""
    assert most_memory(2_000) < 1.2 * most_memory(400)


def test_an_endless_file_is_left_at_the_first_bound() -> None:
    """A gigabyte in one text is refused when the bound is reached, not when the file ends."""
    taken = 0

    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            nonlocal taken
            taken += size
            return b"<KeyContainer><KeyPackage>" + b"x" * (size - 26) if taken == size else b"x" * size

    with pytest.raises(UnreadableError, match="characters"):
        list(pskc.read(Endless(), How(now=NOW)))  # type: ignore[arg-type]
    assert taken <= 2 * pskc_xml.CHUNK


@pytest.mark.parametrize(
    ("file", "line", "said"),
    [
        (b"", 0, "empty"),
        (b"serial,secret\nS1,00\n", 1, "no XML"),
        (b"PK\x03\x04\x14\x00\x00\x00", 1, "no XML"),
        (b"<html>\n<body>hello</body></html>", 1, "no PSKC"),
        (b'<?xml version="1.0"?>\n<Tokens><Token serial="1"/></Tokens>', 2, "no PSKC"),
        (b'<KeyContainer xmlns="urn:example"><KeyPackage/></KeyContainer>', 1, "older than RFC 6030"),
        (b'<KeyContainer xmlns="urn:ietf:params:xml:ns:keyprov:container:1.0"/>', 1, "older than RFC 6030"),
        (b"<KeyContainer><Key></KeyContainer>", 1, "mismatched tag"),
        (b'<?xml version="1.0" encoding="klingon"?>\n<KeyContainer/>', 1, "character set"),
        (b'<?xml version="1.0" encoding="shift_jis"?>\n<KeyContainer/>', 1, "character set"),
        (b'<?xml version="1.0" encoding="rot13"?>\n<KeyContainer/>', 1, "character set"),
        (container(attributes='Version="2.0"'), 2, 'version "2.0"'),
        (container(), 0, "no token"),
        (GOOD + b"<more/>", 13, "junk"),
    ],
)
def test_what_is_no_pskc_is_named(file: bytes, line: int, said: str) -> None:
    """Other files, other XML, older drafts, newer versions and unknown character sets are refused by name."""
    error = unreadable(file)
    assert error.line == line
    assert said in error.problem
    assert error.remedy


def test_a_later_minor_version_is_read() -> None:
    """RFC 6030 1.2: minor versions and leading zeros count for nothing."""
    assert seed(container(package(), attributes='Version="01.7"')).secret == SEED


@pytest.mark.parametrize("length", range(40, len(GOOD) - 16, 37))
def test_a_file_that_is_cut_is_named_as_such(length: int) -> None:
    """Wherever it ends, it is said to end in the middle, and in which line."""
    error = unreadable(GOOD[:length])
    assert error.problem == "the file ends in the middle"
    assert error.line == GOOD[:length].count(b"\n") + 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_encodings_and_byte_order_marks(encoding: str) -> None:
    """What XML may be written in is read, with or without a BOM, and names keep their letters."""
    declared = "utf-8" if encoding == "utf-8-sig" else encoding
    start = f'<?xml version="1.0" encoding="{declared}"?>\n'
    text = container(package(device="<Model>Schlüssel</Model>"), start=start).decode()
    file = text.encode(encoding)
    assert seed(file).model == "Schlüssel"
    assert pskc.sniff(file[:4096])


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf_16_whose_byte_order_mark_was_taken_off(codec: str) -> None:
    """The one who opens the file may have read the mark already."""
    file = GOOD.decode().encode(codec)
    assert pskc.sniff(file[:4096])
    assert seed(file).secret == SEED


@pytest.mark.parametrize("head", [b"", b"serial,secret", b"<Tokens>", b"PK\x03\x04", b'{"a": "<KeyContainer>"}'])
def test_other_files_are_not_taken_for_pskc(head: bytes) -> None:
    """Only XML that names a KeyContainer is."""
    assert not pskc.sniff(head)


def test_carriage_returns_and_comments_change_nothing() -> None:
    """A file from another system, with comments inside a value, holds the same seed."""
    file = container(package(plain().replace("MTIz", "MT<!-- here -->Iz"))).replace(b"\n", b"\r\n")
    assert seed(file).secret == SEED
    assert seed(file).line == 3


@pytest.mark.parametrize("prefix", ["pskc", "foo", "KeyContainer"])
def test_a_prefix_may_be_anything(prefix: str) -> None:
    """Namespaces count, and not what a file calls them."""
    text = re.sub(r"<(/?)(?=[A-Z])", rf"<\1{prefix}:", GOOD.decode().replace("xmlns=", f"xmlns:{prefix}="))
    assert seed(text.encode()).secret == SEED


def test_elements_of_other_namespaces_are_not_ours() -> None:
    """A <Secret> of somebody else's is not the seed."""
    text = GOOD.decode().replace("<Secret>", '<x:Secret xmlns:x="urn:example">').replace("</Secret>", "</x:Secret>")
    (entry,) = read(text.encode())
    assert "no seed" in str(entry)


def test_a_seed_shows_in_no_repr() -> None:
    """Neither elements nor seeds show what they hold."""
    elements: Iterator[pskc_xml.Element] = pskc_xml.pieces(io.BytesIO(GOOD))
    shown = repr([*elements, *read(GOOD)])
    assert "MTIz" not in shown
    assert "1234567890" not in shown
