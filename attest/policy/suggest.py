"""Did you mean …? For a name that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable

LIMIT = 2
_LONGEST = 64


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """The first of `known` within Damerau-Levenshtein distance 2 of `word`."""
    if len(word) > _LONGEST:
        return None
    return next((name for name in known if distance(word, name) <= LIMIT), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name; empty where nothing is near."""
    near = suggestion(word, known)
    return f'. Did you mean "{near}"?' if near else ""


def distance(left: str, right: str) -> int:
    """Insertions, deletions, substitutions and swaps of neighbours; LIMIT + 1 stands for more."""
    if abs(len(left) - len(right)) > LIMIT:
        return LIMIT + 1
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        current = [i]
        for j, b in enumerate(right, 1):
            cost = min(row[j] + 1, current[j - 1] + 1, row[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            current.append(cost)
        before, row = row, current
    return min(row[-1], LIMIT + 1)
