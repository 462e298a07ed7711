"""What the `attest` command accepts, and what it says of wrong use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from attest.cli.main import main
from tests.conftest import EVIDENCE

SNP = EVIDENCE / "snp-genoa"
REPORT, VCEK = str(SNP / "report.bin"), str(SNP / "vcek.der")
AT = ["--at", "2026-11-23"]


def wrong(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a person reads on either stream; the status is 2."""
    try:
        status = main(arguments)
    except SystemExit as stop:
        status = int(str(stop.code))
    assert status == 2
    out, err = capsys.readouterr()
    return str(out + err)


def test_files_stand_on_both_sides_of_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", REPORT, *AT, VCEK]) == 0
    assert main(["policy", "explain", "defaults", *AT, REPORT, "--json", VCEK]) == 0


@pytest.mark.parametrize("command", [["verify"], ["show"], ["policy", "check"], ["simulate"]])
def test_the_error_stands_first_then_the_commands_own_usage(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = wrong([*command, "x", "--no-such-option"], capsys).splitlines()
    name = "attest " + " ".join(command)
    assert lines[0].startswith(f"{name}: ")
    assert lines[1].startswith(f"usage: {name} ")
    assert lines[-1] == f"see {name} --help"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("attest ")


def test_verify_gives_values_to_a_policys_parameters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(
        "policy: 1\nname: t\nplatforms: [snp]\nparams:\n  m: {type: snp.measurement}\n"
        "require:\n  snp:\n    measurement: ${m}\n"
    )
    asked = ["verify", REPORT, VCEK, *AT, "--policy", str(policy), "--json"]
    assert main(asked) == 2
    capsys.readouterr()
    assert main([*asked, "--param", "m=" + "ab" * 48]) == 1
    codes = [problem["code"] for problem in json.loads(capsys.readouterr().out)["problems"]]
    assert codes == ["policy.snp.measurement"]
    assert "--policy" in wrong(["verify", REPORT, "--param", "m=1"], capsys)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--nonce", "deadbeef"], "--nonce is 16 to 64 bytes; 4 found"),
        (["--nonce", "abc"], "--nonce: an odd number of hexadecimal digits (3)"),
        (["--gpu-nonce", "00"], "--gpu-nonce is exactly 32 bytes; 1 found"),
        (["--key", REPORT], f"--key {REPORT} is no JWK"),
        (["--key", "[]"], "--key is no JWK"),
        (["--key", '{"kty":"EC","crv":"P-256","x":"AA"}'], "a JWK of kty EC has crv, x, y; y is not there"),
        (["--key", '{"kty":"XX"}'], "the kty of a JWK is one of EC, RSA, OKP, AKP"),
        (["--simulator-root", VCEK], f"--simulator-root {VCEK}: not a simulator root"),
        (["--simulator-root", REPORT], REPORT),
    ],
)
def test_wrong_use_names_the_option_and_what_was_found(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = wrong(["verify", REPORT, *options], capsys)
    assert said in " ".join(text.split())
    assert "Traceback" not in text


@pytest.mark.parametrize(
    "options", [["--early"], ["--azure-host"], ["--renew"], ["--pccs", "https://pccs.example"]]
)
def test_how_to_fetch_goes_only_with_fetch(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    said = f"{options[0]} goes only with --fetch"
    assert said in wrong(["verify", REPORT, VCEK, *AT, *options], capsys)
    assert said in wrong(["policy", "explain", "defaults", REPORT, VCEK, *AT, *options], capsys)
    assert said in wrong(["verify", "--batch", str(SNP), *options], capsys)


@pytest.mark.parametrize("by", ["option", "environment"])
@pytest.mark.parametrize("key", ["no-such-file", REPORT])
def test_a_key_of_floor_data_that_is_none_is_told_though_no_floor_data_is_kept(
    by: str, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATTEST_CACHE", str(tmp_path))
    options = ["--floors-key", key] if by == "option" else []
    if by == "environment":
        monkeypatch.setenv("ATTEST_FLOORS_KEY", key)
    policy = tmp_path / "p.yaml"
    policy.write_text("policy: 1\nname: t\nplatforms: [snp]\nrequire: {snp: {vmpl: 0}}\n")
    for command in (
        ["verify", REPORT, VCEK, *AT],
        ["verify", REPORT, VCEK, *AT, "--policy", str(policy)],
        ["policy", "check", str(policy)],
        ["policy", "explain", "defaults"],
    ):
        text = wrong([*command, *options], capsys)
        assert "--floors-key" in text
        assert key in " ".join(text.split())


def test_text_says_each_remedy_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(
        "policy: 1\nname: t\nplatforms: [snp]\nrequire:\n  snp:\n    firmware: {at-least: 99.1}\n"
    )
    assert main(["verify", REPORT, VCEK, *AT, "--policy", str(policy)]) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert text.count("The host must update and commit firmware") == 1
    assert "found" in text
    assert "[no-freshness] → pass --nonce and --key" in text, "warnings have remedies too"


def test_wrong_use_is_not_called_malformed_evidence(capsys: pytest.CaptureFixture[str]) -> None:
    assert wrong(["verify", REPORT, "--nonce", "deadbeef"], capsys).startswith("✘ WRONG USE\n")


@pytest.mark.parametrize(
    ("sample", "names"),
    [
        ("snp-genoa/report.bin", ("guest_svn", "measurement", "reported_tcb")),
        ("tdx-v4/quote.bin", ("qe_vendor_id", "mr_td", "rtmr0", "isv_svn")),
        ("h100/report.txt", ("request_nonce", "measurements", "opaque")),
    ],
)
def test_show_names_the_fields(
    sample: str, names: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(EVIDENCE / sample)]) == 0
    told = capsys.readouterr().out
    assert all(f"{name} " in told or f"{name}:" in told for name in names)
