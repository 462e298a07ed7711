"""QE identity: which quoting enclave may sign for TDs, and how new it must be.

Source: Intel PCS API v4, TDX QE identity v2.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from attest.canonical import read_json
from attest.tdx.members import Members
from attest.tdx.qe_report import QeReport
from attest.tdx.tcb_info import MAX_SIZE, SvnLevel, svn_levels


def masked(value: bytes, mask: bytes) -> bytes:
    return (int.from_bytes(value, "big") & int.from_bytes(mask, "big")).to_bytes(len(value), "big")


@dataclass(frozen=True, slots=True)
class QeIdentity:
    """misc_select and attributes, with masks, in memory order. levels: newest first."""

    evaluation: int
    issue_date: datetime
    next_update: datetime
    misc_select: bytes
    misc_select_mask: bytes
    attributes: bytes
    attributes_mask: bytes
    mr_signer: bytes
    isv_prod_id: int
    levels: tuple[SvnLevel, ...]

    def names(self, report: QeReport) -> bool:
        """Whether the enclave is this one, version aside."""
        return (
            report.mr_signer == self.mr_signer
            and report.isv_prod_id == self.isv_prod_id
            and masked(report.attributes, self.attributes_mask) == self.attributes
            and masked(report.misc_select, self.misc_select_mask) == self.misc_select
        )

    @classmethod
    def parse(cls, body: bytes) -> QeIdentity:
        """The signed octets of a TD_QE identity, version 2. Raises Malformed, also for SGX's `QE`."""
        identity = Members(read_json(body, where="qe_identity", limit=MAX_SIZE), "qe_identity")
        identity.fixed("id", "TD_QE")
        identity.fixed("version", 2)
        return cls(
            evaluation=identity.number("tcbEvaluationDataNumber", 1 << 31),
            issue_date=identity.instant("issueDate"),
            next_update=identity.instant("nextUpdate"),
            misc_select=identity.bytes_("miscselect", 4),
            misc_select_mask=identity.bytes_("miscselectMask", 4),
            attributes=identity.bytes_("attributes", 16),
            attributes_mask=identity.bytes_("attributesMask", 16),
            mr_signer=identity.bytes_("mrsigner", 32),
            isv_prod_id=identity.number("isvprodid", 0xFFFF),
            levels=svn_levels(identity),
        )
