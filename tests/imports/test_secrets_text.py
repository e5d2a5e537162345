"""Seeds in hex, base32 and base64: what is taken for one, what is not, and which of two readings counts.

Each case is the text and the octets. RFC 4648 has the alphabets and vectors.
"""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiusd2fa.imports.secrets_text import base32_seed, base64_seed, hex_or_base32, hex_seed


@pytest.mark.parametrize(
    "text", ["", " ", "abc", "0x3132", "31 3g", "31,32", "3\N{FULLWIDTH DIGIT ONE}", "31\n32", "31:32"]
)
def test_what_is_no_hex_is_none(text: str) -> None:
    """Nothing, half an octet, a prefix, a foreign letter or digit, or a line end inside: no seed."""
    assert hex_seed(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "====",
        "A",
        "ABC",
        "ABCDEF",
        "GEZDGNBV0",
        "GEZDGNB1",
        "GE=ZDGNBV",
        "MY=",
        "MY=======",
        "\N{LATIN SMALL LETTER DOTLESS I}" * 4,
        "\N{LATIN SMALL LETTER LONG S}" * 8,
    ],
)
def test_what_is_no_base32_is_none(text: str) -> None:
    """A length that no octets have, 0, 1, 8 and 9, padding in the wrong place or number, letters that only look so."""
    assert base32_seed(text) is None


@pytest.mark.parametrize("text", ["", "=", "MTIzN", "MTI=5", "MT=", "MTI==", "MTIé", "MTI-", "_w=="])
def test_what_is_no_base64_is_none(text: str) -> None:
    """A length that no octets have, padding in the wrong place or number, or another alphabet."""
    assert base64_seed(text) is None


@pytest.mark.parametrize("text", ["3132ab", "3132AB", "31 32 ab", "31-32-Ab", " 3132ab ", "31\t32ab"])
def test_hex_is_read_however_people_write_it(text: str) -> None:
    """Spaces, dashes and the case of letters change nothing."""
    assert hex_seed(text) == b"12\xab"


@pytest.mark.parametrize("text", ["MZXW6YQ=", "MZXW6YQ", "mzxw6yq", "mzxw 6yq", "MZXW-6YQ="])
def test_base32_is_read_however_people_write_it(text: str) -> None:
    """Spaces, dashes, the case of letters and missing padding change nothing (RFC 4648 10 has the vector)."""
    assert base32_seed(text) == b"foob"


@given(st.binary(min_size=1, max_size=64))
def test_every_seed_comes_back(octets: bytes) -> None:
    """What the standard library writes is what is read, with its padding and without."""
    for padded in (base64.b32encode(octets).decode(), base64.b32encode(octets).decode().lower()):
        assert base32_seed(padded) == base32_seed(padded.rstrip("=")) == octets
    padded = base64.b64encode(octets).decode()
    assert base64_seed(padded) == base64_seed(padded.rstrip("=")) == octets
    assert hex_seed(octets.hex(" ")) == octets


def test_what_could_be_both_is_hex() -> None:
    """Twenty-four characters from A to F and 2 to 7 are twelve octets of hex, not fifteen of base32."""
    assert hex_or_base32("abcdef234567abcdef234567") == bytes.fromhex("abcdef234567abcdef234567")
    assert hex_or_base32("mzxw6yq") == b"foob"
    assert hex_or_base32("no seed!") is None
