"""Alembic's entry: runs the versions on the connection that ``store.upgrade`` hands over. Never used from a shell.

Up to 0005 they are SQLite's alone: a database of PostgreSQL begins with 0005, made by ``store.postgresql_schema``.
From 0006 on each version runs on both. Write it with ``op.add_column``, ``op.create_table`` and the types of
``store.schema``; what each of the two needs in words of its own (triggers, partial indexes) goes behind
``op.get_bind().dialect.name``. All of it is one transaction on both, in which no login comes between; afterwards
``schema.metadata`` and the ``TRIGGERS`` of either must say the same.
"""

from alembic import context

from radiusd2fa.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
