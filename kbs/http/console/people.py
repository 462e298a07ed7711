"""Who administers, and who owns. A key is shown by the command that makes it, and by no page."""

from __future__ import annotations

from fastapi import Response

from kbs.http.console.acts import done
from kbs.http.console.guard import PREFIX
from kbs.http.console.site import Site
from kbs.http.console.visit import Visit


def add_pages(site: Site) -> None:
    async def people(visit: Visit) -> Response:
        principals = await visit.ask("GET", "/principals")
        owners = await visit.ask("GET", "/owners")
        return site.show(visit, "people.html", principals=principals, owners=owners, done=done(visit))

    async def approvals(visit: Visit) -> Response:
        waiting = await visit.ask("GET", "/approvals")
        four_eyes = site.administration.four_eyes
        return site.show(visit, "approvals.html", waiting=waiting, four_eyes=four_eyes, done=done(visit))

    site.page("GET", f"{PREFIX}/people", people)
    site.page("GET", f"{PREFIX}/approvals", approvals)
