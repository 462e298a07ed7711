"""`attest policy export --rego`: what is written, what is listed, and with which status."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from attest.cli.main import main
from attest.policy import Policy
from attest.policy.interchange.rego import INPUTS, Input
from attest.policy.interchange.rego_text import MAX_COLUMNS, too_much
from attest.result.ear.rego import policy_in_rego
from tests.conftest import ROOT
from tests.interchange.rego_apart import Engine
from tests.policy.conftest import policy_of
from tests.policy.test_conformance import CASES, policies_of

MRTD = "aa" * 48
TDX = f"policy: 1\nname: t\nplatforms: [tdx]\nrequire: {{tdx: {{mrtd: {MRTD}}}}}\n"
SNP = "policy: 1\nname: s\nplatforms: [snp]\nrequire: {snp: {smt: false}}\n"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tdx.yaml").write_text(TDX)
    (tmp_path / "snp.yaml").write_text(SNP)
    return tmp_path


def export(*arguments: str) -> int:
    return main(["policy", "export", "--rego", *arguments])


def test_a_policy_that_can_be_exported_is_written(files: Path) -> None:
    assert export("tdx.yaml", "-o", "default_cpu.rego") == 0
    text = (files / "default_cpu.rego").read_text()
    assert "\npackage policy\n\nimport rego.v1\n" in text
    assert Policy.read(files / "tdx.yaml").digest in text
    Engine(text)


def test_without_an_output_it_is_printed(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export("snp.yaml", "--input", "claims") == 0
    Engine(capsys.readouterr().out)


def test_what_cannot_be_exported_is_listed_and_nothing_written(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export("snp.yaml", "-o", "s.rego") == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert (
        "snp.policy-unknown-bits (default): not exported, refuses: Trustee's input does not carry" in said.err
    )
    assert not (files / "s.rego").exists()


def test_partial_writes_it_and_without_leaves_out(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export("snp.yaml", "--partial", "-o", "p.rego") == 1
    assert "# NOT EXPORTED, so it refuses: snp.policy-unknown-bits" in (files / "p.rego").read_text()
    reason = "the loader\nsets POLICY"
    assert export("snp.yaml", "--without", f"snp.policy-unknown-bits={reason}", "-o", "w.rego") == 1
    text = (files / "w.rego").read_text()
    assert "# LOOSER THAN THE POLICY, without snp.policy-unknown-bits (default)" in text
    assert "The owner: the loader\\x0asets POLICY\n" in text
    Engine(text)
    assert "left out, looser than the policy" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more", [["--without", "snp.smt=tried"], ["--without", "snp.policy-unknown-bits= "], ["--without", "x"]]
)
def test_nothing_else_is_left_out(files: Path, more: list[str]) -> None:
    try:
        assert export("snp.yaml", *more, "-o", "x.rego") == 2
    except SystemExit as ended:
        assert ended.code == 2
    assert not (files / "x.rego").exists()


def test_no_file_is_written_over(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "there.rego").write_text("mine")
    assert export("tdx.yaml", "-o", "there.rego") == 2
    assert (files / "there.rego").read_text() == "mine"
    assert "exists" in capsys.readouterr().err


def test_json_says_the_same(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export("snp.yaml", "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert said["policy"] is None
    assert [one["rule"] for one in said["unexported"]] == ["snp.policy-unknown-bits"]
    assert said["left_out"] == []


@pytest.mark.parametrize(
    "name", ["snp-baseline", "tdx-production", "h100-snp", "azure-cvm", "strict", "demo"]
)
def test_starters_are_exported(name: str) -> None:
    path = ROOT / "policies" / f"{name}.yaml"
    values = {"ld": "ab" * 48, "host": "cd" * 32, "mrtd": "ab" * 48, "rtmr1": "ab" * 48, "rtmr2": "ab" * 48}
    values |= {"idk": "ab" * 48, "svn": "10", "uki": "cd" * 32}
    declared = re.search(r"(?m)^params:(.*(?:\n .*)*)", path.read_text())
    given = {one: values[one] for one in values if declared and re.search(rf"\b{one}:", declared[1])}
    policy = Policy.read(path, parameters=given)
    for read in INPUTS:
        export = policy_in_rego(policy, read=read)
        assert Engine(export.text).ask("accept", {}) is False
        assert not export.unexported or read == "trustee"


# -- what engines take ------------------------------------------------------------------------------


@pytest.mark.parametrize("read", ["claims", "trustee"])
def test_every_case_is_text_that_trustees_engine_reads(read: Input) -> None:
    """regorus takes no long line, and no comprehension in a head that has a body."""
    for case in CASES.values():
        if case["expect"]["verdict"] == "invalid":
            continue
        text = policy_in_rego(policies_of(case)[0], read=read).text
        assert too_much(text) is None
        heads = re.findall(r"(?m)^[a-z_]+(?:\([^)]*\))? := [^\n]*\| .* if ", text)
        assert heads == []


def test_what_trustees_engine_does_not_read_is_listed() -> None:
    name = "x" * MAX_COLUMNS
    export = policy_in_rego(
        policy_of(
            f"{{tdx: {{mrtd: {MRTD}, fmspc: 00806f050000}}, evidence: {{verified-by: {{is: {name}, override: ours}}}}}}",
            platforms="tdx",
        ),
        read="trustee",
    )
    assert [one.rule for one in export.unexported] == ["tdx.fmspc", "policy"]
    assert "columns" in export.unexported[-1].why


@pytest.mark.parametrize(
    "text", ['a"b', "a\\b", "a`b", "ü", "\U0001f600", "a\u2028b", "$x", "# no", "%d", "\x07"]
)
def test_texts_of_the_policy_are_compared_as_they_are(text: str) -> None:
    """And nothing in them is read as Rego."""
    policy = policy_of(
        f"{{evidence: {{verified-by: {{is: {json.dumps(text, ensure_ascii=False)}, override: ours}}}}, snp: {{smt: true}}}}"
    )
    asked = Engine(policy_in_rego(policy, read="claims").text)
    document = {
        "authentic": True,
        "claims": {"evidence": {"verified-by": text}, "snp": {}},
        "at": "2026-01-01T00:00:00Z",
        "expires": "2999-01-01T00:00:00Z",
    }
    assert not any(one.startswith("evidence.verified-by") for one in asked.ask("deny", document))
    document["claims"] = {"evidence": {"verified-by": text + "x"}, "snp": {}}
    assert any(one.startswith("evidence.verified-by") for one in asked.ask("deny", document))
