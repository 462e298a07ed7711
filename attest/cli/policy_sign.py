"""`attest policy sign FILE --key KEY`: a detached signature, for who asks with --require-signed."""

from __future__ import annotations

import argparse
from typing import Any

from attest.errors import AttestError


def add_parser(verbs: Any) -> None:
    sign = verbs.add_parser("sign", help="sign a policy, for --require-signed")
    sign.add_argument("policy", metavar="FILE", help="the policy; its signature is written to FILE.dsse")
    sign.add_argument("--key", required=True, metavar="PEM", help="your private key, in a file for you alone")
    sign.set_defaults(run=_run, json=False)


def _run(args: argparse.Namespace) -> int:
    from attest.cli.bundles import signing_key
    from attest.cli.endorsements_bundle import told
    from attest.cli.policy_reading import SIGNATURE, statement
    from attest.dsse import seal_envelope
    from attest.loader import read_file
    from attest.outputs import check_outputs, write_file

    target = f"{args.policy}{SIGNATURE}"
    try:
        check_outputs({"the signature": target}, [args.policy, args.key])
        text = read_file(args.policy)
        envelope = seal_envelope("policy", statement(text), signing_key("--key", args.key))
        write_file("the signature", target, envelope)
    except AttestError as error:
        return told(args, error)
    print(f"signed: {target}")
    return 0
