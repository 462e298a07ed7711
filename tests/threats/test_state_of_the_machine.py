"""Genuine, well signed and unwanted: what the hardware says of itself, and what only an owner may lift."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from attest import Policy, Rejected, appraise, verify
from attest.anchors import Anchors
from attest.cache import Cache
from attest.composite import read_additional
from attest.endorsements import Endorsements
from attest.errors import Denied, Malformed
from attest.evidence import Evidence
from attest.simulator import Simulated, Simulator
from tests.conftest import ROOT
from tests.policy.conftest import NOW, SNP, TDX, Judge, policy_of, tree


def refused(made: Simulated, anchors: Anchors, **more: Any) -> set[str]:
    with pytest.raises(Rejected) as caught:
        verify(
            made.evidence,
            **{"endorsements": made.endorsements, "at": made.at, "anchors": anchors, **more},
        )
    return caught.value.codes


def codes(appraisal: Any) -> list[str]:
    return [problem.code for problem in appraisal.problems]


# -- debug, privilege level, migration --------------------------------------------------------------

LOOSE = [
    ("snp", SNP, "debug", "true", "{one-of: [true, false]%s}"),
    ("tdx", TDX, "debug", "true", "{one-of: [true, false]%s}"),
    ("snp", SNP, "migrate-ma", "true", "{one-of: [true, false]%s}"),
    ("tdx", TDX, "migratable", "true", "{one-of: [true, false]%s}"),
    ("snp", SNP, "vmpl", "2", "{one-of: [0, 2]%s}"),
]


def only_an_override_lifts(
    judge: Judge, section: str, part: dict[str, Any], claim: str, value: str, rule: str
) -> None:
    bad = tree(**{section: {**part, claim: value}})
    assert codes(judge(bad)) == [f"policy.{section}.{claim}"]
    silent = policy_of(f"{{{section}: {{guest-svn: {{at-least: 0}}}}}}") if section == "snp" else None
    if silent is not None:
        assert f"policy.{section}.{claim}" in codes(judge(bad, silent))
    with pytest.raises(Malformed) as caught:
        policy_of(f"{{{section}: {{{claim}: {rule % ''}}}}}", platforms=section)
    assert caught.value.codes == {"policy.override-missing"}
    owners = policy_of(
        f"{{{section}: {{{claim}: {rule % (', override: ' + chr(34) + 'lab' + chr(34))}}}}}",
        platforms=section,
    )
    assert judge(bad, owners).conforms


@pytest.mark.parametrize(("section", "part", "claim", "value", "rule"), LOOSE[:2])
def test_t_debug_is_refused_with_and_without_a_policy_until_an_owner_overrides(
    judge: Judge, section: str, part: dict[str, Any], claim: str, value: str, rule: str
) -> None:
    only_an_override_lifts(judge, section, part, claim, value, rule)


@pytest.mark.parametrize(("section", "part", "claim", "value", "rule"), LOOSE[2:4])
def test_t_migrate_an_agent_is_refused_until_an_owner_overrides(
    judge: Judge, section: str, part: dict[str, Any], claim: str, value: str, rule: str
) -> None:
    only_an_override_lifts(judge, section, part, claim, value, rule)


@pytest.mark.parametrize(("section", "part", "claim", "value", "rule"), LOOSE[4:])
def test_t_vmpl_another_level_is_refused_until_an_owner_names_it(
    judge: Judge, section: str, part: dict[str, Any], claim: str, value: str, rule: str
) -> None:
    only_an_override_lifts(judge, section, part, claim, value, rule)
    named = policy_of('{snp: {vmpl: {one-of: [0, 2], override: "paravisor"}}}')
    assert codes(judge(tree(snp={**SNP, "vmpl": "1"}), named)) == ["policy.snp.vmpl"]


@pytest.mark.parametrize(
    ("rule", "claim", "value"),
    [("single-socket: true", "single-socket", "false"), ("smt-allowed: false", "smt-allowed", "true")],
)
def test_t_migrate_sockets_and_threads_are_the_owners_to_ask_for(
    judge: Judge, rule: str, claim: str, value: str
) -> None:
    assert judge(tree(snp={**SNP, claim: value})).conforms
    asked = judge(tree(snp={**SNP, claim: value}), policy_of(f"{{snp: {{{rule}}}}}"))
    assert codes(asked) == [f"policy.snp.{claim}"]


# -- firmware ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("component", ["bootloader", "tee", "snp", "microcode"])
def test_t_tcb_rollback_each_component_has_its_own_floor_for_its_own_product(
    judge: Judge, component: str
) -> None:
    floor = {"bootloader": 5, "tee": 1, "snp": 25, "microcode": 220}[component]
    mine = policy_of(f"{{snp: {{tcb: {{at-least: {{milan: {{{component}: {floor}}}}}}}}}}}")
    assert codes(judge(tree(snp=SNP), mine)) == ["policy.snp.tcb"]
    highest = {**SNP, "tcb": dict.fromkeys(SNP["tcb"], "255")}
    better_elsewhere = {**highest, "tcb": {**highest["tcb"], component: str(floor - 1)}}
    assert codes(judge(tree(snp=better_elsewhere), mine)) == ["policy.snp.tcb"]
    assert judge(tree(snp=highest), mine).conforms
    # A floor for another product says nothing of this one, and what is not known does not pass.
    other = policy_of(f"{{snp: {{tcb: {{at-least: {{genoa: {{{component}: 0}}}}}}}}}}")
    assert codes(judge(tree(snp=highest), other)) == ["policy.snp.tcb"]


# -- collateral -------------------------------------------------------------------------------------


@pytest.mark.parametrize("list_taken", [0, 1])
def test_t_crl_every_level_of_a_td_needs_its_list(
    list_taken: int, simulator: Simulator, anchors: Anchors
) -> None:
    made = simulator.tdx()
    given = made.endorsements
    crls = tuple(crl for index, crl in enumerate(given.crls) if index != list_taken)
    assert len(crls) == len(given.crls) - 1
    assert refused(made, anchors, endorsements=replace(given, crls=crls)) == {"x509.crl.missing"}


def test_t_crl_the_lists_age_stands_in_the_record(simulator: Simulator, anchors: Anchors) -> None:
    for made in (simulator.snp(), simulator.tdx()):
        verified = verify(made.evidence, endorsements=made.endorsements, at=made.at, anchors=anchors)
        later = verify(
            made.evidence,
            endorsements=made.endorsements,
            at=made.at + timedelta(seconds=60),
            anchors=anchors,
        )
        ages = [int(one.claims["time"]["collateral-age"].removesuffix("s")) for one in (verified, later)]
        assert ages[1] - ages[0] == 60


@pytest.mark.parametrize("kind", ["snp", "tdx"])
def test_t_omit_no_verdict_without_a_list_releases(kind: str, simulator: Simulator, anchors: Anchors) -> None:
    made = getattr(simulator, kind)()
    bare = replace(made.endorsements, crls=())
    if kind == "tdx":
        assert "x509.crl.missing" in refused(made, anchors, endorsements=bare)
        return
    verified = verify(made.evidence, endorsements=bare, at=made.at, anchors=anchors)
    assert verified.claims["snp"]["crl"] == "absent"
    measured = verified.claims["snp"]["measurement"]
    policy = Policy.from_text(
        "policy: 1\nname: t\nplatforms: [snp]\nallow-warnings: {simulated: test, no-freshness: test, collateral-memory-absent: test}\n"
        f'require: {{snp: {{measurement: {{is: "{measured}", covers: image}}}}}}\n'
    )
    with pytest.raises(Denied) as withheld:
        appraise(verified, policy, at=made.at).require_release()
    assert "revocation-unchecked" in {problem.found for problem in withheld.value.problems}
    with_list = verify(made.evidence, endorsements=made.endorsements, at=made.at, anchors=anchors)
    appraise(with_list, policy, at=made.at).require_release()


# -- roots and caches -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("snp-vcek-under-asvk", None),
        ("snp-hwid-of-another-chip", "snp.chip-id.mismatch"),
        ("snp-chip-id-masked", "snp.chip-id.masked"),
    ],
)
def test_t_root_the_leaf_is_of_this_product_chip_and_kind(
    fault: str, code: str | None, simulator: Simulator, anchors: Anchors
) -> None:
    found = refused(simulator.snp(fault=fault), anchors)
    assert code is None or found == {code}


def test_t_root_a_chain_of_another_product_does_not_serve(simulator: Simulator, anchors: Anchors) -> None:
    genoa, milan = simulator.snp(product="genoa"), simulator.snp(product="milan")
    crossed = replace(genoa, make_evidence=lambda: milan.evidence)
    assert refused(crossed, anchors, endorsements=genoa.endorsements)


def test_t_cache_a_chain_known_for_one_product_does_not_serve_another(
    simulator: Simulator, anchors: Anchors
) -> None:
    cache = Cache()
    genoa, milan = simulator.snp(product="genoa"), simulator.snp(product="milan")
    for made in (genoa, milan):
        verify(made.evidence, endorsements=made.endorsements, at=made.at, anchors=anchors, cache=cache)
    cold = refused(milan, anchors, endorsements=genoa.endorsements)
    assert refused(milan, anchors, endorsements=genoa.endorsements, cache=cache) == cold


# -- physical attacks -------------------------------------------------------------------------------


def test_t_phys_the_alias_check_is_a_claim_that_a_policy_can_ask_for(
    simulator: Simulator, anchors: Anchors, judge: Judge
) -> None:
    asked = policy_of("{snp: {alias-check: true}}")
    found = []
    for platform_info in (0x25, 0x05):
        made = simulator.snp(platform_info=platform_info)
        verified = verify(made.evidence, endorsements=made.endorsements, at=made.at, anchors=anchors)
        found.append(verified.claims["snp"]["alias-check"])
    assert found == ["true", "false"]
    assert judge(tree(snp=SNP), asked).conforms
    assert codes(judge(tree(snp={**SNP, "alias-check": "false"}), asked)) == ["policy.snp.alias-check"]
    unsaid = {name: value for name, value in SNP.items() if name != "alias-check"}
    assert codes(judge(tree(snp=unsaid), asked)) == ["policy.snp.alias-check"]


def test_t_phys_the_residual_risk_is_written_down() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    for word in ("BadRAM", "Battering RAM", "WireTap", "TEE.fail", "residual risk"):
        assert word in text


# -- nothing at all ---------------------------------------------------------------------------------


def test_t_empty_no_evidence_is_never_success() -> None:
    with pytest.raises((Malformed, Rejected, ValueError)):
        verify(Evidence(), endorsements=Endorsements(), at=NOW)


@pytest.mark.parametrize("text", ["[]", '{"gpu": []}', "{}", "[null]"])
def test_t_empty_an_empty_list_beside_a_cpu_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        read_additional(text, where="test")


def test_t_sample_a_policy_that_says_nothing_of_simulation_releases_no_secret(judge: Judge) -> None:
    """By omission nothing simulated matches: the owner would have to write it."""
    policy = policy_of(f'{{snp: {{measurement: {{is: "{SNP["measurement"]}", covers: image}}}}}}')
    judge(tree(snp=SNP), policy).require_release()
    made = judge(tree(snp=SNP), policy, simulated=True)
    with pytest.raises(Denied, match="simulated"):
        made.require_release()
