"""The audit trail in the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from attest.claims import read_instant
from kbs.audit import GENESIS, AuditRow, Head, next_row
from kbs.store.tables import audit, audit_head


class AuditRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, content: Mapping[str, Any]) -> AuditRow:
        """One row more, in this transaction.

        The head is updated first, so that writers queue for its lock, and a row is never chained to one
        that another transaction is about to write.
        """
        locked = self._connection.execute(
            update(audit_head).where(audit_head.c.id == 1).values(number=audit_head.c.number + 1)
        )
        if locked.rowcount != 1:
            self._connection.execute(insert(audit_head).values(id=1, number=1, hash=GENESIS))
        number, previous = self._connection.execute(select(audit_head.c.number, audit_head.c.hash)).one()
        row = next_row(Head(number - 1, previous), content)
        self._connection.execute(
            insert(audit).values(
                number=row.number, reason=content.get("reason"), body=row.body, hash=row.hash
            )
        )
        self._connection.execute(update(audit_head).where(audit_head.c.id == 1).values(hash=row.hash))
        return row

    def head(self) -> Head:
        found = self._connection.execute(select(audit_head.c.number, audit_head.c.hash)).one_or_none()
        return Head(*found) if found else Head(0, GENESIS)

    def newest(self) -> datetime | None:
        """When the last act was, by the row it left; None where there is none."""
        query = select(audit.c.number, audit.c.body, audit.c.hash).order_by(audit.c.number.desc()).limit(1)
        last = self._connection.execute(query).first()
        return read_instant(AuditRow(last[0], _raw(last[1]), _raw(last[2])).content["at"]) if last else None

    def holds(self, head: Head) -> bool:
        """Whether this head, kept elsewhere, is a row of the trail: what was cut, or rolled back, lacks it."""
        query = select(audit.c.hash).where(audit.c.number == head.number)
        found = self._connection.execute(query).scalar_one_or_none()
        return found is not None and _raw(found) == head.hash

    def rows(self, *, after: int = 0, limit: int | None = None) -> Iterator[AuditRow]:
        query = select(audit.c.number, audit.c.body, audit.c.hash).where(audit.c.number > after)
        query = query.order_by(audit.c.number).limit(limit).execution_options(yield_per=1000)
        for number, body, digest in self._connection.execute(query):
            yield AuditRow(number, _raw(body), _raw(digest))

    def rows_back(self, *, before: int | None, limit: int) -> Iterator[AuditRow]:
        """The newest first, of those before this number."""
        query = select(audit.c.number, audit.c.body, audit.c.hash)
        if before is not None:
            query = query.where(audit.c.number < before)
        query = query.order_by(audit.c.number.desc()).limit(limit).execution_options(yield_per=1000)
        for number, body, digest in self._connection.execute(query):
            yield AuditRow(number, _raw(body), _raw(digest))

    def of_session(self, session: str) -> Iterator[AuditRow]:
        """Of a session by its name in rows, 64 hex digits."""
        mark = f'"session":"{session}"'.encode()
        return (row for row in self.rows() if mark in row.body)

    def by_reason(self, reason: str) -> AuditRow | None:
        query = select(audit.c.number, audit.c.body, audit.c.hash).where(audit.c.reason == reason)
        found = self._connection.execute(query).first()
        return AuditRow(found[0], _raw(found[1]), _raw(found[2])) if found else None


def _raw(value: bytes | str) -> bytes:
    """SQLite keeps whatever type a forger wrote; the chain judges the bytes."""
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
