"""`attest policy check`: what is allowed and dangerous, each with its code and place."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from attest.cli.main import main
from attest.policy import Policy
from attest.policy.lint import Lint, lint
from attest.policy.lint_table import LINTS
from attest.policy.yaml_text import parse_yaml
from tests.conftest import ROOT

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LD = "ab" * 48
CLEAN = f"""policy: 1
name: clean
platforms: [snp]
require:
  snp:
    fixed: [amd-sb-3019]
    measurement: {{is: "{LD}", covers: image}}
  gpu:
    count: {{at-least: 1}}
    driver: {{at-least: 550.90.07}}
    vbios: {{at-least: 96.00.9F}}
  binding:
    key: true
"""
HEAD = "policy: 1\nname: t\nplatforms: [snp]\n"
SET = """references:
  web:
    type: snp.measurement
    values:
      - {value: "%s", name: web, covers: image, until: %s}
"""
REST = """require:
  snp:
    fixed: [amd-sb-3019]
    measurement: {in: web}
  binding: {key: true}
"""


def found(text: str, at: datetime = NOW) -> list[Lint]:
    return [*lint(Policy.from_text(text, "p.yaml"), parse_yaml(text), at=at)]


def codes(text: str, at: datetime = NOW) -> dict[str, str]:
    return {one.code: one.at for one in found(text, at)}


def dated(until: str) -> str:
    return HEAD + SET % (LD, until) + REST


def test_a_sound_policy_has_none() -> None:
    assert found(CLEAN) == []


TDX = f"policy: 1\nname: t\nplatforms: [tdx]\nrequire:\n  tdx:\n    mrtd: {{is: '{LD}', covers: firmware}}\n    rtmr1: {{is: '{LD}', covers: image}}\n    rtmr2: {{is: '{LD}', covers: image}}\nRULE  binding: {{key: true}}\n"
CASES: list[tuple[str, str, str]] = [
    ("no-workload-identity", CLEAN.replace(f'    measurement: {{is: "{LD}", covers: image}}\n', ""), "3:1"),
    ("host-chosen-identity", CLEAN.replace(f'measurement: {{is: "{LD}", covers: image}}', f'host-data: "{"cd" * 32}"'), "7:5"),
    ("gpu-without-workload", CLEAN.replace(f'    measurement: {{is: "{LD}", covers: image}}\n', ""), "7:3"),
    ("key-unbound", CLEAN.replace("  binding:\n    key: true\n", ""), "4:1"),
    ("key-unbound", CLEAN.replace("key: true", "nonce: true"), "12:3"),
    ("key-unbound", CLEAN.replace("key: true", "any: [{key: true}, {nonce: true}]"), "12:3"),
    ("key-unbound", CLEAN.replace("key: true", "none: [{key: true}]"), "12:3"),
    ("count-missing", CLEAN.replace("    count: {at-least: 1}\n", ""), "8:3"),
    ("count-missing", CLEAN.replace("count: {at-least: 1}", "count: {at-most: 8}"), "9:5"),
    ("count-missing", CLEAN.replace("count: {at-least: 1}", "count: {at-least: 0}"), "9:5"),
    ("count-missing", CLEAN.replace("count: {at-least: 1}", "count: {is: 8, else: warn, until: 2027-02-01}"), "8:3"),
    ("fabric-without-switches", CLEAN.replace("driver:", 'mode: {is: ppcie, override: "a node"}\n    driver:'), "10:5"),
    ("gpu-unbound", CLEAN + '    gpu-to-cpu: {is: false, override: "one board"}\n', "14:5"),
    ("loosened", CLEAN + '    gpu-to-cpu: {is: false, override: "one board"}\n', "14:5"),
    ("minimum-missing", CLEAN.replace("    fixed: [amd-sb-3019]\n", ""), "5:3"),
    ("minimum-missing", CLEAN.replace("fixed: [amd-sb-3019]", "tcb: {at-most: {snp: 30}}"), "6:5"),
    ("minimum-missing", CLEAN.replace("fixed: [amd-sb-3019]", "tcb: {at-least: {snp: 0}}"), "6:5"),
    ("minimum-missing", CLEAN.replace("fixed: [amd-sb-3019]", "tcb: {at-least: {milan: {snp: 0}, genoa: {snp: 20}}}"), "6:5"),
    ("minimum-missing", CLEAN.replace(f'measurement: {{is: "{LD}", covers: image}}', f'id-key: "{LD}"\n    guest-svn: {{at-least: 0}}'), "8:5"),
    ("minimum-missing", CLEAN.replace("    driver: {at-least: 550.90.07}\n", ""), "8:3"),
    ("minimum-missing", CLEAN.replace("driver: {at-least: 550.90.07}", "driver: {exists: true}"), "10:5"),
    ("minimum-missing", CLEAN.replace("driver: {at-least: 550.90.07}", "driver: {at-most: 600}"), "10:5"),
    ("minimum-missing", CLEAN.replace("driver: {at-least: 550.90.07}", "any: [{driver: {at-least: 550}}, {model: x}]"), "8:3"),
    ("minimum-missing", CLEAN.replace("vbios: {at-least: 96.00.9F}", "vbios: {at-least: 96.00.00}"), "11:5"),
    ("minimum-missing", CLEAN.replace("vbios: {at-least: 96.00.9F}", "vbios: {none-of: [96.00.74]}"), "11:5"),
    ("version-equality", CLEAN.replace("driver: {at-least: 550.90.07}", "driver: {one-of: [550.90.07, 550.127.05]}"), "10:5"),
    ("version-equality", CLEAN.replace("vbios: {at-least: 96.00.9F}", "vbios: 96.00.9F"), "11:5"),
    ("version-equality", CLEAN.replace("fixed: [amd-sb-3019]", "fixed: [amd-sb-3019]\n    guest-svn: 3"), "7:5"),
    ("deny-list", CLEAN.replace("fixed: [amd-sb-3019]", f"fixed: [amd-sb-3019]\n    chip-id: {{none-of: ['{'ab' * 64}']}}"), "7:5"),
    ("platform-none", "policy: 1\nname: t\nplatforms: [none]\nrequire: {gpu: {count: 1, driver: {at-least: 550.1}, vbios: {at-least: 96.00}}}\n", "3:1"),
    ("allows-simulated", CLEAN.replace("require:", "allow-warnings: {simulated: x}\nrequire:"), "4:18"),
    ("allows-no-freshness", CLEAN.replace("require:", "allow-warnings: {no-freshness: x}\nrequire:"), "4:18"),
    ("allows-revocation-unchecked", CLEAN.replace("require:", "allow-warnings: {revocation-unchecked: x}\nrequire:"), "4:18"),
    ("allows-no-workload-identity", CLEAN.replace("require:", "allow-warnings: {no-workload-identity: x}\nrequire:"), "4:18"),
    ("allows-os-unmeasured", CLEAN.replace("require:", "allow-warnings: {os-unmeasured: x}\nrequire:"), "4:18"),
    ("allows-unappraised", CLEAN.replace("require:", "allow-warnings: {unappraised: x}\nrequire:"), "4:18"),
    ("allows-paravisor-unknown", CLEAN.replace("require:", "allow-warnings: {paravisor-unknown: x}\nrequire:"), "4:18"),
    *[
        (f"allows-{code}", CLEAN.replace("require:", f"allow-warnings: {{{code}: x}}\nrequire:"), "4:18")
        for code in ("collateral-memory-absent", "no-floors", "nvidia.topology.incomplete", "gpu-mode-unknown", "nonce.public-sample",
                     "issuer.silent", "issuer.warned")
    ],
    ("verdict-of-others", CLEAN + '  evidence: {verified-by: {is: nras, override: "x"}}\n', "14:14"),
    ("reference-ends", dated("2026-12-22"), "8:9"),
    ("reference-ended", dated("2026-11-22"), "8:9"),
    ("set-empty", dated("2026-11-22"), "5:3"),
    ("observed", dated("2028-01-01").replace("covers: image", "covers: image, state: observed"), "8:9"),
    ("covers-unsaid", dated("2028-01-01").replace("covers: image, ", ""), "8:9"),
    ("section-unasked", CLEAN + "  azure: {secure-boot: true}\n", "14:3"),
    ("section-unasked", CLEAN + f"  tdx: {{mrtd: '{LD}'}}\n", "14:3"),
    ("unused-set", CLEAN.replace("require:", SET.replace("web", "old") % (LD, "2028-01-01") + "require:"), "5:3"),
    ("unused-parameter", CLEAN.replace("require:", "params: {ld: {type: snp.measurement, default: '" + LD + "'}}\nrequire:"), "4:10"),
    ("grace-ends", CLEAN.replace("fixed: [amd-sb-3019]", "fixed: [amd-sb-3019]\n    smt: {is: false, else: warn, until: 2026-12-22}"), "7:5"),
    ("grace-ended", CLEAN.replace("fixed: [amd-sb-3019]", "fixed: [amd-sb-3019]\n    smt: {is: false, else: warn, until: 2026-11-22}"), "7:5"),
    ("end-distant", CLEAN.replace("fixed: [amd-sb-3019]", "fixed: [amd-sb-3019]\n    smt: {is: false, else: warn, until: 2036-11-22}"), "7:5"),
    ("accept-ends", CLEAN.replace("require:", 'accept: [{advisory: AMD-SB-3019, until: 2026-12-01, because: "BIOS next week"}]\nrequire:'), "4:10"),
    ("accept-ended", CLEAN.replace("require:", 'accept: [{advisory: AMD-SB-3019, until: 2026-11-01, because: "BIOS next week"}]\nrequire:'), "4:10"),
    ("lag-long", TDX.replace("RULE", "    tcb-lag: {at-most: 400d}\n"), "9:5"),
    ("floor-replaced", TDX.replace("RULE", "    tcb-evaluation: {at-least: 18}\n"), "9:5"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "text", "place"), CASES, ids=[f"{code} {index}" for index, (code, _, _) in enumerate(CASES)]
)
def test_each_lint_is_found_at_its_place(code: str, text: str, place: str) -> None:
    assert codes(text).get(code) == f"p.yaml:{place}"


def test_every_lint_is_tried() -> None:
    assert {code for code, _, _ in CASES} == LINTS.keys()


@pytest.mark.parametrize(
    "text",
    [
        TDX.replace("RULE", "    all: [{tcb-evaluation: {at-least: 18}}]\n"),
        TDX.replace("RULE", "    tcb-lag: {at-most: 366d}\n"),
        CLEAN.replace("count: {at-least: 1}", "count: {one-of: [4, 8]}"),
        CLEAN.replace(
            "driver: {at-least: 550.90.07}", "all: [{driver: {at-least: {550: 550.90.07, newer: ok}}}]"
        ),
        dated("2026-12-24"),
        CLEAN.replace("key: true", "key: {one-of: [true]}"),
        CLEAN.replace("fixed: [amd-sb-3019]", "tcb: {at-least: {genoa: {snp: 23}}}"),
        CLEAN.replace(
            f'measurement: {{is: "{LD}", covers: image}}',
            f'measurement: {{is: "{LD}", covers: image}}\n    host-data: "{"cd" * 32}"',
        ),
    ],
)
def test_what_is_close_to_a_lint_is_none(text: str) -> None:
    assert found(text) == []


def test_each_lint_says_why_what_to_do_and_which_threat() -> None:
    for one in LINTS.values():
        assert one.message
        assert one.remedy
        assert one.source.startswith("T-")


def test_the_threats_named_are_those_of_the_threat_model() -> None:
    model = (ROOT / "docs" / "threat-model.md").read_text()
    named = {threat for one in LINTS.values() for threat in one.source.split(", ")}
    assert {threat for threat in named if f"| {threat} |" not in model} == set()


# -- the command --------------------------------------------------------------------------------------


def test_status_and_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(dated("2026-12-01"))
    line = ["policy", "check", str(file), "--at", "2026-11-23T12:00:00Z"]
    assert main(line) == 0
    out = capsys.readouterr().out
    assert f"{file}:8:9: reference-ends: web ends at 2026-12-01T23:59:59Z" in out
    assert "    → list the next version, or extend it" in out
    assert main([*line, "--strict"]) == 1
    file.write_text("policy: 2\n")
    assert main([*line, "--strict"]) == 2
    file.write_text(CLEAN)
    assert main([*line, "--strict"]) == 0


def test_json_has_code_place_why_and_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(CLEAN.replace("    count: {at-least: 1}\n", ""))
    assert main(["policy", "check", "--json", str(file)]) == 0
    (result,) = json.loads(capsys.readouterr().out)["policies"]
    (one,) = result["lints"]
    assert (one["code"], one["at"], one["threat"]) == ("count-missing", f"{file}:8:3", "T-EMPTY")
    assert one["why"] == LINTS["count-missing"].message
    assert one["remedy"] == LINTS["count-missing"].remedy
