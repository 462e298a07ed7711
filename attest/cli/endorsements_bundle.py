"""`attest endorsements bundle FILE... --sign KEY -o BUNDLE`: one signed file for machines without a network."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from attest.claims import instant
from attest.cli.bundles import add_bundle_argument, bundle_reader, signing_key
from attest.cli.inputs import check_written
from attest.cli.options import at_of, instant_argument, print_json, simulated_anchors, usage
from attest.cli.remedies import told_lines
from attest.errors import AttestError, Rejected
from attest.loader import read_into
from attest.outputs import write_file
from attest.recognise import Found
from attest.untrusted import escape

if TYPE_CHECKING:
    from attest.endorsements import Endorsements
    from attest.evidence import Evidence
    from attest.sources.judge import Judgement
    from attest.sources.needs import Need
    from attest.sources.offline import Bundle, Entry
    from attest.sources.opening import BundleReader

_MAX_DAYS = 366
_MOST_LINES = 60
_EPILOG = """\
FILE is endorsements, evidence, or both; evidence is not put into the bundle, it says what is needed. What is
not signed down from a pinned root is left out, and told. For each evidence the command lists what is missing
or no longer current; it then ends with status 1, and the bundle is written all the same.

  openssl genpkey -algorithm ed25519 -out ours.key && chmod 600 ours.key
  openssl pkey -in ours.key -pubout -out ours.pub
  attest endorsements bundle fleet/*.bin vendor/* --sign ours.key -o fleet.bundle.json
  attest verify report.bin fleet.bundle.json --bundle-key ours.pub

An earlier bundle may be among FILE, with --bundle-key: what it holds is taken over, renewed lists beside it.

Each endorsement ends at its own date, whatever --days says, and the command lists when: NVIDIA's OCSP answers after
a day, Intel's collateral after thirty. From then on it counts as out of date; the bundle still opens, and what
else it holds still serves.

The signature says who put the file together; every certificate, list, collateral document, manifest and OCSP
answer in it is still verified to its vendor's root, at its own dates. The key signs nothing but bundles. Its
serial number is the time of making unless --serial gives another; a verifier with a memory refuses a lower
one. Exit status: 0 nothing is missing, 1 something is, or an earlier bundle is refused, 2 malformed input or
wrong use."""


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "bundle",
        help="put endorsements into one signed file",
        description="Put the endorsements of a fleet into one signed file with their dates.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="endorsements, and evidence that needs them")
    parser.add_argument(
        "--sign", required=True, metavar="KEY", help="private key in PEM: Ed25519, P-256 or P-384"
    )
    parser.add_argument("-o", "--output", required=True, metavar="BUNDLE", help="where to write it")
    parser.add_argument(
        "--at", type=instant_argument, metavar="TIME", help="when it is made (RFC 3339); default now"
    )
    parser.add_argument(
        "--days",
        type=int,
        default=30,
        metavar="N",
        help=f"how long the bundle itself opens, 1 to {_MAX_DAYS}; default 30; no entry lasts longer for it",
    )
    parser.add_argument(
        "--serial", type=int, metavar="N", help="never goes back; default the time it is made"
    )
    add_bundle_argument(parser)
    parser.add_argument("--simulator-root", metavar="FILE", help="also accept this simulator's root")
    parser.add_argument("--json", action="store_true", help="print what is in it and what is missing as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        return _run(args)
    except AttestError as error:
        return told(args, error)


def told(args: argparse.Namespace, error: AttestError) -> int:
    """Say what went wrong; 1 for what is refused, 2 for what is malformed or wrong use."""
    if args.json:
        print_json({"problems": [problem.as_dict() for problem in error.problems]})
    for problem in () if args.json else error.problems:
        print(told_lines(args, problem), file=sys.stderr)
    return 1 if isinstance(error, Rejected) else 2


def _run(args: argparse.Namespace) -> int:
    from attest.dsse import seal_envelope
    from attest.sources.offline import Bundle

    if not 1 <= args.days <= _MAX_DAYS:
        raise usage(f"--days is 1 to {_MAX_DAYS}")
    check_written(args, {"-o": args.output})
    made = at_of(args)
    key = signing_key("--sign", args.sign)
    anchors = simulated_anchors(args)
    evidences, endorsements, rim_ids, _ = gather(args.files, bundle_reader(args, made, None))
    kept, left_out = authentic(endorsements, made, anchors)
    try:
        bundle = Bundle.of(
            kept,
            made=made,
            expires=made + timedelta(days=args.days),
            serial=int(made.timestamp()) if args.serial is None else args.serial,
            rim_ids=rim_ids,
        )
    except ValueError as error:
        raise usage(str(error)) from None
    if not bundle.entries:
        why = "".join(f"; {one.kind} {one.about}: {one.why}" for one in left_out[:3])
        raise usage(f"no authentic endorsement was given, so there is nothing to put into a bundle{why}")
    write_file("-o", args.output, seal_envelope("endorsements", bundle.payload(), key))
    needed = _needs(evidences, kept, made, anchors)
    missing = any(not need.met for needs in needed.values() for need in needs)
    if args.json:
        print_json(_document(args.output, bundle, needed, left_out))
    else:
        _print(args.output, bundle, needed, left_out)
    return 1 if missing or left_out else 0


class Gathered(NamedTuple):
    """evidences: by file. endorsements: of all files together. rim_ids, rim_files: SHA-256 of a manifest → its
    id, the file it came in."""

    evidences: dict[str, Evidence]
    endorsements: Endorsements
    rim_ids: dict[bytes, str]
    rim_files: dict[bytes, str]


def gather(files: list[str], reader: BundleReader | None = None) -> Gathered:
    """What files hold. reader: opens signed bundles among them. Raises Malformed, Rejected."""
    from attest.sources.coverage import issuers_of, manifest_ids
    from attest.sources.offline import rim_ids_of

    everything = Found(bounded=False)
    evidences: dict[str, Evidence] = {}
    named: list[tuple[str, bytes]] = []
    rim_files: dict[bytes, str] = {}
    by_version: dict[str, str] = {}
    ids: dict[bytes, str] = {}
    for file in files:
        found = Found(bounded=False)
        read_into(found, file)
        if reader is not None:
            sealed, found.sealed = found.sealed, []
            for sealed_in, envelope in sealed:
                earlier = reader.open(sealed_in, envelope)
                everything.add_endorsements(earlier.endorsements())
                ids |= earlier.rim_ids()
        held = found.endorsements()
        everything.add_endorsements(held)
        name = Path(file).stem.removeprefix("simulated-")
        digests = [rim.digest for rim in held.rims if not isinstance(rim, bytes)]
        named += ((name, digest) for digest in digests)
        rim_files |= dict.fromkeys(digests, file)
        if found.cpus or found.devices:
            evidences[file] = found.evidence()
            everything.certificates += issuers_of(evidences[file])
            for device in evidences[file].devices:
                by_version |= manifest_ids(device)
    endorsements = everything.endorsements()
    # A manifest names no id: the device that needs it does, or the name of the file it came in.
    asked_for = rim_ids_of(
        (by_version.get(str(rim.stated.version).upper(), ""), rim.digest)
        for rim in endorsements.rims
        if not isinstance(rim, bytes)
    )
    return Gathered(evidences, endorsements, {**ids, **rim_ids_of(named), **asked_for}, rim_files)


def authentic(endorsements: Endorsements, at: Any, anchors: Any) -> tuple[Endorsements, list[Judgement]]:
    """The endorsements that lead to a pinned root, and what is said of the others."""
    from dataclasses import fields, replace

    from attest.sources.judge import Judge

    judgements = Judge(anchors).judge(endorsements, at)
    kept: dict[str, tuple[Any, ...]] = {}
    rest = iter(judgements)
    for part in fields(endorsements):
        if part.init and isinstance(getattr(endorsements, part.name), tuple):
            kept[part.name] = tuple(item for item in getattr(endorsements, part.name) if next(rest).authentic)
    return replace(endorsements, **kept), [one for one in judgements if not one.authentic]


def _needs(
    evidences: dict[str, Evidence], kept: Endorsements, at: Any, anchors: Any
) -> dict[str, tuple[Need, ...]]:
    from attest.sources.coverage import select
    from attest.sources.needs import needs

    return {
        file: needs(evidence, select(kept, evidence), at=at, anchors=anchors)
        for file, evidence in evidences.items()
    }


def _document(
    output: str, bundle: Bundle, needed: dict[str, tuple[Need, ...]], left_out: list[Judgement]
) -> dict[str, Any]:
    entries = [entry.document() for entry in bundle.entries]
    for entry in entries:
        del entry["data"]
        entry.pop("chain", None)
    first = bundle.first_to_end
    return {
        "bundle": output,
        "made": instant(bundle.made),
        "expires": instant(bundle.expires),
        "serial": str(bundle.serial),
        "earliest-end": None
        if first is None or first.dates.next_update is None
        else instant(first.dates.next_update),
        "entries": entries,
        "evidence": {
            file: [
                {
                    "what": need.what,
                    "state": need.state,
                    "ends": None if need.ends is None else instant(need.ends),
                }
                for need in needs
            ]
            for file, needs in needed.items()
        },
        "left-out": [{"kind": one.kind, "about": one.about, "why": one.why} for one in left_out],
    }


def _print(
    output: str, bundle: Bundle, needed: dict[str, tuple[Need, ...]], left_out: list[Judgement]
) -> None:
    kinds: dict[str, int] = {}
    for entry in bundle.entries:
        kinds[entry.kind] = kinds.get(entry.kind, 0) + 1
    print(f"{escape(output)}: " + ", ".join(f"{count} {kind}" for kind, count in kinds.items()))
    print(
        f"  serial {bundle.serial}, made {instant(bundle.made)}; the bundle itself opens until {instant(bundle.expires)}"
    )
    for line in _ends(bundle):
        print(line)
    for one in left_out:
        print(f"  ✘ left out: {one.kind} {one.about}: {one.why}")
    for file, needs in needed.items():
        missing = [need for need in needs if not need.met]
        print(f"  {'✘' if missing else '✔'} {escape(file)}: {len(needs) - len(missing)} of {len(needs)} held")
        for need in missing:
            print(f"      {need}")
    if any(not need.met for needs in needed.values() for need in needs):
        print(
            "  → `attest endorsements fetch EVIDENCE -o vendor/` asks for what is missing; then make the bundle again"
        )


def _ends(bundle: Bundle) -> Iterator[str]:
    """Each entry with its end, the first to end first: the bundle's own time keeps none of them longer."""
    never = datetime.max.replace(tzinfo=UTC)

    def end(entry: Entry) -> datetime:
        return entry.dates.next_update or never

    entries = sorted(bundle.entries, key=end)
    earlier = sum(end(entry) < bundle.expires for entry in entries)
    yield f"  {earlier} of {len(entries)} endorsements end before it, and count as out of date from then on:"
    for entry in entries[:_MOST_LINES]:
        when = "no end" if entry.dates.next_update is None else f"until {instant(entry.dates.next_update)}"
        mark = "✘ ended: " if end(entry) < bundle.made else ""
        yield f"    {when}  {mark}{entry.kind} {entry.dates.about}"
    if len(entries) > _MOST_LINES:
        yield f"    … and {len(entries) - _MOST_LINES} that end later; --json lists them all"
