"""What Trustee's attestation service shows a policy, and what of a policy it can therefore not be asked."""

from __future__ import annotations

import copy
import re
from collections import Counter
from typing import Any

import pytest

from attest.claims import CLAIMS, read_instant
from attest.policy import Policy, appraise
from attest.policy.interchange.rego_trustee import SHOWN
from attest.result.ear.rego import policy_in_rego
from tests.interchange.rego_apart import Engine
from tests.interchange.test_exporting_rego import JUDGED, engine
from tests.policy.conftest import NOW, policy_of, verified_of
from tests.policy.test_conformance import CASES, policies_of

LD = "41d0" + "ab" * 45 + "9c"
UNSEEN = {"snp.policy-unknown-bits": "the launcher sets POLICY"}
# The shape of `parse_tee_evidence` after `transform_claims`.
SNP: dict[str, Any] = {
    "snp": {
        "policy_abi_major": 1,
        "policy_abi_minor": 51,
        "policy_smt_allowed": True,
        "policy_migrate_ma": False,
        "policy_debug_allowed": False,
        "policy_single_socket": False,
        "reported_tcb_bootloader": 4,
        "reported_tcb_tee": 0,
        "reported_tcb_snp": 24,
        "reported_tcb_microcode": 219,
        "platform_tsme_enabled": False,
        "platform_smt_enabled": True,
        "measurement": LD,
        "chip_id": "11" * 64,
    },
    "init_data": "00" * 32,
    "init_data_claims": None,
    "report_data": "22" * 64,
    "runtime_data_claims": {"nonce": "x"},
}
# `generate_parsed_claim` and `prepare_custom_claims_map`; numbers of the quote are hex, lowest byte first.
TDX: dict[str, Any] = {
    "tdx": {
        "quote": {
            "header": {"version": "0400", "tee_type": "81000000", "vendor_id": "939a7233f79c4ca9940a0db3957f0607"},
            "body": {
                "tcb_svn": "05010700" + "00" * 12,
                "mr_seam": "ee" * 48,
                "td_attributes": "0000001000000000",
                "xfam": "e702060000000000",
                "mr_td": "aa" * 48,
                "mr_config_id": "00" * 48,
                "mr_owner": "00" * 48,
                "mr_owner_config": "00" * 48,
                **{f"rtmr_{index}": f"{index}b" * 48 for index in range(4)},
            },
        },
        "td_attributes": {"debug": False, "septve_disable": True},
        "tcb_status": "UpToDate",
        "tcb_eval_num": 18,
        "tcb_date": "2024-11-13T00:00:00Z",
        "advisory_ids": [],
        "collateral_expiration_status": "0",
        "uefi_event_logs": [],
    },
    "init_data": "00" * 48,
    "report_data": "22" * 64,
}  # fmt: skip
SNP_POLICY = policy_of(
    f"{{snp: {{measurement: {{is: {LD}, covers: image}}, tcb: {{at-least: {{snp: 24, microcode: 9}}}}, abi: {{at-least: 1.51}},"
    " smt: true, host-data: {exists: false}}}",
    more="allow-warnings: {no-freshness: the broker asks, revocation-unchecked: the broker asks}\n",
)
TDX_POLICY = policy_of(
    "{tdx: {mrtd: " + "aa" * 48 + ", rtmr1: " + "1b" * 48 + ", rtmr2: {is: " + "2b" * 48 + ", covers: image},"
    " xfam: 0x602e7, event-log: replayed, tcb-evaluation: {at-least: 18, override: ours}, tee-tcb-svn: {at-least: {0: 5, 1: 1}}}}",
    platforms="tdx",
    more="allow-warnings: {no-freshness: the broker asks}\n",
)  # fmt: skip


def exported(policy: Policy, **without: str) -> Engine:
    export = policy_in_rego(policy, read="trustee", without=without)
    assert not export.unexported
    return Engine(export.text, at=NOW)


