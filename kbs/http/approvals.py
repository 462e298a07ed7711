"""The routes for acts that wait for another person."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from attest.claims import instant
from kbs.approval import Asked
from kbs.approvals import Approvals

Digest = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]


def add_routes(routes: APIRouter, approvals: Approvals) -> None:
    @routes.get("/approvals")
    def waiting(request: Request) -> list[dict[str, Any]]:
        return [_asked(one) for one in approvals.waiting(request.state.who)]

    @routes.post("/approvals/{digest}")
    def agree(request: Request, digest: Digest) -> dict[str, Any]:
        return _asked(approvals.agree(request.state.who, digest))

    @routes.delete("/approvals/{digest}")
    def refuse(request: Request, digest: Digest) -> dict[str, Any]:
        return _asked(approvals.refuse(request.state.who, digest))


def _asked(one: Asked) -> dict[str, Any]:
    return {
        "digest": one.digest,
        "by": one.by,
        "request": one.said,
        "owners": sorted(one.owners),
        "expires": instant(one.expires),
        "agreed": one.agreed,
    }
