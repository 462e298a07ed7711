"""Problem codes: fetching, keeping and bundling endorsements."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

PROBLEMS: dict[str, Meaning] = {}