@pytest.fixture(scope="module")
def snp() -> Engine:
    return exported(SNP_POLICY, **UNSEEN)


@pytest.fixture(scope="module")
def tdx() -> Engine:
    return exported(TDX_POLICY)


def changed(document: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """value: None takes the member out."""
    found = copy.deepcopy(document)
    *way, last = path.split(".")
    inner = found
    for name in way:
        inner = inner[name]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return found


def test_a_machine_that_conforms_is_affirmed(snp: Engine, tdx: Engine) -> None:
    for asked, document in ((snp, SNP), (tdx, TDX)):
        assert asked.ask("deny", document) == []
        assert asked.ask("verdict", document) == "conforms-with-warnings"
        vector = asked.ask("trust_claims", document)
        assert (vector["executables"], vector["hardware"], vector["configuration"]) == (3, 2, 2)


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        ("snp.measurement", "0b" * 48, "snp.measurement"),
        ("snp.reported_tcb_snp", 23, "snp.tcb"),
        ("snp.reported_tcb_snp", "24", "snp.tcb"),
        ("snp.reported_tcb_snp", 24.5, "snp.tcb"),
        ("snp.reported_tcb_microcode", 256, "snp.tcb"),
        ("snp.policy_abi_minor", 50, "snp.abi"),
        ("snp.policy_debug_allowed", True, "snp.debug"),
        ("snp.policy_debug_allowed", "false", "snp.debug"),
        ("snp.policy_debug_allowed", 0, "snp.debug"),
        ("snp.policy_migrate_ma", True, "snp.migrate-ma"),
        ("snp.platform_smt_enabled", 1, "snp.smt"),
        ("init_data", "33" * 32, "snp.host-data"),
    ],
)
def test_a_machine_that_does_not_is_refused(snp: Engine, path: str, value: object, rule: str) -> None:
    document = changed(SNP, path, value)
    assert [one.split(" (")[0] for one in snp.ask("deny", document)] == [rule]
    assert max(snp.ask("trust_claims", document).values()) >= 96


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        ("tdx.quote.body.mr_td", "ab" * 48, "tdx.mrtd"),
        ("tdx.quote.body.rtmr_2", "2c" * 48, "tdx.rtmr2"),
        ("tdx.quote.body.xfam", "e702060000000080", "tdx.xfam"),
        ("tdx.quote.body.td_attributes", "0000000000000000", "tdx.sept-ve-disable"),
        ("tdx.quote.body.td_attributes", "0100001000000000", "tdx.debug"),
        ("tdx.quote.body.td_attributes", "0000003000000000", "tdx.migratable"),
        ("tdx.quote.body.td_attributes", "0001001000000000", "tdx.attributes"),
        ("tdx.quote.body.td_attributes", "0000001000000040", "tdx.attributes"),
        ("tdx.quote.body.mr_servicetd", "01" * 48, "tdx.mrservicetd"),
        ("tdx.quote.body.tcb_svn", "04010700" + "00" * 12, "tdx.tee-tcb-svn"),
        ("tdx.tcb_status", "OutOfDate", "tdx.tcb-status"),
        ("tdx.tcb_status", "TerminalStatus", "tdx.tcb-status"),
        ("tdx.tcb_eval_num", 17, "tdx.tcb-evaluation"),
        ("tdx.tcb_eval_num", "18", "tdx.tcb-evaluation"),
        ("tdx.collateral_expiration_status", "1", "tdx.crl"),
        ("tdx.collateral_expiration_status", 0, "tdx.crl"),
        ("tdx.uefi_event_logs", None, "tdx.event-log"),
    ],
)
def test_a_trust_domain_that_does_not_is_refused(tdx: Engine, path: str, value: object, rule: str) -> None:
    document = changed(TDX, path, value)
    assert [one.split(" (")[0] for one in tdx.ask("deny", document)] == [rule]


