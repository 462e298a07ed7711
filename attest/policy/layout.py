"""One layout for policy and suite files: `fmt`. Comments stay, meaning stays, a second run changes nothing.

Scalars keep the text that was typed, quotes included. A flow map or list stays on its line where it fits
and holds no comment, and becomes a block otherwise; a block never becomes flow. What was laid out is read
again: were one scalar, key or comment another than before, nothing would be returned.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from attest.policy.nodes import Fault, ListNode, Node, Place, Scalar, Unreadable
from attest.policy.yaml_text import parse_yaml

WIDTH = 100
"""Columns of a flow map or list, its trailing comment not counted."""

_HEADER = re.compile(r"([|>])([-+0-9]*)[ \t]*(#.*)?")


def lay_out(text: str | bytes) -> str:
    """The same YAML in the one layout, ending in a newline.

    Every comment stays in its order; each key, value and their order too, so the digest of a policy cannot
    change. `lay_out(lay_out(x)) == lay_out(x)`. Raises Unreadable where `text` is not YAML as policies are
    written (`attest.policy.yaml_text`), or where its layout cannot be kept.
    """
    before = parse_yaml(text)
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    source = _Source(text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))
    laid = _Writer(source).write()
    try:
        same = _bare(parse_yaml(laid)) == _bare(before)
        kept = _Source(laid).comments_text() == source.comments_text()
    except Unreadable:
        same = kept = False
    if not (same and kept):
        message = "this layout cannot be changed without changing what is said; lay it out by hand"
        raise Unreadable([Fault(Place(1, 1), message)])
    return laid


def _bare(node: Node) -> Any:
    """What a node says, without where it stands."""
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, ListNode):
        return [_bare(item) for item in node.items]
    return [(key.text, _bare(child)) for key, child in node.entries]


# -- the source, with the span of every part ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Text:
    """A scalar. start, end: positions in the source; style: of YAML, None for a plain one."""

    start: int
    end: int
    line: int
    column: int
    style: str | None
    value: str


@dataclass(slots=True)
class _Block:
    """A map or list. children: of a map its keys and values in turn."""

    start: int
    line: int
    column: int
    flow: bool
    is_map: bool
    end: int = 0
    end_line: int = 0
    children: list[_Part] = field(default_factory=list)


_Part: TypeAlias = _Text | _Block


@dataclass(frozen=True, slots=True)
class _Comment:
    at: int
    line: int
    column: int
    text: str
    alone: bool


class _Source:
    def __init__(self, text: str) -> None:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        self.text = text
        self.lines = text.split("\n")
        self.starts = [0]
        """Where each line begins, and one more for what would follow."""
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.scalars: list[_Text] = []
        open_: list[_Block] = []
        self.root: _Part | None = None
        try:
            for event in YAML(typ="safe", pure=True).parse(text):
                self._feed(event, open_)
        except YAMLError:
            raise Unreadable([Fault(Place(1, 1), "not YAML")]) from None
        self.comments = [*self._comments()]

    def comments_text(self) -> list[str]:
        return [comment.text for comment in self.comments]

    def _feed(self, event: Any, open_: list[_Block]) -> None:
        kind, mark = type(event).__name__, event.start_mark
        part: _Part
        if kind == "ScalarEvent":
            part = _Text(
                mark.index, self._end(event), mark.line, mark.column, event.style or None, event.value
            )
            self.scalars.append(part)
        elif kind in ("SequenceStartEvent", "MappingStartEvent"):
            part = _Block(mark.index, mark.line, mark.column, bool(event.flow_style), kind[0] == "M")
        else:
            if kind in ("SequenceEndEvent", "MappingEndEvent"):
                closed = open_.pop()
                closed.end, closed.end_line = event.end_mark.index, event.end_mark.line
            return
        if open_:
            open_[-1].children.append(part)
        elif self.root is None:
            self.root = part
        if isinstance(part, _Block):
            open_.append(part)

    def _end(self, event: Any) -> int:
        """Where a scalar's own text ends; of a block scalar its last line that is not empty."""
        start, end = event.start_mark, event.end_mark
        if event.style not in ("|", ">"):
            return int(end.index)
        room: int | None = None
        last = int(start.line)
        for number in range(last + 1, len(self.lines)):
            line = self.lines[number]
            if line.strip():
                indent = len(line) - len(line.lstrip(" "))
                room = indent if room is None else room
                if not event.value.strip() or indent < room:
                    break
                last = number
        return self.starts[last + 1] - 1

    def _comments(self) -> Iterator[_Comment]:
        """Whatever follows a # between scalars. In the header line of a block scalar too."""
        position = 0
        spans = [(scalar.start, scalar.end, scalar.style) for scalar in self.scalars]
        for start, end, style in [*spans, (len(self.text), len(self.text), None)]:
            yield from self._in_gap(position, start)
            if style in ("|", ">"):
                line_end = self.text.find("\n", start)
                line_end = len(self.text) if line_end < 0 else line_end
                yield from self._in_gap(start, line_end)
            position = max(end, position)

    def _in_gap(self, start: int, end: int) -> Iterator[_Comment]:
        while start < end:
            at = self.text.find("#", start, end)
            if at < 0:
                return
            stop = self.text.find("\n", at)
            stop = len(self.text) if stop < 0 else stop
            line = bisect_right(self.starts, at) - 1
            before = self.text[self.starts[line] : at]
            yield _Comment(at, line, len(before), self.text[at:stop].rstrip(), not before.strip())
            start = stop


