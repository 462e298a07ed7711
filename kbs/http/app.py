"""The web application: two doors, one edge, nothing else reachable."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

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
    proxies: Sequence[str] = (),
) -> ASGIApp:
    """An ASGI application; every answer but 2xx has the body {"type", "detail"}, but for pages of the console.

    console: how long who signs in there may read; None for no console. proxies: addresses and networks whose
    X-Forwarded-For counts.
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
    served: ASGIApp = Edge(app)
    if proxies:
        # Its types are of another package than the framework's, and mean the same.
        served = cast(ASGIApp, ProxyHeadersMiddleware(cast(Any, served), list(proxies)))
    return Watched(served, counts)
