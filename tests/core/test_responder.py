"""The texts of a key's login: which are refused, that each value has its one text, and that no format ever changes.

The literals below were made by a few lines of hashlib, not by the program: whoever changes a format breaks every
responder that is installed somewhere, and sees it here. WebAuthn 5.8.1 (client data), 6.1 (authenticator data).
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiusd2fa.core.responder import (
    KeyResponse,
    ResponderCode,
    Spoiled,
    authenticator_data,
    client_data,
    find_code,
    match_code,
    read_response,
    responder_challenge,
    selector,
    station_challenge,
)
from tests.factors.keys import challenge_of

NONCE: Final = bytes(range(16))
CODE: Final = "RK1-00041-06105-0R3GG-28A1C-60T3G-F"
CODE_WITH_UV: Final = "RK1-80041-06105-0R3GG-28A1C-60T3G-F"
RESPONSE: Final = KeyResponse(b"\xde\xad\xbe\xef", 1, 258, bytes(range(64)))
OCTETS: Final = bytes.fromhex("01 deadbeef 01 00000102") + bytes(range(64))
TEXT: Final = str(RESPONSE).encode()
CASE_FREE: Final = RESPONSE.case_free().encode()

RESPONSES: Final = st.builds(
    KeyResponse,
    st.binary(min_size=4, max_size=4),
    st.integers(0, 255),
    st.integers(0, 2**32 - 1),
    st.binary(min_size=64, max_size=64),
)
CODES: Final = st.builds(ResponderCode, st.binary(min_size=16, max_size=16), st.booleans())


# --- the code in a prompt --------------------------------------------------------------------------------------------

NO_CODE: Final = {
    "nothing": "",
    "an ordinary prompt": "Enter the code from your token: ",
    "two codes": f"{CODE} {CODE_WITH_UV}",
    "one code twice": f"{CODE} {CODE}",
    "cut by one": CODE[:-1],
    "cut by a group": CODE[:-2],
    "cut within": CODE[:-8],
    "one sign more": f"{CODE}0",
    "a hyphen more": f"{CODE}-",
    "a group more": f"{CODE}-00000",
    "in a longer word": f"x{CODE}",
    "behind a digit": f"0{CODE}",
    "without hyphens": CODE.replace("-", ""),
    "hyphens elsewhere": CODE.replace("00041-0", "0004-10"),
    "spaces for hyphens": CODE.replace("-", " "),
    "dashes for hyphens": CODE.replace("-", "\N{EN DASH}"),
    "a newline within": CODE.replace("-0R3GG", "-\n0R3GG"),
    "another version": CODE.replace("RK1", "RK2"),
    "a card": CODE.replace("RK1", "RKC1"),
    "a U, which Crockford leaves out": CODE.replace("F", "U"),
    "more than 129 bits": CODE.replace("RK1-0", "RK1-G"),
    "far more than 129 bits": CODE.replace("RK1-0", "RK1-Z"),
    "digits of another script": CODE.replace("28A1C", "\N{ARABIC-INDIC DIGIT TWO}8A1C"),
    "a full-width letter": CODE.replace("F", "\N{FULLWIDTH LATIN CAPITAL LETTER F}"),
}


@pytest.mark.parametrize("text", NO_CODE.values(), ids=NO_CODE.keys())
def test_what_is_no_code(text: str) -> None:
    """A text without a code, with a damaged one, or with more than one is nothing that a key may be asked about."""
    assert find_code(text) is None


def test_the_code_is_written_as_it_was_agreed() -> None:
    """RK1-, 26 signs of Crockford's base32 in groups of five, and one bit that says whether to verify the user."""
    assert str(ResponderCode(NONCE)) == CODE
    assert str(ResponderCode(NONCE, user_verification=True)) == CODE_WITH_UV
    assert str(ResponderCode(bytes(16))) == "RK1-00000-00000-00000-00000-00000-0"
    assert str(ResponderCode(b"\xff" * 16, user_verification=True)) == "RK1-FZZZZ-ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZ-Z"


