"""Databases of every schema that was released, each written by the program of that schema, and how to have one.

They are text, so that a difference can be read; the people, seeds and logins in them are made up. Whoever releases a
new schema adds one. Answers to no RFC.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
RELEASED: Final = sorted(path.stem for path in FOLDER.glob("*.sql"))
_KEY: Final = "-- Its vault key: "


def unpack(schema: str, database: Path, key: Path) -> None:
    """Write the database of a schema, and its vault key, into files of mode 0600."""
    text = (FOLDER / f"{schema}.sql").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith(_KEY))
    for path in (database, key):
        path.touch(mode=0o600)
    key.write_text(line.removeprefix(_KEY) + "\n", encoding="utf-8")
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(text)
