"""One operator against one claim: P passes, F fails, U cannot be told. The unknown is never a pass.

Everything here is total: whatever stands in the claim tree, a Finding comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypeAlias, cast

from attest.claims import Claim
from attest.policy.kinds import Value, Version, canonical_text, read
from attest.policy.model import Branches, Bytes, Components, Operator, OperatorName, Reference, ReferenceSet
from attest.policy.operators import padded
from attest.untrusted import escape

Result: TypeAlias = Literal["F", "U", "P"]
RANK: Mapping[Result, int] = {"F": 0, "U": 1, "P": 2}

ABSENT = "The evidence does not carry it"
UNREADABLE = "Its text cannot be read"


@dataclass(frozen=True, slots=True)
class Finding:
    """What comparing found.

    note: why a reference value failed: revoked, expired, not yet, not listed. entry: the reference value
    that decided. misses: what was wanted and what was found, for each miss. unknown: why it cannot be
    told. remedy: what would make the unknown known. expected, found: short and safe to print.
    """

    result: Result
    expected: str
    found: str | None
    misses: tuple[tuple[str, str], ...] = ()
    unknown: str | None = None
    note: str | None = None
    entry: Reference | None = None
    sets: tuple[ReferenceSet, ...] = ()
    operator: OperatorName | None = None
    remedy: str | None = None

    @property
    def observed(self) -> bool:
        return self.result == "P" and self.entry is not None and self.entry.state == "observed"


def judge(operator: Operator, claim: Claim, raw: object, *, product: str | None, now: datetime) -> Finding:
    """raw: the claim's canonical text in the tree, None where it is absent. now: whole seconds count."""
    return replace(_judge(operator, claim, raw, product, now), operator=operator.name)


def _judge(operator: Operator, claim: Claim, raw: object, product: str | None, now: datetime) -> Finding:
    expected = wanted(operator, claim)
    value: Value | None = None
    unknown = None
    if raw is None:
        unknown = ABSENT
    else:
        try:
            value = read(claim, raw)
        except ValueError:
            unknown = UNREADABLE
    found = shown(claim, value) if value is not None else shown_raw(raw)
    if operator.name == "exists":
        known = value is not None
        holds = known if operator.operand is True else raw is None
        return Finding(
            "P" if holds else "F", expected, found, () if holds else ((expected, found or "nothing"),)
        )
    if value is None:
        return Finding("U", expected, found, unknown=unknown)
    if operator.name == "in":
        return _in(
            cast("tuple[ReferenceSet, ...]", operator.operand),
            cast("bytes | str", value),
            expected,
            found,
            now,
        )
    if isinstance(operator.operand, Components):
        return _tcb(operator, cast("Mapping[str, int]", value), expected, found, product)
    if isinstance(operator.operand, Bytes):
        return _svn(operator, cast(bytes, value), expected, found)
    if claim.kind == "vbios" and operator.name in ("at-least", "at-most"):
        bound = cast("tuple[int, ...]", operator.operand)
        ours, theirs = (*bound, 0)[:2], (*cast("tuple[int, ...]", value), 0)[:2]
        if ours != theirs:
            family = ".".join(f"{byte:02X}" for byte in ours)
            return Finding("U", expected, found, unknown=f"{found} is of another family than {family}")
    if isinstance(operator.operand, Branches):
        holds, expected = _branch(operator.operand, cast("tuple[int, ...]", value), expected)
    else:
        holds = meets(operator, value)
    return Finding("P" if holds else "F", expected, found, () if holds else ((expected, found or "nothing"),))


def worst(findings: Iterable[Finding]) -> Finding:
    """All must pass: the lowest result, with the misses of all that did not pass. At least one is given."""
    all_of = tuple(findings)
    low = min(all_of, key=lambda finding: RANK[finding.result])
    if len(all_of) == 1:
        return low
    marked = next((finding.entry for finding in all_of if finding.observed), None)
    return Finding(
        low.result,
        "; ".join(finding.expected for finding in all_of),
        low.found,
        tuple(miss for finding in all_of for miss in finding.misses),
        low.unknown,
        low.note,
        marked if low.result == "P" else low.entry,
        low.sets,
        low.operator,
        low.remedy,
    )


# -- text -------------------------------------------------------------------------------------------


def shown(claim: Claim, value: Value) -> str:
    """A value as a person reads it: canonical, a version as it was written; escaped."""
    if claim.kind == "tcb" and isinstance(value, Mapping):
        return ", ".join(f"{name} {number}" for name, number in value.items())
    if claim.kind == "bits" and isinstance(value, int):
        return f"{value:#x}"
    if isinstance(value, Version):
        return _dots(value)
    text = canonical_text(claim, value)
    return escape(text if isinstance(text, str) else ", ".join(text))


def shown_raw(raw: object) -> str | None:
    return None if raw is None else escape(str(raw)[:400])


_SAYS = {
    "is": "{}",
    "one-of": "one of {}",
    "none-of": "none of {}",
    "subset-of": "only {}",
    "at-least": "≥ {}",
}