@pytest.mark.parametrize(
    "text",
    [
        CODE,
        CODE.lower(),
        CODE.swapcase(),
        CODE.replace("0", "O"),
        CODE.replace("0", "o"),
        "RK1-" + CODE[4:].replace("1", "I"),
        "RK1-" + CODE[4:].replace("1", "L"),
        "rk1-" + CODE[4:].replace("1", "l"),
        f"({CODE})",
        f'"{CODE}": ',
        f"(alice@bastion.example.org) Use your security key {CODE}: ",
        f"Use your security key for vpn {CODE}, or enter the code from your token: ",
        f"line one\n{CODE}\nline three",
        f"ß{CODE}é",
    ],
)
def test_a_code_is_found_wherever_it_stands(text: str) -> None:
    """Case does not matter, nor O for 0 and I or L for 1, nor what stands around it."""
    assert find_code(text) == ResponderCode(NONCE)


@given(CODES, st.sampled_from(["{}", "Use your key {}: ", "({})", "a@b {} c"]))
def test_every_code_comes_back(code: ResponderCode, around: str) -> None:
    """What was written is read again, in either case."""
    text = str(code)
    assert (len(text), text.isascii(), text.count("-")) == (35, True, 6)
    assert find_code(around.format(text)) == code
    assert find_code(around.format(text.lower())) == code


@given(st.text("RK1-0Z9aolU ", max_size=60) | st.text(max_size=60))
def test_no_text_is_an_error(text: str) -> None:
    """Whatever a prompt says, looking for a code raises nothing; and what is found is written as it was read."""
    found = find_code(text)
    if found is not None:
        letters = text.upper().replace("O", "0").replace("I", "1").replace("L", "1")
        assert str(found) in letters


# --- what is signed --------------------------------------------------------------------------------------------------


def hexdigest(text: bytes) -> str:
    """SHA-256, and nothing of ours."""
    return hashlib.sha256(text).hexdigest()


def test_the_challenge_of_a_responder_is_as_it_was_agreed() -> None:
    """SHA-256 over the label, a zero octet, and nonce, user and host, each after its length in two octets."""
    written_down = b"radiusd2fa-key-v1\0\0\x10" + NONCE + b"\0\x05alice\0\x13bastion.example.org"
    made = responder_challenge(NONCE, "alice", "bastion.example.org").hex()
    assert made == hexdigest(written_down)
    assert made == "f9384d4d3f8fc44789e4924e636134f36c5647d601973a081dfed1d9382a687f"
    unbound = responder_challenge(NONCE, "alice", "").hex()
    assert unbound == hexdigest(b"radiusd2fa-key-v1\0\0\x10" + NONCE + b"\0\x05alice\0\0")


def test_the_challenge_of_a_station_is_as_it_was_agreed() -> None:
    """The same with a label of its own over nonce, user, client and station: no responder can be made to sign it."""
    written_down = b"radiusd2fa-station-v1\0\0\x10" + NONCE + b"\0\x05alice\0\x03vpn\0\x07lobby-1"
    made = station_challenge(NONCE, "alice", "vpn", "lobby-1").hex()
    assert made == hexdigest(written_down)
    assert made == "9a44538ee32930758e3e1d471e6b630a6b7d6c91e8470d8cc4b9fab0b6b81c72"


NAMES: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.lists(st.tuples(st.binary(min_size=16, max_size=16), NAMES, NAMES), min_size=2, max_size=2, unique=True))
def test_no_two_logins_share_a_challenge(logins: list[tuple[bytes, str, str]]) -> None:
    """Another nonce, user or host is another challenge, even where the names run together to the same text."""
    one, other = logins
    assert responder_challenge(*one) != responder_challenge(*other)
    assert station_challenge(*one, "s") != station_challenge(*other, "s")


