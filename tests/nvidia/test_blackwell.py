"""Blackwell: its certificates, modes and manifest names. No manifest of NVIDIA's was at hand; these are simulated."""

from __future__ import annotations

import pytest

from attest.errors import Rejected
from attest.simulator.device import DevicePlan
from attest.simulator.gpu import CHIP_INFO
from tests.nvidia.conftest import Bench

MANIFESTS = {
    "driver": "NV_GPU_CC_DRIVER_GB100_590.48.01",
    "vbios": "NV_GPU_VBIOS_G525_0200_886_970088000F",
}


def blackwell(bench: Bench, index: int = 0, mode: str = "mpt") -> DevicePlan:
    return bench.plan(architecture="blackwell", mode=mode, index=index)


def test_a_gpu_in_multi_pass_through(bench: Bench) -> None:
    verified = bench.verify(blackwell(bench))
    claims = verified.claims["gpu"][0]
    assert {name: claims[name] for name in ("architecture", "model", "mode", "measurements")} == {
        "architecture": "blackwell",
        "model": "GB100",
        "mode": "mpt",
        "measurements": "match",
    }
    assert verified.claims["raw"]["gpu"][0]["rim_ids"] == MANIFESTS
    assert not [warning for warning in verified.warnings if warning.code == "nvidia.opaque.unknown"]


def test_several_share_one_mode(bench: Bench) -> None:
    verified = bench.verify(blackwell(bench), blackwell(bench, 1))
    outcomes = {record.name: record.outcome for record in verified.checks}
    assert outcomes["devices.mode"] == outcomes["devices.driver"] == "passed"
    with pytest.raises(Rejected) as refusal:
        bench.verify(blackwell(bench), blackwell(bench, 1, mode="spt"))
    assert refusal.value.codes == {"devices.mode"}


def test_the_chip_of_the_driver_manifest_is_the_devices_word(bench: Bench) -> None:
    plan = blackwell(bench)
    plan.set_opaque(CHIP_INFO, b"GB102\0")
    ids = bench.verify(plan).claims["raw"]["gpu"][0]["rim_ids"]
    assert ids["driver"] == "NV_GPU_CC_DRIVER_GB102_590.48.01"
    plan.set_opaque(CHIP_INFO, None)
    ids = bench.verify(plan).claims["raw"]["gpu"][0]["rim_ids"]
    assert ids["driver"] == MANIFESTS["driver"]


@pytest.mark.parametrize("chip", [b"../GB100", b"GB100/x", b"GB 100"])
def test_no_path_is_made_of_a_chip(bench: Bench, chip: bytes) -> None:
    plan = blackwell(bench)
    plan.set_opaque(CHIP_INFO, chip)
    assert "driver" not in bench.verify(plan).claims["raw"]["gpu"][0]["rim_ids"]


def test_a_hopper_manifest_of_the_same_version_is_refused(bench: Bench) -> None:
    plan = blackwell(bench)
    plan.rims["driver"].product = "GH100"
    assert bench.refused(plan) == {"nvidia.rim.product"}


def test_a_field_of_newer_firmware_is_kept_and_warned_of(bench: Bench) -> None:
    plan = blackwell(bench)
    plan.set_opaque(61, b"\x01\x02")
    verified = bench.verify(plan)
    assert verified.claims["raw"]["gpu"][0]["opaque_61"] == "0102"
    assert "nvidia.opaque.unknown" in {warning.code for warning in verified.warnings}
