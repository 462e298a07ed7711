"""The state folder of a broker: `keys/`, and what stands there where the configuration names no other place."""

from __future__ import annotations

KEYS = "keys"
DATABASE = "broker.db"
ENDORSEMENTS_CACHE = "endorsements-cache"