def test_each_member_that_a_rule_reads_must_be_there(snp: Engine, tdx: Engine) -> None:
    kept = set()
    for asked, document, inside in ((snp, SNP, "snp"), (tdx, TDX, "tdx"), (tdx, TDX, "tdx.quote.body")):
        found = document
        for name in inside.split("."):
            found = found[name]
        for name in found:
            if asked.ask("accept", changed(document, f"{inside}.{name}", None)):
                kept.add(f"{inside}.{name}")
    asked_of_nobody = {
        "snp.policy_smt_allowed", "snp.policy_single_socket", "snp.platform_tsme_enabled", "snp.chip_id",
        "snp.reported_tcb_bootloader", "snp.reported_tcb_tee", "tdx.td_attributes", "tdx.tcb_date", "tdx.advisory_ids",
        *(f"tdx.quote.body.{name}" for name in ("mr_seam", "mr_config_id", "mr_owner", "mr_owner_config", "rtmr_0", "rtmr_3")),
    }  # fmt: skip
    assert kept <= asked_of_nobody


@pytest.mark.parametrize(
    "document", [{}, {"sample": {"svn": "1"}}, {"az-snp-vtpm": SNP["snp"]}, {"snp": [], "tdx": "x"}]
)
def test_another_part_is_refused(snp: Engine, tdx: Engine, document: dict[str, Any]) -> None:
    for asked in (snp, tdx):
        assert asked.ask("accept", document) is False
        assert asked.ask("deny", document)
        assert max(asked.ask("trust_claims", document).values()) >= 96


def test_what_the_mapping_makes_is_what_is_said_to_be_shown(tdx: Engine) -> None:
    for document in (SNP, TDX):
        made = tdx.ask("tree", document)
        for section, claims in made.items():
            assert set(claims) == SHOWN[section]
            assert set(claims) <= set(CLAIMS[section])


@pytest.mark.parametrize(
    ("require", "platforms", "rules"),
    [
        ("{snp: {smt: true}}", "snp", {"snp.policy-unknown-bits"}),
        ("{snp: {product: milan}}", "snp", {"snp.policy-unknown-bits", "snp.product"}),
        ("{snp: {tcb: {at-least: {milan: {snp: 24}}}}}", "snp", {"snp.policy-unknown-bits", "snp.tcb"}),
        ("{snp: {id-key: {exists: false}}}", "snp", {"snp.policy-unknown-bits", "snp.id-key"}),
        ("{snp: {none: [{guest-svn: 1}, {smt: true}]}}", "snp", {"snp.policy-unknown-bits", "snp.none"}),
        ("{snp: {fixed: [amd-sb-3019]}}", "snp", {"snp.policy-unknown-bits", "snp.fixed"}),
        ("{snp: {smt: true}, binding: {key: true}}", "snp", {"snp.policy-unknown-bits", "binding.key"}),
        ("{snp: {smt: true}, gpu: {count: 1}}", "snp", {"snp.policy-unknown-bits", "gpu"}),
        ("{tdx: {tcb-lag: {at-most: 30d}}}", "tdx", {"tdx.tcb-lag"}),
        ("{gpu: {count: 1}}", "none", {"platforms", "gpu"}),
    ],
)
def test_what_the_input_does_not_carry_is_listed_and_refuses(
    require: str, platforms: str, rules: set[str]
) -> None:
    export = policy_in_rego(policy_of(require, platforms=platforms), read="trustee")
    assert {one.rule for one in export.unexported} == rules
    for one in export.unexported:
        assert f"NOT EXPORTED, so it refuses: {one.rule}" in export.text
    asked = Engine(export.text, at=NOW)
    denied = {one.split(" (")[0] for one in asked.ask("deny", TDX if platforms == "tdx" else SNP)}
    assert {rule.replace("gpu", "gpu.present") if rule == "gpu" else rule for rule in rules} <= denied


