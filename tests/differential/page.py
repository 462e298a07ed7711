"""docs/differential.md, from what was compared and the reasons for it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from attest.untrusted import escape
from tests.differential.cases import Vectors
from tests.differential.compare import SEED, Compared
from tests.differential.reasons import REASONS, Reason, reason_for

_HEAD = """\
# Beside other verifiers

<!-- Written by `make differential`. Change tests/differential/reasons.py, not this page. -->

The same bytes at the same instant, given to this verifier and to others: real evidence as it is, and mutations of
it (a bit, a byte, a run of zeros, a cut, bytes added, certificates in another order or of another machine, parts of
another case, ECDSA's twin signature, another time), drawn evenly over the structures that evidence is made of; and the
simulator's evidence, honest and with each of its faults, where all is signed as it should be but one thing is wrong, under a root that
the peers are given in place of the vendor's (NVIDIA's verifier takes none). What one takes and another refuses is below, by
cause, with who is right.

`make differential` asks again, where there is Go, and the peers are installed or can be had. A disagreement without a reason makes it fail. One case alone:

    .venv/bin/python -m tests.differential --case go-tdx-guest:115

What is compared: our `verify` and then the built-in policy; of go-sev-guest and go-tdx-guest `verify` with revocation
lists, then `validate` with a policy that leaves nothing to the owner; of dcap-qvl `verify` with its status and
advisories, which must be ours; of NVIDIA's verifier each step that a process without a network can take. All are handed their
clock and their endorsements; nobody fetches.
"""


def page(compared: Sequence[Compared], versions: Mapping[str, str], vectors: Vectors) -> str:
    lines = [_HEAD, "## Counts\n"]
    lines += [
        "| peer | version | vectors | simulated | mutations | both refuse | both accept | only ours refuses | only theirs refuses "
        "| our policy and they refuse | other status | crashed |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for peer, version in versions.items():
        of = [one for one in compared if one.peer == peer]
        ways = Counter(one.way for one in of)
        cells = [
            peer,
            version,
            sum(one.stratum == "vector" for one in of),
            sum(one.stratum == "simulated" for one in of),
            sum(one.number is not None for one in of),
            sum(one.ours.verdict == "refused" and not one.theirs.accepts for one in of),
            sum(one.ours.verdict != "refused" and one.theirs.accepts and not one.way for one in of),
            ways["only ours refuses"],
            ways["only theirs refuses"],
            ways["our policy refuses, they refuse"],
            ways["other detail"],
            sum(one.crashed for one in of),
        ]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    mutations = sum(one.number is not None for one in compared)
    lines += [
        f"\n{mutations} mutations with seed `{SEED}`, {len(compared) - mutations} questions about evidence as it is. "
        "“Both accept” counts evidence that both call authentic, whatever an owner's policy then says.\n",
        "## Disagreements\n",
    ]
    grouped: dict[Reason | None, list[Compared]] = defaultdict(list)
    for one in compared:
        if one.way:
            grouped[reason_for(one)].append(one)
    for peer in versions:
        lines.append(f"### {peer}\n")
        found = False
        for reason in REASONS:
            of = [one for one in grouped[reason] if one.peer == peer]
            if of:
                found = True
                lines += _group(reason, of)
        if not found:
            lines.append("None.\n")
    lines += _crashes(compared)
    lines += _strata(compared)
    lines += ["## Vectors that no peer is asked about\n"]
    left: dict[str, list[str]] = defaultdict(list)
    for name, why in vectors.left.items():
        left[why].append(f"`{name}`")
    lines += [f"- {why}: {', '.join(names)}" for why, names in sorted(left.items())]
    return "\n".join(lines) + "\n"


def unexplained(compared: Sequence[Compared]) -> list[Compared]:
    return [one for one in compared if one.way and reason_for(one) is None]


def _group(reason: Reason, of: Sequence[Compared]) -> list[str]:
    ways = " · ".join(f"{way} {count}" for way, count in sorted(Counter(one.way for one in of).items()))
    strata = ", ".join(
        f"{name} {count}" for name, count in sorted(Counter(one.stratum for one in of).items())
    )
    example = min(of, key=lambda one: (one.number is not None, one.number or 0, one.case))
    ours = example.ours.verdict + (f" ({', '.join(example.ours.codes)})" if example.ours.codes else "")
    theirs = "accepted" if example.theirs.accepts else f"refused: {_quoted(example.theirs.why)}"
    return [
        f"**{reason.title}** — right: {reason.right}\n",
        f"{ways}. In: {strata}.\n",
        f"{reason.why}\n",
        f"Example `{example.name}`: {example.case}, {escape(example.what)}. Ours: {ours}. Theirs: {theirs}\n",
    ]


def _quoted(why: str) -> str:
    """Their text, which is anybody's, as Markdown that shows it and does nothing else."""
    return "`" + escape(why)[:200].replace("`", "'") + "`"


def _crashes(compared: Sequence[Compared]) -> list[str]:
    """What ended a peer in place of an answer, although both refuse."""
    grouped: dict[tuple[str, str], list[Compared]] = defaultdict(list)
    for one in compared:
        if one.crashed:
            grouped[one.peer, re.sub(r"\d+", "N", one.theirs.why)].append(one)
    lines = ["## Panics\n"]
    for (peer, why), of in sorted(grouped.items()):
        lines.append(
            f"- {peer}, {len(of)} times: {_quoted(why)}. `{of[0].name}`: {of[0].case}, {escape(of[0].what)}"
        )
    if not grouped:
        lines.append("None.")
    return [*lines, ""]


def _strata(compared: Sequence[Compared]) -> list[str]:
    lines = [
        "## Mutations by structure\n",
        "| peer | structure | mutations | both refuse | disagree |",
        "|---|---|---:|---:|---:|",
    ]
    table: dict[tuple[str, str], list[Compared]] = defaultdict(list)
    for one in compared:
        if one.number is not None:
            table[one.peer, one.stratum].append(one)
    for (peer, stratum), of in sorted(table.items()):
        refused = sum(one.ours.verdict == "refused" and not one.theirs.accepts for one in of)
        lines.append(f"| {peer} | {stratum} | {len(of)} | {refused} | {sum(bool(one.way) for one in of)} |")
    return [*lines, ""]
