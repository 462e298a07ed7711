"""Opening the database: connection settings, transactions, and the schema's version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool

from kbs.store.repository import Repository

MIGRATIONS = Path(__file__).parent / "migrations"


class SchemaMismatch(Exception):
    """The database is of another version than this program."""


class Store:
    """Hands out transactions. One writes at a time; each is whole or leaves nothing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str) -> Store:
        """url: `sqlite:////absolute/file.db`. The schema must be current: see `migrate`.

        Raises SchemaMismatch.
        """
        store = cls(_engine(url))
        store._require_current()
        return store

    @contextmanager
    def transaction(self) -> Iterator[Repository]:
        """A repository whose acts commit together when the block ends, and vanish when it raises."""
        with self._engine.begin() as connection:
            yield Repository(connection)

    def close(self) -> None:
        self._engine.dispose()

    def _require_current(self) -> None:
        from alembic.migration import MigrationContext
        from alembic.script import ScriptDirectory

        wanted = ScriptDirectory(str(MIGRATIONS)).get_current_head()
        with self._engine.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
        if found != wanted:
            raise SchemaMismatch(f"the database is at schema {found or 'none'}, this program wants {wanted}")


def migrate(url: str) -> None:
    """Bring the schema to this program's version; does nothing where it is there already."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    engine = _engine(url)
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite:"):
        raise ValueError("only SQLite is served so far")
    # A connection a transaction: threads share nothing, and SQLite opens in microseconds.
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": 30, "isolation_level": None})

    @event.listens_for(engine, "connect")
    def _settings(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")  # a released key without its audit row must not exist
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA secure_delete=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # The write lock first: between reading the rules and writing the row nobody changes them.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
