"""`attest endorsements verify FILE...`: what each endorsement is, whether it is authentic, when it ends."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from attest.claims import instant
from attest.cli.bundles import add_bundle_argument, bundle_reader
from attest.cli.options import at_of, instant_argument, print_json, simulated_anchors, usage
from attest.cli.remedies import told_lines
from attest.endorsements import Endorsements
from attest.errors import AttestError, Malformed, Problem, Rejected
from attest.loader import read_into
from attest.recognise import Found
from attest.untrusted import escape
from attest.x509 import Certificate, parse_certificates

if TYPE_CHECKING:
    from datetime import datetime

    from attest.sources.judge import Judgement

_EPILOG = """\
examples:
  attest endorsements verify vcek.der crl.der
  attest endorsements verify endorsements/* --at 2027-01-01T00:00:00Z    what will have ended by then?
  attest endorsements verify fleet.bundle.json --bundle-key ours.pub

Authentic means signed, link by link, down from a root that this program pins. Certificates in any of the
files help to find issuers; a file with evidence in it lends its certificate chain. Whether an endorsement
fits your evidence is for `attest verify` to say.

  ✔  current
  ✘  out of date, not valid yet, revoked, or not authentic
  ?  cannot be checked: its issuer's certificate is not among the files. An OCSP answer needs the evidence of the
     device or the manifest that it is about, Intel's list of platforms a quote.

Exit status: 0 all are authentic and current, 1 one is not, or cannot be checked, 2 malformed input or wrong
use."""

_WORDS = {
    "current": "current",
    "not-yet": "not valid yet",
    "ended": "out of date",
    "revoked": "revoked",
    "unauthentic": "not authentic",
    "unchecked": "cannot be checked",
}


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "verify",
        help="say of each endorsement whether it is authentic and current",
        description="Say of each endorsement what it is, whether it leads to a pinned root, and when it ends.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="certificates, CRLs, collateral, RIMs, OCSP answers, bundles"
    )
    parser.add_argument(
        "--at", type=instant_argument, metavar="TIME", help="judge at this time (RFC 3339); default now"
    )
    add_bundle_argument(parser)
    parser.add_argument("--simulator-root", metavar="FILE", help="also accept this simulator's root")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    problems: list[Problem] = []
    files: list[tuple[str, Endorsements]] = []
    helping = Found(bounded=False)
    status = 0
    try:
        anchors, reader = simulated_anchors(args), bundle_reader(args, at_of(args), None)
    except AttestError as error:
        return _end(args, [], list(error.problems), 2)
    for file in args.files:
        found = Found(bounded=False)
        try:
            read_into(found, file)
            if reader is not None:
                sealed, found.sealed = found.sealed, []
                for name, envelope in sealed:
                    found.add_endorsements(reader.open(name, envelope).endorsements())
            files.append((str(file), found.endorsements()))
        except AttestError as error:
            problems += error.problems
            status = max(status, 1 if isinstance(error, Rejected) else 2)
            continue
        helping.add_endorsements(found.endorsements())
        helping.certificates += _chains(found)

    from attest.sources.judge import Judge

    at = at_of(args)
    judge = Judge(anchors, beside=helping.certificates)
    everything = helping.endorsements()
    judged = judge.judge(everything, at)
    by_item = dict(zip(_each(everything), judged, strict=True))
    rows = [(file, by_item[item]) for file, held in files for item in _each(held)]
    if not rows and not status:
        status, evidence = (
            2,
            "`attest verify` judges evidence: name certificates, lists, collateral, manifests",
        )
        problems += usage(
            f"no endorsement is in {' or '.join(map(escape, args.files[:3]))}; {evidence}"
        ).problems
    return _end(args, rows, problems, status)


def _chains(found: Found) -> list[Certificate]:
    """The certificates that evidence brings along: a device's chain, the PCK chain of a quote."""
    from attest.sources.coverage import hardware
    from attest.tdx.quote import PCK_CHAIN, Quote

    chains: list[Certificate] = []
    for device in found.devices:
        chains += getattr(device, "chain", None) or ()
    for _, cpu in found.cpus:
        quote = hardware(cpu)
        if isinstance(quote, Quote) and quote.certification_data_type == PCK_CHAIN:
            with suppress(Malformed):
                chains += parse_certificates(quote.certification_data, where="quote", limit=3)
    return chains


def _each(endorsements: Endorsements) -> list[object]:
    """In the order of `Judge.judge`; lists by their bytes, as `Crl` has no equality."""
    return [
        *endorsements.certificates,
        *(crl.der for crl in endorsements.crls),
        *endorsements.documents,
        *(rim if isinstance(rim, bytes) else rim.raw for rim in endorsements.rims),
        *endorsements.ocsp,
    ]


def _end(
    args: argparse.Namespace, rows: list[tuple[str, Judgement]], problems: list[Problem], status: int
) -> int:
    """status: what the problems alone end in; 1 for a bundle that is refused."""
    at = at_of(args)
    if args.json:
        print_json(
            {
                "at": instant(at),
                "endorsements": [{"file": file, **judgement.as_dict(at)} for file, judgement in rows],
                "problems": [problem.as_dict() for problem in problems],
            }
        )
    else:
        for file, judgement in rows:
            print(_line(file, judgement, at))
        for problem in problems:
            print(told_lines(args, problem), file=sys.stderr)
    if status:
        return status
    return 0 if rows and all(judgement.state(at) == "current" for _, judgement in rows) else 1


def _line(file: str, judgement: Judgement, at: datetime) -> str:
    state = judgement.state(at)
    mark = {"current": "✔", "unchecked": "?"}.get(state, "✘")
    begins = "?" if judgement.begins is None else instant(judgement.begins)
    ends = "no end" if judgement.ends is None else instant(judgement.ends)
    under = f" under {judgement.root}" if judgement.root is not None else f": {judgement.why}"
    simulated = " (SIMULATED)" if judgement.simulated else ""
    return (
        f"{mark} {escape(file)}: {judgement.kind} {judgement.about}\n"
        f"    {_WORDS[state]}{under}{simulated}; {begins} to {ends}"
    )
