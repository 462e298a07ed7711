"""The challenge in an Azure machine's evidence: it stands in the TPM quote, never in the hardware's report.

The hardware's report data is the paravisor's, the hash that names its attestation key. A guest's P (48 bytes,
`attest.binding`) is the quote's extraData, in exactly that length; version 2 repeats it in the user data.
Source: guest protocol 0.4, az-snp-vtpm and az-tdx-vtpm.
"""

from __future__ import annotations

from attest.azure.facts import AzurePart
from attest.binding import Expected, domain_of, equal
from attest.checks import CheckLog

CHECK = "azure.tpm.extra-data"
_P = 48


def bind_quote(part: AzurePart, wanted: bytes | None, expected: Expected, log: CheckLog) -> bool:
    """Whether the quote answers what was asked.

    wanted: the 64 bytes that other CPUs would carry for this challenge and key, None where only a TPM nonce
    or nothing was expected.
    """
    log.not_run(
        "binding.report-data", "the hardware's report names the attestation key; the TPM quote is compared"
    )
    if expected.report_data is not None:
        log.failed(CHECK, "azure.report-data", where="report_data", expected=expected.report_data)
        return False
    asked = expected.tpm_nonce
    if asked is None and wanted is not None:
        asked = wanted[:_P]
    if asked is None:
        log.not_run(CHECK, "no nonce or key was expected")
        return False
    if part.quote is None:
        log.failed(CHECK, "binding.no-evidence", where="tpm.extraData", expected="a TPM quote")
        return False
    same = log.require(
        CHECK,
        equal(part.bound, asked),
        "azure.tpm.extra-data",
        where="tpm.extraData",
        expected=asked,
        found=part.bound,
    )
    user_data = part.hcl.runtime.user_data
    if wanted is not None and part.user_data_bound and user_data is not None:
        # The tag of a site has room in the user data only; without them the hash alone tells the domains.
        log.require(
            "binding.domain",
            equal(user_data, wanted) or domain_of(user_data) == domain_of(wanted),
            "binding.domain",
            expected=domain_of(wanted),
            found=domain_of(user_data),
        )
    return same and log.good
