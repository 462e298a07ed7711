"""Endorsements that nobody brought: asked of the vendors in order, within budgets, and never at a known machine's cost.

The vendors' services run on a local port and sign with the simulator's keys; the machines are simulated.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from attest import Endorsements
from attest.sources.sources import Sources
from kbs.broker import Broker, Verification
from kbs.budget import Budget, Rate
from kbs.clock import Clock
from kbs.config import read_config
from kbs.fetching import NoFetcher, VendorFetcher
from kbs.http.app import create_app
from kbs.service import fetcher
from tests.kbs.conftest import PATH, SECRET, Bench
from tests.kbs.twin import TwinGuest, TwinRefused
from tests.sources.conftest import issuers_of
from tests.sources.vendors import Fault, Vendors, rim_ids_of, running

LISTS = "/vcek/v1/Genoa/crl"


@dataclass
class Asking:
    """A broker with nothing but the vendors' services."""

    bench: Bench
    vendors: Vendors
    folder: Path
    fetchers: list[VendorFetcher] = field(default_factory=list)

    def broker(self, *, an_hour: int = 600, a_minute: int = 600, **keywords: Any) -> Bench:
        bench = self.bench
        anchors = bench.simulator.anchors()
        sources = Sources.open(self.folder, hosts=self.vendors.hosts, anchors=anchors)
        sources.store.now = sources.client.now = bench.clock
        sources.client.attempts, sources.client.read = 1, 10.0
        asking = VendorFetcher(
            sources, Budget(Rate(an_hour, 3600, "an hour"), Rate(a_minute, 60, "a minute")), **keywords
        )
        self.fetchers.append(asking)
        bench.collateral.epoch = type(bench.collateral.epoch)("none", Endorsements())
        verification = Verification(anchors, bench.collateral, fetcher=asking)
        bench.broker = Broker(
            bench.store, bench.keys, verification, bench.broker._settings, Clock(bench.clock)
        )
        bench.app = create_app(bench.broker, bench.administration, bench.store)
        return bench

    def asked(self, part: str = "") -> list[str]:
        with self.vendors.lock:
            return [path for _, path, _ in self.vendors.requests if part in path]

    def guest(
        self, *, cpu: str = "snp", gpus: int = 0, spoil: Callable[[Any], None] | None = None, **keywords: Any
    ) -> TwinGuest:
        """A machine that brings no certificate of its chip, and that the vendors know."""
        bench = self.bench

        def evidence(nonce: str, key: Mapping[str, Any]) -> tuple[Any, str]:
            made = bench.simulator.moved_to(bench.clock.now).machine(
                cpu=cpu, gpus=gpus, nonce=base64.b64decode(nonce), key=key, **keywords
            )
            with self.vendors.lock:
                self.vendors.endorsements = Endorsements()
            self.vendors.serve(made.endorsements, issuers_of(made))
            self.vendors.rim_ids |= rim_ids_of(dict(made.files))
            document = json.loads(made.files["simulated-machine.json"])
            primary = document["primary_evidence"]
            primary.pop("cert_chain", None)
            if spoil is not None:
                spoil(primary)
            return primary, document["additional_evidence"]

        return TwinGuest(bench.http(), evidence, tee=cpu)


@pytest.fixture
def asking(acme: Bench, tmp_path: Path) -> Iterator[Asking]:
    with running(Vendors()) as vendors:
        one = Asking(acme, vendors, tmp_path / "cache")
        yield one
        for fetcher in one.fetchers:
            fetcher.close()


def attest(guest: TwinGuest) -> int:
    """The status of one attestation."""
    guest.auth()
    try:
        guest.attest()
    except TwinRefused as refused:
        return refused.status
    return 200


def test_without_a_fetcher_nobody_is_asked(asking: Asking) -> None:
    bench = asking.broker()
    bench.broker._verification = Verification(bench.simulator.anchors(), bench.collateral)
    assert isinstance(bench.broker._verification.fetcher, NoFetcher)
    assert attest(asking.guest()) == 401
    assert bench.codes() == {"snp.leaf.missing"}
    assert asking.asked() == []


@pytest.mark.parametrize("cpu", ["snp", "tdx"])
def test_what_a_machine_lacks_is_asked_once_and_kept(asking: Asking, cpu: str) -> None:
    bench = asking.broker()
    if cpu == "snp":
        assert asking.guest(gpus=1).boot(PATH) == SECRET
        assert len(asking.asked(LISTS)) == 1
    else:
        assert attest(asking.guest(cpu="tdx", gpus=1)) == 200
        assert len(asking.asked("/tcb?fmspc=")) == 1
    assert asking.asked("ocsp") or any("/v1/rim/" in path for path in asking.asked())
    before = asking.asked()
    assert attest(asking.guest(cpu=cpu, gpus=1)) == 200
    assert asking.asked() == before
    assert len(bench.rows("attested")) == 2


def test_a_certificate_that_the_guest_brings_is_not_asked_for(asking: Asking) -> None:
    bench = asking.broker()
    guest = asking.guest()
    with_chain = bench.machine(gpus=0)
    taken = guest.machine

    def evidence(nonce: str, key: Mapping[str, Any]) -> tuple[Any, str]:
        taken(nonce, key)  # the vendors know it
        return with_chain(nonce, key)

    guest.machine = evidence
    assert attest(guest) == 200
    assert asking.asked(LISTS)
    assert [path for path in asking.asked("/vcek/v1/Genoa/") if "SPL=" in path] == []


