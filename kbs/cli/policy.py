"""`kbs policy`: what an owner asks of a machine before a secret goes out."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from kbs.cli.admin_client import CommandError, add_connection, ask, command, read_input

_LIMIT = 256 << 10


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "policy",
        help="put, list, enable, disable, delete rules",
        description="Rules: what an owner asks of a machine before the secrets under a path go to it.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    put = actions.add_parser(
        "put",
        help="an owner's policy for a path; replaces the one that is there",
        description="Put an owner's policy for a path, enabled, in the place of the one that is there.",
    )
    put.add_argument("file", type=Path, help="the policy, - for standard input")
    put.add_argument("--owner", required=True, help="whose policy it is, as added by `kbs owner add`")
    put.add_argument("--path", required=True, help="repository/type/tag, repository/type/* or repository/*")
    add_connection(put)
    put.set_defaults(run=command("policy put", _put))

    trial = actions.add_parser(
        "dry-run",
        help="what the last days would have decided under another policy",
        description="Try a policy on the decisions of the last days, without putting it: which would come out otherwise. "
        "A machine that it would release to may still be refused by another rule or owner.",
    )
    trial.add_argument("file", type=Path, help="the policy, - for standard input")
    trial.add_argument("--owner", required=True)
    trial.add_argument("--path", required=True, help="repository/type/tag, repository/type/* or repository/*")
    trial.add_argument("--days", type=int, default=7, metavar="N", help="how far back; 7 unless given")
    add_connection(trial)
    trial.set_defaults(run=command("policy dry-run", _dry_run))

    listing = actions.add_parser("list", help="all rules", description="All rules, by number.")
    listing.add_argument("--owner", help="only this owner's")
    add_connection(listing)
    listing.set_defaults(run=command("policy list", _list))

    for name, act, about in (
        ("enable", _enable, "count this rule again"),
        ("disable", _disable, "an owner without an enabled rule agrees to nothing"),
        ("delete", _delete, "remove this rule"),
    ):
        action = actions.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        action.add_argument("rule", type=int, help="number, as `kbs policy list` shows it")
        add_connection(action)
        action.set_defaults(run=command(f"policy {name}", act))


def _policy_text(file: Path) -> str:
    """One that loads. Raises CommandError."""
    try:
        policy = read_input(file, _LIMIT).decode()
    except UnicodeDecodeError:
        raise CommandError(2, f"{file} is not UTF-8") from None
    _check(policy, file)
    return policy


def _dry_run(args: argparse.Namespace) -> None:
    from attest.untrusted import escape

    policy = _policy_text(args.file)
    trial = {"owner": args.owner, "path": args.path, "policy": policy, "days": args.days}
    run = ask(args, "POST", "rules/dry-run", json=trial)
    if args.json:
        print(json.dumps(run, indent=1))
        return
    for one in run["otherwise"]:
        print(f"{one['at']}  {one['path']}: {one['was']}, would be {one['would']} (row {one['row']})")
        if one["sentence"]:
            print(f"    {escape(one['sentence'], 500)}")
    print(
        f"{len(run['otherwise'])} of {run['decisions']} decisions since {run['since']} would come out otherwise"
    )
    if run["unknown"]:
        print(
            f"of {run['unknown']} of them nothing is kept any more, so nothing can be said", file=sys.stderr
        )
    if run["more"]:
        print("there were more: only the first were judged; give fewer days", file=sys.stderr)


def _put(args: argparse.Namespace) -> None:
    policy = _policy_text(args.file)
    rule = ask(args, "PUT", "rules", json={"owner": args.owner, "path": args.path, "policy": policy})
    _show(args, rule)


def _check(policy: str, file: Path) -> None:
    """Raises CommandError with an error a line, as `attest policy check` prints them.

    The broker checks again; but only here is it known which file was meant.
    """
    from attest.errors import Malformed
    from attest.policy import Policy

    try:
        Policy.from_text(policy, where=str(file))
    except Malformed as error:
        for problem in error.problems:
            print(problem.message, file=sys.stderr)
            if problem.code != "policy.invalid":
                print(f"    {problem.code}: {problem.remedy}", file=sys.stderr)
        raise CommandError(2, "the policy does not load; nothing was changed") from None


def _list(args: argparse.Namespace) -> None:
    rules = ask(args, "GET", "rules", params={"owner": args.owner} if args.owner else {})
    if args.json:
        print(json.dumps(rules, indent=1))
    else:
        for rule in rules:
            _show(args, rule)


def _enable(args: argparse.Namespace) -> None:
    _done(args, "enabled", ask(args, "PATCH", f"rules/{args.rule}", json={"enabled": True}))


def _disable(args: argparse.Namespace) -> None:
    _done(args, "disabled", ask(args, "PATCH", f"rules/{args.rule}", json={"enabled": False}))


def _delete(args: argparse.Namespace) -> None:
    _done(args, "deleted", ask(args, "DELETE", f"rules/{args.rule}"))


def _done(args: argparse.Namespace, what: str, answer: Any) -> None:
    print(json.dumps(answer, indent=1) if args.json else f"rule {args.rule}: {what}")


def _show(args: argparse.Namespace, rule: dict[str, Any]) -> None:
    if args.json:
        print(json.dumps(rule, indent=1))
    else:
        state = "enabled" if rule["enabled"] else "disabled"
        print(f"rule {rule['id']}: {rule['owner']} for {rule['path']}, {state}, {rule['digest'][:23]}…")
