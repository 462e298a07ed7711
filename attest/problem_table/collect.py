"""Problem codes: collecting evidence inside a guest."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

PROBLEMS: dict[str, Meaning] = {}
