"""An administrator's act: what changes, and the row that says so, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from attest.claims import instant
from kbs.agreement import given
from kbs.clock import Clock
from kbs.domain import InvalidName
from kbs.refusals import Refusal
from kbs.store.database import Store
from kbs.store.registry import Conflict
from kbs.store.repository import Repository

T = TypeVar("T")


class Acts:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def act(
        self, who: str, event: str, facts: Mapping[str, Any], change: Callable[[Repository, datetime], T]
    ) -> T:
        """What `change` returns, once it is committed with its row. Raises Refusal.

        change: may run several times, like every act of the store; `facts` is read after it.
        """
        agreement = given()

        def act(tx: Repository) -> T:
            now = self._clock.now(tx)
            if agreement is not None:
                agreement.spend(tx, now)
            result = change(tx, now)
            tx.audit.append({**facts, "event": event, "at": instant(now), "by": who})
            return result

        try:
            result = self._store.write(act)
        except (Conflict, InvalidName) as error:
            raise Refusal(409, "InvalidRequest", str(error)) from None
        if agreement is not None:
            agreement.committed()
        return result

    def now(self) -> datetime:
        return self._store.read(self._clock.now)

    def now_in(self, tx: Repository) -> datetime:
        return self._clock.now(tx)


def named(parse: Callable[[str], T], text: str) -> T:
    """`text` read by `parse`. Raises Refusal."""
    try:
        return parse(text)
    except InvalidName as error:
        raise Refusal(400, "InvalidRequest", str(error)) from None
