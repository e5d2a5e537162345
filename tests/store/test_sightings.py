"""What is written down for `doctor`: never at the cost of a login that waits. No RFC speaks of this."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from radiusd2fa.store.sqlite_database import SqliteDatabase

from .conftest import NOW, Site


def test_it_is_left_out_while_another_process_writes(site: Site) -> None:
    """Nobody waits, nobody is alarmed, nothing is half written; and afterwards it is written, and logins go on."""
    desk = site.desk()
    with closing(sqlite3.connect(site.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        desk.store.note_sightings([("vpn", "[]")], NOW)
        assert desk.alarms == []
        assert desk.store.answers()
        other.rollback()
    assert site.sql("SELECT * FROM sightings") == []
    desk.store.note_sightings([("vpn", "[]")], NOW)
    assert site.sql("SELECT client, packets FROM sightings") == [("vpn", "[]")]
    assert isinstance(desk.store._database, SqliteDatabase)
    patience = desk.store._database.connection().execute("PRAGMA busy_timeout").fetchone()
    assert patience == (2000,)
    desk.store.close()
