"""What a person reads when a policy file is wrong."""

from __future__ import annotations

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


def test_a_default_without_its_claim_is_not_judged(h100: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    main(["policy", "explain", "defaults", *map(str, h100.files), "--at", h100.at.isoformat()])
    out = " ".join(capsys.readouterr().out.split())
    assert "– evidence-age ≤ 120s · not judged: nothing carries it" in out
    assert "✔ measurements match · found match" in out
