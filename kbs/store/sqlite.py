"""SQLite in WAL mode: one file, one machine, any number of processes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, ProgrammingError
from sqlalchemy.pool import NullPool

from kbs.store.address import SqliteFile
from kbs.store.failures import Failure, failures_told
from kbs.store.kinds import Purpose


def create_file(path: Path) -> None:
    """An empty database file for its owner alone. Raises OSError, also where it is there already."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def remove_file(path: Path) -> None:
    """The database file and what stands beside it."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


class Sqlite:
    def __init__(self, address: SqliteFile) -> None:
        self._engine = create_engine(
            # mode=rw: a file that was lost is an error, not an empty database.
            f"sqlite:///file:{quote(str(address.path.absolute()))}?mode=rw&uri=true",
            # A connection a transaction: threads share nothing, and SQLite opens in microseconds.
            poolclass=NullPool,
            connect_args={"timeout": address.wait_seconds, "isolation_level": None},
        )
        event.listen(self._engine, "connect", _settings)

    @contextmanager
    def transaction(self, purpose: Purpose) -> Iterator[Connection]:
        with failures_told(_judge), self._engine.connect() as connection, connection.begin():
            # The driver begins nothing by itself: `isolation_level` is None.
            if purpose is Purpose.READ:
                connection.exec_driver_sql("PRAGMA query_only=ON")  # ends with the connection
                connection.exec_driver_sql("BEGIN")
            else:
                # The write lock first: between reading the rules and writing the row nobody changes them.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    def describe(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}"

    def close(self) -> None:
        self._engine.dispose()


def _settings(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")  # a released key without its audit row must not exist
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA secure_delete=ON")


def _judge(error: DBAPIError) -> Failure | None:
    """Nothing asks for another try: who waits for the write lock has waited as long as was said."""
    wrong = isinstance(error, IntegrityError | ProgrammingError | InterfaceError)
    return None if wrong else Failure.GONE
