"""What every second factor promises, found by looking into the folder.

A new file in ``radiusd2fa/factors`` is under test the moment it exists. The tests need not know how a factor makes its
codes: they answer with texts that agree with whatever code is compared, as if every guess were lucky. Only a factor
whose answers are not codes has answers of its own here. RFC 4226 7.2, RFC 6238 5.2 and WebAuthn 6.1.1: what was
accepted once is never accepted again.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace
from types import ModuleType
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiusd2fa import factors
from radiusd2fa.core.answer import Answer, ChapAnswer, KeyAnswer, TypedCode, TypedOtp, TypedSpare
from radiusd2fa.core.finding import Asserted, Beyond, Find, Finding, Matched, NotFound, Refused, Spare, Used
from radiusd2fa.core.judging import DECOY
from radiusd2fa.core.model import Chap, Token
from radiusd2fa.core.rules import FACTORS, HotpRules, Rules, TotpRules
from radiusd2fa.core.sheets import SHEETS, Made, make, octets_wanted
from radiusd2fa.factors import find_functions
from tests.factors.keys import FIDO, UP, Key, assertion, authenticator_data, eddsa, es256
from tests.factors.yubikey import YubiKey

KINDS: Final = [module.name for module in pkgutil.iter_modules(factors.__path__)]
NOW: Final = 1_700_000_000.0


def module_of(kind: str) -> ModuleType:
    """Load a factor's file."""
    return importlib.import_module(f"radiusd2fa.factors.{kind}")


def find_of(kind: str) -> Find:
    """Load a factor as the daemon does."""
    return find_functions((kind,))[kind]


class Lucky:
    """An answer that agrees with one of the codes it is compared with: the first, the second, …"""

    def __init__(self, lucky: int) -> None:
        self.compared = 0
        self._lucky = lucky

    def may_have(self, digits: int) -> bool:
        """Any length."""
        return True

    def equals(self, code: bytes) -> bool:
        """Agree when it is time."""
        self.compared += 1
        return self.compared - 1 == self._lucky


class Unlucky(Lucky):
    """An answer that agrees with nothing."""

    def __init__(self) -> None:
        super().__init__(-1)


class Agreeable(Lucky):
    """An answer that agrees with everything."""

    def __init__(self) -> None:
        super().__init__(-1)

    def equals(self, code: bytes) -> bool:
        """Agree."""
        return True


CHALLENGE: Final = b"what was asked".ljust(32)
KEYS: Final = (es256(), eddsa())
YUBIKEY: Final = YubiKey(bytes(range(16)), b"secret", b"public")
SPARES: Final = 5
"""Codes on a sheet here."""


def tokens(kind: str) -> st.SearchStrategy[Token]:
    """Tokens of one kind in every state of wear."""
    if kind == "fido":
        return st.builds(Key.token, st.sampled_from(KEYS), counter=st.integers(0, 40) | st.integers(0, 2**32 - 1))
    if kind == "yubico":
        uses = st.integers(0, 2000) | st.integers(0, (1 << 23) - 1)
        return st.builds(replace, st.just(nobodys(kind, YUBIKEY.secret, YUBIKEY.digits)), moving_factor=uses)
    if kind in SHEETS:
        used = st.integers(0, (1 << SPARES) - 1)
        return st.builds(replace, st.just(nobodys(kind, spares(kind).secret, 1)), moving_factor=used)
    return fobs(kind)


def nobodys(kind: str, secret: bytes, digits: int) -> Token:
    """A token in some drawer."""
    return Token(id=1, serial="T", kind=kind, moving_factor=0, secret=secret, digits=digits)


def spares(kind: str) -> Made:
    """A sheet of that kind."""
    return make(SHEETS[kind], SPARES, bytes(range(octets_wanted(SHEETS[kind], SPARES))))


