"""Leases in the database."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, Select, delete, insert, select, update

from attest.canonical import canonical, read_json
from kbs.domain import ResourcePath
from kbs.lease import KEPT, Lease
from kbs.store.instants import from_row, to_row
from kbs.store.tables import leases


class LeaseRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, lease: Lease) -> None:
        """It renews those that the same machine had of the same path."""
        if lease.machine:
            same = (leases.c.machine == lease.machine) & (leases.c.path == str(lease.path))
            self._connection.execute(
                update(leases).where(same, leases.c.renewed.is_(None)).values(renewed=lease.audit)
            )
        self._connection.execute(
            insert(leases).values(
                audit=lease.audit,
                session=lease.session,
                path=str(lease.path),
                version=lease.version,
                key=lease.key,
                given=to_row(lease.given),
                ends=to_row(lease.ends),
                machine=lease.machine,
                platforms=canonical(list(lease.platforms)).decode(),
            )
        )

    def ending_after(self, at: datetime, limit: int) -> list[Lease]:
        """Those that end last come last."""
        out = select(leases).where(leases.c.ends > to_row(at))
        return self._found(out.order_by(leases.c.ends, leases.c.audit).limit(limit))

    def not_renewed(self, at: datetime, limit: int) -> list[Lease]:
        """Those that ended, and the machine was given nothing of the path since. Those that ended last come first."""
        ended = select(leases).where(leases.c.ends <= to_row(at), leases.c.renewed.is_(None))
        return self._found(ended.order_by(leases.c.ends.desc(), leases.c.audit.desc()).limit(limit))

    def forget(self, now: datetime) -> None:
        self._connection.execute(delete(leases).where(leases.c.ends <= to_row(now - KEPT)))

    def _found(self, query: Select[tuple[object, ...]]) -> list[Lease]:
        return [
            Lease(
                row.audit,
                row.session,
                ResourcePath.parse(row.path),
                row.version,
                row.key,
                from_row(row.given),
                from_row(row.ends),
                tuple(read_json(row.platforms, where="lease")),
                row.renewed,
            )
            for row in self._connection.execute(query)
        ]
