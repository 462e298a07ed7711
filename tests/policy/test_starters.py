"""The policies that come along: each has a suite, at full coverage, and says what it does not protect from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from attest.cli.main import main
from attest.simulator import Simulator
from tests.conftest import ROOT

POLICIES = sorted(file for file in ROOT.glob("policies/*.yaml") if not file.name.endswith(".test.yaml"))


@pytest.fixture(scope="module")
def state(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulator's keys, so that no run of a suite has to make them."""
    file = tmp_path_factory.mktemp("state") / "simulator.json"
    simulator.save(file)
    return file


@pytest.mark.parametrize("policy", POLICIES, ids=lambda file: file.stem)
def test_each_policy_has_a_suite_that_passes_and_tries_every_rule(
    policy: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = policy.with_suffix(".test.yaml")
    status = main(["policy", "test", str(suite), "--state", str(state), "--require-coverage", "--json"])
    (result,) = json.loads(capsys.readouterr().out)["suites"]
    assert result.get("messages", []) == []
    assert [test["faults"] for test in result["tests"] if not test["passed"]] == []
    assert [rule for rule in result["coverage"] if not (rule["passed"] and rule["failed"])] == []
    assert status == 0


@pytest.mark.parametrize("policy", POLICIES, ids=lambda file: file.stem)
def test_each_policy_is_in_the_readme_with_what_it_does_not_protect_from(policy: Path) -> None:
    rows = [line.split("|") for line in (ROOT / "policies" / "README.md").read_text().splitlines()]
    (row,) = [row for row in rows if len(row) == 5 and row[1].strip() == f"`{policy.name}`"]
    assert len(row[3].strip()) > 20


def test_the_policies_that_the_readme_promises_are_there() -> None:
    assert {policy.stem for policy in POLICIES} == {
        "snp-baseline", "tdx-baseline", "snp-genoa", "tdx-production", "h100-snp", "h100-tdx", "azure-cvm", "strict", "demo",
    }  # fmt: skip


PRODUCTION = {"snp-genoa", "tdx-production", "h100-snp", "h100-tdx", "azure-cvm", "strict"}


@pytest.mark.parametrize("name", sorted(PRODUCTION))
def test_a_production_policy_has_no_lint(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "policies" / f"{name}.yaml").read_text()
    values = {"ld": "ab" * 48, "host": "cd" * 32, "mrtd": "ab" * 48, "rtmr1": "ab" * 48, "rtmr2": "ab" * 48}
    values |= {"idk": "ab" * 48, "svn": "10", "uki": "cd" * 32}
    params = [
        word
        for key, value in values.items()
        if f"  {key}: {{type:" in text
        for word in ("--param", f"{key}={value}")
    ]
    line = ["policy", "check", "--strict", "--at", "2026-11-23T12:00:00Z", *params]
    assert main([*line, str(ROOT / "policies" / f"{name}.yaml")]) == 0, capsys.readouterr().out
