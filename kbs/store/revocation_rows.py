"""Revocations in the database. None is ever deleted: one that was lifted stays as that."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, Row, Select, insert, select, update

from kbs.access import Role
from kbs.revocation import Kind, Revocation
from kbs.store.instants import from_row, to_row
from kbs.store.registry import Conflict
from kbs.store.tables import revocations


class RevocationRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def in_force(self) -> list[Revocation]:
        return self._found(select(revocations).where(revocations.c.lifted.is_(None)))

    def all(self) -> list[Revocation]:
        return self._found(select(revocations))

    def add(self, kind: Kind, value: str, reason: str, role: Role, now: datetime) -> Revocation:
        # Each role's stands for itself: one that was there first would otherwise take the other's with it when it is lifted.
        same = (revocations.c.kind == kind) & (revocations.c.value == value) & (revocations.c.role == role)
        if self._found(select(revocations).where(same, revocations.c.lifted.is_(None))):
            raise Conflict(f"{kind} {value} is revoked already, by an {role}")
        self._connection.execute(
            insert(revocations).values(kind=kind, value=value, reason=reason, role=role, at=to_row(now))
        )
        (made,) = self._found(select(revocations).where(same, revocations.c.lifted.is_(None)))
        return made

    def lift(self, number: int, now: datetime) -> Revocation:
        changed = self._connection.execute(
            update(revocations)
            .where(revocations.c.number == number, revocations.c.lifted.is_(None))
            .values(lifted=to_row(now))
        )
        if changed.rowcount == 0:
            raise Conflict(f"there is no revocation {number} in force")
        (lifted,) = self._found(select(revocations).where(revocations.c.number == number))
        return lifted

    def _found(self, query: Select[tuple[object, ...]]) -> list[Revocation]:
        rows: Iterable[Row[tuple[object, ...]]] = self._connection.execute(
            query.order_by(revocations.c.number)
        )
        return [
            Revocation(
                row.number,
                row.kind,
                row.value,
                row.reason,
                from_row(row.at),
                row.role,
                None if row.lifted is None else from_row(row.lifted),
            )
            for row in rows
        ]
