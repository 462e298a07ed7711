"""Reads and writes of one transaction: domain types in and out, one statement a question.

Each kind of row has a room; this file opens them on one connection, so that
what happens in one block commits together.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from kbs.store.approval_rows import ApprovalRows
from kbs.store.audit_rows import AuditRows
from kbs.store.broker_row import BrokerRow
from kbs.store.consent_rows import ConsentRows
from kbs.store.console_rows import ConsoleRows
from kbs.store.count_rows import CountRows
from kbs.store.kept_rows import KeptRows
from kbs.store.lease_rows import LeaseRows
from kbs.store.principal_rows import PrincipalRows
from kbs.store.registry import Registry
from kbs.store.release_rows import ReleaseRows
from kbs.store.revocation_rows import RevocationRows
from kbs.store.session_rows import SessionRows
from kbs.store.stop_rows import StopRows


class Repository:
    """sessions: challenges, attested sessions, collateral memory. releases: what each session was given.
    registry: owners, rules, secrets, principals. principals: their former keys and last use. counts, leases, consents: of
    releases. kept: to explain them. revocations, stops, broker: what is revoked or stopped. approvals: acts that wait for another
    person. console: who reads there. audit: the trail."""

    __slots__ = (
        "approvals",
        "audit",
        "broker",
        "consents",
        "console",
        "counts",
        "kept",
        "leases",
        "principals",
        "registry",
        "releases",
        "revocations",
        "sessions",
        "stops",
    )

    def __init__(self, connection: Connection) -> None:
        self.sessions = SessionRows(connection)
        self.releases = ReleaseRows(connection)
        self.registry = Registry(connection)
        self.principals = PrincipalRows(connection)
        self.approvals = ApprovalRows(connection)
        self.console = ConsoleRows(connection)
        self.counts = CountRows(connection)
        self.kept = KeptRows(connection)
        self.leases = LeaseRows(connection)
        self.consents = ConsentRows(connection)
        self.revocations = RevocationRows(connection)
        self.stops = StopRows(connection)
        self.broker = BrokerRow(connection)
        self.audit = AuditRows(connection)

    def newest(self) -> datetime | None:
        """The time of the newest act that left something here, by whichever replica; None before the first."""
        return max(filter(None, (self.audit.newest(), self.sessions.newest())), default=None)
