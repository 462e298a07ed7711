"""Many machines in one run: evidence judged in parallel, one answer each, in order, in bounded memory.

    for line in judge_all(folder_items(Path("fleet")), Job(at=now, shared=…), processes=8):
        …                                              one JSON object, with "index" and "id"

`attest.fleet.ray` runs the same over a Ray cluster.
"""

from __future__ import annotations

from attest.fleet.batch import judge_all
from attest.fleet.items import Item, folder_items, line_items
from attest.fleet.job import Job, Judge

__all__ = ["Item", "Job", "Judge", "folder_items", "judge_all", "line_items"]
