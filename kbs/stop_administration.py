"""Revoking, stopping, and lifting either; what is out on lease. Each act with its audit row."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from kbs.acts import Acts, named
from kbs.domain import owner_name
from kbs.lease import Lease
from kbs.refusals import Refusal
from kbs.revocation import Revocation, revocable
from kbs.store.database import Store
from kbs.store.repository import Repository

_REASON: Final = 500


class StopAdministration:
    """Whatever changes something takes the principal's name first, for the trail. Raises Refusal."""

    def __init__(self, store: Store, acts: Acts) -> None:
        self._store = store
        self._acts = acts

    def revoke(self, who: str, kind: str, value: str, reason: str) -> Revocation:
        """In force at the next request, at every replica."""
        found, spelled = named(lambda text: revocable(kind, text), value)
        facts: dict[str, Any] = {"revoked": f"{found} {spelled}", "reason-given": _reason(reason)}

        def change(tx: Repository, now: datetime) -> Revocation:
            made = tx.revocations.add(found, spelled, _reason(reason), now)
            tx.broker.changed()
            facts.update(revocation=made.number, epoch=tx.broker.state().epoch)
            return made

        return self._acts.act(who, "revoked", facts, change)

    def lift(self, who: str, number: int) -> Revocation:
        facts: dict[str, Any] = {"revocation": number}

        def change(tx: Repository, now: datetime) -> Revocation:
            lifted = tx.revocations.lift(number, now)
            tx.broker.changed()
            facts.update(revoked=f"{lifted.kind} {lifted.value}", epoch=tx.broker.state().epoch)
            return lifted

        return self._acts.act(who, "revocation-lifted", facts, change)

    def revocations(self) -> list[Revocation]:
        """Those that were lifted too."""
        return self._store.read(lambda tx: tx.revocations.all())

    def stop(self, who: str, owner: str | None, reason: str) -> None:
        """Nothing that this owner shares is released from now on; None: nothing at all."""
        self._stop(who, owner, _reason(reason))

    def lift_stop(self, who: str, owner: str | None) -> None:
        self._stop(who, owner, None)

    def _stop(self, who: str, owner: str | None, reason: str | None) -> None:
        facts: dict[str, Any] = {"owner": owner} if owner is not None else {"all": True}
        if owner is not None:
            named(owner_name, owner)
        if reason is not None:
            facts["reason-given"] = reason

        def change(tx: Repository, now: datetime) -> None:
            if owner is None:
                tx.broker.stop(reason)
            else:
                tx.registry.stop_owner(owner, reason)
                tx.broker.changed()
            facts["epoch"] = tx.broker.state().epoch

        self._acts.act(who, "stopped" if reason is not None else "stop-lifted", facts, change)

    def stops(self) -> dict[str, str]:
        """Owner, or an empty name for the broker → reason."""

        def look(tx: Repository) -> dict[str, str]:
            whole = tx.broker.state().stopped
            found = {} if whole is None else {"": whole}
            return found | {one.name: one.stopped for one in tx.registry.owners() if one.stopped is not None}

        return self._store.read(look)

    def leases(self, limit: int) -> tuple[datetime, list[Lease]]:
        """Now, and the leases that have not ended."""
        now = self._acts.now()
        return now, self._store.read(lambda tx: tx.leases.ending_after(now, limit))

    def ended_leases(self, limit: int) -> tuple[datetime, list[Lease]]:
        """Now, and the leases that ended in the last 30 days and were not renewed."""
        now = self._acts.now()
        return now, self._store.read(lambda tx: tx.leases.not_renewed(now, limit))


def _reason(text: str) -> str:
    """Raises Refusal."""
    if not 1 <= len(text.strip()) <= _REASON:
        raise Refusal(400, "InvalidRequest", f"give a reason, of at most {_REASON} characters")
    return text.strip()
