"""SafeNet's XML: what it may be made of, what is refused, and that it is read piece by piece.

The files are made up in the form of SafeNet's own. It answers to no RFC.
"""

from __future__ import annotations

import io

import pytest

from radiusd2fa.imports import safenet

from .tables import HOW, by, entries, flaw, in_hex, refusal, seed, seeds

BOMB = """<?xml version="1.0"?>
<!DOCTYPE Tokens [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;">]>
<Tokens><Token serial="&c;"/></Tokens>
"""
OUTSIDE = '<!DOCTYPE Tokens SYSTEM "file:///etc/passwd">\n<Tokens></Tokens>\n'


def token(serial: str = "00040009C0A1", secret: str = "", counter: str = "1", more: str = "") -> str:
    """Write one token, six lines long."""
    return (
        f'<Token serial="{serial}">\n<ProductName>eToken PASS</ProductName>\n<Applications><Application>\n'
        f"<Seed>{secret or in_hex(1)}</Seed><MovingFactor>{counter}</MovingFactor>{more}\n"
        "</Application></Applications>\n</Token>\n"
    )


def tokens(*inside: str) -> str:
    """Write the element around them, on a line of its own."""
    return "<Tokens>\n" + "".join(inside) + "</Tokens>\n"


@pytest.mark.parametrize("text", [BOMB, OUTSIDE])
def test_a_doctype_is_refused(text: str) -> None:
    """Neither an entity bomb nor a file from elsewhere is looked at."""
    assert "DOCTYPE" in refusal(safenet, text).problem


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "ends too early"),
        (tokens(token())[:-12], 7, "ends too early"),
        ("<Tokens>\n<Token serial=1/></Tokens>", 2, "no well-formed XML"),
        ("<Tokens>\n&none;</Tokens>", 2, "no well-formed XML"),
        ("<KeyContainer/>", 1, "does not begin with Tokens"),
        (token(), 1, "does not begin with Tokens"),
        (tokens(token(secret="ab" * 600)), 5, "too long"),
        ("<Tokens>" + "<x>" * 20, 1, "too deep"),
    ],
)
def test_what_is_no_such_file_is_refused(text: str, line: int, words: str) -> None:
    """A file that is cut, malformed, something else or out of all bounds: the line and what to do."""
    error = refusal(safenet, text)
    assert error.line == line
    assert words in error.problem


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        (token(serial=""), "serial"),
        (token(secret="not hex"), "neither hex"),
        (token(secret=in_hex(1, 8)), "8 octets"),
        (token(counter="many"), "counter"),
        (token(counter="-1"), "counter"),
        (token(more=f"<Seed>{in_hex(2)}</Seed>"), "more than one seed"),
        (token().replace("Seed>", "Sead>"), "no secret"),
        ("<Token/>\n", "no secret"),
    ],
)
def test_a_token_that_is_wrong_is_named_by_its_line(inside: str, words: str) -> None:
    """The others around it are read."""
    text = tokens(token("A1"), inside, token("A2"))
    found = flaw(safenet, text)
    assert found.line == 8
    assert words in found.problem
    assert len(entries(safenet, text)) == 3


def test_a_token_is_what_its_elements_say() -> None:
    """Serial, seed, counter and product; a prefix before the names and other elements change nothing."""
    read = seeds(safenet, tokens(token(counter="17", more="<Other>x</Other>")))[0]
    assert (read.line, read.serial, read.kind, read.secret) == (2, "00040009C0A1", "hotp", seed(1))
    assert (read.moving_factor, read.digits, read.algorithm, read.model) == (17, 6, "sha1", "eToken PASS")
    prefixed = tokens(token()).replace("</", "</s:").replace("<T", "<s:T").replace("<A", "<s:A").replace("<S", "<s:S")
    assert seeds(
        safenet, prefixed.replace("<s:Tokens>", '<s:Tokens xmlns:s="x">').replace("<M", "<s:M").replace("<P", "<s:P")
    )


@pytest.mark.parametrize("encoding", ["utf-8", "uf-8", "big5", "utf-16"])
def test_an_encoding_that_a_file_claims_counts_for_nothing(encoding: str) -> None:
    """It is UTF-8, or it is refused."""
    declared = f'<?xml version="1.0" encoding="{encoding}"?>\n' + tokens(token())
    assert len(seeds(safenet, declared)) == 1


def test_a_long_seed_is_for_a_longer_hash() -> None:
    """As those who read these files before us do it, unless the administrator says otherwise."""
    assert seeds(safenet, tokens(token(secret=in_hex(1, 32))))[0].algorithm == "sha256"
    assert seeds(safenet, tokens(token()), by("totp"))[0].kind == "totp"


def test_the_tokens_come_while_the_file_is_read() -> None:
    """The first one is there before the end of a long file was seen."""
    file = io.BytesIO(tokens(*(token(f"A{number}") for number in range(3000))).encode())
    entry = next(iter(safenet.read(file, HOW)))
    assert entry.line == 2
    assert file.tell() < len(file.getvalue()) / 2


@pytest.mark.parametrize("head", ["", "<KeyContainer>", "<TokensOfMine>", "Tokens", "serial,secret\n", "<a><Tokens>"])
def test_what_is_something_else_is_not_recognised(head: str) -> None:
    """Only XML whose first element is called Tokens."""
    assert not safenet.sniff(head.encode())


@pytest.mark.parametrize(
    "head",
    ["<Tokens>", '\n<?xml version="1.0"?>\n<!-- March -->\n<Tokens xmlns="x">', "<t:Tokens\n"],
)
def test_it_is_recognised_by_its_first_element(head: str) -> None:
    """With or without a declaration, remarks, a prefix."""
    assert safenet.sniff(head.encode())
