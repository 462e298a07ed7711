"""`attest simulate` writes files that the line it prints verifies."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from attest.cli.main import main
from attest.simulator import FAULTS, Simulator


@pytest.fixture(scope="module")
def state(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("state") / "state.json"
    simulator.save(file)
    return file


def verify_as_told(output: str, capsys: pytest.CaptureFixture[str]) -> int:
    """The exit status of the printed `attest verify …` line."""
    line = next(line for line in output.splitlines() if line.strip().startswith("attest verify"))
    status = main(shlex.split(line)[1:])
    capsys.readouterr()
    return status


@pytest.mark.parametrize("kind", ["snp", "tdx", "gpu", "nras", "machine", "site"])
def test_printed_line_verifies_what_was_written(
    tmp_path: Path, state: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    assert main(["simulate", kind, "-o", str(tmp_path), "--state", str(state)]) == 0
    output = capsys.readouterr().out
    assert "SIMULATED" in output
    assert verify_as_told(output, capsys) == 0


def test_a_fault_is_refused_and_said(tmp_path: Path, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["simulate", "snp", "-o", str(tmp_path), "--state", str(state)]
    assert main([*arguments, "--fault", "snp-hwid-of-another-chip"]) == 0
    output = capsys.readouterr().out
    assert "another chip" in output
    assert verify_as_told(output, capsys) == 1


def test_set_changes_fields(tmp_path: Path, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = ["--set", "vmpl=3", "--set", "reported_tcb.snp=20", "--set", "host_data=hex:" + "ab" * 32]
    common = ["simulate", "snp", "-o", str(tmp_path), "--state", str(state), "--product", "milan"]
    assert main([*common, *settings, "--report-data", "00" * 64]) == 0
    report = (tmp_path / "simulated-report.bin").read_bytes()
    assert report[0x30] == 3
    assert report[0x186] == 20
    assert report[0xC0:0xE0] == b"\xab" * 32
    assert "--report-data" in capsys.readouterr().out


def test_list_of_faults_names_each_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--list-faults"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == list(FAULTS)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["snp", "--set", "vmpl"],
        ["snp", "--set", "colour=red"],
        ["snp", "--fault", "snp-unheard-of"],
        ["snp", "--nonce", "00"],
        ["gpu", "--report-data", "00"],
        ["gpu", "--nonce", "00"],
        ["snp", "--set", "tcb=1", "--set", "tcb.snp=2"],
    ],
)
def test_wrong_use_ends_with_status_2(
    tmp_path: Path, state: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(["simulate", *arguments, "-o", str(tmp_path), "--state", str(state)]) == 2
    assert "attest simulate:" in capsys.readouterr().err


KEY = '{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}'


def test_a_machine_binds_a_key(tmp_path: Path, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["simulate", "machine", "-o", str(tmp_path), "--state", str(state), "--key", KEY]
    assert main(arguments) == 0
    output = capsys.readouterr().out
    assert "--key" in output
    assert verify_as_told(output, capsys) == 0
    assert verify_as_told(output.replace('"AA"', '"AB"'), capsys) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["machine", "--nonce", "00"], "--nonce is 16 to 64 bytes; 1 found"),
        (
            ["machine", "--set", "reported_tcb.snp=abc"],
            "--set reported_tcb.snp=abc: reported_tcb.snp takes a number from 0 to 255",
        ),
        (
            ["machine", "--set", "reported_tcb.snp=999"],
            "--set reported_tcb.snp=999: reported_tcb.snp takes a number from 0 to 255",
        ),
        (["machine", "--set", "gpus=many"], "--set gpus=many"),
        (["snp", "--set", "vmpl=abc"], "--set vmpl=abc"),
        (["snp", "--set", "host_data=hex:zz"], "host_data takes hex: and 32 bytes"),
        (["snp", "--set", "product=milan"], "use --product"),
        (["tdx", "--set", "module_svn=abc"], "module_svn"),
        (["tdx", "--set", "td_attributes=-1"], "td_attributes"),
        (["gpu", "--set", "driver=abc"], "--set driver=abc"),
        (["snp", "--set", "policy.debug=1"], "policy has no part debug"),
        (["machine", "--set", "gpus=-1"], "gpus takes a number from 0 to 64"),
        (["site", "--set", "origin=foo"], "origin takes an origin, as https://host"),
        (["gpu", "--product", "milan"], "--product is for SEV-SNP"),
        (["machine", "--set", "cpu=tdx", "--product", "milan"], "--product is for SEV-SNP"),
        (["gpu", "--key", KEY], "--key is for azure, machine and site"),
        (["snp", "-o", "/proc/x"], "-o /proc/x cannot be written"),
    ],
)
def test_what_cannot_be_made_is_said_in_one_sentence(
    tmp_path: Path, state: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    kind, *rest = arguments
    assert main(["simulate", kind, "-o", str(tmp_path), "--state", str(state), *rest]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert "invalid literal" not in line
