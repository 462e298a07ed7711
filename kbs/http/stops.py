"""The administrators' routes for what is revoked, stopped, or out on lease."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from attest.claims import instant
from kbs.access import Principal
from kbs.http.principal import Who
from kbs.lease import Lease
from kbs.revocation import Revocation
from kbs.stop_administration import StopAdministration
from kbs.stops import Stop

Number = Annotated[int, Path(ge=1, lt=1 << 31)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NewRevocation(_Strict):
    kind: str = Field(max_length=16)
    value: str = Field(max_length=520)
    reason: str = Field(max_length=500)


class NewStop(_Strict):
    """owner: null for the whole broker."""

    owner: str | None = Field(max_length=63)
    reason: str = Field(max_length=500)


def add_routes(routes: APIRouter, stops: StopAdministration) -> None:
    @routes.get("/revocations")
    def revocations(who: Who) -> list[dict[str, Any]]:
        return [_revocation(one, who) for one in stops.revocations()]

    @routes.post("/revocations", status_code=201)
    def revoke(who: Who, new: NewRevocation) -> dict[str, Any]:
        return _revocation(stops.revoke(who, new.kind, new.value, new.reason), who)

    @routes.delete("/revocations/{number}")
    def lift(who: Who, number: Number) -> dict[str, Any]:
        return _revocation(stops.lift(who, number), who)

    @routes.get("/stops")
    def listing() -> list[dict[str, Any]]:
        return [_stop(one) for one in stops.stops()]

    @routes.post("/stops", status_code=201)
    def stop(who: Who, new: NewStop) -> dict[str, Any]:
        return _stop(stops.stop(who, new.owner, new.reason))

    @routes.delete("/stops")
    def lift_stop(who: Who, owner: Annotated[str | None, Query(max_length=63)] = None) -> dict[str, Any]:
        """What stays stopped, by somebody else."""
        left = stops.lift_stop(who, owner)
        return {"owner": owner, "left": [_stop(one) for one in left]}

    @routes.get("/leases")
    def leases(
        limit: Annotated[int, Query(ge=1, le=1000)] = 200, ended: Annotated[bool, Query()] = False
    ) -> dict[str, Any]:
        now, found = stops.ended_leases(limit) if ended else stops.leases(limit)
        return {"now": instant(now), "leases": [_lease(one) for one in found]}


def _stop(one: Stop) -> dict[str, Any]:
    return {"owner": one.owner, "role": one.role, "reason": one.reason}


def _revocation(one: Revocation, who: Principal) -> dict[str, Any]:
    hidden = one.names_a_secret and who.role == "operator"  # who sees no name of a secret
    return {
        "number": one.number,
        "kind": one.kind,
        "value": None if hidden else one.value,
        "reason": one.reason,
        "at": instant(one.at),
        "role": one.role,
        "lifted": None if one.lifted is None else instant(one.lifted),
    }


def _lease(one: Lease) -> dict[str, Any]:
    return {
        "audit": one.audit,
        "session": one.session.hex(),
        "path": str(one.path),
        "version": one.version,
        "key": one.key,
        "given": instant(one.given),
        "ends": instant(one.ends),
        "platforms": list(one.platforms),
        "renewed": one.renewed,
    }
