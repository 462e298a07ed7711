"""Consents: where one is needed and wanting, what there is to sign and how, and taking what was signed.

The page cannot sign: an owner's keys are on his people's machines. It says what to sign, word for word, and takes the document.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from fastapi import Response
from fastapi.responses import RedirectResponse

from attest.canonical import read_json
from attest.errors import Malformed
from kbs.consent import LIMIT, claimed_in, payload_of
from kbs.domain import PathPattern, ResourcePath
from kbs.http.console.acts import done
from kbs.http.console.escaping import address
from kbs.http.console.guard import PREFIX
from kbs.http.console.site import Site
from kbs.http.console.visit import Visit
from kbs.refusals import Refusal


def add_pages(site: Site) -> None:
    async def listing(visit: Visit) -> Response:
        consents = await visit.ask_each("/consents")
        secrets = {one["path"]: one for one in await visit.ask_each("/secrets")}
        owners = sorted({name for one in secrets.values() for name in one["owners"]})
        keys = [await _in_force(visit, owner) for owner in owners if _asks(visit, owner)]
        return site.show(
            visit,
            "consents.html",
            consents=consents,
            keys=keys,
            wanting=_wanting(keys, secrets, consents),
            done=done(visit),
        )

    async def sign(visit: Visit) -> Response:
        owner, path = visit.query.get("owner", ""), visit.query.get("path", "")
        now = await visit.ask("GET", "/consents/in-force", query={"owner": owner, "path": path})
        return site.show(visit, "sign.html", now=now, refused=None, said=None, document="")

    async def put(visit: Visit) -> Response:
        text = visit.members.get("document", "").strip()
        try:
            raw = _document(text)
            if visit.members.get("step") != "put":
                said = _said(raw)
                return site.show(
                    visit,
                    "sign.html",
                    now=None,
                    refused=None,
                    said=said,
                    document=base64.b64encode(raw).decode(),
                )
            await visit.ask("POST", "/consents", body={"document": base64.b64encode(raw).decode()})
        except Refusal as refusal:
            if refusal.status not in (400, 403, 409, 413, 422):
                raise
            return site.show(
                visit, "sign.html", refusal.status, now=None, refused=refusal.detail, said=None, document=""
            )
        return RedirectResponse(address(f"{PREFIX}/consents", put="1"), 303)

    site.page("GET", f"{PREFIX}/consents", listing)
    site.page("GET", f"{PREFIX}/consents/sign", sign)
    site.page("POST", f"{PREFIX}/consents/sign", put)


def _asks(visit: Visit, owner: str) -> bool:
    return visit.who.role != "owner" or owner in visit.who.owners


async def _in_force(visit: Visit, owner: str) -> Any:
    return await visit.ask("GET", "/consents/in-force", query={"owner": owner})


def _wanting(keys: list[Any], secrets: dict[str, Any], consents: list[Any]) -> list[dict[str, Any]]:
    """Secrets that are not released for want of an owner's consent."""
    stands = {(one["owner"], one["path"]) for one in consents if not one["wanting"]}
    found = []
    for one in keys:
        patterns = [PathPattern.parse(text) for text in (one["keys"] or {}).get("paths", ())]
        for path, secret in sorted(secrets.items()):
            covered = any(pattern.matches(ResourcePath.parse(path)) for pattern in patterns)
            if covered and one["owner"] in secret["owners"] and (one["owner"], path) not in stands:
                found.append({"owner": one["owner"], "path": path, "version": secret["version"]})
    return found


def _document(text: str) -> bytes:
    """The file as it is, or its base64. Raises Refusal."""
    if len(text) > LIMIT * 2:
        raise Refusal(413, "RequestTooLarge", f"a signed document is at most {LIMIT} bytes")
    if text.startswith("{"):
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(400, "InvalidRequest", "paste the file that kbs consent sign wrote") from None


def _said(raw: bytes) -> Any:
    """What it says, whoever signed it. Raises Refusal."""
    try:
        return read_json(payload_of(claimed_in(raw)), where="consent")
    except Malformed as error:
        raise Refusal(400, "InvalidRequest", f"not accepted: {error}") from None
