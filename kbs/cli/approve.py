"""`kbs approve`: four eyes on what cannot be had back."""

from __future__ import annotations

import argparse
import json
import re
from typing import Any

from kbs.cli.admin_client import CommandError, add_connection, ask, command


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "approve",
        help="agree to another person's destructive act",
        description="Where people.four-eyes is configured, deleting, destroying, retiring, lifting, and making or removing principals wait "
        "for another principal who could do it himself. Whoever asked then asks the same again. What changed meanwhile voids it.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser(
        "list", help="acts that wait", description="Acts that wait for another person."
    )
    add_connection(listing)
    listing.set_defaults(run=command("approve list", _list))
    for name, method, about in (
        ("confirm", "POST", "agree to one, once"),
        ("refuse", "DELETE", "end one"),
    ):
        action = actions.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        action.add_argument("digest", help="as kbs approve list shows it")
        add_connection(action)
        action.set_defaults(run=command(f"approve {name}", _answer), method=method)


def _list(args: argparse.Namespace) -> None:
    found = ask(args, "GET", "approvals")
    if args.json:
        print(json.dumps(found, indent=1))
        return
    for one in found:
        state = f"agreed by {one['agreed']}" if one["agreed"] else "waits"
        print(f"{one['digest']}  {one['request']}, asked by {one['by']}, {state}, until {one['expires']}")
    if not found:
        print("nothing waits")


def _answer(args: argparse.Namespace) -> None:
    if not re.fullmatch(r"[0-9a-f]{64}", args.digest):
        raise CommandError(2, "a digest is 64 hex digits, as kbs approve list shows it")
    answer = ask(args, args.method, f"approvals/{args.digest}")
    if args.json:
        print(json.dumps(answer, indent=1))
    else:
        said = "agreed; now whoever asked asks again" if args.method == "POST" else "refused"
        print(f"{answer['request']}, asked by {answer['by']}: {said}")
