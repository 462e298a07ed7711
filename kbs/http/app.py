"""The web application: two doors, one edge, nothing else reachable."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from fastapi.telemetry import TelemetryConfig
from starlette.types import ASGIApp

from kbs.administration import Administration
from kbs.broker import Broker
from kbs.http import admin, errors, guest, health
from kbs.http.edge import Edge
from kbs.http.watched import Counts, Watched
from kbs.readiness import Readiness
from kbs.store.database import Store

_NO_TELEMETRY = TelemetryConfig(
    tracing=False, metrics=False, logs=False, operation_spans=False, auto_configure=False
)
"""The framework's own would send paths, which name secrets, and bodies in the text of errors (T-CT): see kbs.observing."""


def create_app(
    broker: Broker,
    administration: Administration,
    store: Store,
    readiness: Readiness | None = None,
    counts: Counts | None = None,
) -> ASGIApp:
    """An ASGI application; every answer but 2xx has the body {"type", "detail"}."""
    # No documentation pages, and no redirects: a guest takes 3xx for a broken broker.
    app = FastAPI(
        openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, telemetry=_NO_TELEMETRY
    )
    errors.install(app)
    health.add_routes(app, readiness)

    @app.get("/.well-known/jwks.json")
    def jwks() -> JSONResponse:
        # A reader that keeps it for longer may not know the key of a rotation.
        return JSONResponse(broker.jwks(), headers={"cache-control": "public, max-age=60"})

    app.include_router(guest.router(broker))
    app.include_router(admin.router(administration, store))
    return Watched(Edge(app), counts)
