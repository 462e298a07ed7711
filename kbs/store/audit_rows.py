"""The audit trail in the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, insert, select, update

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

    def rows(self, *, after: int = 0, limit: int | None = None) -> Iterator[AuditRow]:
        query = select(audit.c.number, audit.c.body, audit.c.hash).where(audit.c.number > after)
        for number, body, digest in self._connection.execute(query.order_by(audit.c.number).limit(limit)):
            yield AuditRow(number, _raw(body), _raw(digest))

    def by_reason(self, reason: str) -> AuditRow | None:
        query = select(audit.c.number, audit.c.body, audit.c.hash).where(audit.c.reason == reason)
        found = self._connection.execute(query).first()
        return AuditRow(found[0], _raw(found[1]), _raw(found[2])) if found else None


def _raw(value: bytes | str) -> bytes:
    """SQLite keeps whatever type a forger wrote; the chain judges the bytes."""
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
