"""Which tokens a selection means: each condition alone, several together, and a hundred thousand of them.

On the real database; the times are moments, never how long something took. Answers to no RFC.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from radiusd2fa import vault
from radiusd2fa.core.model import TokenState
from radiusd2fa.store.address import SqliteFile
from radiusd2fa.store.registry import Registry
from radiusd2fa.store.selecting import Selection
from radiusd2fa.store.upgrade import create

from .conftest import NOW, hotp

DAY: Final = 86_400.0
NOTHING_WRITTEN: Final[dict[str, Any]] = {"state": "active", "user_id": 1}

STORE: Final[dict[str, dict[str, Any]]] = {
    # serial: what its row says; nobody's where nothing is said of an owner, active where nothing is of a state
    "stock": {"state": "stock", "user_id": None, "batch": "2026-03", "box": "B1"},
    "returned": {"state": "returned", "user_id": None, "box": "B1"},
    "nobodys-lost": {"state": "lost", "user_id": None},
    "nobodys-revoked": {"state": "revoked", "user_id": None},
    "stock-ended": {"state": "stock", "user_id": None, "valid_until": NOW},
    "assigned": {"state": "assigned", "activate_by": NOW + 20 * DAY, "handed_at": NOW - DAY},
    "assigned-late": {"state": "assigned", "activate_by": NOW - DAY, "handed_at": NOW - 31 * DAY},
    "fresh": {"last_used": NOW - DAY, "handed_at": NOW - 900 * DAY, "batch": "2026-03"},
    "used-by-another": {"last_used": NOW - 200 * DAY, "handed_at": NOW - 10 * DAY},
    "long-unused": {"last_used": NOW - 90 * DAY, "handed_at": NOW - 900 * DAY, "user_id": 2},
    "handed-long-ago": {"handed_at": NOW - 90 * DAY},
    "of-before": {"created": NOW - 400 * DAY},
    "disabled-unused": {"state": "disabled", "handed_at": NOW - 90 * DAY},
    "lost-unused": {"state": "lost", "handed_at": NOW - 90 * DAY},
    "ended": {"valid_until": NOW, "handed_at": NOW},
    "ends": {"valid_until": NOW + 60 * DAY, "handed_at": NOW},
    "ends-later": {"valid_until": NOW + 61 * DAY, "handed_at": NOW},
    "revoked-ends": {"state": "revoked", "valid_until": NOW + DAY},
    "empty": {"model": "Long Life", "delivered": NOW - 1000 * DAY, "handed_at": NOW},
    "nearly-empty": {"model": "long life", "delivered": NOW - 940 * DAY, "handed_at": NOW},
    "full": {"model": "long life", "delivered": NOW - 939 * DAY, "handed_at": NOW},
    "unknown-model": {"model": "longlife", "delivered": NOW - 9000 * DAY, "handed_at": NOW},
    "clock": {"kind": "totp", "handed_at": NOW},
    "sheet": {"kind": "recovery", "handed_at": NOW},
    "sealed": {"kind": "breakglass", "valid_until": 1.0, "handed_at": NOW},
}
LASTS: Final = {"long life": 1000 * DAY}
EVERYTHING: Final = frozenset(STORE)
SHEETS: Final = frozenset({"sheet", "sealed"})

SELECTIONS: Final[dict[str, tuple[dict[str, Any], frozenset[str]]]] = {
    "nothing said": ({}, EVERYTHING - SHEETS),
    "sheets too": ({"sheets": True}, EVERYTHING),
    "somebody's": ({"user": "bob"}, frozenset({"long-unused"})),
    "nobody's name": ({"user": "carol"}, frozenset()),
    "to be handed out": ({"unassigned": True}, frozenset({"stock", "returned", "stock-ended"})),
    "lost": ({"state": TokenState.LOST}, frozenset({"nobodys-lost", "lost-unused"})),
    "stock": ({"state": TokenState.STOCK}, frozenset({"stock", "stock-ended"})),
    "assigned": ({"state": TokenState.ASSIGNED}, frozenset({"assigned", "assigned-late"})),
    "expired": ({"state": TokenState.EXPIRED, "sheets": True}, frozenset({"stock-ended", "ended"})),
    "a kind": ({"kind": "totp"}, frozenset({"clock"})),
    "a kind of sheet": ({"kind": "recovery"}, frozenset({"sheet"})),
    "a batch": ({"batch": "2026-03"}, frozenset({"stock", "fresh"})),
    "a box": ({"box": "B1"}, frozenset({"stock", "returned"})),
    "a batch and a box": ({"batch": "2026-03", "box": "B1"}, frozenset({"stock"})),
    "stale": (
        {"unused_since": NOW - 90 * DAY},
        frozenset({"long-unused", "handed-long-ago", "of-before", "disabled-unused"}),
    ),
    "expiring": (
        {"ends_before": NOW + 60 * DAY, "batteries": LASTS},
        frozenset({"ends", "assigned", "assigned-late", "empty", "nearly-empty"}),
    ),
    "expiring, without a catalogue": (
        {"ends_before": NOW + 60 * DAY},
        frozenset({"ends", "assigned", "assigned-late"}),
    ),
    "never used, and active": (
        {"never_used": True, "state": TokenState.ACTIVE, "unused_since": NOW - DAY},
        frozenset({"used-by-another", "handed-long-ago", "of-before"}),
    ),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one token of every sort."""
    folder = tmp_path_factory.mktemp("tokens")
    key = vault.create(folder / "vault.key")
    create(SqliteFile(folder / "radiusd2fa.db"), key)
    with registry_of(folder) as registry:
        registry.add_user("alice", None, (), NOW)
        registry.add_user("bob", None, (), NOW)
        for serial in STORE:
            registry.add_token(hotp(serial, f"the seed of {serial}".encode()), None, NOW)
    import sqlite3

    connection = sqlite3.connect(folder / "radiusd2fa.db", isolation_level=None)
    for serial, row in STORE.items():
        values = {**NOTHING_WRITTEN, **row}
        columns = ", ".join(f"{name} = :{name}" for name in values)
        connection.execute(f"UPDATE tokens SET {columns} WHERE serial = :serial", {**values, "serial": serial})  # noqa: S608
    connection.close()
    return folder


