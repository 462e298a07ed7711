"""The one row about the broker itself: its name, and how often something was revoked or stopped."""

from __future__ import annotations

import os
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from kbs.store.tables import broker


def give_name(connection: Connection) -> None:
    """A random one, once: consents name the broker that they are for."""
    if connection.execute(select(broker.c.id)).first() is None:
        connection.execute(
            insert(broker).values(id=1, name=os.urandom(16).hex(), epoch=0, tag=os.urandom(16).hex())
        )


@dataclass(frozen=True, slots=True)
class BrokerState:
    """name: 32 hex digits. tag, epoch: of the newest change of what is revoked or stopped."""

    name: str
    tag: str
    epoch: int


class BrokerRow:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def state(self) -> BrokerState:
        row = self._connection.execute(select(broker)).one()
        return BrokerState(row.name, row.tag, row.epoch)

    def changed(self) -> None:
        """Something was revoked, stopped or lifted. The tag is another each time, so that two databases that went
        different ways from one backup are told apart."""
        self._connection.execute(update(broker).values(epoch=broker.c.epoch + 1, tag=os.urandom(16).hex()))
