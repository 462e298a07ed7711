"""Problem codes: event logs of a boot, CCEL and TPM."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

_TCG = "TCG PC Client Platform Firmware Profile, event logging"

PROBLEMS: dict[str, Meaning] = {
    "event-log.mismatch": Meaning(
        "The event log does not replay to the signed register: it is of another boot, incomplete or altered",
        _TCG,
        "collect log and quote together; the registers themselves are signed and can be pinned",
    ),
    "event-log.unused": Meaning(
        "An event log was given that no signed register here can be compared with: nothing was read from it",
        _TCG,
        "give the CCEL log with a TDX quote, the TPM's with the TPM quote",
    ),
}
