"""How long what explains decisions is kept, and the row that is left when it ends."""

from __future__ import annotations

from datetime import datetime, timedelta

from attest.claims import instant
from kbs.store.repository import Repository


def kept_until(now: datetime, days: int) -> datetime:
    """The midnight (UTC) at or after `days` from now: what was kept in a day ends at once, under one row."""
    ends = now + timedelta(days=days)
    midnight = ends.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if midnight == ends else midnight + timedelta(days=1)


def end_kept(tx: Repository, now: datetime) -> None:
    """Delete what has ended. The rows that hold the digests stay, so that the chain still verifies."""
    sessions, evidence = tx.kept.forget(now)
    if sessions or evidence:
        tx.audit.append(
            {"event": "kept-ended", "at": instant(now), "sessions": sessions, "evidence": evidence}
        )
