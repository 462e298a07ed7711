"""`attest policy explain POLICY [EVIDENCE...]`: each rule, what it asked, what was found, and what to do."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import Any

from attest.cli.policy import add_parameters


def add_parser(verbs: Any) -> None:
    from attest.cli.options import add_evidence_arguments

    parser = verbs.add_parser(
        "explain",
        help="show each rule with its result; without evidence, say what the policy demands",
        description="Verify evidence and show each rule of a policy with what it expected and found, what it "
        "protects from and what to do. Without evidence: what the policy demands, in words.",
    )
    parser.add_argument("policy", metavar="POLICY", help='a policy file, or "defaults"')
    add_parameters(parser)
    add_evidence_arguments(parser, files="*")
    parser.add_argument(
        "--html", metavar="FILE", help="also write one page that stands alone, for people without a terminal"
    )
    parser.add_argument(
        "--defaults", action="store_true", help="list the default rules too, and open devices that meet every rule"
    )  # fmt: skip
    parser.set_defaults(run=run, wrong=parser.error)


def run(args: argparse.Namespace) -> int:
    from attest.cli.inputs import check_written
    from attest.cli.options import at_of
    from attest.cli.policy_reading import defaults_of, policy_of
    from attest.errors import AttestError
    from attest.result.answer import of_refusal
    from attest.result.tree import tree_of

    at = at_of(args)
    try:
        check_written(args, {"--html": args.html})
    except AttestError as error:
        args.html = None
        return _tell(args, tree_of(of_refusal(error, at)))
    try:
        policy = defaults_of(args) if args.policy == "defaults" else policy_of(args, args.policy)
    except AttestError as error:
        return _tell(args, tree_of(of_refusal(error, at, invalid_policy=True)))
    if not args.files:
        if args.html is not None:
            args.wrong("--html shows a verdict: give the evidence too")
        return _demands(args, policy)
    from attest.cli.options import verify_from
    from attest.policy import appraise
    from attest.result.answer import of_appraisal

    try:
        verified = verify_from(args)
        answer = replace(of_appraisal(appraise(verified, policy, at=at)), not_used=args.not_used)
    except AttestError as error:
        answer = of_refusal(error, at)
    return _tell(args, tree_of(answer))


def _demands(args: argparse.Namespace, policy: Any) -> int:
    from attest.cli.colour import coloured, columns_wide
    from attest.cli.options import at_of, print_json
    from attest.policy import Policy
    from attest.result.demands import demands_json, render_demands

    policy = policy or Policy.defaults()
    if args.json:
        print_json(demands_json(policy, at=at_of(args)))
    else:
        text = render_demands(
            policy, at=at_of(args), width=columns_wide(), colour=coloured(), defaults=args.defaults
        )
        print(text, end="")
    return 0


def _tell(args: argparse.Namespace, tree: Any) -> int:
    """Print the tree, and write the page where one is wanted. The answer's exit status, or 2 without the page."""
    from attest.cli.colour import coloured, columns_wide
    from attest.cli.options import print_json

    if args.json:
        print_json(tree.as_dict())
    else:
        from attest.result.tree_text import render_tree

        print(render_tree(tree, width=columns_wide(), colour=coloured(), every=args.defaults), end="")
    status: int = tree.answer.exit_status
    if args.html is not None:
        from attest.errors import Malformed
        from attest.outputs import write_file
        from attest.result.page import render_page

        try:
            write_file("--html", args.html, render_page(tree).encode())
        except Malformed as error:
            print(f"attest policy explain: {error.problems[0].message}", file=sys.stderr)
            return 2
    return status
