"""Operators on each kind of claim, at their boundaries."""

from __future__ import annotations

from typing import Any

import pytest

from attest.claims import CLAIMS
from attest.policy.compare import judge
from attest.policy.model import Rule
from tests.policy.conftest import GPU, NOW, SNP, TDX, Judge, policy_of, rule, tree

TCB = {"bootloader": "4", "tee": "0", "snp": "24", "microcode": "219"}
CASES: list[tuple[str, str, Any, str]] = [
    # int and bits
    ("snp.guest-svn", "{at-least: 3}", "3", "P"),
    ("snp.guest-svn", "{at-least: 3}", "2", "F"),
    ("snp.guest-svn", "{at-most: 0x10}", "17", "F"),
    ("snp.guest-svn", "{at-least: 2, at-most: 4}", "3", "P"),
    ("snp.guest-svn", "{at-least: 2, at-most: 4}", "5", "F"),
    ("snp.guest-svn", "{is: 0x3}", "3", "P"),
    ("snp.guest-svn", "{none-of: [1, 2]}", "3", "P"),
    ("snp.guest-svn", "{none-of: [1, 3]}", "3", "F"),
    ("snp.guest-svn", "{at-least: 18446744073709551615}", "18446744073709551615", "P"),
    ("snp.guest-svn", "{at-least: 0}", "18446744073709551616", "U"),
    ("snp.guest-svn", "{at-least: 0}", "-1", "U"),
    ("snp.guest-svn", "{at-least: 0}", "٣", "U"),
    ("snp.guest-svn", "{at-least: 0}", {"a": "b"}, "U"),
    ("snp.guest-svn", "{at-least: 0}", None, "U"),
    ("snp.mitigations-current", "{has-bits: 5}", "13", "P"),
    ("snp.mitigations-current", "{has-bits: 5}", "9", "F"),
    ("snp.mitigations-current", "{no-bits: 6}", "9", "P"),
    ("snp.mitigations-current", "{no-bits: 8}", "9", "F"),
    # bytes, text, bool
    ("snp.host-data", f'"{"AB" * 32}"', "ab" * 32, "P"),
    ("snp.host-data", f'"{"ab" * 32}"', "ab" * 31 + "ac", "F"),
    ("snp.host-data", f'"{"ab" * 32}"', "ab" * 31, "U"),
    ("snp.csp", "aws", "aws", "P"),
    ("snp.csp", "aws", "AWS", "F"),
    ("snp.product", "{one-of: [milan, turin]}", "turin", "P"),
    ("snp.product", "{one-of: [milan, turin]}", "genoa", "F"),
    ("snp.product", "{none-of: [milan]}", "venice", "U"),
    ("snp.smt", "true", "true", "P"),
    ("snp.smt", "true", "True", "U"),
    # versions
    ("snp.firmware", "{at-least: 1.55}", "1.55", "P"),
    ("snp.firmware", "{at-least: 1.55.0}", "1.55", "P"),
    ("snp.firmware", "{at-least: 1.55}", "1.54.99", "F"),
    ("snp.firmware", "{at-most: 1.55}", "1.55.1", "F"),
    ("snp.firmware", "{is: 1.55.0}", "1.55", "P"),
    ("snp.firmware", "{at-least: 1.9}", "1.10", "P"),
    ("snp.firmware", "{at-least: 1}", "1.x", "U"),
    ("gpu.driver", "{at-least: {550: 550.127.05, 570: 570.124.06}}", "550.127.5", "P"),
    ("gpu.driver", "{at-least: {550: 550.127.05, 570: 570.124.06}}", "550.127.04", "F"),
    ("gpu.driver", "{at-least: {550: 550.127.05, 570: 570.124.06}}", "580.1", "F"),
    ("gpu.driver", "{at-least: {550: 550.127.05, 570: 570.124.06, newer: ok}}", "580.1", "P"),
    ("gpu.driver", "{at-least: {550: 550.127.05, 570: 570.124.06, newer: ok}}", "560.99", "F"),
    ("gpu.driver", "{at-least: {550: 550.127.05, newer: ok}}", "535.1", "F"),
    ("gpu.driver", "{at-least: 550.127.05}", "570.1", "P"),
    ("gpu.vbios", "{at-least: 96.00.9F}", "96.00.9F", "P"),
    ("gpu.vbios", "{at-least: 96.00.9F}", "96.00.9E.FF.FF", "F"),
    ("gpu.vbios", "{at-least: 96}", "96.00.01", "P"),
    ("gpu.vbios", "{at-least: 96}", "96.10.01", "U"),
    ("gpu.vbios", "{at-most: 96.00.9F}", "97.00.01", "U"),
    ("gpu.vbios", "{is: 96.00.9F}", "97.00.9F", "F"),
    ("gpu.vbios", "{at-least: 96.00.9F}", "96.0.9F", "U"),
    # tcb
    ("snp.tcb", "{at-least: {snp: 24, microcode: 219}}", TCB, "P"),
    ("snp.tcb", "{at-least: {snp: 25, microcode: 1}}", TCB, "F"),
    ("snp.tcb", "{at-most: {snp: 23}}", TCB, "F"),
    ("snp.tcb", "{at-most: {snp: 24}}", TCB, "P"),
    ("snp.tcb", "{at-least: {fmc: 0}}", TCB, "U"),
    ("snp.tcb", "{at-least: {fmc: 0, snp: 25}}", TCB, "F"),
    ("snp.tcb", "{at-least: {milan: {snp: 24}, genoa: {snp: 99}}}", TCB, "P"),
    ("snp.tcb", "{at-least: {snp: 1}}", {"snp": "256"}, "U"),
    ("snp.tcb", "{at-least: {snp: 1}}", "24", "U"),
    # svn
    ("tdx.tee-tcb-svn", "{at-least: {0: 5, 1: 1, 2: 7}}", "05010700" + "00" * 12, "P"),
    ("tdx.tee-tcb-svn", "{at-least: {0: 6, 1: 1}}", "05010700" + "00" * 12, "F"),
    ("tdx.tee-tcb-svn", "{at-least: {0: 1, 1: 2}}", "05010700" + "00" * 12, "U"),
    ("tdx.tee-tcb-svn", "{at-least: {0: 1, 1: 0}}", "05010700" + "00" * 12, "U"),
    ("tdx.tee-tcb-svn", "{at-least: {0: 5}}", "05010700", "U"),
    # date, duration
    ("tdx.tcb-date", "{at-least: 2024-11-13}", "2024-11-13T00:00:00Z", "P"),
    ("tdx.tcb-date", "{at-least: 2024-11-13}", "2024-11-12T23:59:59Z", "F"),
    ("tdx.tcb-date", "{at-most: 2024-11-13}", "2024-11-13T00:00:01Z", "F"),
    ("tdx.tcb-lag", "{at-most: 1d}", "86400s", "P"),
    ("tdx.tcb-lag", "{at-most: 1d}", "86401s", "F"),
    ("tdx.tcb-lag", "{at-most: 36h}", None, "U"),
    # set
    ("tdx.advisories", "{subset-of: [INTEL-SA-1, INTEL-SA-2]}", ["INTEL-SA-2"], "P"),
    ("tdx.advisories", "{subset-of: [INTEL-SA-1]}", [], "P"),
    ("tdx.advisories", "{subset-of: [INTEL-SA-1]}", ["INTEL-SA-1", "INTEL-SA-2"], "F"),
    ("tdx.advisories", "{none-of: [INTEL-SA-1]}", ["INTEL-SA-2"], "P"),
    ("tdx.advisories", "{none-of: [INTEL-SA-1]}", ["INTEL-SA-1", "INTEL-SA-2"], "F"),
    ("tdx.advisories", "{is: [INTEL-SA-1, INTEL-SA-2]}", ["INTEL-SA-2", "INTEL-SA-1"], "P"),
    ("tdx.advisories", "{one-of: [INTEL-SA-1, [INTEL-SA-2, INTEL-SA-3]]}", ["INTEL-SA-3", "INTEL-SA-2"], "P"),
    ("tdx.advisories", "{one-of: [INTEL-SA-1]}", ["INTEL-SA-2"], "F"),
    ("tdx.advisories", "{subset-of: [INTEL-SA-1]}", [["x"]], "U"),
    # exists
    ("snp.host-data", "{exists: true}", "ab" * 32, "P"),
    ("snp.host-data", "{exists: true}", "xy", "F"),
    ("snp.host-data", "{exists: true}", None, "F"),
    ("snp.host-data", "{exists: false}", None, "P"),
    ("snp.host-data", "{exists: false}", "ab" * 32, "F"),
    ("snp.host-data", "{exists: false}", "xy", "F"),
]


