"""`kbs secret`: put, list and delete secrets. No command shows one: only attested machines get them."""

from __future__ import annotations

import argparse
import base64
import json
import sys
from pathlib import Path
from typing import Any

from kbs.cli.admin_client import CommandError, add_connection, ask, command, read_input
from kbs.domain import InvalidName, PathPattern, ResourcePath

_LIMIT = 1 << 20


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "secret",
        help="put, list, delete secrets",
        description="Secrets, encrypted at rest. No command shows one: only attested machines get them.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    put = actions.add_parser(
        "put",
        help="a new version of a secret, current at once",
        description="Put a new version of a secret. The first one fixes the set of owners: all must agree.",
    )
    put.add_argument("path", help="repository/type/tag")
    put.add_argument("file", type=Path, help="its content, - for standard input")
    put.add_argument(
        "--owner", action="append", required=True, dest="owners", help="once an owner; the set is fixed"
    )
    add_connection(put)
    put.set_defaults(run=command("secret put", _put))

    listing = actions.add_parser(
        "list", help="all secrets, without content", description="All secrets, without content."
    )
    add_connection(listing)
    listing.set_defaults(run=command("secret list", _list))

    for name, act, about in (
        ("delete", _delete, "remove every version"),
        ("versions", _versions, "versions that are kept"),
    ):
        action = actions.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        action.add_argument("path", help="repository/type/tag")
        add_connection(action)
        action.set_defaults(run=command(f"secret {name}", act))


def _put(args: argparse.Namespace) -> None:
    path = _path(args)
    value = base64.b64encode(read_input(args.file, _LIMIT)).decode()
    answer = ask(args, "PUT", f"secrets/{path}", json={"owners": args.owners, "value": value})
    print(
        json.dumps(answer, indent=1) if args.json else f"secret {answer['path']}: version {answer['version']}"
    )
    _warn_of_missing_rules(args, path)


def _warn_of_missing_rules(args: argparse.Namespace, path: ResourcePath) -> None:
    """The secret is there, but an owner without an enabled rule agrees to nothing."""
    rules = [rule for rule in ask(args, "GET", "rules") if rule["enabled"]]
    agreeing = {rule["owner"] for rule in rules if PathPattern.parse(rule["path"]).matches(path)}
    for owner in sorted(set(args.owners) - agreeing):
        print(
            f"kbs secret put: nobody will get it until {owner} has an enabled policy for it: "
            f"kbs policy put FILE --owner {owner} --path {path}",
            file=sys.stderr,
        )


def _list(args: argparse.Namespace) -> None:
    secrets = ask(args, "GET", "secrets")
    if args.json:
        print(json.dumps(secrets, indent=1))
        return
    for secret in secrets:
        state = "deleted" if secret["version"] is None else f"version {secret['version']}"
        print(f"secret {secret['path']}: {state}, owners {', '.join(secret['owners'])}")


def _delete(args: argparse.Namespace) -> None:
    answer = ask(args, "DELETE", f"secrets/{_path(args)}")
    print(json.dumps(answer, indent=1) if args.json else f"secret {answer['path']}: deleted")


def _versions(args: argparse.Namespace) -> None:
    versions = ask(args, "GET", f"secrets/{_path(args)}/versions")
    if args.json:
        print(json.dumps(versions, indent=1))
        return
    for version in versions:
        print(f"version {version['version']}: {version['created']}")


def _path(args: argparse.Namespace) -> ResourcePath:
    try:
        return ResourcePath.parse(args.path)
    except InvalidName as error:
        raise CommandError(2, str(error)) from None
