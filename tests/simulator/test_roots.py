"""The simulator's roots: marked, kept, and the same after save and load."""

from __future__ import annotations

import stat
import warnings
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from attest.anchors import ROLES, Anchors
from attest.simulator import Simulator
from attest.x509 import parse_certificates, simulator_role


def test_every_role_has_a_root_with_the_critical_extension(simulator: Simulator) -> None:
    roots = parse_certificates(simulator.roots_pem, where="roots")
    assert [simulator_role(root) for root in roots] == list(ROLES)
    for root in roots:
        assert "SIMULATED" in root.parsed.subject.rfc4514_string()
        assert root.issued_by(root)


def test_anchors_add_the_roots_to_the_vendors(simulator: Simulator) -> None:
    anchors = simulator.anchors()
    assert set(Anchors.production().roots) < set(anchors.roots)
    assert sum(anchor.simulated for anchor in anchors.roots) == len(ROLES)


def test_intermediates_are_not_marked_and_have_the_vendors_names(simulator: Simulator) -> None:
    for name, subject in (("root", "O=SIMULATED"), ("intermediate", "O=Advanced"), ("leaf", "O=Advanced")):
        plan = getattr(simulator.plan_snp(), name)
        assert subject in plan.subject.rfc4514_string()


def test_state_file_keeps_roots_and_certificates(simulator: Simulator, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    simulator.save(state)
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    again = Simulator.load(state)
    assert again.at == simulator.at
    assert again.roots_pem == simulator.roots_pem
    assert again.snp().files["simulated-vcek.der"] == simulator.snp().files["simulated-vcek.der"]
    driver = "simulated-NV_GPU_DRIVER_GH100_550.90.07.xml"
    assert again.gpu().files[driver] == simulator.gpu().files[driver]


def test_another_instant_keeps_the_roots_and_makes_new_lists(simulator: Simulator) -> None:
    later = simulator.moved_to(simulator.at + timedelta(days=90))
    assert later.roots_pem == simulator.roots_pem
    assert later.tdx().files["simulated-pck.crl"] != simulator.tdx().files["simulated-pck.crl"]


def test_endorsements_keep_their_bytes_all_day(simulator: Simulator) -> None:
    noon = simulator.moved_to(simulator.at.replace(hour=12))
    evening = simulator.moved_to(simulator.at.replace(hour=23, minute=59))
    for kind in ("snp", "tdx", "gpu"):
        ours, theirs = getattr(noon, kind)().files, getattr(evening, kind)().files
        changing = {"simulated-report.bin", "simulated-quote.bin", "simulated-gpu-evidence.json"}
        assert {n: d for n, d in ours.items() if n not in changing} == {
            n: d for n, d in theirs.items() if n not in changing
        }


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "attest-simulator/1"}', "-----BEGIN"])
def test_other_files_are_no_state(tmp_path: Path, text: str) -> None:
    state = tmp_path / "state.json"
    state.write_text(text)
    with pytest.raises(ValueError):
        Simulator.load(state)


def test_a_time_without_zone_is_refused(simulator: Simulator) -> None:
    with pytest.raises(ValueError):
        Simulator.create(datetime(2026, 1, 1))
    with pytest.raises(ValueError):
        simulator.moved_to(datetime(2026, 1, 1))


def test_two_simulators_do_not_accept_each_other(simulator: Simulator, tmp_path: Path) -> None:
    """Same names, other keys."""
    from attest.errors import Rejected
    from attest.verifier import verify

    other = Simulator.create(simulator.at)
    made = simulator.tdx()
    with pytest.raises(Rejected) as refusal:
        verify(made.evidence, endorsements=made.endorsements, at=simulator.at, anchors=other.anchors())
    assert "x509.anchor" in refusal.value.codes


def test_a_vcek_has_serial_number_zero_as_amds(simulator: Simulator) -> None:
    (leaf,) = parse_certificates(simulator.snp().files["simulated-vcek.der"], where="leaf")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert leaf.serial == 0
