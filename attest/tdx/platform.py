"""What was found authentic about one platform, and of it what platforms of one kind share.

Documents and lists are kept between quotes, whatever the platform that they came from. A hit saves parsing,
structure and signatures of exactly these bytes under exactly these anchors. Dates, revocation and the memory of
collateral are asked at every verification; where any of them has a complaint the long way is gone again, and
words it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

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
"""The checks that `Shared` answers for where it stands."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What vouches for every platform of one CA, FMSPC and PCE: the collateral to judge by, and both lists; all
    authentic, under one root.

    ca: serial number of the PCK CA. not_before, not_after: the period in which documents, their signers and
    lists are valid. crls_used: issuer key → thisUpdate, documents_used: (id, FMSPC, evaluation number) →
    issueDate, for the memory; a QE identity serves all families.
    """

    ca: int
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
    ) -> Shared:
        paths = (tcb_info.path, qe_identity.path)
        info, identity = documents = (tcb_info.content, qe_identity.content)
        lists = (root_crl, pck_crl)
        return cls(
            pck.ca.serial,
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

    def stands(self, leaf: int, at: datetime, memory: Memory | None) -> bool:
        """Whether dates, revocation and memory have nothing against it at `at`. leaf: serial number of the PCK
        certificate, whose own dates are asked with its chain."""
        return (
            self.not_before <= at <= self.not_after
            and not self.pck_crl.revokes(leaf)
            and not self.root_crl.revokes(self.ca)
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


class Platform(NamedTuple):
    """The PCK chain of one platform, and what it shares with others."""

    pck: PckChain
    shared: Shared

    @property
    def not_after(self) -> datetime:
        return min(self.pck.path.not_after, self.shared.not_after)

    @property
    def oldest(self) -> datetime:
        """Oldest issueDate or thisUpdate of collateral and lists."""
        return min(
            self.shared.tcb_info.content.issue_date,
            self.shared.qe_identity.content.issue_date,
            self.shared.root_crl.this_update,
            self.shared.pck_crl.this_update,
        )


def shared_key(pck: PckChain, endorsements: Endorsements, anchors: Anchors, cache: Cache) -> Key:
    """For exactly these endorsements and anchors, and all of the PCK chain that chooses among them."""
    return cache.key(
        "tdx-shared",
        anchors.digest,
        (
            endorsements.signed_digest,
            pck.ca.fingerprint,
            pck.path.root.fingerprint,
            pck.facts.fmspc,
            pck.facts.pce_id,
        ),
    )


def is_plain(endorsements: Endorsements, pck: PckChain, shared: Shared) -> bool:
    """Whether nothing had to be chosen: one document of each kind and one list of each issuer.

    Where there are several, the instant decides which counts, so nothing is kept.
    """
    kinds = sorted(document.kind for document in endorsements.documents)
    issuers = [crl.issuer_der for crl in endorsements.crls]
    return (
        kinds == sorted((TCB_INFO, QE_IDENTITY))
        and issuers.count(pck.path.root.subject_der) == 1
        and issuers.count(pck.ca.subject_der) == 1
        and shared.tcb_info.content.evaluation == shared.qe_identity.content.evaluation
    )
