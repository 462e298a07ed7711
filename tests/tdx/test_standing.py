"""Where the parts of a quote stand, as a verification records and tells it."""

from __future__ import annotations

from typing import Any

import pytest

from attest.errors import Rejected
from attest.simulator import Simulator, collateral
from attest.verified import Verified
from tests.tdx.conftest import Judge

NOW = collateral.TEE_TCB_SVN


def outcome(verified: Verified, check: str) -> str | None:
    return next((record.outcome for record in verified.checks if record.name == check), None)


@pytest.mark.parametrize(
    ("keywords", "status"),
    [
        ({}, "UpToDate"),
        ({"module_svn": 5, "tee_tcb_svn2": NOW}, "TDRelaunchAdvised"),
        (
            {"module_svn": 5, "tee_tcb_svn2": NOW, "tcb_status": "ConfigurationNeeded"},
            "TDRelaunchAdvisedConfigurationNeeded",
        ),
        # The host has not been updated either, so that a relaunch would change nothing.
        ({"module_svn": 5, "tee_tcb_svn2": bytes((5, 1)) + NOW[2:]}, "OutOfDate"),
        # Running now is a module without a version of its own: the newest level's component 0 judges it.
        ({"module_svn": 5, "tee_tcb_svn2": bytes((1, 0)) + NOW[2:]}, "OutOfDate"),
        ({"module_svn": 5, "tee_tcb_svn2": bytes((255, 0)) + NOW[2:]}, "TDRelaunchAdvised"),
        # Of a module nobody asks about, as the TD is up to date, nothing need be known.
        ({"tee_tcb_svn2": bytes((7, 9)) + NOW[2:]}, "UpToDate"),
    ],
)
def test_a_relaunch_is_judged_and_recorded(
    judge: Judge, simulator: Simulator, keywords: dict[str, Any], status: str
) -> None:
    verified = judge(simulator.plan_tdx(version=5, **keywords))
    assert verified.claims["tdx"]["tcb-status"] == status
    assert outcome(verified, "tdx.tcb.relaunch") == "passed"


def test_a_module_without_a_version_is_said_to_be_judged_by_the_levels(
    judge: Judge, simulator: Simulator
) -> None:
    assert outcome(judge(simulator.plan_tdx()), "tdx.module.svn") == "passed"
    plan = simulator.plan_tdx()
    plan.set_svn({0: 9, 1: 0})
    assert outcome(judge(plan), "tdx.module.svn") == "not-run"


def test_an_old_enclave_is_told_by_its_version(judge: Judge, simulator: Simulator) -> None:
    told = judge(simulator.plan_tdx(qe_isvsvn=collateral.QE_SVN - 1)).claims["raw"]["tdx"]["tcb"]["qe"]
    assert told["behind"] == (f"QE {collateral.QE_SVN - 1}, wanted {collateral.QE_SVN}",)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mrsigner", bytes(32)),
        ("isvprodid", 1),
        ("miscselect", bytes((0, 0, 0, 1))),
        ("attributes", bytes.fromhex("1700000000000000e700000000000000")),
    ],
)
def test_what_is_another_of_the_enclave_is_named_alone(
    judge: Judge, simulator: Simulator, field: str, value: object
) -> None:
    plan = simulator.plan_tdx()
    setattr(plan.qe, field, value)
    with pytest.raises(Rejected) as refusal:
        judge(plan)
    names = {"mrsigner": "mr_signer", "isvprodid": "isv_prod_id", "miscselect": "misc_select"}
    assert [one.where for one in refusal.value.problems] == [f"qe_report.{names.get(field, field)}"]
    assert refusal.value.codes == {"tdx.qe-report.identity"}
