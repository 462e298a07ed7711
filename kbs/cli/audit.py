"""`kbs audit`: what was released and refused, why, and whether the trail is whole."""

from __future__ import annotations

import argparse
import json
from typing import Any

from kbs.cli.admin_client import CommandError, add_connection, ask, command


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "audit",
        help="verify, list and explain the trail",
        description="The trail of every act and decision, chained by hash.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    verify = actions.add_parser(
        "verify",
        help="follow the chain from the first row to the head",
        description="Follow the chain from the first row to the head; status 1 where it is not whole.",
    )
    verify.add_argument(
        "--head", metavar="NUMBER:HASH", help="a head kept elsewhere must still be in the trail"
    )
    add_connection(verify)
    verify.set_defaults(run=command("audit verify", _verify))

    listing = actions.add_parser("list", help="rows, oldest first", description="Rows, oldest first.")
    listing.add_argument("--after", type=int, default=0, metavar="NUMBER", help="only rows after this one")
    listing.add_argument(
        "--limit", type=int, default=200, metavar="COUNT", help="at most so many rows, 200 unless given"
    )
    add_connection(listing)
    listing.set_defaults(run=command("audit list", _list))

    why = actions.add_parser(
        "why",
        help="all problems behind the reason a guest was given",
        description="Explain a refusal to the owner: the guest reads a reason id only.",
    )
    why.add_argument("reason", help="the hexadecimal id in the guest's message")
    add_connection(why)
    why.set_defaults(run=command("audit why", _why))


def _verify(args: argparse.Namespace) -> None:
    answer = ask(args, "GET", "audit/verify")
    faults = list(answer["faults"])
    if args.head:
        faults += _kept_head(args)
    if args.json:
        print(json.dumps({**answer, "faults": faults}, indent=1))
    elif faults:
        print(f"NOT WHOLE: {len(faults)} fault{'' if len(faults) == 1 else 's'}")
        for fault in faults:
            print(f"- {fault}")
        print(f"{answer['rows']} rows, head {answer['head']}")
    else:
        print(f"whole: {answer['rows']} rows, head {answer['head']}")
    if faults:
        raise CommandError(1, "the trail is not whole")


def _kept_head(args: argparse.Namespace) -> list[str]:
    number, _, digest = args.head.partition(":")
    if not number.isdecimal() or int(number) < 1:
        raise CommandError(2, "a head is NUMBER:HASH")
    rows = ask(args, "GET", "audit", params={"after": int(number) - 1, "limit": 1})
    same = rows and rows[0]["row"]["number"] == int(number) and rows[0]["hash"] == digest
    return [] if same else [f"row {number} is not the one that was kept: the trail was cut or rewritten"]


def _list(args: argparse.Namespace) -> None:
    rows = ask(args, "GET", "audit", params={"after": args.after, "limit": args.limit})
    if args.json:
        print(json.dumps(rows, indent=1))
        return
    for entry in rows:
        row = entry["row"]
        print(f"{row['number']:>5}  {row['at']}  {row['event']:<15} {_about(row)}".rstrip())
        for problem in row.get("problems", ()):
            print(f"       {problem['message']}")


def _about(row: dict[str, Any]) -> str:
    """What the row speaks of, of whom, and by whom."""
    parts = [str(row[name]) for name in ("resource", "path", "tee") if row.get(name)]
    if "rule" in row:
        parts.insert(0, f"rule {row['rule']}")
    owners = [row["owner"]] if row.get("owner") else list(row.get("owners") or ())
    if owners:
        parts.append(("of " if parts else "") + ", ".join(owners))
    who = row.get("by") or row.get("principal")
    if who:
        parts.append(f"by {who}")
    if "first" in row:
        parts.append(f"again, as in row {row['first']}")
    if row.get("simulated"):
        parts.append("SIMULATED")
    return " ".join(parts)


def _why(args: argparse.Namespace) -> None:
    if not args.reason.isalnum() or not args.reason.isascii():
        raise CommandError(2, "a reason is the hexadecimal id in the guest's message")
    row = ask(args, "GET", f"audit/reason/{args.reason}")["row"]
    if args.json:
        print(json.dumps(row, indent=1))
        return
    print(f"{row['event']} at {row['at']}: {_about(row)}")
    if row.get("type") == "ResourceNotFound":
        print("- there was no such secret: never put, or deleted (kbs secret list)")
    elif row.get("cause"):
        print(f"- {row['cause']}")
    for problem in row.get("problems", ()):
        print(f"- {problem['message']}")
        for name in ("expected", "found", "where", "remedy"):
            if problem.get(name):
                print(f"    {name}: {problem[name]}")
