"""How long does a person wait for one command, and a program for one import?

The floor is the interpreter alone: what no Python program can save.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.samples import AT, ROOT, files
from benchmarks.timing import Result, compare


def run() -> Iterator[Result]:
    """verify: a whole `attest verify` of a real SNP report. import: a process that imports attest."""
    attest = Path(sys.executable).parent / "attest"
    command = [str(attest), "verify", *map(str, files("snp-genoa")), "--at", AT["snp-genoa"].isoformat()]
    floor = _process([sys.executable, "-c", "pass"])
    yield compare("process_verify", _process(command), floor, limit=300, rounds=25)
    yield compare(
        "import_attest", _process([sys.executable, "-c", "import attest"]), floor, limit=120, rounds=25
    )


def _process(command: list[str]) -> Callable[[], object]:
    return lambda: subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
