"""Parameters: declared in a policy or its parents, given a default there or a value by the caller."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from attest.claims import Claim
from attest.policy.kinds import read
from attest.policy.nodes import Fault, MapNode, Place, Scalar
from attest.policy.pieces import Pieces

_REFERENCE = re.compile(r"\$\{([a-z0-9_-]{1,64})\}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Declaration:
    """One `params` entry. layer: index of its file. default: text; None where it has none."""

    name: str
    claim: Claim
    default: str | None
    override: str | None
    layer: int
    file: str
    place: Place


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a name stands for. text: None where neither a default nor a value was given."""

    claim: Claim
    text: str | None


class ParameterReader(Pieces):
    """Reads the `params` of one file."""

    def __init__(self, file: str, layer: int, faults: list[Fault]) -> None:
        super().__init__(file, faults)
        self._layer = layer

    def read(self, node: MapNode) -> list[Declaration]:
        found = []
        for key, child in node.entries:
            if not _REFERENCE.fullmatch("${" + key.text + "}"):
                self._fault(key.place, "a parameter's name is 1 to 64 of a-z, 0-9, - and _")
            known = self._entries(
                self._map(child, "a parameter"), ("type", "default", "override"), "key of a parameter"
            )
            claim = self._type(known.get("type"), child.place)
            default = self._text(known.get("default"), "default")
            override = self._text(known.get("override"), "override")
            if claim is None:
                continue
            if claim.kind in ("tcb", "svn"):
                self._fault(child.place, f"a parameter cannot be of kind {claim.kind}")
                continue
            self.check(key.text, claim, default, child.place)
            found.append(
                Declaration(key.text, claim, default, override, self._layer, self._file, child.place)
            )
        return found

    def check(self, name: str, claim: Claim, text: str | None, place: Place) -> None:
        if text is not None:
            try:
                read(claim, text)
            except ValueError as error:
                self._fault(place, f'parameter "{name}" wants {error}')


def same_type(left: Claim, right: Claim) -> bool:
    """Whether a value of one claim reads as one of the other."""
    return (left.kind, left.size, left.values) == (right.kind, right.size, right.values)


class Resolver(Pieces):
    """Puts parameters in for the literals of one file. parameters: those it may name."""

    def __init__(self, file: str, faults: list[Fault], parameters: Mapping[str, Parameter]) -> None:
        super().__init__(file, faults)
        self._parameters = parameters

    def resolve(self, node: Scalar, claim: Claim) -> str | None:
        """A literal's text, its parameter put in."""
        named = _REFERENCE.fullmatch(node.text)
        if named is None:
            if "${" in node.text:
                self._fault(node.place, "a parameter stands for a whole value")
                return None
            return node.text
        parameter = self._parameters.get(named[1])
        if parameter is None:
            self._unknown(node.place, f'unknown parameter "{named[1]}"', named[1], self._parameters)
            return None
        if not same_type(parameter.claim, claim):
            kind = parameter.claim
            self._fault(
                node.place,
                f'parameter "{named[1]}" is of type {kind.section}.{kind.name}, not {claim.section}.{claim.name}',
            )
            return None
        return parameter.text
