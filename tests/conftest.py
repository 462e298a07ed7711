"""Fixtures every room uses."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED_VECTORS = ROOT.parent / "shared" / "vectors"

PROOF = os.environ.get("PROOF") == "1"
"""`make proof` asks for the long counts; elsewhere a tenth of them runs."""


class Vectors:
    """The shared folder of real evidence with known verdicts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        manifest = json.loads((folder / "manifest.json").read_text())
        self.cases: dict[str, dict[str, Any]] = {case["id"]: case for case in manifest["cases"]}

    def path(self, name: str) -> Path:
        return self.folder / name

    def read(self, case: str, role: str) -> bytes:
        """Bytes of the one file that `case` has in `role`."""
        return self.path(self.cases[case]["files"][role]).read_bytes()

    def at(self, case: str) -> datetime:
        return datetime.fromisoformat(self.cases[case]["verify_at"])


@pytest.fixture(scope="session")
def vectors() -> Vectors:
    if not SHARED_VECTORS.is_dir():
        pytest.skip("shared vectors are not beside this checkout (../shared/vectors)")
    return Vectors(SHARED_VECTORS)


@pytest.fixture(scope="session")
def count() -> Callable[[int], int]:
    """How often to repeat: the whole number under `make proof`, a tenth of it otherwise."""
    return lambda full: full if PROOF else max(1, full // 10)
