"""Emergency stops in the database: of an owner or of the whole broker, and who by their role may lift each."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from kbs.access import Role
from kbs.stops import Stop
from kbs.store.tables import stops

_WHOLE = ""
"""Stands for the whole broker where an owner's name stands."""


class StopRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> list[Stop]:
        rows = self._connection.execute(select(stops).order_by(stops.c.owner, stops.c.role))
        return [Stop(row.owner or None, row.role, row.reason) for row in rows]

    def of(self, owner: str | None) -> list[Stop]:
        return [one for one in self.all() if one.owner == owner]

    def put(self, stop: Stop) -> None:
        """In the place of the one by the same role."""
        self.lift(stop.owner, stop.role)
        values = {"owner": stop.owner or _WHOLE, "role": stop.role, "reason": stop.reason}
        self._connection.execute(insert(stops).values(values))

    def lift(self, owner: str | None, role: Role) -> None:
        same = (stops.c.owner == (owner or _WHOLE)) & (stops.c.role == role)
        self._connection.execute(delete(stops).where(same))
