"""docs/mutation.md, from mutmut's results and the reasons for what it left."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_COLUMNS = ("killed", "words", "left", "out of time", "not run")
_HEAD = """\
# What mutations the tests leave

<!-- Written by `make mutation`. Change tests/mutation/reasons.py, not this page. -->

Every line of the modules below that verifies, judges a TCB, follows a chain, reads a manifest or binds parts together was
changed in turn by [mutmut](https://mutmut.readthedocs.io) (an operator, a constant, an argument, a word), and the
tests that reach it were run. A mutant that no test noticed is *left*: each is below, by its reason. Not mutated are
words for people (where, expected, found, message, why a check did not run) and the keys of caches, which tests of
their own ask about; `pyproject.toml` has the patterns. `make mutation` asks again; it takes hours, and a mutant
that is left without a reason makes it fail.
"""


class Survivor(NamedTuple):
    """A mutant that no test noticed. before, after: what differs, in one line each."""

    module: str
    function: str
    before: str
    after: str


def page(counts: Mapping[str, Counter[str]], survivors: Sequence[Survivor]) -> str:
    from tests.mutation.reasons import reason_for

    lines = [_HEAD, "## Counts\n", "| module | mutants | " + " | ".join(_COLUMNS) + " |"]
    lines.append("|---|---:" + "|---:" * len(_COLUMNS) + "|")
    total: Counter[str] = Counter()
    for module, found in sorted(counts.items()):
        total += found
        lines.append(_row(f"`{module}`", found))
    lines += [_row("all", total), ""]
    lines.append(
        "Words: only what people are told differs (where, found, expected); which check failed, and by which problem, "
        "tests ask. Out of time: the mutant made a loop that does not end, which a test notices by waiting.\n"
    )
    if total["not run"]:
        lines.append(f"**{total['not run']} mutants were not run: nothing is known of them.**\n")
    groups: dict[str, list[Survivor]] = defaultdict(list)
    for one in survivors:
        reason = reason_for(one)
        groups["no reason" if reason is None else reason].append(one)
    lines.append("## What is left, and why\n")
    for reason, members in sorted(groups.items(), key=lambda item: -len(item[1])):
        lines.append(f"**{reason}** ({len(members)})\n")
        for (module, function), own in sorted(_by_function(members).items()):
            lines.append(f"- `{module}` {function}:")
            lines += [f"  - `{_short(one.before)}` → `{_short(one.after)}`" for one in own]
        lines.append("")
    return "\n".join(lines)


def _row(name: str, found: Counter[str]) -> str:
    cells = [found.total(), *(found[word] for word in _COLUMNS)]
    return f"| {name} | " + " | ".join(map(str, cells)) + " |"


def _by_function(members: Sequence[Survivor]) -> dict[tuple[str, str], list[Survivor]]:
    found: dict[tuple[str, str], list[Survivor]] = defaultdict(list)
    for one in members:
        found[one.module, one.function].append(one)
    return found


def _short(text: str) -> str:
    text = text.replace("`", "'")
    return text if len(text) <= 160 else f"{text[:157]}…"
