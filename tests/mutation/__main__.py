"""`make mutation`: read what mutmut left, and write docs/mutation.md; a survivor without a reason makes it fail."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.mutation.page import Survivor, page
from tests.mutation.reasons import WORDING, reason_for

KILLED, SURVIVED = (1, 3), (0,)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--mutants", type=Path, default=Path("mutants"), help="mutmut's folder")
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/mutation.md"))
    options = parser.parse_args()
    counts: dict[str, Counter[str]] = {}
    survivors: list[Survivor] = []
    for module, outcomes in _outcomes(options.mutants):
        counts[module] = Counter(_word(code) for code in outcomes.values())
        for one, code in _texts(options.mutants, module, outcomes):
            if WORDING.covers(one):
                counts[module][_word(code)] -= 1
                counts[module]["words"] += 1
            elif code is not None:
                survivors.append(one)
    if not counts:
        print("there are no results: run mutmut first (make mutation)")
        return 2
    unexplained = [one for one in survivors if reason_for(one) is None]
    options.output.write_text(page(counts, survivors))
    print(
        f"{sum(one.total() for one in counts.values())} mutants, {len(survivors)} left; {options.output} is written"
    )
    for one in unexplained:
        print(f"without a reason: {one.function}\n  - {one.before}\n  + {one.after}")
    return 1 if unexplained else 0


def _outcomes(mutants: Path) -> Iterator[tuple[str, dict[str, int | None]]]:
    for meta in sorted(mutants.rglob("*.py.meta")):
        outcomes = json.loads(meta.read_text())["exit_code_by_key"]
        if outcomes:
            yield str(meta.relative_to(mutants)).removesuffix(".meta"), outcomes


def _word(code: int | None) -> str:
    if code is None:
        return "not run"
    if code in KILLED:
        return "killed"
    return "left" if code in SURVIVED else "out of time"


def _texts(
    mutants: Path, module: str, outcomes: dict[str, int | None]
) -> Iterator[tuple[Survivor, int | None]]:
    """What each mutant changed that was left or not run; its number means nothing from run to run."""
    cst = importlib.import_module("libcst")
    tree = cst.parse_module((mutants / module).read_text())
    functions: dict[str, str] = defaultdict(str)
    for node in tree.body:
        inner = node.body.body if isinstance(node, cst.ClassDef) else [node]
        for one in inner:
            if isinstance(one, cst.FunctionDef):
                functions[one.name.value] = tree.code_for_node(one)
    for name, code in outcomes.items():
        if code is not None and code not in SURVIVED:
            continue
        mutant = name.rpartition(".")[2]
        kind = mutant.partition("__mutmut_")[0]
        original = f"{kind}__mutmut_orig"
        before, after = _differing(
            functions[original].replace(original, kind), functions[mutant].replace(mutant, kind)
        )
        readable = kind.removeprefix("xǁ").removeprefix("x_").replace("ǁ", ".")
        yield Survivor(module, readable, before, after), code


def _differing(original: str, mutant: str) -> tuple[str, str]:
    """The lines that differ, joined."""
    pair = original.splitlines(), mutant.splitlines()
    while pair[0] and pair[1] and pair[0][0] == pair[1][0]:
        pair[0].pop(0)
        pair[1].pop(0)
    while pair[0] and pair[1] and pair[0][-1] == pair[1][-1]:
        pair[0].pop()
        pair[1].pop()
    before, after = (" ".join(line.strip() for line in lines) for lines in pair)
    return before, after


if __name__ == "__main__":
    sys.exit(main())