def test_only_what_the_input_cannot_meet_is_left_out() -> None:
    with pytest.raises(ValueError, match=r"snp\.debug is no rule"):
        policy_in_rego(SNP_POLICY, read="trustee", without={"snp.debug": "why not"})
    with pytest.raises(ValueError, match=r"snp\.policy-unknown-bits"):
        policy_in_rego(SNP_POLICY, read="claims", without=UNSEEN)
    export = policy_in_rego(SNP_POLICY, read="trustee", without=UNSEEN)
    assert "LOOSER THAN THE POLICY, without snp.policy-unknown-bits (default)" in export.text
    assert UNSEEN["snp.policy-unknown-bits"] in export.text
    assert [one.rule for one in export.left_out] == ["snp.policy-unknown-bits"]


def test_a_program_that_is_left_out_is_not_affirmed() -> None:
    policy = policy_of(
        "{snp: {id-key: "
        + "ab" * 48
        + ", guest-svn: {at-least: 1}, measurement: {none-of: ["
        + "cd" * 48
        + "]}}}"
    )
    without = {**UNSEEN, "snp.id-key": "tried", "snp.guest-svn": "tried"}
    asked = Engine(policy_in_rego(policy, read="trustee", without=without).text, at=NOW)
    assert asked.ask("accept", SNP) is True
    assert "no-workload-identity" in asked.answer("warnings")
    assert asked.answer("trust_claims")["executables"] == 0


def test_accepted_advisories_are_accepted_by_nobody() -> None:
    policy = policy_of(
        "{tdx: {mrtd: " + "aa" * 48 + "}}", platforms="tdx",
        more="accept: [{advisory: INTEL-SA-01192, until: 2027-12-31, because: x}]\n",
    )  # fmt: skip
    export = policy_in_rego(policy, read="trustee")
    assert [one.rule for one in export.unexported] == ["accept"]
    behind = changed(changed(TDX, "tdx.tcb_status", "OutOfDate"), "tdx.advisory_ids", ["INTEL-SA-01192"])
    denied = Engine(export.text, at=NOW).ask("deny", behind)
    assert [one.split(" (")[0] for one in denied] == ["tdx.tcb-status"]


# -- the conformance cases --------------------------------------------------------------------------


def as_number(text: object) -> object:
    if isinstance(text, str) and re.fullmatch(r"0|[1-9][0-9]*|0x[0-9a-f]+", text):
        return int(text, 0)
    return text


def as_bool(text: object) -> object:
    return {"true": True, "false": False}.get(text, text) if isinstance(text, str) else text


def backwards(text: object) -> object:
    """A number as the quote has it."""
    value = as_number(text)
    return value.to_bytes(8, "little").hex() if isinstance(value, int) and value < 1 << 64 else text


def as_trustee_shows(claims: dict[str, Any]) -> dict[str, Any]:
    """A claim tree as Trustee would have told its policy: the way back, written apart from the mapping."""
    if "snp" in claims:
        found = claims["snp"]
        tcb = found.get("tcb")
        major, _, minor = str(found.get("abi", "")).partition(".")
        shown = {
            "policy_abi_major": as_number(major),
            "policy_abi_minor": as_number(minor),
            "policy_smt_allowed": as_bool(found.get("smt-allowed")),
            "policy_migrate_ma": as_bool(found.get("migrate-ma")),
            "policy_debug_allowed": as_bool(found.get("debug")),
            "policy_single_socket": as_bool(found.get("single-socket")),
            "platform_tsme_enabled": as_bool(found.get("tsme")),
            "platform_smt_enabled": as_bool(found.get("smt")),
            "measurement": found.get("measurement"),
            "chip_id": found.get("chip-id", "00" * 64),
            **{
                f"reported_tcb_{name}": as_number(tcb[name])
                if isinstance(tcb, dict) and name in tcb
                else None
                for name in ("bootloader", "tee", "snp", "microcode")
            },
        }
        return {"snp": shown, "init_data": found.get("host-data", "00" * 32)}
    found = claims["tdx"]
    body = {
        "tcb_svn": found.get("tee-tcb-svn"),
        "td_attributes": backwards(found.get("attributes")),
        "xfam": backwards(found.get("xfam")),
        "mr_td": found.get("mrtd"),
        "mr_seam": found.get("mrseam"),
        **{f"rtmr_{index}": found.get(f"rtmr{index}") for index in range(4)},
        "mr_config_id": found.get("mrconfigid", "00" * 48),
        "mr_owner": found.get("mrowner", "00" * 48),
        "mr_owner_config": found.get("mrownerconfig", "00" * 48),
        "mr_servicetd": found.get("mrservicetd"),
    }
    return {
        "tdx": {
            "quote": {"body": {name: value for name, value in body.items() if value is not None}},
            "tcb_status": found.get("tcb-status"),
            "tcb_eval_num": as_number(found.get("tcb-evaluation")),
            "collateral_expiration_status": {"fresh": "0"}.get(found.get("crl"), "1"),
            **({"uefi_event_logs": []} if found.get("event-log") == "replayed" else {}),
        }
    }


