"""Warnings, workload identity, releases, and what an appraisal is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.claims import CLAIMS
from attest.errors import Denied
from attest.policy import Appraisal, Policy, appraise
from attest.policy.floors import Floors
from tests.counts import tenth
from tests.policy.conftest import GPU, NOW, SNP, SWITCH, TDX, Judge, policy_of, rule, tree, verified_of

M = SNP["measurement"]
PINNED = f'{{snp: {{measurement: {{is: "{M}", covers: image}}}}}}'


def codes(appraisal: Appraisal) -> set[str]:
    return {warning.code for warning in appraisal.warnings}


# -- warnings ---------------------------------------------------------------------------------------


def test_no_policy_on_an_honest_machine(judge: Judge) -> None:
    assert judge(tree(snp=SNP)).verdict == "conforms"
    assert judge(tree(tdx=TDX)).verdict == "conforms"
    assert judge(tree(snp=SNP)).policy == {
        "name": "defaults",
        "digest": Policy.defaults().digest,
        "file": None,
        "floors": Floors.shipped().about(),
    }


def test_revocation_unchecked_once_a_part(judge: Judge) -> None:
    gpus = [{**GPU, "id": f"{index:02x}" * 20, "cert": "absent", "count": "2"} for index in range(2)]
    claims = tree(snp={**SNP, "crl": "absent"}, gpu=gpus)
    said = {"code": "revocation-unchecked", "message": "m", "where": "gpu[1]"}
    given_already = dict.fromkeys(("expected", "found", "source", "remedy")) | said
    appraisal = judge(claims, warnings=[given_already])
    assert appraisal.verdict == "conforms-with-warnings"
    assert sorted(str(warning.where) for warning in appraisal.warnings) == ["gpu[0]", "gpu[1]", "snp"]


def test_nothing_bound_is_said(judge: Judge) -> None:
    unbound = tree(snp=SNP, binding={}, time=None)
    assert codes(judge(unbound)) == {"no-freshness"}
    passed = {"name": "binding.report-data", "outcome": "passed", "source": "s", "why": None}
    assert codes(judge(unbound, checks=[passed])) == set()
    # The GPU's own nonce says nothing about the CPU's report.
    gpu_only = {**passed, "name": "binding.gpu-nonce"}
    assert codes(judge(unbound, checks=[gpu_only])) == {"no-freshness"}
    assert codes(judge(tree(gpu=[GPU], binding={}, time=None), checks=[gpu_only])) == set()


def test_simulated_is_said_even_if_verification_did_not(judge: Judge) -> None:
    assert codes(judge(tree(snp=SNP), simulated=True)) == {"simulated"}
    assert codes(judge(tree(snp=SNP, evidence={"verified-by": "self", "simulated": "true"}))) == {"simulated"}


def test_parts_without_a_section(judge: Judge) -> None:
    appraisal = judge(tree(snp=SNP, gpu=[GPU], switch=[SWITCH]), policy_of(PINNED))
    assert [warning.where for warning in appraisal.warnings if warning.code == "unappraised"] == [
        "gpu",
        "switch",
    ]
    assert (
        judge(tree(snp=SNP, gpu=[{**GPU, "measurements": "mismatch"}]), policy_of(PINNED)).verdict
        == "refused"
    )


def test_an_evaluation_number_of_the_owner_replaces_the_missing_floor(judge: Judge) -> None:
    policy = policy_of("{tdx: {tcb-evaluation: {at-least: 18}}}", platforms="tdx", floors=Floors.none())
    assert codes(judge(tree(tdx=TDX), policy)) == {"no-workload-identity"}
    weak = policy_of("{tdx: {tcb-evaluation: {exists: true}}}", platforms="tdx", floors=Floors.none())
    assert "no-floors" in codes(judge(tree(tdx=TDX), weak))


REF = "references: {web: {type: snp.measurement, values: [{value: %s, %s}]}}\n"
TD = 'mrtd: {is: "%s"%s}, rtmr1: "%s", rtmr2: "%s"' % (TDX["mrtd"], "%s", TDX["rtmr1"], TDX["rtmr2"])  # noqa: UP031
IDENTITY: list[tuple[str, str, str, str | None]] = [
    ("snp", f'measurement: {{is: "{M}", covers: image}}', "", None),
    ("snp", f'measurement: {{one-of: ["{M}"], covers: image}}', "", None),
    ("snp", f'measurement: {{is: "{M}", covers: firmware}}', "", "os-unmeasured"),
    ("snp", f'measurement: "{M}"', "", "os-unmeasured"),
    ("snp", "measurement: {in: web}", REF % (M, "covers: image"), None),
    ("snp", "measurement: {in: web}", REF % (M, "covers: firmware"), "os-unmeasured"),
    ("snp", "measurement: {in: web}", REF % (M, "name: unsaid"), "os-unmeasured"),
    ("snp", f'all: [{{measurement: {{is: "{M}", covers: image}}}}]', "", None),
    ("snp", f'any: [{{measurement: {{is: "{M}", covers: image}}}}]', "", "no-workload-identity"),
    (
        "snp",
        f'measurement: {{is: "{M}", covers: image, else: warn, until: 2027-01-01}}',
        "",
        "no-workload-identity",
    ),
    ("snp", "measurement: {exists: true}", "", "no-workload-identity"),
    ("snp", f'measurement: {{none-of: ["{"00" * 48}"]}}', "", "no-workload-identity"),
    ("snp", f'id-key: {{is: "{"33" * 48}", covers: image}}, guest-svn: {{at-least: 3}}', "", None),
    ("snp", f'id-key: {{is: "{"33" * 48}", covers: image}}', "", "no-workload-identity"),
    (
        "snp",
        f'id-key: {{is: "{"33" * 48}", covers: image}}, guest-svn: {{at-most: 3}}',
        "",
        "no-workload-identity",
    ),
    ("snp", f'host-data: {{is: "{"44" * 32}", covers: image}}', "", "no-workload-identity"),
    ("tdx", TD % ", covers: image", "", None),
    ("tdx", TD % "", "", "os-unmeasured"),
    (
        "tdx",
        f'mrtd: {{is: "{TDX["mrtd"]}", covers: image}}, rtmr1: "{TDX["rtmr1"]}"',
        "",
        "no-workload-identity",
    ),
]


@pytest.mark.parametrize(("platform", "rules", "more", "warning"), IDENTITY)
def test_t_factory_workload_identity(
    judge: Judge, platform: str, rules: str, more: str, warning: str | None
) -> None:
    snp = {**SNP, "id-key": "33" * 48, "host-data": "44" * 32}
    claims = tree(snp=snp) if platform == "snp" else tree(tdx=TDX)
    extra = ", tcb-evaluation: {at-least: 1}" if platform == "tdx" else ""
    appraisal = judge(claims, policy_of(f"{{{platform}: {{{rules}{extra}}}}}", platforms=platform, more=more))
    assert appraisal.conforms
    assert codes(appraisal) == ({warning} if warning else set())


# -- releases ---------------------------------------------------------------------------------------


def refusals(appraisal: Appraisal) -> list[str | None]:
    with pytest.raises(Denied) as refusal:
        appraisal.require_release()
    return [problem.where or problem.message for problem in refusal.value.problems]


def test_a_release_on_conforms(judge: Judge) -> None:
    judge(tree(snp=SNP), policy_of(PINNED)).require_release()
    judge(tree(snp=SNP, gpu=[GPU]), policy_of(PINNED[:-1] + ", gpu: {count: 1}}")).require_release()


def test_each_warning_must_be_allowed_by_the_owner(judge: Judge) -> None:
    unpinned = "{snp: {debug: false}}"
    with pytest.raises(Denied) as refusal:
        judge(tree(snp=SNP), policy_of(unpinned)).require_release()
    assert refusal.value.codes == {"policy.release"}
    allow = "allow-warnings: {no-workload-identity: platform keys only}\n"
    judge(tree(snp=SNP), policy_of(unpinned, more=allow)).require_release()
    with pytest.raises(Denied):
        judge(tree(snp=SNP), policy_of(unpinned, more=allow), simulated=True).require_release()


def test_the_defaults_alone_release_nothing(judge: Judge) -> None:
    appraisal = judge(tree(snp=SNP))
    appraisal.require()
    with pytest.raises(Denied, match="No owner's policy"):
        appraisal.require_release()
    with pytest.raises(Denied, match="No owner's policy"):
        judge(tree(snp=SNP), Policy.defaults()).require_release()


def test_platform_none_never_releases(judge: Judge) -> None:
    policy = policy_of(
        "{gpu: {count: 1}}", platforms="none", more="allow-warnings: {no-workload-identity: x}\n"
    )
    appraisal = judge(tree(gpu=[GPU]), policy)
    assert appraisal.conforms
    with pytest.raises(Denied, match="platform none"):
        appraisal.require_release()


def test_a_refused_verdict_releases_nothing(judge: Judge) -> None:
    appraisal = judge(tree(snp={**SNP, "debug": "true"}), policy_of(PINNED))
    with pytest.raises(Denied) as refusal:
        appraisal.require_release()
    assert refusal.value.codes == {"policy.snp.debug"}
    with pytest.raises(Denied):
        appraisal.require()


@pytest.mark.parametrize("allowed", [False, True])
def test_t_omit_an_absent_list_is_covered_only_by_the_owners_word(judge: Judge, allowed: bool) -> None:
    more = "allow-warnings: {revocation-unchecked: offline}\n" if allowed else ""
    appraisal = judge(tree(snp={**SNP, "crl": "absent"}), policy_of(PINNED, more=more))
    assert appraisal.conforms
    if allowed:
        appraisal.require_release()
    else:
        assert "snp.crl" in refusals(appraisal)


@pytest.mark.parametrize(
    ("claim", "value", "rules"),
    [
        ("snp.crl", "stale", 'crl: {one-of: [fresh, stale], override: "x"}'),
        ("gpu.cert", "hold", 'cert: {one-of: [good, hold], override: "x"}'),
        ("gpu.driver-rim", "absent", "count: 1"),
        ("gpu.vbios-rim", "absent", "count: 1"),
    ],
)
def test_what_a_release_asks_of_every_part(judge: Judge, claim: str, value: str, rules: str) -> None:
    section, _, name = claim.partition(".")
    snp, gpu = dict(SNP), dict(GPU)
    (snp if section == "snp" else gpu)[name] = value
    own = f'measurement: {{is: "{M}", covers: image}}' + (f", {rules}" if section == "snp" else "")
    device = rules if section == "gpu" else "count: 1"
    policy = policy_of(
        f"{{snp: {{{own}}}, gpu: {{{device}}}}}", more="allow-warnings: {revocation-unchecked: offline}\n"
    )
    appraisal = judge(tree(snp=snp, gpu=[gpu]), policy)
    assert appraisal.conforms
    assert refusals(appraisal) == [claim.replace("gpu.", "gpu[0].")]


# -- time -------------------------------------------------------------------------------------------


def test_ages_go_on_after_verification(judge: Judge) -> None:
    claims = tree(snp=SNP, time={"evidence-age": "2s", "collateral-age": "10s"})
    policy = policy_of(PINNED[:-1] + ", time: {collateral-age: {at-most: 60s}}}")
    assert judge(claims, policy, at=NOW + timedelta(seconds=50)).conforms
    late = judge(claims, policy, at=NOW + timedelta(seconds=51))
    assert [problem.where for problem in late.problems] == ["time.collateral-age"]
    late = judge(claims, policy, at=NOW + timedelta(seconds=299))
    assert "time.evidence-age" in [problem.where for problem in late.problems]


def test_a_lag_grows_and_no_lag_does_not(judge: Judge) -> None:
    policy = policy_of("{tdx: {tcb-lag: {at-most: 1d}}}", platforms="tdx")
    later = NOW + timedelta(seconds=1)
    assert judge(tree(tdx=TDX), policy, at=later).conforms
    assert not judge(tree(tdx={**TDX, "tcb-lag": "86400s"}), policy, at=later).conforms


def test_t_lease_after_its_endorsements_a_verified_says_nothing(judge: Judge) -> None:
    ends = NOW + timedelta(seconds=5)
    assert judge(tree(snp=SNP), at=ends, expires=ends).conforms
    over = judge(tree(snp=SNP), at=ends + timedelta(seconds=1), expires=ends)
    assert [problem.code for problem in over.problems] == ["policy.expired"]


def test_the_instant_is_the_callers_and_recorded() -> None:
    verified = verified_of(tree(snp=SNP))
    assert appraise(verified, None, at=NOW).at == NOW
    with pytest.raises(ValueError, match="time zone"):
        appraise(verified, None, at=NOW.replace(tzinfo=None))


# -- platforms and parts ----------------------------------------------------------------------------


def test_sections_of_another_platform_do_not_apply(judge: Judge) -> None:
    both = policy_of(PINNED[:-1] + ", tdx: {fmspc: 000000000000}}", platforms="snp, tdx")
    assert judge(tree(snp=SNP), both).verdict == "conforms"


def test_devices_without_a_cpu_need_platform_none(judge: Judge) -> None:
    assert [problem.code for problem in judge(tree(gpu=[GPU]), policy_of(PINNED)).problems] == [
        "policy.platforms"
    ]
    none = policy_of("{gpu: {count: 1}}", platforms="none")
    assert judge(tree(gpu=[GPU]), none).conforms
    assert [problem.code for problem in judge(tree(snp=SNP, gpu=[GPU]), none).problems] == [
        "policy.platforms"
    ]


def test_t_dup_devices_of_unknown_identity_cannot_be_told_apart(judge: Judge) -> None:
    nameless = {name: value for name, value in GPU.items() if name != "id"}
    assert judge(tree(snp=SNP, gpu=[nameless])).conforms
    pair = judge(tree(snp=SNP, gpu=[nameless, nameless]))
    assert [problem.where for problem in pair.problems] == ["gpu[0].id", "gpu[1].id"]


def test_one_rule_and_every_device(judge: Judge) -> None:
    gpus = [{**GPU, "id": f"{index:02x}" * 20, "driver": f"55{index}.1"} for index in range(4)]
    policy = policy_of("{snp: {debug: false}, gpu: {driver: {at-most: 551.1}}}")
    appraisal = judge(tree(snp=SNP, gpu=gpus), policy)
    assert [problem.where for problem in appraisal.problems] == ["gpu[2].driver", "gpu[3].driver"]
    assert "2 of the others pass" in appraisal.problems[0].message


# -- what an appraisal is ---------------------------------------------------------------------------


def test_it_cannot_be_made_or_changed(judge: Judge) -> None:
    appraisal = judge(tree(snp={**SNP, "debug": "true"}))
    with pytest.raises(TypeError):
        Appraisal(None, verdict="conforms")
    with pytest.raises(AttributeError):
        appraisal.verdict = "conforms"
    with pytest.raises(AttributeError):
        del appraisal.problems


def test_records_are_text(judge: Judge) -> None:
    record = rule(judge(tree(snp={**SNP, "vmpl": "2"}), policy_of(PINNED)), "snp.vmpl")
    assert record == {
        "rule": "snp.vmpl",
        "at": "default",
        "result": "F",
        "outcome": "deny",
        "expected": "0",
        "found": "2",
        "code": "policy.snp.vmpl",
        "why": "A layer above can forge it",
        "fix": 'Usual on AWS; if you trust it: "vmpl: {one-of: [0, 2], override: REASON}"',
        "until": None,
    }
    place = rule(judge(tree(snp=SNP), policy_of(PINNED)), "snp.measurement")["at"]
    assert place == "p.yaml:4:17"


def test_a_grace_makes_a_warning_of_the_verdict(judge: Judge) -> None:
    policy = policy_of(PINNED[:-2] + ", smt: {is: false, else: warn, until: 2027-01-31}}}")
    appraisal = judge(tree(snp=SNP), policy)
    assert appraisal.verdict == "conforms-with-warnings"
    assert rule(appraisal, "snp.smt")["until"] == "2027-01-31T23:59:59Z"


@pytest.mark.parametrize("seen", ["{measurement: {in: web}}", "{all: [{measurement: {in: web}}]}"])
@pytest.mark.parametrize("first", [False, True])
def test_an_observed_value_in_a_group_of_which_all_are_needed_marks_it(
    judge: Judge, seen: str, first: bool
) -> None:
    both = [seen, "{debug: false}"] if first else ["{debug: false}", seen]
    policy = policy_of(
        f"{{snp: {{all: [{', '.join(both)}]}}}}", more=REF % (M, "state: observed, covers: image")
    )
    appraisal = judge(tree(snp=SNP), policy)
    assert rule(appraisal, "snp.all")["outcome"] == "observed"
    assert appraisal.verdict == "conforms-with-warnings"


_TEXT = st.text(max_size=8) | st.sampled_from(
    ["true", "0", "ff", "550.1", "96.00", "absent", "2s", "ab" * 48]
)
_VALUE: Any = st.recursive(
    _TEXT | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_POLICIES = [
    None,
    policy_of(PINNED),
    policy_of(
        "{snp: {tcb: {at-least: {milan: {snp: 24}}}, any: [{vmpl: 0}, {none: [{csp: x}]}], measurement: {in: web}},"
        " gpu: {vbios: {at-least: 96.00}, driver: {at-least: {550: 550.1}}, count: 1}, time: {evidence-age: {at-most: 60s}}}",
        more=REF % (M, "state: observed"),
    ),
    policy_of("{tdx: {tcb-lag: {at-most: 1d}, tee-tcb-svn: {at-least: {0: 1}}, advisories: {subset-of: [a]}}}", platforms="tdx"),
]  # fmt: skip


@st.composite
def _trees(draw: st.DrawFn) -> dict[str, Any]:
    claims: dict[str, Any] = {}
    for section in draw(st.sets(st.sampled_from([*CLAIMS, "raw"]))):
        names = st.sampled_from([*CLAIMS.get(section, {}), "tdx", "gpu"])
        part = st.dictionaries(names, _VALUE, max_size=6)
        claims[section] = draw(_VALUE | part | st.lists(part, max_size=3))
    return claims


@settings(max_examples=tenth(2000), deadline=None)
@given(_trees(), st.sampled_from(_POLICIES))
def test_t_policy_any_claim_tree_is_appraised(claims: dict[str, Any], policy: Policy | None) -> None:
    appraisal = appraise(verified_of(claims), policy, at=NOW)
    assert appraisal.verdict in ("conforms", "conforms-with-warnings", "refused")
    assert all(
        isinstance(value, (str, type(None))) for record in appraisal.rules for value in record.values()
    )
    assert [problem.message for problem in appraisal.problems] == [
        problem.message for problem in appraise(verified_of(claims), policy, at=NOW).problems
    ]
    try:
        appraisal.require_release()
    except Denied:
        return
    assert appraisal.conforms
