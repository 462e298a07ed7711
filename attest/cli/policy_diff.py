"""`attest policy diff A B`: what B lets pass that A does not, and the other way round."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from attest.cli.policy_reading import add_policy_arguments, parameter

if TYPE_CHECKING:
    from attest.policy import Policy
    from attest.result.diff_text import Change

_EPILOG = """\
Two policies are compared by what they mean, on machines made up for it that both judge: each difference is shown by
one that they judge differently. --with names real evidence: a folder whose entries are a machine each, or the files
of one machine. Exit status: 0 B is nowhere looser, 1 B is looser somewhere or that it is not could not be shown, 2 a
policy or a machine cannot be read, or wrong use."""


def add_parser(verbs: Any) -> None:
    from attest.cli.machines import add_machine_arguments

    parser = verbs.add_parser(
        "diff",
        help="compare what two policies mean",
        description="What policy B demands otherwise than policy A: tighter, looser or changed, claim by claim.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("a", metavar="A", help='a policy file, or "defaults"')
    parser.add_argument("b", metavar="B", help='a policy file, or "defaults"')
    add_policy_arguments(parser)
    for side in ("a", "b"):
        parser.add_argument(
            f"--param-{side}", action="append", default=[], type=parameter, metavar="NAME=VALUE",
            help=f"a value for a parameter of {side.upper()} alone",
        )  # fmt: skip
    parser.add_argument(
        "--with", dest="evidence", nargs="+", default=[], metavar="EVIDENCE",
        help="real machines: list those whose verdict changes",
    )  # fmt: skip
    add_machine_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from attest.cli.colour import coloured, columns_wide
    from attest.cli.options import at_of, print_json
    from attest.errors import AttestError
    from attest.policy.diff import compare
    from attest.result.answer import of_refusal

    at = at_of(args)
    try:
        a, b = _read(args, args.a, args.param_a), _read(args, args.b, args.param_b)
        comparison = compare(a, b, at=at)
        changes, unread = _changes(args, a, b)
    except AttestError as error:
        answer = of_refusal(error, at, invalid_policy=True)
        if args.json:
            print_json(answer.as_dict())
        else:
            for problem in error.problems:
                print(problem.message if problem.code.startswith("policy.") else problem, file=sys.stderr)
        return 2
    if args.json:
        document = comparison.as_dict()
        if args.evidence:
            document["evidence"] = [change.as_dict() for change in changes]
        print_json(document)
    else:
        from attest.result.diff_text import render_diff

        print(
            render_diff(
                comparison, changes if args.evidence else None, width=columns_wide(), colour=coloured()
            ),
            end="",
        )
    turned = any(change.a == "refused" and change.b not in (None, "refused") for change in changes)
    return 2 if unread else 1 if comparison.looser or comparison.unproven or turned else 0


def _read(args: argparse.Namespace, file: str, own: list[tuple[str, str]]) -> Policy:
    """own: parameters of this side alone. Raises Malformed."""
    from attest.cli.policy_reading import defaults_of, policy_of
    from attest.policy import Policy

    if file == "defaults":
        return defaults_of(args) or Policy.defaults()
    return policy_of(args, file, parameters=dict(own))


def _changes(args: argparse.Namespace, a: Policy, b: Policy) -> tuple[list[Change], bool]:
    """What changes for each machine, and whether one could not be read."""
    from attest.cli.machines import exit_of, machines
    from attest.cli.options import at_of
    from attest.errors import AttestError
    from attest.policy import appraise
    from attest.result.diff_text import Change

    at = at_of(args)
    changes: list[Change] = []
    unread = False
    for name, verified in machines(args, args.evidence) if args.evidence else ():
        if isinstance(verified, AttestError):
            unread |= exit_of(verified) == 2
            changes.append(Change(name, None, None, str(verified.problems[0])))
            continue
        one, other = appraise(verified, a, at=at), appraise(verified, b, at=at)
        problems = other.problems or one.problems
        codes = ", ".join(dict.fromkeys(warning.code for warning in other.warnings))
        because = problems[0].message if problems else codes or None
        changes.append(Change(name, one.verdict, other.verdict, because, verified.simulated))
    return changes, unread
