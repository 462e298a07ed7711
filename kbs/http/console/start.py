"""The first page: what needs attention, of that which its reader may see."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fastapi import Response

from attest.claims import instant, read_instant
from kbs.http.console.escaping import address
from kbs.http.console.guard import PREFIX
from kbs.http.console.rows import shown_row
from kbs.http.console.site import Site
from kbs.http.console.visit import Visit

_DAYS = 7
_ROWS = 10


def add_pages(site: Site) -> None:
    async def start(visit: Visit) -> Response:
        tiles: list[dict[str, Any]] = []

        def tile(count: int, said: str, to: str, kind: str) -> None:
            tiles.append({"count": count, "said": said, "to": to, "kind": kind if count else "good"})

        if visit.may("GET", "/stops"):
            stops = await visit.ask_each("/stops")
            tile(len(stops), "stopped", f"{PREFIX}/stops", "bad")
        if visit.may("GET", "/approvals"):
            waiting = await visit.ask("GET", "/approvals")
            open_ones = [one for one in waiting if one["agreed"] is None]
            tile(len(open_ones), "waiting for another person", f"{PREFIX}/approvals", "warn")
        consents = await visit.ask_each("/consents")
        if visit.asked_about("/consents"):
            void = [one for one in consents if one["wanting"]]
            tile(len(void), "consents that are void", f"{PREFIX}/consents", "bad")
        ending = await _ending(visit)
        gone = [one for one in ending["ending"] if one["ends"] <= ending["now"]]
        soon = len(ending["ending"]) - len(gone)
        to = address(f"{PREFIX}/expiring", days=_DAYS)
        tile(len(gone), f"ended in the last {_DAYS} days", to, "bad")
        tile(soon, f"ending in the next {_DAYS} days", to, "warn")
        calm = not any(one["count"] for one in tiles)
        rows = None
        if visit.asked_about("/audit/search"):
            day = instant(read_instant(ending["now"]) - timedelta(days=1))
            rows = await _denied(visit)
            recent = [row for row in rows if row.at >= day]
            count = len(recent)
            said = "denied since yesterday" if count < _ROWS else "or more denied since yesterday"
            tile(count, said, address(f"{PREFIX}/releases", event="release-denied"), "warn")
        return site.show(visit, "start.html", tiles=tiles, calm=calm, rows=rows)

    site.page("GET", f"{PREFIX}/", start)


async def _ending(visit: Visit) -> Any:
    return await ending(visit, _DAYS)


async def ending(visit: Visit, days: int) -> Any:
    """As the route answers, of all owners whom this reader may ask about, each once."""
    found: dict[str, Any] = {"now": "", "ending": []}
    for owner in visit.asked_about("/expiring"):
        asked = {"days": days, **({} if owner is None else {"owner": owner})}
        one = await visit.ask("GET", "/expiring", query=asked)
        new = [entry for entry in one["ending"] if entry not in found["ending"]]
        found = {"now": one["now"], "ending": [*found["ending"], *new]}
    found["ending"].sort(key=lambda entry: entry["ends"])
    return found


async def _denied(visit: Visit) -> list[Any]:
    rows: list[Any] = []
    for owner in visit.asked_about("/audit/search"):
        asked = {"event": "release-denied", "newest": "true", "limit": _ROWS}
        found = await visit.ask(
            "GET", "/audit/search", query=asked if owner is None else {**asked, "owner": owner}
        )
        rows += [entry["row"] for entry in found["rows"]]
    newest = sorted({row["number"]: row for row in rows}.items(), reverse=True)[:_ROWS]
    return [shown_row(row) for _, row in newest]
