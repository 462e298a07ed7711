"""Every check that stops a threat, by the fault of the simulator that this check alone refuses.

A threat has several checks, and one test could pass while another check is gone. What verification leaves to
policies is judged by the built-in one.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from attest import Rejected, appraise, verify
from attest.anchors import Anchors
from attest.binding import Expected
from attest.canonical import read_json
from attest.errors import Malformed
from attest.memory import Memory
from attest.simulator import FAULTS, Simulator
from tests.policy.conftest import GPU, SNP, SWITCH, TDX, Judge, policy_of, tree
from tests.simulator import test_faults as faults


def stopped(simulator: Simulator, anchors: Anchors, name: str) -> set[str]:
    """Codes of the refusal of evidence with one fault."""
    vendor = FAULTS[name].vendor
    try:
        verified = faults.judge(simulator, anchors, faults.make(simulator, vendor, name), vendor)
    except (Malformed, Rejected) as refusal:
        return refusal.codes
    return {problem.code for problem in appraise(verified, None, at=simulator.at).problems}


def codes(appraisal: Any) -> list[str]:
    return [problem.code for problem in appraisal.problems]


def cases(table: str) -> pytest.MarkDecorator:
    """One case a line: the fault, then the codes of its refusal."""
    rows = [line.split() for line in table.strip().splitlines()]
    return pytest.mark.parametrize(
        ("fault", "wanted"), [(row[0], set(row[1:])) for row in rows], ids=[row[0] for row in rows]
    )


# -- freshness and binding --------------------------------------------------------------------------


@cases("""
machine-replayed binding.report-data binding.gpu-nonce
site-replayed binding.report-data
site-epoch-renewed binding.report-data
gpu-nonce binding.gpu-nonce
switch-nonce binding.gpu-nonce
""")
def test_t_replay_each_way_of_it_is_refused(
    fault: str, wanted: set[str], simulator: Simulator, anchors: Anchors
) -> None:
    assert stopped(simulator, anchors, fault) == wanted


def test_t_replay_evidence_of_more_than_five_minutes_is_refused_by_default(judge: Judge) -> None:
    aged = [judge(tree(snp=SNP, time={"evidence-age": age})) for age in ("300s", "301s")]
    assert [codes(one) for one in aged] == [[], ["policy.time.evidence-age"]]
    devices = [judge(tree(gpu=[{**GPU, "evidence-age": age}])) for age in ("120s", "121s")]
    assert [codes(one) for one in devices] == [[], ["policy.gpu.evidence-age"]]


@cases("""
machine-key-swapped binding.report-data binding.gpu-nonce
machine-cpu-key-swapped binding.report-data
site-key-swapped binding.report-data binding.gpu-nonce binding.site-key
site-key-of-another binding.site-key
""")
def test_t_keyswap_each_way_of_it_is_refused(
    fault: str, wanted: set[str], simulator: Simulator, anchors: Anchors
) -> None:
    assert stopped(simulator, anchors, fault) == wanted


@pytest.mark.parametrize("protocol", ["0.1", "0.2", "0.3"])
def test_t_version_downgrade_a_protocol_without_devices_is_refused_by_default(
    protocol: str, judge: Judge
) -> None:
    """Where there are devices that it could not carry."""
    claims = tree(snp=SNP, gpu=[GPU])
    claims["binding"]["protocol"] = protocol
    assert codes(judge(claims)) == ["policy.binding.protocol"]
    claims["binding"]["protocol"] = "0.4"
    assert codes(judge(claims)) == []


@pytest.mark.parametrize("kind", ["snp", "tdx"])
def test_t_initdata_on_azure_one_extension_of_register_8_carries_them(
    kind: str, simulator: Simulator, anchors: Anchors
) -> None:
    digest = hashlib.sha256(b"init-data").digest()
    once = hashlib.sha256(bytes(32) + digest).digest()
    twice = hashlib.sha256(once + digest).digest()
    for register, carried in ((once, True), (twice, False), (digest, False), (bytes(32), False)):
        made = simulator.azure(kind=kind, pcrs={8: register}, nonce=faults.NONCE, key=faults.KEY)
        verified = verify(
            made.evidence,
            endorsements=made.endorsements,
            at=made.at,
            anchors=anchors,
            expected=Expected(nonce=faults.NONCE, key=faults.KEY, init_data=digest),
        )
        known = {**verified.claims["binding"], **verified.paravisor_claims.get("binding", {})}
        assert known.get("init-data") == (digest.hex() if carried else None)


@cases("""
site-broker-layout binding.report-data binding.domain
site-local-layout binding.report-data binding.domain
""")
def test_t_cross_each_layout_stands_for_its_own_purpose(
    fault: str, wanted: set[str], simulator: Simulator, anchors: Anchors
) -> None:
    assert stopped(simulator, anchors, fault) == wanted


@cases("""
site-relayed binding.origin
site-origin-added binding.report-data
""")
def test_t_origin_each_way_of_it_is_refused(
    fault: str, wanted: set[str], simulator: Simulator, anchors: Anchors
) -> None:
    assert stopped(simulator, anchors, fault) == wanted


@cases("site-use-changed binding.report-data binding.gpu-nonce")
def test_t_fleet_a_use_that_was_changed_is_refused(
    fault: str, wanted: set[str], simulator: Simulator, anchors: Anchors
) -> None:
    assert stopped(simulator, anchors, fault) == wanted


@cases("""
tdx-tcb-info-from-tomorrow tdx.tcb-info.not-yet-valid
tdx-qe-identity-from-tomorrow tdx.qe-identity.not-yet-valid
tdx-pck-crl-from-tomorrow x509.crl.stale
tdx-tcb-info-expired tdx.tcb-info.expired
snp-leaf-not-yet-valid x509.not-yet-valid
gpu-ocsp-of-tomorrow policy.gpu.cert
site-epoch-ahead binding.epoch
nras-issued-later nras.not-yet-valid
""")
def test_t_clock_what_was_made_later_than_now_is_refused(
    fault: str, wanted: set[str], simulator: Simulator, anchors: Anchors
) -> None:
    assert stopped(simulator, anchors, fault) == wanted


# -- devices ----------------------------------------------------------------------------------------


@cases("""
machine-gpu-nonce binding.gpu-nonce
machine-gpu-added binding.report-data
machine-gpu-removed binding.report-data
machine-gpu-swapped binding.report-data
machine-gpus-unbound binding.report-data
machine-text-changed binding.report-data
""")
def test_t_unbound_each_way_of_it_is_refused(
    fault: str, wanted: set[str], simulator: Simulator, anchors: Anchors
) -> None:
    assert stopped(simulator, anchors, fault) == wanted


@pytest.mark.parametrize("said", ["false", None])
@pytest.mark.parametrize("part", [{"snp": SNP}, {"tdx": TDX}], ids=["snp", "tdx"])
def test_t_unbound_devices_that_the_cpu_does_not_cover_are_refused_by_default(
    part: dict[str, Any], said: str | None, judge: Judge
) -> None:
    claims = tree(**part, gpu=[GPU])
    assert codes(judge(claims)) == []
    del claims["binding"]["gpu-to-cpu"]
    claims["binding"] |= {} if said is None else {"gpu-to-cpu": said}
    assert codes(judge(claims)) == ["policy.binding.gpu-to-cpu"]


def test_t_unbound_devices_of_another_text_borrow_no_binding(simulator: Simulator, anchors: Anchors) -> None:
    """The CPU covers a text; the devices must be those written in it, all of them and in its order."""
    made = simulator.machine(nonce=faults.NONCE, key=faults.KEY, gpus=2)
    first, second = made.evidence.devices
    for devices, covered in (((first, second), "true"), ((first,), "false"), ((second, first), "false")):
        verified = verify(
            replace(made.evidence, devices=devices),
            endorsements=made.endorsements,
            at=made.at,
            anchors=anchors,
            expected=Expected(nonce=faults.NONCE, key=faults.KEY),
        )
        assert verified.claims["binding"]["gpu-to-cpu"] == covered


@cases("""
machine-empty-list nvidia.no-devices
gpu-rim-empty nvidia.rim.malformed
gpu-rim-none-active nvidia.rim.malformed
nras-module-missing nras.submodules
nras-device-left-out nras.count
""")
def test_t_empty_each_way_of_it_is_refused(
    fault: str, wanted: set[str], simulator: Simulator, anchors: Anchors
) -> None:
    assert stopped(simulator, anchors, fault) == wanted


@pytest.mark.parametrize("section", ["gpu", "switch"])
def test_t_empty_a_class_that_the_policy_requires_and_that_is_missing_is_a_denial(
    section: str, judge: Judge
) -> None:
    """Also where only something else is required of them, which nothing then breaks."""
    for rule in ("count: {at-least: 1}", 'architecture: {one-of: ["hopper", "ls10"]}'):
        policy = policy_of(f"{{snp: {{guest-svn: {{at-least: 0}}}}, {section}: {{{rule}}}}}")
        found = judge(tree(snp=SNP), policy)
        assert not found.conforms
        assert {code.split(".")[1] for code in codes(found)} == {section}


@cases("""
machine-gpu-doubled devices.duplicate
fabric-gpu-doubled devices.duplicate
fabric-switch-doubled devices.duplicate
fabric-report-key-shared devices.duplicate
nras-device-twice nras.identity
""")
def test_t_dup_each_way_of_it_is_refused(
    fault: str, wanted: set[str], simulator: Simulator, anchors: Anchors
) -> None:
    assert stopped(simulator, anchors, fault) == wanted


@cases("""
gpu-spt-with-protected-pcie nvidia.mode.contradiction
gpu-ppcie-without-status nvidia.mode.contradiction
gpu-ppcie-without-switches nvidia.mode.contradiction
gpu-spt-with-switches nvidia.mode.contradiction
gpu-ppcie policy.gpu.mode
gpu-measurement policy.gpu.measurements
switch-unlocked policy.switch.locked
switch-measurement policy.switch.measurements
fabric-modes devices.mode
fabric-drivers devices.driver
fabric-unlocked nvidia.topology
fabric-lock-unsaid nvidia.topology
fabric-gpu-of-another-node nvidia.topology
fabric-switch-of-another-node nvidia.topology
fabric-ninth-gpu nvidia.topology
fabric-fifth-switch nvidia.topology
fabric-three-switches-named nvidia.topology
fabric-seven-gpus-named nvidia.topology
fabric-switch-borrows-a-name nvidia.topology
fabric-position-doubled nvidia.topology
switch-pdi nvidia.topology
""")
def test_t_gpu_mode_each_way_of_it_is_refused(
    fault: str, wanted: set[str], simulator: Simulator, anchors: Anchors
) -> None:
    assert stopped(simulator, anchors, fault) == wanted


@pytest.mark.parametrize(("section", "part", "claim"), [("gpu", GPU, "mode"), ("switch", SWITCH, "locked")])
def test_t_gpu_mode_what_is_not_said_does_not_pass(
    section: str, part: dict[str, Any], claim: str, judge: Judge
) -> None:
    unsaid = {name: value for name, value in part.items() if name != claim}
    assert codes(judge(tree(**{section: [part]}))) == []
    assert codes(judge(tree(**{section: [unsaid]}))) == [f"policy.{section}.{claim}"]


@pytest.mark.parametrize("fault", ["fabric-gpu-missing", "fabric-switch-missing", "fabric-no-switches"])
def test_t_gpu_mode_a_part_of_a_protected_node_is_warned_of(
    fault: str, simulator: Simulator, anchors: Anchors
) -> None:
    verified = faults.judge(simulator, anchors, faults.make(simulator, "fabric", fault), "fabric")
    assert "nvidia.topology.incomplete" in {warning.code for warning in verified.warnings}
    whole = faults.judge(simulator, anchors, faults.make(simulator, "fabric", None), "fabric")
    assert "nvidia.topology.incomplete" not in {warning.code for warning in whole.warnings}


@cases("""
gpu-rim-tampered nvidia.rim.digest
gpu-vbios-rim-tampered nvidia.rim.digest
switch-rim-tampered nvidia.rim.digest
gpu-rim-signature nvidia.rim.signature
gpu-rim-signed-by-another nvidia.rim.signature
gpu-rim-wrapped nvidia.rim.wrapping
gpu-rim-two-signatures nvidia.rim.wrapping
gpu-rim-algorithm nvidia.rim.algorithm
gpu-rim-dtd nvidia.rim.dtd
gpu-rim-expired x509.expired
gpu-rim-not-yet-valid x509.not-yet-valid
switch-rim-expired x509.expired
gpu-rim-chain-cut x509.depth
gpu-rim-foreign-root x509.anchor
gpu-rim-under-device-root x509.anchor
gpu-rim-third-not-a-ca x509.not-a-ca
gpu-ocsp-rim-revoked x509.revoked
switch-ocsp-rim-revoked x509.revoked
gpu-ocsp-rim-hold policy.gpu.cert
gpu-rim-of-another-product nvidia.rim.product
switch-rim-of-another-product nvidia.rim.product
gpu-rim-in-both-roles nvidia.rim.index-conflict nvidia.rim.role
gpu-rim-of-another-version policy.gpu.measurements
gpu-rim-missing policy.gpu.measurements
gpu-driver-rim-missing policy.gpu.measurements
gpu-vbios-rim-missing policy.gpu.measurements
switch-rim-missing policy.switch.measurements
""")
def test_t_rim_each_way_of_it_is_refused(
    fault: str, wanted: set[str], simulator: Simulator, anchors: Anchors
) -> None:
    assert stopped(simulator, anchors, fault) == wanted


@pytest.mark.parametrize("state", ["expired", "revoked"])
@pytest.mark.parametrize(
    ("section", "part", "claim"),
    [("gpu", GPU, "driver-rim"), ("gpu", GPU, "vbios-rim"), ("switch", SWITCH, "bios-rim")],
)
def test_t_rim_a_manifest_said_to_be_out_of_force_is_refused_by_default(
    section: str, part: dict[str, Any], claim: str, state: str, judge: Judge
) -> None:
    """Whoever verified it: an answer of somebody else's may say so where ours would have refused."""
    assert codes(judge(tree(**{section: [{**part, claim: state}]}))) == [f"policy.{section}.{claim}"]


