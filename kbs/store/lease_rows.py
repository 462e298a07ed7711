"""Leases in the database."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert, select

from kbs.domain import ResourcePath
from kbs.lease import Lease
from kbs.store.instants import from_row, to_row
from kbs.store.tables import leases


class LeaseRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, lease: Lease) -> None:
        self._connection.execute(
            insert(leases).values(
                audit=lease.audit,
                session=lease.session,
                path=str(lease.path),
                version=lease.version,
                key=lease.key,
                given=to_row(lease.given),
                ends=to_row(lease.ends),
            )
        )

    def ending_after(self, at: datetime, limit: int) -> list[Lease]:
        """Those that end last come last."""
        query = select(leases).where(leases.c.ends > to_row(at)).order_by(leases.c.ends, leases.c.audit)
        return [
            Lease(
                row.audit,
                row.session,
                ResourcePath.parse(row.path),
                row.version,
                row.key,
                from_row(row.given),
                from_row(row.ends),
            )
            for row in self._connection.execute(query.limit(limit))
        ]
