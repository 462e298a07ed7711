"""`attest policy export --rego POLICY`: the policy for an engine that judges claims which others verified."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attest.policy.interchange.rego import Export

_EPILOG = """\
examples:
  attest policy export --rego prod.yaml -o default_cpu.rego     for Trustee's attestation service
  attest policy export --rego prod.yaml --input claims -o prod.rego
  attest verify report.bin vcek.der --nonce HEX --json | opa eval -I -d prod.rego data.policy.deny
  attest policy export --rego snp.yaml -o default_cpu.rego \\
      --without snp.policy-unknown-bits="the image's loader sets POLICY"

A rule on what the input never carries is listed and refuses every machine. Nothing is written then, unless
--partial writes it with the list at its head, or --without leaves the rule out, which makes the file looser than
the policy and says so at its head.
Exit status: 0 all of the policy, 1 something was listed or left out (with --partial too), 2 an invalid policy or
wrong use."""


def add_parser(verbs: Any) -> None:
    from attest.cli.policy import add_parameters

    parser = verbs.add_parser(
        "export",
        help="write the policy for another engine",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--rego", action="store_true", required=True, help="as Rego v1, the one format there is"
    )
    parser.add_argument("policy", metavar="POLICY")
    parser.add_argument(
        "--input", choices=("trustee", "claims"), default="trustee",
        help="what the engine is given: Trustee's policy input (default), or an answer of attest verify --json",
    )  # fmt: skip
    parser.add_argument(
        "--without", action="append", default=[], type=_reason, metavar="RULE=REASON",
        help="leave out a rule that the input cannot meet; may be given several times",
    )  # fmt: skip
    parser.add_argument("--partial", action="store_true", help="write it although something always refuses")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write here, never over a file; default prints"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_parameters(parser)
    parser.set_defaults(run=_run)


def _reason(text: str) -> tuple[str, str]:
    rule, _, reason = text.partition("=")
    if not rule or not reason.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not RULE=REASON")
    return rule, reason


def _run(args: argparse.Namespace) -> int:
    from attest.cli.options import print_json, usage
    from attest.cli.policy_import import save
    from attest.cli.policy_reading import policy_of
    from attest.errors import AttestError
    from attest.result.ear.rego import policy_in_rego

    try:
        policy = policy_of(args, args.policy)
        try:
            export = policy_in_rego(policy, read=args.input, without=dict(args.without))
        except ValueError as error:
            raise usage(f"--without: {error}") from None
        text = export.text if args.partial or not export.unexported else None
        if text is not None:
            save(args.output, text)
    except AttestError as error:
        if args.json:
            print_json({"problems": [problem.as_dict() for problem in error.problems]})
        for problem in error.problems:
            print(f"{problem.code}: {problem}", file=sys.stderr)
        return 2
    if args.json:
        print_json(
            {
                "format": "rego",
                "input": args.input,
                "policy": text,
                "unexported": [one.as_dict() for one in export.unexported],
                "left_out": [one.as_dict() for one in export.left_out],
            }
        )
    else:
        if text is not None and args.output is None:
            sys.stdout.write(text)
        _tell(export, text)
    return 1 if export.unexported or export.left_out else 0


def _tell(export: Export, text: str | None) -> None:
    from attest.untrusted import escape

    for one in export.left_out:
        print(f"{one.rule} ({escape(one.at)}): left out, looser than the policy: {one.why}", file=sys.stderr)
    for one in export.unexported:
        print(f"{one.rule} ({escape(one.at)}): not exported, refuses: {one.why}", file=sys.stderr)
    if text is None:
        print(
            "nothing was written; --partial writes it, --without RULE=REASON leaves a rule out",
            file=sys.stderr,
        )