@cases("""
nras-signature nras.signature.invalid
nras-device-signature nras.signature.invalid
nras-kid-unknown nras.key.unknown
nras-x5c-of-another-key nras.keys
nras-issuer-staging nras.issuer
nras-device-issuer nras.issuer
nras-nonce nras.nonce
nras-device-nonce nras.nonce
nras-nonce-missing nras.nonce
nras-expired nras.expired
nras-device-expired nras.expired
nras-no-end nras.claims
nras-version nras.version
nras-device-replaced nras.digest
nras-digest-algorithm nras.digest
nras-module-unnamed nras.submodules
nras-module-missing nras.submodules
nras-device-left-out nras.count
nras-device-of-another nras.identity
nras-driver-of-another nras.identity
nras-overall-false nras.verdict
nras-overall-text nras.verdict
nras-error nras.error
nras-measurements nras.device
nras-hold nras.warning
""")
def test_t_nras_each_way_of_it_is_refused(
    fault: str, wanted: set[str], simulator: Simulator, anchors: Anchors
) -> None:
    assert stopped(simulator, anchors, fault) == wanted


# -- the machine ------------------------------------------------------------------------------------


@cases("""
snp-debug policy.snp.debug
tdx-debug policy.tdx.debug
tdx-profiled policy.tdx.debug
tdx-qe-debug tdx.qe-report.identity
tdx-seamattributes tdx.module.attributes
gpu-measurement policy.gpu.measurements
""")
def test_t_debug_each_way_of_it_is_refused(
    fault: str, wanted: set[str], simulator: Simulator, anchors: Anchors
) -> None:
    assert stopped(simulator, anchors, fault) == wanted


