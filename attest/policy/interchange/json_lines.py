"""Strict JSON with the line of every value: the policy reader knows places, the JSON reader knows types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attest.canonical import read_json
from attest.errors import Malformed
from attest.policy.nodes import ListNode, MapNode, Node, Unreadable
from attest.policy.yaml_text import MAX_BYTES, parse_yaml
from attest.problems import malformed


@dataclass(frozen=True, slots=True)
class Located:
    """value: a text, number, truth value or None; of maps and lists their Located members."""

    line: int
    value: Any

    def members(self, what: str) -> dict[str, Located]:
        """Raises Malformed unless this is an object."""
        if not isinstance(self.value, dict):
            raise wrong(self.line, f"{what} is not an object")
        return self.value

    def items(self, what: str) -> list[Located]:
        """Raises Malformed unless this is a list."""
        if not isinstance(self.value, list):
            raise wrong(self.line, f"{what} is not a list")
        return self.value

    def text(self, what: str) -> str:
        """Raises Malformed unless this is a text."""
        if not isinstance(self.value, str):
            raise wrong(self.line, f"{what} is not a text")
        return self.value


def wrong(line: int, message: str) -> Malformed:
    return malformed(message, where=f"line {line}", code="policy.import")


def read_located(data: bytes) -> Located:
    """Raises Malformed: larger than 256 KiB, not strict JSON, repeated keys, nested deeper than a policy."""
    value = read_json(data, where="policy", limit=MAX_BYTES)
    try:
        node = parse_yaml(data)
    except Unreadable as error:
        fault = min(error.faults, key=lambda fault: fault.place)
        raise wrong(fault.place.line, fault.message) from None
    return _join(node, value)


def _join(node: Node, value: Any) -> Located:
    line = node.place.line
    if isinstance(value, dict) and isinstance(node, MapNode):
        keys = [key.text for key, _ in node.entries]
        if keys == list(value):
            children = [child for _, child in node.entries]
            return Located(
                line,
                {
                    key: _join(child, value[key])
                    if isinstance(child, (MapNode, ListNode))
                    else Located(name.place.line, _leaf(value[key], name.place.line))
                    for (name, _), key, child in zip(node.entries, keys, children, strict=True)
                },
            )
    elif isinstance(value, list) and isinstance(node, ListNode) and len(value) == len(node.items):
        return Located(line, [_join(child, one) for child, one in zip(node.items, value, strict=True)])
    return Located(line, _leaf(value, line))


def _leaf(value: Any, line: int) -> Any:
    if isinstance(value, (dict, list)):
        raise wrong(line, "this JSON is written in a way that hides its structure")
    return value
