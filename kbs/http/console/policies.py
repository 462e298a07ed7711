"""Policies: which are in force, what each says, what another says otherwise, and what it would have decided."""

from __future__ import annotations

from typing import Any

from fastapi import Response
from starlette.concurrency import run_in_threadpool

from attest import Malformed, Policy
from kbs.http.console.acts import done
from kbs.http.console.comparing import compared, line_diff
from kbs.http.console.escaping import carried
from kbs.http.console.guard import PREFIX
from kbs.http.console.site import Site
from kbs.http.console.visit import Visit
from kbs.refusals import Refusal


def add_pages(site: Site) -> None:
    async def listing(visit: Visit) -> Response:
        rules = await visit.ask_each("/rules")
        return site.show(visit, "policies.html", rules=[_named(rule) for rule in rules], done=done(visit))

    async def one(visit: Visit) -> Response:
        rules = await visit.ask_each("/rules")
        rule = _found(rules, visit.request.path_params["rule_id"])
        other, comparison, faults, lines = None, None, list[str](), list[Any]()
        if "with" in visit.query:
            other = _found(rules, visit.query["with"])
            at = await run_in_threadpool(site.administration.acts.now)
            comparison, faults = await compared(rule["policy"], other["policy"], at)
            lines = line_diff(rule["policy"], other["policy"])
        return site.show(
            visit,
            "policy.html",
            title=f"Rule {rule['id']}",
            rule=_named(rule),
            others=[_named(one) for one in rules if one["id"] != rule["id"]],
            other=None if other is None else _named(other),
            comparison=comparison,
            faults=faults,
            lines=lines,
        )

    async def form(visit: Visit) -> Response:
        rules = await visit.ask_each("/rules")
        rule = _found(rules, visit.query["rule"]) if "rule" in visit.query else None
        start = {"owner": "", "path": "", "policy": "", "days": "7"}
        if rule is not None:
            start |= {name: rule[name] for name in ("owner", "path", "policy")}
        return site.show(visit, "trial.html", **_nothing(start))

    async def trial(visit: Visit) -> Response:
        given = {name: visit.members.get(name, "") for name in ("owner", "path", "policy", "days")}
        values = _nothing(given)
        try:
            values |= await _tried(site, visit, given)
        except Refusal as refusal:
            if refusal.status not in (400, 403, 409, 413, 422):
                raise
            return site.show(visit, "trial.html", refusal.status, **{**values, "refused": refusal.detail})
        return site.show(visit, "trial.html", **values)

    site.page("GET", f"{PREFIX}/policies", listing)
    site.page("GET", f"{PREFIX}/policies/{{rule_id}}", one)
    site.page("GET", f"{PREFIX}/trial", form)
    site.page("POST", f"{PREFIX}/trial", trial)


def _nothing(given: dict[str, str]) -> dict[str, Any]:
    return {
        "given": given,
        "shows": carried(given["policy"]) is not None,
        "refused": None,
        "before": None,
        "comparison": None,
        "faults": [],
        "lines": [],
        "run": None,
        "judged": False,
    }


async def _tried(site: Site, visit: Visit, given: dict[str, str]) -> dict[str, Any]:
    """Raises Refusal."""
    if not given["days"].isdecimal() or not given["days"].isascii():
        raise Refusal(400, "InvalidRequest", "days is a number, 1 to 3650")
    asked = {**given, "days": int(given["days"][:5])}
    run = await visit.ask("POST", "/rules/dry-run", body=asked)
    rules = await visit.ask_each("/rules")
    same = [rule for rule in rules if (rule["owner"], rule["path"]) == (given["owner"], given["path"])]
    found: dict[str, Any] = {"run": run, "judged": True}
    if same:
        at = await run_in_threadpool(site.administration.acts.now)
        comparison, faults = await compared(same[0]["policy"], given["policy"], at)
        found |= {
            "before": same[0],
            "comparison": comparison,
            "faults": faults,
            "lines": line_diff(same[0]["policy"], given["policy"]),
        }
    return found


def _found(rules: list[Any], number: str) -> Any:
    """Raises Refusal."""
    found = [rule for rule in rules if str(rule["id"]) == number]
    if not found:
        raise Refusal(404, "ResourceNotFound", "there is no such rule, or it is another owner's")
    return found[0]


def _named(rule: Any) -> dict[str, Any]:
    """With the policy's own name, None where its text does not load any more."""
    try:
        policy = Policy.from_text(rule["policy"], where=f"{rule['owner']}:{rule['path']}")
    except Malformed:
        return {**rule, "name": None, "platforms": []}
    return {**rule, "name": policy.name, "platforms": sorted(policy.platforms)}