@cases("""
snp-vmpl-1 policy.snp.vmpl
snp-host-requested snp.report.host-requested
azure-vmpl-2 azure.vmpl
""")
def test_t_vmpl_each_way_of_it_is_refused(
    fault: str, wanted: set[str], simulator: Simulator, anchors: Anchors
) -> None:
    assert stopped(simulator, anchors, fault) == wanted


@cases("""
snp-migrate-ma policy.snp.migrate-ma
tdx-migratable policy.tdx.migratable
tdx-mrservicetd policy.tdx.mrservicetd
""")
def test_t_migrate_each_way_of_it_is_refused(
    fault: str, wanted: set[str], simulator: Simulator, anchors: Anchors
) -> None:
    assert stopped(simulator, anchors, fault) == wanted


@cases("""
snp-spl-bootloader snp.tcb.mismatch
snp-spl-tee snp.tcb.mismatch
snp-spl-snp snp.tcb.mismatch
snp-spl-microcode snp.tcb.mismatch
snp-spl-fmc snp.tcb.mismatch
snp-spl-missing snp.leaf.extension
snp-committed-below-reported snp.tcb.order
snp-current-below-committed snp.tcb.order
snp-firmware-order snp.tcb.order
snp-hwid-of-another-chip snp.chip-id.mismatch
snp-chip-id-tail snp.chip-id.mismatch
""")
def test_t_tcb_rollback_each_way_of_it_is_refused(
    fault: str, wanted: set[str], simulator: Simulator, anchors: Anchors
) -> None:
    assert stopped(simulator, anchors, fault) == wanted


