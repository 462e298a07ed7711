"""One rule as a Rego expression: a number that says what it found (`attest.policy.interchange.rego_support`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import cast

from attest.claims import CLAIMS, Claim
from attest.policy.compare import wanted
from attest.policy.defaults import replaces
from attest.policy.fixed import FLOOR
from attest.policy.floors import GRACE, Floors, Minimum
from attest.policy.interchange.rego_text import array, call, quoted, table, texts
from attest.policy.kinds import Value
from attest.policy.model import Body, Branches, Bytes, Components, Entry, Operator, ReferenceSet, Rule
from attest.policy.plan import AGES

ALWAYS = 1 << 40
"""Seconds since 1970, later than any date that a policy can say."""
_COMPARING = {
    "is": "is",
    "one-of": "one_of",
    "none-of": "none_of",
    "at-least": "at_least",
    "at-most": "at_most",
}


def seconds_of(instant: datetime) -> int:
    return int(instant.timestamp())


class Expressions:
    """floors: what `fixed` asks. claims: the Rego variable that holds the section's claims; `index` a device's."""

    def __init__(self, floors: Floors, claims: str = "claims") -> None:
        self._floors = floors
        self._claims = claims

    def of(self, entry: Entry) -> str:
        if isinstance(entry, Rule):
            return self._of_rule(entry)
        branches = [_every([self.of(one) for one in branch]) for branch in entry.branches]
        name = {"all": "every_of", "any": "any_of", "none": "none_at_all"}[entry.kind]
        return call(name, array(branches))

    def _of_rule(self, rule: Rule) -> str:
        if rule.is_fixed:
            operand = cast("frozenset[str]", rule.operators[0].operand)
            return _every([self.of_advisory(one) for one in sorted(operand)])
        if rule.is_default and rule.name == "gpu.mode":
            return call("gpu_mode", self._claims, "index")
        result = _every([self._of_operator(one, rule.claim) for one in rule.operators])
        if rule.name == "tdx.tcb-lag":
            result = call("revoked_or", self.raw("tcb-status"), result)
        if rule.place == FLOOR and self._floors.expires is not None:
            result = call("until", str(seconds_of(self._floors.expires + GRACE)), result)
        return call("or_absent", self.raw(rule.claim.name), result) if rule.absent_passes else result

    def raw(self, name: str) -> str:
        return f"get({self._claims}, {quoted(name)})"

    def _of_operator(self, operator: Operator, claim: Claim) -> str:
        name, operand, raw = operator.name, operator.operand, self.raw(claim.name)
        if name == "exists":
            return call("known", reading(claim, raw)) if operand is True else call("absent", raw)
        value = reading(claim, raw)
        if name == "in":
            return call("listed_in", value, sets_of(operator))
        if isinstance(operand, Components):
            return _of_tcb(operator, operand, value)
        if isinstance(operand, Bytes):
            return _of_svn(operator, operand, value)
        if isinstance(operand, Branches):
            minimums = {f"{branch:019}": _version(least) for branch, least in operand.minimums.items()}
            newest = max(minimums) if operand.newer else ""
            return call("in_branch", value, _object(minimums), quoted(newest))
        if name in ("has-bits", "no-bits"):
            return call("has", value, f"`{_mask(cast(int, operand), wanted=name == 'has-bits')}`")
        if claim.kind == "set" and name in ("none-of", "subset-of"):
            which = "apart" if name == "none-of" else "within"
            return call(which, value, literal(claim, cast(Value, operand)))
        if name in ("one-of", "none-of"):
            listed = array(literal(claim, one) for one in cast("tuple[Value, ...]", operand))
            return call(_COMPARING[name], value, listed)
        bound = literal(claim, cast(Value, operand))
        result = call(_COMPARING[name], value, bound)
        if claim.kind == "vbios" and name in ("at-least", "at-most"):
            return call("in_family", value, bound, result)
        return result

    # -- floors -------------------------------------------------------------------------------------

    def of_advisory(self, advisory: str) -> str:
        """Whether the machine shows the fix, by the floor data of the day the policy was exported."""
        products = self._floors.advisories[advisory]
        known = {product: self._from_then_on(minimums) for product, minimums in products.items() if minimums}
        result = call("fixed_on", table(known))
        if self._floors.expires is None:
            return result
        return call("until", str(seconds_of(self._floors.expires + GRACE)), result)

    def _from_then_on(self, minimums: tuple[Minimum, ...]) -> str:
        """Of several the latest that has come; before the first nothing is asked."""
        result = "3"
        for one in sorted(minimums, key=lambda one: one.begins):
            result = call("from_then_on", str(seconds_of(one.begins)), self._shows(one), result)
        return result

    def _shows(self, minimum: Minimum) -> str:
        asked = []
        if minimum.tcb:
            bounds = {name: f"{least:016x}" for name, least in minimum.tcb.items()}
            asked.append(call("components_at_least", f"tcb({self.raw('tcb')})", _object(bounds)))
        if minimum.firmware is not None:
            value = reading(CLAIMS["snp"]["firmware"], self.raw("firmware"))
            asked.append(call("at_least", value, quoted(_version(minimum.firmware))))
        for flag in minimum.flags:
            asked.append(call("is", reading(CLAIMS["snp"][flag], self.raw(flag)), quoted("true")))
        return _every(asked) if asked else "3"


# -- texts that compare -----------------------------------------------------------------------------


def reading(claim: Claim, raw: str) -> str:
    """The expression that reads a claim's text as its kind: null where it cannot be."""
    name = f"{claim.section}.{claim.name}"
    if claim.kind == "bool":
        return f'word({raw}, ["true", "false"])'
    if claim.kind == "text":
        return f"word({raw}, [{', '.join(map(quoted, claim.values))}])"
    if claim.kind in ("int", "bits"):
        return f"number({raw})"
    if claim.kind == "bytes":
        return f"bytes({raw}, {list(claim.size)})"
    if claim.kind == "svn":
        return f"bytes({raw}, [16])"
    if claim.kind == "set":
        return f"members({raw})"
    if claim.kind == "duration":
        if name == "tdx.tcb-lag":
            return f"lag({raw})"
        return f"seconds({raw}, {'elapsed' if name in AGES else '0'})"
    return f"{claim.kind}({raw})"


