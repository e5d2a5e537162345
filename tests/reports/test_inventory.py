"""The report `inventory`: tokens by state and make, the age of batteries, and what was lost. No RFC speaks of it."""

from __future__ import annotations

from collections import Counter
from typing import Final

from hypothesis import given, settings

from radiusd2fa.core.model import Event, TokenState
from radiusd2fa.core.sheets import SHEETS
from radiusd2fa.reports.inventory import inventory
from radiusd2fa.reports.records import Holding, Person

from .population import A_DAY, NOW, column, populations, sheet, table, token, value

A_YEAR: Final = 365 * A_DAY
YEARS: Final = {"c200": 4.0}
SINCE: Final = NOW - 30 * A_DAY


def test_sheets_are_no_tokens() -> None:
    """Nor are they anything else here."""
    report = inventory([sheet(1)], [], YEARS, NOW, SINCE)
    assert value(report, "tokens") == 0
    assert all(one.rows == () for one in report.tables)


def test_a_battery_that_nobody_vouches_for_is_not_spoken_of() -> None:
    """Without a delivery date, without a promise, or revoked."""
    held = [
        token(1, model="c200"),
        token(2, model="go6", delivered=0.0),
        token(3, model="c200", delivered=0.0, state=TokenState.REVOKED),
        token(4, model="c200", delivered=NOW - 3 * A_YEAR),
    ]
    assert column(inventory(held, [], YEARS, NOW, SINCE), "batteries", "serial") == []


def test_batteries_that_end() -> None:
    """The first to end first, whether over or within a year; how the model is written does not matter."""
    held = [
        token(1, model="C200", delivered=NOW - 3 * A_YEAR - 1),
        token(2, model="c200", delivered=NOW - 4 * A_YEAR),
    ]
    report = inventory(held, [], YEARS, NOW, SINCE)
    assert [row[3:5] for row in table(report, "batteries").rows] == [(NOW, True), (NOW + A_YEAR - 1, False)]
    assert value(report, "batteries") == 2


def test_tokens_that_expire() -> None:
    """Within a year, with the days left; those that have expired are only counted by state."""
    held = [
        token(1, valid_until=NOW + A_YEAR),
        token(2, valid_until=NOW + 2.5 * A_DAY),
        token(3, valid_until=NOW),
        token(4, valid_until=NOW + A_DAY, state=TokenState.REVOKED),
    ]
    report = inventory(held, [], YEARS, NOW, SINCE)
    assert table(report, "expiring").rows == (("T2", "totp", "u1", "active", NOW + 2.5 * A_DAY, 2),)
    assert {row[0]: row[1] for row in table(report, "states").rows} == {"active": 2, "expired": 1, "revoked": 1}


def test_what_is_left_of_each_model() -> None:
    """In stock, in hands whether they work or not, and lost."""
    states = ("stock", "stock", "assigned", "active", "disabled", "lost", "returned", "revoked")
    held = [token(at, model="c200", state=TokenState(state)) for at, state in enumerate(states)]
    report = inventory([*held, token(99, model="")], [], YEARS, NOW, SINCE)
    assert table(report, "models").rows == (("c200", "totp", 8, 2, 3, 1, 1), ("", "totp", 1, 0, 1, 0, 0))


def test_batches_and_boxes() -> None:
    """With the day of the first delivery; a token without either is in none."""
    held = [
        token(1, batch="b1", box="x", delivered=9.0),
        token(2, batch="b1", box="x", delivered=5.0, state=TokenState.STOCK),
        token(3, box="y"),
        token(4),
    ]
    report = inventory(held, [], YEARS, NOW, SINCE)
    assert table(report, "batches").rows == (("", "y", 1, 0, None), ("b1", "x", 2, 1, 5.0))


def test_what_was_lost() -> None:
    """As the audit says it."""
    lost = Event(NOW - 1, "token.lost", "", "", "u1", serial="T1", reason="train", actor="carol")
    report = inventory([], [lost], YEARS, NOW, SINCE)
    assert table(report, "lost").rows == (("T1", "u1", NOW - 1, "carol", "train"),)
    assert value(report, "lost") == 1


@settings(deadline=None, max_examples=60)
@given(populations())
def test_the_counts_are_those_of_a_plain_recount(drawn: tuple[tuple[Person, ...], tuple[Holding, ...]]) -> None:
    """States add up to all tokens, ages to all that are in use or in stock."""
    _, holdings = drawn
    report = inventory(holdings, [], YEARS, NOW, SINCE)
    tokens = [one.token for one in holdings if one.token.kind not in SHEETS]
    states = Counter(
        "expired"
        if one.state != "revoked" and one.valid_until is not None and one.valid_until <= NOW
        else one.state.value
        for one in tokens
    )
    assert {row[0]: row[1] for row in table(report, "states").rows} == states
    kept = len(tokens) - states["expired"] - states["revoked"]
    assert (value(report, "tokens"), value(report, "kept")) == (len(tokens), kept)
    if table(report, "ages").rows:
        assert sum(n for n in column(report, "ages", "tokens") if isinstance(n, int)) == kept
    assert sum(n for n in column(report, "models", "tokens") if isinstance(n, int)) == len(tokens)
