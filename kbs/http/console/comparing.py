"""Two policies beside each other: what they mean differently, and which lines differ.

The comparison judges machines that nobody proved, up to twenty thousand of them. It is `attest policy diff`, in a process of its
own: nothing made up comes near what releases, and guests do not wait for it.
"""

from __future__ import annotations

import difflib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from anyio import CapacityLimiter, to_thread

from attest import Malformed, Policy
from attest.claims import instant

_ONE: Final = CapacityLimiter(1)
_SECONDS: Final = 30
_SLOW: Final = (
    f"the comparison takes longer than {_SECONDS} seconds: attest policy diff A B, on a machine of yours"
)


@dataclass(frozen=True, slots=True)
class Line:
    kind: str
    text: str


async def compared(a: str, b: str, at: datetime) -> tuple[dict[str, Any] | None, list[str]]:
    """What `b` says otherwise than `a`, or why that cannot be said."""
    for name, text in (("A", a), ("B", b)):
        try:
            Policy.from_text(text, where=name)  # which reads no file, whatever the text names
        except Malformed as error:
            return None, [problem.message for problem in error.problems]
    found = await to_thread.run_sync(_compared, a, b, at, limiter=_ONE)
    return (None, [_SLOW]) if found is None else (_shown(found), [])


def _compared(a: str, b: str, at: datetime) -> Any:
    """None where it takes too long."""
    with TemporaryDirectory(prefix="kbs-compare-") as folder:
        for name, text in (("A", a), ("B", b)):
            (Path(folder) / name).write_text(text, "utf-8")
        command = [
            sys.executable,
            "-m",
            "attest.cli.main",
            "policy",
            "diff",
            "A",
            "B",
            "--json",
            "--at",
            instant(at),
        ]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, timeout=_SECONDS, check=False)  # noqa: S603  (no word of it is a stranger's)
        except subprocess.TimeoutExpired:
            return None
    return json.loads(done.stdout)


def _shown(document: dict[str, Any]) -> dict[str, Any]:
    for difference in document["differences"]:
        for witness in difference["witnesses"]:
            facts = "; ".join(f"{name} {_fact(value)}" for name, value in witness["facts"].items())
            witness["shown"] = facts or "as the rules of both demand"
    return document


def _fact(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {number}" for name, number in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "absent" if value is None else str(value)


def line_diff(a: str, b: str) -> list[Line]:
    """Empty where the texts are the same."""
    return list(_lines(a, b))


def _lines(a: str, b: str) -> Iterator[Line]:
    found = difflib.unified_diff(a.splitlines(), b.splitlines(), "A", "B", lineterm="", n=3)
    for number, line in enumerate(found):
        if number < 2:
            continue  # the names
        yield Line({"+": "more", "-": "less", "@": "place"}.get(line[:1], "same"), line)
