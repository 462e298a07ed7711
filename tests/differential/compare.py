"""One case asked of both; where they differ, in which way."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from tests.conftest import SHARED_VECTORS
from tests.differential.cases import Case, Vectors, read
from tests.differential.mutations import Mutation, mutate, readable
from tests.differential.ours import Ours, judge
from tests.differential.peers import PEERS, Peer, Theirs
from tests.differential.simulated import breaks, simulated

SEED = "2026-11-24"
MUTATIONS = 10_000
_CHUNK = 125

Way = Literal[
    "", "only ours refuses", "only theirs refuses", "our policy refuses, they refuse", "other detail"
]


@dataclass(frozen=True)
class Compared:
    """number: of the mutation, None for a vector as it is. way: empty where both agree."""

    peer: str
    number: int | None
    case: str
    stratum: str
    what: str
    ours: Ours
    theirs: Theirs

    @property
    def way(self) -> Way:
        ours, theirs = self.ours, self.theirs
        if ours.verdict == "refused":
            return "only ours refuses" if theirs.accepts else ""
        if not theirs.accepts:
            return "our policy refuses, they refuse" if ours.verdict == "denied" else "only theirs refuses"
        return "other detail" if theirs.detail and theirs.detail != ours.detail else ""

    @property
    def crashed(self) -> bool:
        """They gave no verdict, which counts as a refusal."""
        return self.theirs.why.startswith(("crashed: ", "panic: "))

    @property
    def name(self) -> str:
        """What `--case` takes."""
        return f"{self.peer}:{self.case if self.number is None else self.number}"


@cache
def vectors(folder: Path = SHARED_VECTORS) -> Vectors:
    return read(folder)


def cases_for(peer: Peer) -> list[Case]:
    return [case for case in vectors().cases if case.platform == peer.platform]


def mutation(peer: Peer, number: int) -> Mutation:
    """The same for the same seed, number and vectors."""
    rng = random.Random(f"{SEED}:{peer.name}:{number}")
    cases = [case for case in cases_for(peer) if readable(case)]
    chosen = [case for case in cases if peer.through(case)] if rng.random() < 0.75 else cases
    return mutate(chosen, cases, rng)


def run(peers: list[Peer], mutations: int, processes: int) -> Iterator[tuple[Compared, str]]:
    """Every vector and `mutations` mutations over the peers by their shares, with the version asked."""
    work: list[tuple[str, int | None, int]] = [(peer.name, None, 0) for peer in peers]
    whole = sum(peer.share for peer in peers)
    for peer in peers:
        many = mutations * peer.share // whole
        work += [(peer.name, start, min(start + _CHUNK, many)) for start in range(0, many, _CHUNK)]
    with ProcessPoolExecutor(processes) as pool:
        for made in pool.map(chunk, work):
            yield from made


def one(peer: Peer, case: Case, number: int | None, stratum: str, what: str) -> tuple[Compared, str]:
    with closing(peer.start()) as child:
        return _compare(peer, child.ask(case), case, number, stratum, what), child.version


def chunk(task: tuple[str, int | None, int]) -> list[tuple[Compared, str]]:
    """Of one peer, in one conversation: its vectors, or the mutations from start to stop."""
    name, start, stop = task
    peer = next(peer for peer in PEERS if peer.name == name)
    made = []
    with closing(peer.start()) as child:
        asked: list[tuple[Case, int | None, str, str]]
        if start is None:
            asked = [(case, None, "vector", "as it is") for case in cases_for(peer)]
            asked += [(case, None, "simulated", breaks(case)) for case in simulated(peer.platform)]
        else:
            asked = [
                (change.case, number, change.stratum, change.what)
                for number in range(start, stop)
                for change in [mutation(peer, number)]
            ]
        for case, number, stratum, what in asked:
            theirs = child.ask(case)
            made.append((_compare(peer, theirs, case, number, stratum, what), child.version))
    return made


def _compare(peer: Peer, theirs: Theirs, case: Case, number: int | None, stratum: str, what: str) -> Compared:
    return Compared(peer.name, number, case.name, stratum, what, judge(case), plain(theirs))


def plain(theirs: Theirs) -> Theirs:
    """Their text without what differs from case to case, so that it can be read and matched."""
    why = re.sub(r"\[(?:\d+ ){8,}\d+\]", "[…]", theirs.why)
    why = re.sub(r"\b[0-9a-fA-F]{16,}\b", "…", why)
    return Theirs(theirs.accepts, theirs.detail, why[:400])
