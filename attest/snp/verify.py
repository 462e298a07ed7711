"""Is a SEV-SNP report genuine, current and consistent? The checks, in order."""

from __future__ import annotations

from datetime import datetime

from attest.anchors import Anchors
from attest.cache import Cache
from attest.checks import CheckLog
from attest.endorsements import Endorsements
from attest.evidence import PartResult
from attest.memory import Memory
from attest.snp.chain import Candidate
from attest.snp.facts import SnpPart
from attest.snp.ground import find_ground
from attest.snp.leaf import LeafFacts
from attest.snp.report import HOST_REQUESTED, VERSIONS, Report
from attest.snp.signature import is_signed_by
from attest.snp.tcb import Product, Tcb, product_of

_VCEK, _VLEK = 0, 1
_POLICY_ALWAYS_ONE = 1 << 17
_NEEDING_A_LEAF = (
    "snp.chain",
    "snp.crl",
    "snp.product",
    "snp.signature",
    "snp.tcb.certificate",
    "snp.chip-id",
    "snp.tcb.order",
)


def verify_snp(
    report: Report,
    *,
    endorsements: Endorsements,
    anchors: Anchors,
    at: datetime,
    log: CheckLog,
    cache: Cache | None,
    memory: Memory | None,
) -> PartResult | None:
    """Run every check of a SEV-SNP report; outcomes and problems go into `log`.

    Returns None when anything failed. Report data, and what an owner wants, are not judged here.
    Source: AMD 56860 (report), AMD 57230 (certificates).
    """
    before = len(log.problems)
    _check_layout(report, log)
    log.require(
        "snp.policy.bit-17",
        bool(report.policy & _POLICY_ALWAYS_ONE),
        "snp.report.policy-bit",
        where="report.policy",
    )
    log.require(
        "snp.vmpl.host", report.vmpl != HOST_REQUESTED, "snp.report.host-requested", where="report.vmpl"
    )
    ground = find_ground(
        report, endorsements=endorsements, anchors=anchors, at=at, log=log, cache=cache, memory=memory
    )
    if ground is None:
        for check in _NEEDING_A_LEAF:
            log.not_run(check, "no VCEK or VLEK certificate")
        return None
    candidate, path, leaf, crl = ground.candidate, ground.path, ground.leaf, ground.crl
    if leaf is not None:
        _check_leaf(report, candidate, leaf, log)
    product = candidate.product
    _check_product(report, product, leaf, log)
    # Signed by the leaf's key, whatever the leaf is worth: both answers help the reader of a refusal.
    if is_signed_by(report, candidate.leaf):
        log.passed("snp.signature")
    else:
        log.failed(
            "snp.signature",
            "snp.signature.invalid",
            where="report.signature",
            expected=f"signed by the key of {candidate.leaf.common_name.shown}",
        )
    reported = Tcb.decode(report.reported_tcb, product)
    if leaf is not None:
        _check_certified_tcb(reported, leaf, log)
        _check_chip(report, leaf, log)
    else:
        log.not_run("snp.tcb.certificate", "the leaf's extensions cannot be read")
        log.not_run("snp.chip-id", "the leaf's extensions cannot be read")
    _check_tcb_order(report, reported, log)
    if len(log.problems) > before or path is None or leaf is None:
        return None
    part = SnpPart(report, product, path, leaf, ground.crl_state, crl)
    if crl is None:
        return PartResult(part)
    root = path.root.spki_sha256
    numbers = {} if crl.number is None else {root: crl.number}
    return PartResult(part, {root: crl.this_update}, crl_numbers=numbers)


def _check_layout(report: Report, log: CheckLog) -> None:
    log.require(
        "snp.report.version",
        report.version in VERSIONS,
        "snp.report.version",
        where="report.version",
        expected="2, 3, 4 or 5",
        found=report.version,
    )
    log.require(
        "snp.report.signature-algorithm",
        report.signature_algo == 1,
        "snp.report.signature-algorithm",
        where="report.signature_algo",
        expected="1 (ECDSA P-384 with SHA-384)",
        found=report.signature_algo,
    )
    if report.signing_key not in (_VCEK, _VLEK):
        log.failed(
            "snp.report.signing-key",
            "snp.report.signing-key",
            where="report.key_info",
            expected="0 (VCEK) or 1 (VLEK)",
            found=report.signing_key,
        )
    elif report.chip_key_masked:
        log.failed("snp.report.signing-key", "snp.report.masked-key", where="report.key_info")
    else:
        log.passed("snp.report.signing-key")
    log.require(
        "snp.report.reserved",
        report.unsigned_reserved_is_zero,
        "snp.report.reserved",
        where="report+0x2a0..0x49f",
        expected="zero",
    )
    if not report.signed_reserved_is_zero:
        log.warn("snp.reserved-bits", where="report")


