"""The rows that a backup holds, and putting them back: of every table but what ends by itself.

Challenges, sessions (of guests, and of the console), what they were given and what is kept to explain decisions stay out. A guest attests again after a restore, so that no nonce which was answered
since is open again, and no bearer token stands in a backup.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Any, Final

from sqlalchemy import Connection, Integer, LargeBinary, MetaData, Table, func, insert, select

from kbs.store.tables import (
    challenges,
    console_sessions,
    kept_evidence,
    kept_sessions,
    metadata,
    releases,
    sessions,
)

SHORT_LIVED: Final = (challenges, sessions, console_sessions, releases, kept_sessions, kept_evidence)
_BATCH: Final = 100
Row = tuple[str, dict[str, Any]]
"""A table's name, and its columns with values as JSON has them: bytes are base64."""


def lasting_rows(connection: Connection) -> Iterator[Row]:
    """In an order that they can be put back in. The schema is this program's."""
    for table in metadata.sorted_tables:
        if table in SHORT_LIVED:
            continue
        query = select(table).order_by(*table.primary_key).execution_options(yield_per=_BATCH)
        for row in connection.execute(query):
            yield (
                table.name,
                {column.name: _out(column.type, row[at]) for at, column in enumerate(table.columns)},
            )


def put_rows(connection: Connection, rows: Iterable[Row]) -> int:
    """Insert `rows` into the empty tables that the database has, of whichever schema; returns how many.

    Raises KeyError, TypeError and ValueError for what is no row of them.
    """
    schema = MetaData()
    schema.reflect(connection)
    count = 0
    for name, run in groupby(rows, lambda row: row[0]):
        table = schema.tables[name]
        while batch := [_in(table, values) for _, values in islice(run, _BATCH)]:
            connection.execute(insert(table), batch)
            count += len(batch)
    if connection.dialect.name == "postgresql":
        for table in schema.tables.values():
            _count_on(connection, table)
    return count


def _out(kind: object, value: Any) -> Any:
    if not isinstance(kind, LargeBinary) or value is None:
        return value
    # SQLite keeps whatever type a forger wrote.
    raw = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    return base64.b64encode(raw).decode()


def _in(table: Table, values: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in values.items():
        binary = isinstance(table.c[name].type, LargeBinary) and value is not None
        found[name] = base64.b64decode(value, validate=True) if binary else value
    return found


def _count_on(connection: Connection, table: Table) -> None:
    """PostgreSQL numbers new rows by a sequence, which knows nothing of rows that came with their number."""
    for column in table.primary_key:
        if not isinstance(column.type, Integer):
            continue
        sequence = connection.execute(
            select(func.pg_get_serial_sequence(table.name, column.name))
        ).scalar_one()
        last = connection.execute(select(func.max(column))).scalar_one()
        if sequence is not None and last is not None:
            connection.execute(select(func.setval(sequence, last)))
