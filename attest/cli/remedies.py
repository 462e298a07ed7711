"""What to do next, as far as the command at hand can do it."""

from __future__ import annotations

import argparse
import re

from attest.errors import Problem

_OPTION = re.compile(r"(?<![\w-])--([a-z][a-z-]+)")


def remedy_for(args: argparse.Namespace, problem: Problem) -> str:
    """The problem's remedy without what speaks of options that this command does not have; empty where nothing is
    left."""
    clauses = []
    for clause in (problem.remedy or "").split("; "):
        ways = [way for way in clause.split(", or ") if _possible(args, way)]
        if ways:
            clauses.append(", or ".join(ways))
    return "; ".join(clauses)


def told_lines(args: argparse.Namespace, problem: Problem, mark: str = "✘") -> str:
    """The problem for a person: what is wrong, its code, and what to do."""
    remedy = remedy_for(args, problem)
    return f"{mark} {problem}\n    [{problem.code}]" + (f" → {remedy}" if remedy else "")


def _possible(args: argparse.Namespace, way: str) -> bool:
    return all(hasattr(args, name.replace("-", "_")) for name in _OPTION.findall(way))
