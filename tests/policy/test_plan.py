"""What a policy keeps of earlier machines: it makes later ones cheaper, and never other than judged."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from attest.policy import appraise
from tests.policy.conftest import GPU, NOW, SNP, Judge, policy_of, rule, tree, verified_of


@pytest.mark.parametrize(
    ("require", "good", "bad"),
    [
        ("{snp: {firmware: {at-least: 1.55.29}}}", {}, {"firmware": "1.55.28"}),
        ("{snp: {tcb: {at-least: {milan: {snp: 24}}}}}", {}, {"product": "genoa"}),
        ("{snp: {any: [{smt: true}, {ecc: false}]}}", {}, {"smt": "false"}),
        ("{snp: {none: [{vmpl: {at-least: 1}}, {smt: false}]}}", {}, {"smt": "false"}),
        ("{snp: {csp: {exists: false}}}", {}, {"csp": "aws"}),
    ],
)
def test_machines_one_after_another_are_judged_each_for_itself(
    judge: Judge, require: str, good: dict[str, Any], bad: dict[str, Any]
) -> None:
    policy = policy_of(require)
    for changes, conforms in ((good, True), (bad, False), (good, True), (bad, False)):
        appraisal = judge(tree(snp={**SNP, **changes}), policy)
        assert appraisal.conforms == conforms
        assert all(record["result"] for record in appraisal.rules)


def test_a_value_of_a_time_is_judged_at_each_time(judge: Judge) -> None:
    more = f'references: {{web: {{type: snp.measurement, values: [{{value: "{SNP["measurement"]}", until: 2026-11-23}}]}}}}\n'
    policy = policy_of("{snp: {measurement: {in: web}}}", more=more)
    claims = tree(snp=SNP, time=None)
    assert judge(claims, policy).conforms
    assert not judge(claims, policy, at=NOW + timedelta(days=1)).conforms
    assert judge(claims, policy).conforms


def test_an_observed_value_is_told_each_time_also_in_a_group(judge: Judge) -> None:
    more = f'references: {{web: {{type: snp.measurement, values: [{{value: "{SNP["measurement"]}", state: observed}}]}}}}\n'
    for require, name in (
        ("measurement: {in: web}", "snp.measurement"),
        ("all: [{measurement: {in: web}}]", "snp.all"),
    ):
        policy = policy_of(f"{{snp: {{{require}}}}}", more=more)
        for _ in range(2):
            assert rule(judge(tree(snp=SNP), policy), name)["outcome"] == "observed"


def test_an_age_grows_between_two_appraisals(judge: Judge) -> None:
    policy = policy_of("{snp: {smt: true}, time: {evidence-age: {at-most: 60s}}}")
    verified = verified_of(tree(snp=SNP))
    assert appraise(verified, policy, at=NOW + timedelta(seconds=58)).conforms
    assert not appraise(verified, policy, at=NOW + timedelta(seconds=59)).conforms


def test_what_is_kept_is_bounded(judge: Judge) -> None:
    policy = policy_of("{snp: {guest-svn: {at-least: 1}}}")
    for number in range(200):
        assert judge(tree(snp={**SNP, "guest-svn": str(number)}), policy).conforms == (number > 0)
    for step in (step for steps in policy.plans.values() for step in steps):
        kept = [cell.cell_contents for cell in step.quick.__closure__ or ()]
        assert all(len(one) <= 64 for one in kept if isinstance(one, dict))


def test_how_many_others_pass_counts_those_that_were_known(judge: Judge) -> None:
    gpus = [{**GPU, "id": f"{index:02x}" * 20, "count": "8"} for index in range(8)]
    policy = policy_of("{snp: {smt: true}, gpu: {vbios: {at-least: 96.00.9F}}}")
    assert judge(tree(snp=SNP, gpu=gpus), policy).conforms
    gpus[3]["vbios"] = "96.00.74"
    (problem,) = judge(tree(snp=SNP, gpu=gpus), policy).problems
    assert "the other 7 pass" in problem.message
