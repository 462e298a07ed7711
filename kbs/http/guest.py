"""The guests' door: `/kbs/v0/auth`, `attest` and `resource`, in every protocol that is served.

Nothing here decides; it carries bytes, a cookie and a path to the broker. Administration keys mean
nothing on this door.
"""

from __future__ import annotations

import structlog
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from attest.claims import instant
from kbs.broker import Broker, Issued, Released
from kbs.budget import Budget, Rate
from kbs.domain import InvalidName, ResourcePath, hashed
from kbs.http.client_address import client_address
from kbs.http.cookie import only_cookie
from kbs.http.errors import NO_STORE
from kbs.refusals import Refusal

COOKIE = "kbs-session-id"
PREFIX = "/kbs/v0"
RECEIPT = "kbs-receipt"
"""Number and hash of the release's audit row: bodies are the protocol's."""
LEASE = "kbs-lease-expires"
RELEASES_AT_ONCE = 16
_ALL = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_log = structlog.get_logger("kbs.guest")


def router(broker: Broker) -> APIRouter:
    routes = APIRouter(prefix=PREFIX)
    # Threads of their own: where a key store is slow, all of them may wait, and guests still attest.
    releases = CapacityLimiter(RELEASES_AT_ONCE)
    an_address, a_session = broker.rates
    addresses = Budget(Rate(an_address, 60, f"{an_address} requests a minute for one address"))
    sessions = Budget(Rate(a_session, 60, f"{a_session} requests a minute for one session"))

    @routes.post("/auth")
    async def auth(request: Request) -> Response:
        _within(addresses, client_address(request))
        issued = await run_in_threadpool(broker.challenge, await request.body())
        return _with_cookie(request, issued)

    @routes.post("/attest")
    async def attest(request: Request) -> Response:
        _within(addresses, client_address(request))
        issued = await run_in_threadpool(
            broker.attest, only_cookie(request, COOKIE), await request.body(), client_address(request)
        )
        return _with_cookie(request, issued)

    @routes.get("/resource/{path:path}")
    async def resource(request: Request, path: str) -> Response:
        _within(addresses, client_address(request))
        _within(
            sessions, hashed(only_cookie(request, COOKIE) or request.headers.get("authorization", "")).hex()
        )
        released = await to_thread.run_sync(_release, broker, request, _resource(path), limiter=releases)
        headers = {**NO_STORE, RECEIPT: str(released.receipt)}
        if released.lease is not None:
            headers[LEASE] = instant(released.lease)
        return Response(released.body, media_type="application/json", headers=headers)

    @routes.api_route("/auth", methods=_ALL)
    @routes.api_route("/attest", methods=_ALL)
    @routes.api_route("/resource/{_path:path}", methods=_ALL)
    async def method_not_allowed() -> Response:
        raise Refusal(405, "MethodNotAllowed", "this method is not served here")

    @routes.api_route("/{_path:path}", methods=_ALL)
    async def nothing_here() -> Response:
        raise Refusal(404, "PluginNotFound", "there is no such plugin")

    return routes


def _resource(path: str) -> ResourcePath:
    if path.startswith("/"):
        # Current clients ask for `resource//repository/type/tag`: one empty segment is theirs.
        _log.info("double slash after the plugin name")  # the path names a secret
        path = path[1:]
    try:
        return ResourcePath.parse(path)
    except InvalidName as error:
        raise Refusal(404, "InvalidRequestPath", str(error)) from None


def _within(budget: Budget, name: str) -> None:
    """T-DOS. Raises Refusal."""
    spent = budget.spend(name)
    if spent is not None:
        raise Refusal(429, "TooManyRequests", f"more than {spent.rate.said}", retry_after=spent.wait)


def _release(broker: Broker, request: Request, path: ResourcePath) -> Released:
    """To whom asks: by the cookie of an attested session first, then by a bearer token, ours or an issuer's."""
    cookie = only_cookie(request, COOKIE)
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and not (cookie and broker.is_attested(hashed(cookie))):
        token = text.strip()
        passport = broker.passport(token)
        if passport is not None:
            return broker.release_to(passport, path, client_address(request))
        return broker.release(broker.session_of_token(token), path, client_address(request))
    return broker.release(hashed(cookie) if cookie else None, path, client_address(request))


def _with_cookie(request: Request, issued: Issued) -> Response:
    response = Response(issued.body, media_type="application/json", headers=NO_STORE)
    response.set_cookie(
        COOKIE,
        issued.cookie,
        expires=issued.expires,
        path=PREFIX,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response
