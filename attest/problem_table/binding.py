"""Problem codes: what ties evidence to a challenge and a key."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

PROBLEMS: dict[str, Meaning] = {
    "binding.report-data": Meaning(
        "The report data is not what was expected",
        "RFC 9334, freshness and binding",
        "this evidence was made for another challenge or key; ask the guest again",
    ),
    "binding.gpu-nonce": Meaning(
        "A device's nonce is not what was expected",
        "DMTF DSP0274, GET_MEASUREMENTS nonce",
        "this evidence was made for another challenge; ask the guest again",
    ),
    "binding.no-evidence": Meaning(
        "A value was expected of evidence that is not there", "input", "give the evidence that carries it"
    ),
    "nonce.public-constant": Meaning(
        "The expected nonce is a constant published in sample code",
        "nvidia-gpu samples",
        "use 32 fresh random bytes",
    ),
}
