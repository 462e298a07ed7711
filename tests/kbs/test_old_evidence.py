"""Evidence in the shapes that guests have sent over the years: what is the same machine is judged the same."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from attest import Endorsements
from attest.binding import report_data
from attest.composite import write_primary
from attest.simulator import Simulator
from attest.snp.containers import read_report_document
from kbs.broker import Settings
from kbs.protocol import Served
from kbs.store.address import Address
from tests.kbs.conftest import PATH, SECRET, SNP_POLICY, Bench, make_bench
from tests.kbs.test_azure import POLICY as AZURE_POLICY
from tests.kbs.test_azure import guest as azure_guest
from tests.kbs.test_release import TDX_POLICY, refused
from tests.kbs.twin import Machine
from tests.snp.test_old_documents import as_sev_4

SERVED = Served(versions=frozenset({"0.2.0", "0.4.0"}), azure_evidence=0)


@pytest.fixture
def lenient(
    tmp_path: Path, simulator: Simulator, endorsements: Endorsements, empty: Address
) -> Iterator[Bench]:
    yield from make_bench(tmp_path, simulator, endorsements, empty, Settings(served=SERVED))


def test_an_old_snp_document_by_an_old_protocol(lenient: Bench) -> None:
    lenient.owner("acme", SNP_POLICY.replace("  gpu: {count: {at-least: 1}}\n", ""))
    lenient.secret("acme")

    def machine(nonce: str, key: Mapping[str, Any]) -> tuple[Any, str]:
        document, _ = lenient.old_machine()(nonce, key)
        report, _ = read_report_document(document, where="report")
        return {**as_sev_4(report.raw), "cert_chain": document["cert_chain"]}, ""

    guest = lenient.guest()
    guest.version, guest.machine = "0.2.0", machine
    assert guest.boot(PATH) == SECRET


@pytest.mark.parametrize("version", [0, 1, 2])
def test_azure_documents_of_each_version(lenient: Bench, version: int) -> None:
    policy = AZURE_POLICY.replace("    evidence-version: {at-least: 2}\n", "").replace(
        "  azure:\n", "  azure:\n    user-data-bound: {one-of: [true, false], override: old guests}\n"
    )
    lenient.owner("acme", policy)
    lenient.secret("acme")
    assert azure_guest(lenient, version=version).boot(PATH) == SECRET


@pytest.mark.parametrize("log", [None, "", "AA log of the agent, which nothing signs"])
def test_a_tdx_document_with_the_agents_own_log(bench: Bench, log: str | None) -> None:
    """It is authenticated by nothing and says nothing."""
    bench.owner("acme", TDX_POLICY)
    bench.secret("acme")
    guest = bench.guest(cpu="tdx")
    plain = guest.machine

    def machine(nonce: str, key: Mapping[str, Any]) -> tuple[Any, str]:
        document, additional = plain(nonce, key)
        return {**document, "aa_eventlog": log}, additional

    guest.machine = machine
    assert guest.boot(PATH) == SECRET


def rewritten(bench: Bench, change: Any) -> Machine:
    """The machine with each device's text changed before the CPU covers it."""

    def evidence(nonce: str, key: Mapping[str, Any]) -> tuple[Any, str]:
        simulator = bench.simulator.moved_to(bench.clock.now)
        _, text = bench.machine()(nonce, key)
        document = json.loads(text)
        change(document)
        text = json.dumps(document, separators=(",", ":"))
        made = simulator.snp(report_data=report_data(nonce, key, text))
        return write_primary("snp", made.raw), text

    return evidence


def test_a_device_report_in_hex(acme: Bench) -> None:
    def change(document: Any) -> None:
        for device in document["nvidia"]["device_evidence_list"]:
            device["evidence"] = base64.b64decode(device["evidence"]).hex()
            device["arch"] = "Hopper"

    guest = acme.guest()
    guest.machine = rewritten(acme, change)
    assert guest.boot(PATH) == SECRET


def test_t_dos_seventeen_devices_are_refused_before_one_is_verified(acme: Bench) -> None:
    def change(document: Any) -> None:
        document["nvidia"]["device_evidence_list"] *= 17

    guest = acme.guest()
    guest.machine = rewritten(acme, change)
    with refused(401, "AttestationError"):
        guest.boot(PATH)
    assert acme.codes() == {"nvidia.container"}
