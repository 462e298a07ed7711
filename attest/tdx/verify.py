"""Is this quote genuine and current? The checks, in order.

Debug TDs, OutOfDate platforms and the like are genuine: they become claims, and policies refuse them.
Sources: Intel TDX DCAP quoting library API, PCS API v4, PCK certificate and CRL profile, TDX module ABI.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec

from attest.anchors import Anchors
from attest.cache import Cache
from attest.checks import CheckLog
from attest.claims import instant
from attest.endorsements import Endorsements
from attest.evidence import PartResult
from attest.memory import Memory
from attest.revocation import check_crls
from attest.tdx.attributes import PERFMON, XFAM_FIXED_1
from attest.tdx.documents import (
    QE_IDENTITIES,
    TCB_INFOS,
    Authentic,
    authentic_documents,
    check_dates,
    check_memory,
    newest,
    verifies,
)
from attest.tdx.facts import TdxPart
from attest.tdx.pck import PckChain, check_pck_chain, check_pck_pem, supplied_chains
from attest.tdx.qe_identity import QeIdentity
from attest.tdx.tcb_checks import check_module, check_qe_identity, check_tcb
from attest.tdx.tcb_info import TcbInfo
from attest.x509 import Certificate, Crl

if TYPE_CHECKING:
    from attest.tdx.quote import Quote

INTEL_QE_VENDOR = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
_PCK_CHAIN_PEM = 5
_WITHOUT_CHAIN = (1, 2, 3, 4)
_P256 = ec.SECP256R1()
_ZERO_32 = bytes(32)
_Content = TypeVar("_Content", TcbInfo, QeIdentity)


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

    pck = _check_pck(quote, endorsements, anchors, at, log, cache)
    tcb_info, qe_identity = _choose_collateral(pck, endorsements, anchors, at, log, cache, memory)
    lists = _check_revocation(pck, tcb_info, qe_identity, endorsements, at, log, cache, memory)

    _check_qe_report(quote, pck, log)
    qe = None
    if qe_identity is not None:
        qe = check_qe_identity(quote.qe_report, qe_identity.content, log)
    else:
        log.not_run("tdx.qe-report.identity", "no QE identity that can be used")
    _check_quote_signature(quote, log)

    body = quote.body
    log.require(
        "tdx.xfam",
        body.xfam & XFAM_FIXED_1 == XFAM_FIXED_1,
        "tdx.xfam",
        where="quote.xfam",
        expected="bits 0 and 1 set",
        found=f"{body.xfam:#x}",
    )
    if body.td_attributes & PERFMON:
        log.warn("tdx.perfmon", where="quote.td_attributes", found=f"{body.td_attributes:#x}")
    module = check_module(body, tcb_info.content if tcb_info is not None else None, log)
    tcb = None
    if pck is not None and tcb_info is not None:
        tcb = check_tcb(body, pck.facts, tcb_info.content, module, qe, log)
    else:
        log.not_run("tdx.tcb.level", "no PCK certificate or no TCB info that can be used")
    log.not_run("tdx.event-log", "no event log was given: registers are known, the events behind them not")

    if (
        len(log.problems) > before
        or pck is None
        or tcb_info is None
        or qe_identity is None
        or lists is None
        or tcb is None
    ):
        return None
    root_crl, pck_crl = lists
    info, identity = tcb_info.content, qe_identity.content
    return PartResult(
        TdxPart(quote, pck, tcb_info, qe_identity, root_crl, pck_crl, tcb, at),
        crls={
            pck.path.root.spki_sha256: root_crl.this_update,
            pck.ca.spki_sha256: pck_crl.this_update,
        },
        documents={
            (TCB_INFOS.identity, info.fmspc.hex(), info.evaluation): info.issue_date,
            (QE_IDENTITIES.identity, "", identity.evaluation): identity.issue_date,
        },
    )


def _check_pck(
    quote: Quote,
    endorsements: Endorsements,
    anchors: Anchors,
    at: datetime,
    log: CheckLog,
    cache: Cache | None,
) -> PckChain | None:
    """The chain the quote carries, or for a quote without one the given chain whose leaf signed it."""
    check = "tdx.quote.certification-data"
    if quote.certification_data_type == _PCK_CHAIN_PEM:
        log.passed(check)
        pck = check_pck_pem(quote.certification_data, anchors=anchors, log=log, cache=cache)
    else:
        chains: list[tuple[Certificate, ...]] = []
        if quote.certification_data_type in _WITHOUT_CHAIN:
            chains = [
                chain
                for chain in supplied_chains(endorsements.certificates)
                if verifies(chain[0].public_key, quote.qe_report_signature, quote.qe_report.raw)
            ]
        if not chains:
            log.failed(
                check,
                check,
                where="quote.qe_certification_data_type",
                expected=f"{_PCK_CHAIN_PEM}, or the PCK chain given beside the quote",
                found=quote.certification_data_type,
            )
            log.not_run("tdx.pck.chain", "no chain")
            return None
        log.passed(check)
        pck = check_pck_chain(chains[0], anchors=anchors, log=log, cache=cache)
    if pck is None:
        return None
    if pck.path.in_time(at, log):
        log.passed("tdx.pck.chain")
    log.passed("tdx.pck.extension")
    return pck


def _choose_collateral(
    pck: PckChain | None,
    endorsements: Endorsements,
    anchors: Anchors,
    at: datetime,
    log: CheckLog,
    cache: Cache | None,
    memory: Memory | None,
) -> tuple[Authentic[TcbInfo] | None, Authentic[QeIdentity] | None]:
    """The TCB info of this platform and the QE identity to judge by, under the quote's own root."""
    infos = authentic_documents(TCB_INFOS, endorsements, anchors=anchors, log=log, cache=cache)
    identities = authentic_documents(QE_IDENTITIES, endorsements, anchors=anchors, log=log, cache=cache)
    if pck is not None:
        # One root for all, so that one list says who of them is revoked.
        infos = _under(pck.path.root, infos, log)
        identities = _under(pck.path.root, identities, log)
    qe_identity = newest(identities, at)
    if qe_identity is not None:
        log.passed("tdx.qe-identity.content")
        check_dates(QE_IDENTITIES, qe_identity, at, log)
        check_memory(QE_IDENTITIES, qe_identity, memory, log)
    tcb_info = _of_platform(infos, pck, at, log)
    if tcb_info is not None:
        log.passed("tdx.tcb-info.content")
        check_dates(TCB_INFOS, tcb_info, at, log)
        check_memory(TCB_INFOS, tcb_info, memory, log)
    if tcb_info is not None:
        tcb_info.path.in_time(at, log)
    if qe_identity is not None and (
        tcb_info is None or tcb_info.path.certificates != qe_identity.path.certificates
    ):
        qe_identity.path.in_time(at, log)
    if (
        tcb_info is not None
        and qe_identity is not None
        and tcb_info.content.evaluation != qe_identity.content.evaluation
    ):
        log.warn(
            "tdx.collateral.mixed",
            where="tcbEvaluationDataNumber",
            expected=tcb_info.content.evaluation,
            found=qe_identity.content.evaluation,
        )
    return tcb_info, qe_identity