def wanted(operator: Operator, claim: Claim) -> str:
    """What an operator asks for, as it stands after "wanted"."""
    operand = operator.operand
    if operator.name == "exists":
        return "known" if operand is True else "absent"
    if operator.name == "in":
        names = ", ".join(f'"{found.name}"' for found in cast("tuple[ReferenceSet, ...]", operand))
        return f"a value of {names}"
    if operator.name in ("has-bits", "no-bits"):
        return f"bits {cast(int, operand):#x} {'set' if operator.name == 'has-bits' else 'clear'}"
    if isinstance(operand, Branches):
        listed = [f"{_dots(minimum)} in {branch}" for branch, minimum in sorted(operand.minimums.items())]
        return "≥ " + ", ".join(listed) + (", or a newer branch" if operand.newer else "")
    sign = "≤" if operator.name == "at-most" else "≥"
    if isinstance(operand, Components):
        if operand.free is not None:
            return ", ".join(f"{name} {sign} {bound}" for name, bound in operand.free.items())
        return ", ".join(
            f"{name} {sign} {bound} on {product.capitalize()}"
            for product, bounds in operand.by_product.items()
            for name, bound in bounds.items()
        )
    if isinstance(operand, Bytes):
        return ", ".join(f"byte {index} {sign} {bound}" for index, bound in operand.bounds.items())
    if operator.name in ("one-of", "none-of") and isinstance(operand, tuple):
        return _SAYS[operator.name].format(", ".join(shown(claim, cast(Value, value)) for value in operand))
    return _SAYS.get(operator.name, "≤ {}").format(shown(claim, cast(Value, operand)))


def _dots(version: tuple[int, ...]) -> str:
    """As it was written, leading zeros too."""
    if isinstance(version, Version):
        return escape(version.text)
    return ".".join(str(number) for number in version)


# -- the operators ----------------------------------------------------------------------------------


def meets(operator: Operator, value: Value) -> bool:
    """Whether a readable value passes an operator that compares with literals."""
    name, operand = operator.name, operator.operand
    if name == "is":
        return padded(value) == padded(cast(Value, operand))
    if name == "one-of":
        return padded(value) in [padded(member) for member in cast("tuple[Value, ...]", operand)]
    if name == "none-of":
        if isinstance(operand, frozenset):
            return not operand & cast("frozenset[str]", value)
        return padded(value) not in [padded(member) for member in cast("tuple[Value, ...]", operand)]
    if name == "subset-of":
        return cast("frozenset[str]", value) <= cast("frozenset[str]", operand)
    if name == "has-bits":
        return cast(int, value) & cast(int, operand) == operand
    if name == "no-bits":
        return cast(int, value) & cast(int, operand) == 0
    if name == "at-least":
        return at_least(value, cast(Value, operand))
    if name == "at-most":
        return at_least(cast(Value, operand), value)
    return False


def at_least(value: Value, bound: Value) -> bool:
    """Numbers, instants, and versions part by part with zeros for missing parts."""
    left, right = padded(value), padded(bound)
    if isinstance(left, tuple) and isinstance(right, tuple):
        return left >= right
    if isinstance(left, datetime) and isinstance(right, datetime):
        return left >= right
    return isinstance(left, int) and isinstance(right, int) and left >= right


def _branch(branches: Branches, value: tuple[int, ...], expected: str) -> tuple[bool, str]:
    minimum = branches.minimums.get(value[0])
    if minimum is not None:
        return at_least(value, minimum), f"≥ {_dots(minimum)}"
    return branches.newer and value[0] > max(branches.minimums), expected


def _tcb(
    operator: Operator, value: Mapping[str, int], expected: str, found: str | None, product: str | None
) -> Finding:
    components = cast(Components, operator.operand)
    bounds = components.free
    if bounds is None:
        if product is None:
            return Finding("U", expected, found, unknown="The product is not known")
        bounds = components.by_product.get(product)
        if bounds is None:
            listed = ", ".join(name.capitalize() for name in components.by_product)
            return Finding(
                "F", expected, found, ((f"a product listed here ({listed})", product.capitalize()),)
            )
    on = f" on {product.capitalize()}" if product else ""
    sign = "≤" if operator.name == "at-most" else "≥"
    misses = []
    unknown = None
    for name, bound in bounds.items():
        if name not in value:
            unknown = f"{product.capitalize() if product else 'The product'} has no component {name}"
        elif (value[name] > bound) if operator.name == "at-most" else (value[name] < bound):
            misses.append((f"{name} {sign} {bound}{on}", str(value[name])))
    result: Result = "F" if misses else "U" if unknown else "P"
    return Finding(result, expected, found, tuple(misses), unknown)


def _svn(operator: Operator, value: bytes, expected: str, found: str | None) -> Finding:
    bounds = cast(Bytes, operator.operand).bounds
    if 1 in bounds and value[1] != bounds[1]:
        return Finding(
            "U", expected, found, unknown=f"TDX module major version {value[1]} is not {bounds[1]}"
        )
    sign = "≤" if operator.name == "at-most" else "≥"
    misses = tuple(
        (f"byte {index} {sign} {bound}", str(value[index]))
        for index, bound in bounds.items()
        if ((value[index] > bound) if operator.name == "at-most" else (value[index] < bound))
    )
    return Finding("F" if misses else "P", expected, found, misses)


def _in(
    sets: tuple[ReferenceSet, ...], value: bytes | str, expected: str, found: str | None, now: datetime
) -> Finding:
    """Revoked anywhere refuses; then any value in its window passes, an active one before an observed."""
    now = now.replace(microsecond=0)
    equal = [reference for joined in sets for reference in joined.index.get(value, ())]
    failed: tuple[str, Reference | None] = ("not listed", None)
    passing: Reference | None = None
    for reference in equal:
        if reference.state == "revoked" and (reference.since is None or now >= reference.since):
            return Finding(
                "F", expected, found, ((expected, f"{found} (revoked)"),), None, "revoked", reference, sets
            )
        if reference.ends is not None and now > reference.ends:
            failed = ("expired", reference)
        elif reference.begins is not None and now < reference.begins:
            failed = ("not yet", reference)
        elif passing is None or passing.state == "observed":
            passing = reference
    if passing is not None:
        return Finding("P", expected, found, entry=passing, sets=sets)
    note, entry = failed
    return Finding("F", expected, found, ((expected, f"{found} ({note})"),), None, note, entry, sets)
