"""Problem codes: Azure confidential VMs: HCL report, runtime data, TPM quote."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

PROBLEMS: dict[str, Meaning] = {}
