"""`attest collect` as it is typed: what it prints, what it refuses, what it leaves on the disk."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from attest.cli.collect import run
from attest.cli.main import main
from attest.collect import Interfaces, Machine
from attest.problem_table.collect import PROBLEMS
from attest.simulator import Simulator
from tests.collect.kernel import KernelTsm, snp_kernel
from tests.collect.test_end_to_end import NONCE, arguments, jwk, site_key
from tests.conftest import ROOT

Capture = pytest.CaptureFixture[str]


def collect(folder: Path, kernel: KernelTsm, *more: str) -> int:
    return run(
        arguments("-o", str(folder / "b.json"), "--gpus", "none", *more),
        Machine(root=folder),
        Interfaces(tsm=kernel),
    )


def test_without_a_nonce_a_random_one_is_made_and_printed(
    tmp_path: Path, simulator: Simulator, capsys: Capture
) -> None:
    nonces = set()
    for _ in range(2):
        assert collect(tmp_path, snp_kernel(simulator)) == 0
        out = capsys.readouterr().out
        (nonce,) = re.findall(r"nonce  ([0-9a-f]{64})  \(random", out)
        assert f"attest verify {tmp_path / 'b.json'} --nonce {nonce}" in out
        nonces.add(nonce)
    assert len(nonces) == 2


def test_what_was_not_collected_is_said(tmp_path: Path, simulator: Simulator, capsys: Capture) -> None:
    assert collect(tmp_path, snp_kernel(simulator), "--nonce", NONCE.hex()) == 0
    err = capsys.readouterr().err
    assert "note: GPUs were not asked for" in err
    assert "note: the host gave no certificate" in err


def test_json(tmp_path: Path, simulator: Simulator, capsys: Capture) -> None:
    assert collect(tmp_path, snp_kernel(simulator), "--nonce", NONCE.hex(), "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["collected"], answer["source"], answer["tee"]) == (True, "tsm", "snp")
    assert answer["entries"] == [{"kind": "snp-report", "size": 1184}]
    kernel = snp_kernel(simulator)
    kernel.provider = None
    assert collect(tmp_path, kernel, "--source", "tsm", "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["collected"] is False
    assert [problem["code"] for problem in answer["problems"]] == ["collect.no-provider"]


def test_a_machine_that_cannot_prove_itself(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "b.json"
    assert main(["collect", "-o", str(file), "--root", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert err.startswith("attest collect: [collect.no-source] ")
    assert err.count("    → ") == 5
    assert "Traceback" not in err
    assert not file.exists()


def test_an_earlier_file_stays_when_nothing_could_be_collected(tmp_path: Path, simulator: Simulator) -> None:
    (tmp_path / "b.json").write_text("earlier")
    kernel = snp_kernel(simulator, second_writer=99)
    assert collect(tmp_path, kernel) == 1
    assert (tmp_path / "b.json").read_text() == "earlier"
    assert [file.name for file in tmp_path.iterdir()] == ["b.json"]


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--nonce", "00"], 2, "--nonce is 16 to 64 bytes"),
        (["--nonce", "00" * 32], 2, "[nonce.public-constant]"),
        (["--nonce", "931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb"], 2, "[nonce.public"),
        (["--key", json.dumps(site_key())], 2, "[collect.key]"),
        (["--key", "none.json"], 2, "none.json"),
        (["--origin", "https://a.example"], 2, "--origin is for --site"),
        (["--site"], 2, "--site needs --key and --origin"),
        (["--site", "--key", json.dumps(jwk()), "--origin", "https://a.example"], 2, "--key:"),
        (["--site", "--key", json.dumps(site_key()), "--origin", "HTTPS://A"], 2, "--origin:"),
        (["--site", "--key", json.dumps(site_key()), "--origin", "https://a.example", "--nonce", "12" * 16], 2, "--nonce"),
        (["--service-provider", "svsm", "--source", "sev-guest"], 1, "[collect.bad-request]"),
    ],
)  # fmt: skip
def test_wrong_use_is_told_from_a_machine_that_fails(
    tmp_path: Path, simulator: Simulator, capsys: Capture, options: list[str], status: int, said: str
) -> None:
    kernel = snp_kernel(simulator)
    assert collect(tmp_path, kernel, *options) == status
    assert said in capsys.readouterr().err
    assert not (tmp_path / "b.json").exists()
    assert not [attribute for attribute, _ in kernel.writes if attribute == "inblob"]


def test_a_file_that_cannot_be_written(tmp_path: Path, simulator: Simulator, capsys: Capture) -> None:
    assert collect(tmp_path / "none", snp_kernel(simulator)) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("name", [".", "..", "/"])
def test_a_folder_is_no_file_to_write(
    tmp_path: Path, simulator: Simulator, capsys: Capture, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status = run(
        arguments("-o", name, "--gpus", "none"), Machine(root=tmp_path), Interfaces(tsm=snp_kernel(simulator))
    )
    assert status == 2
    assert "cannot be written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_link_that_waits_in_a_shared_folder_is_not_written_through(
    tmp_path: Path, simulator: Simulator
) -> None:
    """Collecting runs as root: another user must not choose what it overwrites."""
    theirs = tmp_path / "shadow"
    theirs.write_text("root")
    shared = tmp_path / "shared"
    shared.mkdir()
    for name in ("b.json", f"b.json.{os.getpid()}.part", "b.json.part"):
        (shared / name).symlink_to(theirs)
    assert collect(shared, snp_kernel(simulator)) == 0
    assert theirs.read_text() == "root"
    assert (shared / "b.json").read_bytes().startswith(b"{")
    assert not (shared / "b.json").is_symlink()


def test_t_oracle_there_is_no_option_for_report_data(capsys: Capture) -> None:
    """T-ORACLE: the command has no way to put bytes into a report either."""
    with pytest.raises(SystemExit):
        main(["collect", "-o", "x", "--report-data", "00"])
    capsys.readouterr()


def test_every_code_of_the_table_is_raised_somewhere() -> None:
    source = "".join(file.read_text() for file in (ROOT / "attest" / "collect").glob("*.py"))
    assert [code for code in PROBLEMS if code not in source and code.partition(".")[2] not in source] == []
