"""From files to one policy: parents first, both apply, and what would loosen says so or is refused.

Per file: parameters of all, then reference sets of all, joined by name, then rules. So a parent's rule sees what a
child puts in for its parameter and adds to its set, and each of these is held against what the parent said.
Source: policy format, extends and params.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import NamedTuple

from attest.policy.floors import Floors
from attest.policy.kinds import read
from attest.policy.layers import Layer
from attest.policy.looser import looser
from attest.policy.model import Accepted, Body, Entry, ReferenceSet, Rule
from attest.policy.nodes import Fault, ListNode, MapNode, Node, Place, Unreadable
from attest.policy.operators import OperatorReader
from attest.policy.parameters import Declaration, Parameter, ParameterReader, Resolver, same_type
from attest.policy.reader import Counts, Gaps, Reader, Said, reference_finder
from attest.policy.references import Declared, ReferenceReader, joined_sets

_OVERRIDE = "policy.override-missing"
_CURED = ("tcb-status", "tcb-lag", "advisories")
"""Claims of tdx whose failed rules an accepted advisory may cure."""


_CALLER = 1 << 30
"""Behind all files: who gives values when the policy is read."""
_FEW = 8


class _Step(NamedTuple):
    """One value of an inherited parameter in the place of another. by: who says so, or what the caller's value is
    told at. override: the reason."""

    by: Declaration
    before: str
    after: str
    override: str | None


@dataclass(frozen=True, slots=True)
class Composed:
    """The effective policy. set_texts: canonical form of its reference sets."""

    body: Body
    set_texts: Mapping[str, Mapping[str, object]]


@dataclass(slots=True)
class _Read:
    """What the files say with one value for each parameter."""

    said: list[Said] = field(default_factory=list)
    sets: dict[str, Declared] = field(default_factory=dict)


class Composer:
    """faults: what is wrong with the policy; `compose` means nothing while there are any."""

    def __init__(
        self,
        layers: Sequence[Layer],
        arguments: Mapping[str, str],
        floors: Floors,
        faults: list[Fault],
        *,
        effective: bool,
    ) -> None:
        self.faults = faults
        self._layers = layers
        self._top = len(layers) - 1
        self._arguments = dict(arguments)
        self._floors = floors
        self._effective = effective
        self._loosened: dict[str, str] = {}
        self._kept: dict[tuple[object, ...], tuple[dict[str, Declared], list[Fault]]] = {}
        """Reference sets of the first so many files that have some, by the parameters in them: sets are what is long."""
        self._blamed = 0
        self.gaps = Gaps()

    def compose(self) -> Composed:
        declarations = self._declarations()
        values = self._values(declarations)
        read = self._read(self._layers, values, declarations, self.faults)
        own = read.said[self._top]
        platforms = frozenset.intersection(*(said.platforms for said in read.said))
        if not platforms and all(said.platforms for said in read.said):
            lists = "; ".join(
                f"{layer.name}: {', '.join(sorted(said.platforms))}"
                for layer, said in zip(self._layers, read.said, strict=True)
            )
            self._fault(self._top, self._layers[self._top].node.place, f"no platform is in all of {lists}")
        sections = self._sections(read.said)
        accepted = self._accepted(read.said, sections)
        if not self.faults:
            self._check_parameters(declarations, values)
        for name, declared in read.sets.items():
            if declared.override is not None:
                self._loosened[f"references.{name}"] = declared.override
        body = Body(
            name=own.name,
            platforms=platforms,
            sections={name: tuple(entry for _, entry in entries) for name, entries in sections.items()},
            references={name: found for name, found in joined_sets(read.sets).items() if found is not None},
            allow_warnings=own.allow_warnings,
            parameters={name: value.text for name, value in values.items() if value.text is not None},
            loosened=dict(sorted(self._loosened.items())),
            accepted=accepted,
        )
        texts = {name: found.canonical for name, found in read.sets.items() if found.claim is not None}
        return Composed(body, texts)

    # -- reading ----------------------------------------------------------------------------------

    def _read(
        self,
        layers: Sequence[Layer],
        values: Mapping[str, Parameter],
        declarations: Sequence[Declaration],
        faults: list[Fault],
    ) -> _Read:
        found = _Read()
        operators = []
        count = 0
        named = frozenset().union(*self._in_sets[: len(layers)])
        texts = ((name, value.text) for name, value in values.items() if name in named)
        key = (sum(map(_has_sets, layers)), *sorted(texts, key=str))
        kept = self._kept.get(key)
        said: list[Fault] = []
        for index, layer in enumerate(layers):
            seen = {one.name for one in declarations if one.layer == index or one.layer in layer.parents}
            known = {name: value for name, value in values.items() if name in seen}
            resolver = Resolver(layer.name, faults, known)
            # Filled when the sets of all files are joined.
            sets: dict[str, ReferenceSet | None] = {}
            reader = OperatorReader(
                resolver._fault, resolver.resolve, partial(reference_finder, resolver, sets)
            )
            operators.append((reader, sets))
            node = self._child(layer, "references", faults) if kept is None else None
            if node is not None:
                in_sets = Resolver(layer.name, said, known)
                references = ReferenceReader(
                    layer.name,
                    index,
                    said,
                    OperatorReader(in_sets._fault, in_sets.resolve, partial(reference_finder, in_sets, {})),
                    parents=layer.parents,
                    joined=self._effective,
                    count=count,
                )
                references.read(node, found.sets)
                count = references.count
        if kept is None:
            self._kept[key] = found.sets, said
        else:
            found.sets, said = kept
        faults += said
        joined = joined_sets(found.sets)
        counts = Counts()
        for index, layer in enumerate(layers):
            reader, sets = operators[index]
            visible = {
                name: joined[name]
                for name, declared in found.sets.items()
                if any(one == index or one in layer.parents for one, _ in declared.layers)
            }
            sets.update(visible)
            found.said.append(
                Reader(
                    layer.name,
                    faults,
                    own=index == self._top,
                    effective=self._effective,
                    counts=counts,
                    sets=visible,
                    operators=reader,
                    floors=self._floors,
                    gaps=self.gaps,
                ).read(layer.node)
            )
        return found

    @cached_property
    def _in_sets(self) -> Sequence[frozenset[str]]:
        """Of each file the parameters that stand in its reference sets."""
        return [frozenset(_named_in(_sets_in(layer))) for layer in self._layers]

    def _child(self, layer: Layer, key: str, faults: list[Fault]) -> MapNode | None:
        for name, child in layer.node.entries if isinstance(layer.node, MapNode) else ():
            if name.text == key:
                if isinstance(child, MapNode):
                    return child
                faults.append(Fault(child.place, f"{key} is a map", file=layer.name))
        return None

    # -- parameters -------------------------------------------------------------------------------

    def _declarations(self) -> list[Declaration]:
        found: list[Declaration] = []
        by_name: dict[str, list[Declaration]] = {}
        for index, layer in enumerate(self._layers):
            node = self._child(layer, "params", self.faults)
            if node is None:
                continue
            for one in ParameterReader(layer.name, index, self.faults).read(node):
                for other in by_name.setdefault(one.name, []):
                    if not same_type(other.claim, one.claim):
                        self._fault(
                            index, one.place, f'the inherited parameter "{one.name}" is of another type'
                        )
                        break
                    if other.layer not in layer.parents and other.default != one.default:
                        self._fault(
                            index,
                            one.place,
                            f'parameter "{one.name}" stands in {other.file} too, which this file does not extend: rename one',
                        )
                        break
                else:
                    found.append(one)
                    by_name[one.name].append(one)
        return found

    def _values(self, declarations: Sequence[Declaration]) -> dict[str, Parameter]:
        values: dict[str, Parameter] = {}
        last: dict[str, Declaration] = {}
        for one in declarations:
            before = values.get(one.name)
            text = one.default if one.default is not None or before is None else before.text
            values[one.name] = Parameter(one.claim, text)
            last[one.name] = one
        for name, text in self._arguments.items():
            if name not in values:
                self.faults.append(Fault(Place(), f'unknown parameter "{name}" was given'))
                continue
            one = last[name]
            ParameterReader(one.file, one.layer, self.faults).check(name, one.claim, text, one.place)
            values[name] = Parameter(one.claim, text)
        for name, value in values.items():
            if value.text is None:
                self._fault(
                    last[name].layer,
                    last[name].place,
                    f'parameter "{name}" has no value',
                    "policy.parameter-missing",
                )
        return values

    def _check_parameters(self, declarations: Sequence[Declaration], values: Mapping[str, Parameter]) -> None:
        """A default replaced by a child, or an inherited one by the caller, may not widen what a parent asks."""
        by_name: dict[str, list[Declaration]] = {}
        for one in declarations:
            by_name.setdefault(one.name, []).append(one)
        steps: dict[int, list[_Step]] = {}
        for name, declared in by_name.items():
            text: str | None = None
            for one in declared:
                if one.default is None:
                    continue
                if text is not None and text != one.default:
                    steps.setdefault(one.layer, []).append(_Step(one, text, one.default, one.override))
                text = one.default
            given = self._arguments.get(name)
            if given is not None and text is not None and given != text and declared[0].layer != self._top:
                # A caller's value is the owner's own file's to answer for.
                own = next((one for one in declared if one.layer == self._top), None)
                override = own.override if own else None
                steps.setdefault(_CALLER, []).append(_Step(declared[-1], text, given, override))
        for layer in sorted(steps):
            self._check_steps(layer, steps[layer], declarations, values)

    def _check_steps(
        self,
        layer: int,
        steps: Sequence[_Step],
        declarations: Sequence[Declaration],
        values: Mapping[str, Parameter],
    ) -> None:
        """The steps of one file, or of the caller. All at once: a policy is read twice, however many there are."""
        silent = []
        for step in steps:
            if step.override is not None:
                self._loosened[f"params.{step.by.name}"] = step.override
            else:
                silent.append(step)
        parents = self._layers[: self._top if layer == _CALLER else layer]
        if not silent or not self._wider(parents, silent, declarations, values):
            return
        # Which of them it is; where there are many, or none is it alone, the first stands for all.
        few = silent if self._blamed + len(silent) <= _FEW else []
        self._blamed += len(silent)
        alone = [step for step in few if self._wider(parents, [step], declarations, values)]
        who = "the value given for" if layer == _CALLER else "this default of"
        for step in alone or silent[:1]:
            more = "" if alone or len(silent) == 1 else f", or one of {len(silent) - 1} others beside it,"
            self._fault(
                step.by.layer,
                step.by.place,
                f'{who} the inherited parameter "{step.by.name}"{more} lets pass more than "{step.before}" does: '
                'say override: "reason" beside its type',
                _OVERRIDE,
            )

    def _wider(
        self,
        parents: Sequence[Layer],
        steps: Sequence[_Step],
        declarations: Sequence[Declaration],
        values: Mapping[str, Parameter],
    ) -> bool:
        named = frozenset().union(*self._in_sets[: len(parents)])
        if any(step.by.name in named and _another(step) for step in steps):
            return True  # another value in a set, which is long, is never shown to be as strict
        faults: list[Fault] = []
        try:
            old, new = (
                self._read(parents, {**values, **texts}, declarations, faults)
                for texts in (
                    {step.by.name: Parameter(step.by.claim, step.before) for step in steps},
                    {step.by.name: Parameter(step.by.claim, step.after) for step in steps},
                )
            )
        except Unreadable:
            return True
        # Where one of the two cannot be read, nothing shows that the other is as strict.
        return bool(faults) or looser(new.said, old.said)

    # -- merging ----------------------------------------------------------------------------------

    def _sections(self, files: Sequence[Said]) -> dict[str, list[tuple[int, Entry]]]:
        """Both apply; a rule with `override` takes the place of what its own parents say of the claim, but for what a
        file beside it inherits too: its reason is not that file's."""
        sections: dict[str, list[tuple[int, Entry]]] = {}
        for index, said in enumerate(files):
            parents = self._layers[index].parents
            beside = [
                layer.parents
                for other, layer in enumerate(self._layers)
                if other != index and other not in parents and index not in layer.parents
            ]
            replaced = {one for one in parents if not any(one in inherited for inherited in beside)}
            for section, entries in said.sections.items():
                merged = sections.setdefault(section, [])
                for entry in entries:
                    if isinstance(entry, Rule) and entry.override is not None:
                        self._loosened[entry.name] = entry.override
                        merged[:] = [
                            (layer, other)
                            for layer, other in merged
                            if not (
                                layer in replaced and isinstance(other, Rule) and other.claim is entry.claim
                            )
                        ]
                merged += ((index, entry) for entry in entries)
        return sections

    def _accepted(
        self, files: Sequence[Said], sections: Mapping[str, list[tuple[int, Entry]]]
    ) -> tuple[Accepted, ...]:
        """Acceptances of all files. One of a child over a rule or an acceptance that it inherits says override."""
        by_advisory: dict[str, list[tuple[int, Accepted]]] = {}
        for index, said in enumerate(files):
            parents = self._layers[index].parents
            for one in said.accepted:
                found = by_advisory.setdefault(one.advisory, [])
                if one.override is not None:
                    self._loosened[f"accept.{one.advisory}"] = one.override
                    found[:] = [(layer, other) for layer, other in found if layer not in parents]
                elif (over := self._over(index, one, found, sections)) is not None:
                    self._fault(
                        index,
                        one.spot,
                        f'{one.advisory} is accepted over {over}: say override: "reason"',
                        _OVERRIDE,
                    )
                found.append((index, one))
        return tuple(one for name in sorted(by_advisory) for _, one in by_advisory[name])

    def _over(
        self,
        index: int,
        one: Accepted,
        found: Sequence[tuple[int, Accepted]],
        sections: Mapping[str, list[tuple[int, Entry]]],
    ) -> str | None:
        """The rule, or of `found` the acceptance of the same advisory, that this one loosens: of a file that does
        not itself inherit it."""
        for layer, other in found:
            if layer != index and other.until < one.until:
                return f"the earlier end in {other.place}"
        for section in ("tdx", "snp"):
            for layer, entry in sections.get(section, ()):
                if layer == index or index in self._layers[layer].parents or not isinstance(entry, Rule):
                    continue
                if entry.is_fixed:
                    named = entry.operators[0].operand
                    applies = isinstance(named, frozenset) and one.advisory.lower() in named
                else:
                    applies = (
                        section == "tdx"
                        and entry.claim.name in _CURED
                        and not one.advisory.startswith("AMD-")
                    )
                if applies:
                    return f"the rule {entry.name} of {entry.place}"
        return None

    def _fault(self, layer: int, place: Place, message: str, code: str = "policy.invalid") -> None:
        self.faults.append(Fault(place, message, code, self._layers[layer].name))
        if len(self.faults) >= 200:
            raise Unreadable(self.faults)


def _another(step: _Step) -> bool:
    return read(step.by.claim, step.before) != read(step.by.claim, step.after)


def _sets_in(layer: Layer) -> list[Node]:
    entries = layer.node.entries if isinstance(layer.node, MapNode) else ()
    return [child for key, child in entries if key.text == "references"]


def _named_in(nodes: list[Node]) -> Iterator[str]:
    while nodes:
        node = nodes.pop()
        if isinstance(node, MapNode):
            nodes += (child for _, child in node.entries)
        elif isinstance(node, ListNode):
            nodes += node.items
        elif node.text.startswith("${"):
            yield node.text[2:-1]


def _has_sets(layer: Layer) -> bool:
    return bool(_sets_in(layer))
