"""How often something was released, repeats left out."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update

from kbs.domain import ResourcePath
from kbs.store.instants import from_row, to_row
from kbs.store.tables import counts
from kbs.terms import Count


def of_version(path: ResourcePath, version: int) -> str:
    """The name that releases of a version are counted under."""
    return f"version {path}@{version}"


class CountRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, name: str) -> Count:
        row = self._connection.execute(
            select(counts.c.given, counts.c.first).where(counts.c.name == name)
        ).first()
        return Count() if row is None else Count(row.given, from_row(row.first))

    def add_within(self, name: str, now: datetime, time: timedelta) -> None:
        """One more of the time that began with the first; the first of another where that is over."""
        changed = self._connection.execute(
            update(counts)
            .where(counts.c.name == name, counts.c.first <= to_row(now - time))
            .values(given=1, first=to_row(now))
        )
        if changed.rowcount == 0:
            self.add(name, now)

    def add(self, name: str, now: datetime) -> None:
        changed = self._connection.execute(
            update(counts).where(counts.c.name == name).values(given=counts.c.given + 1)
        )
        if changed.rowcount == 0:
            self._connection.execute(insert(counts).values(name=name, given=1, first=to_row(now)))
