"""The audit trail in the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, insert, select, update

from attest.claims import read_instant
from attest.errors import Malformed
from kbs.audit import GENESIS, AuditRow, Head, next_row
from kbs.store.audit_marks import marks
from kbs.store.instants import to_row
from kbs.store.tables import audit, audit_head

_ROW: Final = select(audit.c.number, audit.c.body, audit.c.hash)


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
            insert(audit).values(number=row.number, body=row.body, hash=row.hash, **marks(content))
        )
        self._connection.execute(update(audit_head).where(audit_head.c.id == 1).values(hash=row.hash))
        return row

    def head(self) -> Head:
        found = self._connection.execute(select(audit_head.c.number, audit_head.c.hash)).one_or_none()
        return Head(*found) if found else Head(0, GENESIS)

    def newest(self) -> datetime | None:
        """When the last act was, by the row it left; None where there is none."""
        query = _ROW.order_by(audit.c.number.desc()).limit(1)
        last = self._connection.execute(query).first()
        return read_instant(AuditRow(last[0], _raw(last[1]), _raw(last[2])).content["at"]) if last else None

    def holds(self, head: Head) -> bool:
        """Whether this head, kept elsewhere, is a row of the trail: what was cut, or rolled back, lacks it."""
        query = select(audit.c.hash).where(audit.c.number == head.number)
        found = self._connection.execute(query).scalar_one_or_none()
        return found is not None and _raw(found) == head.hash

    def rows(
        self,
        *,
        after: int = 0,
        limit: int | None = None,
        session: str | None = None,
        path: str | None = None,
    ) -> Iterator[AuditRow]:
        """session: 64 hex digits. path: of a secret, or a rule's pattern."""
        query = _about(session, path).where(audit.c.number > after)
        yield from self._found(query.order_by(audit.c.number).limit(limit))

    def of_path(self, path: str, since: datetime) -> Iterator[AuditRow]:
        """Of a secret, from a time on, the oldest first."""
        query = _ROW.where(audit.c.path == path, audit.c.at >= to_row(since))
        yield from self._found(query.order_by(audit.c.at, audit.c.number))

    def proved(self, stray: Callable[[int], None]) -> Iterator[AuditRow]:
        """All rows; `stray` gets the number of each that its marks do not find."""
        query = select(audit).order_by(audit.c.number).execution_options(yield_per=1000)
        for found in self._connection.execute(query):
            row = AuditRow(found.number, _raw(found.body), _raw(found.hash))
            # What is no JSON any more, the chain says.
            with suppress(Malformed):
                if any(getattr(found, name) != value for name, value in marks(row.content).items()):
                    stray(row.number)
            yield row

    def _found(self, query: Select[int, bytes, bytes]) -> Iterator[AuditRow]:
        for number, body, digest in self._connection.execute(query.execution_options(yield_per=1000)):
            yield AuditRow(number, _raw(body), _raw(digest))

    def rows_back(
        self, *, before: int | None, limit: int, session: str | None = None, path: str | None = None
    ) -> Iterator[AuditRow]:
        """The newest first, of those before this number."""
        query = _about(session, path)
        if before is not None:
            query = query.where(audit.c.number < before)
        yield from self._found(query.order_by(audit.c.number.desc()).limit(limit))

    def by_reason(self, reason: str) -> AuditRow | None:
        found = self._connection.execute(_ROW.where(audit.c.reason == reason)).first()
        return AuditRow(found[0], _raw(found[1]), _raw(found[2])) if found else None


def _about(session: str | None, path: str | None) -> Select[int, bytes, bytes]:
    query = _ROW
    if session is not None:
        query = query.where(audit.c.session == session)
    if path is not None:
        query = query.where(audit.c.path == path)
    return query


def _raw(value: bytes | str) -> bytes:
    """SQLite keeps whatever type a forger wrote; the chain judges the bytes."""
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