def right_answers(token: Token) -> list[Answer]:
    """Answers of which a guesser can only dream: right in every way that does not depend on what was used before."""
    if token.kind == "yubico":
        session, use = token.moving_factor >> 8, token.moving_factor & 255
        near = [(session, use), (session, min(use + 1, 255)), (session, 0), (max(session - 1, 0), 255)]
        return [TypedOtp(YUBIKEY.otp(*one)) for one in (*near, (min(session + 1, 0x7FFF), 0), (0x7FFF, 255))]
    if token.kind in SHEETS:
        return [TypedSpare(token.kind, code) for code in spares(token.kind).codes]
    if token.kind != "fido":
        return [Agreeable()]
    (key,) = [key for key in KEYS if key.attested() == token.secret]
    counters = {0, 1, *range(max(0, token.moving_factor - 3), min(2**32, token.moving_factor + 4)), 2**32 - 1}
    return [
        KeyAnswer((assertion(key, CHALLENGE, data=authenticator_data(UP, counter)),), user_verification=False)
        for counter in sorted(counters)
    ]


WRONG_ANSWERS: Final[dict[str, tuple[Answer, ...]]] = {
    "code": (
        Unlucky(),
        ChapAnswer(Chap(1, bytes(16), bytes(16))),
        TypedOtp(replace(YUBIKEY, key=b"not the key of Y").otp(0x7FFF, 255)),
        *(TypedSpare(kind, "0" * sheet.length) for kind, sheet in SHEETS.items()),
    ),
    "key": (
        KeyAnswer((), user_verification=False),
        KeyAnswer((assertion(es256("nobody's"), CHALLENGE),), user_verification=False),
    ),
}
"""Answers that no token of these tests has given."""


def moved(token: Token, finding: Finding) -> Token:
    """The token as the store leaves it after that finding was accepted."""
    match finding:
        case Matched(to=to, drift=drift):
            return replace(token, moving_factor=to, drift=drift, candidate=None, candidate_until=0.0)
        case Asserted(counter=counter):
            return replace(token, moving_factor=counter)
        case Spare(number=number):
            return replace(token, moving_factor=token.moving_factor | 1 << number)
        case _:
            return token


