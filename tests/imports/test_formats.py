"""Which formats there are, and which of them a file is in: one, or an error that says what to do.

The real formats and made-up ones; that each sample is one format's alone stands in test_recognising. Answers to no RFC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

import pytest

from radiusd2fa.imports.formats import HEAD_OCTETS, WITHOUT_NAMES, formats, recognised
from radiusd2fa.imports.seeds import Entry, Format, How, UnreadableError


@dataclass
class Made:
    """A format that takes what begins with its name."""

    NAME: str
    TITLE: str = "a made-up list"

    def sniff(self, head: bytes) -> bool:
        """Whether it begins so, in no more than was promised."""
        assert len(head) <= HEAD_OCTETS
        return head.startswith(self.NAME.encode())

    def read(self, file: BinaryIO, how: How) -> Iterator[Entry]:
        """Nothing."""
        del file, how
        return iter(())


MADE: Final[Mapping[str, Format]] = {name: Made(name) for name in ("tok", "token", "list")}


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"something else", "--format (list, tok, token), or name its columns with --columns"),
        (b"", "--format (list, tok, token)"),
        (b"token of two formats", "--format tok (a made-up list) or --format token (a made-up list)"),
        (b"PK\x03\x04...", "unpack it, or save the sheet as CSV UTF-8"),
        (b"\x1f\x8b\x08...", "gunzip"),
        (b"\xff\xfel\0i\0s\0t\0", "CSV UTF-8"),
    ],
)
def test_what_is_no_one_format_says_what_to_do(head: bytes, said: str) -> None:
    """Unknown, ambiguous, packed, or in another encoding."""
    with pytest.raises(UnreadableError) as caught:
        recognised(head, MADE)
    assert said in str(caught.value)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "byte order mark"])
def test_a_file_of_one_format(mark: bytes) -> None:
    """A byte order mark is none of a format's business, and no more than the promised octets are."""
    assert recognised(mark + b"list" + b"x" * HEAD_OCTETS, MADE) is MADE["list"]


def test_the_modules_of_the_folder_are_found_by_their_names() -> None:
    """Each format under the word for ``--format``; what is no format, as the reading of lines, is not among them."""
    found = formats()
    assert {"pskc", "oath-csv", "own", WITHOUT_NAMES} <= set(found)
    assert all(
        name == one.NAME and one.TITLE and callable(one.sniff) and callable(one.read) for name, one in found.items()
    )
    assert not {"seeds", "table", "formats"} & set(found)


def test_a_real_file_is_recognised() -> None:
    """As the command does it."""
    assert recognised(b"serial,kind,secret\nN1,hotp,00\n", formats()).NAME == "own"
