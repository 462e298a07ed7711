"""`kbs why`: the whole explanation of a decision, for its owner; the guest read a reason id only."""

from __future__ import annotations

import argparse
import json
import re
import sys
from typing import Any

from attest.untrusted import reshown
from kbs.cli.admin_client import CommandError, add_connection, ask, command
from kbs.cli.audit import about

_EXAMPLES = """\
REASON is the hexadecimal id in the guest's message; SESSION is as audit rows name it, 64 hex digits. While what the machine
proved is kept (record.session-days of the configuration), each rule for the path is shown as a tree: what it asked, what was
found, what it protects from and what to do, judged at the time of the decision by the rules of now."""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "why",
        help="explain a decision to its owner",
        description="Explain a decision: every problem behind it, and every rule for the path as a tree.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", metavar="REASON|SESSION")
    parser.add_argument("--path", help="of a session: only decisions about this secret")
    parser.add_argument("--every", action="store_true", help="show rules that passed, too")
    add_connection(parser)
    parser.set_defaults(run=command("why", _why))


def _why(args: argparse.Namespace) -> None:
    if not re.fullmatch(r"[0-9a-f]{16}|[0-9a-f]{64}", args.what):
        raise CommandError(
            2, "give the hexadecimal id in the guest's message, or a session as audit rows name it"
        )
    query = {"every": str(args.every).lower(), **({"path": args.path} if args.path else {})}
    answer = ask(args, "GET", f"why/{args.what}", params=query)
    if args.json:
        print(json.dumps(answer, indent=1))
        return
    for decision in answer["decisions"]:
        _show(decision)
    if not answer["decisions"]:
        print("no decision about this session is in the trail")


def _show(decision: dict[str, Any]) -> None:
    row = decision["row"]
    _say(f"{row['event']} at {row['at']}: {about(row)}")
    if row.get("type") == "ResourceNotFound":
        print("- there was no such secret: never put, or deleted (kbs secret list)")
    elif row.get("cause"):
        _say(f"- {row['cause']}")
    for problem in row.get("problems", ()):
        _say(f"- {problem['message']}")
        for name in ("expected", "found", "where", "remedy"):
            if problem.get(name):
                _say(f"    {name}: {problem[name]}")
    for rule in decision["rules"]:
        print(
            f"\nrule {rule['rule']} of {rule['owner']} for {rule['path']}"
            + ("" if rule["then"] else ", put or changed since")
        )
        print(rule["text"], end="")
    if decision["unsaid"]:
        print(f"\n{decision['unsaid']}", file=sys.stderr)


def _say(text: str) -> None:
    """A line of what the broker wrote down of others."""
    print(reshown(text, 2200))
