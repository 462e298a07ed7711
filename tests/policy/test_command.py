"""`attest policy check` and `attest policy explain`, and the policies that come with the project."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from attest.cli.main import main
from attest.policy import Policy
from tests.conftest import ROOT, Sample, Vectors

POLICIES = ROOT / "policies"
MEASUREMENT = "ab" * 48


def test_check_names_a_good_policy_and_its_digest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "check", str(POLICIES / "demo.yaml")]) == 0
    out = capsys.readouterr().out
    assert Policy.read(POLICIES / "demo.yaml").digest in out
    assert "releases in spite of simulated" in out


def test_where_allow_warnings_has_its_effect_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], genoa: Sample
) -> None:
    """On releases, not on the verdict (policy, release): in the check, the explanation and the answer."""
    main(["policy", "check", str(POLICIES / "demo.yaml")])
    assert "that binds the broker's releases alone" in capsys.readouterr().out
    policy = tmp_path / "p.yaml"
    policy.write_text(
        "policy: 1\nname: t\nplatforms: [snp]\nallow-warnings: {no-freshness: tests}\nrequire: {snp: {product: genoa}}\n"
    )
    files = [*map(str, genoa.files), "--at", genoa.at.isoformat()]
    assert main(["verify", *files, "--policy", str(policy)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.startswith("✔ CONFORMS, WITH WARNINGS")
    assert (
        "Release of a secret by kbs: withheld, because of collateral-memory-absent, no-workload-identity; the policy"
        " allows no-freshness. allow-warnings binds releases alone, not this verdict." in shown
    )
    assert main(["policy", "explain", str(policy), *files]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Allowed for a release by allow-warnings." in shown
    assert "allow-warnings binds releases alone, not this verdict." in shown
    assert main(["verify", *files, "--policy", str(policy), "--json"]) == 0
    release = json.loads(capsys.readouterr().out)["release"]
    assert release["allowed"] == ["no-freshness"]
    assert {one["found"] for one in release["withheld"]} == {
        "collateral-memory-absent",
        "no-workload-identity",
    }
    assert main(["verify", *files, "--json"]) == 0
    assert "release" not in json.loads(capsys.readouterr().out), "the defaults release nothing"


def test_check_prints_every_error_at_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "p.yaml"
    bad.write_text("policy: 1\nname: t\nplatforms: [snp]\nrequire:\n  snp:\n    firmwar: 1\n    debug: yes\n")
    assert main(["policy", "check", str(bad), str(POLICIES / "snp-baseline.yaml")]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f'{bad}:6:5: unknown claim "firmwar" in snp. Did you mean "firmware"?'
    assert lines[1] == f"{bad}:7:12: debug wants true or false"
    assert "snp-baseline, 4 rules for snp" in lines[2]


def test_check_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "check", "--json", str(tmp_path / "none.yaml")]) == 2
    (result,) = json.loads(capsys.readouterr().out)["policies"]
    assert result["verdict"] == "invalid"
    assert [problem["code"] for problem in result["problems"]] == ["policy.invalid"]


def test_explain_shows_each_rule_and_the_denial(vectors: Vectors, capsys: pytest.CaptureFixture[str]) -> None:
    case = vectors.cases["snp-milan-v3-vlek-aws-trustee"]
    files = [str(vectors.path(case["files"][role])) for role in ("report", "vlek")]
    assert main(["policy", "explain", "defaults", *files, "--at", case["verify_at"]]) == 1
    out = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "✔ debug false · found false" in out
    assert out.startswith("Report came from VMPL 1, wanted 0 (snp.vmpl, default).")
    assert "✘ vmpl not met · default expected 0 found 1 because A layer above can forge it" in out
    assert " REFUSED 1 rule is not met" in out


def test_explain_json_is_the_answer_of_verify(vectors: Vectors, capsys: pytest.CaptureFixture[str]) -> None:
    case = vectors.cases["snp-milan-v3-vlek-aws-trustee"]
    files = [str(vectors.path(case["files"][role])) for role in ("report", "vlek")]
    assert main(["policy", "explain", "defaults", *files, "--at", case["verify_at"], "--json"]) == 1
    explained = json.loads(capsys.readouterr().out)
    assert main(["verify", *files, "--at", case["verify_at"], "--json"]) == 1
    explanation = explained.pop("explanation")
    assert json.loads(capsys.readouterr().out) == explained
    assert explanation["headline"] == explained["problems"][0]["message"]
    assert explained["problems"][0]["code"] == "policy.snp.vmpl"


def test_explain_of_an_invalid_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "p.yaml"
    bad.write_text("policy: 2\n")
    assert main(["policy", "explain", str(bad), str(bad), "--json"]) == 2
    answer = json.loads(capsys.readouterr().out)
    assert (answer["verdict"], answer["authentic"], answer["conforms"]) == ("invalid", False, False)


def test_the_defaults_load_neither_yaml_nor_a_schema_library() -> None:
    code = (
        "import sys, attest.policy; attest.policy.Policy.defaults().digest;"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'ruamel', 'pydantic', 'lxml', 'fastapi'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_explain_says_what_to_do_next(genoa: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    report, at = next(str(file) for file in genoa.files if file.name == "report.bin"), genoa.at.isoformat()
    assert main(["policy", "explain", "defaults", report, "--at", at]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "snp.leaf.missing: No VCEK or VLEK certificate was given: expected SEV-VCEK or SEV-VLEK → give the VCEK"
        in said
    )
    assert main(["policy", "explain", "defaults", *map(str, genoa.files), "--at", at]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "the evidence may be old or another's. → pass --nonce and --key" in shown


def test_what_a_release_needs_is_said_beside_a_rule_that_passed(
    genoa: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The default passes an absent list, so `snp.crl` alone would name what stands there with a tick."""
    policy = tmp_path / "p.yaml"
    policy.write_text("policy: 1\nname: t\nplatforms: [snp]\nrequire: {snp: {product: genoa}}\n")
    files = [str(file) for file in genoa.files if file.suffix != ".crl"]
    asked = [*files, "--at", genoa.at.isoformat()]
    assert main(["verify", *asked, "--policy", str(policy)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "snp.crl (found absent, a release needs fresh)" in said
    assert main(["policy", "explain", str(policy), *asked, "--defaults"]) == 0
    assert "snp.crl (found absent, a release needs fresh)" in " ".join(capsys.readouterr().out.split())
