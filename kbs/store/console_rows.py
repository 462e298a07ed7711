"""Who reads in the console, in the database: hashes only."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from kbs.store.instants import to_row
from kbs.store.tables import console_sessions


class ConsoleRows:
    """session_id: SHA-256 of the cookie. holder: of what he signed in with."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, session_id: bytes, holder: bytes, now: datetime, expires: datetime) -> None:
        """Those that ended go with it."""
        self._connection.execute(delete(console_sessions).where(console_sessions.c.expires <= to_row(now)))
        self._connection.execute(
            insert(console_sessions).values(
                id=session_id, holder=holder, created=to_row(now), expires=to_row(expires)
            )
        )

    def holder_of(self, session_id: bytes, now: datetime) -> bytes | None:
        """None where it ended or never was."""
        query = select(console_sessions.c.holder).where(
            console_sessions.c.id == session_id, console_sessions.c.expires > to_row(now)
        )
        found: bytes | None = self._connection.execute(query).scalar_one_or_none()
        return found

    def forget(self, session_id: bytes) -> None:
        self._connection.execute(delete(console_sessions).where(console_sessions.c.id == session_id))
