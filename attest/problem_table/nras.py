"""Problem codes: tokens of NVIDIA's remote attestation service."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

PROBLEMS: dict[str, Meaning] = {}
