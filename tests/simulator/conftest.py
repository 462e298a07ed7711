"""One simulator for all tests of a run; its keys are kept between runs, RSA-4096 takes its time."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from attest.anchors import Anchors
from attest.simulator import Simulator

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def simulator(request: pytest.FixtureRequest) -> Simulator:
    assert request.config.cache is not None
    state = Path(request.config.cache.mkdir("simulator")) / "state.json"
    try:
        return Simulator.load(state, at=AT)
    except (OSError, ValueError):
        made = Simulator.create(AT)
        made.warm()
        state.parent.mkdir(parents=True, exist_ok=True)
        made.save(state)
        os.chmod(state, 0o600)
        return made


@pytest.fixture(scope="session")
def anchors(simulator: Simulator) -> Anchors:
    return simulator.anchors()