def _check_leaf(report: Report, candidate: Candidate, leaf: LeafFacts, log: CheckLog) -> None:
    wanted = {_VCEK: "vcek", _VLEK: "vlek"}.get(report.signing_key)
    if wanted is not None and candidate.kind != wanted:
        log.failed(
            "snp.leaf",
            "snp.leaf.kind",
            where="report.key_info.signing_key",
            expected=candidate.kind,
            found=wanted,
        )
    if (leaf.csp_id is not None) != (candidate.kind == "vlek"):
        log.failed(
            "snp.leaf",
            "snp.leaf.kind",
            where="leaf.CSP_ID",
            expected="in a VLEK only",
            found="missing" if leaf.csp_id is None else "in a VCEK",
        )
    if (leaf.hwid is not None) != (candidate.kind == "vcek"):
        log.failed(
            "snp.leaf",
            "snp.leaf.extension",
            where="leaf.hwID",
            expected="in a VCEK only",
            found="missing" if leaf.hwid is None else "in a VLEK",
        )
    log.passed("snp.leaf")


def _check_product(report: Report, product: Product, leaf: LeafFacts | None, log: CheckLog) -> None:
    """The root decides the product; certificate and CPUID must agree with it."""
    if leaf is not None:
        if leaf.product_name != product:
            log.failed(
                "snp.product",
                "snp.product.mismatch",
                where="leaf.productName",
                expected=product,
                found=leaf.product_name,
            )
        if leaf.struct_version != (1 if product == "turin" else 0):
            log.failed(
                "snp.product",
                "snp.product.mismatch",
                where="leaf.structVersion",
                expected=1 if product == "turin" else 0,
                found=leaf.struct_version,
            )
    if report.cpuid_fam_id is not None and report.cpuid_mod_id is not None:
        from_cpuid = product_of(report.cpuid_fam_id, report.cpuid_mod_id)
        shown = f"family {report.cpuid_fam_id:#x} model {report.cpuid_mod_id:#x}"
        if from_cpuid is None:
            log.failed("snp.product", "snp.product.unknown", where="report.cpuid", found=shown)
        elif from_cpuid != product:
            log.failed(
                "snp.product",
                "snp.product.mismatch",
                where="report.cpuid",
                expected=product,
                found=f"{from_cpuid} ({shown})",
            )
    log.passed("snp.product")


def _check_certified_tcb(reported: Tcb, leaf: LeafFacts, log: CheckLog) -> None:
    """The leaf was derived for REPORTED_TCB, not for CURRENT_TCB."""
    log.require(
        "snp.tcb.certificate",
        leaf.tcb == reported,
        "snp.tcb.mismatch",
        where="report.reported_tcb",
        expected=leaf.tcb,
        found=reported,
    )


def _check_chip(report: Report, leaf: LeafFacts, log: CheckLog) -> None:
    if leaf.hwid is None:
        # A VLEK names a cloud provider, not a chip; a VCEK without hwID was refused with its leaf.
        log.not_run("snp.chip-id", "a VLEK is not tied to a chip")
        return
    if not any(report.chip_id):
        log.failed("snp.chip-id", "snp.chip-id.masked", where="report.chip_id", expected=leaf.hwid)
        return
    wanted = leaf.hwid.ljust(64, b"\0")
    log.require(
        "snp.chip-id",
        report.chip_id == wanted,
        "snp.chip-id.mismatch",
        where="report.chip_id",
        expected=wanted,
        found=report.chip_id,
    )


def _check_tcb_order(report: Report, reported: Tcb, log: CheckLog) -> None:
    committed = current = reported  # as on a machine whose firmware was not changed since it started
    if report.committed_tcb != report.reported_tcb:
        committed = Tcb.decode(report.committed_tcb, reported.product)
    if report.current_tcb != report.reported_tcb:
        current = Tcb.decode(report.current_tcb, reported.product)
    if not reported.at_most(committed):
        log.failed(
            "snp.tcb.order",
            "snp.tcb.order",
            where="report.reported_tcb",
            expected=f"at most committed: {committed}",
            found=reported,
        )
    if not committed.at_most(current):
        log.failed(
            "snp.tcb.order",
            "snp.tcb.order",
            where="report.committed_tcb",
            expected=f"at most current: {current}",
            found=committed,
        )
    if report.committed_version > report.current_version:
        log.failed(
            "snp.tcb.order",
            "snp.tcb.order",
            where="report.committed_version",
            expected="at most current: {}.{}.{}".format(*report.current_version),
            found="{}.{}.{}".format(*report.committed_version),
        )
    log.passed("snp.tcb.order")
