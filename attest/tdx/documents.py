"""TCB info and QE identity: which are Intel's own, which of those to judge by, and whether they are current.

Source: Intel PCS API v4; Intel TDX DCAP quote verification library, collateral checks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from attest.anchors import Anchors
from attest.cache import Cache, Key
from attest.checks import CheckLog
from attest.claims import instant
from attest.endorsements import Endorsements, SignedDocument
from attest.errors import Malformed, Problem
from attest.memory import Memory
from attest.path import Path, PathRule, check_path
from attest.tdx.collateral import QE_IDENTITY, TCB_INFO
from attest.tdx.qe_identity import QeIdentity
from attest.tdx.tcb_info import TcbInfo
from attest.x509 import Certificate

SIGNER = "Intel SGX TCB Signing"
_MAX_SIGNERS = 8
# Both documents have the same signer as a rule; the root's name is left to the pinned key.
_RULE = PathRule("tcb-signing", (SIGNER, None), ("P-256", "P-256"), check="tdx.tcb-signing.chain")
_ECDSA = ec.ECDSA(hashes.SHA256())
_Content = TypeVar("_Content", TcbInfo, QeIdentity)


@dataclass(frozen=True, slots=True)
class Authentic(Generic[_Content]):
    """Content whose exact octets the signer at the head of `path` signed. Its dates are not judged."""

    content: _Content
    path: Path


@dataclass(frozen=True, slots=True)
class Kind(Generic[_Content]):
    """One kind of document: how it is read, and how its checks are called."""

    name: str
    content: type[_Content]
    identity: str

    def fmspc(self, content: TcbInfo | QeIdentity) -> str:
        """How the memory of collateral tells documents apart: a QE identity serves all families."""
        return content.fmspc.hex() if isinstance(content, TcbInfo) else ""


TCB_INFOS = Kind(TCB_INFO, TcbInfo, "TDX")
QE_IDENTITIES = Kind(QE_IDENTITY, QeIdentity, "TD_QE")


@dataclass(frozen=True, slots=True)
class Collateral:
    """Every document that leads to a pinned root, of all platform families and dates given."""

    tcb_infos: tuple[Authentic[TcbInfo], ...]
    qe_identities: tuple[Authentic[QeIdentity], ...]


def authentic_collateral(
    endorsements: Endorsements, *, anchors: Anchors, log: CheckLog, cache: Cache | None
) -> Collateral:
    """The documents whose signer leads to a pinned root and whose exact octets it signed.

    One without such a signer is passed over while another of its kind has one. One whose signer is
    Intel's and whose signature fails was altered, and refuses outright. A cache hit saves the reading and
    the signatures of exactly these documents beside exactly these certificates; only what passed without
    a complaint is kept.
    """
    key: Key = ()
    if cache is not None:
        key = cache.key(
            "tcb-signing/documents",
            anchors.digest,
            [
                *(document.fingerprint for document in endorsements.documents),
                b"certificates",
                *(certificate.fingerprint for certificate in endorsements.certificates),
            ],
        )
        known: Collateral | None = cache.get(key)
        if known is not None:
            for check in _READ:
                log.passed(check)
            return known
    before = len(log.problems)
    collateral = Collateral(
        _authentic(TCB_INFOS, endorsements, anchors, log, cache),
        _authentic(QE_IDENTITIES, endorsements, anchors, log, cache),
    )
    if cache is not None and len(log.problems) == before:
        cache.put(key, collateral)
    return collateral


_READ = (
    _RULE.check,
    "tdx.tcb-info.signature",
    "tdx.tcb-info.content",
    "tdx.qe-identity.signature",
    "tdx.qe-identity.content",
)


def _authentic(
    kind: Kind[_Content],
    endorsements: Endorsements,
    anchors: Anchors,
    log: CheckLog,
    cache: Cache | None,
) -> tuple[Authentic[_Content], ...]:
    check = f"tdx.{kind.name}.signature"
    documents = [document for document in endorsements.documents if document.kind == kind.name]
    if not documents:
        log.failed(check, f"tdx.{kind.name}.missing")
        return ()
    found: list[Authentic[_Content]] = []
    passed_over: list[Problem] = []
    for document in documents:
        path = _signer(document, endorsements, anchors, cache, passed_over)
        if path is None:
            continue
        log.passed(_RULE.check)
        if not signed_by(path.leaf, document.signature, document.body):
            log.failed(check, check, where=kind.name, expected=f"signed by {path.leaf.common_name.shown}")
            continue
        log.passed(check)
        try:
            found.append(Authentic(kind.content.parse(document.body), path))
        except Malformed as error:
            log.absorb(error, f"tdx.{kind.name}.content")
    if found:
        log.passed(f"tdx.{kind.name}.content")
    elif passed_over:
        log.absorb(Malformed(*passed_over), _RULE.check)
    return tuple(found)


def _signer(
    document: SignedDocument,
    endorsements: Endorsements,
    anchors: Anchors,
    cache: Cache | None,
    passed_over: list[Problem],
) -> Path | None:
    """The document's own chain, or the TCB signing certificate among the endorsements that signed it."""
    chain: tuple[Certificate, ...] = document.chain
    if not chain:
        signers = [c for c in endorsements.certificates if c.common_name == SIGNER][:_MAX_SIGNERS]
        signer = next((c for c in signers if signed_by(c, document.signature, document.body)), None)
        chain = (signer,) if signer is not None else tuple(signers[:1])
    aside = CheckLog()
    if not chain:
        aside.failed(_RULE.check, "x509.missing", where=document.kind, expected=SIGNER)
    path = (
        check_path(chain, anchors=anchors, anchor_role="intel-sgx-root", rule=_RULE, log=aside, cache=cache)
        if chain
        else None
    )
    passed_over += aside.problems
    return path


