"""What stands before routing: raw paths, body limits, and an error body of one shape.

Every answer but 200 is {"type", "detail"}; guests cannot read another shape. Percent-encoding is
refused on the raw path, for nothing we serve needs it (T-PATH). A body is read here, up to its limit
while it streams, whatever its declared length or type.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from math import ceil
from typing import Any, Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kbs.refusals import Refusal

_log = structlog.get_logger("kbs.http")
_PLAIN_PATH: Final = re.compile(rb"[A-Za-z0-9_.\-/]*")
_LIMITS: Final = (
    ("/kbs/v0/attest", 16 << 20),
    ("/kbs/", 64 << 10),
    ("/admin/", 2 << 20),
    ("/console/", 2 << 20),
    ("", 64 << 10),
)
_BODY_SECONDS: Final = 60.0
_DRAINED: Final = 128 << 20
_DRAIN_SECONDS: Final = 10.0
_BUFFERED: Final = 256 << 20
"""How much of all unfinished requests together may wait in memory."""


class Edge:
    """ASGI middleware, outermost."""

    def __init__(self, app: ASGIApp, buffered: int = _BUFFERED) -> None:
        self._app = app
        self._room = buffered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False
        body = bytearray()

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            _check_path(scope)
            await self._read_body(receive, body, _limit(scope["path"]))
            await self._app(scope, _replay(bytes(body), receive), watched)
        except Refusal as refusal:
            await _answer(send, refusal)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001  (the last place that can still answer in shape)
            # The kind of the error only: its text might hold what a guest or an owner sent, and a path names a secret.
            _log.error("request failed", error=type(error).__name__)
            if not started:
                await _answer(send, Refusal(500, "InternalError", "the broker failed; nothing was released"))
        finally:
            self._room += len(body)

    async def _read_body(self, receive: Receive, body: bytearray, limit: int) -> None:
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGone
                    chunk, more = message.get("body", b""), message.get("more_body", False)
                    refusal = self._too_much(len(body), len(chunk), limit)
                    if refusal is not None:
                        if more:
                            await _drain(receive)
                        raise refusal
                    body += chunk
                    self._room -= len(chunk)
                    if not more:
                        return
        except TimeoutError:
            raise Refusal(408, "InvalidRequest", "the body did not arrive in time") from None

    def _too_much(self, held: int, more: int, limit: int) -> Refusal | None:
        if held + more > limit:
            return Refusal(413, "RequestTooLarge", f"the body is larger than {limit} bytes")
        if more > self._room:
            return Refusal(429, "TooManyRequests", "too many requests at once; try again soon", retry_after=1)
        return None


class ClientGone(Exception):
    """The client closed before its body was whole."""


def _check_path(scope: Scope) -> None:
    raw: bytes = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogateescape")
    if not _PLAIN_PATH.fullmatch(raw):
        raise Refusal(404, "InvalidRequestPath", "the path holds characters that no path here has")


def _limit(path: str) -> int:
    return next(limit for prefix, limit in _LIMITS if path.startswith(prefix))


async def _drain(receive: Receive) -> None:
    """Let the client finish, keeping nothing: one that is cut off while it sends never reads the answer."""
    left = _DRAINED
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replayed() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replayed


async def _answer(send: Send, refusal: Refusal) -> None:
    body = json.dumps(refusal.body()).encode()
    headers: list[Any] = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if refusal.retry_after is not None:
        headers.append((b"retry-after", str(ceil(refusal.retry_after)).encode()))
    if refusal.status in (408, 413, 429):
        headers.append((b"connection", b"close"))  # whatever is left of the body is not read
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
