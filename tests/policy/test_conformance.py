"""The cases that every implementation of `policy: 1` reads from the same files: `tests/conformance/policy/README.md`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from attest.claims import read_instant
from attest.errors import Malformed
from attest.policy import Policy, appraise
from attest.policy.floors import Floors
from tests.conformance.generator.__main__ import FAMILIES, text_of
from tests.policy.conftest import verified_of

FOLDER = Path(__file__).resolve().parent.parent / "conformance" / "policy"
Case = dict[str, Any]


def _all() -> dict[str, Case]:
    found: dict[str, Case] = {}
    for path in sorted(FOLDER.glob("*.json")):
        document = json.loads(path.read_text())
        for case in document if isinstance(document, list) else [document]:
            found[f"{path.stem}: {case['name']}" if isinstance(document, list) else path.stem] = case
    return found


CASES = _all()


def policies_of(case: Case) -> list[Policy]:
    """The policy of each form in which the case gives it. Raises Malformed."""
    more: dict[str, Any] = {
        "parameters": case.get("parameters"),
        "files": {name: text.encode() for name, text in case.get("files", {}).items()},
        "floors": Floors.parse(json.dumps(case["floors"]).encode()) if "floors" in case else Floors.none(),
    }
    found = []
    if case.get("policy") is not None:
        found.append(Policy.from_canonical(case["policy"], **more))
    if "yaml" in case:
        found.append(Policy.from_text(case["yaml"], "p.yaml", **more))
    return found


def test_there_are_enough_and_all_of_the_specifications_numbers() -> None:
    assert len(CASES) >= 150
    numbers = {case.get("number") for case in CASES.values()}
    numbers |= {number for case in CASES.values() for number in case.get("numbers", ())}
    assert numbers - {None} == set(range(1, 30))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_files_are_what_the_generator_writes(family: str) -> None:
    assert (FOLDER / f"{family}.json").read_text() == text_of(list(FAMILIES[family]()))


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    case = CASES[name]
    expect = case["expect"]
    if expect["verdict"] == "invalid":
        with pytest.raises(Malformed) as refusal:
            policies_of(case)
        assert refusal.value.codes == set(expect["codes"]), refusal.value
        if "line" in expect:
            assert refusal.value.problems[0].message.split(":")[1] == str(expect["line"])
        return
    for policy in policies_of(case):
        assert policy.digest == expect.get("digest", policy.digest)
        assert dict(policy.body.loosened) == expect.get("loosened", dict(policy.body.loosened))
        assert dict(policy.body.parameters) == expect.get("parameters", dict(policy.body.parameters))
        again = Policy.from_canonical(json.loads(policy.canonical()), floors=policy.floors)
        assert (again.canonical(), again.digest) == (policy.canonical(), policy.digest)
        if expect["verdict"] == "loads":
            continue
        # Whatever form the policy came in, its effective form says the same of every machine.
        for judge in (policy, again):
            _judged(case, judge)


def _judged(case: Case, policy: Policy) -> None:
    expect, now = case["expect"], read_instant(case["now"])
    verified = verified_of(case["claims"], at=now)
    appraisal = appraise(verified, policy, at=now)
    # What is kept of the first appraisal changes nothing in the second.
    again = appraise(verified, policy, at=now)
    assert (again.verdict, again.rules, again.problems) == (
        appraisal.verdict,
        appraisal.rules,
        appraisal.problems,
    )
    assert [problem.where for problem in appraisal.problems] == expect["denied"]
    assert appraisal.verdict == expect["verdict"], [one.code for one in appraisal.warnings]
    if "warnings" in expect:
        assert sorted(warning.code for warning in appraisal.warnings) == sorted(expect["warnings"])
    if "release" in expect:
        assert (appraisal.conforms and not appraisal.release_problems()) == expect["release"]
    for wanted in expect["rules"]:
        found = [{key: record[key] for key in wanted} for record in appraisal.rules]
        assert wanted in found, [record for record in appraisal.rules if record["rule"] == wanted["rule"]]
