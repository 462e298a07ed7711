"""Each default refuses by itself; what replaces one, and what leaves it in force."""

from __future__ import annotations

from typing import Any

import pytest

from attest.errors import Malformed
from attest.policy import Policy
from attest.policy.defaults import DEFAULTS
from tests.policy.conftest import GPU, SNP, SWITCH, TDX, Judge, policy_of, rule, tree

PARTS: dict[str, Any] = {"snp": SNP, "tdx": TDX, "gpu": GPU, "switch": SWITCH}
BAD = [
    ("snp.debug", "true"),
    ("snp.migrate-ma", "true"),
    ("snp.vmpl", "1"),
    ("snp.vmpl", "4294967295"),
    ("snp.policy-unknown-bits", str(1 << 40)),
    ("snp.crl", "stale"),
    ("snp.crl", "revoked"),
    ("tdx.debug", "true"),
    *(("tdx.attributes", str(1 << 28 | 1 << bit)) for bit in (8, 26, 32, 61, 62)),
    ("tdx.migratable", "true"),
    ("tdx.sept-ve-disable", "false"),
    ("tdx.mrservicetd", "00" * 47 + "01"),
    ("tdx.crl", "stale"),
    *(
        ("tdx.tcb-status", status)
        for status in (
            "OutOfDate",
            "SWHardeningNeeded",
            "ConfigurationNeeded",
            "TDRelaunchAdvised",
            "Revoked",
        )
    ),
    ("gpu.mode", "ppcie"),
    ("gpu.measurements", "mismatch"),
    ("gpu.measurements", "no-rim"),
    ("gpu.driver-rim", "expired"),
    ("gpu.driver-rim", "revoked"),
    ("gpu.vbios-rim", "expired"),
    ("gpu.vbios-rim", "revoked"),
    ("gpu.cert", "hold"),
    ("gpu.cert", "revoked"),
    ("gpu.cert", "unknown"),
    ("gpu.evidence-age", "121s"),
    ("switch.measurements", "no-rim"),
    ("switch.locked", "false"),
    ("switch.bios-rim", "expired"),
    ("switch.cert", "hold"),
    ("evidence.verified-by", "somebody"),
    ("binding.nonce", "false"),
    ("binding.gpu-to-cpu", "false"),
    ("binding.protocol", "0.3"),
    ("time.evidence-age", "301s"),
]


def changed(name: str, value: str | None) -> dict[str, Any]:
    """A conforming machine with one claim changed, or taken away."""
    section, _, claim = name.partition(".")
    cpu = "tdx" if section == "tdx" else "snp"
    claims = tree(**{cpu: PARTS[cpu]}, gpu=[GPU], switch=[SWITCH])
    part = claims[section][0] if section in ("gpu", "switch") else claims[section]
    part.pop(claim, None)
    if value is not None:
        part[claim] = value
    return claims


@pytest.mark.parametrize(("name", "value"), BAD)
def test_default_refuses_and_nothing_else_does(judge: Judge, name: str, value: str) -> None:
    assert judge(changed(name, value)).problems[0].code == f"policy.{name}"
    assert len(judge(changed(name, value)).problems) == 1


def test_the_machine_that_is_changed_conforms(judge: Judge) -> None:
    assert judge(changed("snp.debug", "false")).verdict == "conforms"
    assert judge(changed("tdx.debug", "false")).conforms


def test_every_default_has_a_case() -> None:
    assert {rule.name for rule in DEFAULTS} - {name for name, _ in BAD} == {"azure.user-data-bound"}


@pytest.mark.parametrize(
    "default", [rule for rule in DEFAULTS if rule.section != "azure"], ids=lambda rule: rule.name
)
def test_t_policy_the_unknown_does_not_pass_a_default(judge: Judge, default: Any) -> None:
    appraisal = judge(changed(default.name, None))
    refused = {problem.code for problem in appraisal.problems}
    assert refused == (set() if default.absent_passes else {f"policy.{default.name}"})


@pytest.mark.parametrize("value", ["perhaps", "", "TRUE", "1"])
def test_unreadable_text_is_unknown(judge: Judge, value: str) -> None:
    assert rule(judge(changed("snp.debug", value)), "snp.debug")["result"] == "U"


def test_gpu_mode_unknown_passes_with_a_warning_only_where_the_report_cannot_say(judge: Judge) -> None:
    old = changed("gpu.mode", None)
    old["raw"] = {"gpu": [{"opaque_data_version": "0"}]}
    appraisal = judge(old)
    assert appraisal.conforms
    assert [(warning.code, warning.where) for warning in appraisal.warnings] == [
        ("gpu-mode-unknown", "gpu[0]")
    ]
    old["gpu"][0]["mode"] = "ppcie"
    assert judge(old).verdict == "refused"


def test_azure_default_needs_a_policy_that_lists_it(judge: Judge) -> None:
    claims = tree(snp=SNP, azure={"user-data-bound": "false", "pcr11": "11" * 32})
    assert judge(claims).conforms
    assert "paravisor-unknown" in {warning.code for warning in judge(claims).warnings}
    policy = policy_of(
        f'{{snp: {{measurement: "{SNP["measurement"]}"}}, azure: {{pcr11: "{"11" * 32}"}}}}',
        platforms="azure-snp",
    )
    assert [problem.code for problem in judge(claims, policy).problems] == ["policy.azure.user-data-bound"]


