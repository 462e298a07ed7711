"""The web application: two doors, one edge, nothing else reachable."""

from __future__ import annotations

from datetime import timedelta

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp

from kbs.administration import Administration
from kbs.broker import Broker
from kbs.http import admin, guest, health
from kbs.http.bare import bare
from kbs.http.edge import Edge
from kbs.http.watched import Counts, Watched
from kbs.readiness import Readiness
from kbs.store.database import Store


def create_app(
    broker: Broker,
    administration: Administration,
    store: Store,
    readiness: Readiness | None = None,
    counts: Counts | None = None,
    console: timedelta | None = None,
) -> ASGIApp:
    """An ASGI application; every answer but 2xx has the body {"type", "detail"}, but for pages of the console.

    console: how long who signs in there may read; None for no console.
    """
    app = bare()
    health.add_routes(app, readiness)

    @app.get("/.well-known/jwks.json")
    def jwks() -> JSONResponse:
        # A reader that keeps it for longer may not know the key of a rotation.
        return JSONResponse(broker.jwks(), headers={"cache-control": "public, max-age=60"})

    app.include_router(guest.router(broker))
    app.include_router(admin.router(administration, store))
    if console is not None:
        from kbs.http.console import open_console

        open_console(app, administration, store, console)
    return Watched(Edge(app), counts)
