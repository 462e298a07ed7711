"""The trustworthiness vector of an exported policy, in Rego, by the same tables as an attestation result's.

Trustee makes the status of its token of the vector alone. So whatever is not met counts as failed, which is
contraindicated, and a warning that the owner does not allow is one of the configuration's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from attest.policy import Policy
from attest.policy.interchange.rego import Export, Input, export_rego
from attest.policy.interchange.rego_rule import quoted
from attest.result.ear.table import VALUES, categories_of
from attest.result.ear.vector import CATEGORIES, NO_CLAIM, Category

_WEIGHING = r"""
##### The vector

trust_claims := {
%s}

weighed(category) := max([value | some line in judged; category in categories_of(line); value := value_of(category, line)]) if {
	count(judged) > 0
	some line in judged
	category in categories_of(line)
} else := 0 if count(judged) > 0

categories_of(line) := object.get(categories, line[0], ["configuration"])

value_of(category, line) := affirmed(category) if line[5] == 3

else := values[category].warned if holds(line)

else := values[category].failed

affirmed(category) := 0 if {
	category == "executables"
	not platform in identified
} else := values[category].passed if {
	some line in judged
	category in categories_of(line)
	not line[2] in ["default", "floor"]
} else := values[category].by_default

concerns := warnings - allowed

concern := values.configuration.warned if count(concerns) > 0

else := 0
"""


def policy_in_rego(policy: Policy, *, read: Input, without: Mapping[str, str] | None = None) -> Export:
    """The whole module that an engine loads. Raises ValueError as `export_rego`."""
    export = export_rego(policy, read=read, without=without)
    return replace(export, text=export.text + _vector(policy, export))


def _vector(policy: Policy, export: Export) -> str:
    rows = "".join(f"\t{quoted(one)}: {_name(one)},\n" for one in CATEGORIES)
    parts = [_WEIGHING % rows]
    for category in CATEGORIES:
        name = _name(category)
        if category not in VALUES:
            parts.append(f"{name} := {NO_CLAIM}\n")
            continue
        # What cannot be weighed affirms nothing.
        weighed = f"weighed({quoted(category)})"
        value = f"max([{weighed}, concern])" if category == "configuration" else weighed
        parts.append(f"default {name} := {VALUES[category].failed}\n\n{name} := {value}\n")
    values = {
        category: {"passed": row.passed, "by_default": row.by_default, "warned": row.warned, "failed": row.failed}
        for category, row in VALUES.items()
    }
    parts.append(f"values := {json.dumps(values)}\n")
    categories = {name: categories_of(name) for name in export.rules}
    table = {name: list(found) for name, found in categories.items() if found != ("configuration",)}
    parts.append(f"categories := {json.dumps(table)}\n")
    parts.append(f"identified := {json.dumps(list(export.identified))}\n")
    # That floor data has ended no reason makes good.
    allowed = sorted(set(policy.body.allow_warnings) - {"floors-expired"})
    parts.append(f"allowed := {{{', '.join(map(quoted, allowed))}}}\n" if allowed else "allowed := set()\n")
    return "\n".join(parts)


def _name(category: Category) -> str:
    return category.replace("-", "_")
