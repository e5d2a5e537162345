"""Lines of text with structured values in them: one value has one spelling, and everything else is one kind of error.

Such a line comes from a mail, a clipboard or a pipe, so each fault that those are known for is tried, and some that
only an enemy makes. RFC 4648 5 (base64url without padding), RFC 8259 (JSON).
"""

from __future__ import annotations

import base64
import json
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiusd2fa.core.record import record
from radiusd2fa.core.texts import Text, base64url, octets, string


@record
class Note(Text):
    """A text of the tests' own."""

    PREFIX = "RKX1-"

    said: object = "hello"

    def members(self) -> dict[str, object]:
        return {"said": self.said}


def line(json_octets: bytes) -> str:
    """Return a line whose JSON is exactly that."""
    return Note.PREFIX + base64.urlsafe_b64encode(json_octets).decode().rstrip("=")


GOOD: Final = str(Note())
DEEP: Final = 18_000
"""As deep as a line may be long, in pairs of brackets."""

REFUSED: Final = {
    "nothing": "",
    "the prefix alone": "RKX1-",
    "no prefix": GOOD.removeprefix("RKX1-"),
    "another prefix": GOOD.replace("RKX1-", "RKC1-"),
    "the prefix in small letters": GOOD.replace("RKX1-", "rkx1-"),
    "something before it": f"x{GOOD}",
    "the prefix twice": f"RKX1-{GOOD}",
    "padding": GOOD + "=",
    "cut by one": GOOD[:-1],
    "one sign more": GOOD + "A",
    "four signs more": GOOD + "AAAA",
    "the other alphabet": line(b'{"said":"\xc3\xbf\xc3\xbf\xc3\xbf"}').replace("_", "/"),
    "a sign of no alphabet": GOOD[:9] + "!" + GOOD[10:],
    "a letter of another script": GOOD[:9] + "é" + GOOD[10:],
    "half a character": GOOD[:9] + "\ud800" + GOOD[10:],
    "NUL": GOOD[:9] + "\0" + GOOD[10:],
    "bits to spare that are not zero": line(b'{"said":"hell"}')[:-1] + chr(ord(line(b'{"said":"hell"}')[-1]) + 1),
    "no JSON": line(b"hello"),
    "cut JSON": line(b'{"said":"hel'),
    "two values": line(b"{}{}"),
    "a list": line(b'[["said","hello"]]'),
    "a text": line(b'"said"'),
    "a number": line(b"7"),
    "null": line(b"null"),
    "true": line(b"true"),
    "invalid UTF-8": line(b'{"said":"\xff"}'),
    "half a character in UTF-8": line(b'{"said":"\xed\xa0\x80"}'),
    "UTF-16": line('{"said":"hello"}'.encode("utf-16")),
    "UTF-16 without a mark": line('{"said":"hello"}'.encode("utf-16-be")),
    "UTF-32": line('{"said":"hello"}'.encode("utf-32")),
    "one member twice": line(b'{"said":"hello","said":"goodbye"}'),
    "lists within lists": line(b"[" * DEEP + b"]" * DEEP),
    "lists within a member": line(b'{"said":' + b"[" * (DEEP - 9) + b"]" * (DEEP - 9) + b"}"),
    "brackets that are never closed": line(b"[" * 2 * DEEP),
    "objects within objects": line(b'{"":' * 6_000 + b"1" + b"}" * 6_000),
    "33 brackets": line(b'{"said":[' + b"[]," * 30 + b"{}]}"),
    "33 brackets side by side": line(b'{"said":"' + b"[" * 32 + b'"}'),
    "no number": line(b'{"said":NaN}'),
    "no end": line(b'{"said":Infinity}'),
    "a number of 20,000 digits": line(b'{"said":' + b"9" * 20_000 + b"}"),
    "too long": line(json.dumps({"said": "x" * 40_000}).encode()),
    "too long by spaces": GOOD + " " * 50_000,
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_such_line(text: str) -> None:
    """Cut, changed, foreign, too long or too deep: a ValueError, and no other."""
    with pytest.raises(ValueError):  # noqa: PT011 - the text of the error is not ours in every case
        Note.read_members(text)


@pytest.mark.parametrize("said", [[[]] * 30, [{}] * 30, "[" * 31, "{" * 31, "]" * 100, [[[[]]]]])
def test_brackets_are_counted_and_not_followed(said: object) -> None:
    """Thirty-two are allowed, however they stand: more than any such text has, and too few to tire a parser."""
    assert Note.read_members(str(Note(said))) == {"said": said}


def test_the_longest_line_is_read_and_the_next_is_not() -> None:
    """The size is checked before anything is parsed."""
    room = Note.LONGEST - len(Note.PREFIX)
    longest = Note("x" * (room * 3 // 4 - len('{"said":""}')))
    assert len(str(longest)) == Note.LONGEST
    assert Note.read_members(str(longest)) == longest.members()
    with pytest.raises(ValueError, match="longer than"):
        Note.read_members(str(longest) + "A")


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f" {GOOD}\n",
        "\n".join(GOOD),
        "\r\n\t".join((GOOD[:3], GOOD[3:12], GOOD[12:])),
        "\N{NO-BREAK SPACE}" + GOOD,
    ],
)
def test_what_a_mail_does_to_a_line_is_forgiven(text: str) -> None:
    """White space anywhere, even within the prefix, is no part of the line."""
    assert Note.read_members(text) == {"said": "hello"}


SAID: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda said: st.lists(said, max_size=3) | st.dictionaries(st.text("abc", max_size=3), said, max_size=3),
    max_leaves=6,
)


