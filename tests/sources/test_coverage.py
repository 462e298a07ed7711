"""What one machine takes from a fleet's file, and what it is told is missing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

from attest import verify
from attest.anchors import Anchors
from attest.endorsements import Endorsements
from attest.evidence import Evidence
from attest.simulator import Simulator
from attest.simulator.simulated import Simulated
from attest.sources.coverage import issuers_of, manifest_ids, select
from attest.sources.needs import needs
from tests.conftest import NOON, Sample


def missing(made: Simulated, held: Endorsements, anchors: Anchors, at: object = NOON) -> dict[str, str]:
    """what → state, of each need that is not met."""
    found = needs(made.evidence, held, at=at, anchors=anchors)  # type: ignore[arg-type]
    return {need.what: need.state for need in found if not need.met}


def fleet(simulator: Simulator, count: int) -> Endorsements:
    held = Endorsements()
    for number in range(count):
        held += simulator.snp(chip_number=number).endorsements
    return held + simulator.tdx().endorsements + simulator.gpu().endorsements


def test_a_machine_takes_its_own_vcek_out_of_a_fleets(simulator: Simulator, anchors: Anchors) -> None:
    held = fleet(simulator, 5)
    made = simulator.snp(chip_number=3)
    taken = select(held, made.evidence)
    leaves = [c for c in taken.certificates if c.common_name == "SEV-VCEK"]
    assert leaves == [c for c in made.endorsements.certificates if c.common_name == "SEV-VCEK"]
    assert not taken.documents
    assert not taken.rims
    verify(made.evidence, endorsements=taken, at=NOON, anchors=anchors)


def test_no_list_is_ever_left_out(simulator: Simulator) -> None:
    """T-OMIT: a list that revokes this machine must reach the verifier, whosever it looks."""
    held = fleet(simulator, 1)
    assert len(held.crls) > 2
    for made in (simulator.snp(), simulator.tdx(), simulator.gpu()):
        assert select(held, made.evidence).crls == held.crls


def test_every_answer_about_a_devices_chain_is_taken(simulator: Simulator) -> None:
    held = fleet(simulator, 1)
    gpu = simulator.gpu()
    assert len(select(held, gpu.evidence).ocsp) == len(gpu.endorsements.ocsp) > 0
    assert select(held, simulator.snp().evidence).ocsp == ()


def test_a_vcek_of_the_chip_for_another_tcb_is_handed_over_to_be_named(simulator: Simulator) -> None:
    old, new = simulator.snp(reported_tcb={"snp": 20}), simulator.snp()
    taken = select(old.endorsements, new.evidence)
    assert any(c.common_name == "SEV-VCEK" for c in taken.certificates)


def test_a_tcb_info_of_another_family_is_left_out(td: Sample, simulator: Simulator) -> None:
    made = simulator.tdx()
    both = made.endorsements + td.endorsements
    kinds = [document.kind for document in select(both, td.evidence).documents]
    assert sorted(kinds) == ["qe-identity", "qe-identity", "tcb-info"]


def test_honest_evidence_needs_nothing_more(simulator: Simulator, anchors: Anchors) -> None:
    for made in (simulator.snp(), simulator.tdx(), simulator.gpu(), simulator.snp(signing_key="vlek")):
        assert missing(made, made.endorsements, anchors) == {}


def test_each_endorsement_that_is_not_there_is_named(simulator: Simulator, anchors: Anchors) -> None:
    snp, tdx, gpu = simulator.snp(), simulator.tdx(), simulator.gpu()
    assert missing(snp, replace(snp.endorsements, crls=()), anchors) == {"list of ARK-Genoa": "missing"}
    (leaf,) = missing(snp, replace(snp.endorsements, certificates=()), anchors)
    assert leaf.startswith(f"VCEK of chip {snp.raw[0x1A0:0x1A8].hex()}… for TCB bootloader ")
    found = missing(tdx, Endorsements(), anchors)
    assert len(found) == 4
    assert set(found.values()) == {"missing"}
    assert {"QE identity", "list of Intel SGX Root CA"} < set(found)
    found = missing(gpu, replace(gpu.endorsements, rims=(), ocsp=()), anchors)
    assert [what.split(" manifest ")[0] for what in found if "manifest" in what] == ["driver", "VBIOS"]
    assert sum(what.startswith("OCSP answer for ") for what in found) == 3


def test_what_is_held_and_has_ended_is_told_apart(simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.tdx()
    found = missing(made, made.endorsements, anchors, NOON + timedelta(days=100))
    assert set(found.values()) == {"ended"}
    found = missing(made, made.endorsements, anchors, NOON - timedelta(days=3000))
    assert set(found.values()) == {"not-yet"}


def test_real_evidence_says_what_it_needs(genoa: Sample, td: Sample, h100: Sample) -> None:
    for sample in (genoa, td):
        assert all(
            need.met
            for need in needs(
                sample.evidence, sample.endorsements, at=sample.at, anchors=Anchors.production()
            )
        )
    found = needs(h100.evidence, h100.endorsements, at=h100.at, anchors=Anchors.production())
    assert [need.what for need in found if need.met] == [
        "driver manifest 550.90.07",
        "VBIOS manifest 96.00.9F.00.01",
    ]


def test_a_switch_behind_gpus_is_counted_among_switches(simulator: Simulator, anchors: Anchors) -> None:
    """Its name is the one that checks, problems and claims have."""
    devices = simulator.fabric().evidence.devices
    unreadable = [SimpleNamespace(section=device.section) for device in devices]
    found = needs(Evidence(devices=tuple(unreadable)), Endorsements(), at=NOON, anchors=anchors)
    names = [need.what.partition(":")[0] for need in found]
    assert names == [*(f"gpu[{index}]" for index in range(8)), *(f"switch[{index}]" for index in range(4))]


def test_a_quote_gives_its_authorities_and_never_its_platform(td: Sample) -> None:
    names = [str(c.common_name) for c in issuers_of(td.evidence)]
    assert names == ["Intel SGX PCK Platform CA", "Intel SGX Root CA"]
    assert issuers_of(Evidence()) == ()


def test_a_device_without_its_chain_takes_the_one_that_is_whole(h100: Sample, simulator: Simulator) -> None:
    """What OCSP is asked about of other devices lies in the same file, and is no chain of anybody."""
    others = Endorsements(issuers_of(simulator.gpu().evidence))
    assert len(others.certificates) == 4
    taken = select(others + h100.endorsements, h100.evidence)
    assert taken.certificates == h100.endorsements.certificates
    verify(h100.evidence, endorsements=taken, at=h100.at)


def test_a_devices_fields_name_its_manifests(simulator: Simulator) -> None:
    (device,) = simulator.gpu(driver="550.90.07").evidence.devices
    assert manifest_ids(device)["550.90.07"] == "NV_GPU_DRIVER_GH100_550.90.07"
