"""YAML 1.2 in the failsafe schema, with the place of every key and value.

`550.10`, `on` and `00e1` stay the text that was typed. Everything that lets one text mean two things, or
a short text mean a long one, is refused: anchors, aliases, tags, merge keys, duplicate keys, empty
values and lists, second documents.
"""

from __future__ import annotations

from typing import Any

from attest.policy.nodes import (
    MAX_DEPTH,
    MAX_FAULTS,
    Fault,
    ListNode,
    MapNode,
    Node,
    Place,
    Scalar,
    Unreadable,
)

MAX_BYTES = 256 << 10
MAX_KEYS = 2_000
"""In one map: four times the rules of a policy. Keys cost the parser more than anything else."""
MAX_ENTRIES = 30_500
"""10 000 reference values, each a map of one key, and what surrounds them; each entry costs the parser some
twenty-five microseconds, and no text may cost a second."""


def parse_yaml(text: str | bytes) -> Node:
    """The one document of `text` as nodes. Raises Unreadable with every fault found."""
    start = Place(1, 1)
    size = len(text) if isinstance(text, bytes) else len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise Unreadable([Fault(start, f"larger than {MAX_BYTES >> 10} KiB")])
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise Unreadable([Fault(Place(line, 1), "not UTF-8")]) from None

    # Here and not above: ruamel takes most of a tenth of a second to load.
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    builder = _Builder()
    try:
        for event in YAML(typ="safe", pure=True).parse(text.removeprefix("\ufeff")):
            builder.feed(event)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark else start
        raise Unreadable(
            [*builder.faults, Fault(place, _for_people(str(error.problem or error.context)))]
        ) from None
    except YAMLError as error:
        position = getattr(error, "position", 0)
        line = text.count("\n", 0, position) + 1 if isinstance(position, int) else 1
        raise Unreadable(
            [*builder.faults, Fault(Place(line, 1), "not YAML: a character is not allowed")]
        ) from None
    except (ValueError, OverflowError, TypeError, AttributeError, AssertionError, LookupError):
        # ruamel meets some malformed escapes and directives with Python's own errors.
        raise Unreadable([*builder.faults, Fault(start, "not YAML")]) from None
    return builder.finish()


_PROBLEMS = {
    "'\\t'": "a tab cannot indent; use spaces",
    "<block end>": "the indentation does not fit the lines above",
    "mapping values are not allowed here": 'a ":" where none can stand: one is missing above, or the indentation is off',
    "could not find expected ':'": 'a key without ":"',
}


def _for_people(problem: str) -> str:
    """The parser's complaint in words that somebody who writes YAML twice a year knows."""
    return "not YAML: " + next((words for part, words in _PROBLEMS.items() if part in problem), problem)


class _Builder:
    """Builds nodes from parser events, noting what the failsafe schema refuses."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._open: list[tuple[Place, bool, list[Node]]] = []
        self._root: Node | None = None
        self._documents = 0
        self._entries = 0

    def feed(self, event: Any) -> None:
        name = type(event).__name__
        place = Place(event.start_mark.line + 1, event.start_mark.column + 1)
        if name == "DocumentStartEvent":
            self._documents += 1
            if self._documents == 2:
                self._fault(place, "a second document: a file holds one policy")
            if event.tags or event.version not in (None, (1, 2)):
                self._fault(place, "directives are not allowed")
        elif name == "AliasEvent":
            self._fault(place, f"aliases are not allowed (*{event.anchor})")
            self._add(Scalar("?", place))
        elif name in ("ScalarEvent", "SequenceStartEvent", "MappingStartEvent"):
            self._entries += 1
            if self._entries > MAX_ENTRIES:
                raise Unreadable([*self.faults, Fault(place, f"more than {MAX_ENTRIES} entries")])
            if event.anchor is not None:
                self._fault(place, f"anchors are not allowed (&{event.anchor})")
            if event.tag is not None:
                self._fault(place, f"tags are not allowed ({event.tag})")
            if name == "ScalarEvent":
                if not event.value:
                    place = self._of_empty(place)
                    self._fault(place, "empty value")
                elif any("\ud800" <= char <= "\udfff" for char in event.value):
                    # "\\ud800" in quotes: a lone surrogate has no canonical form.
                    self._fault(place, "text that is not Unicode")
                self._add(Scalar(event.value or "?", place))
            else:
                if len(self._open) >= MAX_DEPTH:
                    self.faults.append(Fault(place, f"nested deeper than {MAX_DEPTH} levels"))
                    raise Unreadable(self.faults)
                self._open.append((place, name == "MappingStartEvent", []))
        elif name in ("SequenceEndEvent", "MappingEndEvent"):
            place, is_map, children = self._open.pop()
            if not children:
                self._fault(place, "empty map" if is_map else "empty list")
            self._add(self._map(place, children) if is_map else ListNode(tuple(children), place))

    def _of_empty(self, place: Place) -> Place:
        """An empty value is reported by the parser where the next token stands: its key's place is meant."""
        if self._open:
            _, is_map, children = self._open[-1]
            if is_map and len(children) % 2 and children[-1].place.line < place.line:
                return children[-1].place
        return place

    def finish(self) -> Node:
        if self._root is None and not self.faults:
            self.faults.append(Fault(Place(1, 1), "the file is empty"))
        if self.faults or self._root is None:
            raise Unreadable(self.faults, self._root)
        return self._root

    def _fault(self, place: Place, message: str) -> None:
        self.faults.append(Fault(place, message))
        if len(self.faults) >= MAX_FAULTS:
            raise Unreadable(self.faults)

    def _add(self, node: Node) -> None:
        if self._open:
            _, is_map, children = self._open[-1]
            children.append(node)
            if is_map and len(children) > 2 * MAX_KEYS:
                raise Unreadable([*self.faults, Fault(node.place, f"more than {MAX_KEYS} keys in one map")])
        elif self._root is None:
            self._root = node

    def _map(self, place: Place, children: list[Node]) -> MapNode:
        entries: list[tuple[Scalar, Node]] = []
        seen: dict[str, Place] = {}
        for key, value in zip(children[::2], children[1::2], strict=True):
            if not isinstance(key, Scalar):
                self._fault(key.place, "a key is text")
            elif key.text == "<<":
                self._fault(key.place, "merge keys are not allowed")
            elif key.text in seen:
                first = seen[key.text]
                self._fault(key.place, f'key "{key.text}" stands twice, first in line {first.line}')
            else:
                seen[key.text] = key.place
                entries.append((key, value))
        return MapNode(tuple(entries), place)
