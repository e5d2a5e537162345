"""Lists with damage of every sort: nothing but the errors meant for it comes out, and no seed is shown.

The damage is drawn from a fixed seed, so that each run meets the same. It answers to no RFC.
"""

from __future__ import annotations

import io
import random
from types import ModuleType
from typing import Final

import pytest

from radiusd2fa.imports import columns
from radiusd2fa.imports.seeds import Entry, Flaw, How, LeftOut, Seed, UnreadableError, checked

from .tables import NOW, assert_tells_no_seed
from .test_recognising import LISTS, SAMPLES, head_of

ROUNDS: Final = 150
HOW: Final = How(now=NOW, kind="hotp", columns=("serial", "kind", "secret", "digits"))
OCTETS: Final = b'\0\n\r\t ",;:=#<>&/-0129AZaz\x7f\xc3\xff'


def damaged(octets: bytes, chance: random.Random) -> bytes:
    """Cut, double, drop or replace some of it."""
    start = chance.randrange(len(octets))
    end = min(len(octets), start + chance.choice((1, 1, 2, 40)))
    match chance.randrange(4):
        case 0:
            return octets[:start]
        case 1:
            return octets[:start] + octets[end:]
        case 2:
            return octets[:end] + octets[start:]
        case _:
            return octets[:start] + bytes([chance.choice(OCTETS)]) + octets[start + 1 :]


def outcome(module: ModuleType, octets: bytes) -> list[Entry] | UnreadableError:
    """Read as far as it goes."""
    try:
        return list(module.read(io.BytesIO(octets), HOW))
    except UnreadableError as error:
        return error


@pytest.mark.parametrize("name", LISTS)
def test_damage_is_named_and_shows_nothing(name: str) -> None:
    """Whatever happens to a sample: entries whose seeds are in order, flaws and refusals without a seed in them."""
    chance = random.Random(name)
    whole = (SAMPLES / name).read_bytes()
    for _ in range(ROUNDS):
        octets = damaged(whole, chance)
        for module in (LISTS[name][0], columns):
            match outcome(module, octets):
                case UnreadableError() as error:
                    assert_tells_no_seed([error], whole)
                case found:
                    assert_tells_no_seed([entry for entry in found if isinstance(entry, Flaw | LeftOut)], whole)
                    assert all(checked(entry) == entry for entry in found if isinstance(entry, Seed))


@pytest.mark.parametrize("name", LISTS)
def test_a_cut_file_says_so_or_loses_whole_lines_only(name: str) -> None:
    """However much of its end is missing, no token comes out that is not in the whole file."""
    module = LISTS[name][0]
    whole = (SAMPLES / name).read_bytes()
    known = {(entry.serial, entry.secret) for entry in outcome_of_whole(module, whole)}
    for cut in range(1, len(whole), 7):
        match outcome(module, whole[:cut]):
            case UnreadableError():
                pass
            case found:
                assert {(entry.serial, entry.secret) for entry in found if isinstance(entry, Seed)} <= known, cut


@pytest.mark.parametrize("name", LISTS)
def test_to_recognise_damage_is_no_error(name: str) -> None:
    """``sniff`` says yes or no to anything."""
    chance = random.Random(name)
    for _ in range(ROUNDS):
        head = damaged(head_of(SAMPLES / name), chance)
        assert all(module.sniff(head) in (True, False) for module, _ in LISTS.values())


def outcome_of_whole(module: ModuleType, octets: bytes) -> list[Seed]:
    """Return the tokens of a sample as it is."""
    found = outcome(module, octets)
    assert isinstance(found, list)
    return [entry for entry in found if isinstance(entry, Seed)]
