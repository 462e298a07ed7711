"""Reference sets: which values of a claim are known to be good, from when to when, and which no longer are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast

from attest.claims import Claim, instant
from attest.policy.layers import MAX_FILES
from attest.policy.model import Reference, ReferenceSet
from attest.policy.nodes import Fault, ListNode, MapNode, Node
from attest.policy.operators import OperatorReader
from attest.policy.pieces import Pieces

MAX_REFERENCES = 10_000
_VALUE_KEYS = ("value", "name", "covers", "state", "from", "until", "since", "because", "origin")
_NAME = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class Declared:
    """A set as far as the files read so far say it. claim: None while it is wrong. layers: which files speak
    of it."""

    claim: Claim | None = None
    values: list[Reference] = field(default_factory=list)
    texts: list[dict[str, str]] = field(default_factory=list)
    override: str | None = None
    layers: list[tuple[int, str]] = field(default_factory=list)

    @property
    def canonical(self) -> dict[str, object]:
        assert self.claim is not None
        found: dict[str, object] = {"type": f"{self.claim.section}.{self.claim.name}", "values": self.texts}
        if self.override is not None:
            found["override"] = self.override
        return found


class ReferenceReader(Pieces):
    """Reads the `references` of one file into the sets of all.

    joined: a set may list a value once for each file, as the effective policy of several does. parents: the files
    that this one extends. count: values so far.
    """

    def __init__(
        self,
        file: str,
        layer: int,
        faults: list[Fault],
        operators: OperatorReader,
        *,
        parents: frozenset[int],
        joined: bool,
        count: int,
    ) -> None:
        super().__init__(file, faults)
        self._layer = layer
        self._operators = operators
        self._parents = parents
        self._joined = joined
        self.count = count

    def read(self, node: MapNode, sets: dict[str, Declared]) -> None:
        for key, child in node.entries:
            if not _NAME.fullmatch(key.text):
                self._fault(key.place, "a set's name is 1 to 64 of a-z, 0-9 and -")
            known = self._entries(
                self._map(child, "a reference set"), ("type", "values", "override"), "key of a set"
            )
            # Known even when wrong, so that its users do not add errors that follow from this one.
            declared = sets.setdefault(key.text, Declared())
            first = not declared.layers
            strangers = [name for index, name in declared.layers if index not in self._parents]
            declared.layers.append((self._layer, self._file))
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
            if strangers:
                self._fault(
                    key.place,
                    f'set "{key.text}" stands in {strangers[0]} too, which this file does not extend: rename one',
                )
                continue
            if first:
                declared.claim = claim
            elif declared.claim is not claim:
                self._fault(child.place, f'the inherited set "{key.text}" is of another type')
                continue
            override = self._text(known.get("override"), "override")
            self._values(key.text, claim, values, declared, override, first=first)

    def _values(
        self,
        name: str,
        claim: Claim,
        values: ListNode,
        declared: Declared,
        override: str | None,
        *,
        first: bool,
    ) -> None:
        found: list[Reference] = []
        texts: list[dict[str, str]] = []
        inherited = ReferenceSet(name, claim, tuple(declared.values)).index
        times: dict[bytes | str, int] = {}
        most = MAX_FILES if self._joined else 1
        for item in values.items:
            self.count += 1
            if self.count == MAX_REFERENCES + 1:
                self._fault(item.place, f"more than {MAX_REFERENCES} reference values")
            reference = self._value(claim, item, texts)
            if reference is None:
                continue
            times[reference.value] = times.get(reference.value, 0) + 1
            if times[reference.value] > most:
                # Not kept: each entry of a value is held against all inherited ones.
                continue
            found.append(reference)
            if not first and override is None and adds(inherited.get(reference.value, ()), reference):
                self._fault(
                    item.place,
                    f'this adds to the inherited set "{name}": say override: "reason" beside its type',
                    "policy.override-missing",
                )
        if any(count > most for count in times.values()):
            often = "twice" if most == 1 else f"more than {most} times"
            self._fault(values.place, f'set "{name}" holds a value {often}')
        declared.values += found
        declared.texts += texts
        declared.override = override or declared.override

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
            origin=text.get("origin"),
        )


def adds(inherited: Iterable[Reference], reference: Reference) -> bool:
    """Whether `reference` lets its value pass at an instant, or as covering more, where none of the inherited
    entries does. A revocation adds nothing."""
    ours = window(reference)
    if ours is None:
        return False
    for other in inherited:
        theirs = window(other)
        if (
            theirs is not None
            and theirs[0] <= ours[0]
            and ours[1] <= theirs[1]
            and (other.state != "observed" or reference.state == "observed")
            and reference.covers in (other.covers, None)
        ):
            return False
    return True


def window(reference: Reference) -> tuple[datetime, datetime] | None:
    """From when to when a value passes; None for never."""
    begins, ends = reference.begins or FIRST, reference.ends or LAST
    if reference.state == "revoked":
        if reference.since is None:
            return None
        ends = min(ends, reference.since - timedelta(seconds=1))
    return (begins, ends) if begins <= ends else None


def joined_sets(sets: Mapping[str, Declared]) -> dict[str, ReferenceSet | None]:
    """The sets by name; None for one that is wrong."""
    return {
        name: None if found.claim is None else ReferenceSet(name, found.claim, tuple(found.values))
        for name, found in sets.items()
    }