@cases("""
tdx-out-of-date policy.tdx.tcb-status
tdx-pcesvn-out-of-date policy.tdx.tcb-status
tdx-module-out-of-date policy.tdx.tcb-status
tdx-qe-out-of-date policy.tdx.tcb-status
tdx-configuration-needed policy.tdx.tcb-status
tdx-hardening-needed policy.tdx.tcb-status
tdx-relaunch policy.tdx.tcb-status
tdx-unknown-status tdx.tcb.unknown-status
tdx-level-revoked tdx.tcb.revoked
tdx-module-revoked tdx.tcb.revoked
tdx-qe-revoked tdx.tcb.revoked
tdx-no-level tdx.tcb.no-level
tdx-qe-mrsigner tdx.qe-report.identity
tdx-qe-product tdx.qe-report.identity
tdx-qe-miscselect tdx.qe-report.identity
tdx-qe-too-old tdx.qe-report.svn
tdx-module-unknown tdx.module.unknown
tdx-module-too-old tdx.module.unknown
tdx-mrsignerseam tdx.module.signer
tdx-seamattributes tdx.module.attributes
tdx-attribute-reserved policy.tdx.attributes
tdx-xfam tdx.xfam
tdx-fmspc tdx.tcb-info.fmspc
""")
def test_t_tdx_status_each_way_of_it_is_refused(
    fault: str, wanted: set[str], simulator: Simulator, anchors: Anchors
) -> None:
    assert stopped(simulator, anchors, fault) == wanted


