"""Secrets by name, and their versions. What is in one, no page shows."""

from __future__ import annotations

from fastapi import Response

from kbs.http.console.acts import done
from kbs.http.console.guard import PREFIX
from kbs.http.console.site import Site
from kbs.http.console.visit import Visit


def add_pages(site: Site) -> None:
    async def listing(visit: Visit) -> Response:
        found = {one["path"]: one for one in await visit.ask_each("/secrets")}
        return site.show(
            visit, "secrets.html", secrets=[one for _, one in sorted(found.items())], done=done(visit)
        )

    async def one(visit: Visit) -> Response:
        names = {name: visit.request.path_params[name] for name in ("repository", "kind", "tag")}
        versions = await visit.ask("GET", "/secrets/{repository}/{kind}/{tag}/versions", names)
        path = "/".join(names.values())
        return site.show(
            visit,
            "secret.html",
            title=path,
            path=path,
            versions=versions,
            owner=min(visit.who.owners, default=None),
        )

    site.page("GET", f"{PREFIX}/secrets", listing)
    site.page("GET", f"{PREFIX}/secrets/{{repository}}/{{kind}}/{{tag}}", one)
