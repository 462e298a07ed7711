"""`attest endorsements fetch FILE...`: ask the vendors for what this evidence needs."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attest.claims import instant
from attest.cli.bundles import add_bundle_argument, bundle_reader
from attest.cli.fetching import ENVIRONMENT, add_service_arguments, sources_of
from attest.cli.inputs import check_written
from attest.cli.options import print_json, simulated_anchors, usage
from attest.cli.remedies import told_lines
from attest.endorsements import Endorsements
from attest.errors import AttestError, Problem, Rejected
from attest.evidence import Evidence
from attest.loader import read_into
from attest.outputs import write_file
from attest.recognise import Found
from attest.untrusted import escape

if TYPE_CHECKING:
    from attest.sources.opening import BundleReader
    from attest.sources.question import Item

_SERVED_OLD = "sources.stale-served"
_EPILOG = f"""\
examples:
  attest endorsements fetch report.bin                       into the cache, for the next `verify --fetch`
  attest endorsements fetch report.bin -o endorsements.json  one file, for a machine without a network
  attest endorsements fetch fleet/*.json -o endorsements/    a folder with one file an endorsement
  attest endorsements fetch quote.bin --pccs https://pccs.example:8081

Asked are AMD's KDS for SEV-SNP (VCEK, the ARK's list), Intel's PCS or your PCCS for TDX (TCB info, QE
identity, both lists), NVIDIA for GPUs and switches (manifests, OCSP). The evidence is not verified; it says
which chip, platform and firmware to ask for. KDS answers one request in ten seconds: a fleet of new chips
takes its time, a chip already seen takes none. No address in evidence is ever followed, no redirect either.

The last line says how many of how many were got. What leads to no pinned root is never written, what is out of
date is, and counts as not got; where nothing is authentic, nothing is written.

Exit status: 0 all is there and current, 1 something could not be had (all of it, too: no network is no wrong
use), 2 malformed input or wrong use.

{ENVIRONMENT}"""


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "fetch",
        help="ask the vendors for what evidence needs",
        description="Ask AMD, Intel and NVIDIA for the endorsements that evidence needs, and keep them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="evidence of any number of machines, in any form `verify` takes",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE|DIR",
        help="write what was fetched: a bundle, or one file each into a folder (existing, or ending in /)",
    )  # fmt: skip
    add_service_arguments(parser)
    add_bundle_argument(parser)
    parser.add_argument(
        "--simulator-root", metavar="FILE", help="keep what is authentic under this simulator's root, too"
    )
    parser.add_argument("--json", action="store_true", help="print what was fetched as JSON")
    parser.set_defaults(run=run)


@dataclass(frozen=True)
class _Got:
    """What came of all questions, each once. at: the time by which answers are out of date. problems: what could
    not be had; warnings: what could not be renewed, and is there."""

    items: tuple[Item, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    at: datetime

    def state(self, item: Item) -> str:
        if not item.authentic:
            return "unauthentic"
        return "ended" if item.ended(self.at) else "current"

    def counts(self) -> dict[str, int]:
        states = Counter(self.state(item) for item in self.items)
        kept = sum(item.kept for item in self.items if self.state(item) == "current")
        return {
            "fetched": states["current"] - kept,
            "from-cache": kept,
            "not-had": len(self.problems),
            "not-authentic": states["unauthentic"],
            "out-of-date": states["ended"],
        }

    @property
    def complete(self) -> bool:
        return (
            bool(self.items)
            and not self.problems
            and {self.state(item) for item in self.items} == {"current"}
        )

    def endorsements(self) -> Endorsements:
        """What is authentic. What has ended is among it: an old list still revokes."""
        found = Endorsements()
        for item in self.items:
            found += item.endorsements if item.authentic else Endorsements()
        return found


def run(args: argparse.Namespace) -> int:
    try:
        got = _ask(args)
        found = got.endorsements()
        written = [] if args.output is None or found == Endorsements() else _write(args.output, found)
    except AttestError as error:
        return _refused(args, error)
    if args.json:
        print_json(
            {
                "fetched": [_document(item, got) for item in got.items],
                "problems": [problem.as_dict() for problem in got.problems],
                "warnings": [problem.as_dict() for problem in got.warnings],
                "summary": {name: str(count) for name, count in got.counts().items()},
                "written": written,
            }
        )
    else:
        _print(args, got, written)
    return 0 if got.complete else 1


def _ask(args: argparse.Namespace) -> _Got:
    from attest.sources.fetch_for import fetch_for
    from attest.sources.once import Once

    if args.output is not None:
        _check_place(args)
    now = datetime.now(UTC).replace(microsecond=0)
    machines, have = _read(args.files, bundle_reader(args, now, None))
    sources = sources_of(args, simulated_anchors(args))
    once = Once(sources)
    items: dict[str, Item] = {}
    problems: dict[Problem, None] = {}
    for machine in machines:
        fetched = fetch_for(machine, sources, have=have, once=once)
        for item in fetched.items:
            if item.authentic or item.question.key not in items:
                items[item.question.key] = item
        problems.update(dict.fromkeys(fetched.problems))
    return _Got(
        tuple(items.values()),
        tuple(problem for problem in problems if problem.code != _SERVED_OLD),
        tuple(problem for problem in problems if problem.code == _SERVED_OLD),
        sources.store.now(),
    )


def _read(files: list[str], reader: BundleReader | None) -> tuple[list[Evidence], Endorsements]:
    """Each CPU as a machine of its own, all devices as one more. Raises Malformed when there is neither."""
    found = Found(bounded=False)
    for file in files:
        read_into(found, file)
    if reader is not None:
        sealed, found.sealed = found.sealed, []
        for name, envelope in sealed:
            found.add_endorsements(reader.open(name, envelope).endorsements())
    machines = [Evidence(cpu) for _, cpu in found.cpus]
    if found.devices:
        machines.append(Evidence(devices=tuple(found.devices)))
    if not machines:
        raise usage("no evidence was given: name a report, a quote or device evidence")
    return machines, found.endorsements()


def _check_place(args: argparse.Namespace) -> None:
    """Before anybody is asked: a fleet's answers take minutes. Raises Malformed (`usage`)."""
    output: str = args.output
    place = Path(output)
    if not output.endswith(os.sep) and not place.is_dir():
        check_written(args, {"-o": output})
        return
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise usage(
            f"-o {escape(output)} cannot be written: {escape(str(place))} is no folder that you may write"
        )


def _write(output: str, endorsements: Endorsements) -> list[str]:
    from attest.bundle import MAX_ENTRIES, write_bundle
    from attest.sources.entries import entries_of

    entries = list(entries_of(endorsements))
    target = Path(output)
    try:
        if target.is_dir() or output.endswith(os.sep):
            target.mkdir(parents=True, exist_ok=True)
            for name, _, data in entries:
                write_file("-o", target / name, data)
            return [str(target / name) for name, _, _ in entries]
    except OSError as error:
        raise usage(f"-o {escape(output)} cannot be written: {error.strerror}") from None
    if len(entries) > MAX_ENTRIES:
        raise usage(f"{len(entries)} endorsements are too many for one bundle: give -o a folder")
    write_file("-o", output, write_bundle((kind, data) for _, kind, data in entries))
    return [output]


def _document(item: Item, got: _Got) -> dict[str, object]:
    return {
        "about": item.question.about,
        "url": item.question.request.url,
        "authentic": item.authentic,
        "state": got.state(item),
        "from-cache": item.kept,
        "fetched": instant(item.fetched),
        "ends": None if item.ends is None else instant(item.ends),
    }


def _lines(got: _Got) -> Iterator[str]:
    for item in got.items:
        about, end = item.question.about, "without an end" if item.ends is None else instant(item.ends)
        state = got.state(item)
        if state == "unauthentic":
            yield f"✘ {about}: fetched, and not signed down from a pinned root: left out"
        elif state == "ended":
            yield (
                f"✘ {about}: the answer that came is out of date, it ended {end}\n"
                "    → ask again later, or the vendor's own service: nothing newer was to be had"
            )
        elif item.kept:
            yield f"✔ {about}: kept since {instant(item.fetched)}, until {end}"
        else:
            yield f"✔ {about}: fetched, until {end}"


_NOT_GOT = {
    "not-had": "could not be had",
    "not-authentic": "not signed down from a pinned root",
    "out-of-date": "out of date",
}


def _summary(got: _Got) -> str:
    counts = got.counts()
    had = counts["fetched"] + counts["from-cache"]
    missing = ", ".join(f"{counts[name]} {words}" for name, words in _NOT_GOT.items() if counts[name])
    whole = f"{had} of {sum(counts.values())} got: {counts['fetched']} fetched, {counts['from-cache']} from the cache"
    return f"{'✔' if got.complete else '✘'} {whole}" + (f"; {missing}" if missing else "")


def _print(args: argparse.Namespace, got: _Got, written: list[str]) -> None:
    for line in _lines(got):
        print(line)
    for mark, problems in (("✘", got.problems), ("!", got.warnings)):
        for problem in problems:
            print(told_lines(args, problem, mark))
    for name in written:
        print(f"→ {escape(name)}")
    if args.output is not None and not written:
        print(f"nothing was written to {escape(args.output)}: there is nothing authentic to write")
    print(_summary(got))


def _refused(args: argparse.Namespace, error: AttestError) -> int:
    if args.json:
        problems = [problem.as_dict() for problem in error.problems]
        print_json({"fetched": [], "problems": problems, "warnings": [], "summary": None, "written": []})
    else:
        for problem in error.problems:
            print(told_lines(args, problem), file=sys.stderr)
    return 1 if isinstance(error, Rejected) else 2
