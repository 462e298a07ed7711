"""What machines proved, and their evidence, for as long as decisions are to be explained."""

from __future__ import annotations

import json
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from kbs.domain import Session
from kbs.store.instants import from_row, to_row
from kbs.store.tables import kept_evidence, kept_sessions


class KeptRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, session: Session, until: datetime) -> None:
        self._connection.execute(
            insert(kept_sessions).values(
                id=session.id,
                tee=session.tee,
                protocol=session.protocol,
                key=json.dumps(session.key),
                attested=to_row(session.attested),
                expires=to_row(session.expires),
                collateral=session.collateral,
                token_id=session.token_id,
                sealed=session.sealed,
                until=to_row(until),
            )
        )

    def add_evidence(self, session: bytes, body: bytes, until: datetime) -> None:
        """body: the attestation as it was sent."""
        self._connection.execute(
            insert(kept_evidence).values(session=session, body=body, until=to_row(until))
        )

    def session(self, session_id: bytes) -> Session | None:
        row = self._connection.execute(select(kept_sessions).where(kept_sessions.c.id == session_id)).first()
        if row is None:
            return None
        return Session(
            id=row.id,
            tee=row.tee,
            protocol=row.protocol,
            key=json.loads(row.key),
            attested=from_row(row.attested),
            expires=from_row(row.expires),
            collateral=row.collateral,
            token_id=row.token_id,
            sealed=row.sealed,
        )

    def evidence(self, session_id: bytes) -> bytes | None:
        query = select(kept_evidence.c.body).where(kept_evidence.c.session == session_id)
        found: bytes | None = self._connection.execute(query).scalar_one_or_none()
        return found

    def forget(self, now: datetime) -> None:
        for table in (kept_sessions, kept_evidence):
            self._connection.execute(delete(table).where(table.c.until <= to_row(now)))
