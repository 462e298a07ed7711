"""Outermost: every request has an id, in each line of the log and in its answer, and is counted by its route.

The id is the broker's own. One that a client sends along is not read: it would write what it likes into the log.
"""

from __future__ import annotations

from secrets import token_hex
from time import perf_counter
from typing import Any, Final, Protocol

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER: Final = "kbs-request-id"
UNROUTED: Final = "none"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_log = structlog.get_logger("kbs.http")


class Counts(Protocol):
    def answered(self, method: str, route: str, status: int) -> None: ...


class Watched:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, counts: Counts | None = None) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        number = token_hex(8)
        status = 0
        start = perf_counter()

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), (HEADER.encode(), number.encode())]
                message = {**message, "headers": headers}
            await send(message)

        with structlog.contextvars.bound_contextvars(request=number):
            try:
                await self._app(scope, receive, told)
            finally:
                method = scope["method"] if scope["method"] in _METHODS else "other"
                route = _route(scope)
                if self._counts is not None and status:
                    self._counts.answered(method, route, status)
                _log.debug(
                    "request",
                    method=method,
                    route=route,
                    status=status,
                    seconds=round(perf_counter() - start, 6),
                )


def _route(scope: Scope) -> str:
    """The template as the program has it; what the client asked for is never in it."""
    route: Any = scope.get("route")
    path = getattr(route, "path_format", None)
    return path if isinstance(path, str) else UNROUTED