# -- the writer -------------------------------------------------------------------------------------


class _Writer:
    def __init__(self, source: _Source) -> None:
        self.source = source
        self.out: list[str] = []
        self._comments = source.comments
        self._places = [comment.at for comment in source.comments]
        self._next = 0
        """Of the first comment not written yet."""
        self._closed: list[tuple[int, int]] = []
        """Blocks that ended since the last entry: column in the source, indentation here."""
        self._line = -1
        """Line of the source that the last part written ended on."""
        self._commented = False

    def write(self) -> str:
        root = self.source.root
        if root is None:
            raise Unreadable([Fault(Place(1, 1), "the file is empty")])
        if isinstance(root, _Block):
            inline = self._inline(root) if root.flow else None
            if inline is not None and len(inline) <= WIDTH:
                self._leading(root, 0, first=True)
                self._put(inline, root.end_line)
            else:
                self._block(root, 0)
        else:
            self._leading(root, 0, first=True)
            self._scalar("", root, 0)
        self._comments_before(None, 0, first=False)
        return "\n".join(self.out) + "\n"

    # -- comments and empty lines

    def _put(self, line: str, source_line: int) -> None:
        """A line, and the comment that stood behind it."""
        self.out.append(line)
        self._line, self._commented = source_line, False
        self._trailing()

    def _trailing(self) -> None:
        comment = self._pending(None)
        if comment is not None and not comment.alone and comment.line == self._line and not self._commented:
            self.out[-1] += f" {comment.text}"
            self._commented = True
            self._next += 1

    def _pending(self, end: int | None) -> _Comment | None:
        """The first comment not written yet, where it stands before `end`."""
        if self._next == len(self._comments) or (end is not None and self._places[self._next] >= end):
            return None
        return self._comments[self._next]

    def _leading(self, part: _Part, indent: int, *, first: bool, column: int = 0) -> None:
        self._comments_before(part, indent, first=first, column=column)
        if not (first and (not self.out or not self._after_comment)):
            self._empty_before(part.line)
        self._closed = []

    _after_comment = False

    def _comments_before(self, part: _Part | None, indent: int, *, first: bool, column: int = -1) -> None:
        """Comments that stand before `part`, each with the block it was indented with.

        column: where the entry of `part` starts in the source; what is indented deeper belongs to a block
        that ended before it."""
        self._after_comment = False
        while (comment := self._pending(None if part is None else part.start)) is not None:
            self._next += 1
            deeper = [one for one in self._closed if column < one[0] <= comment.column]
            here = max(deeper)[1] if deeper and comment.alone else indent
            if comment.alone and not (first and not self._after_comment):
                self._empty_before(comment.line)
            self.out.append(" " * here + comment.text)
            self._after_comment = self._commented = True

    def _empty_before(self, line: int) -> None:
        if line and not self.source.lines[line - 1].strip() and self.out and self.out[-1]:
            self.out.append("")

    # -- parts

    def _block(self, block: _Block, indent: int) -> None:
        children = block.children
        step = 2 if block.is_map else 1
        for number in range(0, len(children), step):
            head = children[number]
            # Of a list the dash's column, which its block has.
            self._leading(head, indent, first=number == 0, column=block.column)
            if block.is_map:
                self._value(" " * indent + self._key(head) + ":", children[number + 1], indent, head.line)
            else:
                self._item(head, indent, begins=number == 0)
        if block.flow:
            while (comment := self._pending(block.end)) is not None:
                self.out.append(" " * indent + comment.text)
                self._next += 1
                self._commented = True
            self._line = block.end_line
            self._trailing()
        else:
            self._closed.append((block.column, indent))

    def _key(self, key: _Part) -> str:
        text = self.source.text[key.start : key.end] if isinstance(key, _Text) else ""
        return json.dumps(key.value, ensure_ascii=False) if isinstance(key, _Text) and "\n" in text else text

    def _value(self, head: str, value: _Part, indent: int, line: int) -> None:
        if isinstance(value, _Text):
            self._scalar(head, value, indent)
            return
        inline = self._inline(value) if value.flow else None
        if inline is not None and len(head) + 1 + len(inline) <= WIDTH:
            self._put(f"{head} {inline}", value.end_line)
            return
        self._put(head, line)
        if value.flow and self._line != value.line:
            self._line = value.line
        self._trailing()
        self._block(value, indent + 2)

    def _item(self, item: _Part, indent: int, *, begins: bool) -> None:
        """begins: whether it is the first of its list."""
        head = " " * indent + "-"
        if isinstance(item, _Text):
            self._scalar(head, item, indent)
            return
        inline = self._inline(item) if item.flow else None
        if inline is not None and len(head) + 1 + len(inline) <= WIDTH:
            self._put(f"{head} {inline}", item.end_line)
            return
        # A comment behind a brace or dash would part the dash from what it introduces.
        first: _Part = item
        while isinstance(first, _Block):
            first = first.children[0]
        self._comments_before(first, indent, first=begins and not self._after_comment)
        self._closed = []
        place = len(self.out)
        self._block(item, indent + 2)
        self.out[place] = f"{head} {self.out[place][indent + 2 :]}"

    def _inline(self, part: _Part) -> str | None:
        """On one line; None where a comment or a longer scalar stands in it."""
        if isinstance(part, _Text):
            text = self.source.text[part.start : part.end]
            return None if "\n" in text else text
        first = max(self._next, bisect_left(self._places, part.start))
        if first < len(self._places) and self._places[first] < part.end:
            return None
        texts = [self._inline(child) for child in part.children]
        if any(text is None for text in texts):
            return None
        if not part.is_map:
            return f"[{', '.join(map(str, texts))}]"
        pairs = zip(texts[::2], texts[1::2], strict=True)
        return "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"

    def _scalar(self, head: str, scalar: _Text, indent: int) -> None:
        raw = self.source.text[scalar.start : scalar.end]
        space = " " if head else ""
        lines = raw.split("\n")
        last = scalar.line + len(lines) - 1
        if scalar.style in ("|", ">"):
            self._block_scalar(head + space, scalar, lines, indent)
            return
        if len(lines) == 1:
            self._put(head + space + raw, last)
            return
        if scalar.style == '"' and any(line.rstrip().endswith("\\") for line in lines):
            self._put(head + space + json.dumps(scalar.value, ensure_ascii=False), last)
            return
        room = " " * (indent + 2)
        self.out.append(head + space + lines[0].rstrip())
        self.out += [(room + line.strip()) if line.strip() else "" for line in lines[1:-1]]
        self._put(room + lines[-1].strip(), last)

    def _block_scalar(self, head: str, scalar: _Text, lines: list[str], indent: int) -> None:
        header = _HEADER.match(lines[0])
        content = lines[1:]
        first = next((line for line in content if line.strip()), None)
        plain = header is not None and not re.search(r"[+0-9]", header[2]) and first is not None
        if header is None or first is None or not plain or "\t" in scalar.value:
            self._put(head + json.dumps(scalar.value, ensure_ascii=False), scalar.line)
            self._line = scalar.line + len(lines) - 1
            return
        self._put(head + header[1] + header[2], scalar.line)
        margin = len(first) - len(first.lstrip(" "))
        room = " " * (indent + 2)
        self.out += [room + line[margin:] if line.strip() else "" for line in content]
        self._line, self._commented = scalar.line + len(lines) - 1, False