def fobs(kind: str) -> st.SearchStrategy[Token]:
    """The same of what shows codes."""
    here = int(NOW // 30)
    wide, near = st.integers(0, 2**40), st.integers(here - 200, here + 200)
    return st.builds(
        Token,
        id=st.just(1),
        serial=st.just("T"),
        kind=st.just(kind),
        moving_factor=wide | near,
        secret=st.binary(min_size=10, max_size=64),
        digits=st.sampled_from((6, 7, 8)),
        algorithm=st.sampled_from(("sha1", "sha256", "sha512")),
        step=st.integers(15, 120),
        drift=st.integers(-100, 100),
        last_used=st.none() | st.floats(0, NOW + 1000),
        candidate=st.none() | wide | near,
        candidate_until=st.just(0.0) | st.floats(NOW - 5, NOW + 5),
    )


RULES: Final = st.builds(
    Rules,
    fido=st.just(FIDO),
    hotp=st.builds(HotpRules, st.integers(0, 6), st.integers(0, 20)),
    totp=st.builds(
        TotpRules,
        steps_either_side=st.integers(0, 3),
        resync_steps=st.integers(0, 10),
        max_drift=st.integers(0, 100),
        widen_every=st.just(0.0) | st.floats(1.0, 1e6),
    ),
)


def test_the_factors_of_this_version_are_found() -> None:
    """The folder holds exactly the factors that the rules know, and the sheets that come besides."""
    assert set(KINDS) == {*FACTORS, *SHEETS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_factor_says_what_it_is(kind: str) -> None:
    """Each file has its own name as KIND, a ``find``, and says in its first lines what it is."""
    module = module_of(kind)
    assert kind == module.KIND
    assert find_of(kind) is module.find
    assert module.__doc__


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_nothing_used_is_ever_accepted(kind: str, data: st.DataObject) -> None:
    """Whichever code a guess happens to hit, what is accepted is new and leads beyond where the token stands."""
    token, rules = data.draw(tokens(kind)), data.draw(RULES)
    find = find_of(kind)
    for answer in (*right_answers(token), *(Lucky(number) for number in range(60))):
        match find(token, answer, NOW, rules):
            case Matched(at=at, to=to, drift=drift):
                assert to > token.moving_factor
                assert to >= at >= 0
                assert abs(drift) <= rules.totp.max_drift
            case Asserted(counter=counter):
                assert counter > token.moving_factor or counter == token.moving_factor == 0
            case Spare(number=number):
                assert not token.moving_factor >> number & 1
            case Beyond(moving_factor=at):
                assert at > token.moving_factor
            case Used() | Refused() | NotFound():
                pass
            case other:
                pytest.fail(f"{kind} returned {other!r}")


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_what_was_accepted_is_not_accepted_again(kind: str, data: st.DataObject) -> None:
    """Once the token has moved to where the finding says, the same guess hits nothing it hit before."""
    token, rules = data.draw(tokens(kind)), data.draw(RULES)
    find = find_of(kind)
    for answer in right_answers(token):
        first = find(token, answer, NOW, rules)
        second = find(moved(token, first), answer, NOW, rules)
        if isinstance(first, Matched):
            assert not isinstance(second, Matched) or second.at > first.at
        if isinstance(first, Spare):
            assert second == Used()
        if isinstance(first, Asserted):
            # a key that does not count is guarded by its challenge alone, which is spent with it
            assert not isinstance(second, Asserted) or first.counter == 0


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(deadline=None, max_examples=40)
def test_a_wrong_answer_finds_nothing(kind: str, data: st.DataObject) -> None:
    """An answer that agrees with nothing is not found, of whatever kind it is and whatever is waiting."""
    token, rules = data.draw(tokens(kind)), data.draw(RULES)
    for answer in (*WRONG_ANSWERS["code"], *WRONG_ANSWERS["key"]):
        assert find_of(kind)(token, answer, NOW, rules) == NotFound()


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_of_another_kind_is_not_found(kind: str) -> None:
    """A code is no answer of a key, however lucky; what a key has signed is no code, however right."""
    rules, fob = Rules(fido=FIDO), Token(id=1, serial="T", kind=kind, moving_factor=0, secret=b"x" * 20)
    if kind == "fido":
        for key in KEYS:
            codes: list[Answer] = [Agreeable(), Lucky(0), TypedCode(b"000000"), *WRONG_ANSWERS["code"]]
            for answer in codes:
                assert find_of(kind)(key.token(), answer, NOW, rules) == NotFound()
    else:
        for key in KEYS:
            right = KeyAnswer((assertion(key, CHALLENGE),), user_verification=False)
            assert find_of(kind)(fob, right, NOW, rules) == NotFound()
            assert find_of(kind)(key.token(), right, NOW, rules) == NotFound()


def test_nobodys_token_is_worked_at_and_never_right() -> None:
    """The factor of the stand-in is there, and takes every wrong answer without an error."""
    for answer in (*WRONG_ANSWERS["code"], *WRONG_ANSWERS["key"]):
        assert find_of(DECOY.kind)(DECOY, answer, NOW, Rules(fido=FIDO)) == NotFound()


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), guess=st.from_regex(rb"\A[0-9]{6,8}\Z"))
@settings(deadline=None, max_examples=40)
def test_a_factor_is_pure(kind: str, data: st.DataObject, guess: bytes) -> None:
    """The same question has the same answer, twice and in between others, and changes nothing that it was given."""
    token, rules = data.draw(tokens(kind)), data.draw(RULES)
    before, answer, find = repr(token), TypedCode(guess), find_of(kind)
    for asked in (answer, *right_answers(token)):
        first = find(token, asked, NOW, rules)
        find(replace(token, moving_factor=0), Agreeable(), NOW + 1e6, rules)
        assert find(token, asked, NOW, rules) == first
    assert repr(token) == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_code_of_another_length_is_not_even_compared(kind: str) -> None:
    """An answer that cannot have the token's number of digits is refused before any arithmetic."""

    class OtherLength(Agreeable):
        def may_have(self, digits: int) -> bool:
            return False

    token = Token(id=1, serial="T", kind=kind, moving_factor=0, secret=b"x" * 20)
    assert find_of(kind)(token, OtherLength(), NOW, Rules()) == NotFound()
