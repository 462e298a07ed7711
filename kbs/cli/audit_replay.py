"""`kbs audit replay`: verify a machine's kept evidence again, here, and compare with what the row says it proved."""

from __future__ import annotations

import argparse
import base64
import binascii
import json
import re
import sys
from pathlib import Path
from typing import Any

from kbs.cli.admin_client import CommandError, add_connection, ask, command, read_input

_EXAMPLES = """\
examples:
  kbs audit replay SESSION --endorsements endorsements
  kbs audit replay SESSION --endorsements endorsements -o machine.json
  kbs audit replay machine.json --endorsements endorsements       without the broker

SESSION is as audit rows name it, 64 hex digits. The broker keeps evidence for record.evidence-days of its configuration. The row
names the endorsements of that time by their digest; give those, for other lists may refuse what was good then. The row itself is
proved by kbs audit verify."""
_LIMIT = 32 << 20


def add_action(actions: Any) -> None:
    parser = actions.add_parser(
        "replay",
        help="verify kept evidence again, as of the time when it came",
        description="Verify a machine's evidence again, here, for its challenge and at its time, and compare the claims. Status 1 "
        "where they come out otherwise.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", metavar="SESSION|FILE", help="a session, or a file that -o wrote")
    parser.add_argument(
        "--endorsements", type=Path, metavar="FOLDER", help="certificates, CRLs, collateral and RIMs"
    )
    parser.add_argument(
        "--simulator-root", type=Path, metavar="FILE", help="also accept this simulator's root"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="keep row and evidence in a new file"
    )
    add_connection(parser)
    parser.set_defaults(run=command("audit replay", _replay))


def _replay(args: argparse.Namespace) -> None:
    from attest.errors import AttestError
    from kbs.evidence_replay import NotReplayed, replay

    document = _document(args)
    try:
        row, body = document["row"], base64.b64decode(document["attestation"], validate=True)
    except (KeyError, TypeError, binascii.Error, ValueError):
        row, body = None, b""
    if not isinstance(row, dict):
        raise CommandError(2, f"{args.what} holds no row and evidence: make it with kbs audit replay -o")
    if args.output is not None:
        _keep(args.output, document)
    endorsements, anchors = _basis(args)
    try:
        verified = replay(row, body, endorsements, anchors)
    except (NotReplayed, AttestError) as error:
        raise CommandError(1, str(error)) from None
    if args.json:
        print(json.dumps({"row": row["number"], "claims": verified.claims}, indent=1))
        return
    simulated = " SIMULATED" if verified.simulated else ""
    print(f"row {row['number']}: the same claims, as of {row['at']}{simulated}")
    print(f"claims {row['claims']}")


def _document(args: argparse.Namespace) -> Any:
    from attest.canonical import read_json
    from attest.errors import Malformed

    if re.fullmatch(r"[0-9a-f]{64}", args.what):
        return ask(args, "GET", f"evidence/{args.what}")
    try:
        return read_json(read_input(Path(args.what), _LIMIT), where=args.what, limit=_LIMIT)
    except Malformed as error:
        raise CommandError(2, str(error)) from None


def _keep(output: Path, document: Any) -> None:
    try:
        with output.open("x", encoding="utf-8") as stream:
            json.dump(document, stream)
    except FileExistsError:
        raise CommandError(2, f"{output} exists: what was kept is not written over") from None
    except OSError as error:
        raise CommandError(2, f"{output}: {error.strerror}") from None
    print(f"row and evidence written to {output}", file=sys.stderr)


def _basis(args: argparse.Namespace) -> tuple[Any, Any]:
    """Endorsements and anchors. Raises CommandError."""
    from attest import Anchors, Endorsements
    from attest.errors import Malformed
    from attest.loader import load_endorsements

    endorsements, anchors = Endorsements(), Anchors.production()
    try:
        if args.endorsements is not None:
            files = (file for file in sorted(args.endorsements.iterdir()) if file.is_file())
            endorsements = load_endorsements([file for file in files if not file.name.startswith(".")])
        if args.simulator_root is not None:
            anchors = anchors.with_simulator(read_input(args.simulator_root, 1 << 20))
    except OSError as error:
        raise CommandError(2, f"{error.filename}: {error.strerror}") from None
    except Malformed as error:
        raise CommandError(2, str(error)) from None
    return endorsements, anchors
