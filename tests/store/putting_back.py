"""One database of PostgreSQL for many tests: what a test has changed is put back, which is quicker than another one.

It knows nothing of what the tests do: rows are copied from where they were kept, as the master and without triggers,
and a database whose tables are other ones now is thrown away. No RFC speaks here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.postgresql import MASTER, Cluster

if TYPE_CHECKING:
    import psycopg

_SHAPE: Final = """
    SELECT (SELECT string_agg(relname || ' ' || relnatts || ' ' || relchecks, ',' ORDER BY relname) FROM pg_class
            WHERE relnamespace = 'public'::regnamespace),
        (SELECT string_agg(tgname::text || tgenabled::text, ',' ORDER BY tgname) FROM pg_trigger
            WHERE NOT tgisinternal),
        (SELECT string_agg(proname, ',' ORDER BY proname) FROM pg_proc WHERE pronamespace = 'public'::regnamespace)
"""
_TABLES: Final = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
_SEQUENCES: Final = "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public'"
_ALONE: Final = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


@dataclass
class Lent:
    """A copy of a template, and how to make it one again."""

    name: str
    connection: psycopg.Connection[Any]
    shape: object
    again: bytes


class Library:
    """The databases of one cluster that tests have in turn."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._lent: dict[str, Lent] = {}

    @contextmanager
    def lend(self, template: str) -> Iterator[str]:
        """A database like ``template`` for one test."""
        lent = self._lent.get(template) or self._make(template)
        self._lent[template] = lent
        try:
            yield lent.name
        finally:
            self._take_back(template, lent)

    def close(self) -> None:
        """Throw all of them away."""
        for lent in self._lent.values():
            lent.connection.close()
            self._cluster.drop(lent.name)
        self._lent.clear()

    def _make(self, template: str) -> Lent:
        import psycopg

        name = self._cluster.database(template=template)
        connection = psycopg.connect(self._cluster.url(name, user=MASTER), autocommit=True)
        shape = connection.execute(_SHAPE).fetchone()
        connection.execute("CREATE SCHEMA kept")
        steps = []
        for (table,) in connection.execute(_TABLES).fetchall():
            connection.execute(f'CREATE TABLE kept."{table}" AS TABLE public."{table}"'.encode())
            steps += [f'DELETE FROM public."{table}"', f'INSERT INTO public."{table}" TABLE kept."{table}"']  # noqa: S608
        for sequence, last in connection.execute(_SEQUENCES).fetchall():
            steps.append(f"SELECT setval('public.\"{sequence}\"', {last or 1}, {last is not None})")
        connection.execute("SET session_replication_role = replica")
        return Lent(name, connection, shape, f"BEGIN; {'; '.join(steps)}; COMMIT".encode())

    def _take_back(self, template: str, lent: Lent) -> None:
        lent.connection.execute(_ALONE)
        if lent.connection.execute(_SHAPE).fetchone() == lent.shape:
            lent.connection.execute(lent.again)
            return
        del self._lent[template]
        lent.connection.close()
        self._cluster.drop(lent.name)