def test_names_do_not_run_together() -> None:
    """Where one name ends and the next begins is part of what is signed; a name may hold anything."""
    split = [("ab", "c"), ("a", "bc"), ("abc", ""), ("", "abc"), ("a\0b", "c"), ("a", "b\0c"), ("a\0", "\0c")]
    assert len({responder_challenge(NONCE, *names) for names in split}) == len(split)
    assert len({station_challenge(NONCE, "u", *names) for names in split}) == len(split)
    assert responder_challenge(NONCE, "alice", "vpn") != station_challenge(NONCE, "alice", "vpn", "")
    assert responder_challenge(NONCE, "élan", "h") == challenge_of(b"radiusd2fa-key-v1", NONCE, "élan", "h")


@pytest.mark.parametrize("length", [255, 256, 257, 65_535])
def test_long_names_have_long_lengths(length: int) -> None:
    """A length is two octets wide."""
    name = "x" * length
    assert responder_challenge(NONCE, name, "h") == challenge_of(b"radiusd2fa-key-v1", NONCE, name, "h")


def test_the_client_data_is_as_it_was_agreed() -> None:
    """Both sides build these octets for themselves, so not one of them may ever change."""
    expected = (
        b'{"type":"radiusd2fa.get","challenge":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHv8",'
        b'"origin":"https://auth.example.org","crossOrigin":false}'
    )
    assert client_data(bytes(range(31)) + b"\xff", "https://auth.example.org") == expected
    assert b'"challenge":"-_-_"' in client_data(b"\xfb\xff\xbf", "https://auth.example.org")


def test_the_authenticator_data_is_as_it_was_agreed() -> None:
    """SHA-256 of the RP ID, one octet of flags, four of the counter, the greatest first: 37 octets."""
    made = authenticator_data("auth.example.org", 5, 258)
    assert made == bytes.fromhex(hexdigest(b"auth.example.org")) + b"\x05\0\0\x01\x02"
    assert len(made) == 37


def test_a_selector_is_the_beginning_of_a_hash() -> None:
    """Four octets of SHA-256 over the credential's id."""
    assert selector(b"credential").hex() == hexdigest(b"credential")[:8]
    assert selector(b"").hex() == "e3b0c442"


def test_the_match_code_is_as_it_was_agreed() -> None:
    """Four digits, the same at the prompt and at the station; zeros in front are shown."""
    assert match_code(NONCE) == f"{int(hexdigest(b'radiusd2fa-match-v1' + bytes(1) + NONCE)[:16], 16) % 10_000:04d}"
    assert match_code(NONCE) == "8584"
    many = [match_code(number.to_bytes(16, "big")) for number in range(3000)]
    assert {len(code) for code in many} == {4}
    assert any(code.startswith("0") for code in many)
    assert len(set(many)) > 2000


# --- the response ----------------------------------------------------------------------------------------------------


