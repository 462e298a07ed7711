"""What stands around every page: headers, the cookie, and whether a form was sent from a page of ours."""

from __future__ import annotations

import hmac
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from fastapi import Request, Response

from kbs.http.cookie import only_cookie
from kbs.refusals import Refusal

PREFIX: Final = "/console"
COOKIE: Final = "__Host-kbs-console"
"""The prefix binds it to this host, to https and to every path: no neighbour can plant one."""
POLICY: Final = (
    "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
FORM: Final = "form"
"""The member of every form that says from which session's page it comes."""
_MEMBERS: Final = 64


def token_of(request: Request) -> str | None:
    return only_cookie(request, COOKIE)


def set_cookie(response: Response, token: str, seconds: int) -> None:
    response.set_cookie(
        COOKIE, token, max_age=seconds, path="/", secure=True, httponly=True, samesite="strict"
    )


def end_cookie(response: Response) -> None:
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")


def form_token(token: str) -> str:
    """What the pages of this session carry in their forms. It tells nothing of the cookie."""
    return hmac.digest(token.encode(), b"kbs console form", "sha256").hex()


def require_own(request: Request) -> None:
    """Returns where the request comes from a page of ours, by what the browser says. Raises Refusal."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        own = site == "same-origin"
    else:
        # An old browser. Ours send `null` for want of a referrer, and the header above.
        own = urlsplit(request.headers.get("origin", "")).netloc == request.headers.get("host", "")
    if not own:
        raise Refusal(403, "AdminAuthAccess", "this form was not sent from a page of this console")


def require_form(members: dict[str, str], token: str) -> None:
    """Raises Refusal."""
    if not hmac.compare_digest(members.get(FORM, "").encode(), form_token(token).encode()):
        raise Refusal(403, "AdminAuthAccess", "this form is of another session; open the page again")


def members_of(body: bytes) -> dict[str, str]:
    """A form's members, each once; line breaks as our files have them. Raises Refusal."""
    return _once(body, "a form")


def query_of(request: Request) -> dict[str, str]:
    """The query's members, each once and none of them empty. Raises Refusal."""
    found = _once(request.url.query.encode(), "a query")
    return {name: value for name, value in found.items() if value}


def _once(encoded: bytes, what: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            encoded.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MEMBERS,
        )
    except ValueError:
        raise Refusal(
            400, "InvalidRequest", f"{what} is URL-encoded UTF-8 of at most {_MEMBERS} members"
        ) from None
    members = {name: value.replace("\r\n", "\n") for name, value in pairs}
    if len(members) != len(pairs):
        raise Refusal(400, "InvalidRequest", f"{what} has each member once")
    return members
