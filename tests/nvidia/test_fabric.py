"""Devices of one machine: distinct, alike, and in protected PCIe mode eight GPUs and four switches of one node.

Each way to break a node has a fault of the simulator (`fabric-*`); here is what real nodes say, and what a set
that is not complete says.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from attest.anchors import Anchors
from attest.binding import Expected
from attest.canonical import read_json
from attest.cli.main import main
from attest.endorsements import Endorsements
from attest.errors import Rejected
from attest.evidence import Evidence
from attest.nvidia.containers import DeviceEvidence
from attest.nvidia.containers import read_json as read_devices
from attest.policy import appraise
from attest.result.answer import of_appraisal
from attest.result.text import render
from attest.simulator import Simulator
from attest.simulator.fabric import DRIVER
from attest.verified import Verified
from attest.verifier import verify
from tests.conftest import Vectors
from tests.nvidia.conftest import Bench

NONCE = bytes(range(32))
NODE = ("ppcie-8gpu-hopper-nvtrust", "ppcie-4switch-nvtrust")


def devices_of(vectors: Vectors, *cases: str) -> tuple[DeviceEvidence, ...]:
    found: tuple[DeviceEvidence, ...] = ()
    for case in cases:
        found += read_devices(read_json(vectors.read(case, "evidence_json"), where=case), case) or ()
    return found


def real(devices: tuple[DeviceEvidence, ...]) -> Verified:
    at = datetime.fromisoformat("2026-06-01T00:00:00Z")
    return verify(Evidence(devices=devices), endorsements=Endorsements(), at=at)


def refused(devices: tuple[DeviceEvidence, ...]) -> set[str]:
    with pytest.raises(Rejected) as refusal:
        real(devices)
    return refusal.value.codes


def topology(verified: Verified) -> str | None:
    return next((r.outcome for r in verified.checks if r.name == "devices.topology"), None)


def test_a_real_node_of_eight_gpus_and_four_switches_is_whole(vectors: Vectors) -> None:
    for cases in (NODE, NODE[::-1]):
        verified = real(devices_of(vectors, *cases))
        outcomes = {record.name: record.outcome for record in verified.checks}
        for check in ("distinct", "nonce", "driver", "mode", "topology"):
            assert outcomes[f"devices.{check}"] == "passed"
        assert "nvidia.topology.incomplete" not in {warning.code for warning in verified.warnings}


@pytest.mark.parametrize(
    ("gpus", "switches"), [(8, 0), (0, 4), (7, 4), (8, 3), (1, 0), (0, 1), (1, 1), (4, 2)]
)
def test_t_gpu_mode_a_part_of_a_real_node_is_genuine_and_said_to_be_a_part(
    vectors: Vectors, gpus: int, switches: int
) -> None:
    verified = real(devices_of(vectors, NODE[0])[:gpus] + devices_of(vectors, NODE[1])[:switches])
    assert topology(verified) == "not-run"
    (warning,) = [one for one in verified.warnings if one.code == "nvidia.topology.incomplete"]
    assert warning.found == f"{gpus} of 8 GPUs, {switches} of 4 switches"


def test_a_switch_of_elsewhere_beside_a_real_node_is_refused(vectors: Vectors) -> None:
    stranger = devices_of(vectors, "switch-ls10-rim-match-sdk")
    assert refused(devices_of(vectors, *NODE)[:11] + stranger) == {"nvidia.topology", "devices.nonce"}
    assert refused(devices_of(vectors, *NODE)[:1] + stranger) == {"nvidia.topology", "devices.nonce"}


def test_a_gpu_of_elsewhere_beside_a_real_node_is_refused(vectors: Vectors) -> None:
    stranger = devices_of(vectors, "gpu-hopper-cert-hold-sdk")
    codes = refused(devices_of(vectors, *NODE)[1:] + stranger)
    assert codes == {"devices.nonce", "devices.driver", "devices.mode"}


def test_copies_of_one_switch_are_one_switch(vectors: Vectors) -> None:
    assert refused(devices_of(vectors, "switch-ls10-multi4-duplicate-sdk")) == {"devices.duplicate"}


def test_one_nonce_for_all(vectors: Vectors) -> None:
    older = devices_of(vectors, "gpu-hopper-multi4-sdk")
    assert refused(devices_of(vectors, *NODE)[1:] + older[:1]) == {"devices.nonce"}


def test_gpus_that_pass_alone_have_no_topology(bench: Bench) -> None:
    assert topology(bench.verify(bench.plan(), bench.plan(index=1))) is None


@pytest.mark.parametrize("driver", ["550.90.07", "570.124.06", DRIVER])
def test_protected_pcie_counts_with_and_without_a_flag(
    simulator: Simulator, anchors: Anchors, driver: str
) -> None:
    """Drivers before 580 write no flag: status and identifiers say it, and are held to the same topology."""
    made = simulator.fabric(nonce=NONCE, driver=driver)

    def judge(devices: tuple[Any, ...]) -> Verified:
        return verify(
            Evidence(devices=devices),
            endorsements=made.endorsements,
            at=simulator.at,
            anchors=anchors,
            expected=Expected(gpu_nonce=NONCE),
        )

    whole = made.evidence.devices
    assert topology(judge(whole)) == "passed"
    assert topology(judge(whole[:-1])) == "not-run"
    assert {claims["cert"] for claims in judge(whole).claims["switch"]} == {"good"}
    strangers = simulator.fabric(nonce=NONCE, driver=driver, fault="fabric-switches-of-another-node")
    with pytest.raises(Rejected) as refusal:
        judge(whole[:8] + strangers.evidence.devices[8:])
    assert refusal.value.codes == {"nvidia.topology"}


def test_a_machine_binds_its_whole_node(simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.machine(gpus=8, switches=4, mode="ppcie", driver=DRIVER, nonce=NONCE)
    verified = verify(
        made.evidence,
        endorsements=made.endorsements,
        at=simulator.at,
        anchors=anchors,
        expected=Expected(nonce=NONCE),
    )
    assert topology(verified) == "passed"
    assert verified.claims["binding"]["gpu-to-cpu"] == "true"
    assert (len(verified.claims["gpu"]), len(verified.claims["switch"])) == (8, 4)


def test_each_kind_of_device_counts_from_its_own_zero(simulator: Simulator, anchors: Anchors) -> None:
    """One numbering in checks, problems, warnings, claims and text: `switch[0]` is the first switch everywhere."""
    made = simulator.machine(gpus=8, switches=4, mode="ppcie", driver=DRIVER, nonce=NONCE)

    def judge(evidence: Evidence, nonce: bytes = NONCE) -> Verified:
        return verify(
            evidence,
            endorsements=made.endorsements,
            at=simulator.at,
            anchors=anchors,
            expected=Expected(nonce=nonce) if evidence.cpu else Expected(gpu_nonce=nonce),
        )

    names = {f"gpu[{n}]" for n in range(8)} | {f"switch[{n}]" for n in range(4)}
    verified = judge(made.evidence)
    assert {record.name.split(".")[0] for record in verified.checks if "[" in record.name} == names
    text = render(of_appraisal(appraise(verified, None, at=simulator.at)))
    assert [f"NVIDIA GPU {n} of 8" in text for n in range(9)] == [True] * 8 + [False]
    assert [f"NVIDIA NVSwitch {n} of 4" in text for n in range(5)] == [True] * 4 + [False]

    devices = made.evidence.devices
    with pytest.raises(Rejected) as refusal:
        judge(Evidence(devices=devices), nonce=bytes(range(1, 33)))
    assert {problem.where for problem in refusal.value.problems} == {f"{name}.nonce" for name in names}

    with pytest.raises(Rejected) as refusal:
        judge(Evidence(devices=(*devices[:8], devices[8], devices[8])))
    (same,) = [problem for problem in refusal.value.problems if problem.code == "devices.duplicate"]
    assert (same.where, (same.found or "").split(":")[0]) == ("switch[1]", "same device as switch[0]")


def test_a_fabric_that_does_not_fit_names_number_and_serial(simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.fabric(fault="fabric-unlocked")
    with pytest.raises(Rejected) as refusal:
        verify(made.evidence, endorsements=made.endorsements, at=simulator.at, anchors=anchors)
    places = [problem.where or "" for problem in refusal.value.problems]
    assert places
    assert all(re.fullmatch(r"switch\[[0-3]\]\.lock_switch_status, serial [0-9a-f]+", one) for one in places)


def test_show_names_devices_as_verify_does(
    simulator: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = simulator.fabric()
    (name,) = [name for name in made.files if name.endswith("evidence.json")]
    (tmp_path / name).write_bytes(made.files[name])
    assert main(["show", str(tmp_path / name)]) == 0
    shown = [line.rpartition(" ")[2] for line in capsys.readouterr().out.splitlines() if name in line]
    wanted = [f"gpu[{n}]" for n in range(8)] + [f"switch[{n}]" for n in range(4)]
    assert [one for one in shown if "[" in one] == wanted