def literal(claim: Claim, value: Value) -> str:
    """A policy's value as `reading` reads an equal one."""
    if isinstance(value, bool):
        return quoted("true" if value else "false")
    if isinstance(value, int):
        return str(value) if claim.kind == "duration" else quoted(f"{value:016x}")
    if isinstance(value, bytes):
        return quoted(value.hex())
    if isinstance(value, datetime):
        return str(seconds_of(value))
    if isinstance(value, frozenset):
        return texts(sorted(value))
    if isinstance(value, tuple):
        if claim.kind == "vbios":
            return quoted(".".join(f"{byte:02x}" for byte in (*value, *[0] * (5 - len(value)))))
        return quoted(_version(value))
    return quoted(cast(str, value))


def _version(value: tuple[int, ...]) -> str:
    return ".".join(f"{number:019}" for number in (*value, *[0] * (4 - len(value))))


def _mask(mask: int, *, wanted: bool) -> str:
    """A pattern of the 16 hex digits that have all bits of `mask`, or none."""
    classes = []
    for shift in range(60, -1, -4):
        bits = mask >> shift & 15
        good = "".join(f"{digit:x}" for digit in range(16) if digit & bits == (bits if wanted else 0))
        classes.append(f"[{good}]" if bits else ".")
    return f"^{''.join(classes)}$"


def sets_of(operator: Operator) -> str:
    sets = cast("tuple[ReferenceSet, ...]", operator.operand)
    return array(set_name(one) for one in sets)


def set_name(found: ReferenceSet) -> str:
    # Rego's names have no dash; a set's have no underscore.
    return f"set_{found.name.replace('-', '_')}"


def entries_of(found: ReferenceSet) -> str:
    """The set as `listed_in` reads it."""
    listed = {}
    for value, references in found.index.items():
        entries = []
        for one in references:
            revoked = ALWAYS
            if one.state == "revoked":
                revoked = 0 if one.since is None else seconds_of(one.since)
            begins = 0 if one.begins is None else seconds_of(one.begins)
            ends = ALWAYS if one.ends is None else seconds_of(one.ends)
            result = 2 if one.state == "observed" else 3
            entries.append(f"[{result}, {begins}, {ends}, {revoked}, {quoted(one.covers or '')}]")
        listed[value.hex() if isinstance(value, bytes) else value] = array(entries)
    return f"{set_name(found)} := {table(listed)}\n"


def _of_tcb(operator: Operator, components: Components, value: str) -> str:
    name = "components_at_least" if operator.name == "at-least" else "components_at_most"

    def of(bounds: Mapping[str, int]) -> str:
        return call(name, value, _object({part: f"{bound:016x}" for part, bound in bounds.items()}))

    if components.free is not None:
        return of(components.free)
    return call(
        "of_product", value, table({one: of(bounds) for one, bounds in components.by_product.items()})
    )


def _of_svn(operator: Operator, operand: Bytes, value: str) -> str:
    name = _COMPARING[operator.name]
    results = [
        call(name, f"byte_of({value}, {index})", quoted(f"{bound:02x}"))
        for index, bound in operand.bounds.items()
    ]
    result = _every(results)
    if 1 in operand.bounds:
        return call("major", value, quoted(f"{operand.bounds[1]:02x}"), result)
    return result


def _object(found: Mapping[str, str]) -> str:
    return table({name: quoted(text) for name, text in found.items()})


def _every(results: list[str]) -> str:
    return results[0] if len(results) == 1 else call("every_of", array(results))


def judges_by_floors(body: Body) -> bool:
    """Whether Intel's evaluation number is held against floor data, beside what the policy says of it."""
    return not any(
        isinstance(one, Rule) and one.claim.name == "tcb-evaluation" and replaces(one) and one.override
        for one in body.sections.get("tdx", ())
    )


def asked(entry: Entry) -> str:
    """What an entry asks for, as it stands after "wanted"."""
    if isinstance(entry, Rule):
        if entry.is_fixed:
            return ", ".join(
                f"{one.upper()} fixed" for one in sorted(cast("frozenset[str]", entry.operators[0].operand))
            )
        return "; ".join(wanted(one, entry.claim) for one in entry.operators)
    branches = ["; ".join(_asked_within(one) for one in branch) for branch in entry.branches]
    return f"{entry.kind} of ({') or ('.join(branches)})"


def _asked_within(entry: Entry) -> str:
    return f"{entry.claim.name} {asked(entry)}" if isinstance(entry, Rule) else asked(entry)
