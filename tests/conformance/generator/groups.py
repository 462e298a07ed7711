"""any, all and none: truth tables of three values, F < U < P."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from tests.conformance.generator.case import Case, Tree, judged, policy, record, snp

_ORDER = "FUP"
# Rules on one machine: vmpl is 0, csp is absent.
_RULES: dict[str, Tree] = {"P": {"vmpl": "0"}, "F": {"vmpl": "1"}, "U": {"csp": "aws"}}


def value(kind: str, results: tuple[str, ...]) -> str:
    """all = min, any = max, none = max with P and F swapped."""
    ranks = [_ORDER.index(result) for result in results]
    rank = min(ranks) if kind == "all" else max(ranks)
    return _ORDER[2 - rank] if kind == "none" else _ORDER[rank]


def cases() -> Iterator[Case]:
    for kind in ("any", "all", "none"):
        for results in product(_ORDER, repeat=2):
            expected = value(kind, results)
            yield judged(
                f"{kind} of {results[0]} and {results[1]} is {expected}",
                policy({"snp": {kind: [_RULES[result] for result in results]}}),
                snp(),
                denied=[] if expected == "P" else [f"snp.{kind}"],
                rules=[record(f"snp.{kind}", expected)],
            )
    for outer, inner in product(("any", "all", "none"), repeat=2):
        for results in (("F", "U"), ("U", "P")):
            below = value(inner, results)
            expected = value(outer, (below, "F"))
            yield judged(
                f"{outer} of {inner} of {' and '.join(results)}, and F, is {expected}",
                policy({"snp": {outer: [{inner: [_RULES[one] for one in results]}, _RULES["F"]]}}),
                snp(),
                denied=[] if expected == "P" else [f"snp.{outer}"],
                rules=[record(f"snp.{outer}", expected)],
            )
    for results in product(_ORDER, repeat=2):
        left, right = results
        if left[0] == right[0] == "U" or {left, right} == {"P", "F"}:
            continue  # one claim cannot stand twice in a rule map
        rules = {**_RULES[left], **_RULES[right]}
        if len(rules) < 2:
            continue
        expected = value("all", results)
        yield judged(
            f"a rule map of {left} and {right} in any holds where all of it does: {expected}",
            policy({"snp": {"any": [rules]}}),
            snp(),
            denied=[] if expected == "P" else ["snp.any"],
            rules=[record("snp.any", expected)],
        )
