"""Problem codes: files and bytes that are not what they should be."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

PROBLEMS: dict[str, Meaning] = {
    "evidence.malformed": Meaning(
        "The bytes are not what they claim to be",
        "file format",
        "see with attest show what each file holds; collect the evidence again",
    ),
    "evidence.too-large": Meaning(
        "The file is larger than any evidence", "size limits", "give the evidence file itself"
    ),
    "evidence.unreadable": Meaning("The file cannot be read", "input", "check the path and its permissions"),
    "evidence.unrecognised": Meaning(
        "The content is no evidence or endorsement this verifier knows",
        "file format",
        "give reports, quotes, certificates, CRLs, collateral, RIMs or a bundle",
    ),
    "evidence.missing": Meaning(
        "No evidence was given",
        "input",
        "name a report, a quote or a bundle; endorsements alone prove nothing",
    ),
    "evidence.several": Meaning(
        "More than one piece of CPU evidence was given",
        "input",
        "verify one machine at a time, or many with --batch DIR",
    ),
    "evidence.simulated": Meaning(
        "The evidence is simulated and no simulator root was named",
        "design: the simulator's root is accepted only where a caller names it",
        "pass --simulator-root FILE with the root that attest simulate wrote",
    ),
    "endorsement.malformed": Meaning(
        "An endorsement is not what it claims to be",
        "file format",
        "give the endorsement as its vendor serves it, or --fetch",
    ),
    "usage": Meaning("Wrong use", "command line", "see --help"),
}
