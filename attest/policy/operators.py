"""From a node to an operator: which operators a kind of claim has, and how their literals are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from attest.claims import Claim
from attest.policy.kinds import COMPONENTS, PRODUCTS, Value, byte, canonical_text, number, read, utf16
from attest.policy.model import (
    Branches,
    Bytes,
    CanonicalText,
    Components,
    Operand,
    Operator,
    OperatorName,
    ReferenceSet,
)
from attest.policy.nodes import ListNode, MapNode, Node, Place, Scalar
from attest.policy.suggest import did_you_mean

ORDERED = frozenset({"int", "version", "vbios", "tcb", "svn", "date", "duration"})
OPERATORS: Mapping[OperatorName, frozenset[str] | None] = {
    "is": None,
    "one-of": None,
    "none-of": None,
    "at-least": ORDERED,
    "at-most": ORDERED,
    "has-bits": frozenset({"bits"}),
    "no-bits": frozenset({"bits"}),
    "exists": None,
    "in": frozenset({"bytes", "text"}),
    "subset-of": frozenset({"set"}),
}
"""Operator → kinds it applies to; None for all, where `equality` takes tcb and svn out."""

Fault = Callable[[Place, str], None]


def applies(name: OperatorName, claim: Claim) -> bool:
    kinds = OPERATORS[name]
    if kinds is not None:
        return claim.kind in kinds
    return name == "exists" or claim.kind not in ("tcb", "svn")


class OperatorReader:
    """Reads operators; what is wrong goes to `fault` and reads as None.

    parameters: name → type and text, for literals written `${name}`. references: sets for `in`.
    """

    def __init__(
        self,
        fault: Fault,
        parameter: Callable[[Scalar, Claim], str | None],
        reference: Callable[[Scalar, Claim], ReferenceSet | None],
    ) -> None:
        self._fault = fault
        self._parameter = parameter
        self._reference = reference

    def read(self, name: OperatorName, claim: Claim, node: Node) -> Operator | None:
        if not applies(name, claim):
            able = ", ".join(other for other in OPERATORS if applies(other, claim))
            self._fault(
                node.place, f'"{name}" does not apply to {claim.name}, of kind {claim.kind}; {able} do'
            )
            return None
        if name == "exists":
            return self._exists(node)
        if name in ("one-of", "none-of", "subset-of"):
            return self._members(name, claim, node)
        if name == "in":
            return self._in(claim, node)
        if name in ("at-least", "at-most"):
            bounds = self._bounds(name, claim, node)
            return None if bounds is None else Operator(name, *bounds)
        value = self.literal(claim, node)
        return (
            None
            if value is None
            else Operator(name, value, cast(CanonicalText, canonical_text(claim, value)))
        )

    def literal(self, claim: Claim, node: Node) -> Value | None:
        """A whole literal of this claim's kind."""
        raw: object
        if isinstance(node, Scalar):
            raw = self._parameter(node, claim)
            if raw is None:
                return None
        elif isinstance(node, ListNode) and claim.kind == "set":
            raw = [self._parameter(item, claim) if isinstance(item, Scalar) else None for item in node.items]
        else:
            self._fault(node.place, f"{claim.name} wants one value here")
            return None
        try:
            return read(claim, raw)
        except ValueError as error:
            near = did_you_mean(raw, claim.values) if isinstance(raw, str) else ""
            self._fault(node.place, f"{claim.name} wants {error}{near}")
            return None

    def _exists(self, node: Node) -> Operator | None:
        if isinstance(node, Scalar) and node.text in ("true", "false"):
            return Operator("exists", node.text == "true", node.text)
        self._fault(node.place, "exists wants true or false")
        return None

    def _members(self, name: OperatorName, claim: Claim, node: Node) -> Operator | None:
        if not isinstance(node, ListNode):
            self._fault(node.place, f"{name} wants a list")
            return None
        if claim.kind == "set" and name != "one-of":
            whole = self.literal(claim, node)
            if whole is None:
                return None
            return Operator(name, whole, cast(CanonicalText, canonical_text(claim, whole)))
        values: list[Value] = []
        known: set[Value] = set()
        for item in node.items:
            value = self.literal(claim, item)
            if value is None:
                continue
            # Equality as `is` compares: 1.0 and 1 are one version.
            if padded(value) in known:
                self._fault(item.place, f"{name} lists the same value twice")
            known.add(padded(value))
            values.append(value)
        if len(values) != len(node.items):
            return None
        texts = cast("list[CanonicalText]", [canonical_text(claim, value) for value in values])
        texts.sort(
            key=lambda text: utf16(text if isinstance(text, str) else "\0".join(cast("list[str]", text)))
        )
        return Operator(name, tuple(values), texts)

    def _in(self, claim: Claim, node: Node) -> Operator | None:
        names = node.items if isinstance(node, ListNode) else (node,)
        sets: list[ReferenceSet] = []
        for item in names:
            if not isinstance(item, Scalar):
                self._fault(item.place, "in wants names of reference sets")
                continue
            found = self._reference(item, claim)
            if found is not None:
                if found in sets:
                    self._fault(item.place, f'in names the set "{found.name}" twice')
                sets.append(found)
        if len(sets) != len(names):
            return None
        return Operator("in", tuple(sets), [found.name for found in sets])

    def _bounds(self, name: OperatorName, claim: Claim, node: Node) -> tuple[Operand, CanonicalText] | None:
        if claim.kind == "tcb":
            return self._tcb(claim, node)
        if claim.kind == "svn":
            return self._svn(node)
        if isinstance(node, MapNode) and claim.kind == "version" and name == "at-least":
            return self._branches(claim, node)
        value = self.literal(claim, node)
        return None if value is None else (value, cast(CanonicalText, canonical_text(claim, value)))

    def _branches(self, claim: Claim, node: MapNode) -> tuple[Operand, CanonicalText] | None:
        minimums: dict[int, tuple[int, ...]] = {}
        texts: dict[str, CanonicalText] = {}
        newer = False
        good = True
        for key, child in node.entries:
            if key.text == "newer":
                if not isinstance(child, Scalar) or child.text != "ok":
                    self._fault(child.place, "newer wants ok")
                    good = False
                newer = True
                texts["newer"] = "ok"
                continue
            try:
                branch = number(key.text)
            except ValueError:
                self._fault(key.place, f'"{key.text}" is no branch: the first number of a version, or newer')
                good = False
                continue
            value = cast("tuple[int, ...] | None", self.literal(claim, child))
            if value is None:
                good = False
            elif value[0] != branch:
                self._fault(child.place, f"a minimum of branch {branch} starts with {branch}")
                good = False
            elif branch in minimums:
                self._fault(key.place, f"branch {branch} stands twice")
                good = False
            else:
                minimums[branch] = value
                texts[str(branch)] = cast(CanonicalText, canonical_text(claim, value))
        if not minimums and good:
            self._fault(node.place, "no branch is listed")
            good = False
        return (Branches(minimums, newer), texts) if good else None

    def _tcb(self, claim: Claim, node: Node) -> tuple[Operand, CanonicalText] | None:
        if not isinstance(node, MapNode):
            self._fault(node.place, f"{claim.name} wants a map of {', '.join(COMPONENTS)}, or of products")
            return None
        keys = [key.text for key, _ in node.entries]
        if keys and all(key in PRODUCTS for key in keys):
            by_product: dict[str, Mapping[str, int]] = {}
            texts: dict[str, CanonicalText] = {}
            for key, child in node.entries:
                if not isinstance(child, MapNode):
                    self._fault(child.place, f"{key.text} wants a map of {', '.join(COMPONENTS)}")
                    continue
                bounds = self._bytes_by_name(child)
                if bounds is not None:
                    by_product[key.text] = bounds
                    texts[key.text] = {name: str(value) for name, value in bounds.items()}
            return (Components(None, by_product), texts) if len(texts) == len(keys) else None
        if node.entries and all(isinstance(child, MapNode) for _, child in node.entries):
            # Maps below: these were meant for products.
            for key, _ in node.entries:
                if key.text not in PRODUCTS:
                    self._fault(key.place, f'unknown product "{key.text}"{did_you_mean(key.text, PRODUCTS)}')
            return None
        bounds = self._bytes_by_name(node)
        if bounds is None:
            return None
        return Components(bounds, {}), {name: str(value) for name, value in bounds.items()}

    def _bytes_by_name(self, node: MapNode) -> dict[str, int] | None:
        bounds: dict[str, int] = {}
        for key, child in node.entries:
            if key.text not in COMPONENTS:
                self._fault(
                    key.place,
                    f'"{key.text}" is no TCB component: {", ".join(COMPONENTS)}{did_you_mean(key.text, COMPONENTS)}',
                )
                continue
            value = self._byte(child)
            if value is not None:
                bounds[key.text] = value
        return bounds if len(bounds) == len(node.entries) else None

    def _svn(self, node: Node) -> tuple[Operand, CanonicalText] | None:
        if not isinstance(node, MapNode):
            self._fault(node.place, "an SVN wants a map of byte index to bound")
            return None
        bounds: dict[int, int] = {}
        for key, child in node.entries:
            try:
                index = number(key.text)
            except ValueError:
                index = 16
            if index > 15 or index in bounds:
                self._fault(key.place, "a byte index is 0 to 15, each once")
                continue
            value = self._byte(child)
            if value is not None:
                bounds[index] = value
        if len(bounds) != len(node.entries):
            return None
        return Bytes(bounds), {str(index): str(value) for index, value in bounds.items()}

    def _byte(self, node: Node) -> int | None:
        try:
            return byte(node.text if isinstance(node, Scalar) else None)
        except ValueError as error:
            self._fault(node.place, f"expected {error}")
            return None


def padded(value: Value) -> Value:
    """A version without trailing zeros, so that missing parts are zero; other values as they are."""
    if isinstance(value, tuple):
        numbers = list(value)
        while len(numbers) > 1 and numbers[-1] == 0:
            numbers.pop()
        return tuple(numbers)
    return value