def registry_of(folder: Path) -> Registry:
    """Open the store of that folder."""
    return Registry(SqliteFile(folder / "radiusd2fa.db"), vault.load(folder / "vault.key"), "nobody")


def meant(path: Path, **chosen: Any) -> list[str]:  # noqa: ANN401 - fields of a selection
    """The serials that a selection means."""
    with registry_of(path) as registry:
        return [one.serial for one in registry.selected(Selection(now=NOW, **chosen))]


@pytest.mark.parametrize(("chosen", "expected"), SELECTIONS.values(), ids=SELECTIONS.keys())
def test_what_a_selection_means(path: Path, chosen: dict[str, Any], expected: frozenset[str]) -> None:
    """Exactly those tokens, in the order of their serials."""
    assert meant(path, **chosen) == sorted(expected)


def test_what_has_ended_is_not_active(path: Path) -> None:
    """A token past its validity is found as expired, not as active."""
    active = meant(path, state=TokenState.ACTIVE)
    assert "ended" not in active
    assert {"ends", "fresh"} <= set(active)


@pytest.mark.parametrize("name", ["x' OR '1'='1", "%", "_", "B1%"])
def test_what_is_typed_is_data(path: Path, name: str) -> None:
    """Whatever a batch or box looks like, it is looked up as it is."""
    assert meant(path, batch=name) == meant(path, box=name) == meant(path, user=name) == []


def test_a_record_is_what_a_list_shows(path: Path) -> None:
    """The same facts, whether a token is asked for alone or among others."""
    with registry_of(path) as registry:
        (one,) = registry.selected(Selection(now=NOW, user="bob"))
        assert one == registry.token("long-unused")
        assert replace(one, box="B1") != one
