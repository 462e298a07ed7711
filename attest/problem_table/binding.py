"""Problem codes: what ties evidence to a challenge and a key."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

PROBLEMS: dict[str, Meaning] = {
    "binding.report-data": Meaning(
        "The report data is not what was expected",
        "RFC 9334, freshness and binding",
        "give what the guest was asked with, --nonce and --key or --report-data, or ask it again: this was made for another challenge or key",
    ),
    "binding.gpu-nonce": Meaning(
        "A device's nonce is not what was expected",
        "DMTF DSP0274, GET_MEASUREMENTS nonce",
        "give what the devices were asked with, --gpu-nonce, or --nonce and --key for the machine, or ask the guest again: this was made for another challenge",
    ),
    "binding.domain": Meaning(
        "The evidence was made for somebody else's purpose",
        "report data domains: broker, site, local evidence API",
        "evidence of a site is checked with --origin and --nonce, a broker's with --nonce and --key",
    ),
    "binding.origin": Meaning(
        "The evidence does not name this origin",
        "site evidence, origins",
        "this machine does not serve the site that --origin names; do not send anything to it",
    ),
    "binding.epoch": Meaning(
        "The time of the GPU evidence is in the future",
        "site evidence, epoch-time",
        "set the clocks right, or give the right time with --at, then ask the site again",
    ),
    "binding.site-key": Meaning(
        "The site's key is not the one expected",
        "site evidence, tee-pubkey",
        "encrypt to the key of the statement that was verified; --key names another",
    ),
    "binding.no-evidence": Meaning(
        "A value was expected of evidence that is not there",
        "input",
        "give the evidence that carries it, or leave out the option that expects it: --report-data, --gpu-nonce, --tpm-nonce or --origin",
    ),
    "nonce.public-constant": Meaning(
        "The expected nonce is a constant published in sample code",
        "nvidia-gpu samples",
        "ask with 32 fresh random bytes (openssl rand -hex 32), and give them with --nonce or --gpu-nonce",
    ),
}
