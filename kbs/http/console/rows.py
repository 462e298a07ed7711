"""Rows of the audit trail as pages show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from attest.untrusted import LIMIT
from kbs.http.console.escaping import address
from kbs.http.console.guard import PREFIX

_GOOD: Final = frozenset({"released", "repeat", "attested"})
_BAD: Final = frozenset({"release-denied", "attest-refused", "passport-refused"})


@dataclass(frozen=True, slots=True)
class Shown:
    """kind: of its mark. why: the page that explains it, None where there is nothing to explain. said: the first problem, or
    what else it says."""

    number: int
    at: str
    event: str
    kind: str
    resource: str
    version: str
    who: str
    said: str
    why: str | None
    session: str | None
    simulated: bool


def shown_row(row: Mapping[str, Any]) -> Shown:
    """row: as its hash is made over."""
    event = str(row.get("event", ""))
    problems = [one for one in row.get("problems", ()) if isinstance(one, dict)]
    session, reason = row.get("session"), row.get("reason")
    what = reason or session
    return Shown(
        number=int(row.get("number", 0)),
        at=_cut(str(row.get("at", ""))),
        event=_cut(event),
        kind="bad" if problems or event in _BAD else "good" if event in _GOOD else "soft",
        resource=_cut(str(row.get("resource") or row.get("path") or "")),
        version=_cut(str(row.get("version") or "")),
        who=_cut(_who(row)),
        said=_cut(_said(row, problems)),
        why=None if not isinstance(what, str) else address(PREFIX + "/why/{}", what),
        session=session if isinstance(session, str) else None,
        simulated=bool(row.get("simulated")),
    )


def _cut(text: str) -> str:
    """Lists are looked through; the page about a row has all of it."""
    return text if len(text) <= LIMIT else text[:LIMIT] + "…"


def _who(row: Mapping[str, Any]) -> str:
    asked = [one for name in ("agreed", "refusing") for one in row.get(name) or () if isinstance(one, dict)]
    owners = {str(one.get("owner")) for one in asked} | {str(one) for one in row.get("owners") or ()}
    if row.get("owner"):
        owners.add(str(row["owner"]))
    parts = [", ".join(sorted(owners))] if owners else []
    if row.get("by"):
        parts.append(f"by {row['by']}")
    return " ".join(parts)


def _said(row: Mapping[str, Any], problems: list[dict[str, Any]]) -> str:
    if problems:
        more = len(problems) - 1 + int(row.get("omitted") or 0)
        return f"{problems[0].get('message')}" + (f" (and {more} more)" if more else "")
    for name, words in (
        ("cause", ""),
        ("reason-given", ""),
        ("request", ""),
        ("revoked", ""),
        ("principal", "principal "),
        ("tee", "machine "),
        ("first", "again, as in row "),
        ("lease", "lease until "),
        ("key", "key "),
    ):
        if row.get(name) is not None:
            return f"{words}{row[name]}"
    return str(row.get("type") or "")
