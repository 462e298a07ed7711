"""Is this quote genuine and current? The checks, in order.

Debug TDs, OutOfDate platforms and the like are genuine: they become claims, and policies refuse them.
Sources: Intel TDX DCAP quoting library API, PCS API v4, PCK certificate and CRL profile, TDX module ABI.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec

from attest.anchors import Anchors
from attest.cache import Cache, Key
from attest.checks import CheckLog
from attest.endorsements import Endorsements
from attest.evidence import PartResult
from attest.memory import Memory
from attest.tdx.attributes import PERFMON, XFAM_FIXED_1
from attest.tdx.documents import QE_IDENTITIES, TCB_INFOS, verifies
from attest.tdx.facts import TdxPart
from attest.tdx.ground import find_ground
from attest.tdx.pck import PckChain
from attest.tdx.tcb_checks import check_module, check_qe_identity, check_tcb

if TYPE_CHECKING:
    from attest.tdx.qe_identity import QeIdentity
    from attest.tdx.quote import Quote
    from attest.tdx.tcb_info import TcbInfo

INTEL_QE_VENDOR = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
_P256 = ec.SECP256R1()
_ZERO_32 = bytes(32)


def verify_quote(
    quote: Quote,
    *,
    endorsements: Endorsements,
    anchors: Anchors,
    at: datetime,
    log: CheckLog,
    cache: Cache | None,
    memory: Memory | None,
) -> PartResult | None:
    """Run every check of a parsed quote at the instant `at`, recording outcomes in `log`.

    None when it was refused. Both revocation lists, a TCB info of this platform family and a QE identity
    are always needed. Report data is compared by `attest.verify`. Never raises on evidence.
    """
    before = len(log.problems)
    log.passed("tdx.quote.format")
    if not quote.trailing_zero:
        log.warn("tdx.trailing-bytes", where="quote", found=f"{quote.trailing} bytes")
    log.require(
        "tdx.quote.qe-vendor",
        quote.qe_vendor_id == INTEL_QE_VENDOR,
        "tdx.quote.qe-vendor",
        where="quote.qe_vendor_id",
        expected=INTEL_QE_VENDOR,
        found=quote.qe_vendor_id,
    )

    pck, tcb_info, qe_identity, platform = find_ground(
        quote, endorsements=endorsements, anchors=anchors, at=at, log=log, cache=cache, memory=memory
    )
    _check_qe_report(quote, pck, log)
    _check_quote_signature(quote, log, cache)
    qe = None
    if qe_identity is not None:
        qe = check_qe_identity(quote.qe_report, qe_identity, log)
    else:
        log.not_run("tdx.qe-report.identity", "no QE identity that can be used")

    body = quote.body
    if body.xfam & XFAM_FIXED_1 == XFAM_FIXED_1:
        log.passed("tdx.xfam")
    else:
        log.failed(
            "tdx.xfam",
            "tdx.xfam",
            where="quote.xfam",
            expected="bits 0 and 1 set",
            found=f"{body.xfam:#x}",
        )
    if body.td_attributes & PERFMON:
        log.warn("tdx.perfmon", where="quote.td_attributes", found=f"{body.td_attributes:#x}")
    module = check_module(body, tcb_info, log)
    tcb = None
    if pck is not None and tcb_info is not None:
        tcb = check_tcb(body, pck.facts, tcb_info, module, qe, log)
    else:
        log.not_run("tdx.tcb.level", "no PCK certificate or no TCB info that can be used")

    if len(log.problems) > before or platform is None or tcb is None:
        if any(found.code == "tdx.tcb.revoked" for found in log.problems[before:]):
            _note_revoking(tcb_info, qe_identity, at, log)
        return None
    return PartResult(
        TdxPart(quote, platform, tcb, at),
        crls=platform.shared.crls_used,
        documents=platform.shared.documents_used,
    )


def _note_revoking(
    tcb_info: TcbInfo | None, qe_identity: QeIdentity | None, at: datetime, log: CheckLog
) -> None:
    """For the memory: documents of before must not bring a revoked platform back. What is dated ahead raises no
    bar (T-MEMORY)."""
    for kind, content in ((TCB_INFOS, tcb_info), (QE_IDENTITIES, qe_identity)):
        if content is not None and content.issue_date <= at:
            name = kind.identity, kind.fmspc(content), content.evaluation
            log.saw(Memory().updated({}, {name: content.issue_date}))


def _check_qe_report(quote: Quote, pck: PckChain | None, log: CheckLog) -> None:
    """The PCK key signed the enclave's report, and the report names this attestation key."""
    report = quote.qe_report
    if pck is None:
        log.not_run("tdx.qe-report.signature", "no PCK chain that can be used")
    else:
        log.require(
            "tdx.qe-report.signature",
            verifies(pck.path.leaf.public_key, quote.qe_report_signature, report.raw),
            "tdx.qe-report.signature",
            where="quote.qe_report_signature",
        )
    # All 64 bytes: other verifiers compare the first half only.
    named = hashlib.sha256(quote.attestation_key + quote.qe_auth_data).digest() + _ZERO_32
    log.require(
        "tdx.qe-report.binding",
        hmac.compare_digest(named, report.report_data),
        "tdx.qe-report.binding",
        where="qe_report.report_data",
        expected=named,
        found=report.report_data,
    )


def _check_quote_signature(quote: Quote, log: CheckLog, cache: Cache | None) -> None:
    """Header, descriptor and body under the attestation key."""
    key = _attestation_key(quote.attestation_key, cache)
    if key is None:
        log.failed("tdx.attestation-key", "tdx.attestation-key", where="quote.attestation_key")
        log.not_run("tdx.quote.signature", "no attestation key that can be used")
        return
    log.passed("tdx.attestation-key")
    log.require(
        "tdx.quote.signature",
        verifies(key, quote.signature, quote.signed),
        "tdx.quote.signature",
        where="quote.signature",
    )


def _attestation_key(point: bytes, cache: Cache | None) -> ec.EllipticCurvePublicKey | None:
    """x‖y as a key, None where that is no point of the curve. A quoting enclave keeps its key from quote to quote,
    so the cache saves reading it; what it signed is verified each time."""
    entry: Key = ()
    if cache is not None:
        entry = cache.key("attestation-key", b"", (point,))
        known: ec.EllipticCurvePublicKey | None = cache.get(entry)
        if known is not None:
            return known
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(_P256, b"\x04" + point)
    except ValueError:
        return None
    if cache is not None:
        cache.put(entry, key)
    return key
