"""What is kept of a principal besides who he is: the key before his, and the day he was last here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, or_, select, update

from kbs.store.instants import from_row, to_row
from kbs.store.tables import principals


@dataclass(frozen=True, slots=True)
class FormerKey:
    """hash: SHA-256. It counts before `ends`."""

    hash: bytes
    ends: datetime


class PrincipalRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def renew(self, name: str, key_hash: bytes, former: FormerKey | None) -> None:
        """key_hash: of the key that counts from now on. former: the one before it, None where that ends at once; one
        that was former until now ends in any case."""
        self._connection.execute(
            update(principals)
            .where(principals.c.name == name)
            .values(
                key_hash=key_hash,
                former_hash=None if former is None else former.hash,
                former_ends=None if former is None else to_row(former.ends),
            )
        )

    def former(self, now: datetime) -> dict[str, FormerKey]:
        """By name; only those that count still."""
        rows = self._connection.execute(
            select(principals.c.name, principals.c.former_hash, principals.c.former_ends).where(
                principals.c.former_hash.is_not(None), principals.c.former_ends > to_row(now)
            )
        )
        return {row.name: FormerKey(row.former_hash, from_row(row.former_ends)) for row in rows}

    def use(self, name: str, day: datetime) -> None:
        """Leaves a later day as it is."""
        used = principals.c.used
        self._connection.execute(
            update(principals)
            .where(principals.c.name == name, or_(used.is_(None), used < to_row(day)))
            .values(used=to_row(day))
        )

    def used_on(self, name: str) -> datetime | None:
        found = self._connection.execute(
            select(principals.c.used).where(principals.c.name == name)
        ).scalar_one_or_none()
        return None if found is None else from_row(found)

    def used(self) -> dict[str, datetime]:
        """The days, at midnight in UTC, by name."""
        rows = self._connection.execute(
            select(principals.c.name, principals.c.used).where(principals.c.used.is_not(None))
        )
        return {row.name: from_row(row.used) for row in rows}
