"""`attest policy import`: what was lost is said, and nothing is written then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from attest.cli.main import main
from attest.policy import Policy

NVIDIA: dict[str, Any] = {
    "version": "4.0",
    "authorization-rules": {
        "type": "JWT",
        "overall-claims": {"x-nvidia-overall-att-result": True, "x-nvidia-ver": "3.0"},
        "detached-claims": {"measres": "success", "x-nvidia-gpu-attestation-report-nonce-match": True},
    },
}


def written(tmp_path: Path, **claims: object) -> Path:
    source = tmp_path / "policy.json"
    rules = dict(NVIDIA["authorization-rules"])
    rules["detached-claims"] = {**rules["detached-claims"], **claims}
    source.write_text(json.dumps({**NVIDIA, "authorization-rules": rules}, indent=1))
    return source


def test_what_is_mapped_whole_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out.yaml"
    assert (
        main(["policy", "import", "nvidia", str(written(tmp_path)), "--name", "gpus", "-o", str(output)]) == 0
    )
    assert Policy.read(output).name == "gpus"
    assert capsys.readouterr().err == ""
    assert main(["policy", "check", str(output)]) in (0, 1)
    capsys.readouterr()
    assert main(["policy", "import", "nvidia", str(written(tmp_path)), "-o", str(output)]) == 2
    assert "exists" in capsys.readouterr().err


def test_nothing_is_written_that_lost_something(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = written(tmp_path, iss="me"), tmp_path / "out.yaml"
    assert main(["policy", "import", "nvidia", str(source), "-o", str(output)]) == 1
    assert not output.exists()
    told = capsys.readouterr().err
    assert told.startswith("line 12: iss: not mapped: names who made the token")
    assert "--partial" in told
    assert main(["policy", "import", "nvidia", str(source), "-o", str(output), "--partial"]) == 1
    assert "# NOT MAPPED, line 12: iss: " in output.read_text()
    Policy.read(output)


def test_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "check.textproto"
    source.write_bytes(b"policy: 0x230000")
    assert main(["policy", "import", "go-sev-guest", str(source), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["policy"] is None
    assert [(one["line"], one["what"]) for one in answer["unmapped"]] == [
        (None, "permit_provisional_firmware false")
    ]
    source.write_bytes(b"policy: 0x230000\nwhat: 1")
    assert main(["policy", "import", "go-sev-guest", str(source), "--json"]) == 2
    captured = capsys.readouterr()
    assert json.loads(captured.out)["problems"][0]["code"] == "policy.import"
    assert captured.err == "policy.import: line 2: unknown field what\n"


@pytest.mark.parametrize("name", ["", "A", "x" * 65, "a b"])
def test_a_name_is_the_policy_s(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "import", "nvidia", str(written(tmp_path)), "--name", name]) == 2
    assert "--name" in capsys.readouterr().err


def test_what_the_owner_is_to_give_is_a_parameter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "release.json"
    kind = {"claim": "x-ms-isolation-tee.x-ms-attestation-type", "equals": "sevsnpvm"}
    source.write_text(json.dumps({"anyOf": [{"authority": "https://maa.example", "allOf": [kind]}]}))
    assert main(["policy", "import", "azure-skr", str(source), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["params"] == ["idk", "svn"]
    assert main(["policy", "import", "azure-skr", str(source)]) == 0
    assert "params:" in capsys.readouterr().out
