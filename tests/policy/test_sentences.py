"""The exact sentences of denials."""

from __future__ import annotations

from typing import Any

import pytest

from attest.policy import Policy
from tests.policy.conftest import GPU, NOW, SNP, TDX, Judge, policy_of, tree

M = SNP["measurement"]


def p_yaml(lines: dict[int, str], platforms: str = "snp") -> Policy:
    """A policy in p.yaml with the given text at the given lines, as the sentences cite them."""
    text = ["policy: 1", "name: t", f"platforms: [{platforms}]"]
    for number, line in sorted(lines.items()):
        text += [""] * (number - len(text) - 1) + [line]
    return Policy.from_text("\n".join(text), "p.yaml")


def sentences(appraisal: Any) -> list[str]:
    return [problem.message for problem in appraisal.problems]


def test_t_debug_is_named_with_what_it_means(judge: Judge) -> None:
    assert sentences(judge(tree(snp={**SNP, "debug": "true"}))) == [
        "The VM can be debugged (snp.debug, default). The host can read its memory."
        " Launch with policy bit 19 = 0."
    ]


def test_t_vmpl_other_levels_are_named(judge: Judge) -> None:
    assert sentences(judge(tree(snp={**SNP, "vmpl": "1"}))) == [
        "Report came from VMPL 1, wanted 0 (snp.vmpl, default). A layer above can forge it. Usual on AWS;"
        ' if you trust it: "vmpl: {one-of: [0, 1], override: REASON}".'
    ]


def test_t_tdx_status_out_of_date(judge: Judge) -> None:
    raw = {
        "tdx": {
            "tcb": {
                "platform": {"behind": ["SGX component 1 is 3, wanted 4"], "advisories": []},
                "module": {"behind": ["TDX module 5, wanted 7"], "advisories": ["INTEL-SA-01036"]},
                "qe": {"behind": [], "advisories": []},
            }
        }
    }
    assert sentences(judge(tree(tdx={**TDX, "tcb-status": "OutOfDate"}, raw=raw))) == [
        "TDX platform is OutOfDate (tdx.tcb-status, default). Behind: TDX module 5, wanted 7;"
        " SGX component 1 is 3, wanted 4. INTEL-SA-01036. Update the BIOS or accept each advisory."
    ]


def test_grace_period_ended(judge: Judge) -> None:
    policy = p_yaml({13: "require: {snp: {", 14: "smt: {is: false, else: warn, until: 2027-01-31}}}"})
    later = NOW.replace(year=2027, month=2)
    assert sentences(judge(tree(snp=SNP, time=None), policy, at=later)) == [
        "A grace period ended on 2027-01-31 (snp.smt, p.yaml:14). Disable SMT."
    ]


def test_unlisted_measurement(judge: Judge) -> None:
    policy = p_yaml(
        {
            4: "references: {web: {type: snp.measurement, values: [",
            5: f'{{value: "{"01" * 48}"}}, {{value: "{"02" * 48}"}}, {{value: "{"03" * 48}", state: revoked}}]}}}}',
            11: "require: {snp: {",
            12: "measurement: {in: web}}}",
        }
    )
    assert sentences(judge(tree(snp=SNP), policy)) == [
        "Unknown launch measurement (snp.measurement, p.yaml:12). Found 41d0…9c, none of the 2 valid values"
        ' of "web". Recompute it for this firmware and vCPU count.'
    ]


def test_t_rv_revoked_measurement(judge: Judge) -> None:
    policy = p_yaml(
        {
            4: "references: {web: {type: snp.measurement, values: [",
            5: f'{{value: "{"01" * 48}", name: web 1.4.2}},',
            6: f'{{value: "{M}", name: web 1.4.1, state: revoked, since: 2026-11-02,',
            7: 'because: "CVE-2026-1234 in the image"}]}}',
            11: "require: {snp: {",
            12: "measurement: {in: web}}}",
        }
    )
    assert sentences(judge(tree(snp=SNP), policy)) == [
        "Revoked launch measurement (snp.measurement, p.yaml:12). This is web 1.4.1, revoked 2026-11-02:"
        " CVE-2026-1234 in the image. Deploy web 1.4.2."
    ]