@given(SAID)
def test_every_value_comes_back(said: object) -> None:
    """What was written is read again; the line is plain ASCII without anything that a shell or a mail would change."""
    text = str(Note(said))
    assert text.replace("-", "").replace("_", "").isalnum()
    assert text.isascii()
    assert Note.read_members(text) == {"said": said}


@given(st.binary(max_size=100))
def test_octets_come_back(raw: bytes) -> None:
    """Base64url without padding, as another encoder has it."""
    text = base64url(raw)
    assert text == base64.urlsafe_b64encode(raw).decode().rstrip("=")
    assert octets(text) == raw


NOT_BASE64URL: Final = ("=", "A", "AA=", "AA==", "AB", "A+", "A/A", "AA\n", " AA", "AAAAA", "-", "é", "\ud800", "AA\0")


@pytest.mark.parametrize("text", NOT_BASE64URL)
def test_other_spellings_of_octets_are_refused(text: str) -> None:
    """Padding, the other alphabet, white space, impossible lengths and bits to spare: each is an error."""
    with pytest.raises(ValueError):  # noqa: PT011 - the text of the error is not ours in every case
        octets(text)


@given(st.text("AQgw_-/+= \n", max_size=12))
def test_octets_have_one_spelling(text: str) -> None:
    """What is read without an error is written again as it was."""
    try:
        raw = octets(text)
    except ValueError:
        return
    assert base64url(raw) == text


@pytest.mark.parametrize("value", [None, 7, 7.5, True, ["x"], {"x": 1}, b"x", "\ud800", "x\udfff"])
def test_what_is_no_text(value: object) -> None:
    """A member that is missing, of another type, or half a character is refused."""
    with pytest.raises(ValueError):  # noqa: PT011 - the text of the error is not ours in every case
        string({"x": value}, "x")
    with pytest.raises(ValueError, match="y is no text"):
        string({"x": "x"}, "y")


@pytest.mark.parametrize("value", ["", "x", "é", "\0", "\N{GRINNING FACE}"])
def test_what_is_a_text(value: str) -> None:
    """Every text is handed on as it is; what it may say is for others to judge."""
    assert string({"x": value}, "x") == value
