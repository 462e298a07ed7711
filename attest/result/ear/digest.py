"""Which evidence a result is about: a digest of each part's bytes as they were judged.

    snp      the 1184 bytes of the report
    tdx      the quote, header to end of signature data
    azure    HCL report ‖ TPMS_ATTEST ‖ TD quote, those that there are
    gpu, switch   SPDM request ‖ response

Evidence comes in many containers, so the digest is over what every container holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from attest.evidence import Evidence, Verifiable


def digests_of(evidence: Evidence) -> Mapping[str, str]:
    """Part (`cpu0`, `gpu0` …, `switch0` …) → `sha384:` and hex, in the order of the claim tree."""
    found: dict[str, str] = {}
    if evidence.cpu is not None:
        found["cpu0"] = _sha384(raw_of(evidence.cpu))
    counts = {"gpu": 0, "switch": 0}
    for section in ("gpu", "switch"):
        for device in evidence.devices:
            if device.section == section:
                found[f"{section}{counts[section]}"] = _sha384(raw_of(device))
                counts[section] += 1
    return found


def raw_of(part: Verifiable) -> bytes:
    """The bytes of one part, as the table above says. Raises TypeError for a part of an unknown vendor."""
    from attest.azure.evidence import AzureEvidence
    from attest.nvidia.containers import DeviceEvidence
    from attest.snp.report import Report
    from attest.tdx.quote import Quote

    if isinstance(part, (Report, Quote)):
        return part.raw
    if isinstance(part, DeviceEvidence):
        return part.report.raw
    if isinstance(part, AzureEvidence):
        message = b"" if part.quote is None else part.quote.message
        quote = b"" if part.td_quote is None else part.td_quote.raw
        return part.hcl.raw + message + quote
    raise TypeError(f"no digest is defined for {type(part).__name__}")


def _sha384(raw: bytes) -> str:
    return "sha384:" + hashlib.sha384(raw).hexdigest()