@cases("""
tdx-tcb-info-expired tdx.tcb-info.expired
tdx-qe-identity-expired tdx.qe-identity.expired
tdx-root-crl-stale x509.crl.stale
tdx-pck-crl-stale x509.crl.stale
tdx-root-crl-missing x509.crl.missing
tdx-pck-crl-missing x509.crl.missing
tdx-pck-crl-of-another-ca x509.crl.missing
snp-crl-stale policy.snp.crl
gpu-ocsp-stale policy.gpu.cert
gpu-ocsp-endless policy.gpu.cert
""")
def test_t_collateral_rollback_what_has_ended_or_is_missing_is_refused(
    fault: str, wanted: set[str], simulator: Simulator, anchors: Anchors
) -> None:
    assert stopped(simulator, anchors, fault) == wanted


@pytest.mark.parametrize("state", ["stale", "revoked", None])
@pytest.mark.parametrize(("section", "part"), [("snp", SNP), ("tdx", TDX)])
def test_t_collateral_rollback_only_a_fresh_list_passes_by_default(
    section: str, part: dict[str, Any], state: str | None, judge: Judge
) -> None:
    """AMD's list alone may be absent, which withholds a release instead."""
    claims = {name: value for name, value in part.items() if name != "crl"}
    if state is not None:
        claims["crl"] = state
    elif section == "snp":
        claims["crl"] = "absent"
        assert "revocation-unchecked" in {one.code for one in judge(tree(snp=claims)).warnings}
        return
    assert codes(judge(tree(**{section: claims}))) == [f"policy.{section}.crl"]


