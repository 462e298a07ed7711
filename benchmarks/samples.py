"""The real evidence that is measured."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from attest.loader import load

ROOT = Path(__file__).resolve().parent.parent
EVIDENCE = ROOT / "tests" / "evidence"
AT = {
    "snp-genoa": datetime.fromisoformat("2025-09-06T17:21:41Z"),
    "tdx-v4": datetime.fromisoformat("2025-06-22T10:32:27Z"),
    "h100": datetime.fromisoformat("2025-10-24T18:00:00Z"),
}


def files(sample: str) -> list[Path]:
    return sorted((EVIDENCE / sample).iterdir())


def loaded(sample: str):  # type: ignore[no-untyped-def]  # the pair that load returns
    return load(*files(sample))
