"""What was released and refused, and everything else that the audit trail says: filters, pages, a file for a spreadsheet."""

from __future__ import annotations

import csv
import io
from typing import Any, Final

from fastapi import Response

from kbs.http.console.escaping import address, cell
from kbs.http.console.guard import PREFIX
from kbs.http.console.pages import of_everything
from kbs.http.console.rows import shown_row
from kbs.http.console.site import Site
from kbs.http.console.visit import Visit
from kbs.refusals import Refusal

_FILTERS: Final = ("event", "owner", "path", "session", "policy", "since", "until", "text")
_EVENTS: Final = (
    "released", "release-denied", "repeat", "attested", "attest-refused", "passport-refused", "rule-put", "secret-put", "consent-put",
    "consent-withdrawn", "revoked", "stopped", "stop-lifted", "principal-added", "principal-removed", "approval-asked",
    "approval-given", "console-entered",
)  # fmt: skip
_PAGE: Final = 50
_FILE: Final = 1000
_SEARCH: Final = ("GET", "/audit/search")


def add_pages(site: Site) -> None:
    async def releases(visit: Visit) -> Response:
        wanted, owners = _wanted(visit), _owners(visit)
        found = await _search(visit, wanted, _PAGE)
        here = f"{PREFIX}/releases"
        return site.show(
            visit,
            "releases.html",
            rows=[shown_row(entry["row"]) for entry in found["rows"]],
            wanted=wanted,
            owners=owners,
            events=_EVENTS,
            older=None if found["after"] is None else address(here, **{**wanted, "before": found["after"]}),
            newest=address(here, **wanted) if visit.query.get("before") else None,
            file=address(f"{PREFIX}/releases.csv", **{**wanted, "before": visit.query.get("before")}),
            filtered=any(wanted[name] for name in _FILTERS if name != "owner" or owners is None),
        )

    async def as_file(visit: Visit) -> Response:
        found = await _search(visit, _wanted(visit), _FILE)
        text = io.StringIO()
        writer = csv.writer(text, quoting=csv.QUOTE_ALL)
        writer.writerow(("number", "at", "event", "secret", "version", "who", "said", "session", "simulated"))
        for entry in found["rows"]:
            row = shown_row(entry["row"])
            writer.writerow(
                cell(value)
                for value in (
                    row.number,
                    row.at,
                    row.event,
                    row.resource,
                    row.version,
                    row.who,
                    row.said,
                    row.session,
                    "simulated" if row.simulated else "",
                )
            )
        headers = {"content-disposition": 'attachment; filename="releases.csv"'}
        return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)

    site.page("GET", f"{PREFIX}/releases", releases)
    site.page("GET", f"{PREFIX}/releases.csv", as_file)


def _owners(visit: Visit) -> list[str] | None:
    """Those to choose from, of whom one must be; None where everybody's rows may be read."""
    return None if of_everything(visit.who, _SEARCH) else sorted(visit.who.owners)


def _wanted(visit: Visit) -> dict[str, str | None]:
    wanted = {name: visit.query.get(name) for name in _FILTERS}
    owners = _owners(visit)
    if owners and wanted["owner"] is None:
        wanted["owner"] = owners[0]
    return wanted


async def _search(visit: Visit, wanted: dict[str, str | None], limit: int) -> Any:
    asked = {name: value for name, value in wanted.items() if value is not None}
    before = visit.query.get("before")
    if before is not None:
        if not before.isdecimal() or not before.isascii():
            raise Refusal(400, "InvalidRequest", "before is the number of a row")
        asked["before"] = before
    return await visit.ask(*_SEARCH, query={**asked, "newest": "true", "limit": limit})
