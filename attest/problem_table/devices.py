"""Problem codes: the set of devices of one machine."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

PROBLEMS: dict[str, Meaning] = {
    "devices.duplicate": Meaning(
        "One device was presented twice", "set checks", "each device must present its own evidence"
    ),
    "devices.nonce": Meaning(
        "The devices of one machine answer different challenges",
        "set checks",
        "ask all devices with one nonce, at one time",
    ),
}