def test_t_collateral_rollback_the_minimum_evaluation_number_is_asked_of_each_document(
    simulator: Simulator, anchors: Anchors
) -> None:
    made = simulator.tdx()
    given = {"endorsements": made.endorsements, "at": made.at, "anchors": anchors}
    number = int(verify(made.evidence, **given).claims["tdx"]["tcb-evaluation"])  # type: ignore[arg-type]
    verify(made.evidence, memory=Memory(minimum_evaluation=number), **given)  # type: ignore[arg-type]
    with pytest.raises(Rejected) as caught:
        verify(made.evidence, memory=Memory(minimum_evaluation=number + 1), **given)  # type: ignore[arg-type]
    found = [problem for problem in caught.value.problems if problem.code == "tdx.collateral.evaluation"]
    assert caught.value.codes == {"tdx.collateral.evaluation"}
    assert len(found) == 2, "TCB info and QE identity"


def test_t_memory_a_set_of_another_number_or_platform_says_nothing_of_this_one(
    simulator: Simulator, anchors: Anchors
) -> None:
    """Early sets carry higher numbers and later dates; the list's number never moves, its date does."""
    made = simulator.tdx()
    given = {"endorsements": made.endorsements, "at": made.at, "anchors": anchors}
    seen = verify(made.evidence, **given).memory  # type: ignore[arg-type]
    assert len(seen.documents) == 2
    assert seen.minimum_evaluation is None, "what evidence brought raises no minimum"
    assert not seen.crl_numbers, "Intel's number is 1 for ever"
    later = {name: date.replace(year=date.year + 1) for name, date in seen.documents.items()}
    for name in later:
        kind, fmspc, number = name.split("/")
        early = {f"{kind}/{fmspc}/{int(number) + 1}": later[name]}
        elsewhere = {f"{kind}/ffffffffffff/{number}": later[name]}
        for documents in (early, elsewhere):
            verify(made.evidence, memory=replace(seen, documents={**seen.documents, **documents}), **given)  # type: ignore[arg-type]
        with pytest.raises(Rejected) as caught:
            verify(made.evidence, memory=replace(seen, documents={name: later[name]}), **given)  # type: ignore[arg-type]
        assert caught.value.codes == {"tdx.collateral.rollback"}
    for issuer, date in seen.crls.items():
        newer = {**seen.crls, issuer: date.replace(year=date.year + 1)}
        with pytest.raises(Rejected) as caught:
            verify(made.evidence, memory=replace(seen, crls=newer), **given)  # type: ignore[arg-type]
        assert caught.value.codes == {"x509.crl.rollback"}


