"""What a verified device says, claim by claim, and what stands beside the claims."""

from __future__ import annotations

import pytest

from attest.cache import Cache
from attest.claims import CLAIMS
from attest.evidence import Evidence
from attest.nvidia import rim_signature
from attest.nvidia.containers import DeviceEvidence
from attest.nvidia.rim import Rim
from attest.verifier import verify
from attest.x509 import Certificate
from tests.conftest import Sample, Vectors
from tests.nvidia.conftest import Bench
from tests.nvidia.test_real_evidence import judge


def test_a_real_h100(h100: Sample) -> None:
    verified = verify(h100.evidence, endorsements=h100.endorsements, at=h100.at)
    (claims,) = verified.claims["gpu"]
    assert claims == {
        "architecture": "hopper",
        "model": "GH100",
        "id": "41431d480fe5e87274",
        "driver": "550.90.07",
        "vbios": "96.00.9F.00.01",
        "mode": "spt",
        "measurements": "match",
        "driver-rim": "valid",
        "vbios-rim": "valid",
        "cert": "absent",
        "count": "1",
    }
    assert claims.keys() <= CLAIMS["gpu"].keys()
    raw = verified.claims["raw"]["gpu"][0]
    assert raw["rim_ids"] == {
        "driver": "NV_GPU_DRIVER_GH100_550.90.07",
        "vbios": "NV_GPU_VBIOS_1010_0200_882_96009F0001",
    }
    assert raw["mode_derived"] == "true"
    assert raw["opaque_data_version"] == "0"
    assert raw["protected_pcie_status"] == raw["nvdec0_status"] == "55"
    assert "feature_flag" not in raw
    assert raw["fwid_match"] == "true"
    assert raw["fwid"] == raw["fwid_leaf"]
    assert len(raw["msrscnt"]) == 64
    assert raw["certificates"][0] == "GH100 A01 GSP FMC LF"
    assert raw["certificate_serials"][1] == claims["id"]


def test_a_real_switch(vectors: Vectors) -> None:
    verified = judge(vectors, "switch-ls10-rim-match-sdk")
    (claims,) = verified.claims["switch"]
    assert claims == {
        "architecture": "ls10",
        "model": "LS10",
        "id": "50203eb31ad9ed0008",
        "bios": "96.10.55.00.01",
        "locked": "true",
        "measurements": "match",
        "bios-rim": "valid",
        "cert": "absent",
        "count": "1",
    }
    assert claims.keys() <= CLAIMS["switch"].keys()
    raw = verified.claims["raw"]["switch"][0]
    assert raw["device_pdi"] == ("203eb31ad9ed0008",)
    assert raw["rim_ids"] == {"bios": "NV_SWITCH_BIOS_5612_0002_890_9610550001"}


def test_real_gpus_in_protected_pcie_mode(vectors: Vectors) -> None:
    verified = judge(vectors, "ppcie-8gpu-hopper-nvtrust")
    identities = {claims["id"] for claims in verified.claims["gpu"]}
    assert len(identities) == 8
    for raw in verified.claims["raw"]["gpu"]:
        assert len(raw["switch_pdi"]) == 18
        assert (raw["feature_flag"], raw["opaque_data_version"]) == ("2", "1")
        assert raw["mode_derived"] == "false"


def test_a_real_blackwell(vectors: Vectors) -> None:
    verified = judge(vectors, "gpu-blackwell-signature-only-sdk")
    assert verified.claims["gpu"][0]["architecture"] == "blackwell"
    assert verified.claims["gpu"][0]["model"] == "GB100"
    assert verified.claims["raw"]["gpu"][0]["rim_ids"]["driver"] == "NV_GPU_CC_DRIVER_GB100_575.32"


def test_an_unlocked_switch_says_so(vectors: Vectors) -> None:
    from attest.nvidia.facts import DevicePart
    from attest.nvidia.opaque import Opaque

    part = judge(vectors, "switch-ls10-rim-match-sdk")._parts[0]
    assert isinstance(part, DevicePart)
    opaque = Opaque.read(((25, b"\0\0"),), "switch")
    changed = DevicePart(part.report, opaque, part.device, part.mode, (), "no-rim", part.revocation)
    assert changed.claims()["locked"] == "false"
    assert "bios" not in changed.claims()


def test_a_warm_verification_checks_the_reports_signature_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:

    cache, plan = Cache(), bench.plan()
    bench.verify(plan, cache=cache)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a cached endorsement was verified again")

    monkeypatch.setattr(Certificate, "issued_by", never)
    monkeypatch.setattr(rim_signature, "_verify_xml", never)
    monkeypatch.setattr(Rim, "parse", never)
    bench.verify(plan, cache=cache)


def test_a_link_that_two_manifests_share_is_checked_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:

    links = []
    checked = Certificate.issued_by

    def counted(self: Certificate, issuer: Certificate) -> bool:
        holds = checked(self, issuer)
        if holds:
            links.append((self.der, issuer.der))
        return holds

    monkeypatch.setattr(Certificate, "issued_by", counted)
    bench.verify(bench.plan())
    assert len(links) == len(set(links))


def test_the_part_is_refused_as_a_whole(bench: Bench) -> None:
    from attest.checks import CheckLog
    from attest.endorsements import Endorsements
    from attest.nvidia.containers import read_json
    from tests.nvidia.conftest import AT

    plan = bench.plan()
    plan.rims["driver"].product = "GB100"
    device = plan.build()
    parsed = read_json([device.document()], "d")
    assert parsed is not None
    assert isinstance(Evidence(devices=parsed).devices[0], DeviceEvidence)
    result = parsed[0].verify_with(
        endorsements=Endorsements(rims=tuple(device.rims.values())),
        anchors=bench.anchors,
        at=AT,
        log=CheckLog(),
        cache=None,
        memory=None,
    )
    assert result is None
