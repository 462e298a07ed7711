"""Revoking, stopping, and lifting either; what is out on lease. Each act with its audit row."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from kbs.access import Principal, Role
from kbs.acts import Acts, named
from kbs.domain import owner_name
from kbs.lease import Lease
from kbs.refusals import Refusal
from kbs.revocation import Revocation, revocable
from kbs.stops import Stop, may_lift
from kbs.store.database import Store
from kbs.store.registry import Conflict
from kbs.store.repository import Repository

_REASON: Final = 500


class StopAdministration:
    """Whatever changes something takes the principal first: for the trail, and because whoever may end a protection
    depends on who made it. Raises Refusal."""

    def __init__(self, store: Store, acts: Acts) -> None:
        self._store = store
        self._acts = acts

    def revoke(self, who: Principal, kind: str, value: str, reason: str) -> Revocation:
        """In force at the next request, at every replica."""
        found, spelled = named(lambda text: revocable(kind, text), value)
        facts: dict[str, Any] = {"revoked": f"{found} {spelled}", "reason-given": _reason(reason)}

        def change(tx: Repository, now: datetime) -> Revocation:
            made = tx.revocations.add(found, spelled, _reason(reason), who.role, now)
            facts.update(revocation=made.number, epoch=_changed(tx))
            return made

        return self._acts.act(who.name, "revoked", facts, change)

    def lift(self, who: Principal, number: int) -> Revocation:
        facts: dict[str, Any] = {"revocation": number}

        def change(tx: Repository, now: datetime) -> Revocation:
            lifted = tx.revocations.lift(number, now)
            if not may_lift(who.role, lifted.role):
                raise _not_to_lift(who, "revoked", lifted.role)
            facts.update(revoked=f"{lifted.kind} {lifted.value}", epoch=_changed(tx))
            return lifted

        return self._acts.act(who.name, "revocation-lifted", facts, change)

    def revocations(self) -> list[Revocation]:
        """Those that were lifted too."""
        return self._store.read(lambda tx: tx.revocations.all())

    def stop(self, who: Principal, owner: str | None, reason: str) -> Stop:
        """Nothing that this owner shares is released from now on; None: nothing at all."""
        made = Stop(owner, who.role, _reason(reason))
        facts = _of(owner) | {"role": made.role, "reason-given": made.reason}

        def change(tx: Repository, now: datetime) -> Stop:
            _known(tx, owner)
            tx.stops.put(made)
            facts["epoch"] = _changed(tx)
            return made

        return self._acts.act(who.name, "stopped", facts, change)

    def lift_stop(self, who: Principal, owner: str | None) -> list[Stop]:
        """Those that he may lift. Returns what stays stopped all the same."""
        facts = _of(owner)

        def change(tx: Repository, now: datetime) -> list[Stop]:
            _known(tx, owner)
            found = tx.stops.of(owner)
            his = [one for one in found if may_lift(who.role, one.role)]
            if found and not his:
                raise _not_to_lift(who, "stopped", found[0].role)
            for one in his:
                tx.stops.lift(owner, one.role)
            facts["lifted"] = [one.role for one in his]
            facts["epoch"] = _changed(tx)
            return [one for one in found if one not in his]

        return self._acts.act(who.name, "stop-lifted", facts, change)

    def stops(self) -> list[Stop]:
        return self._store.read(lambda tx: tx.stops.all())

    def leases(self, limit: int) -> tuple[datetime, list[Lease]]:
        """Now, and the leases that have not ended."""
        now = self._acts.now()
        return now, self._store.read(lambda tx: tx.leases.ending_after(now, limit))

    def ended_leases(self, limit: int) -> tuple[datetime, list[Lease]]:
        """Now, and the leases that ended in the last 30 days and were not renewed."""
        now = self._acts.now()
        return now, self._store.read(lambda tx: tx.leases.not_renewed(now, limit))


def _of(owner: str | None) -> dict[str, Any]:
    return {"all": True} if owner is None else {"owner": named(owner_name, owner)}


def _known(tx: Repository, owner: str | None) -> None:
    if owner is not None and tx.registry.owner(owner) is None:
        raise Conflict(f"there is no owner {owner}")


def _changed(tx: Repository) -> int:
    tx.broker.changed()
    return tx.broker.state().epoch


def _not_to_lift(who: Principal, what: str, by: Role) -> Refusal:
    lifting = "an administrator" if by == "administrator" else f"an administrator, or an {by},"
    return Refusal(
        403,
        "AdminAuthAccess",
        f"it was {what} by an {by}: {lifting} lifts that, and {who.name} is an {who.role}",
    )


def _reason(text: str) -> str:
    """Raises Refusal."""
    if not 1 <= len(text.strip()) <= _REASON:
        raise Refusal(400, "InvalidRequest", f"give a reason, of at most {_REASON} characters")
    return text.strip()
