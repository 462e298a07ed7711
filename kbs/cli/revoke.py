"""`kbs revoke`: what is not to be trusted any more, at the next request."""

from __future__ import annotations

import argparse
import json
from typing import Any

from kbs.cli.admin_client import CommandError, add_connection, ask, command
from kbs.domain import InvalidName
from kbs.revocation import KINDS, revocable

_EXAMPLES = """\
examples:
  kbs revoke add secret acme/key/model --reason "leaked"
  kbs revoke add version acme/key/model@3 --reason "leaked"
  kbs revoke add platform 418b907df8117cffdd --reason "this GPU was stolen"
  kbs revoke add attested-before 2026-12-01T07:00:00Z --reason "clock of a replica was wrong"
  kbs revoke list
  kbs revoke lift 4

A platform is the id of an SNP chip, a TDX platform or a device, as `attest show` and audit rows have it. What is
revoked is refused when it attests and at each release; machines keep what they have. No number is given again."""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "revoke",
        help="secrets, machines, measurements, policies, sessions: add, list, lift",
        description="Revoke what a release rests on: in force at the next request, at every replica.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    add = actions.add_parser("add", help="revoke something", description="Revoke something.")
    add.add_argument("kind", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    add.add_argument(
        "value", help="path, PATH@NUMBER, id, measurement, policy digest, jti, session or instant"
    )
    add.add_argument("--reason", required=True, help="why, for the trail and for whoever looks later")
    add_connection(add)
    add.set_defaults(run=command("revoke add", _add))

    listing = actions.add_parser(
        "list", help="all revocations", description="All revocations, lifted ones too."
    )
    add_connection(listing)
    listing.set_defaults(run=command("revoke list", _list))

    lift = actions.add_parser(
        "lift", help="end a revocation", description="End a revocation. It stays in the list."
    )
    lift.add_argument("number", type=int, help="as kbs revoke list shows it")
    add_connection(lift)
    lift.set_defaults(run=command("revoke lift", _lift))


def _add(args: argparse.Namespace) -> None:
    try:
        revocable(args.kind, args.value)
    except InvalidName as error:
        raise CommandError(2, str(error)) from None
    request = {"kind": args.kind, "value": args.value, "reason": args.reason}
    _show(args, ask(args, "POST", "revocations", json=request))


def _list(args: argparse.Namespace) -> None:
    rows = ask(args, "GET", "revocations")
    if args.json:
        print(json.dumps(rows, indent=1))
    elif not rows:
        print("nothing is revoked")
    else:
        for row in rows:
            _show(args, row)


def _lift(args: argparse.Namespace) -> None:
    if args.number < 1:
        raise CommandError(2, "a revocation's number is 1 or more")
    _show(args, ask(args, "DELETE", f"revocations/{args.number}"))


def _show(args: argparse.Namespace, row: dict[str, Any]) -> None:
    from attest.untrusted import escape

    if args.json:
        print(json.dumps(row, indent=1))
        return
    state = f"lifted at {row['lifted']}" if row["lifted"] else "in force"
    print(
        f"revocation {row['number']}: {row['kind']} {row['value'] or '(not shown to operators)'}, {state}, since {row['at']},"
        f" by an {row['role']}: {escape(row['reason'])}"
    )
