"""`make differential`: ask every peer that is installed, and write docs/differential.md when all were asked."""

from __future__ import annotations

import argparse
import os
import sys

from tests.conftest import ROOT, SHARED_VECTORS
from tests.differential.compare import MUTATIONS, Compared, cases_for, mutation, one, run, vectors
from tests.differential.page import page, unexplained
from tests.differential.peers import PEERS
from tests.differential.reasons import reason_for
from tests.differential.simulated import breaks, simulated

PAGE = ROOT / "docs" / "differential.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument(
        "--mutations", type=int, default=MUTATIONS, help="over all peers; fewer write no page"
    )
    parser.add_argument("--peer", action="append", help="ask these alone; writes no page")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--case", metavar="PEER:NUMBER|VECTOR", help="ask again about one, and tell all of it"
    )
    args = parser.parse_args()
    if not SHARED_VECTORS.is_dir():
        print("shared vectors are not beside this checkout (../shared/vectors)", file=sys.stderr)
        return 2
    if args.case:
        return _again(*args.case.split(":", 1))
    chosen = [peer for peer in PEERS if not args.peer or peer.name in args.peer]
    missing = [peer.name for peer in chosen if not peer.installed]
    if missing:
        print(f"not installed: {', '.join(missing)}; make differential", file=sys.stderr)
        return 2
    compared, versions = [], {}
    for made, version in run(chosen, args.mutations, args.processes):
        compared.append(made)
        versions[made.peer] = version
        if len(compared) % 1000 == 0:
            print(f"{len(compared)} asked", file=sys.stderr)
    without = unexplained(compared)
    for each in without:
        _tell(each)
    print(
        f"{len(compared)} asked, {sum(bool(each.way) for each in compared)} disagree, {len(without)} without a reason"
    )
    if without:
        return 1
    if args.mutations >= MUTATIONS and not args.peer:
        PAGE.write_text(page(compared, versions, vectors()))
        print(f"written to {PAGE.relative_to(ROOT)}")
    return 0


def _again(name: str, which: str) -> int:
    peer = next((peer for peer in PEERS if peer.name == name), None)
    if peer is None or not peer.installed:
        print(f"no such peer, or not installed: {name}", file=sys.stderr)
        return 2
    if which.isdecimal():
        change = mutation(peer, int(which))
        made, _ = one(peer, change.case, int(which), change.stratum, change.what)
    else:
        case = next(
            (case for case in (*cases_for(peer), *simulated(peer.platform)) if case.name == which), None
        )
        if case is None:
            print(f"no such vector for {name}: {which}", file=sys.stderr)
            return 2
        made, _ = (
            one(peer, case, None, "simulated", breaks(case))
            if case.trusted_root
            else one(peer, case, None, "vector", "as it is")
        )
    _tell(made)
    return 0


def _tell(made: Compared) -> None:
    reason = reason_for(made) if made.way else None
    print(f"{made.name}  {made.case}  {made.stratum}: {made.what}")
    print(f"  ours   {made.ours.verdict} {' '.join(made.ours.codes)} {made.ours.detail}".rstrip())
    print(
        f"  theirs {'accepted' if made.theirs.accepts else 'refused'} {made.theirs.why} {made.theirs.detail}".rstrip()
    )
    print(f"  {made.way or 'both agree'}" + (f": {reason.title}" if reason else ""))


if __name__ == "__main__":
    sys.exit(main())
