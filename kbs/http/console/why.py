"""A decision, or all of a session's: the problems behind it, and every rule as a tree. What the machine proved is beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from fastapi import Response

from kbs.http.console.guard import PREFIX
from kbs.http.console.pages import of_everything
from kbs.http.console.rows import shown_row
from kbs.http.console.site import Site
from kbs.http.console.visit import Visit
from kbs.refusals import Refusal

_WHAT = re.compile(r"[0-9a-f]{16}|[0-9a-f]{64}")
_MARKS = {
    "pass": ("good", "✔", "met"),
    "observed": ("warn", "◐", "observed"),
    "accepted": ("warn", "◑", "accepted"),
    "grace": ("warn", "◔", "grace"),
    "deny": ("bad", "✘", "not met"),
    "not-judged": ("soft", "–", "not judged"),
}

_WITHOUT: dict[str, Any] = dict.fromkeys(("tee", "protocol", "key", "claims", "endorsements", "evidence")) | {
    "simulated": False,
    "platforms": [],
    "warnings": [],
}
"""What a row of another version of the program may lack."""


def add_pages(site: Site) -> None:
    async def why(visit: Visit) -> Response:
        what = visit.request.path_params["what"]
        if not _WHAT.fullmatch(what):
            raise Refusal(
                404, "ResourceNotFound", "a decision is named by its reason, a session by 64 hex digits"
            )
        asked = {"every": "true", **({"path": visit.query["path"]} if "path" in visit.query else {})}
        found = await visit.ask("GET", "/why/{what}", {"what": what}, asked)
        decisions = [_decision(one) for one in found["decisions"]]
        attested, evidence = None, False
        if len(what) == 64 and of_everything(visit.who, ("GET", "/audit/search")):
            rows = await visit.ask("GET", "/audit/search", query={"session": what, "event": "attested"})
            attested = rows["rows"][0]["row"] if rows["rows"] else None
            evidence = attested is not None and await _kept(visit, what)
        return site.show(
            visit,
            "why.html",
            title="A session" if len(what) == 64 else "A decision",
            what=what,
            decisions=decisions,
            attested=None if attested is None else _WITHOUT | attested,
            evidence=evidence,
            claims=_claims(found["decisions"]),
            marks=_MARKS,
        )

    async def evidence(visit: Visit) -> Response:
        """As `kbs audit replay` takes it."""
        found = await visit.ask(
            "GET", "/evidence/{session}", {"session": visit.request.path_params["session"]}
        )
        headers = {"content-disposition": 'attachment; filename="evidence.json"'}
        return Response(json.dumps(found, indent=1), media_type="application/json", headers=headers)

    site.page("GET", f"{PREFIX}/why/{{what}}", why)
    site.page("GET", f"{PREFIX}/evidence/{{session}}", evidence)


async def _kept(visit: Visit, session: str) -> bool:
    if not visit.may("GET", "/evidence/{session}"):
        return False
    try:
        await visit.ask("GET", "/evidence/{session}", {"session": session})
    except Refusal as refusal:
        if refusal.status != 404:
            raise
        return False
    return True


def _decision(one: Mapping[str, Any]) -> dict[str, Any]:
    row = one["row"]
    return {
        "row": shown_row(row),
        "problems": row.get("problems", ()),
        "session": row.get("session"),
        "reason": row.get("reason"),
        "key": row.get("key"),
        "rules": one["rules"],
        "unsaid": one["unsaid"],
    }


def _claims(decisions: list[Any]) -> list[tuple[str, str]]:
    """Of what the machine proved, name and value; the same for every rule of a session."""
    trees = [rule["tree"] for one in decisions for rule in one["rules"]]
    return list(_flat("", trees[0]["claims"])) if trees else []


def _flat(prefix: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        found = [_flat(f"{prefix}.{name}" if prefix else str(name), one) for name, one in value.items()]
    elif isinstance(value, list):
        found = [_flat(f"{prefix}[{index}]", one) for index, one in enumerate(value)]
    else:
        return [(prefix, str(value))]
    return [pair for pairs in found for pair in pairs]
