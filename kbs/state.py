"""The state folder of a broker: `keys/` and `broker.db`."""

from __future__ import annotations

from pathlib import Path

KEYS = "keys"
DATABASE = "broker.db"


def database_url(state: Path) -> str:
    return f"sqlite:///{(state / DATABASE).resolve()}"
