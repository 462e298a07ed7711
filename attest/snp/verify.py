"""Is a SEV-SNP report genuine, current and consistent? The checks, in order."""

from __future__ import annotations

from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384

from attest.anchors import Anchors
from attest.cache import Cache
from attest.checks import CheckLog
from attest.endorsements import Endorsements
from attest.errors import Malformed
from attest.evidence import PartResult
from attest.memory import Memory
from attest.path import Path
from attest.revocation import State, check_crls
from attest.snp.chain import Candidate, candidates, check_chain
from attest.snp.facts import SnpPart
from attest.snp.leaf import LeafFacts, read_leaf
from attest.snp.report import HOST_REQUESTED, VERSIONS, Report
from attest.snp.tcb import Product, Tcb, product_of
from attest.x509 import Certificate, Crl

_ECDSA = ec.ECDSA(SHA384())
_P384_ORDER = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16
)
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
    candidate = _choose(report, endorsements, anchors, log, cache)
    if candidate is None:
        for check in _NEEDING_A_LEAF:
            log.not_run(check, "no VCEK or VLEK certificate")
        return None
    path = check_chain(candidate, anchors=anchors, log=log, cache=cache)
    if path is not None and path.in_time(at, log):
        log.passed("snp.chain")
    crl_state, crl = _check_revocation(path, endorsements, at, log, cache, memory)
    leaf = _check_leaf(report, candidate, log, cache)
    product = candidate.product
    _check_product(report, product, leaf, log)
    # Signed by the leaf's key, whatever the leaf is worth: both answers help the reader of a refusal.
    log.require(
        "snp.signature",
        is_signed_by(report, candidate.leaf),
        "snp.signature.invalid",
        where="report.signature",
        expected=f"signed by the key of {candidate.leaf.common_name.shown}",
    )
    if leaf is not None:
        _check_certified_tcb(report, product, leaf, log)
        _check_chip(report, product, leaf, log)
    else:
        log.not_run("snp.tcb.certificate", "the leaf's extensions cannot be read")
        log.not_run("snp.chip-id", "the leaf's extensions cannot be read")
    _check_tcb_order(report, product, log)
    if len(log.problems) > before or path is None or leaf is None:
        return None
    part = SnpPart(report, product, path, leaf, crl_state, crl)
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


def _choose(
    report: Report, endorsements: Endorsements, anchors: Anchors, log: CheckLog, cache: Cache | None
) -> Candidate | None:
    """The leaf to judge: of several, the one whose key signed the report."""
    found: list[Candidate] | None = None
    key = b""
    if cache is not None:
        key = cache.key("snp-leaves", anchors.digest, [c.fingerprint for c in endorsements.certificates])
        found = cache.get(key)
    if found is None:
        found = candidates(endorsements, anchors)
        if cache is not None and found:
            cache.put(key, found)
    if not found:
        log.failed("snp.leaf", "snp.leaf.missing", expected="SEV-VCEK or SEV-VLEK")
        return None
    if len(found) == 1:
        return found[0]
    signer = next((candidate for candidate in found if is_signed_by(report, candidate.leaf)), None)
    if signer is None:
        log.failed("snp.leaf", "snp.leaf.several", found=len(found))
    return signer or found[0]


def is_signed_by(report: Report, leaf: Certificate) -> bool:
    """ECDSA P-384 with SHA-384 over the signed bytes; r and s are little-endian in the report."""
    key = leaf.public_key
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    r = int.from_bytes(report.signature_r, "little")
    s = int.from_bytes(report.signature_s, "little")
    if not (0 < r < _P384_ORDER and 0 < s < _P384_ORDER):
        return False
    try:
        key.verify(encode_dss_signature(r, s), report.signed, _ECDSA)
    except InvalidSignature:
        return False
    return True


def _check_revocation(
    path: Path | None,
    endorsements: Endorsements,
    at: datetime,
    log: CheckLog,
    cache: Cache | None,
    memory: Memory | None,
) -> tuple[State, Crl | None]:
    """The ARK's list, against ASK or ASVK. Leaves all have serial 0 and cannot be listed."""
    if path is None:
        log.not_run("snp.crl", "no verified chain")
        return "absent", None
    state, crl = check_crls(
        path.root,
        path.certificates[1:2],
        endorsements.crls,
        at=at,
        check="snp.crl",
        log=log,
        cache=cache,
        memory=memory,
        counted=True,
    )
    if state == "fresh":
        log.passed("snp.crl")
    elif state == "stale":
        # The default policy refuses a stale list; an owner may lift that by name.
        log.not_run("snp.crl", "the list is out of date: policies decide")
    elif state == "absent":
        log.not_run("snp.crl", "no list of the ARK was given")
    return state, crl


def _read_leaf(candidate: Candidate, cache: Cache | None) -> LeafFacts:
    if cache is None:
        return read_leaf(candidate.leaf, candidate.kind, candidate.product)
    key = cache.key(f"leaf/{candidate.kind}/{candidate.product}", b"", [candidate.leaf.fingerprint])
    leaf: LeafFacts | None = cache.get(key)
    if leaf is None:
        leaf = read_leaf(candidate.leaf, candidate.kind, candidate.product)
        cache.put(key, leaf)
    return leaf


def _check_leaf(report: Report, candidate: Candidate, log: CheckLog, cache: Cache | None) -> LeafFacts | None:
    try:
        leaf = _read_leaf(candidate, cache)
    except Malformed as error:
        log.absorb(error, "snp.leaf")
        return None
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
    return leaf


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


def _check_certified_tcb(report: Report, product: Product, leaf: LeafFacts, log: CheckLog) -> None:
    """The leaf was derived for REPORTED_TCB, not for CURRENT_TCB."""
    reported = Tcb.decode(report.reported_tcb, product)
    log.require(
        "snp.tcb.certificate",
        leaf.tcb == reported,
        "snp.tcb.mismatch",
        where="report.reported_tcb",
        expected=leaf.tcb,
        found=reported,
    )


def _check_chip(report: Report, product: Product, leaf: LeafFacts, log: CheckLog) -> None:
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


def _check_tcb_order(report: Report, product: Product, log: CheckLog) -> None:
    reported = Tcb.decode(report.reported_tcb, product)
    committed = Tcb.decode(report.committed_tcb, product)
    current = Tcb.decode(report.current_tcb, product)
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
