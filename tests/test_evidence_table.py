"""Real evidence in the repository is exactly what its table says."""

from __future__ import annotations

import hashlib

from tests.conftest import EVIDENCE
from tests.test_anchors import table


def test_digests_origins_and_licences() -> None:
    rows = table(EVIDENCE / "README.md")
    present = {str(path.relative_to(EVIDENCE)) for path in EVIDENCE.rglob("*") if path.is_file()}
    assert set(rows) == present - {"README.md"}
    for name, row in rows.items():
        assert all(row), f"{name}: origin, path, commit and licence"
        assert row[-1] == hashlib.sha256((EVIDENCE / name).read_bytes()).hexdigest()
