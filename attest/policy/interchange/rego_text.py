"""Pieces of Rego text. Lines stay short: regorus, Trustee's engine, reads none beyond 1024 columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

MAX_COLUMNS, MAX_LINES, MAX_BYTES = 1024, 20_000, 1 << 20
"""What regorus 0.11 takes of a module."""
_WIDTH = 100
_SHOWN = 200


def quoted(text: str) -> str:
    """A Rego string: JSON's. What needs no escape has none: rego-cpp compares escapes as they are written."""
    return json.dumps(text, ensure_ascii=False)


def shown(text: str) -> str:
    """A Rego string for people, cut where it is long."""
    return quoted(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def call(name: str, *arguments: str) -> str:
    return _spread(f"{name}(", arguments, ")")


def array(items: Iterable[str]) -> str:
    return _spread("[", items, "]")


def table(pairs: Mapping[str, str]) -> str:
    """keys: text. values: expressions."""
    return _spread("{", (f"{quoted(name)}: {value}" for name, value in pairs.items()), "}")


def texts(items: Iterable[str]) -> str:
    """A set of strings."""
    listed = [quoted(one) for one in items]
    return _spread("{", listed, "}") if listed else "set()"


def rule(head: str, *conditions: str) -> str:
    if not conditions:
        return f"{head}\n"
    body = "\n".join(conditions).replace("\n", "\n\t")
    return f"{head} if {{\n\t{body}\n}}\n"


def too_much(text: str) -> str | None:
    """What of a module regorus does not take; None where it takes all."""
    lines = text.split("\n")
    if len(text.encode()) > MAX_BYTES:
        return f"Trustee's engine reads {MAX_BYTES} bytes, this is {len(text.encode())}"
    if len(lines) > MAX_LINES:
        return f"Trustee's engine reads {MAX_LINES} lines, this is {len(lines)}"
    longest = max(map(len, lines))
    if longest >= MAX_COLUMNS:
        return f"Trustee's engine reads lines of {MAX_COLUMNS} columns, one here has {longest}"
    return None


def _spread(opening: str, items: Iterable[str], closing: str) -> str:
    found = list(items)
    line = f"{opening}{', '.join(found)}{closing}"
    if len(line) <= _WIDTH and "\n" not in line:
        return line
    inside = ",\n".join(found).replace("\n", "\n\t")
    return f"{opening}\n\t{inside}\n{closing}"
