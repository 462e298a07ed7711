"""Tokens of Trustee's attestation service: what is mapped, what is not, and who must say that it counts."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest import Malformed, Rejected, appraise
from attest.policy import Policy
from attest.result.ear import Attested
from attest.result.passport import Issuer, IssuerKey, read
from tests.passport.conftest import (
    ANNOTATED,
    GUEST_KEY,
    KEYS,
    MEASUREMENT,
    SNP,
    TRUSTEE,
    cpu,
    part,
    payload,
    signed,
)
from tests.policy.conftest import NOW, verified_of

NAMED = f"""\
policy: 1
name: passports
platforms: [snp]
allow-warnings:
  revocation-unchecked: it looks at lists itself
  no-freshness: it gave the challenge
  issuer.silent: it refuses other levels
require:
  evidence: {{verified-by: {{one-of: [trustee-prod], override: we run it}}}}
  snp: {{measurement: {{is: "{MEASUREMENT}", covers: image}}}}
"""


def policy(text: str = NAMED) -> Policy:
    return Policy.from_text(text, where="test")


def accepted(token: bytes, issuer: Issuer = TRUSTEE, **more: Any) -> Attested:
    return read(token, issuer, KEYS, at=NOW, **more)


def codes(
    token: bytes, issuer: Issuer = TRUSTEE, keys: tuple[IssuerKey, ...] = KEYS, **more: Any
) -> set[str]:
    with pytest.raises((Malformed, Rejected)) as refusal:
        read(token, issuer, keys, **{"at": NOW, **more})
    return refusal.value.codes


def test_what_it_asserts_is_mapped_and_nothing_else() -> None:
    attested = accepted(signed(payload()))
    assert attested.claims == {
        "evidence": {"verified-by": "trustee-prod", "simulated": "false"},
        "raw": {},
        "snp": {
            "tcb": {"bootloader": "4", "tee": "0", "snp": "24", "microcode": "219"},
            "abi": "0.31",
            "debug": "false",
            "migrate-ma": "false",
            "smt-allowed": "true",
            "single-socket": "false",
            "smt": "true",
            "tsme": "true",
            "measurement": MEASUREMENT,
            "chip-id": "5a" * 64,
            "crl": "absent",
        },
        "binding": {"key": "true"},
    }
    assert attested.key == GUEST_KEY
    assert (attested.issuer, attested.status) == ("trustee-prod", "affirming")
    assert (attested.at, attested.expires) == (NOW, NOW + timedelta(minutes=5))


def test_a_field_of_zeros_is_unset() -> None:
    said = {**SNP, "chip_id": "00" * 64}
    claims = accepted(signed(payload({"cpu0": part(cpu(said=said))}))).claims["snp"]
    assert "chip-id" not in claims
    assert "host-data" not in claims
    pinned = accepted(signed(payload({"cpu0": part(cpu(init_data="07" * 32))})))
    assert pinned.claims["snp"]["host-data"] == "07" * 32


# -- who says so ------------------------------------------------------------------------------------------


def test_an_owner_who_names_the_issuer_accepts_its_word() -> None:
    appraisal = appraise(accepted(signed(payload())), policy(), at=NOW)
    assert appraisal.verdict == "conforms-with-warnings"
    appraisal.require_release()


@pytest.mark.parametrize(
    "text",
    [
        NAMED.replace("  evidence: {verified-by: {one-of: [trustee-prod], override: we run it}}\n", ""),
        NAMED.replace("[trustee-prod]", "[another]"),
        NAMED.replace("[trustee-prod]", "[self]").replace(", override: we run it", ""),
    ],
)
def test_without_the_name_in_his_rule_it_is_refused(text: str) -> None:
    appraisal = appraise(accepted(signed(payload())), policy(text), at=NOW)
    assert {problem.code for problem in appraisal.problems} == {"policy.evidence.verified-by"}


def test_the_defaults_alone_refuse_it() -> None:
    appraisal = appraise(accepted(signed(payload())), None, at=NOW)
    assert "policy.evidence.verified-by" in {problem.code for problem in appraisal.problems}


@pytest.mark.parametrize("code", ["revocation-unchecked", "no-freshness", "issuer.silent"])
def test_what_it_does_not_say_is_a_warning_that_the_owner_must_allow(code: str) -> None:
    lines = [line for line in NAMED.splitlines() if not line.startswith(f"  {code}:")]
    appraisal = appraise(accepted(signed(payload())), policy("\n".join(lines)), at=NOW)
    assert code in {warning.code for warning in appraisal.warnings}
    assert {problem.found for problem in appraisal.release_problems()} >= {code}


def test_silence_is_named_claim_by_claim_and_lifts_no_other_default() -> None:
    attested = accepted(signed(payload()))
    silent = [warning.where for warning in attested.warnings if warning.code == "issuer.silent"]
    assert silent == ["snp.policy-unknown-bits", "snp.vmpl"]
    said = {**SNP, "policy_debug_allowed": True}
    debugged = appraise(accepted(signed(payload({"cpu0": part(cpu(said=said))}))), policy(), at=NOW)
    assert {problem.code for problem in debugged.problems} == {"policy.snp.debug"}


def test_a_rule_on_what_it_never_says_is_not_met() -> None:
    strict = policy(NAMED + "  time: {evidence-age: {at-most: 60s}}\n")
    appraisal = appraise(accepted(signed(payload())), strict, at=NOW)
    assert {problem.code for problem in appraisal.problems} == {"policy.time.evidence-age"}
    levelled = policy(NAMED.replace("snp: {measurement", "snp: {vmpl: 0, measurement"))
    appraisal = appraise(accepted(signed(payload())), levelled, at=NOW)
    assert {problem.code for problem in appraisal.problems} == {"policy.snp.vmpl"}


def test_the_plans_of_a_policy_do_not_mix_issuers_and_ourselves() -> None:
    """A policy remembers which rules apply to a machine; the word of an issuer is another kind of machine."""
    both = policy(NAMED.replace("[trustee-prod]", "[trustee-prod, self]"))
    attested = accepted(signed(payload()))
    assert appraise(attested, both, at=NOW).conforms
    own = {**attested.claims["snp"], "vmpl": "1", "policy-unknown-bits": "0"}
    evidence = {"verified-by": "self", "simulated": "false"}
    verified = verified_of({"evidence": evidence, "snp": own, "binding": {"key": "true"}, "raw": {}})
    assert {problem.code for problem in appraise(verified, both, at=NOW).problems} == {"policy.snp.vmpl"}


def test_the_word_ends_with_the_token() -> None:
    attested = accepted(signed(payload()))
    late = appraise(attested, policy(), at=NOW + timedelta(seconds=301))
    assert "policy.expired" in {problem.code for problem in late.problems}


@pytest.mark.parametrize("name", ["self", "", "A", "a b", "x" * 65, "-a"])
def test_no_issuer_is_called_self_or_by_an_odd_name(name: str) -> None:
    with pytest.raises(ValueError):
        Issuer(name, "iss", "trustee")


# -- whose and when -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"iss": "another"}, "ear.issuer"),
        ({"iss": None}, "ear.issuer"),
        ({"aud": "us"}, "ear.audience"),
        ({"eat_profile": "tag:github.com,2023:veraison/ear"}, "ear.profile"),
        ({"exp": None}, "ear.malformed"),
        ({"iat": None}, "ear.malformed"),
        ({"exp": "never"}, "ear.malformed"),
        ({"exp": 1e12}, "ear.malformed"),
        ({"exp": True}, "ear.malformed"),
    ],
)
def test_t_aud_whose_it_is_and_when_it_ends_must_be_said(changes: dict[str, Any], code: str) -> None:
    assert codes(signed(payload(**changes))) == {code}


def test_a_life_over_ten_minutes_is_refused() -> None:
    start = int(NOW.timestamp())
    read(signed(payload(exp=start + 600)), TRUSTEE, KEYS, at=NOW)
    assert codes(signed(payload(exp=start + 601))) == {"ear.lifetime"}
    # A token that began long ago is not made young by an end that is near.
    assert codes(signed(payload(iat=start - 601, exp=start + 10))) == {"ear.lifetime"}


def test_it_counts_in_its_time_alone() -> None:
    token = signed(payload())
    assert codes(token, at=NOW + timedelta(seconds=300)) == {"ear.expired"}
    assert codes(token, at=NOW - timedelta(seconds=61)) == {"ear.not-yet-valid"}
    begins = signed(payload(nbf=int(NOW.timestamp()) + 120))
    assert codes(begins) == {"ear.not-yet-valid"}


def test_an_audience_that_is_asked_for_must_be_there() -> None:
    issuer = Issuer("trustee-prod", "CoCo-Attestation-Service", "trustee", audience="us")
    assert codes(signed(payload()), issuer) == {"ear.audience"}
    assert read(signed(payload(aud="us")), issuer, KEYS, at=NOW).audience == "us"


# -- what it is about -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tee", ["sample", "sampledevice", "az-snp-vtpm", "az-tdx-vtpm", "sgx", "se", "x"])
def test_t_sample_a_tee_that_is_not_mapped_is_refused(tee: str) -> None:
    assert codes(signed(payload({"cpu0": part(cpu(tee))}))) == {"issuer.tee"}


def test_t_sample_a_test_tee_beside_a_real_one_is_refused() -> None:
    both = cpu() | {"sample": {"svn": "1"}}
    assert codes(signed(payload({"cpu0": part(both)}))) == {"issuer.tee"}
    neither = {name: value for name, value in cpu().items() if name != "snp"}
    assert codes(signed(payload({"cpu0": part(neither)}))) == {"issuer.tee"}


def test_t_sample_a_simulated_machine_is_refused_unless_asked_for() -> None:
    token = signed(payload({"cpu0": part(cpu(simulated=True))}))
    assert codes(token) == {"ear.simulated"}
    attested = accepted(token, simulated=True)
    assert attested.simulated
    assert attested.claims["evidence"]["simulated"] == "true"
    assert codes(signed(payload({"cpu0": part(cpu(simulated="no"))}))) == {"ear.malformed"}


@pytest.mark.parametrize("submods", [{}, {"gpu0": part({})}, [], "x", {"cpu1": part(cpu())}])
def test_t_empty_nothing_is_concluded_from_no_part(submods: Any) -> None:
    claims = payload() | {"submods": submods}
    assert codes(signed(claims)) == {"ear.malformed"}


@pytest.mark.parametrize(("status", "number"), [("contraindicated", 97), ("none", 0)])
def test_what_its_own_issuer_does_not_affirm_is_refused(status: str, number: int) -> None:
    vector = dict.fromkeys(("hardware", "configuration", "executables"), number)
    assert codes(signed(payload({"cpu0": part(cpu(), status, **vector)}))) == {"issuer.status"}


def test_a_status_better_than_its_vector_is_refused() -> None:
    assert codes(signed(payload({"cpu0": part(cpu(), "affirming", hardware=97)}))) == {"ear.malformed"}


def test_what_its_issuer_warns_of_is_a_warning_that_the_owner_must_allow() -> None:
    attested = accepted(signed(payload({"cpu0": part(cpu(), "warning", executables=33)})))
    appraisal = appraise(attested, policy(), at=NOW)
    assert {problem.found for problem in appraisal.release_problems()} == {"issuer.warned"}
    allowed = NAMED.replace("allow-warnings:\n", "allow-warnings:\n  issuer.warned: no values there\n")
    appraise(attested, policy(allowed), at=NOW).require_release()


def test_a_device_its_issuer_contradicts_spoils_the_machine() -> None:
    bad = part({"nvidia": {"arch": "Hopper"}}, "contraindicated", hardware=97)
    assert codes(signed(payload({"cpu0": part(cpu()), "gpu0": bad}))) == {"issuer.status"}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, None) for name in SNP]
    + [
        ("measurement", MEASUREMENT[:-2]),
        ("measurement", "QdCr"),
        ("reported_tcb_snp", "24"),
        ("reported_tcb_snp", True),
        ("reported_tcb_snp", -1),
        ("policy_debug_allowed", 0),
        ("policy_debug_allowed", "false"),
    ],
)
def test_a_claim_of_another_form_or_missing_is_refused(name: str, value: Any) -> None:
    said = {**SNP, name: value}
    assert codes(signed(payload({"cpu0": part(cpu(said=said))}))) == {"ear.malformed"}


# -- the key ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("runtime", [None, {}, {"nonce": "x"}, {"tee-pubkey": "x"}])
def test_t_keyswap_a_token_without_the_machines_key_is_no_passport(runtime: Any) -> None:
    token = signed(payload({"cpu0": part(cpu(runtime_data_claims=runtime))}, **{"tee-pubkey": GUEST_KEY}))
    assert codes(token) == {"issuer.key-missing"}


def test_t_keyswap_the_key_is_read_in_one_place() -> None:
    others: dict[str, Any] = {
        "tee-pubkey": {"kty": "x"},
        "customized_claims": {"runtime_data": {"tee-pubkey": {"kty": "x"}}},
    }
    assert accepted(signed(payload(**others))).key == GUEST_KEY


# -- devices ------------------------------------------------------------------------------------------------


def test_a_device_shows_versions_and_its_defaults_refuse_it() -> None:
    said = {
        "nvidia": {"arch": "Hopper", "uuid": "x", "config": {"driver_version": "550.127.05", "fwid": "aa"}}
    }
    attested = accepted(signed(payload({"cpu0": part(cpu()), "gpu0": part(said), "ppcie0": part({})})))
    assert attested.claims["gpu"] == ({"architecture": "hopper", "driver": "550.127.05", "count": "1"},)
    with_gpu = policy(NAMED + "  gpu: {count: {at-least: 1}}\n")
    denied = {problem.code for problem in appraise(attested, with_gpu, at=NOW).problems}
    assert {"policy.gpu.measurements", "policy.binding.gpu-to-cpu"} <= denied


# -- TDX ------------------------------------------------------------------------------------------------------


def tdx(**changes: Any) -> dict[str, Any]:
    body = {
        "tcb_svn": "03" * 16,
        "td_attributes": "0000001000000000",
        "xfam": "e702060000000000",
        **dict.fromkeys(("mr_seam", "mr_td", "rtmr_0", "rtmr_1", "rtmr_2", "rtmr_3"), "a1" * 48),
        **dict.fromkeys(("mr_config_id", "mr_owner", "mr_owner_config"), "00" * 48),
    }
    said = {
        "quote": {"header": {}, "body": body | changes.pop("body", {})},
        "tcb_status": "UpToDate",
        "tcb_date": "2025-05-14T00:00:00Z",
        "tcb_eval_num": 20,
        "advisory_ids": [],
        "collateral_expiration_status": "0",
    }
    return said | changes


def test_a_td_is_mapped_from_its_quote() -> None:
    claims = accepted(signed(payload({"cpu0": part(cpu("tdx", tdx()))}))).claims["tdx"]
    assert claims["mrtd"] == "a1" * 48
    assert claims["attributes"] == str(1 << 28)
    assert claims["xfam"] == str(0x602E7)
    assert (claims["debug"], claims["migratable"], claims["sept-ve-disable"]) == ("false", "false", "true")
    assert (claims["tcb-status"], claims["tcb-evaluation"], claims["crl"]) == ("UpToDate", "20", "fresh")
    assert claims["event-log"] == "absent"
    assert "mrconfigid" not in claims
    debugged = tdx(body={"td_attributes": "0100001000000000"})
    assert accepted(signed(payload({"cpu0": part(cpu("tdx", debugged))}))).claims["tdx"]["debug"] == "true"


@pytest.mark.parametrize("status", ["1", 0, None])
def test_lists_that_ended_are_stale(status: Any) -> None:
    said = tdx(collateral_expiration_status=status)
    assert accepted(signed(payload({"cpu0": part(cpu("tdx", said))}))).claims["tdx"]["crl"] == "stale"


# -- anything -------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=6),
    lambda c: st.lists(c, max_size=3) | st.dictionaries(st.text(max_size=6), c, max_size=3),
    max_leaves=12,
)


@given(st.sampled_from(["submods", "cpu0", "annotated", "snp", "top"]), st.text(max_size=8), JSON)
def test_whatever_its_issuer_signs_is_read_or_a_typed_error(where: str, name: str, value: Any) -> None:
    claims = payload()
    place: Any = claims
    if where != "top":
        place = claims["submods"]
    if where in ("cpu0", "annotated", "snp"):
        place = place["cpu0"]
    if where in ("annotated", "snp"):
        place = place[ANNOTATED]
    if where == "snp":
        place = place["snp"]
    for known in (*place, name):
        changed = dict(place)
        place[known] = value
        with contextlib.suppress(Malformed, Rejected):
            read(signed(claims), TRUSTEE, KEYS, at=NOW)
        place.clear()
        place.update(changed)
