"""Acts that wait for another person: asked for, agreed to, refused. Each step with its audit row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from attest.claims import instant
from kbs.access import Principal
from kbs.acts import Acts
from kbs.agreement import Agreement
from kbs.approval import Act, Asked, may_agree, may_see
from kbs.refusals import Refusal
from kbs.store.database import Store
from kbs.store.registry import Conflict
from kbs.store.repository import Repository

LIFE: Final = timedelta(hours=24)


class Approvals:
    """Raises Refusal."""

    def __init__(self, store: Store, acts: Acts) -> None:
        self._store = store
        self._acts = acts

    def given_or_asked(self, who: Principal, act: Act, state: Callable[[Repository], str]) -> Agreement:
        """What another agreed to is exactly this, once; it is asked for otherwise. Raises Refusal.

        state: of what the act would destroy, as it stands in the transaction that does it.
        """
        digest = act.digest
        known = self._store.read(lambda tx: (tx.approvals.find(digest), self._acts.now_in(tx)))
        asked, now = known
        if asked is not None and now < asked.expires and asked.agreed is not None and asked.by == who.name:
            return Agreement(lambda tx, now: self._use(tx, who, act, state(tx), now))
        if asked is None or now >= asked.expires:
            self._ask(who, act)
        raise Refusal(
            409,
            "InvalidRequest",
            f"another person must agree first: kbs approve confirm {digest} (within {LIFE.total_seconds() / 3600:.0f} "
            "hours); then ask the same again",
        )

    def _use(self, tx: Repository, who: Principal, act: Act, state: str, now: datetime) -> None:
        """Once, on what was agreed to, and only while whoever agreed is somebody who may."""
        digest = act.digest
        asked = tx.approvals.find(digest)
        if asked is None:
            raise Conflict("it was used already")
        if state != act.state:
            raise Conflict("what was agreed to has changed meanwhile: ask again")
        people = [one for one, _ in tx.registry.principals() if one.expires is None or now < one.expires]
        if not any(one.name == asked.agreed and may_agree(one, asked) for one in people):
            raise Conflict(
                f"{asked.agreed}, who agreed, may not any more; kbs approve refuse {digest}, then ask again"
            )
        tx.approvals.forget(digest)
        row = {"act": digest, "agreed-by": asked.agreed, "request": asked.said}
        tx.audit.append({**row, "event": "approval-used", "at": instant(now), "by": who.name})

    def _ask(self, who: Principal, act: Act) -> None:
        facts = {"act": act.digest, "request": act.said}

        def change(tx: Repository, now: datetime) -> None:
            tx.approvals.forget_expired(now)
            if tx.approvals.find(act.digest) is None:
                tx.approvals.ask(act, who.name, now + LIFE)

        self._acts.act(who.name, "approval-asked", facts, change)

    def agree(self, who: Principal, digest: str) -> Asked:
        return self._answer(who, digest, "approval-given")

    def refuse(self, who: Principal, digest: str) -> Asked:
        return self._answer(who, digest, "approval-refused")

    def _answer(self, who: Principal, digest: str, event: str) -> Asked:
        facts: dict[str, Any] = {"act": digest}

        def change(tx: Repository, now: datetime) -> Asked:
            asked = tx.approvals.find(digest)
            if asked is None or now >= asked.expires:
                raise Conflict("no act of this digest waits: it was used, refused, or its time is over")
            if not may_agree(who, asked):
                raise Refusal(
                    403,
                    "AdminAuthAccess",
                    "another person than he who asked, who may do it himself, must agree",
                )
            facts["request"], facts["asked-by"] = asked.said, asked.by
            if event == "approval-given":
                tx.approvals.agree(digest, who.name)
            else:
                tx.approvals.forget(digest)
            return asked

        return self._acts.act(who.name, event, facts, change)

    def waiting(self, who: Principal) -> list[Asked]:
        """Those that `who` may read of."""

        def look(tx: Repository) -> list[Asked]:
            now = self._acts.now_in(tx)
            return [one for one in tx.approvals.all() if now < one.expires and may_see(who, one)]

        return self._store.read(look)
