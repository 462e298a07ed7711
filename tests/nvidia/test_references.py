"""Which manifest serves which role, and what several, none or the wrong ones mean."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from attest import Rejected, verify
from attest.cache import Cache
from attest.claims import instant
from attest.nvidia import rim_signature
from attest.nvidia.references import _same_version
from attest.nvidia.rim import Rim
from attest.simulator import gpu
from attest.simulator.rim import RimPlan
from tests.conftest import Sample
from tests.nvidia.conftest import AT, Bench

DAY = timedelta(days=1)


def other_values(rim: RimPlan) -> RimPlan:
    """The same manifest re-issued with another value of its first active measurement."""
    active = next(entry for entry in rim.entries if entry.active == "True")
    active.hashes = [b"\x77" * 48 for _ in active.hashes]
    return rim


def test_both_manifests_match(bench: Bench) -> None:
    verified = bench.verify(bench.plan())
    outcomes = {record.name: record.outcome for record in verified.checks}
    assert outcomes["gpu[0].rim.documents"] == outcomes["gpu[0].driver-rim"] == "passed"
    claims = verified.claims["gpu"][0]
    assert (claims["measurements"], claims["driver-rim"], claims["vbios-rim"]) == ("match", "valid", "valid")
    assert verified.simulated


@pytest.mark.parametrize(
    ("missing", "check"), [("driver", "gpu[0].driver-rim"), ("vbios", "gpu[0].vbios-rim")]
)
def test_t_rim_without_one_of_them_nothing_is_matched_and_it_is_said(
    bench: Bench, missing: str, check: str
) -> None:
    plan = bench.plan()
    del plan.rims[missing]
    verified = bench.verify(plan)
    claims = verified.claims["gpu"][0]
    assert claims["measurements"] == "no-rim"
    assert claims[f"{missing}-rim"] == "absent"
    why = {record.name: record.why for record in verified.checks if record.outcome == "not-run"}
    assert "no manifest" in (why[check] or "")
    assert missing in (why["gpu[0].measurements.compared"] or "")


def test_a_mismatch_shows_even_where_a_manifest_is_missing(bench: Bench) -> None:
    plan = bench.plan(measurements={7: b"\x66" * 48})
    del plan.rims["vbios"]
    assert bench.claims(plan)["measurements"] == "mismatch"


def test_of_several_reissues_the_matching_one_is_taken(bench: Bench) -> None:
    good, bad = bench.plan().build().rims, bench.plan()
    other_values(bad.rims["driver"])
    rims = [*bad.build().rims.values(), *good.values()]
    for order in (rims, rims[::-1]):
        assert bench.claims(bench.plan(), rims=order)["measurements"] == "match"


def test_entries_of_two_reissues_are_never_mixed(bench: Bench) -> None:
    """Each of the two fits one half of what the device measures; neither fits whole."""
    first, second = bench.plan(), bench.plan()
    for plan, index in ((first, 21), (second, 22)):
        plan.rims["driver"].entries[index].hashes = [b"\x77" * 48]
    rims = [*first.build().rims.values(), *second.build().rims.values()]
    assert bench.claims(bench.plan(), rims=rims)["measurements"] == "mismatch"


def test_an_altered_manifest_refuses_even_beside_a_good_one(bench: Bench) -> None:
    good = bench.plan().build().rims
    altered = [rim.replace(b'name="Measurement_7"', b'name="Measurement_8"') for rim in good.values()]
    assert bench.refused(bench.plan(), rims=[*good.values(), *altered]) == {"nvidia.rim.digest"}


@pytest.mark.parametrize(("code", "own"), [("nvidia.rim.digest", False), ("x509.anchor", True)])
def test_a_manifest_is_looked_at_once_and_refuses_every_device(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, code: str, own: bool
) -> None:
    """Sixteen devices and a dozen large manifests took half a minute to refuse. own: signed by anybody, well."""
    plans = [bench.plan(index=index) for index in range(3)]
    rims = (Bench() if own else bench).plan().build().rims.values()
    altered = [rim if own else rim.replace(b'name="Measurement_7"', b'name="Measurement_8"') for rim in rims]
    seen = []
    verify_xml = rim_signature._verify_xml

    def counted(document: bytes, leaf: object) -> object:
        seen.append(document)
        return verify_xml(document, leaf)  # type: ignore[arg-type]

    monkeypatch.setattr(rim_signature, "_verify_xml", counted)
    with pytest.raises(Rejected) as refusal:
        bench.verify(*plans, rims=altered)
    assert sorted(seen) == sorted(altered)
    wheres = [problem.where or "" for problem in refusal.value.problems]
    assert code in refusal.value.codes
    assert {where.partition(".")[0] for where in wheres} == {"gpu[0]", "gpu[1]", "gpu[2]"}
    failed = {record.name for record in refusal.value.checks if record.outcome == "failed"}
    assert failed == {f"gpu[{n}].{kind}-rim" for n in range(3) for kind in ("driver", "vbios")}


def test_a_manifest_whose_signed_part_is_unclear_refuses_every_device(bench: Bench) -> None:
    plans = [bench.plan(index=index) for index in range(2)]
    for plan in plans:
        plan.rims["driver"].entries[3].size = 47
    with pytest.raises(Rejected) as refusal:
        bench.verify(*plans)
    assert refusal.value.codes == {"nvidia.rim.malformed"}
    failed = {record.name for record in refusal.value.checks if record.outcome == "failed"}
    assert failed == {"gpu[0].driver-rim", "gpu[1].driver-rim"}


def test_an_expired_manifest_beside_a_current_one_is_passed_over(bench: Bench) -> None:
    old = bench.plan()
    old.rims["driver"].chain[0].not_after = AT - DAY
    good = bench.plan().build().rims
    assert (
        bench.claims(bench.plan(), rims=[*old.build().rims.values(), *good.values()])["measurements"]
        == "match"
    )
    assert bench.refused(old) == {"x509.expired"}


def test_an_expired_manifest_is_named_by_its_id_with_its_end(bench: Bench) -> None:
    """The signers of all manifests have one name; NVIDIA's service hands out a newer one under the id."""
    old = bench.plan()
    for rim in old.rims.values():
        rim.chain[0].not_after = AT - DAY
    with pytest.raises(Rejected) as refusal:
        bench.verify(old)
    assert {(problem.where, problem.expected) for problem in refusal.value.problems} == {
        (f"gpu[0].{kind}: HCC RIM L4 Signer", f"until {instant(AT - DAY)}")
        for kind in (
            "driver manifest NV_GPU_DRIVER_GH100_550.90.07",
            "vbios manifest NV_GPU_VBIOS_1010_0200_882_96009F0001",
        )
    }


