"""`kbs owner`: who sets policies and holds secrets."""

from __future__ import annotations

import argparse
import json
from typing import Any

from kbs.cli.admin_client import add_connection, ask, command


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "owner",
        help="add, list, enable, disable owners; where they put secrets, and how many are released in an hour",
        description="Who holds secrets and sets policies.",
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
    paths = actions.add_parser(
        "paths",
        help="where an owner's own key puts first secrets",
        description="Where an owner's own key may put first secrets besides the repository of his name, instead of what was "
        "said before. None given takes all back.",
    )
    paths.add_argument("name", help="of the owner")
    paths.add_argument("paths", nargs="*", metavar="PATH", help="repository/*, repository/type/* or one path")
    add_connection(paths)
    paths.set_defaults(run=command("owner paths", _paths))
    quota = actions.add_parser(
        "quota",
        help="how much of an owner's is released in an hour",
        description="How many secrets of an owner are released in an hour, of all replicas together; the guest after them is "
        "told to come again. Whoever asks again for what he was given counts once.",
    )
    quota.add_argument("name")
    number = quota.add_mutually_exclusive_group(required=True)
    number.add_argument("releases", type=int, nargs="?", metavar="N", help="releases an hour")
    number.add_argument(
        "--default", action="store_true", help="what the configuration says, or none where it says nothing"
    )
    add_connection(quota)
    quota.set_defaults(run=command("owner quota", _quota))
    listing = actions.add_parser("list", help="all owners", description="All owners, by name.")
    add_connection(listing)
    listing.set_defaults(run=command("owner list", _list))


def _add(args: argparse.Namespace) -> None:
    _show(args, ask(args, "POST", "owners", json={"name": args.name}))


def _enable(args: argparse.Namespace) -> None:
    _show(args, ask(args, "PATCH", f"owners/{args.name}", json={"enabled": True}))


def _disable(args: argparse.Namespace) -> None:
    _show(args, ask(args, "PATCH", f"owners/{args.name}", json={"enabled": False}))


def _paths(args: argparse.Namespace) -> None:
    _show(args, ask(args, "PUT", f"owners/{args.name}/paths", json={"paths": args.paths}))


def _quota(args: argparse.Namespace) -> None:
    _show(args, ask(args, "PUT", f"owners/{args.name}/quota", json={"releases_an_hour": args.releases}))


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
        besides = f", first secrets also at {', '.join(owner['paths'])}" if owner["paths"] else ""
        number = owner["releases_an_hour"]
        quota = "" if number is None else f", at most {number} releases an hour"
        print(f"owner {owner['name']}: {'enabled' if owner['enabled'] else 'disabled'}{besides}{quota}")
