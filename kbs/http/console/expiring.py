"""What ends soon, of all kinds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import Response

from attest.claims import read_instant
from kbs.http.console.guard import PREFIX
from kbs.http.console.site import Site
from kbs.http.console.start import ending
from kbs.http.console.visit import Visit
from kbs.refusals import Refusal

_DAYS = 30
_SOON = 7


def add_pages(site: Site) -> None:
    async def expiring(visit: Visit) -> Response:
        text = visit.query.get("days", str(_DAYS))
        if not text.isdecimal() or not text.isascii():
            raise Refusal(400, "InvalidRequest", "days is a number, 1 to 3650")
        found = await ending(visit, int(text[:5]))
        now = read_instant(found["now"])
        return site.show(
            visit,
            "expiring.html",
            days=text,
            now=found["now"],
            endings=[_left(one, now) for one in found["ending"]],
            narrow=visit.who.role == "operator",
        )

    site.page("GET", f"{PREFIX}/expiring", expiring)


def _left(one: Any, now: datetime) -> dict[str, Any]:
    left = read_instant(one["ends"]) - now
    days, hours = left.days, left.seconds // 3600
    if left.total_seconds() <= 0:
        said, mark = "ended", "bad"
    elif days:
        said, mark = f"{days} {'day' if days == 1 else 'days'}", "warn" if days < _SOON else "soft"
    else:
        said, mark = f"{hours} {'hour' if hours == 1 else 'hours'}" if hours else "minutes", "warn"
    return {**one, "left": said, "mark": mark}
