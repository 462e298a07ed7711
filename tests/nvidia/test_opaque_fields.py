"""Opaque data: each field's form, and what a field means on which device."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import Malformed
from attest.nvidia.opaque import Opaque
from attest.simulator import gpu
from tests.nvidia.conftest import Bench


@pytest.mark.parametrize(
    ("field", "value"),
    [(3, b"550\x1b[2J\0"), (3, b"550\n"), (6, bytes(7)), (6, b"96.00.9F.00.01"), (11, b"\x00"), (11, b"\x55\x55"),
     (20, bytes(47)), (21, b"\x01"), (21, b""), (22, bytes(8)), (22, bytes(143)), (34, b"\x01"), (36, bytes(4))],
)  # fmt: skip
def test_a_field_that_cannot_be_what_it_says_is_refused(bench: Bench, field: int, value: bytes) -> None:
    plan = bench.plan(driver="580.65.06")
    plan.set_opaque(field, value)
    assert bench.refused(plan) == {"nvidia.opaque.malformed"}


@pytest.mark.parametrize(
    ("field", "value"), [(6, bytes(8)), (6, b"96.10.55"), (22, bytes(144)), (25, b"\x01")]
)
def test_a_switch_has_its_own_forms(field: int, value: bytes) -> None:
    with pytest.raises(Malformed) as refusal:
        Opaque.read(((field, value),), "switch")
    assert refusal.value.codes == {"nvidia.opaque.malformed"}


def test_vbios_versions_are_packed_on_a_gpu_and_text_on_a_switch() -> None:
    packed = Opaque.read(((6, bytes.fromhex("009f009601000000")),), "gpu")
    written = Opaque.read(((6, b"96.10.55.00.01"),), "switch")
    assert (packed.vbios_version, written.vbios_version) == ("96.00.9F.00.01", "96.10.55.00.01")


def test_field_22_is_a_list_on_a_gpu_and_one_identifier_on_a_switch() -> None:
    gpu_pdis = Opaque.read(((22, bytes(range(144))),), "gpu").pdis
    own = Opaque.read(((22, bytes(range(8))),), "switch").pdis
    assert gpu_pdis is not None
    assert len(gpu_pdis) == 18
    assert gpu_pdis[17] == bytes(range(136, 144))
    assert own == (bytes(range(8)),)


def test_an_unknown_field_is_kept_raw_and_warned_of(bench: Bench) -> None:
    plan = bench.plan()
    plan.opaque.append((4711, b"new"))
    verified = bench.verify(plan)
    assert verified.claims["raw"]["gpu"][0]["opaque_4711"] == b"new".hex()
    assert "nvidia.opaque.unknown" in {warning.code for warning in verified.warnings}


def test_field_26_belongs_to_switches_and_is_unknown_on_a_gpu() -> None:
    assert Opaque.read(((26, bytes(128)),), "gpu").unknown == (26,)
    assert Opaque.read(((26, bytes(128)),), "switch").unknown == ()


def test_absent_fields_make_no_claims(bench: Bench) -> None:
    plan = bench.plan()
    for field in (gpu.DRIVER_VERSION, gpu.VBIOS_VERSION, gpu.PROTECTED_PCIE, gpu.FWID):
        plan.set_opaque(field, None)
    claims = bench.claims(plan)
    assert {"driver", "vbios", "mode"}.isdisjoint(claims)
    assert claims["measurements"] == "no-rim"
    assert claims["driver-rim"] == claims["vbios-rim"] == "absent"


def test_a_driver_version_that_is_no_number_stays_raw(bench: Bench) -> None:
    plan = bench.plan()
    plan.set_opaque(gpu.DRIVER_VERSION, b"550.90-beta<script>\0")
    verified = bench.verify(plan, rims=())
    assert "driver" not in verified.claims["gpu"][0]
    assert verified.claims["raw"]["gpu"][0]["driver_version"] == "550.90-beta<script>"
    assert "driver" not in verified.claims["raw"]["gpu"][0]["rim_ids"]


@given(st.lists(st.tuples(st.integers(0, 40), st.binary(max_size=160)), unique_by=lambda field: field[0]))
def test_any_fields_are_decoded_or_malformed(fields: list[tuple[int, bytes]]) -> None:
    for section in ("gpu", "switch"):
        try:
            Opaque.read(tuple(fields), section)
        except Malformed as refusal:
            assert refusal.codes == {"nvidia.opaque.malformed"}
