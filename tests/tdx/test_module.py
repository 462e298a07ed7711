"""Who signed the TDX module, and its attributes: as the TCB info says, and zero in any case."""

from __future__ import annotations

import pytest

from attest.errors import Rejected
from attest.simulator import Simulator
from tests.tdx.conftest import Judge


@pytest.mark.parametrize(
    ("field", "member", "value", "code"),
    [
        ("mrsignerseam", "mrsigner", bytes([1] * 48), "tdx.module.signer"),
        ("seamattributes", "attributes", bytes([1] * 8), "tdx.module.attributes"),
    ],
)
@pytest.mark.parametrize("where", ["quote", "collateral", "both"])
def test_a_signer_or_attributes_other_than_zero_refuse(
    judge: Judge, simulator: Simulator, field: str, member: str, value: bytes, code: str, where: str
) -> None:
    plan = simulator.plan_tdx()
    if where != "collateral":
        plan.set(field, value)
    if where != "quote":
        for module in plan.tcb_info["tdxModuleIdentities"]:
            module[member] = value.hex()
    with pytest.raises(Rejected) as refusal:
        judge(plan)
    assert refusal.value.codes == {code}


def test_an_unversioned_module_is_compared_with_the_tdx_module_member(
    judge: Judge, simulator: Simulator
) -> None:
    plan = simulator.plan_tdx()
    plan.set_svn({0: 9, 1: 0})
    for module in plan.tcb_info["tdxModuleIdentities"]:
        module["mrsigner"] = "01" * 48
    assert "module" not in judge(plan).claims["raw"]["tdx"]["tcb"]
    plan.tcb_info["tdxModule"]["mrsigner"] = "01" * 48
    with pytest.raises(Rejected) as refusal:
        judge(plan)
    assert refusal.value.codes == {"tdx.module.signer"}
