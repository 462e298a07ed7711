"""Problem codes: many machines in one run."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

PROBLEMS: dict[str, Meaning] = {
    "fleet.item": Meaning(
        "The line names no evidence",
        "attest verify --batch -",
        'give one JSON object a line: {"id", "files": [{"name", "data"}] or "bundle", "nonce", "at"}',
    ),
    "fleet.empty": Meaning(
        "The batch holds no machine, so nothing was verified",
        "attest verify --batch",
        "name a folder with a file or a folder for each machine, or write lines to standard input",
    ),
    "fleet.worker-lost": Meaning(
        "The process that judged this evidence ended, or did not answer in time",
        "attest verify --batch",
        "look at this evidence alone; memory limits end processes too",
    ),
    "fleet.failed": Meaning(
        "An error of the verifier, not of the evidence: nothing was judged",
        "attest verify --batch",
        "report it with this evidence",
    ),
}
