"""The state folder of a broker: `keys/`, and `broker.db` where no other database is named."""

from __future__ import annotations

KEYS = "keys"
DATABASE = "broker.db"
