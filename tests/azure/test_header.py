"""The header of an HCL report, and what kind of report it holds: each field refused by its name."""

from __future__ import annotations

from typing import Any

import pytest

from attest.anchors import Anchors
from attest.errors import Problem, Rejected
from attest.simulator import Simulator
from attest.simulator.azure import AzurePlan
from attest.verifier import verify


def refused(plan: AzurePlan, anchors: Anchors, code: str) -> Problem:
    made = plan.build()
    with pytest.raises(Rejected) as refusal:
        verify(made.evidence, endorsements=made.endorsements, at=made.at, anchors=anchors)
    (problem,) = [one for one in refusal.value.problems if one.code == code]
    return problem


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("version", 0, "1 or 2"),
        ("version", 3, "1 or 2"),
        ("status", 1, "0"),
        ("data_version", 0, "1"),
        ("data_version", 2, "1"),
    ],
)
def test_a_field_of_another_value_is_named(
    field: str, value: int, expected: str, simulator: Simulator, anchors: Anchors
) -> None:
    plan = simulator.plan_azure()
    setattr(plan.hcl, field, value)
    problem = refused(plan, anchors, "azure.hcl.header")
    assert (problem.where, problem.expected, problem.found) == (f"hcl.{field}", expected, str(value))


@pytest.mark.parametrize("version", [1, 2])
def test_both_versions_are_taken(version: int, simulator: Simulator, anchors: Anchors) -> None:
    plan = simulator.plan_azure()
    plan.hcl.version = version
    made = plan.build()
    assert verify(made.evidence, endorsements=made.endorsements, at=made.at, anchors=anchors).claims["snp"]


@pytest.mark.parametrize(
    ("kind", "change", "found"),
    [
        ("snp", {"report_type": 4}, "type tdx, report snp"),
        ("tdx", {"report_type": 2}, "type snp, report tdx"),
        ("snp", {"edit": lambda report: report.__setitem__(32, 9)}, "type snp, report neither"),
    ],
)
def test_a_report_of_another_kind_than_it_says_is_named(
    kind: str, change: dict[str, Any], found: str, simulator: Simulator, anchors: Anchors
) -> None:
    plan = simulator.plan_azure(kind=kind)
    for field, value in change.items():
        setattr(plan.hcl, field, value)
    problem = refused(plan, anchors, "azure.hcl.kind")
    assert (problem.where, problem.expected, problem.found) == ("hcl.report_type", kind, found)
