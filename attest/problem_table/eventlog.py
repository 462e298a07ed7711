"""Problem codes: event logs of a boot, CCEL and TPM."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

PROBLEMS: dict[str, Meaning] = {}
