"""The JSON contract of `attest verify`, and what it says of three real machines."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from attest.check_table import CHECKS
from attest.checks import plain
from attest.problems import PROBLEMS
from tests.conftest import Sample

MEMBERS = [
    "verdict", "authentic", "conforms", "at", "expires", "simulated", "policy", "claims", "problems", "warnings", "rules",
    "checks",
]  # fmt: skip


def ask(sample: Sample, *more: str) -> tuple[int, dict[str, Any]]:
    run = subprocess.run(
        [
            sys.executable, "-m", "attest.cli.main", "verify", *map(str, sample.files),
            "--at", sample.at.isoformat(), "--json", *more,
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )  # fmt: skip
    assert run.stderr == ""
    return run.returncode, json.loads(run.stdout)


def check_shape(answer: dict[str, Any]) -> None:
    assert list(answer) == MEMBERS
    assert set(answer["policy"]) == {"name", "digest", "file", "floors"}
    for entry in (*answer["problems"], *answer["warnings"]):
        assert set(entry) == {"code", "message", "expected", "found", "where", "source", "remedy"}
    for record in answer["checks"]:
        assert plain(record["name"]) in CHECKS
        assert record["outcome"] in ("passed", "failed", "not-run")
        assert record["source"]
        assert record["outcome"] != "not-run" or record["why"], "an unperformed check is never silent"
    assert_text(answer["claims"])


def assert_text(tree: Any) -> None:
    """The claim tree is maps and lists of strings, all the way down."""
    if isinstance(tree, dict):
        assert all(isinstance(key, str) for key in tree)
        for value in tree.values():
            assert_text(value)
    elif isinstance(tree, list):
        for value in tree:
            assert_text(value)
    else:
        assert isinstance(tree, str), tree


@pytest.mark.parametrize("name", ["genoa", "td", "h100"])
def test_a_real_machine_conforms_to_the_defaults(name: str, request: pytest.FixtureRequest) -> None:
    status, answer = ask(request.getfixturevalue(name))
    check_shape(answer)
    assert status == 0
    assert answer["verdict"] == "conforms-with-warnings"
    assert (answer["authentic"], answer["conforms"], answer["simulated"]) == (True, True, False)
    assert answer["policy"]["name"] == "defaults"
    assert "no-freshness" in {warning["code"] for warning in answer["warnings"]}
    assert not [record for record in answer["checks"] if record["outcome"] == "failed"]


@pytest.mark.parametrize("name", ["genoa", "td"])
def test_other_report_data_is_refused(name: str, request: pytest.FixtureRequest) -> None:
    status, answer = ask(request.getfixturevalue(name), "--report-data", "00" * 64)
    check_shape(answer)
    assert status == 1
    assert [problem["code"] for problem in answer["problems"]] == ["binding.report-data"]
    assert answer["authentic"] is False
    assert answer["claims"] == {}


def test_the_right_report_data_is_accepted_and_said(genoa: Sample) -> None:
    _, free = ask(genoa)
    carried = free["claims"]["raw"]["snp"]["report_data"]
    status, answer = ask(genoa, "--report-data", carried)
    assert status == 0
    assert "no-freshness" not in {warning["code"] for warning in answer["warnings"]}
    assert {"name": "binding.report-data", "outcome": "passed"}.items() <= next(
        record for record in answer["checks"] if record["name"] == "binding.report-data"
    ).items()


def test_every_problem_has_a_source_and_a_remedy() -> None:
    for code, meaning in PROBLEMS.items():
        assert all(meaning), code
        assert code == code.lower()
