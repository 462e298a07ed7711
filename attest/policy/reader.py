"""From nodes to a policy, with every error of the file at its place.

Nothing is guessed and nothing unknown is passed over: an unknown key is an error with the name that may
have been meant. What belongs to later versions of this reader (`extends`, `accept`, `fixed`) is an error
of its own code, so that no rule is silently left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal, cast

from attest.claims import CLAIMS, DEVICE_SECTIONS, SECTIONS, Claim, instant
from attest.policy.kinds import day_or_instant, read
from attest.policy.model import (
    PLATFORMS,
    Body,
    Entry,
    Group,
    Operator,
    Reference,
    ReferenceSet,
    Rule,
)
from attest.policy.nodes import MAX_FAULTS, Fault, ListNode, MapNode, Node, Place, Scalar, Unreadable
from attest.policy.operators import OPERATORS, OperatorReader, applies
from attest.policy.suggest import did_you_mean
from attest.problems import PROBLEMS

MAX_RULES = 500
MAX_REFERENCES = 10_000
MAX_NESTING = 3

_KEYS = (
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
_RULE_KEYS = (*OPERATORS, "else", "until", "why", "fix", "override", "covers")
_VALUE_KEYS = ("value", "name", "covers", "state", "from", "until", "since", "because", "origin")
_GROUPS = ("any", "all", "none")
_LATER = {"extends": "extends", "accept": "accepting advisories"}
_NAME = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)
_PARAMETER = re.compile(r"\$\{([a-z0-9_-]{1,64})\}", re.ASCII)


class Reader:
    """Reads one policy. `faults` holds what is wrong; the body means nothing while there are any.

    sections: those that the file names, read or not; an unknown one counts as each that it may have meant.
    wrong_sections, wrong_rules: with a fault inside; what the whole policy lacks may only follow from it.
    """

    def __init__(self, file: str, arguments: Mapping[str, str] | None = None) -> None:
        self.faults: list[Fault] = []
        self._file = file
        self._arguments = dict(arguments or {})
        self._parameters: dict[str, tuple[Claim, str | None]] = {}
        self._sets: dict[str, ReferenceSet | None] = {}
        self._rules = 0
        self._values = 0
        self._order = 0
        self._loosened: dict[str, str] = {}
        self._set_texts: dict[str, dict[str, object]] = {}
        self.sections: set[str] = set()
        self.wrong_sections: set[str] = set()
        self.wrong_rules: set[Place] = set()
        self._operators = OperatorReader(self._fault, self._resolve, self._reference)

    def read(self, node: Node) -> Body:
        top = self._map(node, "a policy")
        known = self._entries(top, _KEYS, "policy key")
        for key in ("policy", "name", "platforms", "require"):
            if key not in known:
                self._fault(node.place, f'"{key}" is missing')
        for key, what in _LATER.items():
            if key in known:
                self._later(known[key].place, what)
        version = self._text(known.get("policy"), "policy")
        if version is not None and version != "1":
            self._fault(known["policy"].place, f'this verifier knows "policy: 1", not "{version}"')
        name = self._text(known.get("name"), "name")
        if name is not None and not _NAME.fullmatch(name):
            self._fault(known["name"].place, "a name is 1 to 64 of a-z, 0-9 and -")
        platforms = self._platforms(known.get("platforms"))
        self._read_parameters(known.get("params"))
        self._read_references(known.get("references"))
        allowed = self._allow_warnings(known.get("allow-warnings"))
        sections = self._require(known.get("require"))
        self.faults.sort(key=lambda fault: fault.place)
        return Body(
            name=name or "",
            platforms=platforms,
            sections=sections,
            references={name: found for name, found in self._sets.items() if found is not None},
            allow_warnings=allowed,
            parameters={key: text for key, (_, text) in self._parameters.items() if text is not None},
            loosened=self._loosened,
        )

    @property
    def set_texts(self) -> Mapping[str, Mapping[str, object]]:
        """Canonical form of the reference sets."""
        return self._set_texts

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

    def _read_parameters(self, node: Node | None) -> None:
        for key, child in self._map(node, "params").entries if node else ():
            if not _PARAMETER.fullmatch("${" + key.text + "}"):
                self._fault(key.place, "a parameter's name is 1 to 64 of a-z, 0-9, - and _")
            known = self._entries(self._map(child, "a parameter"), ("type", "default"), "key of a parameter")
            claim = self._type(known.get("type"), child.place)
            default = self._text(known.get("default"), "default")
            if claim is None:
                continue
            if claim.kind in ("tcb", "svn"):
                self._fault(child.place, f"a parameter cannot be of kind {claim.kind}")
                continue
            text = self._arguments.pop(key.text, default)
            if text is not None:
                try:
                    read(claim, text)
                except ValueError as error:
                    self._fault(child.place, f'parameter "{key.text}" wants {error}')
            else:
                self._fault(child.place, f'parameter "{key.text}" has no value', "policy.parameter-missing")
            self._parameters[key.text] = (claim, text)
        for name in self._arguments:
            self._fault(Place(), f'unknown parameter "{name}" was given')

    def _type(self, node: Node | None, place: Place) -> Claim | None:
        text = self._text(node, "type")
        if text is None:
            if node is None:
                self._fault(place, '"type" is missing, such as snp.measurement')
            return None
        section, _, name = text.partition(".")
        claim = CLAIMS.get(section, {}).get(name)
        if claim is None:
            names = [f"{section}.{name}" for section in SECTIONS for name in CLAIMS[section]]
            self._unknown(node.place if node else place, f'unknown type "{text}"', text, names)
        return claim

    # -- references -------------------------------------------------------------------------------

    def _read_references(self, node: Node | None) -> None:
        for key, child in self._map(node, "references").entries if node else ():
            # Known even when wrong, so that its users do not add errors that follow from this one.
            self._sets[key.text] = None
            if not _NAME.fullmatch(key.text):
                self._fault(key.place, "a set's name is 1 to 64 of a-z, 0-9 and -")
            known = self._entries(self._map(child, "a reference set"), ("type", "values"), "key of a set")
            claim = self._type(known.get("type"), child.place)
            if claim is not None and claim.kind not in ("bytes", "text"):
                self._fault(child.place, f"a reference set holds bytes or text, not {claim.kind}")
                claim = None
            values = known.get("values")
            if not isinstance(values, ListNode):
                self._fault(values.place if values else child.place, '"values" is a list')
                continue
            if claim is None:
                continue
            found: list[Reference] = []
            texts: list[dict[str, str]] = []
            for item in values.items:
                self._values += 1
                if self._values == MAX_REFERENCES + 1:
                    self._fault(item.place, f"more than {MAX_REFERENCES} reference values")
                reference = self._value(claim, item, texts)
                if reference is not None:
                    found.append(reference)
            if len({reference.value for reference in found}) != len(found):
                self._fault(values.place, f'set "{key.text}" holds a value twice')
            self._sets[key.text] = ReferenceSet(key.text, claim, tuple(found))
            self._set_texts[key.text] = {"type": f"{claim.section}.{claim.name}", "values": texts}

    def _value(self, claim: Claim, node: Node, texts: list[dict[str, str]]) -> Reference | None:
        known = self._entries(self._map(node, "a reference value"), _VALUE_KEYS, "key of a reference value")
        text: dict[str, str] = {}
        literal = known.get("value")
        if literal is None:
            self._fault(node.place, '"value" is missing')
            return None
        value = self._operators.literal(claim, literal)
        for key in ("name", "because", "origin"):
            said = self._text(known.get(key), key)
            if said is not None:
                text[key] = said
        covers = self._choice(known.get("covers"), "covers", ("firmware", "image"))
        state = self._choice(known.get("state"), "state", ("active", "observed", "revoked")) or "active"
        begins = self._date(known.get("from"), "from")
        ends = self._date(known.get("until"), "until", end=True)
        since = self._date(known.get("since"), "since")
        if since is not None and state != "revoked":
            self._fault(known["since"].place, "since is for revoked values")
        if begins and ends and begins > ends:
            self._fault(known["until"].place, "until lies before from")
        if value is None:
            return None
        text["value"] = value.hex() if isinstance(value, bytes) else str(value)
        if covers:
            text["covers"] = covers
        if state != "active":
            text["state"] = state
        for key, date in (("from", begins), ("until", ends), ("since", since)):
            if date is not None:
                text[key] = instant(date)
        texts.append(text)
        return Reference(
            value=cast("bytes | str", value),
            name=text.get("name"),
            covers=covers,
            state=state,
            begins=begins,
            ends=ends,
            since=since,
            because=text.get("because"),
        )

    def _reference(self, node: Scalar, claim: Claim) -> ReferenceSet | None:
        if node.text not in self._sets:
            self._unknown(node.place, f'unknown reference set "{node.text}"', node.text, self._sets)
            return None
        found = self._sets[node.text]
        if found is not None and found.claim is not claim:
            kind = f"{found.claim.section}.{found.claim.name}"
            self._fault(node.place, f'set "{node.text}" is of type {kind}, not {claim.section}.{claim.name}')
            return None
        return found

    def _resolve(self, node: Scalar, claim: Claim) -> str | None:
        """A literal's text, its parameter put in."""
        named = _PARAMETER.fullmatch(node.text)
        if named is None:
            if "${" in node.text:
                self._fault(node.place, "a parameter stands for a whole value")
                return None
            return node.text
        if named[1] not in self._parameters:
            self._unknown(node.place, f'unknown parameter "{named[1]}"', named[1], self._parameters)
            return None
        kind, text = self._parameters[named[1]]
        if (kind.kind, kind.size, kind.values) != (claim.kind, claim.size, claim.values):
            self._fault(
                node.place,
                f'parameter "{named[1]}" is of type {kind.section}.{kind.name}, not {claim.section}.{claim.name}',
            )
            return None
        return text

    # -- rules ------------------------------------------------------------------------------------

    def _require(self, node: Node | None) -> dict[str, tuple[Entry, ...]]:
        sections: dict[str, tuple[Entry, ...]] = {}
        if not isinstance(node, MapNode):
            # That it is missing, or no map, is said already.
            self.sections.update(SECTIONS)
            self.wrong_sections.update(SECTIONS)
        for key, child in self._map(node, "require").entries if node else ():
            if key.text not in CLAIMS:
                self._unknown(key.place, f'unknown section "{key.text}"', key.text, SECTIONS)
                self.sections.update(SECTIONS)
                self.wrong_sections.update(SECTIONS)
                continue
            before = len(self.faults)
            self.sections.add(key.text)
            sections[key.text] = self._section(key.text, self._map(child, key.text), nesting=0)
            if len(self.faults) > before:
                self.wrong_sections.add(key.text)
        return sections

    def _section(self, section: str, node: MapNode, *, nesting: int) -> tuple[Entry, ...]:
        entries: list[Entry] = []
        for key, child in node.entries:
            self._order += 1
            if key.text in _GROUPS:
                group = self._group(section, key, child, nesting + 1)
                if group is not None:
                    entries.append(group)
                continue
            claim = CLAIMS[section].get(key.text)
            if claim is None:
                if key.text == "fixed" and section == "snp":
                    self._later(
                        key.place, "floors (fixed); write the minimum as tcb: {at-least: {milan: {snp: 24}}}"
                    )
                    continue
                self._unknown(
                    key.place,
                    f'unknown claim "{key.text}" in {section}',
                    key.text,
                    (*CLAIMS[section], *_GROUPS),
                )
                continue
            self._rules += 1
            if self._rules == MAX_RULES + 1:
                self._fault(key.place, f"more than {MAX_RULES} rules")
            if nesting and section in DEVICE_SECTIONS and claim.name == "count":
                self._fault(key.place, "count speaks of all devices and stands outside any, all and none")
            before = len(self.faults)
            rule = self._rule(claim, key, child, nested=nesting > 0)
            if rule is None or len(self.faults) > before:
                # None without a fault: its parameter has no value, which is said where the parameter is.
                self.wrong_rules.add(key.place)
                self.wrong_sections.add(section)
            if rule is not None:
                entries.append(rule)
        return tuple(entries)

    def _group(self, section: str, key: Scalar, node: Node, nesting: int) -> Group | None:
        order = self._order
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
        order = self._order
        if not isinstance(node, MapNode):
            operator = self._bare(claim, node)
            return (
                Rule(claim, (operator,), key.place.within(self._file), order, spot=key.place)
                if operator
                else None
            )
        known = self._entries(node, _RULE_KEYS, f"operator of {claim.name}")
        operators: list[Operator] = []
        names = [name for name in OPERATORS if name in known]
        if not names and len(known) == len(node.entries):
            # Beside an unknown key, this would say the same again.
            able = ", ".join(name for name in OPERATORS if applies(name, claim))
            self._fault(node.place, f"{claim.name} has no operator: {able}")
        for name in names:
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
        said = {name: self._text(known.get(name), name) for name in ("why", "fix", "override")}
        covers = self._choice(known.get("covers"), "covers", ("firmware", "image"))
        if covers and not {"is", "one-of"} & set(names):
            self._fault(
                known["covers"].place, "covers stands beside is or one-of; a reference value has its own"
            )
        if said["override"]:
            self._loosened[f"{claim.section}.{claim.name}"] = said["override"]
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
        if not applies("is", claim):
            self._fault(node.place, f"{claim.name} wants operators, such as {{at-least: …}}")
            return None
        return self._operators.read("is", claim, node)

    # -- pieces -----------------------------------------------------------------------------------

    def _map(self, node: Node | None, what: str) -> MapNode:
        if isinstance(node, MapNode):
            return node
        place = node.place if node else Place()
        self._fault(place, f"{what} is a map")
        return MapNode((), place)

    def _entries(self, node: MapNode, keys: Iterable[str], what: str) -> dict[str, Node]:
        keys = tuple(keys)
        known: dict[str, Node] = {}
        for key, child in node.entries:
            if key.text in keys:
                known[key.text] = child
            else:
                self._unknown(key.place, f'unknown {what} "{key.text}"', key.text, keys)
        return known

    def _text(self, node: Node | None, what: str) -> str | None:
        if node is None or isinstance(node, Scalar):
            return node.text if node else None
        self._fault(node.place, f"{what} is text")
        return None

    def _choice(self, node: Node | None, what: str, choices: tuple[str, ...]) -> str | None:
        text = self._text(node, what)
        if node is not None and text is not None and text not in choices:
            self._unknown(node.place, f'{what} is {" or ".join(choices)}, not "{text}"', text, choices)
            return None
        return text

    def _date(self, node: Node | None, what: str, *, end: bool = False) -> datetime | None:
        text = self._text(node, what)
        if node is None or text is None:
            return None
        try:
            return day_or_instant(text, end=end)
        except ValueError as error:
            self._fault(node.place, f"{what} wants {error}")
            return None

    def _fault(self, place: Place, message: str, code: str = "policy.invalid") -> None:
        self.faults.append(Fault(place, message, code))
        if len(self.faults) >= MAX_FAULTS:
            raise Unreadable(self.faults)

    def _later(self, place: Place, what: str) -> None:
        self._fault(place, f"this version does not know {what}", "policy.not-supported-yet")

    def _unknown(self, place: Place, message: str, word: str, known: Iterable[str]) -> None:
        self._fault(place, message + did_you_mean(word, known))
