"""Logs for every test of the room."""

from __future__ import annotations

import pytest

from attest.eventlog.log import EventLog
from attest.simulator.eventlog import EventLogPlan, td_boot, tpm_boot


@pytest.fixture
def boot() -> EventLogPlan:
    """A TD that boots a kernel directly; a test changes it."""
    return td_boot()


@pytest.fixture
def tpm() -> EventLogPlan:
    """The same boot in a TPM's log."""
    return tpm_boot()


def read(plan: EventLogPlan) -> EventLog:
    return EventLog.parse(plan.encode())