def signed_by(certificate: Certificate, signature: bytes, body: bytes) -> bool:
    """ECDSA P-256 with SHA-256; the signature is r‖s, big-endian."""
    return verifies(certificate.public_key, signature, body)


def verifies(key: object, signature: bytes, body: bytes) -> bool:
    if not isinstance(key, ec.EllipticCurvePublicKey) or len(signature) != 64:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        key.verify(encode_dss_signature(r, s), body, _ECDSA)
    except InvalidSignature:
        return False
    return True


def newest(documents: Iterable[Authentic[_Content]], at: datetime) -> Authentic[_Content] | None:
    """The one to judge by: current before outdated, then the highest evaluation number, then the latest.

    Evidence never chooses: an older document beside a newer one changes nothing.
    """
    return max(
        documents,
        key=lambda d: (
            d.content.issue_date <= at <= d.content.next_update,
            d.content.evaluation,
            d.content.issue_date,
        ),
        default=None,
    )


def check_dates(kind: Kind[_Content], chosen: Authentic[_Content], at: datetime, log: CheckLog) -> None:
    """issueDate ≤ at ≤ nextUpdate."""
    check, content = f"tdx.{kind.name}.dates", chosen.content
    if content.issue_date <= at <= content.next_update:
        log.passed(check)
    elif at < content.issue_date:
        log.failed(
            check,
            f"tdx.{kind.name}.not-yet-valid",
            where=f"{kind.name}.issueDate",
            expected=f"from {instant(content.issue_date)}",
            found=instant(at),
        )
    else:
        log.failed(
            check,
            f"tdx.{kind.name}.expired",
            where=f"{kind.name}.nextUpdate",
            expected=f"until {instant(content.next_update)}",
            found=instant(at),
        )


def check_memory(
    kind: Kind[_Content], chosen: Authentic[_Content], memory: Memory | None, log: CheckLog
) -> None:
    """Never an older document of the same evaluation number than one already seen, never a lower number
    than the caller's minimum (T-COLLATERAL-ROLLBACK, T-MEMORY)."""
    check, content = "tdx.collateral.rollback", chosen.content
    if memory is None:
        log.not_run(check, "no memory of earlier collateral was given")
        return
    if memory.minimum_evaluation is not None and content.evaluation < memory.minimum_evaluation:
        log.failed(
            check,
            "tdx.collateral.evaluation",
            where=f"{kind.name}.tcbEvaluationDataNumber",
            expected=f"≥ {memory.minimum_evaluation}",
            found=content.evaluation,
        )
    seen = memory.document_seen(kind.identity, kind.fmspc(content), content.evaluation)
    if seen is not None and content.issue_date < seen:
        log.failed(
            check,
            "tdx.collateral.rollback",
            where=f"{kind.name}.issueDate",
            expected=f"{instant(seen)} or later",
            found=instant(content.issue_date),
        )
    log.passed(check)
