"""The YAML form of Flashbots' documents: failsafe schema, and no way to say one thing twice.

Byte lists are decimal numbers, which the failsafe schema leaves as text; they become integers where they
stand, so that both forms are read by one reader.
"""

from __future__ import annotations

import re
from typing import Any

from attest.errors import Malformed
from attest.problems import malformed

MAX_BYTES = 256 << 10
MAX_ENTRIES = 16_384
MAX_DEPTH = 8
# A key of this document at the start of a line. Nothing else that is recognised is YAML.
_MARK = re.compile(rb"^(?:tdx_quote_base64|hcl_report_base64|tpm_attestation)[ \t]*:", re.MULTILINE)
_BYTE = re.compile(r"(?:0|[1-9][0-9]{0,2})\Z")


def is_yaml(data: bytes) -> bool:
    return len(data) <= MAX_BYTES and _MARK.search(data) is not None


def read_yaml(data: bytes, *, where: str) -> dict[str, Any]:
    """The one map of `data`. Raises Malformed: anchors, aliases, tags, merge keys, a key twice, a second
    document, too much or too deep."""
    # Here and not above: ruamel takes most of a tenth of a second to load.
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if len(data) > MAX_BYTES:
        raise malformed("The YAML is too large", where=where, expected=f"≤ {MAX_BYTES} bytes")
    builder = _Builder(where)
    try:
        for event in YAML(typ="safe", pure=True).parse(data.decode("utf-8")):
            builder.feed(event)
    except (YAMLError, ValueError, OverflowError, TypeError, AttributeError, AssertionError, LookupError):
        # ruamel meets some malformed escapes and directives with Python's own errors.
        raise malformed("Not YAML that can be read", where=where) from None
    if not isinstance(builder.root, dict):
        raise malformed("The YAML is no map", where=where)
    return builder.root


class _Builder:
    def __init__(self, where: str) -> None:
        self.root: Any = None
        self._where = where
        self._open: list[tuple[bool, list[Any]]] = []
        self._documents = 0
        self._entries = 0

    def feed(self, event: Any) -> None:
        name = type(event).__name__
        if name == "DocumentStartEvent":
            self._documents += 1
            if self._documents > 1 or event.tags or event.version not in (None, (1, 2)):
                raise self._refuse("A second document or a directive")
        elif name == "AliasEvent" or getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise self._refuse("Anchors, aliases and tags are not allowed")
        elif name == "ScalarEvent":
            self._count()
            self._add(event.value if event.style is not None else _plain(event.value))
        elif name in ("SequenceStartEvent", "MappingStartEvent"):
            self._count()
            if len(self._open) >= MAX_DEPTH:
                raise self._refuse("The YAML is nested too deeply")
            self._open.append((name == "MappingStartEvent", []))
        elif name in ("SequenceEndEvent", "MappingEndEvent"):
            is_map, children = self._open.pop()
            self._add(self._map(children) if is_map else children)

    def _count(self) -> None:
        self._entries += 1
        if self._entries > MAX_ENTRIES:
            raise self._refuse("The YAML has too many entries")

    def _add(self, value: Any) -> None:
        if self._open:
            self._open[-1][1].append(value)
        else:
            self.root = value

    def _map(self, children: list[Any]) -> dict[str, Any]:
        keys = children[::2]
        if not all(isinstance(key, str) for key in keys) or len(set(keys)) != len(keys) or "<<" in keys:
            raise self._refuse("A key is no text, a merge, or stands twice")
        return dict(zip(keys, children[1::2], strict=True))

    def _refuse(self, message: str) -> Malformed:
        return malformed(message, where=self._where)


def _plain(text: str) -> int | str:
    """Decimal numbers of a byte's size, in their one spelling; all else stays text."""
    return int(text) if _BYTE.match(text) else text
