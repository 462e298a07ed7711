"""`kbs principal`: who may administer, and what."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from kbs.access import ROLES
from kbs.cli.admin_client import CommandError, add_connection, ask, command

_EXAMPLES = """\
examples:
  kbs principal add ann --role owner --owner acme --days 90     rules, secrets and decisions of acme, and nothing else
  kbs principal add ops --role operator --days 365              keys, owners, people, stops; no policy, no decision
  kbs principal add eve --role auditor --days 30                reads everything, changes nothing
  kbs principal list                                            who, until when, and the day each was last here
  kbs principal rotate ops --overlap 24                         another key; the one before counts for a day still
  kbs principal remove eve

administrator does everything: kbs init makes the first, for a broker that one person runs. No role sees a secret; but root on the
broker's host can, unless the broker itself runs attested, with its wrapping key in an HSM that is bound to it.

With --provider and --subject somebody signs in by tokens of an identity provider that the configuration names, under
people.sign-in, and has no key: the token is given where a key is (docs/broker-people.md)."""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "principal",
        help="who may administer, and what: add, list, rotate, remove",
        description="Principals: who may do what with this broker.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    add = actions.add_parser(
        "add", help="a new one; its key is shown once", description="A new principal, and its key."
    )
    add.add_argument("name", help="a-z, 0-9, inner - and dots")
    add.add_argument("--role", choices=ROLES, required=True)
    add.add_argument(
        "--owner", action="append", default=[], dest="owners", help="of the role owner; once each"
    )
    add.add_argument("--days", type=int, metavar="N", help="until it ends; it never does unless given")
    add.add_argument(
        "--provider",
        metavar="NAME",
        help="signs in by this identity provider of the configuration; no key then",
    )
    add.add_argument("--subject", metavar="SUB", help="who it is there: the sub of his tokens")
    add_connection(add)
    add.set_defaults(run=command("principal add", _add))
    listing = actions.add_parser("list", help="all of them", description="All principals, without keys.")
    add_connection(listing)
    listing.set_defaults(run=command("principal list", _list))
    rotate = actions.add_parser(
        "rotate",
        help="another key, shown once",
        description="Another key for a principal, yourself or another.",
    )
    rotate.add_argument("name")
    rotate.add_argument(
        "--overlap",
        type=int,
        default=0,
        metavar="HOURS",
        help="how long the key before it counts still; it ends at once unless given",
    )
    add_connection(rotate)
    rotate.set_defaults(run=command("principal rotate", _rotate))
    remove = actions.add_parser("remove", help="from the next request on", description="Remove a principal.")
    remove.add_argument("name")
    add_connection(remove)
    remove.set_defaults(run=command("principal remove", _remove))


def _add(args: argparse.Namespace) -> None:
    if (args.provider is None) != (args.subject is None):
        raise CommandError(2, "--provider and --subject go together")
    request = {"name": args.name, "role": args.role, "owners": args.owners, "days": args.days}
    request |= {"provider": args.provider, "subject": args.subject}
    made = ask(args, "POST", "principals", json=request)
    if args.json:
        print(json.dumps(made, indent=1))
        return
    _show(made)
    if made["key"] is None:
        print("it has no key: it signs in by a token of the provider, given as a key is", file=sys.stderr)
        return
    _show_key(made)


def _rotate(args: argparse.Namespace) -> None:
    request = {"overlap_seconds": args.overlap * 3600}
    made = ask(args, "POST", f"principals/{args.name}/rotate", json=request)
    if args.json:
        print(json.dumps(made, indent=1))
        return
    _show(made)
    ends = f"in {args.overlap} hours" if args.overlap else "now"
    print(f"the key before ends {ends}", file=sys.stderr)
    _show_key(made)


def _show_key(made: dict[str, Any]) -> None:
    print("its key, shown this once (KBS_ADMIN_KEY, or a file for --key-file):", file=sys.stderr)
    print(made["key"])


def _list(args: argparse.Namespace) -> None:
    found = ask(args, "GET", "principals")
    if args.json:
        print(json.dumps(found, indent=1))
        return
    for one in found:
        _show(one)


def _remove(args: argparse.Namespace) -> None:
    answer = ask(args, "DELETE", f"principals/{args.name}")
    print(json.dumps(answer, indent=1) if args.json else f"principal {answer['name']}: removed")


def _show(one: dict[str, Any]) -> None:
    from attest.untrusted import escape

    of = f" of {', '.join(one['owners'])}" if one["owners"] else ""
    by = f", signs in by {one['provider']} as {escape(one['subject'])}" if one["provider"] else ""
    end = f"until {one['expires']}" if one["expires"] else "no end"
    used = f", last here {one['used'] or 'never'}" if "used" in one else ""
    former = f", key before until {one['former_key_ends']}" if one.get("former_key_ends") else ""
    print(f"principal {one['name']}: {one['role']}{of}, {end}{by}{used}{former}")
