"""rims.json: only manifests that hold get in, the same bytes each time, and how to ask about their signers."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from attest.anchors import Anchors
from attest.endorsements import Endorsements
from attest.errors import Rejected
from attest.loader import load_endorsements
from attest.nvidia.ocsp_answer import Answer
from attest.nvidia.rim import Rim
from attest.simulator import Simulator
from attest.sources.rims import golden_of, write_rims
from tests.conftest import NOON, Sample, Vectors


def made(simulator: Simulator, anchors: Anchors, at: Any = NOON, **keywords: Any) -> dict[str, Any]:
    held = simulator.gpu(**keywords).endorsements
    document: dict[str, Any] = json.loads(write_rims(golden_of(held, at=at, anchors=anchors), NOON))
    return document


def refused(held: Endorsements, anchors: Anchors, at: Any = NOON) -> set[str]:
    with pytest.raises(Rejected) as refusal:
        golden_of(held, at=at, anchors=anchors)
    return refusal.value.codes


def test_real_manifests_become_the_measurements_that_were_signed(h100: Sample) -> None:
    golden = golden_of(h100.endorsements, at=h100.at, anchors=Anchors.production())
    document = json.loads(write_rims(golden, h100.at))
    assert (document["made"], document["simulated"]) == ("2025-10-24T18:00:00Z", "false")
    driver, vbios = document["rims"]
    assert (driver["product"], driver["edition"], driver["version"]) == ("GH100", "GPU", "550.90.07")
    assert vbios["version"] == "96.00.9F.00.01"
    assert [len(rim["measurements"]) for rim in (driver, vbios)] == [21, 12]
    assert all(len(v) == 96 for rim in document["rims"] for vs in rim["measurements"].values() for v in vs)
    assert driver["cert"] == "absent"
    assert len(driver["signers"]) == 3


def test_the_same_manifests_give_the_same_bytes_in_any_order(h100: Sample) -> None:
    rims = h100.endorsements.rims
    texts = {
        write_rims(golden_of(Endorsements(rims=order), at=h100.at, anchors=Anchors.production()), h100.at)
        for order in (rims, rims[::-1], rims * 2)
    }
    assert len(texts) == 1


def test_each_signer_is_named_as_ocsp_answers_name_it(simulator: Simulator, anchors: Anchors) -> None:
    held = simulator.gpu().endorsements
    singles = [single for blob in held.ocsp for single in Answer.parse(blob).singles]
    named = {(f"{s.serial:x}", s.issuer_name_hash.hex(), s.issuer_key_hash.hex()) for s in singles}
    document = made(simulator, anchors)
    assert document["simulated"] == "true"
    for rim in document["rims"]:
        assert rim["cert"] == "good"
        for signer in rim["signers"]:
            assert set(signer["issuer-key-hash"]) == {"sha1", "sha256", "sha384"}
            name, key = signer["issuer-name-hash"]["sha384"], signer["issuer-key-hash"]["sha384"]
            assert (signer["serial"], name, key) in named


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("gpu-ocsp-rim-revoked", "x509.revoked"),
        ("gpu-ocsp-rim-hold", "nvidia.ocsp.hold"),
    ],
)
def test_t_rim_a_manifest_whose_signer_is_withdrawn_keeps_all_out(
    fault: str, code: str, simulator: Simulator, anchors: Anchors
) -> None:
    assert code in refused(simulator.gpu(fault=fault).endorsements, anchors)


def test_an_answer_out_of_date_is_not_told_as_an_unknown_signer(
    simulator: Simulator, anchors: Anchors
) -> None:
    held = simulator.gpu().endorsements
    with pytest.raises(Rejected) as refusal:
        golden_of(held, at=NOON + timedelta(days=3), anchors=anchors)
    assert refusal.value.codes == {"nvidia.ocsp.stale"}
    assert len(refusal.value.problems) == 3
    assert all(
        (problem.found or "").endswith("to 2026-11-24T12:00:00Z") for problem in refusal.value.problems
    )


def test_an_expired_manifest_is_refused_by_its_own_name(simulator: Simulator, anchors: Anchors) -> None:
    held = simulator.gpu().endorsements
    late = NOON + timedelta(days=5000)
    assert "x509.expired" in refused(held, anchors, late)
    rims = [rim if isinstance(rim, Rim) else Rim.parse(rim) for rim in held.rims]
    driver = next(rim for rim in rims if rim.stated.version == "550.90.07")
    with pytest.raises(Rejected) as refusal:
        golden_of(held, at=late, anchors=anchors, files={driver.digest: "rims/driver.xml"})
    named = {(problem.where or "").rpartition(": ")[0] for problem in refusal.value.problems}
    assert named == {"rims/driver.xml", "GPU manifest 96.00.9F.00.01"}


def test_a_manifest_of_the_simulator_needs_the_simulators_root(simulator: Simulator) -> None:
    codes = refused(simulator.gpu().endorsements, Anchors.production())
    assert "x509.anchor" in codes


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("incorrect_signature_driver_rim.xml", "nvidia.rim.signature"),
        ("incorrect_cert_chain_driver_rim.xml", "x509.depth"),
    ],
)
def test_real_manifests_that_were_altered_are_refused(file: str, code: str, vectors: Vectors) -> None:
    held = load_endorsements([vectors.path(f"nvidia/rims/{file}")])
    (rim,) = held.rims
    assert isinstance(rim, Rim)
    assert code in refused(held, Anchors.production(), rim.chain[0].not_before)
