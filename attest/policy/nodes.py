"""What a policy file is made of before anything is read from it: text, lists and maps, each at a place.

A node comes from YAML (`attest.policy.yaml_text`) or from canonical JSON (`from_json`); the reader sees
no difference. Every scalar is text: what it means is decided by the claim it stands at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

MAX_DEPTH = 12
CANONICAL_DEPTH = MAX_DEPTH + 1
"""The effective form of files at the limit is one level deeper, where groups of two files meet."""
MAX_NODES = 60_000
"""A canonical JSON policy has no size in bytes of its own."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """line and column count from 1; both are 0 where the policy has no text, and `path` says where."""

    line: int = 0
    column: int = 0
    path: str = ""

    def within(self, file: str) -> str:
        """`p.yaml:9:7`, or `policy:/require/snp/debug` where there is no line, the
        file alone where the whole is meant."""
        if self.line:
            return f"{file}:{self.line}:{self.column}"
        return f"{file}:{self.path}" if self.path else file


@dataclass(frozen=True, slots=True)
class Scalar:
    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class ListNode:
    items: tuple[Node, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class MapNode:
    entries: tuple[tuple[Scalar, Node], ...]
    place: Place


Node: TypeAlias = Scalar | ListNode | MapNode


MAX_FAULTS = 200
"""As many errors as anybody reads; a file of nothing else has a bounded price."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a policy. file: where several are read, the one it stands in."""

    place: Place
    message: str
    code: str = "policy.invalid"
    file: str | None = None


class Unreadable(Exception):
    """The policy is no tree that rules could be read from.

    node: the whole tree all the same, where only single places of it are wrong, so that what else is wrong can be told
    in the same answer. No policy is ever made of it.
    """

    def __init__(self, faults: list[Fault], node: Node | None = None) -> None:
        super().__init__("; ".join(fault.message for fault in faults))
        self.faults = faults
        self.node = node


def from_json(value: object) -> Node:
    """Nodes of a tree of maps, lists and strings, as canonical policies are. Raises Unreadable."""
    faults: list[Fault] = []
    count = 0

    def walk(value: object, path: str, depth: int) -> Node:
        nonlocal count
        place = Place(path=path)
        count += 1
        if count > MAX_NODES:
            raise Unreadable([Fault(place, f"more than {MAX_NODES} entries")])
        if depth > CANONICAL_DEPTH and not isinstance(value, str):
            raise Unreadable([Fault(place, f"nested deeper than {CANONICAL_DEPTH} levels")])
        if isinstance(value, str):
            if not value:
                faults.append(Fault(place, "empty value"))
            elif any("\ud800" <= char <= "\udfff" for char in value):
                # A lone surrogate has no canonical form.
                faults.append(Fault(place, "text that is not Unicode"))
                value = "?"
            return Scalar(value, place)
        if isinstance(value, dict):
            if not value:
                faults.append(Fault(place, "empty map"))
            entries = []
            for key, child in value.items():
                if not isinstance(key, str) or not key or any("\ud800" <= char <= "\udfff" for char in key):
                    faults.append(Fault(place, "a key that is not text"))
                    continue
                escaped = key.replace("~", "~0").replace("/", "~1")
                below = f"{path}/{escaped}"
                entries.append((Scalar(key, Place(path=below)), walk(child, below, depth + 1)))
            return MapNode(tuple(entries), place)
        if isinstance(value, (list, tuple)):
            if not value:
                faults.append(Fault(place, "empty list"))
            items = tuple(walk(item, f"{path}/{index}", depth + 1) for index, item in enumerate(value))
            return ListNode(items, place)
        faults.append(Fault(place, "every value is text, a list or a map"))
        return Scalar("", place)

    node = walk(value, "", 1)
    if faults:
        raise Unreadable(faults)
    return node
