"""The administrators' routes for what is revoked, stopped, or out on lease."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from attest.claims import instant
from kbs.http.principal import By
from kbs.lease import Lease
from kbs.revocation import Revocation
from kbs.stop_administration import StopAdministration

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
    def revocations() -> list[dict[str, Any]]:
        return [_revocation(one) for one in stops.revocations()]

    @routes.post("/revocations", status_code=201)
    def revoke(by: By, new: NewRevocation) -> dict[str, Any]:
        return _revocation(stops.revoke(by, new.kind, new.value, new.reason))

    @routes.delete("/revocations/{number}")
    def lift(by: By, number: Number) -> dict[str, Any]:
        return _revocation(stops.lift(by, number))

    @routes.get("/stops")
    def listing() -> list[dict[str, Any]]:
        return [{"owner": owner or None, "reason": reason} for owner, reason in stops.stops().items()]

    @routes.post("/stops", status_code=201)
    def stop(by: By, new: NewStop) -> dict[str, Any]:
        stops.stop(by, new.owner, new.reason)
        return {"owner": new.owner, "reason": new.reason}

    @routes.delete("/stops")
    def lift_stop(by: By, owner: Annotated[str | None, Query(max_length=63)] = None) -> dict[str, Any]:
        stops.lift_stop(by, owner)
        return {"owner": owner, "reason": None}

    @routes.get("/leases")
    def leases(
        limit: Annotated[int, Query(ge=1, le=1000)] = 200, ended: Annotated[bool, Query()] = False
    ) -> dict[str, Any]:
        now, found = stops.ended_leases(limit) if ended else stops.leases(limit)
        return {"now": instant(now), "leases": [_lease(one) for one in found]}


def _revocation(one: Revocation) -> dict[str, Any]:
    return {
        "number": one.number,
        "kind": one.kind,
        "value": one.value,
        "reason": one.reason,
        "at": instant(one.at),
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
