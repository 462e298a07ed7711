"""A second policy beside the one that decides: reported, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from attest.cli.main import main
from tests.conftest import Sample
from tests.fleet.conftest import fleet as fleet

HEAD = "policy: 1\nname: {name}\nplatforms: [snp]\nrequire: "


@pytest.fixture
def policies(tmp_path: Path) -> dict[str, str]:
    texts = {
        "wide": "{snp: {product: genoa}}",
        "narrow": "{snp: {product: genoa, tcb: {at-least: {genoa: {snp: 200}}}}}",
    }
    for name, rules in texts.items():
        (tmp_path / f"{name}.yaml").write_text(HEAD.format(name=name) + rules + "\n")
    return {name: str(tmp_path / f"{name}.yaml") for name in texts}


def verify(genoa: Sample, *more: str) -> int:
    return main(["verify", *map(str, genoa.files), "--at", genoa.at.isoformat(), *more])


def test_the_shadow_is_told_and_decides_nothing(
    genoa: Sample, policies: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(genoa, "--policy", policies["wide"], "--shadow", policies["narrow"], "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["verdict"], answer["policy"]["name"]) == ("conforms-with-warnings", "wide")
    assert not answer["problems"]
    shadow = answer["shadow"]
    assert (shadow["verdict"], shadow["conforms"], shadow["agrees"]) == ("refused", False, False)
    assert shadow["policy"]["name"] == "narrow"
    assert [one["code"] for one in shadow["problems"]] == ["policy.snp.tcb"]
    assert shadow["rules"]

    assert verify(genoa, "--policy", policies["narrow"], "--shadow", policies["wide"], "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["verdict"], answer["shadow"]["verdict"]) == ("refused", "conforms-with-warnings")


def test_the_answer_is_the_same_with_and_without_a_shadow(
    genoa: Sample, policies: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    verify(genoa, "--policy", policies["wide"], "--json")
    alone = json.loads(capsys.readouterr().out)
    verify(genoa, "--policy", policies["wide"], "--shadow", policies["narrow"], "--json")
    beside = json.loads(capsys.readouterr().out)
    beside.pop("shadow")
    assert beside == alone


def test_a_person_reads_what_the_shadow_would_have_said(
    genoa: Sample, policies: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(genoa, "--policy", policies["wide"], "--shadow", policies["narrow"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith("✔ CONFORMS, WITH WARNINGS")
    assert "Shadow policy narrow would have said: refused (NOT as above). It decides nothing here." in said
    assert "✘ SNP firmware is too old (snp.tcb," in said


def test_a_shadow_that_cannot_be_read_is_no_silence(
    genoa: Sample, tmp_path: Path, policies: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("policy: 2\n")
    assert verify(genoa, "--policy", policies["wide"], "--shadow", str(bad), "--json") == 2
    assert json.loads(capsys.readouterr().out)["verdict"] == "invalid"
    assert verify(genoa, "--shadow-param", "a=b", "--json") == 2


def _lines(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    return {line["id"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}


def test_a_batch_has_a_shadow_too(
    genoa: Sample, fleet: Path, policies: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    command = ["verify", "--batch", str(fleet), "--at", genoa.at.isoformat(), "--processes", "1"]
    status = main([*command, "--policy", policies["wide"]])
    alone = _lines(capfd)
    assert main([*command, "--policy", policies["wide"], "--shadow", policies["narrow"]]) == status
    beside = _lines(capfd)
    assert beside["machine-0"].pop("shadow")["verdict"] == "refused"
    assert beside["machine-0"] == alone["machine-0"]
    assert "shadow" not in beside["machine-2"], "what is not genuine is judged by nobody"


def test_a_batch_reads_the_files_that_its_policy_extends(
    genoa: Sample, fleet: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import hashlib

    team = tmp_path / "team.yaml"
    team.write_text(HEAD.format(name="team") + "{snp: {tcb: {at-least: {genoa: {snp: 200}}}}}\n")
    digest = hashlib.sha384(team.read_bytes()).hexdigest()
    own = tmp_path / "own.yaml"
    own.write_text(
        f'policy: 1\nname: own\nextends: [{{file: team.yaml, digest: "sha384:{digest}"}}]\nplatforms: [snp]\n'
        "require: {snp: {product: genoa}}\n"
    )
    command = ["verify", "--batch", str(fleet), "--at", genoa.at.isoformat(), "--processes", "1"]
    main([*command, "--policy", str(own)])
    assert [one["code"] for one in _lines(capfd)["machine-0"]["problems"]] == ["policy.snp.tcb"]
