"""Acts that wait for another person, in the database."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from attest.canonical import canonical, read_json
from kbs.approval import Act, Asked
from kbs.store.instants import from_row, to_row
from kbs.store.tables import approvals


class ApprovalRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ask(self, act: Act, by: str, expires: datetime) -> None:
        self._connection.execute(
            insert(approvals).values(
                digest=act.digest,
                by=by,
                method=act.method,
                template=act.template,
                path=act.path,
                said=act.said,
                role=act.role,
                owners=canonical(sorted(act.owners)).decode(),
                expires=to_row(expires),
            )
        )

    def agree(self, digest: str, who: str) -> None:
        self._connection.execute(update(approvals).where(approvals.c.digest == digest).values(agreed=who))

    def find(self, digest: str) -> Asked | None:
        return next(iter(self._found(digest)), None)

    def all(self) -> list[Asked]:
        return self._found(None)

    def _found(self, digest: str | None) -> list[Asked]:
        query = select(approvals).order_by(approvals.c.expires, approvals.c.digest)
        if digest is not None:
            query = query.where(approvals.c.digest == digest)
        return [
            Asked(
                row.digest,
                row.by,
                row.method,
                row.template,
                row.path,
                frozenset(read_json(row.owners, where="approval")),
                from_row(row.expires),
                row.agreed,
                row.said,
                row.role,
            )
            for row in self._connection.execute(query)
        ]

    def forget(self, digest: str) -> None:
        self._connection.execute(delete(approvals).where(approvals.c.digest == digest))

    def forget_expired(self, now: datetime) -> None:
        self._connection.execute(delete(approvals).where(approvals.c.expires <= to_row(now)))
