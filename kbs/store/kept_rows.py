"""What machines proved, and their evidence, for as long as decisions are to be explained."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from kbs.domain import Session
from kbs.store.instants import to_row
from kbs.store.session_rows import session_of, values_of
from kbs.store.tables import kept_evidence, kept_sessions


class KeptRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, session: Session, until: datetime) -> None:
        values = {**values_of(session), "until": to_row(until)}
        self._connection.execute(insert(kept_sessions).values(values))

    def add_evidence(self, session: bytes, body: bytes, until: datetime) -> None:
        """body: the attestation as it was sent."""
        self._connection.execute(
            insert(kept_evidence).values(session=session, body=body, until=to_row(until))
        )

    def session(self, session_id: bytes) -> Session | None:
        row = self._connection.execute(select(kept_sessions).where(kept_sessions.c.id == session_id)).first()
        return None if row is None else session_of(row)

    def evidence(self, session_id: bytes) -> bytes | None:
        query = select(kept_evidence.c.body).where(kept_evidence.c.session == session_id)
        found: bytes | None = self._connection.execute(query).scalar_one_or_none()
        return found

    def forget(self, now: datetime) -> tuple[int, int]:
        """How many sessions and how much evidence had ended, and are gone."""
        ended = [
            self._connection.execute(delete(table).where(table.c.until <= to_row(now))).rowcount
            for table in (kept_sessions, kept_evidence)
        ]
        return ended[0], ended[1]
