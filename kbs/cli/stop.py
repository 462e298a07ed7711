"""`kbs stop`: nothing is released any more, of one owner or of all."""

from __future__ import annotations

import argparse
import json
from typing import Any

from kbs.cli.admin_client import add_connection, ask, command

_EXAMPLES = """\
examples:
  kbs stop owner acme --reason "incident 42"      nothing that acme shares is released, at the next request
  kbs stop all --reason "incident 42"             nothing at all
  kbs stop list
  kbs stop lift acme
  kbs stop lift --all

Guests read that the owners' policies do not release it; the reason is for the trail. Machines keep what they have.
A stop is lifted by the role that made it, or by an administrator."""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "stop",
        help="the emergency stop, of an owner or of everything",
        description="Stop releases at the next request, at every replica.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    owner = actions.add_parser(
        "owner", help="of all that an owner shares", description="Stop all an owner shares."
    )
    owner.add_argument("owner", metavar="OWNER")
    everything = actions.add_parser("all", help="of everything", description="Stop everything.")
    for action, name in ((owner, "stop owner"), (everything, "stop all")):
        action.add_argument("--reason", required=True, help="why, for the trail and for whoever looks later")
        add_connection(action)
        action.set_defaults(run=command(name, _stop))

    listing = actions.add_parser("list", help="what is stopped", description="What is stopped, and why.")
    add_connection(listing)
    listing.set_defaults(run=command("stop list", _list))

    lift = actions.add_parser("lift", help="release again", description="End a stop.")
    which = lift.add_mutually_exclusive_group(required=True)
    which.add_argument("owner", nargs="?", metavar="OWNER")
    which.add_argument("--all", action="store_true", help="the stop of everything")
    add_connection(lift)
    lift.set_defaults(run=command("stop lift", _lift))


def _stop(args: argparse.Namespace) -> None:
    request = {"owner": getattr(args, "owner", None), "reason": args.reason}
    _show(args, ask(args, "POST", "stops", json=request))


def _list(args: argparse.Namespace) -> None:
    rows = ask(args, "GET", "stops")
    if args.json:
        print(json.dumps(rows, indent=1))
    elif not rows:
        print("nothing is stopped")
    else:
        for row in rows:
            _show(args, row)


def _lift(args: argparse.Namespace) -> None:
    answer = ask(args, "DELETE", "stops", params={} if args.all else {"owner": args.owner})
    if args.json:
        print(json.dumps(answer, indent=1))
    elif not answer["left"]:
        print(f"{_what(answer)}: released again")
    for row in () if args.json else answer["left"]:
        _show(args, row)


def _what(row: dict[str, Any]) -> str:
    return "everything" if row["owner"] is None else f"owner {row['owner']}"


def _show(args: argparse.Namespace, row: dict[str, Any]) -> None:
    from attest.untrusted import escape

    if args.json:
        print(json.dumps(row, indent=1))
        return
    print(f"{_what(row)}: STOPPED by an {row['role']}: {escape(row['reason'])}")
