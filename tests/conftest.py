"""Fixtures every room uses."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from attest.anchors import Anchors
from attest.loader import load
from attest.simulator import Simulator

# Whether examples come quickly enough is said of the machine, and of what else it does.
settings.register_profile("any machine", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("any machine")

ROOT = Path(__file__).resolve().parent.parent
SHARED_VECTORS = ROOT.parent / "shared" / "vectors"


class Vectors:
    """The shared folder of real evidence with known verdicts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        manifest = json.loads((folder / "manifest.json").read_text())
        self.cases: dict[str, dict[str, Any]] = {case["id"]: case for case in manifest["cases"]}

    def path(self, name: str) -> Path:
        return self.folder / name

    def read(self, case: str, role: str) -> bytes:
        """Bytes of the one file that `case` has in `role`."""
        return self.path(self.cases[case]["files"][role]).read_bytes()

    def at(self, case: str) -> datetime:
        return datetime.fromisoformat(self.cases[case]["verify_at"])


@pytest.fixture(scope="session")
def vectors() -> Vectors:
    if not SHARED_VECTORS.is_dir():
        pytest.skip("shared vectors are not beside this checkout (../shared/vectors)")
    return Vectors(SHARED_VECTORS)


EVIDENCE = ROOT / "tests" / "evidence"


class Sample:
    """One real machine's evidence with its endorsements, and the time it was judged at."""

    def __init__(self, folder: str, at: str) -> None:
        self.folder = EVIDENCE / folder
        self.at = datetime.fromisoformat(at)
        self.files = sorted(path for path in self.folder.iterdir())
        self.evidence, self.endorsements = load(*self.files)

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


@pytest.fixture(scope="session")
def genoa() -> Sample:
    """A real SEV-SNP report, version 5, EPYC Genoa, with VCEK and CRL."""
    return Sample("snp-genoa", "2025-09-06T17:21:41Z")


@pytest.fixture(scope="session")
def td() -> Sample:
    """A real TDX quote, version 4, with Intel's collateral."""
    return Sample("tdx-v4", "2025-06-22T10:32:27Z")


@pytest.fixture(scope="session")
def h100() -> Sample:
    """A real H100 report with certificate chain and both RIMs."""
    return Sample("h100", "2025-10-24T18:00:00Z")


NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
"""The instant of simulated evidence."""


@pytest.fixture(scope="session")
def simulator(request: pytest.FixtureRequest) -> Simulator:
    """One simulator for all tests of a run; its keys are kept between runs, RSA-4096 takes its time."""
    assert request.config.cache is not None
    # The name changes with the roots a simulator has: a kept state must hold all of them.
    state = Path(request.config.cache.mkdir("simulator")) / "state-azure.json"
    try:
        return Simulator.load(state, at=NOON)
    except (OSError, ValueError):
        made = Simulator.create(NOON)
        made.warm()
        mine = state.with_name(f"state.{os.getpid()}.json")
        made.save(mine)
        os.chmod(mine, 0o600)
        mine.replace(state)
        return made


@pytest.fixture(scope="session")
def anchors(simulator: Simulator) -> Anchors:
    """The vendors' roots and the simulator's."""
    return simulator.anchors()
