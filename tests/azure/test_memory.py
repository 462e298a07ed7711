"""What was seen before reaches the checks of the hardware beneath and of the attestation key's certificate."""

from __future__ import annotations

from datetime import timedelta

import pytest

from attest.anchors import Anchors
from attest.errors import Rejected
from attest.memory import Memory
from attest.simulator import Simulator
from attest.verified import Verified
from attest.verifier import verify

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(("kind", "lists"), [("snp", 2), ("tdx", 3)])
def test_t_collateral_rollback_lists_and_collateral_older_than_those_seen_are_refused(
    kind: str, lists: int, simulator: Simulator, anchors: Anchors
) -> None:
    machine = simulator.azure(kind=kind)

    def judge(memory: Memory) -> Verified:
        return verify(
            machine.evidence,
            endorsements=machine.endorsements,
            at=machine.at,
            anchors=anchors,
            memory=memory,
        )

    def codes(memory: Memory) -> set[str]:
        with pytest.raises(Rejected) as refusal:
            judge(memory)
        return refusal.value.codes

    seen = judge(Memory()).memory
    judge(seen)
    assert len(seen.crls) == lists, "of the hardware's vendor and of the key's root"
    assert (len(seen.documents) > 0) is (kind == "tdx")
    for issuer, date in seen.crls.items():
        assert codes(Memory(crls={issuer: date + SECOND})) == {"x509.crl.rollback"}
    assert (len(seen.crl_numbers) > 0) is (kind == "snp"), "AMD counts its lists, Intel does not"
    for issuer, number in seen.crl_numbers.items():
        assert codes(Memory(crl_numbers={issuer: number + 1})) == {"x509.crl.rollback"}
    for document, date in seen.documents.items():
        assert codes(Memory(documents={document: date + SECOND})) == {"tdx.collateral.rollback"}
