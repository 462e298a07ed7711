"""`kbs lease`: what machines promised to use until when."""

from __future__ import annotations

import argparse
import json
from typing import Any

from kbs.cli.admin_client import add_connection, ask, command


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
        help="leases that have not ended",
        description="Leases that have not ended, the next end first.",
    )
    listing.add_argument(
        "--limit", type=int, default=200, metavar="COUNT", help="at most so many, 200 unless given"
    )
    add_connection(listing)
    listing.set_defaults(run=command("lease list", _list))


def _list(args: argparse.Namespace) -> None:
    answer = ask(args, "GET", "leases", params={"limit": args.limit})
    if args.json:
        print(json.dumps(answer, indent=1))
        return
    for lease in answer["leases"]:
        print(
            f"{lease['path']} version {lease['version']}: until {lease['ends']}, given {lease['given']} "
            f"to session {lease['session'][:16]}… (row {lease['audit']})"
        )
    print(
        f"{len(answer['leases'])} out at {answer['now']}. An end is no erasure: what a machine has, it has."
    )
