"""`kbs owner`: who sets policies and holds secrets."""

from __future__ import annotations

import argparse
import json
from typing import Any

from kbs.cli.admin_client import add_connection, ask, command


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "owner", help="add, list, enable, disable owners", description="Who holds secrets and sets policies."
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, act, about in (
        ("add", _add, "a new owner, enabled"),
        ("enable", _enable, "let an owner agree again"),
        ("disable", _disable, "nothing that this owner shares is released any more"),
    ):
        action = actions.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        action.add_argument("name", help="a-z, 0-9 and inner -")
        add_connection(action)
        action.set_defaults(run=command(f"owner {name}", act))
    listing = actions.add_parser("list", help="all owners", description="All owners, by name.")
    add_connection(listing)
    listing.set_defaults(run=command("owner list", _list))


def _add(args: argparse.Namespace) -> None:
    _show(args, ask(args, "POST", "owners", json={"name": args.name}))


def _enable(args: argparse.Namespace) -> None:
    _show(args, ask(args, "PATCH", f"owners/{args.name}", json={"enabled": True}))


def _disable(args: argparse.Namespace) -> None:
    _show(args, ask(args, "PATCH", f"owners/{args.name}", json={"enabled": False}))


def _list(args: argparse.Namespace) -> None:
    owners = ask(args, "GET", "owners")
    if args.json:
        print(json.dumps(owners, indent=1))
    else:
        for owner in owners:
            _show(args, owner)


def _show(args: argparse.Namespace, owner: dict[str, Any]) -> None:
    if args.json:
        print(json.dumps(owner, indent=1))
    else:
        print(f"owner {owner['name']}: {'enabled' if owner['enabled'] else 'disabled'}")
