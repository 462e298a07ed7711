"""A database that went back (T-RESTORE): told by heads of the audit trail that were kept elsewhere."""

from __future__ import annotations

from collections.abc import Iterable

from kbs.audit import Head
from kbs.store.repository import Repository


class RolledBack(Exception):
    """The trail lacks a row that it once had, so what was done since may be undone, revocations too."""


def require_heads(tx: Repository, heads: Iterable[Head]) -> None:
    """Raises RolledBack unless each of `heads` is in the trail."""
    for head in heads:
        if not tx.audit.holds(head):
            raise RolledBack(
                f"the audit trail ends at row {tx.audit.head().number} and lacks the kept head {head}: the "
                "database was rolled back or rewritten; what was revoked since may be in force again. Restore a newer backup; "
                "where an older one is meant, revoke anew, and take checkpoints of later rows out of the folder"
            )