def test_old_vbios_of_one_gpu(judge: Judge) -> None:
    gpus = [{**GPU, "id": f"{index:02x}" * 20, "count": "8"} for index in range(8)]
    gpus[3] |= {"vbios": "96.00.74.00.1A", "id": "53c2" + "00" * 16 + "5771"}
    policy = p_yaml({20: "require: {snp: {debug: false}, gpu: {", 21: "vbios: {at-least: 96.00.9F}}}"})
    assert sentences(judge(tree(snp=SNP, gpu=gpus), policy)) == [
        "GPU 3 of 8: VBIOS is too old (gpu[3].vbios, p.yaml:21). Wanted ≥ 96.00.9F, found 96.00.74.00.1A;"
        " the other 7 pass. Update GPU 53C2…5771."
    ]


def test_t_empty_too_few_gpus(judge: Judge) -> None:
    gpus = [{**GPU, "id": f"{index:02x}" * 20, "count": "7"} for index in range(7)]
    policy = p_yaml({17: "require: {snp: {debug: false}, gpu: {", 18: "count: {at-least: 8}}}"})
    assert sentences(judge(tree(snp=SNP, gpu=gpus), policy)) == [
        "Too few GPUs (gpu.count, p.yaml:18). Wanted ≥ 8, found 7. See the driver log."
    ]


def test_unbound_gpu(judge: Judge) -> None:
    claims = tree(snp=SNP, gpu=[GPU])
    claims["binding"]["gpu-to-cpu"] = "false"
    assert sentences(judge(claims)) == [
        "GPU evidence is not tied to this VM (binding.gpu-to-cpu, default). It may be another machine's."
        " The client must hash it into report data."
    ]


def test_unknown_mitigations(judge: Judge) -> None:
    policy = p_yaml({15: "require: {snp: {", 16: "mitigations-launch: {has-bits: 1}}}"})
    assert sentences(judge(tree(snp=SNP), policy)) == [
        "Cannot tell (snp.mitigations-launch, p.yaml:16). Report version 3 does not carry it (5 does);"
        " unknown counts as not met. Drop the rule or update firmware."
    ]


@pytest.mark.parametrize("bound", ["{snp: 24}", "{milan: {snp: 24}}"])
def test_t_tcb_rollback_old_firmware_names_both_versions(judge: Judge, bound: str) -> None:
    policy = p_yaml({8: "require: {snp: {", 9: f"tcb: {{at-least: {bound}}}}}}}"})
    old = {**SNP, "tcb": {**SNP["tcb"], "snp": "23"}}
    assert sentences(judge(tree(snp=old), policy)) == [
        "SNP firmware is too old (snp.tcb, p.yaml:9). Wanted snp ≥ 24 on Milan, found 23."
        " The host must update and commit firmware."
    ]


def test_the_policys_own_fix_and_why_are_said(judge: Judge) -> None:
    policy = policy_of('{snp: {smt: {is: false, why: "We sell isolation", fix: "Ask ops@example"}}}')
    assert sentences(judge(tree(snp=SNP), policy)) == [
        "Simultaneous multithreading is on (snp.smt, p.yaml:4). We sell isolation. Ask ops@example."
    ]


def test_t_render_text_of_evidence_is_escaped(judge: Judge) -> None:
    hostile = "570\x1b[31m\u202e.1"
    policy = policy_of("{snp: {debug: false}, gpu: {driver: {at-least: 550.1}}}")
    appraisal = judge(tree(snp=SNP, gpu=[{**GPU, "driver": hostile, "id": "\x1b[2J" * 9}]), policy)
    shown = "".join(map(str, [problem.as_dict() for problem in appraisal.problems] + list(appraisal.rules)))
    assert appraisal.verdict == "refused"
    assert "\x1b" not in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        (["stale"], "The answer about HCC 0 is from 2027-01-01T00:00:00Z to 2027-01-02T00:00:00Z."),
        (["good", "stale", "stale"], "to 2027-01-02T00:00:00Z, and 1 more."),
        # Whom the responder does not know is not excused by another's old answer.
        (["unknown", "stale"], "The responder does not know a certificate of the device ("),
        (["unknown"], "The responder does not know a certificate of the device ("),
    ],
)  # fmt: skip
def test_an_answer_out_of_date_is_not_told_as_an_unknown_device(
    judge: Judge, statuses: list[str], said: str
) -> None:
    raw = {
        "gpu": [
            {
                "revocation": [
                    {
                        "certificate": f"HCC {index}",
                        "status": status,
                        "this_update": "2027-01-01T00:00:00Z",
                        "next_update": "2027-01-02T00:00:00Z",
                    }
                    for index, status in enumerate(statuses)
                ]
            }
        ]
    }
    (sentence,) = sentences(judge(tree(snp=SNP, gpu=[{**GPU, "cert": "unknown"}], raw=raw)))
    assert said in sentence
    assert ("Give current OCSP answers" in sentence) is ("out of date" in sentence)
