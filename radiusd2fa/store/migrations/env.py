"""Alembic's entry: runs the versions on the connection that ``store.upgrade`` hands over. Never used from a shell."""

from alembic import context

from radiusd2fa.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
