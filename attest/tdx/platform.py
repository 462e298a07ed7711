"""What was found authentic about one platform, kept between quotes of that platform.

A hit saves parsing, structure and signatures of exactly these bytes under exactly these anchors. Dates,
revocation and the memory of collateral are asked at every verification; where any of them has a
complaint the long way is gone again, and words it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from attest.anchors import Anchors
from attest.cache import Cache, Key
from attest.endorsements import Endorsements
from attest.memory import Memory
from attest.tdx.collateral import QE_IDENTITY, TCB_INFO
from attest.tdx.documents import Authentic
from attest.tdx.pck import PckChain
from attest.tdx.qe_identity import QeIdentity
from attest.tdx.tcb_info import TcbInfo
from attest.x509 import Crl

PASSED_CHECKS = (
    "tdx.quote.certification-data",
    "tdx.pck.chain",
    "tdx.pck.extension",
    "tdx.tcb-signing.chain",
    "tdx.tcb-info.signature",
    "tdx.tcb-info.content",
    "tdx.tcb-info.platform",
    "tdx.tcb-info.dates",
    "tdx.qe-identity.signature",
    "tdx.qe-identity.content",
    "tdx.qe-identity.dates",
    "tdx.crl.root",
    "tdx.crl.pck",
)
"""The checks that a complaint-free `Platform` answers for."""


@dataclass(frozen=True, slots=True)
class Platform:
    """PCK chain, the collateral to judge by, and both lists; all authentic.

    not_before, not_after: the period in which all certificates, documents and lists are valid.
    crls_used: issuer key → thisUpdate, documents_used: (id, FMSPC, evaluation number) → issueDate, for the
    memory; a QE identity serves all families.
    """

    pck: PckChain
    tcb_info: Authentic[TcbInfo]
    qe_identity: Authentic[QeIdentity]
    root_crl: Crl
    pck_crl: Crl
    not_before: datetime
    not_after: datetime
    crls_used: Mapping[bytes, datetime]
    documents_used: Mapping[tuple[str, str, int], datetime]

    @classmethod
    def of(
        cls,
        pck: PckChain,
        tcb_info: Authentic[TcbInfo],
        qe_identity: Authentic[QeIdentity],
        root_crl: Crl,
        pck_crl: Crl,
    ) -> Platform:
        paths = (pck.path, tcb_info.path, qe_identity.path)
        info, identity = documents = (tcb_info.content, qe_identity.content)
        lists = (root_crl, pck_crl)
        return cls(
            pck,
            tcb_info,
            qe_identity,
            root_crl,
            pck_crl,
            max(
                *(path.not_before for path in paths),
                *(document.issue_date for document in documents),
                *(crl.this_update for crl in lists),
            ),
            min(
                *(path.not_after for path in paths),
                *(document.next_update for document in documents),
                *(crl.next_update for crl in lists if crl.next_update is not None),
            ),
            {
                pck.path.root.spki_sha256: root_crl.this_update,
                pck.ca.spki_sha256: pck_crl.this_update,
            },
            {
                ("TDX", info.fmspc.hex(), info.evaluation): info.issue_date,
                ("TD_QE", "", identity.evaluation): identity.issue_date,
            },
        )

    @property
    def oldest(self) -> datetime:
        """Oldest issueDate or thisUpdate of collateral and lists."""
        return min(
            self.tcb_info.content.issue_date,
            self.qe_identity.content.issue_date,
            self.root_crl.this_update,
            self.pck_crl.this_update,
        )

    def stands(self, at: datetime, memory: Memory | None) -> bool:
        """Whether dates, revocation and memory have nothing against it at `at`."""
        return (
            self.not_before <= at <= self.not_after
            and not self.pck_crl.revokes(self.pck.path.leaf.serial)
            and not self.root_crl.revokes(self.pck.ca.serial)
            and not self.root_crl.revokes(self.tcb_info.path.leaf.serial)
            and not self.root_crl.revokes(self.qe_identity.path.leaf.serial)
            and (memory is None or self._agrees_with(memory))
        )

    def _agrees_with(self, memory: Memory) -> bool:
        for spki, this_update in self.crls_used.items():
            seen = memory.crl_seen(spki)
            if seen is not None and this_update < seen:
                return False
        for (name, fmspc, evaluation), issue_date in self.documents_used.items():
            seen = memory.document_seen(name, fmspc, evaluation)
            if seen is not None and issue_date < seen:
                return False
            if memory.minimum_evaluation is not None and evaluation < memory.minimum_evaluation:
                return False
        return True


def platform_key(pem: bytes, endorsements: Endorsements, anchors: Anchors, cache: Cache) -> Key:
    """For exactly this PCK chain, these endorsements and these anchors."""
    return cache.key("tdx-platform", anchors.digest, (pem, endorsements.signed_digest))


def is_plain(endorsements: Endorsements, platform: Platform) -> bool:
    """Whether nothing had to be chosen: one document of each kind and one list of each issuer.

    Where there are several, the instant decides which counts, so nothing is kept.
    """
    kinds = sorted(document.kind for document in endorsements.documents)
    issuers = [crl.issuer_der for crl in endorsements.crls]
    return (
        kinds == sorted((TCB_INFO, QE_IDENTITY))
        and issuers.count(platform.pck.path.root.subject_der) == 1
        and issuers.count(platform.pck.ca.subject_der) == 1
        and platform.tcb_info.content.evaluation == platform.qe_identity.content.evaluation
    )
