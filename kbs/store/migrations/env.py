"""Runs migrations on the connection that `kbs.store.database.migrate` hands over."""

from __future__ import annotations

from alembic import context

from kbs.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters tables by copying them
    transactional_ddl=False,  # the transaction is the caller's
)
context.run_migrations()
