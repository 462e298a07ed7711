from __future__ import annotations
from typing import Any


def inject(vendor, fault, plan, keys, made, at, keywords) -> Any:
    return plan(keys, made, at, **keywords)