def test_t_memory_what_was_seen_never_raises_the_minimum() -> None:
    seen = Memory(minimum_evaluation=30)
    assert Memory().merged(seen).minimum_evaluation is None
    assert Memory(minimum_evaluation=17).merged(seen).minimum_evaluation == 17
    assert Memory(minimum_evaluation=17).raised(16).minimum_evaluation == 17
    assert Memory(minimum_evaluation=17).raised(18).minimum_evaluation == 18


def test_t_cache_a_root_of_another_role_is_another_set_of_anchors() -> None:
    """The same certificates, trusted for something else."""
    mine, other = (Anchors.production().for_role(role)[0] for role in ("nvidia-device", "nvidia-rim"))
    sets = [
        Anchors((mine, other)),
        Anchors((replace(mine, role=other.role), replace(other, role=mine.role))),
        Anchors((replace(mine, simulated=True), other)),
        Anchors((mine, other), (mine.certificate,)),
        Anchors((mine,)),
    ]
    assert len({one.digest for one in sets}) == len(sets)


@pytest.mark.parametrize("form", [str, bytes])
def test_t_canon_a_text_is_bounded_before_it_is_read(form: type) -> None:
    text = '["' + "a" * 20 + '"]'
    given: str | bytes = text if form is str else text.encode()
    assert read_json(given, where="test", limit=24) == ["a" * 20]
    for limit, tried in ((23, given), (1 << 20, "[" + "0," * 300_000 + "0]")):
        with pytest.raises(Malformed):
            read_json(tried, where="test", limit=limit)


@cases("""
snp-ask-revoked x509.revoked
snp-crl-bad-signature x509.crl.signature
snp-crl-stranger x509.crl.stranger
tdx-pck-revoked x509.revoked
tdx-ca-revoked x509.revoked
tdx-tcb-signer-revoked x509.revoked
tdx-root-crl-bad-signature x509.crl.signature
tdx-pck-crl-bad-signature x509.crl.signature
tdx-ca-may-not-sign-lists x509.key-usage
gpu-ocsp-revoked x509.revoked
gpu-ocsp-ca-revoked x509.revoked
gpu-ocsp-hold policy.gpu.cert
gpu-ocsp-unknown policy.gpu.cert
gpu-ocsp-signature nvidia.ocsp.signature
gpu-ocsp-foreign-responder nvidia.ocsp.responder
switch-ocsp-revoked x509.revoked
switch-ocsp-hold policy.switch.cert
azure-ak-certificate-ca-revoked x509.revoked
""")
def test_t_crl_each_way_of_it_is_refused(
    fault: str, wanted: set[str], simulator: Simulator, anchors: Anchors
) -> None:
    assert stopped(simulator, anchors, fault) == wanted


@cases("""
snp-self-made-chain x509.signature
tdx-self-made-chain x509.anchor
tdx-tcb-signer-self-made x509.anchor
gpu-self-made-chain x509.anchor
gpu-root-swapped x509.anchor
gpu-rim-foreign-root x509.anchor
gpu-ocsp-self-made nvidia.ocsp.responder
switch-self-made-chain x509.anchor
azure-ak-certificate-self-made x509.anchor
snp-product-name snp.product.mismatch
snp-struct-version snp.product.mismatch
snp-cpuid-of-another-product snp.product.mismatch
snp-chain-of-another-product snp.product.mismatch
snp-leaf-kind snp.leaf.kind
snp-vcek-with-csp snp.leaf.kind
snp-vlek-without-csp snp.leaf.kind
snp-vlek-with-hwid snp.leaf.extension
snp-vcek-under-asvk x509.name
tdx-ca-name x509.name
tdx-pck-name x509.name
snp-chip-id-masked snp.chip-id.masked
""")
def test_t_root_each_way_of_it_is_refused(
    fault: str, wanted: set[str], simulator: Simulator, anchors: Anchors
) -> None:
    assert stopped(simulator, anchors, fault) == wanted


