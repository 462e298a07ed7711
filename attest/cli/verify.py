"""`attest verify FILE...`: is this evidence genuine, current and bound, and does it conform?"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from attest.cli.batch import add_batch_arguments
from attest.cli.colour import coloured, columns_wide
from attest.cli.ear import add_ear_arguments, asked_for, write_result
from attest.cli.options import add_evidence_arguments, at_of, print_json, usage, verify_from
from attest.cli.policy_reading import add_policy_arguments, defaults_of, of_shadow, parameter, policy_of
from attest.cli.second_opinion import (
    Judged,
    add_second_opinion_arguments,
    check_usage,
    with_second_opinion,
)
from attest.errors import AttestError, Malformed, Rejected
from attest.result.answer import Answer, judged_beside, of_appraisal, of_refusal, shadow_of

if TYPE_CHECKING:
    from attest.policy import Policy

_EPILOG = """\
examples:
  attest verify report.bin vcek.der                          AMD SEV-SNP, ASK and ARK are known
  attest verify quote.bin collateral.json --report-data HEX   Intel TDX with its collateral
  attest verify gpu-report.txt chain.pem driver-rim.xml vbios-rim.xml
  attest verify machine.bundle.json --nonce HEX --key key.json --policy prod.yaml --json
  attest verify machine.bundle.json fleet.bundle.json --bundle-key ours.pub --nonce HEX --key key.json
  attest verify --batch fleet/ --with fleet.crl --policy prod.yaml > answers.jsonl
  attest verify report.bin vcek.der --policy prod.yaml --ear ietf --ear-key results.key -o result.jwt
  attest verify report.bin vcek.der --policy prod.yaml --shadow next.yaml    what would the next policy say?
  attest verify report.bin --fetch                           what is missing comes from the vendors
  attest verify - vcek.der < report.bin                      evidence from standard input
  attest verify gpus.json *.xml --gpu-nonce HEX --second-opinion nvidia --nras-token t.json --nras-jwks k.json

Without --fetch only the given files are used. Neither files nor answers can add a root. With --fetch, and
with --memory FILE, the newest collateral seen is remembered and older is refused. Exit status: 0 conforms, 1 refused,
2 malformed input or wrong use."""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "verify",
        help="verify evidence and appraise it",
        description="Verify evidence and appraise it against a policy, or the built-in defaults.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_evidence_arguments(parser, files="*")  # none with --batch
    parser.add_argument("--policy", metavar="FILE", help="the owner's policy; default: the built-in defaults")
    add_policy_arguments(parser)
    parser.add_argument(
        "--shadow", metavar="FILE",
        help="a second policy, to report what it would have said; verdict and exit status are --policy's alone",
    )  # fmt: skip
    parser.add_argument(
        "--shadow-param", action="append", default=[], type=parameter, metavar="NAME=VALUE",
        help="a value for a parameter of the shadow policy",
    )  # fmt: skip
    add_second_opinion_arguments(parser)
    add_ear_arguments(parser)
    add_batch_arguments(parser)
    parser.set_defaults(run=run, wrong=parser.error)


def run(args: argparse.Namespace) -> int:
    if args.batch is not None:
        if args.second_opinion is not None:
            args.wrong("--second-opinion is asked about one machine, not with --batch")
        if args.ear is not None:
            args.wrong("--ear is about one machine, not with --batch")
        from attest.cli.batch import run_batch

        return run_batch(args)
    if args.shared or args.processes is not None or args.ray is not None:
        args.wrong("--with, --processes and --ray go with --batch")
    if not args.files:
        args.wrong("the following arguments are required: FILE")
    try:
        result = asked_for(args)
        answer = answer_for(args)
        if result is not None:
            write_result(result, answer, args)
    except Malformed as error:
        answer = of_refusal(error, at_of(args))
    if args.json:
        print_json(answer.as_dict())
    else:
        from attest.result.text import render

        print(
            render(answer, width=columns_wide(), colour=coloured()),
            end="",
        )
    return answer.exit_status


def answer_for(args: argparse.Namespace) -> Answer:
    """Verify, then appraise. The policy's room is loaded only when there is something to appraise."""
    at = at_of(args)
    policy = None
    if args.policy is not None:
        try:
            policy = policy_of(args, args.policy)
        except AttestError as error:
            return of_refusal(error, at, invalid_policy=True)
    elif args.param or args.require_signed:
        return of_refusal(usage("--param and --require-signed speak of a policy: give --policy too"), at)
    else:
        try:
            policy = defaults_of(args)
        except AttestError as error:
            return of_refusal(error, at, invalid_policy=True)
    shadow = None
    try:
        shadow = shadow_from(args)
    except AttestError as error:
        return of_refusal(error, at, invalid_policy=error.codes.isdisjoint({"usage"}))
    try:
        check_usage(args)
        verified = verify_from(args)
    except Rejected as error:
        args.judgement = error
        return _with_fetching(with_second_opinion(of_refusal(error, at), args, None), args)
    except AttestError as error:
        return _with_fetching(of_refusal(error, at), args)
    from attest.policy import appraise

    args.judgement = appraise(verified, policy, at=at)
    answer = replace(of_appraisal(args.judgement), not_used=args.not_used)
    if shadow is not None:
        answer = replace(answer, shadow=shadow_of(appraise(verified, shadow, at=at), answer.verdict))
    if args.bundles is not None:
        # A bundle is judged before what came out of it.
        answer = replace(answer, checks=(*args.bundles.log.records(), *answer.checks))
    evidence, endorsements, anchors = args.judged
    answer = with_second_opinion(answer, args, Judged(evidence, endorsements, verified, anchors))
    return _with_fetching(answer, args)


def shadow_from(args: argparse.Namespace) -> Policy | None:
    """The policy of --shadow. Raises Malformed: a shadow that cannot be read is told, not passed over."""
    if args.shadow is None:
        if args.shadow_param:
            raise usage("--shadow-param gives a value to a shadow policy: give --shadow too")
        return None
    return policy_of(of_shadow(args), args.shadow)


def _with_fetching(answer: Answer, args: argparse.Namespace) -> Answer:
    """What could not be fetched is told beside the verdict, whatever that was without it."""
    fetching = getattr(args, "fetching", None)
    if fetching is None or not fetching.problems:
        return answer
    return judged_beside(answer, "conforms-with-warnings", warnings=fetching.problems)