@pytest.mark.parametrize(("name", "written", "found", "result"), CASES)
def test_leaf(judge: Judge, name: str, written: str, found: Any, result: str) -> None:
    section, _, claim = name.partition(".")
    cpu = "tdx" if section == "tdx" else "snp"
    parts: dict[str, Any] = {"snp": dict(SNP), "tdx": dict(TDX), "gpu": dict(GPU)}
    parts[section].pop(claim, None)
    if found is not None:
        parts[section][claim] = found
    claims = tree(**{cpu: parts[cpu]}, **({"gpu": [parts["gpu"]]} if section == "gpu" else {}))
    about = f"{section}: {{{claim}: {written}}}" + (", snp: {debug: false}" if section == "gpu" else "")
    record = rule(
        judge(claims, policy_of("{" + about + "}", platforms=cpu)), name.replace("gpu.", "gpu[0]."), "file"
    )
    assert record["result"] == result
    assert record["outcome"] == ("pass" if result == "P" else "deny")


GROUPS = [
    ("any: [{vmpl: 1}, {vmpl: 2}]", "F"),
    ("any: [{vmpl: 1, smt: true}, {vmpl: 0, smt: true}]", "P"),
    ("any: [{vmpl: 0, smt: false}]", "F"),
    ("all: [{vmpl: 0}, {smt: true}]", "P"),
    ("all: [{vmpl: 0}, {csp: aws}]", "U"),
    ("all: [{vmpl: 1}, {csp: aws}]", "F"),
    ("none: [{vmpl: 0}]", "F"),
    ("none: [{vmpl: 0, smt: false}]", "P"),
    ("none: [{csp: aws}]", "U"),
    ("none: [{none: [{vmpl: 0}]}]", "P"),
    ("any: [{all: [{vmpl: 0}, {none: [{smt: false}]}]}]", "P"),
]