@cases("""
tdx-pck-revoked-earlier x509.revoked
gpu-ocsp-older-good x509.revoked
gpu-ocsp-newer-good x509.revoked
tdx-root-crl-missing x509.crl.missing
tdx-pck-crl-missing x509.crl.missing
snp-crl-stranger x509.crl.stranger
""")
def test_t_omit_each_way_of_it_is_refused(
    fault: str, wanted: set[str], simulator: Simulator, anchors: Anchors
) -> None:
    assert stopped(simulator, anchors, fault) == wanted


@pytest.mark.parametrize(
    "fault", ["gpu-ocsp-missing", "gpu-ocsp-rim-missing", "gpu-ocsp-of-another", "switch-ocsp-missing"]
)
def test_t_omit_an_answer_that_is_left_out_withholds_a_release(
    fault: str, simulator: Simulator, anchors: Anchors
) -> None:
    vendor = FAULTS[fault].vendor
    verified = faults.judge(simulator, anchors, faults.make(simulator, vendor, fault), vendor)
    assert verified.claims[vendor][0]["cert"] == "absent"
    warnings = {warning.code for warning in appraise(verified, None, at=simulator.at).warnings}
    assert "revocation-unchecked" in warnings


# -- logs and registers -----------------------------------------------------------------------------

LOGS = [name for name in FAULTS if name.startswith("tdx-log-") and FAULTS[name].warnings]


@pytest.mark.parametrize("fault", LOGS)
def test_t_eventlog_a_log_that_does_not_replay_says_nothing_of_the_boot(
    fault: str, simulator: Simulator, anchors: Anchors
) -> None:
    assert len(LOGS) > 8
    verified = faults.judge(simulator, anchors, faults.make(simulator, "tdx", fault), "tdx")
    assert verified.claims["tdx"]["event-log"] == "mismatch"
    assert "boot" not in verified.claims
    assert "event-log.mismatch" in {warning.code for warning in verified.warnings}


@cases("""
azure-pcr-bank azure.tpm.selection
azure-pcr-two-banks azure.tpm.selection
azure-pcr-none azure.tpm.selection
azure-pcr-missing azure.tpm.pcr-count
azure-pcr-moved azure.tpm.pcr-size
azure-pcr-value azure.tpm.pcr-digest
""")
def test_t_pcr_each_way_of_it_is_refused(
    fault: str, wanted: set[str], simulator: Simulator, anchors: Anchors
) -> None:
    assert stopped(simulator, anchors, fault) == wanted


def test_t_pcr_a_register_stands_under_the_index_that_the_quote_selected(
    simulator: Simulator, anchors: Anchors
) -> None:
    """Not under its place in the list: with one left out of the selection, the rest keep their numbers."""
    whole, some = (
        faults.judge(simulator, anchors, faults.make(simulator, "azure", fault), "azure").paravisor_claims[
            "azure"
        ]
        for fault in (None, "azure-pcr-some")
    )
    kept = {name for name in some if name.startswith("pcr")}
    assert kept < {name for name in whole if name.startswith("pcr")}
    assert "pcr8" not in kept
    assert {name: some[name] for name in kept - {"pcr14"}} == {name: whole[name] for name in kept - {"pcr14"}}


@cases("""
azure-runtime-data azure.hcl.binding
azure-runtime-data-written-anew azure.hcl.binding
azure-tdx-runtime-data azure.hcl.binding
azure-report-data-tail azure.hcl.binding
azure-td-report-mrtd azure.td-report
azure-td-quote-of-another azure.td-report
azure-tpm-other-key azure.tpm.signature
azure-tpm-magic azure.tpm.magic
azure-tpm-type azure.tpm.type
azure-ak-certificate-key azure.ak-certificate.key
azure-vmpl-2 azure.vmpl
""")
def test_t_paravisor_each_link_is_needed_even_for_the_forger(
    fault: str, wanted: set[str], simulator: Simulator, anchors: Anchors
) -> None:
    assert stopped(simulator, anchors, fault) == wanted
