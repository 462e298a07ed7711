"""What a person reads when a policy file is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from attest.cli.main import main
from attest.errors import Malformed
from attest.policy import Policy
from tests.conftest import Sample

HEAD = "policy: 1\nname: t\nplatforms: [snp]\nrequire:\n  snp:\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("    tcb: {at-least: {genua: {snp: 23}}}", '6:22: unknown product "genua". Did you mean "genoa"?'),
        ("    product: genua", '6:14: product wants one of milan, genoa, turin. Did you mean "genoa"?'),
        ("    vmpl: {atleast: 1}", '6:12: unknown operator of vmpl "atleast". Did you mean "at-least"?'),
        ("    measurement: abcd", "6:18: measurement wants 48 bytes in hex; 2 found"),
        ("    firmware:\n    debug: false", "6:5: empty value"),
        ("\tdebug: false", "6:1: not YAML: a tab cannot indent; use spaces"),
        (
            "    debug: false\n   vmpl: 0",
            "7:4: not YAML: the indentation does not fit the lines above",
        ),
    ],
)
def test_one_error_is_one_line_at_its_place(text: str, message: str) -> None:
    with pytest.raises(Malformed) as refused:
        Policy.from_text(HEAD + text + "\n", "p")
    assert [problem.message for problem in refused.value.problems] == [f"p:{message}"]


MANY = """policy: 1
name: Many
platforms: [snp, azure-snp, tdx]
require:
  snp:
    debug: &x true
    firmware:
    vmpl: {one-of: [0, 1]}
    smt: maybe
  gpu: {count: 1, count: 2}
"""


def test_errors_of_text_of_rules_and_of_the_whole_come_together() -> None:
    with pytest.raises(Malformed) as refused:
        Policy.from_text(MANY, "p")
    assert [problem.message for problem in refused.value.problems] == [
        "p:2:7: a name is 1 to 64 of a-z, 0-9 and -",
        'p:6:5: snp.debug passes more than its default does: say override: "reason"',
        "p:6:12: anchors are not allowed (&x)",
        "p:7:5: empty value",
        'p:8:5: snp.vmpl passes more than its default does: say override: "reason"',
        "p:9:10: smt wants true or false",
        'p:10:19: key "count" stands twice, first in line 10',
    ]
    text = MANY.replace("&x ", "").replace("    firmware:\n", "").replace(", count: 2", "")
    with pytest.raises(Malformed) as refused:
        Policy.from_text(text, "p")
    assert [(problem.code, problem.where) for problem in refused.value.problems] == [
        ("policy.platform-without-rules", "p:1:1"),
        ("policy.platform-without-rules", "p:1:1"),
        ("policy.invalid", "p:2:7"),
        ("policy.override-missing", "p:6:5"),
        ("policy.override-missing", "p:7:5"),
        ("policy.invalid", "p:8:10"),
    ], "tdx and azure have no section; whether the paravisor is pinned cannot be told beside a wrong rule"


@pytest.mark.parametrize(
    ("require", "message"),
    [
        ("{snpp: {debug: false}}", '4:11: unknown section "snpp". Did you mean "snp"?'),
        ("{snp: {firmwar: 1}}", '4:17: unknown claim "firmwar" in snp. Did you mean "firmware"?'),
        (
            "{snp: {debug: {is: true, overide: x}}}",
            '4:35: unknown operator of debug "overide". Did you mean "override"?',
        ),
        ("{snp: }", "4:15: empty value"),
        ("{}", "4:10: empty map"),
    ],
)
def test_what_only_follows_from_an_error_is_not_told_beside_it(require: str, message: str) -> None:
    with pytest.raises(Malformed) as refused:
        Policy.from_text(f"policy: 1\nname: t\nplatforms: [snp]\nrequire: {require}\n", "p")
    assert [problem.message for problem in refused.value.problems] == [f"p:{message}"]


def test_where_the_text_ends_to_be_yaml_the_check_says_that_it_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(HEAD + "\tdebug: false\n")
    assert main(["policy", "check", str(file)]) == 2
    assert "    nothing was read beyond this place: check again once it is mended" in capsys.readouterr().out


def test_a_default_without_its_claim_is_not_judged(h100: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    main(["policy", "explain", "defaults", *map(str, h100.files), "--at", h100.at.isoformat()])
    out = " ".join(capsys.readouterr().out.split())
    assert "– evidence-age ≤ 120s · not judged: nothing carries it" in out
    assert "✔ measurements match · found match" in out
