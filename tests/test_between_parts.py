"""What `verify` sees to itself: that each part was verified, what is remembered, at what instant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta, timezone
from typing import Any

import pytest

from attest import Endorsements, Evidence, Rejected, verify
from attest.anchors import Anchors
from attest.memory import Memory
from attest.simulator import Simulated, Simulator
from attest.verified import Verified


def judge(made: Simulated, anchors: Anchors, **more: Any) -> Verified:
    keywords = {"at": made.at, **more}
    return verify(made.evidence, endorsements=made.endorsements, anchors=anchors, **keywords)


def test_evidence_of_nothing_is_refused(simulator: Simulator, anchors: Anchors) -> None:
    with pytest.raises(Rejected) as refusal:
        verify(Evidence(), endorsements=Endorsements(), at=simulator.at, anchors=anchors)
    assert refusal.value.codes == {"evidence.missing"}


@dataclass(frozen=True)
class Silent:
    """A vendor's verifier that hands back nothing and says nothing."""

    section: str
    bound: bytes = b""

    def verify_with(self, **_: object) -> None:
        return None


@pytest.mark.parametrize("where", ["cpu", "device", "second device"])
def test_a_part_that_a_vendors_verifier_says_nothing_of_does_not_disappear(
    where: str, simulator: Simulator, anchors: Anchors
) -> None:
    cpu, gpu = simulator.snp(), simulator.gpu()
    evidence = {
        "cpu": Evidence(cpu=Silent("snp"), devices=gpu.evidence.devices),
        "device": Evidence(cpu=cpu.evidence.cpu, devices=(Silent("gpu"),)),
        "second device": Evidence(devices=(*gpu.evidence.devices, Silent("gpu"))),
    }[where]
    endorsements = gpu.endorsements if where != "device" else cpu.endorsements
    with pytest.raises(Rejected) as refusal:
        verify(evidence, endorsements=endorsements, at=simulator.at, anchors=anchors)
    assert refusal.value.codes == {"evidence.missing"}


@pytest.mark.parametrize("kind", ["snp", "tdx"])
def test_who_gives_no_memory_is_warned(kind: str, simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.snp() if kind == "snp" else simulator.tdx()
    for memory, warned in ((None, True), (Memory(), False)):
        codes = {warning.code for warning in judge(made, anchors, memory=memory).warnings}
        assert ("collateral-memory-absent" in codes) is warned


def test_the_memory_gains_and_loses_nothing(simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.snp()
    [crl] = made.endorsements.crls
    other = "ab" * 32
    kept = Memory({other: made.at}, {"QE/x/1": made.at}, 7, {other: 5}, {other: 3})
    memory = judge(made, anchors, memory=kept).memory
    assert crl.number is not None
    [root] = set(memory.crls) - {other}
    assert memory.crls == {other: made.at, root: crl.this_update}
    assert memory.crl_numbers == {other: 5, root: crl.number}
    assert (memory.documents, memory.minimum_evaluation, memory.bundles) == (
        kept.documents,
        7,
        kept.bundles,
    )


def test_an_instant_of_another_zone_is_told_in_utc(simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.snp()
    there = made.at.astimezone(timezone(timedelta(hours=9)))
    for verified in (judge(made, anchors), judge(made, anchors, at=there)):
        assert verified.at.isoformat() == made.at.isoformat()
