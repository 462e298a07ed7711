"""What each session was given, for as long as it lives: so that a lost answer can be had again."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from kbs.domain import Given, ResourcePath
from kbs.store.instants import from_row, to_row
from kbs.store.tables import leases, releases


class ReleaseRows:
    """A release is of one version of a resource to one session and key. session: SHA-256 of what names it. key:
    the thumbprint that the secret was wrapped for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def given(self, session: bytes, path: ResourcePath) -> tuple[Given, ...]:
        """What this session was given of `path`, in order of versions."""
        query = (
            select(releases.c.version, releases.c.key, releases.c.audit, leases.c.ends)
            .outerjoin(leases, leases.c.audit == releases.c.audit)
            .where(releases.c.session == session, releases.c.path == str(path))
        )
        rows = self._connection.execute(query.order_by(releases.c.version, releases.c.audit))
        return tuple(
            Given(row.version, row.key, row.audit, None if row.ends is None else from_row(row.ends))
            for row in rows
        )

    def add(
        self, session: bytes, path: ResourcePath, version: int, key: str, *, audit: int, expires: datetime
    ) -> None:
        """audit: the row's number. expires: the session's end."""
        self._connection.execute(
            insert(releases).values(
                session=session,
                path=str(path),
                version=version,
                key=key,
                audit=audit,
                expires=to_row(expires),
            )
        )

    def forget_all(self) -> None:
        self._connection.execute(delete(releases))

    def forget_expired(self, now: datetime) -> None:
        self._connection.execute(delete(releases).where(releases.c.expires <= to_row(now)))
