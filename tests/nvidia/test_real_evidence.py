"""Reports of real devices, judged at their own time, with the reason the manifest names."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from attest.cache import Cache
from attest.canonical import canonical, read_json
from attest.endorsements import Endorsements
from attest.errors import Rejected
from attest.evidence import Evidence
from attest.nvidia.containers import DeviceEvidence
from attest.nvidia.containers import read_json as read_devices
from attest.verified import Verified
from attest.verifier import verify
from attest.x509 import parse_certificates
from tests.conftest import Sample, Vectors

RIM_ROLES = ("driver_rim", "vbios_rim", "switch_rim", "swbios_rim", "rim")

# case → section, measurements, mode
ACCEPTED = {
    "gpu-hopper-full-rims-nvtrust": ("gpu", "match", "spt"),
    "gpu-hopper-535-vbios-rim-match": ("gpu", "no-rim", None),
    "gpu-blackwell-signature-only-sdk": ("gpu", "no-rim", None),
    "gpu-hopper-580-coco-trustee": ("gpu", "no-rim", "spt"),
    "gpu-hopper-590-sdk": ("gpu", "no-rim", "ppcie"),
    "gpu-hopper-cert-hold-sdk": ("gpu", "no-rim", "spt"),
    "gpu-hopper-multi4-sdk": ("gpu", "no-rim", "ppcie"),
    "ppcie-8gpu-hopper-nvtrust": ("gpu", "no-rim", "ppcie"),
    "ppcie-4switch-nvtrust": ("switch", "no-rim", None),
    "switch-ls10-rim-match-sdk": ("switch", "match", None),
    # authentic, and not what any policy wants: the manifest's rejections are the policy's
    "gpu-hopper-535-vbios-rim-mismatch": ("gpu", "mismatch", None),
    "gpu-hopper-580-coco-stale-vbios-rim": ("gpu", "mismatch", "spt"),
}
REFUSED = {
    "gpu-hopper-rims-expired-nvtrust": {"x509.expired"},
    "gpu-hopper-bad-chain-case2-trustee": {"x509.depth", "nvidia.signature.invalid"},
    "gpu-hopper-bad-chain-case3-trustee": {"x509.depth", "x509.signature", "x509.key-identifier"},
    "gpu-hopper-bad-chain-case4-trustee": {
        "x509.depth",
        "x509.leaf-is-ca",
        "x509.key-usage",
        "nvidia.signature.invalid",
    },
    "gpu-hopper-535-driver-rim-tampered": {"nvidia.rim.digest"},
    "gpu-hopper-570-driver-rim-expired": {"nvidia.rim.digest", "x509.expired"},
    "gpu-hopper-bad-signature": {"nvidia.signature.invalid", "nvidia.fwid.mismatch"},
    "switch-ls10-rim-invalid-signature-sdk": {"nvidia.rim.digest"},
    "switch-ls10-rim-wrong-product-sdk": {"nvidia.rim.digest", "nvidia.rim.product"},
    "switch-ls10-multi4-duplicate-sdk": {"devices.duplicate"},
    "switch-ls10-bad-signature-sdk": {"nvidia.signature.invalid"},
}


def judge(vectors: Vectors, case: str, *, at: datetime | None = None, cache: Cache | None = None) -> Verified:
    files = vectors.cases[case]["files"]
    certificates = (
        parse_certificates(vectors.read(case, "cert_chain"), where="chain") if "cert_chain" in files else ()
    )
    rims = tuple(vectors.read(case, role) for role in files if role.endswith("rim"))
    if "report" in files:
        devices: Any = (DeviceEvidence.parse(vectors.read(case, "report")),)
    else:
        devices = read_devices(read_json(vectors.read(case, "evidence_json"), where=case), case)
    return verify(
        Evidence(devices=devices),
        endorsements=Endorsements(certificates=certificates, rims=rims),
        at=at or vectors.at(case),
        cache=cache,
    )


def test_every_case_of_the_manifest_has_a_verdict_here(vectors: Vectors) -> None:
    cases = {
        case for case, entry in vectors.cases.items() if entry["kind"] in ("nvidia-gpu", "nvidia-switch")
    }
    assert cases == {*ACCEPTED, *REFUSED}


@pytest.mark.parametrize("case", ACCEPTED)
def test_genuine_devices_verify(case: str, vectors: Vectors) -> None:
    section, measurements, mode = ACCEPTED[case]
    verified = judge(vectors, case)
    facts = vectors.cases[case]["facts"]
    listed = facts.get("devices") or [facts]
    assert len(verified.claims[section]) == len(listed)
    for claims, raw, fact in zip(
        verified.claims[section], verified.claims["raw"][section], listed, strict=True
    ):
        assert claims["measurements"] == measurements
        assert claims.get("mode") == mode
        assert claims["cert"] == "absent"
        assert raw["request_nonce"] == fact["request_nonce"]
        assert raw["vbios_version"] == fact["vbios_version"]
        assert raw.get("driver_version") == fact["driver_version"]
        assert raw["trailing_bytes"] == str(fact["trailing_bytes"])
        assert len(raw["measurements"]) == fact["measurement_blocks"]
        assert raw.get("fwid") == fact["fwid_report"]
        assert fact["fwid_leaf"] in (None, raw["fwid_leaf"])
        for name in ("project", "project_sku", "chip_sku"):
            assert raw.get(name) == fact[name]
    canonical(dict(verified.claims))
    assert not verified.simulated
    assert "revocation-unchecked" in {warning.code for warning in verified.warnings}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_evidence_is_refused_for_its_reason(case: str, vectors: Vectors) -> None:
    with pytest.raises(Rejected) as refusal:
        judge(vectors, case)
    assert refusal.value.codes == REFUSED[case]


@pytest.mark.parametrize("case", ["gpu-hopper-535-vbios-rim-mismatch", "gpu-hopper-580-coco-stale-vbios-rim"])
def test_a_stale_vbios_manifest_differs_at_index_9_alone(case: str, vectors: Vectors) -> None:
    raw = judge(vectors, case).claims["raw"]["gpu"][0]
    assert [(one["rim"], one["index"]) for one in raw["mismatches"]] == [("vbios", "9")]
    assert len(raw["rims"]["vbios"]["compared"]) == 12


def test_of_two_genuine_manifests_of_one_id_the_matching_one_is_taken(vectors: Vectors) -> None:
    good, stale = "gpu-hopper-535-vbios-rim-match", "gpu-hopper-535-vbios-rim-mismatch"
    chain = parse_certificates(vectors.read(good, "cert_chain"), where="chain")
    rims = (vectors.read(stale, "vbios_rim"), vectors.read(good, "vbios_rim"))
    verified = verify(
        Evidence(devices=(DeviceEvidence.parse(vectors.read(good, "report")),)),
        endorsements=Endorsements(certificates=chain, rims=rims),
        at=vectors.at(good),
    )
    raw = verified.claims["raw"]["gpu"][0]
    assert raw["mismatches"] == ()
    assert raw["rims"]["vbios"]["not_after"] == "2025-06-22T09:30:33Z"


def test_the_matching_manifest_once_expired_leaves_the_other_ones_mismatch(vectors: Vectors) -> None:
    good, stale = "gpu-hopper-535-vbios-rim-match", "gpu-hopper-535-vbios-rim-mismatch"
    chain = parse_certificates(vectors.read(good, "cert_chain"), where="chain")
    rims = (vectors.read(stale, "vbios_rim"), vectors.read(good, "vbios_rim"))
    verified = verify(
        Evidence(devices=(DeviceEvidence.parse(vectors.read(good, "report")),)),
        endorsements=Endorsements(certificates=chain, rims=rims),
        at=datetime.fromisoformat("2025-10-01T00:00:00Z"),
    )
    assert verified.claims["gpu"][0]["measurements"] == "mismatch"


def test_all_33_measurements_were_compared(h100: Sample) -> None:
    verified = verify(h100.evidence, endorsements=h100.endorsements, at=h100.at)
    rims = verified.claims["raw"]["gpu"][0]["rims"]
    compared = {kind: (len(rim["compared"]), rim["skipped"]) for kind, rim in rims.items()}
    # NVDEC0 is disabled on this GPU: index 35 is counted as skipped, not as compared.
    assert compared == {"driver": (20, ("35",)), "vbios": (12, ())}
    outcomes = {record.name: record.outcome for record in verified.checks}
    assert outcomes["gpu[0].measurements.compared"] == outcomes["gpu[0].fwid"] == "passed"
    assert outcomes["gpu[0].revocation"] == "not-run"


@pytest.mark.parametrize("cached", [False, True])
def test_manifest_signers_are_valid_to_the_second(cached: bool, h100: Sample) -> None:
    """The VBIOS manifest's signer: 2024-02-23T23:17:58Z to 2026-02-22T23:17:58Z; the driver's begins later."""
    cache = Cache() if cached else None
    if cached:
        verify(h100.evidence, endorsements=h100.endorsements, at=h100.at, cache=cache)
    last = datetime.fromisoformat("2026-02-22T23:17:58Z")
    first = datetime.fromisoformat("2024-06-01T02:08:29Z")
    second = timedelta(seconds=1)
    for inside in (first, last):
        verify(h100.evidence, endorsements=h100.endorsements, at=inside, cache=cache)
    for outside, code in ((first - second, "x509.not-yet-valid"), (last + second, "x509.expired")):
        with pytest.raises(Rejected) as refusal:
            verify(h100.evidence, endorsements=h100.endorsements, at=outside, cache=cache)
        assert refusal.value.codes == {code}


def test_it_ends_with_its_first_endorsement(h100: Sample) -> None:
    verified = verify(h100.evidence, endorsements=h100.endorsements, at=h100.at)
    assert verified.expires == datetime.fromisoformat("2026-02-22T23:17:58Z")


def test_manifests_of_other_devices_are_passed_over(vectors: Vectors, h100: Sample) -> None:
    other = vectors.path("nvidia/rims/NV_GPU_DRIVER_GH100_550.144.03.xml").read_bytes()
    verified = verify(h100.evidence, endorsements=Endorsements(rims=(other,)) + h100.endorsements, at=h100.at)
    assert verified.claims["gpu"][0]["measurements"] == "match"