@pytest.mark.parametrize("field", ["product", "edition"])
def test_the_right_version_for_another_product_is_refused(bench: Bench, field: str) -> None:
    plan = bench.plan()
    setattr(plan.rims["driver"], field, {"product": "GB100", "edition": "SWITCH"}[field])
    assert bench.refused(plan) == {"nvidia.rim.product"}


def test_another_products_manifest_of_one_driver_version_may_lie_beside_ours(bench: Bench) -> None:
    """One driver release serves several chips, each with a manifest of its own."""
    other = bench.plan()
    other.rims["driver"].product = "GB100"
    rims = [other.rims["driver"].build(), *bench.plan().build().rims.values()]
    assert bench.claims(bench.plan(), rims=rims)["measurements"] == "match"


def test_manifests_of_other_versions_are_passed_over(bench: Bench) -> None:
    plan = bench.plan()
    verified = bench.verify(
        plan, rims=list(bench.plan(driver="570.86.15", vbios="96.00.AF.00.01").build().rims.values())
    )
    assert verified.claims["gpu"][0]["measurements"] == "no-rim"


def test_vbios_versions_are_compared_in_any_case(bench: Bench) -> None:
    plan = bench.plan(vbios="96.00.9F.00.01")
    plan.rims["vbios"].version = "96.00.9f.00.01"
    assert bench.claims(plan)["measurements"] == "match"


