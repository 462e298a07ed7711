"""One request of somebody who looks at a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from kbs.access import DOORS, Principal
from kbs.http.console.inside import Door, Inside, by_session
from kbs.http.console.pages import Page, may, of_everything


@dataclass(frozen=True, slots=True)
class Visit:
    """members: of its form, none of a page that is only looked at. query: each member once, none empty."""

    request: Request
    page: Page
    inside: Inside
    token: str
    who: Principal
    query: Mapping[str, str]
    members: Mapping[str, str]

    def may(self, method: str, template: str) -> bool:
        return may(self.who, (method, template))

    async def ask(
        self,
        method: str,
        template: str,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """Raises Refusal; RuntimeError for what the table of pages does not have."""
        door = self._of_the_table(method, template)
        return await self.inside.ask(by_session(self.token), door, path, query, body)

    async def ask_each(self, template: str, owners: Mapping[str, Any] | None = None) -> list[Any]:
        """The lists of all owners whom this reader may ask about, together. owners: more of the query."""
        found: list[Any] = []
        for owner in self.asked_about(template):
            asked = {**(owners or {}), **({} if owner is None else {"owner": owner})}
            found += await self.ask("GET", template, query=asked)
        return found

    def asked_about(self, template: str) -> list[str | None]:
        """The owners to ask for, one after the other; [None] for everybody at once."""
        if of_everything(self.who, ("GET", template)):
            return [None]
        if DOORS["GET", template].own != "owner asked for":
            return []
        return list[str | None](sorted(self.who.owners))

    async def with_key(
        self,
        key: str,
        door: Door,
        path: Mapping[str, str],
        query: Mapping[str, Any] | None,
        body: Mapping[str, Any] | None,
    ) -> Any:
        """An act, by the key that was given for it alone. Raises Refusal."""
        return await self.inside.ask(f"Bearer {key}", door, path, query, body)

    def _of_the_table(self, method: str, template: str) -> Door:
        door = (method, template)
        if door not in self.page.asks:
            raise RuntimeError(
                f"{self.page.title} asks {method} {template}, which its row in PAGES does not have"
            )
        return door
