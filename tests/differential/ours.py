"""Our verdict on a case: parse, verify, and appraise under the built-in defaults, as `attest verify` does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from attest.anchors import Anchors
from attest.binding import Expected
from attest.endorsements import Endorsements
from attest.errors import Malformed, Rejected
from attest.evidence import Evidence
from attest.nvidia.containers import DeviceEvidence
from attest.nvidia.rim import Rim
from attest.nvidia.spdm import Report as DeviceReport
from attest.policy import appraise
from attest.snp.report import Report
from attest.tdx.collateral import read_dcap_qvl
from attest.tdx.quote import Quote
from attest.verifier import verify
from attest.x509 import Certificate, Crl
from tests.differential.cases import TEXT_PARTS, Case


@dataclass(frozen=True)
class Ours:
    """verdict: refused is not authentic; denied is authentic, and the built-in policy refuses it. codes: of
    the problems, in their order. detail: what a peer may see otherwise though both accept."""

    verdict: Literal["refused", "denied", "accepted"]
    codes: tuple[str, ...] = ()
    detail: str = ""


def judge(case: Case) -> Ours:
    try:
        evidence, endorsements = _read(case)
        verified = verify(
            evidence,
            endorsements=endorsements,
            at=case.at,
            anchors=Anchors.production().with_simulator(case.roots_pem) if case.roots_pem else None,
            expected=Expected(gpu_nonce=case.nonce) if case.nonce is not None else None,
        )
    except (Malformed, Rejected) as error:
        return Ours("refused", tuple(dict.fromkeys(problem.code for problem in error.problems)))
    detail = ""
    if case.platform == "tdx":
        claims = verified.claims["tdx"]
        detail = " ".join([str(claims["tcb-status"]), *sorted(claims["advisories"])])
    appraisal = appraise(verified, None, at=case.at)
    codes = tuple(dict.fromkeys(problem.code for problem in appraisal.problems))
    return Ours("denied" if codes else "accepted", codes, detail)


def _read(case: Case) -> tuple[Evidence, Endorsements]:
    parts = case.parts
    if case.platform == "snp":
        certificates = [Certificate(parts[part]) for part in ("vcek", "vlek", "ca", "root") if part in parts]
        crls = [Crl(parts["crl"])] if "crl" in parts else []
        return Evidence(Report.parse(parts["report"])), Endorsements(tuple(certificates), tuple(crls))
    if case.platform == "tdx":
        return Evidence(Quote.parse(parts["quote"])), read_dcap_qvl(collateral(case), "collateral")
    chain = tuple(Certificate(parts[name]) for name in sorted(parts) if name.startswith("certificate."))
    rims = tuple(Rim.parse(parts[name]) for name in sorted(parts) if name.startswith("rim."))
    device = DeviceEvidence(DeviceReport.parse(parts["report"]), chain)
    return Evidence(devices=(device,)), Endorsements(rims=rims)


def collateral(case: Case) -> dict[str, str]:
    """As dcap-qvl writes it."""
    return {
        name: value.decode("utf-8") if name in TEXT_PARTS else value.hex()
        for name, value in case.parts.items()
        if name != "quote"
    }
