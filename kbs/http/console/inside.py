"""The administrators' routes, asked from within the process: what a page shows and what an act does comes from nowhere else.

So the console decides nothing. Whoever may not ask a route with his key may not see it on a page, bodies are read by the
same models, and an act that needs another person's agreement needs it here, in the same words with the same digest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import httpx
from fastapi import Request

from kbs.access import DOORS, Principal
from kbs.administration import Administration
from kbs.console_sessions import reader
from kbs.http.admin import PREFIX, by_authorization, router
from kbs.http.bare import bare
from kbs.http.edge import Edge
from kbs.refusals import TYPE_PREFIX, Refusal
from kbs.store.database import Store
from kbs.store.repository import Repository

Door = tuple[str, str]
"""Method and template, as `kbs.access.DOORS` has them."""
READS: Final[frozenset[Door]] = frozenset(
    {door for door in DOORS if door[0] == "GET"} | {("POST", "/rules/dry-run"), ("POST", "/consents")}
)
"""What a session may ask without the key. A dry run changes nothing, and a consent is signed by its owner's people: who
carries it adds nothing to that."""
_SCHEME: Final = "Console"


def by_session(token: str) -> str:
    """The Authorization of somebody who is signed in. It means something within the process only."""
    return f"{_SCHEME} {token}"


class Inside:
    def __init__(self, administration: Administration, store: Store) -> None:
        app = bare()
        by_others = by_authorization(administration)

        def asking(request: Request, template: str) -> Callable[[Repository, datetime], Principal]:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme != _SCHEME:
                return by_others(request, template)
            if (request.method, template) not in READS:
                raise Refusal(403, "AdminAuthAccess", "whoever is signed in reads; this needs the key")
            return lambda tx, now: reader(tx, token, now)

        app.include_router(router(administration, store, asking))
        self._app = Edge(app)

    async def ask(
        self,
        authorization: str,
        door: Door,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """The answer's JSON. Raises Refusal as the route refuses."""
        method, template = door
        filled = template.format(**{name: quote(value, safe="") for name, value in (path or {}).items()})
        transport = httpx.ASGITransport(app=self._app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://inside{PREFIX}") as client:
            answer = await client.request(
                method, filled, params=query, json=body, headers={"authorization": authorization}
            )
        if answer.is_success:
            return answer.json()
        said = answer.json()
        raise Refusal(answer.status_code, said["type"].removeprefix(TYPE_PREFIX), said["detail"])
