"""The trustworthiness vector of an exported policy, in Rego, by the same tables as an attestation result's.

Trustee makes the status of its token of the vector alone. So whatever is not met counts as failed, which is
contraindicated, and a warning that the owner does not allow is one of the configuration's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from attest.policy import Policy
from attest.policy.interchange.rego import Export, Input, Unexported, export_rego
from attest.policy.interchange.rego_text import array, quoted, table, texts, too_much
from attest.result.ear.table import VALUES, categories_of
from attest.result.ear.vector import CATEGORIES, NO_CLAIM, Category

_WEIGHING = r"""
##### The vector

# With 0 for a category of which no rule speaks.
weighed(category) := max(array.concat([0], found)) if {
	all_lines := judged
	count(all_lines) > 0
	lines := [line | some line in all_lines; category in categories_of(line)]
	good := affirmed(category, lines)
	found := [value | some line in lines; value := value_of(category, line, good)]
}

categories_of(line) := object.get(categories, line[0], ["configuration"])

value_of(category, line, good) := good if line[5] == 3

else := values[category].warned if holds(line)

else := values[category].failed

affirmed(category, lines) := 0 if {
	category == "executables"
	not platform in identified
} else := values[category].passed if {
	some line in lines
	not line[2] in ["default", "floor"]
} else := values[category].by_default

concerns := warnings - allowed

concern := values.configuration.warned if count(concerns) > 0

else := 0
"""


def policy_in_rego(policy: Policy, *, read: Input, without: Mapping[str, str] | None = None) -> Export:
    """The whole module that an engine loads. Raises ValueError as `export_rego`."""
    export = export_rego(policy, read=read, without=without)
    text = export.text + _vector(policy, export)
    why = too_much(text) if read == "trustee" else None
    if why is not None:
        export = replace(export, unexported=(*export.unexported, Unexported("policy", policy.where, why)))
    return replace(export, text=text)


def _vector(policy: Policy, export: Export) -> str:
    parts = [_WEIGHING, f"trust_claims := {table({str(one): _name(one) for one in CATEGORIES})}\n"]
    for category in CATEGORIES:
        name = _name(category)
        if category not in VALUES:
            parts.append(f"{name} := {NO_CLAIM}\n")
            continue
        weighed = f"weighed({quoted(category)})"
        value = f"max([{weighed}, concern])" if category == "configuration" else weighed
        # What cannot be weighed affirms nothing.
        parts.append(f"default {name} := {VALUES[category].failed}\n\n{name} := {value}\n")
    values = {
        str(category): table(
            {
                "passed": str(row.passed),
                "by_default": str(row.by_default),
                "warned": str(row.warned),
                "failed": str(row.failed),
            }
        )
        for category, row in VALUES.items()
    }
    of_rules = {name: categories_of(name) for name in export.rules}
    categories = {
        name: array(map(quoted, found)) for name, found in of_rules.items() if found != ("configuration",)
    }
    # That floor data has ended no reason makes good.
    allowed = sorted(set(policy.body.allow_warnings) - {"floors-expired"})
    parts += [
        f"values := {table(values)}\n",
        f"categories := {table(categories)}\n",
        f"identified := {array(map(quoted, export.identified))}\n",
        f"allowed := {texts(allowed)}\n",
    ]
    return "\n".join(parts)


def _name(category: Category) -> str:
    return category.replace("-", "_")
