"""What an endorsement is and from when to when it speaks, read from its bytes and believed by nobody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from attest.endorsements import SignedDocument
from attest.nvidia.rim import Rim
from attest.tdx.qe_identity import QeIdentity
from attest.tdx.tcb_info import TcbInfo
from attest.untrusted import escape
from attest.x509 import Certificate, Crl


@dataclass(frozen=True, slots=True)
class Dates:
    """about: a name for people, already escaped. this_update: issueDate, thisUpdate or notBefore. next_update:
    None where the endorsement names no end."""

    about: str
    this_update: datetime
    next_update: datetime | None


def dates_of(item: Certificate | Crl | SignedDocument | Rim | bytes) -> Dates:
    """item: bytes are an OCSP answer. Raises Malformed for collateral and answers that do not parse."""
    if isinstance(item, Certificate):
        return Dates(
            f"{item.common_name.shown}, serial {item.serial:x}, of {item.issuer_common_name.shown}",
            item.not_before,
            item.not_after,
        )
    if isinstance(item, Crl):
        return Dates(f"list of {escape(item.issuer_text, 200)}", item.this_update, item.next_update)
    if isinstance(item, SignedDocument):
        return _of_document(item)
    if isinstance(item, Rim):
        return Dates(
            f"{item.stated.edition} {item.stated.product.shown} {item.stated.version.shown}",
            max(link.not_before for link in item.chain),
            min(link.not_after for link in item.chain),
        )
    return _of_answer(item)


def _of_document(document: SignedDocument) -> Dates:
    content: TcbInfo | QeIdentity
    if document.kind == "tcb-info":
        content = TcbInfo.parse(document.body)
        about = f"TCB info of FMSPC {content.fmspc.hex()}, evaluation {content.evaluation}"
    else:
        content = QeIdentity.parse(document.body)
        about = f"QE identity, evaluation {content.evaluation}"
    return Dates(about, content.issue_date, content.next_update)


def _of_answer(answer: bytes) -> Dates:
    from attest.nvidia.ocsp_answer import Answer

    singles = Answer.parse(answer).singles
    ends = [single.next_update for single in singles if single.next_update is not None]
    return Dates(
        f"OCSP answer for serial {', '.join(f'{single.serial:x}' for single in singles)[:200]}",
        max(single.this_update for single in singles),
        min(ends) if len(ends) == len(singles) else None,
    )
