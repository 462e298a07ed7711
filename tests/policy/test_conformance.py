"""The cases that every implementation of `policy: 1` reads from the same files.

A case: policy as canonical JSON, claim tree, now; expect: verdict, the rules denied (all of them), and
records that must be among the results. An invalid policy has codes instead.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from attest.claims import read_instant
from attest.errors import Malformed
from attest.policy import Policy, appraise
from tests.policy.conftest import verified_of

FOLDER = Path(__file__).resolve().parent.parent / "conformance" / "policy"
CASES = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("[0-9]*.json"))}
LATER = {
    24: "accepting advisories",
    25: "accepting advisories",
    27: "extends",
    29: "floors: fixed",
}
"""Numbers of the specification's cases that wait, each for what."""


def test_every_numbered_case_is_covered_or_named_as_waiting() -> None:
    assert {case["number"] for case in CASES.values()} | LATER.keys() == set(range(1, 30))
    assert not {case["number"] for case in CASES.values()} & LATER.keys()


@pytest.mark.parametrize("stem", CASES)
def test_case(stem: str) -> None:
    case: dict[str, Any] = CASES[stem]
    expect = case["expect"]
    now = read_instant(case["now"])
    if expect["verdict"] == "invalid":
        with pytest.raises(Malformed) as refusal:
            Policy.from_canonical(case["policy"])
        assert refusal.value.codes == set(expect["codes"])
        return
    policy = Policy.from_canonical(case["policy"])
    appraisal = appraise(verified_of(case["claims"], at=now), policy, at=now)
    assert [problem.where for problem in appraisal.problems] == expect["denied"]
    assert appraisal.verdict == expect["verdict"]
    records = {record["rule"]: record for record in appraisal.rules}
    for wanted in expect["rules"]:
        assert {key: records[wanted["rule"]][key] for key in wanted} == wanted


@pytest.mark.parametrize(
    "case", json.loads((FOLDER / "digests.json").read_text()), ids=lambda case: case["digest"][-8:]
)
def test_digest(case: dict[str, Any]) -> None:
    assert Policy.from_canonical(case["policy"]).digest == case["digest"]


@pytest.mark.parametrize("stem", [stem for stem, case in CASES.items() if case["claims"]])
def test_canonical_form_reads_back_as_the_same_policy(stem: str) -> None:
    policy = Policy.from_canonical(CASES[stem]["policy"])
    again = Policy.from_canonical(json.loads(policy.canonical()))
    assert again.canonical() == policy.canonical()
    assert again.digest == policy.digest
