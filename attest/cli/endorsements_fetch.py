"""`attest endorsements fetch FILE...`: ask the vendors for what this evidence needs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attest.claims import instant
from attest.cli.fetching import ENVIRONMENT, add_service_arguments, sources_of
from attest.cli.options import print_json, simulated_anchors, usage
from attest.endorsements import Endorsements
from attest.errors import AttestError, Problem
from attest.evidence import Evidence
from attest.loader import read_into
from attest.recognise import Found

if TYPE_CHECKING:
    from attest.sources.question import Item

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

Exit status: 0 all is there, 1 something could not be had, 2 malformed input or wrong use.

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
    parser.add_argument(
        "--simulator-root", metavar="FILE", help="keep what is authentic under this simulator's root, too"
    )
    parser.add_argument("--json", action="store_true", help="print what was fetched as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    items: list[Item] = []
    problems: list[Problem] = []
    try:
        from attest.sources.fetch_for import fetch_for

        machines, have = _read(args.files)
        sources = sources_of(args, simulated_anchors(args))
        for machine in machines:
            fetched = fetch_for(machine, sources, have=have)
            items += (
                item for item in fetched.items if item.question.key not in {i.question.key for i in items}
            )
            problems += (problem for problem in fetched.problems if problem not in problems)
        found = Endorsements()
        for item in items:
            found += item.endorsements
        written = _write(args.output, found) if args.output is not None else []
    except AttestError as error:
        return _refused(args, error.problems)
    if args.json:
        print_json(
            {
                "fetched": [_document(item) for item in items],
                "problems": [problem.as_dict() for problem in problems],
                "written": written,
            }
        )
    else:
        _print(items, problems, written)
    return 1 if problems or not items else 0


def _read(files: list[str]) -> tuple[list[Evidence], Endorsements]:
    """Each CPU as a machine of its own, all devices as one more. Raises Malformed when there is neither."""
    found = Found(bounded=False)
    for file in files:
        read_into(found, file)
    machines = [Evidence(cpu) for _, cpu in found.cpus]
    if found.devices:
        machines.append(Evidence(devices=tuple(found.devices)))
    if not machines:
        raise usage("no evidence was given: name a report, a quote or device evidence")
    return machines, found.endorsements()


def _write(output: str, endorsements: Endorsements) -> list[str]:
    from attest.bundle import MAX_ENTRIES, write_bundle
    from attest.sources.entries import entries_of

    entries = list(entries_of(endorsements))
    target = Path(output)
    try:
        if target.is_dir() or output.endswith(os.sep):
            target.mkdir(parents=True, exist_ok=True)
            for name, _, data in entries:
                (target / name).write_bytes(data)
            return [str(target / name) for name, _, _ in entries]
        if len(entries) > MAX_ENTRIES:
            raise usage(f"{len(entries)} endorsements are too many for one bundle: give -o a folder")
        target.write_bytes(write_bundle((kind, data) for _, kind, data in entries))
    except OSError as error:
        raise usage(f"-o {output} cannot be written: {error.strerror}") from None
    return [str(target)]


def _document(item: Item) -> dict[str, object]:
    return {
        "about": item.question.about,
        "url": item.question.request.url,
        "authentic": item.authentic,
        "from-cache": item.kept,
        "fetched": instant(item.fetched),
        "ends": None if item.ends is None else instant(item.ends),
    }


def _lines(items: list[Item]) -> Iterator[str]:
    for item in items:
        end = "" if item.ends is None else f", until {instant(item.ends)}"
        if item.authentic:
            where = f"kept since {instant(item.fetched)}" if item.kept else "fetched"
            yield f"✔ {item.question.about}: {where}{end}"
        else:
            yield f"✘ {item.question.about}: fetched, and not signed down from a pinned root"


def _print(items: list[Item], problems: list[Problem], written: list[str]) -> None:
    for line in _lines(items):
        print(line)
    for problem in problems:
        print(f"✘ {problem}\n    [{problem.code}] → {problem.remedy}")
    for name in written:
        print(f"→ {name}")


def _refused(args: argparse.Namespace, problems: tuple[Problem, ...]) -> int:
    if args.json:
        print_json({"fetched": [], "problems": [problem.as_dict() for problem in problems], "written": []})
    else:
        for problem in problems:
            print(f"✘ {problem}\n    [{problem.code}] → {problem.remedy}", file=sys.stderr)
    return 2
