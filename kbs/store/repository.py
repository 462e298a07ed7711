"""Reads and writes of one transaction: domain types in and out, one statement a question.

`sessions`, `releases`, `registry` and `audit` are the rooms; this file opens them on one connection, so that
what happens in one block commits together.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from kbs.store.audit_rows import AuditRows
from kbs.store.registry import Registry
from kbs.store.release_rows import ReleaseRows
from kbs.store.session_rows import SessionRows


class Repository:
    """sessions: challenges, attested sessions, collateral memory. releases: what each session was given.
    registry: owners, rules, secrets, principals. audit: the trail."""

    __slots__ = ("audit", "registry", "releases", "sessions")

    def __init__(self, connection: Connection) -> None:
        self.sessions = SessionRows(connection)
        self.releases = ReleaseRows(connection)
        self.registry = Registry(connection)
        self.audit = AuditRows(connection)

    def newest(self) -> datetime | None:
        """The time of the newest act that left something here, by whichever replica; None before the first."""
        return max(filter(None, (self.audit.newest(), self.sessions.newest())), default=None)
