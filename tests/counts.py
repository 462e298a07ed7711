"""How often a property is tried: `make proof` takes the whole count, every other run a tenth of it."""

from __future__ import annotations

import os

PROOF = os.environ.get("PROOF") == "1"


def tenth(full: int) -> int:
    return full if PROOF else max(1, full // 10)
