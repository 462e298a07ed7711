"""What is stopped and revoked."""

from __future__ import annotations

from fastapi import Response

from kbs.http.console.acts import done
from kbs.http.console.guard import PREFIX
from kbs.http.console.pages import of_everything
from kbs.http.console.site import Site
from kbs.http.console.visit import Visit


def add_pages(site: Site) -> None:
    async def stops(visit: Visit) -> Response:
        seen = visit.may("GET", "/stops")
        everybody = visit.may("GET", "/owners")
        listed = await visit.ask("GET", "/owners") if everybody else []
        return site.show(
            visit,
            "stops.html",
            seen=seen,
            stops=await visit.ask("GET", "/stops") if seen else [],
            revocations=await visit.ask("GET", "/revocations") if seen else [],
            owners=[one["name"] for one in listed] if everybody else sorted(visit.who.owners),
            everything=of_everything(visit.who, ("POST", "/stops")),
            done=done(visit),
        )

    site.page("GET", f"{PREFIX}/stops", stops)
