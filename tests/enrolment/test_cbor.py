"""CBOR: the values of RFC 8949 that keys use come out, and everything that could be read in two ways is refused.

python-fido2's decoder reads most of the refused ones: that is why there is another one. Its encoder is the judge of the
good ones. RFC 8949, Appendix A (examples); CTAP 2.1, section 8.
"""

from __future__ import annotations

from typing import Final

import pytest
from fido2 import cbor as library
from hypothesis import given
from hypothesis import strategies as st

from radiusd2fa.enrolment.cbor import MAX_DEPTH, Value, read

REFUSED: Final = {
    "nothing": "",
    "null": "f6",
    "undefined": "f7",
    "a simple value": "f0",
    "true in two octets": "f815",
    "half a float": "f93c00",
    "a float": "fa47c35000",
    "a double": "fb3ff199999999999a",
    "a break alone": "ff",
    "a tag": "c074323031332d30332d32315432303a30343a30305a",
    "an endless octet string": "5f42010243030405ff",
    "an endless text": "7f657374726561646d696e67ff",
    "an endless list": "9f0102ff",
    "an endless map": "bf6161019fff",
    "a reserved length": "1c",
    "23 in two octets": "1817",
    "255 in three octets": "1900ff",
    "65535 in five octets": "1a0000ffff",
    "4294967295 in nine octets": "1b00000000ffffffff",
    "a length spelt too long": "580161",
    "a number cut off": "19ff",
    "a string longer than the rest": "42ff",
    "a string longer than memory": "5bffffffffffffffff00",
    "a list longer than the rest": "8201",
    "a list longer than memory": "9bffffffffffffffff00",
    "a map longer than memory": "bbffffffffffffffff0000",
    "a map without its last value": "a101",
    "a text that is not UTF-8": "62c328",
    "half a surrogate pair": "63eda080",
    "a number twice as key": "a201000100",
    "a text twice as key": "a2616100616101",
    "true as key": "a1f500",
    "a list as key": "a18000",
    "a map as key": "a1a000",
    "an octet string as key": "a1416100",
    "something after it": "0000",
    "five lists": "81" * 5 + "00",
    "five maps": "a100" * 5 + "00",
}


@pytest.mark.parametrize("spelling", REFUSED.values(), ids=REFUSED.keys())
def test_refused(spelling: str) -> None:
    """What no key needs, or two readers could read differently, is refused."""
    with pytest.raises(ValueError, match=r".+"):
        read(bytes.fromhex(spelling))


def test_python_fido2_reads_many_of_them() -> None:
    """The library's decoder lets through what ours refuses: null, doubles, longer spellings, strings cut off."""
    for what in ("null", "a number twice as key", "255 in three octets", "a string longer than the rest"):
        library.decode(bytes.fromhex(REFUSED[what]))
    with pytest.raises(RecursionError):
        library.decode(b"\x81" * 2000)


EXAMPLES: Final[dict[str, Value]] = {
    "00": 0,
    "17": 23,
    "1818": 24,
    "1903e8": 1000,
    "1a000f4240": 1000000,
    "1bffffffffffffffff": 18446744073709551615,
    "20": -1,
    "3863": -100,
    "3bffffffffffffffff": -18446744073709551616,
    "f4": False,
    "f5": True,
    "40": b"",
    "4401020304": b"\1\2\3\4",
    "60": "",
    "64f0908591": "\U00010151",
    "80": [],
    "8301820203820405": [1, [2, 3], [4, 5]],
    "a0": {},
    "a201020304": {1: 2, 3: 4},
    "a26161016162820203": {"a": 1, "b": [2, 3]},
}


@pytest.mark.parametrize(("spelling", "value"), EXAMPLES.items())
def test_examples(spelling: str, value: Value) -> None:
    """The examples of RFC 8949 that keys use are read as they stand there."""
    assert read(bytes.fromhex(spelling)) == value
    assert type(read(bytes.fromhex(spelling))) is type(value)


def test_the_deepest_value() -> None:
    """Four levels are read, in lists and maps alike."""
    assert read(b"\x81" * MAX_DEPTH + b"\0") == [[[[0]]]]
    assert read(b"\xa1\0" * MAX_DEPTH + b"\0") == {0: {0: {0: {0: 0}}}}


leaves = st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=300) | st.text(max_size=30) | st.booleans()
keys = st.integers(-100, 100) | st.text(max_size=5)
flat = leaves | st.lists(leaves, max_size=30) | st.dictionaries(keys, leaves, max_size=30)


@given(flat | st.lists(flat, max_size=4) | st.dictionaries(keys, flat, max_size=4))
def test_what_the_library_writes_is_read_back(value: Value) -> None:
    """Every value that python-fido2 encodes comes back as it was."""
    assert read(library.encode(value)) == value


@given(st.binary(max_size=100))
def test_any_octets(octets: bytes) -> None:
    """Octets are a value or a ValueError, and a value that is read has this one spelling but for the order of keys."""
    try:
        value = read(octets)
    except ValueError:
        return
    assert len(library.encode(value)) == len(octets)
