"""Whether the process lives, and whether it can serve: for whoever starts it and sends guests to it. Anybody may ask, so
neither says more."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from kbs.http.errors import NO_STORE
from kbs.readiness import Readiness
from kbs.refusals import Refusal


def add_routes(app: FastAPI, readiness: Readiness | None) -> None:
    @app.get("/healthz")
    async def healthz() -> JSONResponse:
        return JSONResponse({"status": "serving"}, headers=NO_STORE)

    if readiness is None:
        return

    @app.get("/readyz")
    def readyz() -> JSONResponse:
        if not readiness.ready:
            raise Refusal(503, "InternalError", "not ready")
        return JSONResponse({"status": "ready"}, headers=NO_STORE)