def _under(
    root: Certificate, documents: list[Authentic[_Content]], log: CheckLog
) -> list[Authentic[_Content]]:
    own = [document for document in documents if document.path.root == root]
    if documents and not own:
        log.failed(
            "tdx.tcb-signing.chain",
            "x509.anchor",
            where="collateral",
            expected=f"the quote's root {root.spki_sha256.hex()[:16]}",
            found=documents[0].path.root.spki_sha256.hex()[:16],
        )
    return own


def _of_platform(
    infos: list[Authentic[TcbInfo]], pck: PckChain | None, at: datetime, log: CheckLog
) -> Authentic[TcbInfo] | None:
    """The TCB info whose FMSPC and PCE id are those of the PCK certificate."""
    if pck is None:
        log.not_run("tdx.tcb-info.platform", "no PCK certificate that can be used")
        return newest(infos, at)
    facts = pck.facts
    own = [info for info in infos if info.content.fmspc == facts.fmspc]
    exact = [info for info in own if info.content.pce_id == facts.pce_id]
    if exact:
        log.passed("tdx.tcb-info.platform")
    elif own:
        log.failed(
            "tdx.tcb-info.platform",
            "tdx.tcb-info.pce-id",
            where="tcb-info.pceId",
            expected=facts.pce_id,
            found=own[0].content.pce_id,
        )
    elif infos:
        log.failed(
            "tdx.tcb-info.platform",
            "tdx.tcb-info.fmspc",
            where="tcb-info.fmspc",
            expected=facts.fmspc,
            found=", ".join(sorted({info.content.fmspc.hex() for info in infos})),
        )
    return newest(exact, at)


def _check_revocation(
    pck: PckChain | None,
    tcb_info: Authentic[TcbInfo] | None,
    qe_identity: Authentic[QeIdentity] | None,
    endorsements: Endorsements,
    at: datetime,
    log: CheckLog,
    cache: Cache | None,
    memory: Memory | None,
) -> tuple[Crl, Crl] | None:
    """The root's list against PCK CA and TCB signers, the CA's against the leaf. Both must be fresh."""
    if pck is None:
        log.not_run("tdx.crl.root", "no PCK chain that can be used")
        log.not_run("tdx.crl.pck", "no PCK chain that can be used")
        return None
    signers = [document.path.leaf for document in (tcb_info, qe_identity) if document is not None]
    found = []
    for check, issuer, subjects in (
        ("tdx.crl.root", pck.path.root, tuple(dict.fromkeys((pck.ca, *signers)))),
        ("tdx.crl.pck", pck.ca, (pck.path.leaf,)),
    ):
        before = len(log.problems)
        state, crl = check_crls(
            issuer, subjects, endorsements.crls, at=at, check=check, log=log, cache=cache, memory=memory
        )
        if state == "fresh" and crl is not None:
            log.passed(check)
            found.append(crl)
        elif state == "absent" and len(log.problems) == before:
            log.failed(check, "x509.crl.missing", where=f"CRL of {issuer.common_name.shown}")
        elif state == "stale" and crl is not None:
            end = "no end" if crl.next_update is None else instant(crl.next_update)
            log.failed(
                check,
                "x509.crl.stale",
                where=f"CRL of {issuer.common_name.shown}",
                expected=f"from {instant(crl.this_update)} to {end}",
                found=instant(at),
            )
    return (found[0], found[1]) if len(found) == 2 else None


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


def _check_quote_signature(quote: Quote, log: CheckLog) -> None:
    """Header, descriptor and body under the attestation key."""
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(_P256, b"\x04" + quote.attestation_key)
    except ValueError:
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
