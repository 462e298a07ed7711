"""The files of one policy: what `extends` names, parents first.

A parent is a built-in, or a file that the caller hands in as bytes and whose digest the child states. Nothing is
read from a disk here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attest.policy.builtin import BUILTINS, built_in
from attest.policy.nodes import Fault, ListNode, MapNode, Node, Scalar, Unreadable
from attest.policy.pieces import Pieces
from attest.policy.yaml_text import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FILES = 16
"""With the policy itself."""
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
"""Beside the policy, whatever file names it: no folders, so that a name means one file everywhere."""
_DIGEST = re.compile(r"sha384:[0-9a-f]{96}", re.ASCII)
_CODE = "policy.extends"


@dataclass(frozen=True, slots=True)
class Layer:
    """One file. name: as its places say it. parents: indices of all files that it extends, directly or not.

    digest: of a parent's bytes; None for the policy itself, whose own is its reader's to say.
    """

    name: str
    node: Node
    parents: frozenset[int]
    digest: str | None = None


def gather(node: Node, where: str, files: Mapping[str, bytes], faults: list[Fault]) -> tuple[Layer, ...]:
    """All files of a policy, parents first, each once; the policy itself is the last.

    Raises Unreadable where a parent is no tree or there are too many; other errors go to `faults`.
    """
    found = _Gathering(files, faults)
    found.add(where, node, None)
    return tuple(found.layers)


def files_named(node: Node) -> Iterator[str]:
    """The files that a policy extends itself, as far as it can be read: for who fetches them."""
    for key, child in node.entries if isinstance(node, MapNode) else ():
        if key.text != "extends" or not isinstance(child, ListNode):
            continue
        for item in child.items:
            for name, file in item.entries if isinstance(item, MapNode) else ():
                if name.text == "file" and isinstance(file, Scalar) and FILE_NAME.fullmatch(file.text):
                    yield file.text


class _Gathering:
    def __init__(self, files: Mapping[str, bytes], faults: list[Fault]) -> None:
        self.layers: list[Layer] = []
        self._files = files
        self._faults = faults
        self._known: dict[str, int] = {}
        self._open: list[str] = []
        self._count = 1

    def add(self, name: str, node: Node, digest: str | None, *, given: str | None = None) -> int:
        parents: set[int] = set()
        self._open.append(given or name.rpartition("/")[2])
        for item in self._items(node, name):
            index = self._parent(item, name)
            if index is not None:
                parents |= {index} | self.layers[index].parents
        self._open.pop()
        self.layers.append(Layer(name, node, frozenset(parents), digest))
        return len(self.layers) - 1

    def _items(self, node: Node, name: str) -> tuple[Node, ...]:
        for key, child in node.entries if isinstance(node, MapNode) else ():
            if key.text == "extends":
                if isinstance(child, ListNode):
                    return child.items
                self._fault(child, name, 'extends is a list, such as ["baseline/snp@1"]', "policy.invalid")
        return ()

    def _parent(self, item: Node, name: str) -> int | None:
        if isinstance(item, Scalar):
            parent, digest = item.text, None
            if parent not in BUILTINS:
                near = Pieces(name, self._faults)
                near._unknown(item.place, f'unknown built-in policy "{parent}"', parent, BUILTINS)
                return None
        else:
            named = self._file_of(item, name)
            if named is None:
                return None
            parent, digest = named
        if parent in self._open:
            through = " → ".join([*self._open[self._open.index(parent) :], parent])
            self._fault(item, name, f"extends in a circle: {through}")
            return None
        if parent in self._known:
            if digest is not None and self.layers[self._known[parent]].digest != digest:
                self._fault(item, name, f'"{parent}" has another digest than {digest[:23]}…')
            return self._known[parent]
        self._count += 1
        if self._count > MAX_FILES:
            raise Unreadable([*self._faults, Fault(item.place, f"more than {MAX_FILES} files", _CODE, name)])
        text = self._text_of(item, name, parent, digest)
        if text is None:
            return None
        try:
            node = parse_yaml(text)
        except Unreadable as error:
            faults = [Fault(one.place, one.message, one.code, parent) for one in error.faults]
            raise Unreadable([*self._faults, *faults]) from None
        self._known[parent] = index = self.add(
            parent, node, "sha384:" + hashlib.sha384(text).hexdigest(), given=parent
        )
        return index

    def _file_of(self, item: Node, name: str) -> tuple[str, str] | None:
        pieces = Pieces(name, self._faults)
        known = pieces._entries(pieces._map(item, "a file to extend"), ("file", "digest"), "key of a file")
        file = pieces._text(known.get("file"), "file")
        digest = pieces._text(known.get("digest"), "digest")
        if file is None or digest is None:
            if not {"file", "digest"} <= set(known):
                self._fault(item, name, "a file to extend has file and digest")
            return None
        if not FILE_NAME.fullmatch(file):
            self._fault(known["file"], name, "a file to extend lies beside the policy, named without folders")
            return None
        if not _DIGEST.fullmatch(digest):
            self._fault(
                known["digest"], name, "a digest is sha384: and 96 hex digits, as attest policy check prints"
            )
            return None
        return file, digest

    def _text_of(self, item: Node, name: str, parent: str, digest: str | None) -> bytes | None:
        if digest is None:
            return built_in(parent)
        text = self._files.get(parent)
        if text is None:
            self._fault(item, name, f'the file "{parent}" was not given')
            return None
        found = "sha384:" + hashlib.sha384(text).hexdigest()
        if found != digest:
            self._fault(item, name, f'"{parent}" is another file: its digest is {found}')
            return None
        return text

    def _fault(self, node: Node, name: str, message: str, code: str = _CODE) -> None:
        Pieces(name, self._faults)._fault(node.place, message, code)
