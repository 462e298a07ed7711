"""`attest endorsements serve`: hand a bundle out to other software."""
from __future__ import annotations

from typing import Any


def add_parser(verbs: Any) -> None:
    return None
