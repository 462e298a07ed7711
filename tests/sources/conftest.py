"""The vendors' services with honest simulated endorsements behind them, and a client that never waits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from attest.anchors import Anchors
from attest.endorsements import Endorsements
from attest.simulator import Simulator
from attest.simulator.simulated import Simulated
from attest.sources.sources import Sources
from attest.tdx.quote import Quote
from attest.x509 import parse_certificates
from tests.conftest import NOON
from tests.sources.vendors import Vendors, rim_ids_of, running


@dataclass
class Clock:
    """Wall clock and stop watch in one; sleeping moves both."""

    at: datetime = NOON
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += timedelta(seconds=seconds)

    def forward(self, **time: float) -> None:
        self.at += timedelta(**time)


@dataclass
class Site:
    """A machine that fetches: its clock, its cache folder, the services it asks."""

    vendors: Vendors
    anchors: Anchors
    folder: Path
    clock: Clock = field(default_factory=Clock)
    told: list[str] = field(default_factory=list)

    def sources(self, **keywords: object) -> Sources:
        """Another process's view: the same folder, its own client."""
        sources = Sources.open(self.folder, hosts=self.vendors.hosts, anchors=self.anchors, **keywords)
        sources.store.now = self.clock.now
        client = sources.client
        client.now, client.clock, client.sleep = self.clock.now, self.clock.monotonic, self.clock.sleep
        client.jitter = lambda: 1.0
        client.tell = self.told.append
        client.read, client.connect = 2.0, 2.0
        return sources

    def serve(self, made: Simulated) -> Simulated:
        self.vendors.serve(made.endorsements, issuers_of(made))
        self.vendors.rim_ids |= rim_ids_of(dict(made.files))
        return made


def issuers_of(made: Simulated) -> Endorsements:
    """The PCK CA that a quote brings along: Intel's service sends it with the CA's list."""
    quote = made.evidence.cpu
    if not isinstance(quote, Quote):
        return Endorsements()
    return Endorsements(certificates=parse_certificates(quote.certification_data, where="quote")[1:])


@pytest.fixture
def site(anchors: Anchors, tmp_path: Path) -> Iterator[Site]:
    with running(Vendors()) as vendors:
        yield Site(vendors, anchors, tmp_path / "cache")


@pytest.fixture
def tdx(simulator: Simulator, site: Site) -> Simulated:
    return site.serve(simulator.tdx())


@pytest.fixture
def snp(simulator: Simulator, site: Site) -> Simulated:
    return site.serve(simulator.snp())


@pytest.fixture
def gpu(simulator: Simulator, site: Site) -> Simulated:
    return site.serve(simulator.gpu())
