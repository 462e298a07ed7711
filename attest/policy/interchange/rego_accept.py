"""Accepted advisories in Rego: `attest.policy.accept` says what of it is what."""

from __future__ import annotations

from typing import cast

from attest.policy.accept import CURED, INCURABLE, named
from attest.policy.interchange.rego_rule import seconds_of
from attest.policy.interchange.rego_text import table, texts
from attest.policy.model import Body, Rule

ACCEPTING = r"""
##### Accepted advisories

# An advisory is accepted until the date on which the first of those who accept it no longer does.
accepted_until(line, end) := array.concat(array.slice(line, 0, 6), [max([line[6], end])]) if line[5] == 0

else := line

# Each part that is behind names advisories, and all of them are accepted.
all_accepted(claims, objected) := min(ends) if {
	levels := get(raw_part("tdx"), "tcb")
	is_object(levels)
	is_string(get(claims, "tcb-status"))
	count({"platform", "qe"} - object.keys(levels)) == 0
	parts := [level | some name in ["platform", "module", "qe"]; level := get(levels, name); level != null]
	count([level | some level in parts; not is_object(level)]) == 0
	behind := [level | some level in parts; get(level, "status") != "UpToDate"]
	count([level | some level in behind; get(level, "status") in incurable]) == 0
	not claims["tcb-status"] in incurable
	lists := [list | some level in behind; list := capitals(get(level, "advisories"))]
	count([list | some list in lists; count(list) == 0]) == 0
	used := objected | {one | some list in lists; some one in list}
	count(used) > 0
	ends := [end | some one in used; end := object.get(accepted, one, 0)]
} else := 0

capitals(found) := {upper(found)} if is_string(found)

else := listed if {
	is_array(found)
	listed := {capital | some one in found; is_string(one); capital := upper(one)}
}

else := set()
"""


def accepted_tables(body: Body) -> str:
    """What `ACCEPTING` looks up: until when each advisory is accepted, and which statuses none stands for."""
    ends: dict[str, int] = {}
    for one in body.accepted:
        ends[one.advisory] = min(seconds_of(one.until), ends.get(one.advisory, seconds_of(one.until)))
    entries = body.sections.get("tdx", ())
    incurable = ["Revoked", *sorted(one for one in INCURABLE if not named(one, entries))]
    until = table({advisory: str(end) for advisory, end in ends.items()})
    return f"accepted := {until}\n\nincurable := {texts(incurable)}\n"


def curable(rule: Rule) -> bool:
    return rule.section == "tdx" and rule.claim.name in CURED


def objected(rule: Rule, raw: str) -> str:
    """The Rego set of advisories that the rule itself objects to. raw: the expression of the claim."""
    if rule.claim.name != "advisories":
        return "set()"
    found = f"capitals({raw})"
    sets = []
    for operator in rule.operators:
        if operator.name in ("none-of", "subset-of"):
            listed = texts(sorted({one.upper() for one in cast("frozenset[str]", operator.operand)}))
            sets.append(f"({found} {'&' if operator.name == 'none-of' else '-'} {listed})")
        else:
            sets.append(found)
    return " | ".join(sets)
