"""The route for what ends soon."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from attest.claims import instant
from kbs.expiring import Ending, Expiring
from kbs.http.principal import Who


def add_routes(routes: APIRouter, expiring: Expiring) -> None:
    @routes.get("/expiring")
    def listing(
        who: Who,
        owner: Annotated[str | None, Query(max_length=63)] = None,
        days: Annotated[int, Query(ge=1, le=3650)] = 30,
    ) -> dict[str, Any]:
        # An operator sees no name of a secret.
        now, found = expiring.ending(owner, days, service_only=who.role == "operator")
        return {"now": instant(now), "ending": [_ending(one) for one in found]}


def _ending(one: Ending) -> dict[str, Any]:
    return {"kind": one.kind, "what": one.what, "owner": one.owner or None, "ends": instant(one.ends)}
