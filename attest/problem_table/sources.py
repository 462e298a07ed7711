"""Problem codes: fetching, keeping and bundling endorsements."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

PROBLEMS: dict[str, Meaning] = {
    "sources.unreachable": Meaning(
        "A service does not answer",
        "RFC 9110, HTTP",
        "check the network and the service's address (--pccs, ATTEST_KDS_URL and its like), or give the endorsements as files",
    ),
    "sources.slow": Meaning(
        "A service did not finish its answer in time", "time limits", "try again later, or use a nearer cache"
    ),
    "sources.cut-off": Meaning(
        "An answer ended before its announced length", "RFC 9110, HTTP", "try again: the connection broke"
    ),
    "sources.too-large": Meaning(
        "An answer is larger than anything of its kind",
        "size limits",
        "check the service's address (--pccs, ATTEST_KDS_URL and its like)",
    ),
    "sources.redirect": Meaning(
        "A service sent us elsewhere, and only the configured address is ever asked",
        "fixed hosts, built paths",
        "configure the address itself: --pccs, ATTEST_KDS_URL and its like",
    ),
    "sources.status": Meaning(
        "A service refused to answer",
        "RFC 9110, HTTP status",
        "try again later; check the service's address (--pccs, ATTEST_KDS_URL and its like)",
    ),
    "sources.not-found": Meaning(
        "The service has no such endorsement",
        "RFC 9110, 404",
        "the hardware or firmware may be too new, unknown to the vendor, or the report not genuine",
    ),
    "sources.gone": Meaning(
        "The service withdrew this endorsement",
        "Intel PCS API v4, 410",
        "ask for the current one: --renew",
    ),
    "sources.rate-limited": Meaning(
        "The service asks us to wait",
        "RFC 6585, 429",
        "wait as long as it says; fetch once and share the cache or an offline bundle",
    ),
    "sources.content": Meaning(
        "The answer is not what was asked for",
        "the vendor's service description",
        "check the service's address (--pccs, ATTEST_KDS_URL and its like); something between may have answered in its place",
    ),
    "sources.unbuildable": Meaning(
        "What the evidence says is no name that can be asked for",
        "fixed hosts, built paths",
        "give the endorsement as a file",
    ),
    "sources.unavailable": Meaning(
        "This endorsement is not given out to everybody",
        "the vendor's service description",
        "collect it on the machine itself and give it as a file",
    ),
    "sources.stale-served": Meaning(
        "An endorsement could not be renewed; the kept one is still in its time",
        "cache of endorsements",
        "try again before it ends, with --renew",
    ),
    "sources.cache": Meaning(
        "The cache folder cannot be used safely",
        "cache of endorsements",
        "name a folder of your own that nobody else can write: --cache, or ATTEST_CACHE",
    ),
    "sources.memory": Meaning(
        "The memory of collateral cannot be used",
        "memory of collateral",
        "restore the file of --memory; deleting it makes old lists acceptable once more",
    ),
    "sources.memory-access": Meaning(
        "The memory of collateral cannot be read or written",
        "memory of collateral",
        "give this user the right to read the file and to write its folder, or name another with --memory",
    ),
}
