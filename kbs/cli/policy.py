"""`kbs policy`: what an owner asks of a machine before a secret goes out."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from kbs.cli.admin_client import CommandError, add_connection, ask, command, read_input

_LIMIT = 256 << 10


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("policy", help="put, list, enable, disable, delete rules")
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    put = actions.add_parser("put", help="an owner's policy for a path; replaces the one that is there")
    put.add_argument("file", type=Path)
    put.add_argument("--owner", required=True)
    put.add_argument("--path", required=True, help="repository/type/tag, repository/type/* or repository/*")
    add_connection(put)
    put.set_defaults(run=command("policy put", _put))

    listing = actions.add_parser("list", help="all rules")
    listing.add_argument("--owner")
    add_connection(listing)
    listing.set_defaults(run=command("policy list", _list))

    for name, act, about in (
        ("enable", _enable, "count this rule again"),
        ("disable", _disable, "an owner without an enabled rule agrees to nothing"),
        ("delete", _delete, "remove this rule"),
    ):
        action = actions.add_parser(name, help=about)
        action.add_argument("rule", type=int, help="number, as `kbs policy list` shows it")
        add_connection(action)
        action.set_defaults(run=command(f"policy {name}", act))


def _put(args: argparse.Namespace) -> None:
    try:
        policy = read_input(args.file, _LIMIT).decode()
    except UnicodeDecodeError:
        raise CommandError(2, f"{args.file} is not UTF-8") from None
    rule = ask(args, "PUT", "rules", json={"owner": args.owner, "path": args.path, "policy": policy})
    _show(args, rule)


def _list(args: argparse.Namespace) -> None:
    rules = ask(args, "GET", "rules", params={"owner": args.owner} if args.owner else {})
    if args.json:
        print(json.dumps(rules, indent=1))
    else:
        for rule in rules:
            _show(args, rule)


def _enable(args: argparse.Namespace) -> None:
    ask(args, "PATCH", f"rules/{args.rule}", json={"enabled": True})


def _disable(args: argparse.Namespace) -> None:
    ask(args, "PATCH", f"rules/{args.rule}", json={"enabled": False})


def _delete(args: argparse.Namespace) -> None:
    ask(args, "DELETE", f"rules/{args.rule}")


def _show(args: argparse.Namespace, rule: dict[str, Any]) -> None:
    if args.json:
        print(json.dumps(rule, indent=1))
    else:
        state = "enabled" if rule["enabled"] else "disabled"
        print(f"rule {rule['id']}: {rule['owner']} for {rule['path']}, {state}, {rule['digest'][:23]}…")
