"""An owner's override makes a stale list conform; it does not make a release of it."""

from __future__ import annotations

from typing import Any

import pytest

from attest.errors import Denied
from tests.policy.conftest import SNP, SWITCH, TDX, Judge, policy_of, tree

IDENTITY = "".join(f', {name}: {{is: "{TDX[name]}", covers: image}}' for name in ("mrtd", "rtmr1", "rtmr2"))
PINNED = f'{{snp: {{measurement: {{is: "{SNP["measurement"]}", covers: image}}}}, switch: {{%s}}}}'
ALLOW = "allow-warnings: {revocation-unchecked: offline}\n"


@pytest.mark.parametrize("state", ["fresh", "stale"])
def test_tdx_with_stale_lists(judge: Judge, state: str) -> None:
    rules = f'crl: {{one-of: [fresh, stale], override: "lists come late"}}, tcb-evaluation: {{at-least: 1}}{IDENTITY}'
    appraisal = judge(
        tree(tdx={**TDX, "crl": state}), policy_of(f"{{tdx: {{{rules}}}}}", platforms="tdx", more=ALLOW)
    )
    assert appraisal.conforms
    if state == "fresh":
        appraisal.require_release()
        return
    with pytest.raises(Denied) as refusal:
        appraisal.require_release()
    assert [problem.where for problem in refusal.value.problems] == ["tdx.crl"]


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ({}, "count: 1"),
        ({"cert": "hold"}, 'cert: {one-of: [good, hold], override: "x"}'),
        ({"bios-rim": "absent"}, "count: 1"),
    ],
)
def test_switches_like_gpus(judge: Judge, change: dict[str, Any], rules: str) -> None:
    appraisal = judge(tree(snp=SNP, switch=[{**SWITCH, **change}]), policy_of(PINNED % rules, more=ALLOW))
    reasons = [problem.where for problem in appraisal.release_problems()]
    assert reasons == [f"switch[0].{name}" for name in change]
