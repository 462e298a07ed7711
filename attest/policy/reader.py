"""From nodes to what one policy file says, with every error at its place.

Nothing is guessed and nothing unknown is passed over: an unknown key is an error with the name that may
have been meant. How several files become one policy is `attest.policy.compose`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

from attest.claims import CLAIMS, DEVICE_SECTIONS, SECTIONS, Claim
from attest.policy.floors import ADVISORY, Floors
from attest.policy.model import FIXED, PLATFORMS, Accepted, Entry, Group, Operator, ReferenceSet, Rule
from attest.policy.nodes import Fault, ListNode, MapNode, Node, Place, Scalar
from attest.policy.operators import OPERATORS, OperatorReader, applies
from attest.policy.pieces import Pieces
from attest.problems import PROBLEMS

MAX_RULES = 500
MAX_NESTING = 3

KEYS = (
    "policy",
    "name",
    "platforms",
    "require",
    "extends",
    "params",
    "references",
    "accept",
    "allow-warnings",
)
RULE_KEYS = (*OPERATORS, "else", "until", "why", "fix", "override", "covers")
GROUPS = ("any", "all", "none")
ACCEPT_KEYS = ("advisory", "until", "because", "override")
_NAME = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Said:
    """What one file says, its parameters put in and its references named."""

    name: str
    platforms: frozenset[str]
    sections: Mapping[str, tuple[Entry, ...]]
    allow_warnings: Mapping[str, str]
    accepted: tuple[Accepted, ...]


@dataclass(slots=True)
class Counts:
    """Of all files together. order: of the rule read last."""

    rules: int = 0
    order: int = 0


@dataclass(slots=True)
class Gaps:
    """Where errors were found: what the whole policy lacks may only follow from them.

    sections: those that a file names, read or not; an unknown one counts as each that it may have meant.
    wrong_sections, wrong_rules: with an error inside; rules by their places.
    """

    sections: set[str] = field(default_factory=set)
    wrong_sections: set[str] = field(default_factory=set)
    wrong_rules: set[str] = field(default_factory=set)


class Reader(Pieces):
    """Reads one file but for its parameters and reference sets, which are read before it.

    own: the owner's file, not one that it extends. effective: a canonical tree, where a claim may have several
    rules. sets: those the file may name.
    """

    def __init__(
        self,
        file: str,
        faults: list[Fault],
        *,
        own: bool,
        effective: bool,
        counts: Counts,
        sets: Mapping[str, ReferenceSet | None],
        operators: OperatorReader,
        floors: Floors,
        gaps: Gaps,
    ) -> None:
        super().__init__(file, faults)
        self._own = own
        self._effective = effective
        self._counts = counts
        self._sets = sets
        self._operators = operators
        self._floors = floors
        self._gaps = gaps

    def read(self, node: Node) -> Said:
        top = self._map(node, "a policy")
        known = self._entries(top, KEYS, "policy key")
        for key in ("policy", "name", "platforms", "require"):
            if key not in known:
                self._fault(node.place, f'"{key}" is missing')
        version = self._text(known.get("policy"), "policy")
        if version is not None and version != "1":
            self._fault(known["policy"].place, f'this verifier knows "policy: 1", not "{version}"')
        name = self._text(known.get("name"), "name")
        if name is not None and not _NAME.fullmatch(name):
            self._fault(known["name"].place, "a name is 1 to 64 of a-z, 0-9 and -")
        return Said(
            name or "",
            self._platforms(known.get("platforms")),
            self._require(known.get("require")),
            self._allow_warnings(known.get("allow-warnings")),
            tuple(self._accept(known.get("accept"))),
        )

    # -- head -------------------------------------------------------------------------------------

    def _platforms(self, node: Node | None) -> frozenset[str]:
        if node is None:
            return frozenset()
        names: set[str] = set()
        for item in node.items if isinstance(node, ListNode) else (node,):
            text = self._text(item, "platforms")
            if not isinstance(node, ListNode):
                self._fault(node.place, "platforms is a list")
            if text is None:
                continue
            if text not in PLATFORMS:
                self._unknown(item.place, f'unknown platform "{text}"', text, PLATFORMS)
            elif text in names:
                self._fault(item.place, f'platform "{text}" stands twice')
            names.add(text)
        if "none" in names and len(names) > 1:
            self._fault(node.place, '"none" stands alone: a policy for devices without a CPU part')
        return frozenset(names)

    def _allow_warnings(self, node: Node | None) -> dict[str, str]:
        allowed: dict[str, str] = {}
        for key, child in self._map(node, "allow-warnings").entries if node else ():
            reason = self._text(child, key.text)
            if key.text not in PROBLEMS:
                self._unknown(key.place, f'unknown warning "{key.text}"', key.text, PROBLEMS)
            allowed[key.text] = reason or ""
        return allowed

    def _accept(self, node: Node | None) -> Iterator[Accepted]:
        if node is not None and not isinstance(node, ListNode):
            self._fault(node.place, "accept is a list of maps with advisory, until and because")
            return
        seen: set[str] = set()
        for item in node.items if node else ():
            known = self._entries(self._map(item, "an accepted advisory"), ACCEPT_KEYS, "key of accept")
            for key in ("advisory", "until", "because"):
                if key not in known and isinstance(item, MapNode):
                    self._fault(item.place, f'"{key}" is missing: what is accepted, to when, and why')
            advisory = self._text(known.get("advisory"), "advisory")
            until = self._date(known.get("until"), "until", end=True)
            because = self._text(known.get("because"), "because")
            if advisory is None or until is None or because is None:
                continue
            if not ADVISORY.fullmatch(advisory.lower()):
                self._fault(known["advisory"].place, "an advisory is written as INTEL-SA-01192")
                continue
            if advisory.upper() in seen and not self._effective:
                self._fault(item.place, f"{advisory.upper()} is accepted twice")
            seen.add(advisory.upper())
            yield Accepted(
                advisory.upper(),
                until,
                because,
                self._text(known.get("override"), "override"),
                item.place.within(self._file),
                item.place,
            )

    # -- rules ------------------------------------------------------------------------------------

    def _require(self, node: Node | None) -> dict[str, tuple[Entry, ...]]:
        sections: dict[str, tuple[Entry, ...]] = {}
        gaps = self._gaps
        if not isinstance(node, MapNode):
            # That it is missing, or no map, is said already.
            gaps.sections.update(SECTIONS)
            gaps.wrong_sections.update(SECTIONS)
        for key, child in self._map(node, "require").entries if node else ():
            if key.text not in CLAIMS:
                self._unknown(key.place, f'unknown section "{key.text}"', key.text, SECTIONS)
                gaps.sections.update(SECTIONS)
                gaps.wrong_sections.update(SECTIONS)
                continue
            before = len(self.faults)
            gaps.sections.add(key.text)
            sections[key.text] = self._section(key.text, self._map(child, key.text), nesting=0)
            if len(self.faults) > before:
                gaps.wrong_sections.add(key.text)
        return sections

    def _section(self, section: str, node: MapNode, *, nesting: int) -> tuple[Entry, ...]:
        entries: list[Entry] = []
        for key, child in node.entries:
            self._counts.order += 1
            if key.text in GROUPS:
                for one in self._each(child, ListNode):
                    group = self._group(section, key, one, nesting + 1)
                    if group is not None:
                        entries.append(group)
                continue
            claim = CLAIMS[section].get(key.text)
            if claim is None and section == "snp" and key.text == FIXED.name:
                claim = FIXED
            if claim is None:
                names = (*CLAIMS[section], *GROUPS, *([FIXED.name] if section == "snp" else ()))
                self._unknown(key.place, f'unknown claim "{key.text}" in {section}', key.text, names)
                continue
            if nesting and section in DEVICE_SECTIONS and claim.name == "count":
                self._fault(key.place, "count speaks of all devices and stands outside any, all and none")
            if claim.name == "verified-by" and not self._own:
                self._fault(
                    key.place,
                    "only the owner's own file says who may have verified: a file to extend does not",
                )
            for one in self._each(child, MapNode):
                self._counts.rules += 1
                if self._counts.rules == MAX_RULES + 1:
                    self._fault(key.place, f"more than {MAX_RULES} rules")
                before = len(self.faults)
                rule = self._rule(claim, key, one, nested=nesting > 0)
                if rule is None or len(self.faults) > before:
                    # None without a fault: its parameter has no value, which is said where the parameter is.
                    self._gaps.wrong_rules.add(key.place.within(self._file))
                    self._gaps.wrong_sections.add(section)
                if rule is not None:
                    entries.append(rule)
        return tuple(entries)

    def _each(self, node: Node, kind: type[ListNode] | type[MapNode]) -> tuple[Node, ...]:
        """The rules or groups of one key: several only in the effective form of several files."""
        if (
            self._effective
            and isinstance(node, ListNode)
            and all(isinstance(one, kind) for one in node.items)
        ):
            return node.items
        return (node,)

    def _group(self, section: str, key: Scalar, node: Node, nesting: int) -> Group | None:
        order = self._counts.order
        if nesting > MAX_NESTING:
            self._fault(key.place, f"any, all and none nest at most {MAX_NESTING} deep")
            return None
        if not isinstance(node, ListNode):
            self._fault(node.place, f"{key.text} wants a list of rule maps")
            return None
        branches = tuple(
            self._section(section, self._map(item, f"a member of {key.text}"), nesting=nesting)
            for item in node.items
        )
        kind = cast("Literal['any', 'all', 'none']", key.text)
        return Group(section, kind, branches, key.place.within(self._file), order)

    def _rule(self, claim: Claim, key: Scalar, node: Node, *, nested: bool) -> Rule | None:
        order = self._counts.order
        if not isinstance(node, MapNode):
            operator = self._bare(claim, node)
            return (
                Rule(claim, (operator,), key.place.within(self._file), order, spot=key.place)
                if operator
                else None
            )
        known = self._entries(node, RULE_KEYS, f"operator of {claim.name}")
        operators: list[Operator] = []
        names = [name for name in OPERATORS if name in known]
        if not names and len(known) == len(node.entries):
            # Beside an unknown key, this would say the same again.
            able = "is" if claim is FIXED else ", ".join(name for name in OPERATORS if applies(name, claim))
            self._fault(node.place, f"{claim.name} has no operator: {able}")
        for name in names:
            if claim is FIXED:
                if name != "is":
                    self._fault(known[name].place, "fixed is a list of advisories")
                operator = self._fixed(known[name]) if name == "is" else None
            else:
                operator = self._operators.read(name, claim, known[name])
            if operator is not None:
                operators.append(operator)
        warn = self._choice(known.get("else"), "else", ("deny", "warn")) == "warn"
        until = self._date(known.get("until"), "until", end=True)
        if warn and "until" not in known:
            self._fault(known["else"].place, "else: warn needs until: a grace period ends")
        if "until" in known and not warn:
            self._fault(known["until"].place, "until belongs to else: warn")
        if nested and "else" in known:
            self._fault(known["else"].place, "else stands outside any, all and none")
        if nested and "override" in known:
            self._fault(known["override"].place, "override stands outside any, all and none")
        said = {name: self._text(known.get(name), name) for name in ("why", "fix", "override")}
        covers = self._choice(known.get("covers"), "covers", ("firmware", "image"))
        if covers and not {"is", "one-of"} & set(names):
            self._fault(
                known["covers"].place, "covers stands beside is or one-of; a reference value has its own"
            )
        if len(operators) != len(names) or not operators:
            return None
        return Rule(
            claim=claim,
            operators=tuple(operators),
            place=key.place.within(self._file),
            order=order,
            warn=warn,
            until=until,
            why=said["why"],
            fix=said["fix"],
            override=said["override"],
            covers=covers,
            spot=key.place,
        )

    def _bare(self, claim: Claim, node: Node) -> Operator | None:
        """`claim: value`, which means `is`."""
        if claim is FIXED:
            return self._fixed(node)
        if not applies("is", claim):
            self._fault(node.place, f"{claim.name} wants operators, such as {{at-least: …}}")
            return None
        return self._operators.read("is", claim, node)

    def _fixed(self, node: Node) -> Operator | None:
        """The advisories whose fix must show. Only those that floor data has a floor of: a rule that nothing could
        judge is an error of the policy, not a denial of every machine."""
        if not isinstance(node, ListNode):
            self._fault(node.place, "fixed is a list of advisories, such as [amd-sb-3019]")
            return None
        names: list[str] = []
        for item in node.items:
            text = self._text(item, "an advisory")
            name = text.lower() if text is not None else None
            if name is None:
                continue
            if name in names:
                self._fault(item.place, f"fixed lists {name} twice")
            elif not self._floors.known(name):
                self._no_floor(item.place, name)
            names.append(name)
        if len(names) != len(node.items):
            return None
        names.sort()
        return Operator("is", frozenset(names), list(names))

    def _no_floor(self, place: Place, name: str) -> None:
        title = self._floors.titles.get(name)
        if title is not None:
            self._fault(
                place,
                f"{name.upper()} has no known floor ({title}): write the minimum as tcb: {{at-least: …}}",
                "policy.floor-missing",
            )
            return
        known = [other for other in self._floors.advisories if self._floors.known(other)]
        from attest.policy.suggest import did_you_mean

        self._fault(place, f'floor data knows no "{name}"{did_you_mean(name, known)}', "policy.floor-missing")


def reference_finder(
    pieces: Pieces, sets: Mapping[str, ReferenceSet | None], place: Scalar, claim: Claim
) -> ReferenceSet | None:
    """The set that `in` names. What is wrong goes to `pieces`."""
    if place.text not in sets:
        pieces._unknown(place.place, f'unknown reference set "{place.text}"', place.text, sets)
        return None
    found = sets[place.text]
    if found is not None and found.claim is not claim:
        kind = f"{found.claim.section}.{found.claim.name}"
        pieces._fault(place.place, f'set "{place.text}" is of type {kind}, not {claim.section}.{claim.name}')
        return None
    return found
