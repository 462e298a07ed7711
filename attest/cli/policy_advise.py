"""`attest policy advise POLICY [EVIDENCE...]`: what ends soon, what is newer, what a stricter floor would refuse."""

from __future__ import annotations

import argparse
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attest.cli.policy import add_parameters

if TYPE_CHECKING:
    from attest.errors import AttestError
    from attest.policy import Policy
    from attest.result.diff_text import Change
    from attest.verified import Verified

_EPILOG = """\
Without evidence: graces, reference values, acceptances and floor data that end, and newer built-in policies. With
evidence (a folder whose entries are a machine each, or the files of one) also which machines a stricter floor would
refuse today and by how much, and whose endorsements end. Exit status: 0 told, 1 a machine is refused before any
policy is asked, 2 the policy or a machine cannot be read, or wrong use; what was told of the others holds."""


def add_parser(verbs: Any) -> None:
    from attest.cli.machines import add_machine_arguments

    parser = verbs.add_parser(
        "advise",
        help="say what ends soon and what a stricter floor would refuse",
        description="Keep a policy current: what ends, what is newer, what a stricter floor would refuse today.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("policy", metavar="POLICY", help="a policy file")
    parser.add_argument(
        "evidence", nargs="*", metavar="EVIDENCE", help="folders of machines, or the files of one"
    )
    add_parameters(parser)
    parser.add_argument(
        "--days", type=int, default=30, metavar="N", help="how far ahead ends are told; default 30"
    )
    parser.add_argument(
        "--floors", metavar="FILE",
        help="floor data to try on the machines; its signature is not asked for, and nothing is kept",
    )  # fmt: skip
    add_machine_arguments(parser)
    parser.set_defaults(run=run, wrong=parser.error)


def run(args: argparse.Namespace) -> int:
    from attest.cli.machines import exit_of
    from attest.cli.options import at_of, print_json
    from attest.cli.policy_reading import policy_of
    from attest.errors import AttestError
    from attest.policy.advise import advise
    from attest.policy.builtin import BUILTINS
    from attest.result.answer import of_refusal

    at = at_of(args)
    if not 0 <= args.days <= 3650:
        args.wrong("--days is 0 to 3650")
    if args.floors is not None and not args.evidence:
        args.wrong("--floors is tried on machines: give evidence too")
    try:
        policy = policy_of(args, args.policy)
        judged, failed = _machines(args)
        changes = None if args.floors is None else _with_floors(args, policy, judged)
        advice = advise(policy, judged, at=at, built_ins=BUILTINS, soon=timedelta(days=args.days))
    except AttestError as error:
        if args.json:
            print_json(of_refusal(error, at, invalid_policy=True).as_dict())
        else:
            for problem in error.problems:
                print(problem.message if problem.code.startswith("policy.") else problem, file=sys.stderr)
        return 2
    unjudged = [(name, str(error.problems[0])) for name, error in failed]
    status = max((exit_of(error) for _, error in failed), default=0)
    if args.json:
        from attest.claims import instant

        document = {
            "policy": {"name": policy.name, "digest": policy.digest, "file": policy.file},
            "at": instant(at),
            "days": args.days,
            "machines": [{"machine": name, "simulated": found.simulated} for name, found in judged],
            **advice.as_dict(at),
            "unjudged": [{"machine": name, "because": because} for name, because in unjudged],
        }
        if changes is not None:
            document["changes"] = [change.as_dict() for change in changes]
        print_json(document)
        return status
    from attest.cli.colour import coloured, columns_wide
    from attest.result.advice_text import render_advice

    text = render_advice(
        policy,
        advice,
        at=at,
        days=args.days,
        judged=len(judged),
        simulated=sum(found.simulated for _, found in judged),
        unjudged=unjudged,
        changes=changes,
        width=columns_wide(),
        colour=coloured(),
    )
    print(text, end="")
    return status


def _machines(
    args: argparse.Namespace,
) -> tuple[list[tuple[str, Verified]], list[tuple[str, AttestError]]]:
    from attest.errors import AttestError

    judged: list[tuple[str, Verified]] = []
    unjudged: list[tuple[str, AttestError]] = []
    if args.evidence:
        from attest.cli.machines import machines

        for name, found in machines(args, args.evidence):
            if isinstance(found, AttestError):
                unjudged.append((name, found))
            else:
                judged.append((name, found))
    return judged, unjudged


def _with_floors(
    args: argparse.Namespace, policy: Policy, machines: list[tuple[str, Verified]]
) -> list[Change]:
    """What the same policy says of each machine with other floor data."""
    from attest.cli.options import at_of
    from attest.loader import read_file
    from attest.policy import Policy, appraise
    from attest.policy.floors import Floors
    from attest.result.diff_text import Change

    floors = Floors.parse(read_file(args.floors))
    other = Policy.read(Path(args.policy), parameters=dict(args.param), floors=floors)
    at = at_of(args)
    changes = []
    for name, verified in machines:
        one, two = appraise(verified, policy, at=at), appraise(verified, other, at=at)
        problems = two.problems or one.problems
        because = problems[0].message if problems else None
        changes.append(Change(name, one.verdict, two.verdict, because, verified.simulated))
    return changes