def test_the_response_is_written_as_it_was_agreed() -> None:
    """Version, selector, flags, counter and signature: 74 octets, 99 signs or 119."""
    assert len(OCTETS) == 74
    assert base64.urlsafe_b64encode(OCTETS).rstrip(b"=") == TEXT
    assert (len(TEXT), len(CASE_FREE)) == (99, 119)
    assert CASE_FREE.startswith(b"00XXBDYXW0G000108002")
    assert set(CASE_FREE) <= set(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ")


@given(RESPONSES)
def test_every_response_comes_back(response: KeyResponse) -> None:
    """What was written in either form is read again; the second form in either case, with O for 0 and I or L for 1."""
    assert read_response(str(response).encode()) == response
    text = response.case_free()
    for spelled in (text, text.lower(), text.replace("0", "o").replace("1", "l"), text.replace("1", "I")):
        assert read_response(spelled.encode()) == response


@pytest.mark.parametrize("length", range(1, 99))
def test_a_response_that_was_cut_is_never_a_response(length: int) -> None:
    """However much a device has cut off, what is left is known for what it is, or is too short to tell."""
    assert read_response(TEXT[:length]) == (None if length < 32 else Spoiled(length, cut=True))


@pytest.mark.parametrize("length", range(1, 119))
def test_the_case_free_form_that_was_cut_is_never_a_response(length: int) -> None:
    """The same for the longer form; cut to exactly the length of the shorter one it is only known to be spoiled."""
    assert read_response(CASE_FREE[:length]) == (None if length < 32 else Spoiled(length, cut=length != 99))


@pytest.mark.parametrize("limit", [64, 112, 128])
def test_what_the_limits_of_known_devices_leave(limit: int) -> None:
    """Ocserv cuts at 112 octets and pam_radius at 128: the short form goes through both, the long one only the last."""
    assert read_response(TEXT[:limit]) == (RESPONSE if limit > 99 else Spoiled(limit, cut=True))
    assert read_response(CASE_FREE[:limit]) == (RESPONSE if limit > 119 else Spoiled(limit, cut=True))


SPOILED: Final = {
    "another last sign for the same octets": TEXT[:-1] + bytes([TEXT[-1] + 1]),
    "version 0": b"AA" + TEXT[2:],
    "version 2": b"Ag" + TEXT[2:],
    "case-free, version 0": b"000" + CASE_FREE[3:],
    "case-free, version 2": b"01" + CASE_FREE[2:],
    "case-free, more than 592 bits": b"4" + CASE_FREE[1:],
    "case-free, far more": b"Z" + CASE_FREE[1:],
    "case-free, a U": CASE_FREE[:-1] + b"U",
    "case-free, an underscore": CASE_FREE[:-1] + b"_",
    "case-free, hyphens within": CASE_FREE[:59] + b"-" + CASE_FREE[60:],
}


@pytest.mark.parametrize("text", SPOILED.values(), ids=SPOILED.keys())
def test_another_spelling_is_refused(text: bytes) -> None:
    """One response has one base64url, one version, and no bit to spare: otherwise it is spoiled, though not cut."""
    assert len(text) in {99, 119}
    assert read_response(text) == Spoiled(len(text), cut=False)


NOTHING_OF_THE_KIND: Final = {
    "nothing": b"",
    "a code": b"123456",
    "a password": b"correct horse battery staple",
    "a long password": b"correct horse battery staple " * 3,
    "31 letters": b"A" * 31,
    "padding": TEXT + b"=",
    "base64": TEXT[:-2] + b"+/",
    "space before": b" " + TEXT,
    "newline behind": TEXT + b"\n",
    "two lines": TEXT[:50] + b"\n" + TEXT[50:],
    "NUL behind": TEXT + b"\0",
    "octets that are no UTF-8": TEXT[:-1] + b"\xff",
    "letters of another script": TEXT[:-2] + "é".encode(),
}


@pytest.mark.parametrize("text", NOTHING_OF_THE_KIND.values(), ids=NOTHING_OF_THE_KIND.keys())
def test_what_is_nothing_of_the_kind(text: bytes) -> None:
    """Codes, passwords and texts with signs that no response has are left to others."""
    assert read_response(text) is None


@pytest.mark.parametrize("more", [1, 19, 21, 29, 99, 4000])
def test_a_longer_text_is_no_response(more: int) -> None:
    """Nothing may follow."""
    assert isinstance(read_response(TEXT + b"A" * more), Spoiled)


@given(st.binary(max_size=140) | st.from_regex(rb"[0-9A-Za-z_-]{90,130}", fullmatch=True))
def test_no_octets_are_an_error(text: bytes) -> None:
    """Whatever comes is a response with one of its two texts, spoiled, or nothing of the kind."""
    found = read_response(text)
    if isinstance(found, KeyResponse):
        assert text.decode() == str(found) or text.decode().upper() == found.case_free()


@given(
    RESPONSES, st.integers(0, 98), st.sampled_from(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_")
)
def test_every_sign_matters(response: KeyResponse, place: int, sign: int) -> None:
    """A text with another sign anywhere is another response, or none."""
    text = str(response).encode()
    changed = text[:place] + bytes([sign]) + text[place + 1 :]
    assert (read_response(changed) == response) is (changed == text)


def test_a_response_shows_all_but_its_signature() -> None:
    """In a log line there is no signature."""
    assert "signature" not in repr(RESPONSE)
    assert repr(RESPONSE) == repr(replace(RESPONSE, signature=bytes(64)))
