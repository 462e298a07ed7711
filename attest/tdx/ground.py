"""What vouches for a quote: the PCK chain, the collateral of its platform, and both revocation lists.

Source: Intel TDX DCAP quoting library API, certification data; PCS API v4; RFC 5280.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from attest.anchors import Anchors
from attest.cache import Cache, Key
from attest.checks import CheckLog
from attest.claims import instant
from attest.endorsements import Endorsements
from attest.memory import Memory
from attest.revocation import check_crls
from attest.tdx.documents import (
    QE_IDENTITIES,
    TCB_INFOS,
    Authentic,
    authentic_collateral,
    check_dates,
    check_memory,
    newest,
    verifies,
)
from attest.tdx.pck import PckChain, check_pck_chain, check_pck_pem, supplied_chains
from attest.tdx.platform import PASSED_CHECKS, Platform, Shared, is_plain, shared_key
from attest.tdx.qe_identity import QeIdentity
from attest.tdx.tcb_info import TcbInfo
from attest.x509 import Certificate, Crl

if TYPE_CHECKING:
    from attest.tdx.quote import Quote

_PCK_CHAIN_PEM = 5
_WITHOUT_CHAIN = (1, 2, 3, 4)
_Content = TypeVar("_Content", TcbInfo, QeIdentity)


class Ground(NamedTuple):
    """What there is to stand on. platform: all of it, where nothing is missing or complained of."""

    pck: PckChain | None
    tcb_info: TcbInfo | None
    qe_identity: QeIdentity | None
    platform: Platform | None


def find_ground(
    quote: Quote,
    *,
    endorsements: Endorsements,
    anchors: Anchors,
    at: datetime,
    log: CheckLog,
    cache: Cache | None,
    memory: Memory | None,
) -> Ground:
    """Follow chain, documents and lists to the pinned root, and judge them at `at`."""
    before = len(log.problems)
    pck = _check_pck(quote, endorsements, anchors, at, log, cache)
    key: Key = ()
    if cache is not None and pck is not None:
        key = shared_key(pck, endorsements, anchors, cache)
        known: Shared | None = cache.get(key)
        if known is not None and known.stands(pck.path.leaf.serial, at, memory):
            log.all_passed(PASSED_CHECKS)
            _note_memory(memory, log)
            return Ground(pck, known.tcb_info.content, known.qe_identity.content, Platform(pck, known))
    tcb_info, qe_identity = _choose_collateral(pck, endorsements, anchors, at, log, cache, memory)
    lists = _check_revocation(pck, tcb_info, qe_identity, endorsements, at, log, cache, memory)
    platform = None
    if (
        pck is not None
        and tcb_info is not None
        and qe_identity is not None
        and lists is not None
        and len(log.problems) == before
    ):
        shared = Shared.of(pck, tcb_info, qe_identity, *lists)
        platform = Platform(pck, shared)
        if cache is not None and is_plain(endorsements, pck, shared):
            cache.put(key, shared)
    return Ground(
        pck,
        tcb_info.content if tcb_info is not None else None,
        qe_identity.content if qe_identity is not None else None,
        platform,
    )


def _note_memory(memory: Memory | None, log: CheckLog) -> None:
    if memory is None:
        log.not_run("tdx.collateral.rollback", "no memory of earlier collateral was given")
    else:
        log.passed("tdx.collateral.rollback")


def chain_beside(quote: Quote, certificates: tuple[Certificate, ...]) -> tuple[Certificate, ...] | None:
    """Of the PCK chains given beside a quote the one whose leaf signed its QE report; nothing else is checked."""
    signed, signature = quote.qe_report.raw, quote.qe_report_signature
    chains = supplied_chains(certificates, wanted=lambda leaf: verifies(leaf.public_key, signature, signed))
    return next(chains, None)


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
        chain = None
        if quote.certification_data_type in _WITHOUT_CHAIN:
            chain = chain_beside(quote, endorsements.certificates)
        if chain is None:
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
        pck = check_pck_chain(chain, anchors=anchors, log=log, cache=cache)
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
    collateral = authentic_collateral(endorsements, anchors=anchors, log=log, cache=cache)
    infos, identities = collateral.tcb_infos, collateral.qe_identities
    if pck is not None:
        # One root for all, so that one list says who of them is revoked.
        infos = _under(pck.path.root, infos, log)
        identities = _under(pck.path.root, identities, log)
    qe_identity = newest(identities, at)
    if qe_identity is not None:
        check_dates(QE_IDENTITIES, qe_identity, at, log)
        check_memory(QE_IDENTITIES, qe_identity, memory, log)
    tcb_info = _of_platform(infos, pck, at, log)
    if tcb_info is not None:
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
    root: Certificate, documents: tuple[Authentic[_Content], ...], log: CheckLog
) -> tuple[Authentic[_Content], ...]:
    own = tuple(document for document in documents if document.path.root == root)
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
    infos: tuple[Authentic[TcbInfo], ...], pck: PckChain | None, at: datetime, log: CheckLog
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