def test_t_dos_nobody_is_asked_for_evidence_that_answers_another_challenge(asking: Asking) -> None:
    bench = asking.broker()
    guest = asking.guest()
    taken = guest.machine
    guest.machine = lambda nonce, key: taken(base64.b64encode(bytes(32)).decode(), key)
    assert attest(guest) == 401
    assert bench.codes() == {"binding.report-data"}
    assert asking.asked() == []


def test_t_dos_a_body_without_an_open_challenge_makes_nobody_be_asked(asking: Asking) -> None:
    asking.broker()
    guest = asking.guest()
    guest.auth()
    body = guest.attestation()
    guest.http.cookies.clear()
    with pytest.raises(TwinRefused):
        guest.attest(body)
    assert asking.asked() == []


def test_t_dos_nobody_is_asked_about_devices_before_the_cpu_holds(asking: Asking) -> None:
    bench = asking.broker()
    asking.vendors.fail("/vcek/v1/Genoa/", *[Fault("status", 404)] * 4)
    assert attest(asking.guest(gpus=1)) == 401
    assert {"snp.leaf.missing", "sources.not-found"} <= bench.codes()
    assert asking.asked("/vcek/")
    assert [path for path in asking.asked() if not path.startswith("/vcek/")] == []


def test_t_dos_a_forged_report_makes_nobody_be_asked_twice(asking: Asking) -> None:
    """Its chip is unknown, so the certificate is asked for; then its signature is no good, and that is all."""

    def forge(primary: Any) -> None:
        primary["attestation_report"]["signature"]["r"][0] ^= 1

    bench = asking.broker()
    assert attest(asking.guest(gpus=1, spoil=forge)) == 401
    assert "snp.signature.invalid" in bench.codes()
    assert [path for path in asking.asked() if not path.startswith("/vcek/")] == []
    before = asking.asked()
    assert attest(asking.guest(gpus=1, spoil=forge)) == 401
    assert asking.asked() == before


def test_t_dos_a_spent_budget_stops_the_unknown_and_not_the_known(asking: Asking) -> None:
    bench = asking.broker(an_hour=3)
    assert attest(asking.guest()) == 200
    spent = len(asking.asked())
    assert 0 < spent <= 3
    chips = (bytes([number]) * 64 for number in range(7, 20))
    assert any(attest(asking.guest(chip_id=chip)) == 503 for chip in chips)
    assert len(asking.asked()) == 3
    assert "kbs.fetch.budget" in bench.codes()
    assert bench.rows("attest-refused")[-1]["status"] == 503
    assert attest(asking.guest()) == 200
    assert len(asking.asked()) == 3


def test_t_dos_those_who_wait_for_a_vendor_do_not_delay_the_known(asking: Asking) -> None:
    bench = asking.broker(at_once=1, waiting=0)
    assert attest(asking.guest()) == 200
    release = threading.Event()
    asking.vendors.fail("/vcek/v1/Genoa/", Fault("slow", wait=2.0))
    with ThreadPoolExecutor(1) as pool:
        count = len(asking.asked())
        slow = pool.submit(attest, asking.guest(chip_id=bytes([9]) * 64))
        while len(asking.asked()) == count:
            release.wait(0.01)
        assert attest(asking.guest()) == 200
        assert attest(asking.guest(chip_id=bytes([8]) * 64)) == 503
        assert "kbs.fetch.busy" in bench.codes()
        assert not slow.done()
        assert slow.result() == 200
    # What was not asked is not remembered as refused.
    assert attest(asking.guest(chip_id=bytes([8]) * 64)) == 200


def test_what_is_due_for_renewal_serves_while_it_is_asked_for(asking: Asking) -> None:
    bench = asking.broker()
    assert attest(asking.guest()) == 200
    count = len(asking.asked(LISTS))
    bench.clock.pass_seconds(25 * 3600)
    asking.vendors.fail(LISTS, Fault("slow", wait=0.5))
    assert attest(asking.guest()) == 200
    for _ in range(200):
        if len(asking.asked(LISTS)) > count:
            break
        threading.Event().wait(0.02)
    assert len(asking.asked(LISTS)) == count + 1


def test_the_configuration_says_whether_and_whom(tmp_path: Path, acme: Bench) -> None:
    file = tmp_path / "kbs.yaml"

    def read(text: str) -> Any:
        return read_config(f"state: {tmp_path}\n{text}".encode(), file)

    anchors = acme.simulator.anchors()
    assert isinstance(fetcher(read(""), anchors), NoFetcher)
    config = read("sources: {fetch: true, kds: 'https://mirror.example', at-once: 1}")
    asking = fetcher(config, anchors)
    assert isinstance(asking, VendorFetcher)
    assert (tmp_path / "endorsements-cache").is_dir()
    assert config.sources.hosts.kds == "https://mirror.example"
    asking.close()
    with pytest.raises(Exception, match="kds is an http or https URL"):
        read("sources: {kds: 'ftp://x'}")
