"""`kbs lease`: what machines promised to use until when."""

from __future__ import annotations

import argparse
import json
from typing import Any

from kbs.cli.admin_client import add_connection, ask, command

_EXAMPLES = """\
examples:
  kbs lease list
  kbs lease list --ended     machines that did not come back; they may use it still

A machine is its chips and devices. Guests that share a chip, and have no GPU of their own, are not told apart."""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "lease",
        help="what is out on lease",
        description="Leases: until when machines promised to use what they were given (kbs secret put --lease). "
        "An end erases nothing: a machine that does not keep its promise still has the secret.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser(
        "list",
        help="leases that have not ended, or that ended and were not renewed",
        description="Leases that have not ended, the next end first. With --ended, those of the last 30 days that ended "
        "without another release of the same secret to the same machine, the latest end first.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    listing.add_argument("--ended", action="store_true", help="those that ended and were not renewed")
    listing.add_argument(
        "--limit", type=int, default=200, metavar="COUNT", help="at most so many, 200 unless given"
    )
    add_connection(listing)
    listing.set_defaults(run=command("lease list", _list))


def _list(args: argparse.Namespace) -> None:
    answer = ask(args, "GET", "leases", params={"limit": args.limit, "ended": args.ended})
    if args.json:
        print(json.dumps(answer, indent=1))
        return
    for lease in answer["leases"]:
        print(
            f"{lease['path']} version {lease['version']}: until {lease['ends']}, given {lease['given']} "
            f"to session {lease['session'][:16]}… on {_machine(lease['platforms'])} (row {lease['audit']})"
        )
    what = "ended and not renewed" if args.ended else "out"
    print(
        f"{len(answer['leases'])} {what} at {answer['now']}. An end is no erasure: what a machine has, it has."
    )


def _machine(platforms: list[str]) -> str:
    """The chip, whole: `kbs revoke add platform` takes it."""
    return f"platform {platforms[0]}" if platforms else "a machine whose chip nobody named"