REPLACED = [
    ('{one-of: [0, 1], override: "AWS"}', True),
    ('{at-most: 3, override: "AWS"}', True),
    ('{none-of: [2], override: "AWS"}', True),
    ("{exists: true}", False),
    ("{is: 1, else: warn, until: 2027-01-01}", False),
]


@pytest.mark.parametrize(("written", "replaced"), REPLACED)
def test_what_replaces_a_default(judge: Judge, written: str, replaced: bool) -> None:
    appraisal = judge(tree(snp={**SNP, "vmpl": "1"}), policy_of(f"{{snp: {{vmpl: {written}}}}}"))
    assert appraisal.conforms == replaced
    places = [record["at"] for record in appraisal.rules if record["rule"] == "snp.vmpl"]
    assert ("default" in places) != replaced


@pytest.mark.parametrize("group", ["any", "all"])
def test_a_rule_inside_a_group_leaves_the_default(judge: Judge, group: str) -> None:
    policy = policy_of(f"{{snp: {{{group}: [{{vmpl: 1}}]}}}}")
    assert [problem.code for problem in judge(tree(snp={**SNP, "vmpl": "1"}), policy).problems] == [
        "policy.snp.vmpl"
    ]


WIDER = [
    "snp: {debug: true}",
    "snp: {debug: {one-of: [true, false]}}",
    "snp: {vmpl: {one-of: [0, 1]}}",
    "snp: {vmpl: {at-most: 1}}",
    "snp: {vmpl: {at-least: 0}}",
    "snp: {vmpl: {none-of: [3]}}",
    "snp: {crl: {one-of: [fresh, stale]}}",
    "snp: {crl: {none-of: [revoked]}}",
    "snp: {policy-unknown-bits: 0x4000000}",
    "snp: {debug: false}, binding: {protocol: {at-least: 0.3}}",
    "snp: {debug: false}, binding: {nonce: false}",
    "snp: {debug: false}, time: {evidence-age: {at-most: 301s}}",
    "snp: {debug: false}, evidence: {verified-by: elsewhere}",
    "snp: {debug: false}, gpu: {mode: {one-of: [spt, ppcie]}}",
    "snp: {debug: false}, gpu: {measurements: {one-of: [match, no-rim]}}",
    "snp: {debug: false}, gpu: {cert: {none-of: [revoked]}}",
]


@pytest.mark.parametrize("require", WIDER)
def test_wider_than_the_default_needs_a_reason(require: str) -> None:
    with pytest.raises(Malformed) as refusal:
        policy_of("{" + require + "}")
    assert refusal.value.codes == {"policy.override-missing"}


@pytest.mark.parametrize(
    "require",
    [
        "snp: {debug: false, vmpl: {at-most: 0}, crl: fresh, policy-unknown-bits: {one-of: [0]}}",
        "snp: {debug: {none-of: [true]}}",
        "snp: {crl: {one-of: [fresh, absent]}}",
        "snp: {debug: false}, gpu: {cert: good, mode: spt}, time: {evidence-age: {at-most: 60s}}",
        "snp: {debug: false}, binding: {protocol: {at-least: 0.4}}",
        "snp: {debug: false}, binding: {protocol: {at-least: 1}}",
    ],
)
def test_narrower_than_the_default_needs_none(require: str) -> None:
    assert policy_of("{" + require + "}").name == "t"


@pytest.mark.parametrize(
    ("status", "denied"),
    [
        ("OutOfDate", []),
        ("SWHardeningNeeded", []),
        ("ConfigurationNeeded", ["tdx.tcb-status"]),
        ("OutOfDateConfigurationNeeded", ["tdx.tcb-status"]),
        ("TDRelaunchAdvised", ["tdx.tcb-status"]),
        ("Revoked", ["tdx.tcb-lag", "tdx.tcb-status"]),
    ],
)
def test_t_tdx_status_a_lag_replaces_the_status_but_cures_no_configuration(
    judge: Judge, status: str, denied: list[str]
) -> None:
    claims = tree(tdx={**TDX, "tcb-status": status, "tcb-lag": "86400s"})
    policy = policy_of("{tdx: {tcb-lag: {at-most: 30d}}}", platforms="tdx")
    assert [problem.where for problem in judge(claims, policy).problems] == denied


def test_a_minimum_of_the_lag_does_not_replace_the_status(judge: Judge) -> None:
    claims = tree(tdx={**TDX, "tcb-status": "OutOfDate", "tcb-lag": "86400s"})
    policy = policy_of("{tdx: {tcb-lag: {at-least: 0s}}}", platforms="tdx")
    assert [problem.where for problem in judge(claims, policy).problems] == ["tdx.tcb-status"]


def test_defaults_change_no_digest() -> None:
    with_default = policy_of("{snp: {smt: false}}")
    assert b"vmpl" not in with_default.canonical()
    assert Policy.defaults().digest == Policy.defaults().digest
