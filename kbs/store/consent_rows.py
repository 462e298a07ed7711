"""Consents in the database, as they were signed."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select, update

from kbs.consent import Standing
from kbs.domain import ResourcePath
from kbs.store.count_rows import CountRows
from kbs.store.registry import Conflict
from kbs.store.tables import consent_keys, consents, owners


def of_consent(owner: str, sequence: int) -> str:
    """The name that releases under a consent are counted under."""
    return f"consent {owner}#{sequence}"


class ConsentRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def sequence(self, owner: str) -> int:
        """The highest that this owner used. Raises Conflict."""
        found = self._connection.execute(select(owners.c.sequence).where(owners.c.name == owner)).scalar()
        if found is None:
            raise Conflict(f"there is no owner {owner}")
        return int(found)

    def use(self, owner: str, sequence: int) -> None:
        """Raises Conflict where it is not higher than all before."""
        changed = self._connection.execute(
            update(owners)
            .where(owners.c.name == owner, owners.c.sequence < sequence)
            .values(sequence=sequence)
        )
        if changed.rowcount == 0:
            raise Conflict(
                f"sequence {sequence} of {owner} was used, or a higher one: the next is {self.sequence(owner) + 1}"
            )

    def keys(self, owner: str) -> bytes | None:
        query = select(consent_keys.c.document).where(consent_keys.c.owner == owner)
        found: bytes | None = self._connection.execute(query).scalar_one_or_none()
        return found

    def put_keys(self, owner: str, document: bytes) -> None:
        """What was consented to under other keys counts no more."""
        changed = self._connection.execute(
            update(consent_keys).where(consent_keys.c.owner == owner).values(document=document)
        )
        if changed.rowcount == 0:
            self._connection.execute(insert(consent_keys).values(owner=owner, document=document))
        self._connection.execute(delete(consents).where(consents.c.owner == owner))

    def put(self, owner: str, path: ResourcePath, sequence: int, document: bytes) -> None:
        """In the place of the one that was there."""
        same = (consents.c.owner == owner) & (consents.c.path == str(path))
        values = {"sequence": sequence, "document": document}
        if self._connection.execute(update(consents).where(same).values(values)).rowcount == 0:
            self._connection.execute(insert(consents).values(owner=owner, path=str(path), **values))

    def withdraw(self, owner: str, path: ResourcePath) -> None:
        done = self._connection.execute(
            delete(consents).where(consents.c.owner == owner, consents.c.path == str(path))
        )
        if done.rowcount == 0:
            raise Conflict(f"{owner} has given no consent for {path}")

    def standing(self, owner: str, path: ResourcePath) -> Standing:
        keys = self.keys(owner)
        if keys is None:
            return Standing(None)
        row = self._connection.execute(
            select(consents).where(consents.c.owner == owner, consents.c.path == str(path))
        ).first()
        if row is None:
            return Standing(keys)
        name = of_consent(owner, row.sequence)
        return Standing(keys, row.document, row.sequence, name, CountRows(self._connection).of(name))

    def all(self) -> list[tuple[str, ResourcePath, bytes]]:
        rows = self._connection.execute(select(consents).order_by(consents.c.owner, consents.c.path))
        return [(row.owner, ResourcePath.parse(row.path), row.document) for row in rows]
