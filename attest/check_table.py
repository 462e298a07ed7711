"""Names of all checks, each with the document it comes from. Order is the order of verification."""

from __future__ import annotations

_ABI = "AMD 56860, ATTESTATION_REPORT"
_KDS = "AMD 57230, VCEK and VLEK certificates"

CHECKS: dict[str, str] = {
    # AMD SEV-SNP
    "snp.report.version": _ABI,
    "snp.report.signature-algorithm": _ABI,
    "snp.report.signing-key": _ABI,
    "snp.report.reserved": _ABI,
    "snp.chain": "RFC 5280 under the pinned ARK, AMD 57230",
    "snp.crl": "RFC 5280, AMD 57230: CRL of the ARK",
    "snp.leaf": _KDS,
    "snp.product": "AMD 57230, product names",
    "snp.signature": _ABI,
    "snp.tcb.certificate": "AMD 57230, SPL extensions",
    "snp.chip-id": "AMD 57230, hwID extension",
    "snp.policy.bit-17": "AMD 56860, guest policy",
    "snp.vmpl.host": _ABI,
    "snp.tcb.order": "AMD 56860, TCB versions",
    # Intel TDX
    # NVIDIA
    # binding and set
    "binding.report-data": "RFC 9334, freshness and binding",
    "binding.gpu-nonce": "DMTF DSP0274, GET_MEASUREMENTS nonce",
    "binding.gpu-to-cpu": "CoCo guest protocol 0.4, report data",
    "devices.distinct": "one device, one piece of evidence",
}