def test_one_document_cannot_serve_both_roles(bench: Bench) -> None:
    plan = bench.plan()
    plan.set_opaque(gpu.DRIVER_VERSION, b"96.00.9F.00.01\0")
    codes = bench.refused(plan, rims=[plan.rims["vbios"].build()])
    assert "nvidia.rim.role" in codes


def test_one_index_active_in_both_is_a_conflict(bench: Bench) -> None:
    plan = bench.plan()
    entry = next(e for e in plan.rims["vbios"].entries if e.index == 7)
    entry.active, entry.hashes = "True", plan.rims["driver"].entries[7].hashes
    assert bench.refused(plan) == {"nvidia.rim.index-conflict"}


def test_a_manifest_that_does_not_parse_is_never_passed_over(bench: Bench) -> None:
    rims = [*bench.plan().build().rims.values(), b"<a/>"]
    assert bench.refused(bench.plan(), rims=rims) == {"nvidia.rim.malformed"}


def test_a_cached_manifest_is_judged_at_each_time_anew(bench: Bench) -> None:
    cache = Cache()
    plan = bench.plan()
    bench.verify(plan, cache=cache)
    last = plan.rims["driver"].chain[0].not_after
    bench.verify(plan, cache=cache, at=last)
    assert bench.refused(plan, cache=cache, at=last + timedelta(seconds=1)) == {"x509.expired"}


def test_a_manifest_cached_under_the_simulator_serves_no_one_else(bench: Bench) -> None:
    from attest.anchors import Anchors, Role

    cache = Cache()
    bench.verify(bench.plan(), cache=cache)
    device_only: set[Role] = {"nvidia-device"}
    anchors = Anchors(
        tuple(root for root in bench.anchors.roots if not root.simulated or root.role in device_only)
    )
    assert bench.refused(bench.plan(), cache=cache, anchors=anchors) == {"x509.anchor", "evidence.simulated"}


def test_mismatches_name_index_manifest_and_both_values(bench: Bench) -> None:
    plan = bench.plan(measurements={22: b"\x66" * 48})
    (mismatch,) = bench.verify(plan).claims["raw"]["gpu"][0]["mismatches"]
    golden = plan.rims["driver"].entries[22].hashes[0]
    assert mismatch == {"index": "22", "rim": "driver", "expected": golden.hex(), "found": "66" * 48}


def test_a_device_that_does_not_verify_is_not_measured(bench: Bench) -> None:
    plan = bench.plan()
    plan.report_key = "p384/stranger"
    with pytest.raises(Rejected) as refusal:
        bench.verify(plan)
    outcomes = {record.name: record.outcome for record in refusal.value.checks}
    assert outcomes["gpu[0].signature"] == "failed"
    for check in ("mode", "driver-rim", "vbios-rim", "measurements.compared", "revocation"):
        assert outcomes[f"gpu[0].{check}"] == "not-run"


def test_both_ends_belong_to_the_validity_of_a_manifests_signers(h100: Sample) -> None:
    """Nobody's certificate but the signer's ends or begins there: the devices' own last for ever."""
    second = timedelta(seconds=1)
    drivers = [
        rim for rim in h100.endorsements.rims if isinstance(rim, Rim) and rim.stated.version == "550.90.07"
    ]
    (driver,) = drivers
    begin = max(one.not_before for one in driver.chain)
    end = min(one.not_after for one in driver.chain)
    alone = replace(h100.endorsements, rims=(driver,))
    for at in (begin, end):
        verified = verify(h100.evidence, endorsements=alone, at=at)
        assert verified.claims["gpu"][0]["driver-rim"] == "valid"
    for at in (begin - second, end + second):
        with pytest.raises(Rejected):
            verify(h100.evidence, endorsements=alone, at=at)


def test_versions_of_drivers_are_compared_as_written_and_of_a_vbios_in_any_case() -> None:
    assert _same_version("driver", "550.90.07", "550.90.07")
    assert not _same_version("driver", "550.90.07a", "550.90.07A")
    for kind in ("vbios", "bios"):
        assert _same_version(kind, "96.00.9f.00.01", "96.00.9F.00.01")
        assert not _same_version(kind, "96.00.9f.00.01", "96.00.9F.00.02")
