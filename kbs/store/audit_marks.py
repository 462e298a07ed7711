"""By what rows of the trail are found: columns beside the chained body, made from it and proved against it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from attest.claims import read_instant
from kbs.store.instants import to_row

_SESSION: Final = re.compile(r"[0-9a-f]{64}")
_LONGEST: Final = 400
"""Characters of a path or pattern, as other tables bound them. PostgreSQL takes no NUL."""


def marks(content: Mapping[str, Any]) -> dict[str, Any]:
    """Column → value, None where the row has none. content: of a row's body.

    The chain does not cover them, so a proof of the trail compares them with the bodies: whoever writes to the database
    must not take a row out of sight by its marks alone.
    """
    session, reason = content.get("session"), content.get("reason")
    path = content.get("resource", content.get("path"))
    return {
        "reason": reason if isinstance(reason, str) else None,
        "session": session if isinstance(session, str) and _SESSION.fullmatch(session) else None,
        "path": path if isinstance(path, str) and len(path) <= _LONGEST and "\0" not in path else None,
        "at": _seconds(content.get("at")),
    }


def _seconds(at: object) -> int | None:
    try:
        return to_row(read_instant(at)) if isinstance(at, str) else None
    except ValueError:
        return None