@pytest.mark.parametrize(("written", "result"), GROUPS)
def test_group(judge: Judge, written: str, result: str) -> None:
    appraisal = judge(tree(snp=SNP), policy_of("{snp: {" + written + "}}"))
    name = "snp." + written.partition(":")[0]
    assert rule(appraisal, name)["result"] == result
    assert [problem.code for problem in appraisal.problems] == ([] if result == "P" else [f"policy.{name}"])


WEB = "references: {web: {type: snp.measurement, values: [{value: %s, %s}]}}\n"


@pytest.mark.parametrize(
    ("said", "result", "outcome"),
    [
        ("covers: image", "P", "pass"),
        ("from: 2026-11-23", "P", "pass"),
        ("from: 2026-11-24", "F not yet", "deny"),
        ('from: "2026-11-23T12:00:00Z"', "P", "pass"),
        ('from: "2026-11-23T12:00:01Z"', "F not yet", "deny"),
        ('until: "2026-11-23T12:00:00Z"', "P", "pass"),
        ('until: "2026-11-23T11:59:59Z"', "F expired", "deny"),
        ("state: observed", "P", "observed"),
        ("state: observed, until: 2026-11-22", "F expired", "deny"),
        ("state: revoked", "F revoked", "deny"),
        ('state: revoked, since: "2026-11-23T12:00:00Z"', "F revoked", "deny"),
        ('state: revoked, since: "2026-11-23T12:00:01Z"', "P", "pass"),
    ],
)
def test_reference_value(judge: Judge, said: str, result: str, outcome: str) -> None:
    policy = policy_of("{snp: {measurement: {in: web}}}", more=WEB % (SNP["measurement"], said))
    record = rule(judge(tree(snp=SNP), policy), "snp.measurement")
    assert (record["result"], record["outcome"]) == (result, outcome)


def test_a_value_not_in_the_set_is_not_listed(judge: Judge) -> None:
    policy = policy_of("{snp: {measurement: {in: web}}}", more=WEB % ("11" * 48, "covers: image"))
    assert rule(judge(tree(snp=SNP), policy), "snp.measurement")["result"] == "F not listed"


def test_t_rv_seconds_decide_at_the_end_of_a_window(judge: Judge) -> None:
    from tests.policy.conftest import NOW

    policy = policy_of("{snp: {smt: {is: false, else: warn, until: 2026-11-23}}}")
    last = NOW.replace(hour=23, minute=59, second=59, microsecond=999_999)
    assert rule(judge(tree(snp=SNP, time=None), policy, at=last), "snp.smt")["outcome"] == "grace"
    first = NOW.replace(day=24, hour=0)
    assert rule(judge(tree(snp=SNP, time=None), policy, at=first), "snp.smt")["outcome"] == "deny"


def test_results_come_by_part_device_and_claim(judge: Judge) -> None:
    gpus = [{**GPU, "id": f"{index:02x}" * 20, "count": "2"} for index in range(2)]
    policy = policy_of("{gpu: {vbios: {at-least: 96.00.9F}, count: 2}, snp: {vmpl: 0, debug: false}}")
    names = [record["rule"] or "" for record in judge(tree(snp=SNP, gpu=gpus), policy).rules]
    parts = [name.partition(".")[0] for name in names]
    assert sorted(set(parts), key=parts.index) == [
        "platforms",
        "snp",
        "gpu",
        "gpu[0]",
        "gpu[1]",
        "evidence",
        "binding",
        "time",
    ]
    for part in set(parts):
        claims = [name for name in names if name.startswith(part + ".")]
        assert claims == sorted(claims)


def test_a_version_is_shown_as_it_was_written_and_digested_canonically() -> None:
    driver = CLAIMS["gpu"]["driver"]
    for text, wanted_text in (
        ("{at-least: 550.090.07}", "≥ 550.090.07"),
        ("{at-least: {550: 550.90.07, newer: ok}}", "≥ 550.90.07"),
        ("{is: 550.90.7}", "550.90.7"),
        ("{one-of: [550.90.08, 535.01]}", "one of 550.90.08, 535.01"),
    ):
        policy = policy_of(f"{{gpu: {{driver: {text}}}}}", platforms="none")
        (entry,) = policy.body.sections["gpu"]
        assert isinstance(entry, Rule)
        (operator,) = entry.operators
        found = judge(operator, driver, "550.90.07", product=None, now=NOW)
        assert (found.expected, found.found) == (wanted_text, "550.90.07")
        assert found.result == ("F" if "one-of" in text else "P")
    same = [
        policy_of("{gpu: {driver: {at-least: {550: %s}}}}" % text, platforms="none").digest  # noqa: UP031
        for text in ("550.90.07", "550.90.7")
    ]
    assert same[0] == same[1]
