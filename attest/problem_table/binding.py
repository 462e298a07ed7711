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
    "binding.domain": Meaning(
        "The evidence was made for somebody else's purpose",
        "report data domains: broker, site, local evidence API",
        "evidence of a site is checked with --origin and --nonce, a broker's with --nonce and --key",
    ),
    "binding.origin": Meaning(
        "The evidence does not name this origin",
        "site evidence, origins",
        "this machine does not serve the site you asked; do not send anything to it",
    ),
    "binding.epoch": Meaning(
        "The time of the GPU evidence is in the future",
        "site evidence, epoch-time",
        "set the clocks right, then ask the site again",
    ),
    "binding.site-key": Meaning(
        "The site's key is not the one expected",
        "site evidence, tee-pubkey",
        "encrypt to the key of the statement that was verified",
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