def as_we_would_see(claims: dict[str, Any]) -> dict[str, Any]:
    """The same machine with what Trustee shows, what it refuses by itself, and what the owner does without."""
    section = "snp" if "snp" in claims else "tdx"
    shown = {name: value for name, value in claims[section].items() if name in SHOWN[section]}
    if section == "snp":
        if isinstance(shown.get("tcb"), dict):
            shown["tcb"] = {name: value for name, value in shown["tcb"].items() if name != "fmc"}
        shown |= {"vmpl": "0", "crl": "absent", "policy-unknown-bits": "0"}
        may_be_absent = {"host-data", "chip-id"}
    else:
        # Its own bits of TDATTRIBUTES are read, not what a case says of them.
        if isinstance(bits := as_number(shown.get("attributes")), int):
            shown |= {
                "debug": str(bits & 0xFF != 0).lower(),
                "migratable": str(bits >> 29 & 1 == 1).lower(),
                "sept-ve-disable": str(bits >> 28 & 1 == 1).lower(),
            }
        shown["event-log"] = "replayed" if shown.get("event-log") == "replayed" else "absent"
        shown["crl"] = "fresh" if shown.get("crl") == "fresh" else "stale"
        may_be_absent = {"mrconfigid", "mrowner", "mrownerconfig", "mrservicetd"}
    # Trustee always carries the others, so that one is missing says nothing of the machine.
    shown |= dict.fromkeys(SHOWN[section] - may_be_absent - set(shown), "unreadable")
    return {"evidence": {"verified-by": "self", "simulated": "false"}, section: shown, "raw": {}}


def cases() -> list[str]:
    """Machines that Trustee's policies for CPUs can be shown: one CPU part, no paravisor."""
    found = []
    for name in JUDGED:
        claims = CASES[name]["claims"]
        if "azure" not in claims and isinstance(claims.get("snp", claims.get("tdx")), dict):
            found.append(name)
    return found


def test_conformance_cases_are_never_accepted_where_we_would_refuse() -> None:
    """And where all of the policy could be exported, always accepted where we would."""
    told = Counter[str]()
    for name in cases():
        case = CASES[name]
        policy, at = policies_of(case)[0], read_instant(case["now"])
        hidden = {one.rule for one in policy_in_rego(policy, read="trustee").unexported}
        without = UNSEEN if "snp.policy-unknown-bits" in hidden else {}
        export = policy_in_rego(policy, read="trustee", without=without)
        if export.unexported and told["partly"] >= 25:
            continue
        accepted = engine(export.text, at).ask("accept", as_trustee_shows(case["claims"]))
        ours = appraise(verified_of(as_we_would_see(case["claims"]), at=at), policy, at=at).conforms
        assert ours or not accepted, name
        if not export.unexported:
            assert accepted == ours, (name, engine(export.text, at).answer("deny"))
        told["partly" if export.unexported else "accepted" if accepted else "refused"] += 1
    assert told["accepted"] >= 30
    assert told["refused"] >= 30
