"""The hash of an audit row: what it covers, to the last character, and that others compute the same.

The judge is the text itself, put together here by the standard library's own JSON writer. FIPS 180-4, RFC 8785.
"""

from __future__ import annotations

import json
from dataclasses import fields, replace
from hashlib import sha256
from math import inf, nan
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiusd2fa.core.chain import START, Checkpoint, link, microseconds
from radiusd2fa.core.model import Event, Reason

ROW: Final = Event(
    time=1_700_000_000.25,
    name="access.accepted",
    login="10619",
    nas="vpn",
    user="müller",
    caller='192.0.2.1 "x\\y"\t\x7f\u2028',
    factor="hotp",
    serial="H1",
    outcome="accepted",
    reason="ok",
    latency=0.0015,
    actor="",
)


def judged(previous: bytes, chain: str, sequence: int, event: Event) -> bytes:
    """The same by docs/audit.md, without a line of ours."""
    e = event
    times = [int(seconds * 1_000_000 + 0.5) for seconds in (e.time, e.latency)]
    row = [1, chain, sequence, times[0], e.name, e.login, e.nas, e.user, e.caller, e.factor, e.serial]
    row += [e.outcome, e.reason, times[1], e.actor]
    text = previous.hex() + json.dumps(row, ensure_ascii=False, separators=(",", ":"))
    return sha256(text.encode()).digest()


def test_a_hash_that_was_written_down() -> None:
    """The form never changes unseen: rows that were chained by an older version must go on to hold."""
    assert link(START, "vpn1", 1, ROW).hex() == "4cf4876c916fcdb0f0cf14022b94c2971c717df81e94a67c65a6c0b4358126f2"
    assert (
        link(link(START, "vpn1", 1, ROW), "vpn1", 2, ROW).hex()
        == "08d1a0f8ddc306838813fd09424dbd2a66e8af72456f3699ac54dec2477fb1e1"
    )


texts = st.text(st.characters(codec="utf-8"), max_size=20)


@given(st.builds(Event, *[st.floats(0, 1e10) if one.name in {"time", "latency"} else texts for one in fields(Event)]))
def test_any_row_hashes_as_its_text(row: Event) -> None:
    """Quotes, controls and letters of any language are written as RFC 8785 has them."""
    assert link(START, "vpn1", 7, row) == judged(START, "vpn1", 7, row)


@pytest.mark.parametrize("column", [one.name for one in fields(Event)])
def test_each_column_is_covered(column: str) -> None:
    """Whatever is changed in a row, its hash is another one."""
    value = getattr(ROW, column)
    changed: Any = value + 0.000_001 if isinstance(value, float) else value + "x"
    assert link(START, "vpn1", 1, replace(ROW, **{column: changed})) != link(START, "vpn1", 1, ROW)


def test_its_place_is_covered() -> None:
    """The same row elsewhere has another hash: behind another row, in another chain, with another number."""
    here = link(START, "vpn1", 1, ROW)
    assert len({here, link(here, "vpn1", 1, ROW), link(START, "vpn2", 1, ROW), link(START, "vpn1", 2, ROW)}) == 4


@given(texts, texts, texts, texts)
def test_no_two_rows_look_the_same(user: str, caller: str, other_user: str, other_caller: str) -> None:
    """Nothing moves from one column into the next unseen, whatever is typed as a name."""
    one, other = replace(ROW, user=user, caller=caller), replace(ROW, user=other_user, caller=other_caller)
    assert (link(START, "a", 1, one) == link(START, "a", 1, other)) == (one == other)


def test_a_quotation_mark_closes_nothing() -> None:
    """A user name that is written like the rest of a row does not stand for it."""
    pretending = replace(ROW, user='x","y', caller="z")
    assert link(START, "a", 1, pretending) != link(START, "a", 1, replace(ROW, user="x", caller='y","z'))


@pytest.mark.parametrize("wrong", [inf, nan])
def test_what_is_no_number_cannot_be_chained(wrong: float) -> None:
    """Neither an endless time nor one that is none: JSON has no word for them."""
    with pytest.raises((ValueError, OverflowError)):
        link(START, "a", 1, replace(ROW, latency=wrong))


def test_a_word_of_ours_is_its_text() -> None:
    """What the daemon holds as a Reason comes back from the database as a text, and hashes the same."""
    assert link(START, "a", 1, replace(ROW, reason=Reason.REPLAYED)) == link(
        START, "a", 1, replace(ROW, reason=str(Reason.REPLAYED))
    )


@given(st.integers(0, 2**52))
def test_microseconds_survive_being_seconds(count: int) -> None:
    """A checkpoint that is read back from syslog, or out of a column of seconds, verifies."""
    assert microseconds(count / 1_000_000) == count


SIGNED: Final = Checkpoint("vpn1", 7, bytes(32), 1.5, "0123456789abcdef", bytes(64))
OTHERWISE: Final[dict[str, Any]] = {
    "chain": "vpn2",
    "sequence": 8,
    "hash": bytes(31) + b"x",
    "time": 1.500001,
    "archived": True,
}


@pytest.mark.parametrize("field", OTHERWISE)
def test_a_signature_covers_all_that_a_checkpoint_says(field: str) -> None:
    """Above all whether it is an anchor, which lets rows go."""
    assert replace(SIGNED, **{field: OTHERWISE[field]}).signed_octets() != SIGNED.signed_octets()


def test_what_is_signed_is_one_line() -> None:
    """As docs/audit.md has it."""
    zeros = "0" * 64
    assert SIGNED.signed_octets() == f"radiusd2fa checkpoint 1 vpn1 7 {zeros} 1500000".encode()
    assert replace(SIGNED, archived=True).signed_octets() == f"radiusd2fa anchor 1 vpn1 7 {zeros} 1500000".encode()
