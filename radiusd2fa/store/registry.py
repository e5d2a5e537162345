"""The desk: people, tokens and what happened to them, in one open store.

What is changed stands in ``people``, ``inventory``, ``grants`` and ``deliveries``; here is what is only looked at. Not
on the way of a login: that is ``engine``. Answers to no RFC.
"""

from __future__ import annotations

from sqlalchemy import select

from radiusd2fa.core.model import Event
from radiusd2fa.store.deliveries import Deliveries
from radiusd2fa.store.grants import Grants
from radiusd2fa.store.inventory import Inventory, TokenRecord
from radiusd2fa.store.people import People, UserRecord
from radiusd2fa.store.schema import EVENT_COLUMNS, events, sightings

__all__ = ["Registry", "TokenRecord", "UserRecord"]


class Registry(People, Inventory, Grants, Deliveries):
    """People, tokens and the audit in an open store."""

    def sightings(self) -> list[tuple[str, float, str]]:
        """What the daemon has seen of its clients' packets: client ("" is nobody's), when it was written, the JSON."""
        with self._looking() as connection:
            rows = connection.execute(select(sightings).order_by(sightings.c.client))
            return [(row.client, row.updated, row.packets) for row in rows]

    def events(self, last: int = 50) -> list[Event]:
        """The newest audit rows, oldest first."""
        with self._looking() as connection:
            rows = connection.execute(select(*EVENT_COLUMNS).order_by(events.c.id.desc()).limit(last)).all()
        return [Event(**row._mapping) for row in reversed(rows)]  # noqa: SLF001 - SQLAlchemy's public name
