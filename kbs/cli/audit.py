"""`kbs audit`: what was released and refused, why, and whether the trail is whole."""

from __future__ import annotations

import argparse
import json
from typing import Any

from kbs.cli.admin_client import CommandError, add_connection, ask, command


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("audit", help="verify, list and explain the trail")
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    verify = actions.add_parser("verify", help="follow the chain from the first row to the head")
    verify.add_argument(
        "--head", metavar="NUMBER:HASH", help="a head kept elsewhere must still be in the trail"
    )
    add_connection(verify)
    verify.set_defaults(run=command("audit verify", _verify))

    listing = actions.add_parser("list", help="rows, oldest first")
    listing.add_argument("--after", type=int, default=0, metavar="NUMBER")
    listing.add_argument("--limit", type=int, default=200)
    add_connection(listing)
    listing.set_defaults(run=command("audit list", _list))

    why = actions.add_parser("why", help="all problems behind the reason a guest was given")
    why.add_argument("reason")
    add_connection(why)
    why.set_defaults(run=command("audit why", _why))


def _verify(args: argparse.Namespace) -> None:
    answer = ask(args, "GET", "audit/verify")
    faults = list(answer["faults"])
    if args.head:
        faults += _kept_head(args)
    if args.json:
        print(json.dumps({**answer, "faults": faults}, indent=1))
    else:
        print(f"head {answer['head']}")
        for fault in faults:
            print(fault)
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
        about = row.get("resource") or row.get("owner") or row.get("tee") or ""
        mark = " SIMULATED" if row.get("simulated") else ""
        print(f"{row['number']:>5}  {row['at']}  {row['event']:<15} {about}{mark}")
        for problem in row.get("problems", ()):
            print(f"       {problem['message']}")


def _why(args: argparse.Namespace) -> None:
    if not args.reason.isalnum() or not args.reason.isascii():
        raise CommandError(2, "a reason is the hexadecimal id in the guest's message")
    row = ask(args, "GET", f"audit/reason/{args.reason}")["row"]
    if args.json:
        print(json.dumps(row, indent=1))
        return
    print(f"{row['event']} at {row['at']}: {row.get('resource', row.get('tee', ''))}")
    for problem in row["problems"]:
        print(f"- {problem['message']}")
        for name in ("expected", "found", "where", "remedy"):
            if problem.get(name):
                print(f"    {name}: {problem[name]}")
