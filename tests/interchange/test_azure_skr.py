"""Azure's release policies: each condition a rule, held without one, or listed."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.errors import Malformed
from attest.policy import Policy, appraise
from attest.policy.interchange.azure_skr import read_azure_skr
from attest.policy.interchange.draft import Draft, write
from tests.counts import tenth
from tests.policy.conftest import NOW, SNP, TDX, tree, verified_of

TEE = "x-ms-isolation-tee."
LD, MRTD, KEY = "ab" * 48, "cd" * 48, "ef" * 48
SNP_TYPE = {"claim": TEE + "x-ms-attestation-type", "equals": "sevsnpvm"}
TDX_TYPE = {"claim": TEE + "x-ms-attestation-type", "equals": "tdxvm"}
UVM = {"claim": "x-ms-compliance-status", "equals": "azure-compliant-uvm"}


def release(*branches: list[object]) -> bytes:
    authorities = [
        {"authority": f"https://maa{number}.example", "allOf": conditions}
        for number, conditions in enumerate(branches)
    ]
    return json.dumps({"version": "1.0.0", "anyOf": authorities}, indent=1).encode()


def skr(*conditions: object) -> bytes:
    return release([SNP_TYPE, *conditions])


def pinned(*conditions: object) -> bytes:
    return skr({"claim": TEE + "x-ms-sevsnpvm-launchmeasurement", "equals": LD}, *conditions)


def snp(name: str, operator: str, value: object) -> dict[str, object]:
    return {"claim": f"{TEE}x-ms-sevsnpvm-{name}", operator: value}


def rules_of(draft: Draft) -> dict[tuple[str, str], str]:
    return {(one.section, one.claim): one.operand for one in draft.entries}


def loaded(draft: Draft) -> Policy:
    values = {"idk": KEY, "svn": "1", "mrtd": MRTD}
    return Policy.from_text(write(draft, name="a"), parameters={name: values[name] for name in draft.params})


def test_conditions_become_rules() -> None:
    draft = read_azure_skr(
        pinned(
            snp("is-debuggable", "equals", False),
            snp("guestsvn", "greater", 4),
            snp("snpfw-svn", "greaterOrEquals", 24),
            snp("microcode-svn", "equals", 219),
        )
    )
    assert not draft.unmapped
    assert draft.platforms == ["azure-snp"]
    loaded(draft)
    assert [(one.section, one.claim, one.operand) for one in draft.entries] == [
        ("snp", "measurement", f'"{LD}"'),
        ("snp", "debug", "false"),
        ("snp", "guest-svn", "{at-least: 5}"),
        ("snp", "tcb", "{at-least: {snp: 24}}"),
        ("snp", "tcb", "{at-least: {microcode: 219}, at-most: {microcode: 219}}"),
        ("azure", "user-data-bound", "true"),
    ]


@pytest.mark.parametrize(
    ("claim", "value", "rule"),
    [
        ("secureboot", True, ("boot", "secure-boot", "true")),
        (TEE + "x-ms-runtime.vm-configuration.secure-boot", True, ("azure", "secure-boot", "true")),
        ("x-ms-runtime.vm-configuration.secure-boot", "true", ("azure", "secure-boot", "true")),
        (
            TEE + "x-ms-runtime.vm-configuration.vmUniqueId",
            "B958DC88-E41D-47F1-8D20-E57B6B7E9825",
            ("azure", "vm-id", '"b958dc88-e41d-47f1-8d20-e57b6b7e9825"'),
        ),
        (
            "x-ms-azurevm-vmid",
            "B958DC88-E41D-47F1-8D20-E57B6B7E9825",
            ("azure", "vm-id", '"b958dc88-e41d-47f1-8d20-e57b6b7e9825"'),
        ),
        (
            "x-ms-azurevm-attested-pcr-values.pcr11",
            base64.b64encode(bytes(range(32))).decode(),
            ("azure", "pcr11", f'"{bytes(range(32)).hex()}"'),
        ),
        ("x-ms-azurevm-attested-pcr-values.pcr4", "AB" * 32, ("azure", "pcr4", f'"{"AB" * 32}"')),
        (TEE + "x-ms-sevsnpvm-hostdata", "00" * 32, ("snp", "host-data", "{exists: false}")),
        (TEE + "x-ms-sevsnpvm-idkeydigest", KEY, ("snp", "id-key", f'"{KEY}"')),
    ],
)
def test_a_claim_has_its_name_here(claim: str, value: object, rule: tuple[str, str, str]) -> None:
    draft = read_azure_skr(pinned({"claim": claim, "equals": value}))
    assert not draft.unmapped
    assert rule in [(one.section, one.claim, one.operand) for one in draft.entries]
    assert draft.platforms == ["azure-snp"]
    loaded(draft)


@pytest.mark.parametrize(
    ("claim", "value", "rule"),
    [
        ("tdx_mrtd", MRTD, ("mrtd", f'"{MRTD}"')),
        ("tdx_mrconfigid", "00" * 48, ("mrconfigid", "{exists: false}")),
        ("tdx_td_attributes", "0000001000000000", ("attributes", "0x10000000")),
        ("tdx_xfam", "e702060000000000", ("xfam", "0x602e7")),
        ("tdx_td_attributes_debug", False, ("debug", "false")),
        ("tdx_td_attributes_perfmon", False, ("attributes", "{no-bits: 0x8000000000000000}")),
        ("tdx_td_attributes_protection_keys", True, ("attributes", "{has-bits: 0x40000000}")),
        ("attester_tcb_status", "UpToDate", ("tcb-status", "UpToDate")),
    ],
)
def test_claims_of_a_td_have_their_names_here(claim: str, value: object, rule: tuple[str, str]) -> None:
    draft = read_azure_skr(release([TDX_TYPE, {"claim": TEE + claim, "equals": value}]))
    assert not draft.unmapped
    assert draft.platforms == ["azure-tdx"]
    assert rule in [(one.claim, one.operand) for one in draft.entries]
    assert draft.params == ({} if claim == "tdx_mrtd" else {"mrtd": "tdx.mrtd"})
    loaded(draft)


@pytest.mark.parametrize(
    "condition",
    [
        {"claim": "x-ms-policy.edge-compliant-cvm", "equals": "true"},
        {"claim": "x-ms-azurevm-debuggersdisabled", "equals": True},
        {"claim": "x-ms-azurevm-vmid", "equals": "<your VM>"},
        {"claim": "x-ms-azurevm-attested-pcr-values.pcr24", "equals": "00" * 32},
        {"claim": "x-ms-azurevm-attested-pcr-values.pcr4", "equals": "AAAA"},
        {"claim": TEE + "x-ms-attestation-type", "notEquals": "tdxvm"},
        {"claim": TEE + "x-ms-compliance-status", "equals": "azure-compliant-cvm"},
        {"claim": TEE + "x-ms-runtime.vm-configuration.tpm-enabled", "equals": False},
        {"claim": "attester_tcb_status", "equals": "Fine"},
        snp("hostdata", "equals", "aaa7***7cc09d"),
        snp("hostdata", "exists", "false"),
        snp("unheard-of", "equals", "1"),
        snp("guestsvn", "less", 0),
        snp("guestsvn", "equals", "many"),
        snp("snpfw-svn", "notEquals", 24),
        snp("snpfw-svn", "exists", True),
        snp("launchmeasurement", "greater", LD),
        snp("is-debuggable", "equals", "no"),
    ],
)
def test_what_has_no_counterpart_is_listed_with_its_line(condition: dict[str, object]) -> None:
    draft = read_azure_skr(pinned(condition))
    assert [(one.line, one.what) for one in draft.unmapped] == [(16, condition["claim"])]
    loaded(draft)


def test_a_tpm_is_part_of_the_evidence() -> None:
    draft = read_azure_skr(
        pinned({"claim": TEE + "x-ms-runtime.vm-configuration.tpm-enabled", "equals": True})
    )
    assert not draft.unmapped


def test_the_paravisor_that_azure_judged_is_asked_of_the_owner() -> None:
    draft = read_azure_skr(skr({"claim": TEE + "x-ms-compliance-status", "equals": "azure-compliant-cvm"}))
    assert [one.what for one in draft.unmapped] == [TEE + "x-ms-compliance-status"]
    assert draft.params == {"idk": "snp.id-key", "svn": "snp.guest-svn"}
    loaded(draft)


@pytest.mark.parametrize(
    "conditions",
    [
        [snp("idkeydigest", "notEquals", KEY)],
        [snp("guestsvn", "equals", 4), snp("idkeydigest", "equals", KEY)],
        [snp("launchmeasurement", "notEquals", LD)],
        [snp("launchmeasurement", "exists", True)],
    ],
)
def test_what_does_not_pin_the_paravisor_is_not_taken_for_a_pin(conditions: list[object]) -> None:
    draft = read_azure_skr(skr(*conditions))
    assert not draft.unmapped
    assert draft.params
    loaded(draft)


# -- containers, machines, kinds ----------------------------------------------------------------------------------


def test_containers_have_a_report_of_their_own() -> None:
    plain = {"claim": "x-ms-sevsnpvm-hostdata", "equals": "12" * 32}
    draft = read_azure_skr(release([{"claim": "x-ms-attestation-type", "equals": "sevsnpvm"}, UVM, plain]))
    assert draft.platforms == ["snp"]
    assert rules_of(draft) == {("snp", "host-data"): f'"{"12" * 32}"'}
    assert [one.what for one in draft.unmapped] == ["x-ms-compliance-status"]
    loaded(draft)


def test_a_report_alone_is_a_container_s_unless_something_speaks_of_a_paravisor() -> None:
    kind = {"claim": "x-ms-attestation-type", "equals": "sevsnpvm"}
    assert read_azure_skr(release([kind])).platforms == ["snp"]
    compliant = {"claim": "x-ms-compliance-status", "equals": "azure-compliant-cvm"}
    assert read_azure_skr(release([kind, compliant])).platforms == ["azure-snp"]
    boot = {"claim": "x-ms-runtime.vm-configuration.secure-boot", "equals": True}
    assert read_azure_skr(release([kind, boot])).platforms == ["azure-snp"]


def test_utility_machines_need_no_word_about_their_kind() -> None:
    draft = read_azure_skr(release([UVM]))
    assert [one.what for one in draft.unmapped] == ["x-ms-compliance-status"]
    assert rules_of(draft) == {("snp", "debug"): "false"}
    loaded(draft)


def test_a_policy_that_names_no_kind_says_so_without_a_line() -> None:
    draft = read_azure_skr(release([{"claim": "secureboot", "equals": True}]))
    assert [(one.line, one.what) for one in draft.unmapped] == [(None, "x-ms-attestation-type")]
    assert draft.platforms == ["azure-snp"]


def test_either_kind_of_machine() -> None:
    draft = read_azure_skr(release([{"anyOf": [SNP_TYPE, TDX_TYPE]}]))
    assert not draft.unmapped
    assert draft.platforms == ["azure-snp", "azure-tdx"]
    assert draft.params == {"mrtd": "tdx.mrtd", "idk": "snp.id-key", "svn": "snp.guest-svn"}
    loaded(draft)


def test_each_kind_of_machine_with_its_rules() -> None:
    draft = read_azure_skr(
        release(
            [
                {
                    "anyOf": [
                        {"allOf": [SNP_TYPE, snp("launchmeasurement", "equals", LD)]},
                        {"allOf": [TDX_TYPE, {"claim": TEE + "tdx_mrtd", "equals": MRTD}]},
                    ]
                }
            ]
        )
    )
    assert not draft.unmapped
    assert draft.platforms == ["azure-snp", "azure-tdx"]
    assert rules_of(draft)["snp", "measurement"] == f'"{LD}"'
    assert rules_of(draft)["tdx", "mrtd"] == f'"{MRTD}"'
    assert not draft.params
    loaded(draft)


def test_a_claim_of_one_kind_leaves_no_other() -> None:
    draft = read_azure_skr(release([{"anyOf": [SNP_TYPE, TDX_TYPE]}, snp("guestsvn", "greater", 2)]))
    assert draft.platforms == ["azure-snp"]


def test_conditions_that_no_machine_meets_are_refused() -> None:
    with pytest.raises(Malformed, match="no machine is of both kinds"):
        read_azure_skr(release([SNP_TYPE, {"claim": TEE + "tdx_mrtd", "equals": MRTD}]))


@pytest.mark.parametrize(
    "other",
    [
        {"claim": "x-ms-azurevm-attested-pcr-values.pcr4", "equals": "12" * 32},
        {"claim": TEE + "x-ms-sevsnpvm-launchmeasurement", "equals": LD},
        {"claim": "x-ms-compliance-status", "equals": "azure-compliant-cvm"},
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_containers_and_machines_with_a_paravisor_are_imported_apart(other: object, together: bool) -> None:
    """As one they would be taken for containers, and what a paravisor alone can say would be asked of nobody."""
    branches = ([UVM, other],) if together else ([UVM], [other])
    with pytest.raises(Malformed, match="import each of them apart"):
        read_azure_skr(release(*branches))


# -- choices ------------------------------------------------------------------------------------------------------


def test_authorities_with_the_same_conditions_are_one() -> None:
    conditions: list[object] = [SNP_TYPE, snp("launchmeasurement", "equals", LD)]
    draft = read_azure_skr(release(conditions, conditions, conditions))
    assert not draft.unmapped
    assert [one.operand for one in draft.entries] == [f'"{LD}"', "true"]
    assert draft.notes == [
        "line 5: authority https://maa0.example: none is asked, the hardware's own signature is verified here"
    ]


def test_authorities_with_other_values_are_a_list_of_values() -> None:
    def host(value: str) -> list[object]:
        return [UVM, {"claim": "x-ms-sevsnpvm-hostdata", "equals": value * 32}]

    draft = read_azure_skr(release(host("12"), host("34"), host("12")))
    assert rules_of(draft) == {("snp", "host-data"): f'{{one-of: ["{"12" * 32}", "{"34" * 32}"]}}'}
    assert [one.what for one in draft.unmapped] == ["x-ms-compliance-status"] * 2
    assert len({one.line for one in draft.unmapped}) == 2
    loaded(draft)


def test_a_choice_keeps_what_all_branches_ask_and_drops_what_cannot_be_said() -> None:
    choice = {
        "anyOf": [
            {"allOf": [snp("is-debuggable", "equals", False), snp("guestsvn", "greater", 4)]},
            {"allOf": [snp("guestsvn", "equals", 3), snp("is-debuggable", "equals", False)]},
            {
                "allOf": [
                    snp("guestsvn", "equals", 5),
                    snp("is-debuggable", "equals", False),
                    {"claim": "x-ms-unheard-of", "equals": "x"},
                ]
            },
        ]
    }
    draft = read_azure_skr(pinned(choice))
    assert [one.what for one in draft.unmapped] == ["x-ms-unheard-of"]
    assert rules_of(draft)["snp", "debug"] == "false"
    assert [[one.operand for one in branch] for branch in draft.choices[0].branches] == [
        ["{at-least: 5}"],
        ["3"],
    ]
    loaded(draft)


@pytest.mark.parametrize("always", [SNP_TYPE, {"anyOf": [SNP_TYPE, TDX_TYPE]}])
def test_a_branch_that_always_holds_leaves_no_choice(always: dict[str, object]) -> None:
    draft = read_azure_skr(pinned({"anyOf": [always, snp("guestsvn", "equals", 3)]}))
    assert not draft.unmapped
    assert not draft.choices
    assert ("snp", "guest-svn") not in rules_of(draft)


@pytest.mark.parametrize(
    "branches",
    [
        [snp("guestsvn", "equals", 3), {"claim": "secureboot", "equals": True}],
        [
            {"allOf": [snp("guestsvn", "greater", 3), {"claim": "secureboot", "equals": True}]},
            snp("vmpl", "equals", 0),
        ],
        [
            {"allOf": [SNP_TYPE, {"claim": "secureboot", "equals": True}]},
            {"allOf": [TDX_TYPE, {"claim": TEE + "tdx_mrtd", "equals": MRTD}]},
        ],
    ],
)
def test_a_choice_across_parts_is_listed(branches: list[object]) -> None:
    draft = read_azure_skr(release([{"anyOf": branches}]))
    assert "anyOf" in [one.what for one in draft.unmapped]
    loaded(draft)


def test_a_choice_within_a_choice_is_listed() -> None:
    def either(a: int, b: int) -> dict[str, object]:
        return {"anyOf": [snp("guestsvn", "greater", a), snp("vmpl", "equals", b)]}

    draft = read_azure_skr(pinned({"anyOf": [either(1, 0), either(2, 0)]}))
    assert [one.what for one in draft.unmapped] == ["anyOf", "anyOf"]


@pytest.mark.parametrize(
    "condition",
    [
        snp("vmpl", "equals", 2),
        snp("is-debuggable", "equals", "true"),
        snp("migration-allowed", "equals", True),
    ],
)
def test_a_rule_wider_than_its_default_is_listed_and_the_default_holds(condition: dict[str, object]) -> None:
    draft = read_azure_skr(pinned(condition))
    (one,) = draft.unmapped
    assert one.line == 16
    assert "override" in one.why
    assert ("snp", "vmpl") not in rules_of(draft)
    loaded(draft)


def test_the_one_authority_of_an_allof() -> None:
    data = pinned().replace(b"anyOf", b"allOf", 1)
    assert rules_of(read_azure_skr(data)) == rules_of(read_azure_skr(pinned()))


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", 1),
        (b"[]", 1),
        (b'{"version": "1.0.0"}', None),
        (b'{\n"version": "0.2",\n"anyOf": [{"authority": "x", "allOf": [{"claim": "c", "equals": 1}]}]}', 2),
        (b'{"anyOf": [\n{"allOf": [{"claim": "c", "equals": 1}]}]}', 2),
        (b'{"anyOf": [{"authority": "x",\n"allOf": [{"claim": "c",\n"like": "1"}]}]}', 3),
        (b'{"anyOf": [{"authority": "x",\n"allOf": [{"claim": "c", "equals": 1, "less": 2}]}]}', 2),
        (b'{"anyOf": [{"authority": "x",\n"allOf": [{"claim": "c", "equals": NaN}]}]}', 2),
        (b'{"anyOf": [{"authority": "x",\n"allOf": [{"claim": "c",\n"equals": 1.5}]}]}', 3),
        (b'{"anyOf": [{"authority": "x",\n"allOf": [{"claim": 1, "equals": 1}]}]}', 2),
        (b'{"anyOf": [{"authority": "x",\n"allOf": []}]}', 2),
        (b'{"anyOf": []}', 1),
        (b'{"anyOf": [{"authority": "x", "anyof": [],\n"anyOf": []}]}', 2),
        (b'{"anyOf": [{"authority": "x",\n"allOf": [{"claim": "c", "equals": 1}]}],\n"comment": 1}', 3),
        (b'{"allOf": [{"authority": "x", "allOf": [1]},\n{"authority": "x", "allOf": [1]}]}', 1),
        (b'{"a": 1,\n"a": 2}', 2),
        (b"[" * 5000, 1),
        (b"\n\xff\xfe", 2),
        (b'{"anyOf": "' + b"x" * (300 << 10) + b'"}', 1),
        (skr(*[snp("guestsvn", "equals", 1)] * 600), 7 + 4 * 500),
    ],
)
def test_damaged_release_policies_are_refused_with_their_line(data: bytes, line: int | None) -> None:
    with pytest.raises(Malformed) as refusal:
        read_azure_skr(data)
    (problem,) = refusal.value.problems
    assert (problem.code, problem.where) == ("policy.import", None if line is None else f"line {line}")


# -- never looser -------------------------------------------------------------------------------------------------

OTHER = "11" * 48
LEAVES = [
    SNP_TYPE,
    TDX_TYPE,
    *(
        snp("guestsvn", operator, value)
        for operator in ("equals", "greater", "less", "notEquals")
        for value in (2, 3)
    ),
    *(
        snp("launchmeasurement", operator, value)
        for operator in ("equals", "notEquals")
        for value in (LD, OTHER)
    ),
    *(
        snp("hostdata", operator, value)
        for operator in ("equals", "notEquals")
        for value in ("00" * 32, "12" * 32)
    ),
    snp("is-debuggable", "equals", "false"),
    snp("smt-allowed", "equals", True),
    snp("snpfw-svn", "greaterOrEquals", 24),
    snp("snpfw-svn", "equals", 23),
    *({"claim": TEE + "tdx_mrtd", "equals": value} for value in (MRTD, OTHER)),
    {"claim": TEE + "tdx_td_attributes_debug", "equals": False},
    {"claim": TEE + "x-ms-runtime.vm-configuration.secure-boot", "equals": True},
]
CONDITIONS = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.builds(
        lambda kind, some: {kind: some},
        st.sampled_from(["anyOf", "allOf"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


def machines() -> list[dict[str, Any]]:
    azure = {
        "user-data-bound": "true",
        "secure-boot": "true",
        "vm-id": "b958dc88-e41d-47f1-8d20-e57b6b7e9825",
    }
    found = []
    for svn in ("1", "2", "3", "4"):
        for measurement, host, smt, boot in (
            (LD, None, "true", "true"),
            (OTHER, "12" * 32, "true", "false"),
            (LD, "12" * 32, "false", "true"),
        ):
            report = {**SNP, "guest-svn": svn, "measurement": measurement, "id-key": KEY, "smt-allowed": smt}
            if host:
                report["host-data"] = host
            if svn == "2":
                report["tcb"] = {**SNP["tcb"], "snp": "23"}
            found.append(tree(snp=report, azure={**azure, "secure-boot": boot}))
    for mrtd, boot in ((MRTD, "true"), (OTHER, "true"), (MRTD, "false")):
        found.append(tree(tdx={**TDX, "mrtd": mrtd}, azure={**azure, "secure-boot": boot}))
    return found


def token(claims: Mapping[str, Any]) -> dict[str, Any]:
    """What Azure Attestation writes of the machine, by path."""
    boot = {"x-ms-runtime.vm-configuration.secure-boot": claims["azure"]["secure-boot"] == "true"}
    if tdx := claims.get("tdx"):
        hardware = {
            "x-ms-attestation-type": "tdxvm",
            "tdx_mrtd": tdx["mrtd"],
            "tdx_td_attributes_debug": False,
        }
    else:
        report = claims["snp"]
        hardware = {"x-ms-attestation-type": "sevsnpvm"} | {
            f"x-ms-sevsnpvm-{name}": value
            for name, value in {
                "guestsvn": int(report["guest-svn"]),
                "launchmeasurement": report["measurement"],
                "hostdata": report.get("host-data", "00" * 32),
                "is-debuggable": False,
                "smt-allowed": report["smt-allowed"] == "true",
                "snpfw-svn": int(report["tcb"]["snp"]),
            }.items()
        }
    return {TEE + name: value for name, value in {**hardware, **boot}.items()}


def holds(condition: Mapping[str, Any], said: Mapping[str, Any]) -> bool:
    if "anyOf" in condition:
        return any(holds(one, said) for one in condition["anyOf"])
    if "allOf" in condition:
        return all(holds(one, said) for one in condition["allOf"])
    if condition["claim"] not in said:
        return False
    found, ((operator, wanted),) = (
        said[condition["claim"]],
        ((key, value) for key, value in condition.items() if key != "claim"),
    )
    if operator in ("equals", "notEquals"):
        return (str(found).lower() == str(wanted).lower()) == (operator == "equals")
    return bool(
        {"greater": found > wanted, "less": found < wanted, "greaterOrEquals": found >= wanted}[operator]
    )


MACHINES = machines()


@given(first=st.lists(CONDITIONS, min_size=1, max_size=3), second=st.lists(CONDITIONS, max_size=3))
@settings(max_examples=tenth(600), deadline=None)
def test_an_import_with_nothing_listed_passes_no_machine_that_azure_refuses(
    first: list[Any], second: list[Any]
) -> None:
    try:
        draft = read_azure_skr(release(*([first, second] if second else [first])))
    except Malformed as error:
        assert "no machine is of both kinds" in str(error)
        return
    policy = loaded(draft)
    if draft.unmapped:
        return
    for claims in MACHINES:
        if appraise(verified_of(claims), policy, at=NOW).verdict != "refused":
            said = token(claims)
            assert any(all(holds(one, said) for one in branch) for branch in (first, second) if branch), said


def test_the_largest_policies_cost_little() -> None:
    """Five hundred rules with a default, each of another value."""
    begun = time.process_time()
    draft = read_azure_skr(pinned(*[snp("vmpl", "equals", level) for level in range(1, 490)]))
    assert len(draft.unmapped) == 489
    long = read_azure_skr(pinned(*[{"claim": "x" * 400 + str(number), "equals": 1} for number in range(490)]))
    assert len(write(long, name="a")) < 256 << 10
    assert time.process_time() - begun < 4  # of a busy machine; one policy a rule took minutes


@given(data=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(max_examples=tenth(2_000), deadline=None)
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_azure_skr(data)


def test_no_condition_of_branches_goes_unsaid_where_none_of_them_can_be_said_whole() -> None:
    hosts = [snp("hostdata", "equals", text * 32) for text in ("12", "34")]
    others = [{"claim": name, "equals": "x"} for name in ("one", "two")]
    both = [{"allOf": [host, other]} for host, other in zip(hosts, others, strict=True)]
    draft = read_azure_skr(release([SNP_TYPE, {"anyOf": both}]))
    assert [one.what for one in draft.unmapped] == ["one", "two"]
    assert rules_of(draft)["snp", "host-data"] == f'{{one-of: ["{"12" * 32}", "{"34" * 32}"]}}'
    draft = read_azure_skr(release([SNP_TYPE, {"anyOf": [both[0], {"allOf": [others[1]]}]}]))
    assert ("snp", "host-data") not in rules_of(draft)
    assert [one.what.partition(":")[0] for one in draft.unmapped] == ["one", "two", "snp.host-data"]
