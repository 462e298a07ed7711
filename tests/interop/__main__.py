"""Run the guests' own client against a served broker: `python -m tests.interop CLIENT VERSION`.

CLIENT: `trustee-attester` of guest-components, built with the patch that docs/interop.md describes, so that it takes its
evidence from a program (this one, under `evidence`) instead of from hardware. VERSION: the protocol it speaks. Not a
test of the suite: the client is not part of this project. Exit status 0 where every line says `as expected`.
"""

from __future__ import annotations

import sys

from tests.interop.evidence import give
from tests.interop.runs import run

if __name__ == "__main__":
    if len(sys.argv) == 5 and sys.argv[1] == "evidence":
        give(*sys.argv[2:])
    elif len(sys.argv) == 3:
        sys.exit(run(*sys.argv[1:]))
    else:
        sys.exit(__doc__)
