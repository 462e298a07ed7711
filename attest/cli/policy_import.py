"""`attest policy import FORMAT FILE`: a policy of another verifier in this language, and what was lost."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from attest.cli.policy_import_corim import add_corim_arguments

if TYPE_CHECKING:
    from attest.policy.interchange.draft import Draft

_FORMATS = ("azure-skr", "corim", "go-sev-guest", "go-tdx-guest", "nvidia")

_EPILOG = """\
examples:
  attest policy import azure-skr release-policy.json --name prod -o prod.yaml
  attest policy import corim firmware.cbor --signer vendor.pem -o firmware.yaml
  attest policy import go-sev-guest check.textproto --partial -o prod.yaml
  attest policy import nvidia NVGPURemotePolicyExample.json

What has no counterpart is listed with its line and the reason. Nothing is written then, unless --partial
writes it as comments: read them, the policy asks for less than the file did.
Exit status: 0 all mapped, 1 something was not (with --partial too), 2 malformed input, a signature or date that does
not hold, or wrong use."""


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "import",
        help="translate a policy of another verifier",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("format", choices=_FORMATS, metavar="FORMAT", help=", ".join(_FORMATS))
    parser.add_argument("file", metavar="FILE")
    parser.add_argument(
        "--name", default="imported", metavar="NAME", help="of the policy (default: imported)"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write here, never over a file; default prints"
    )
    parser.add_argument("--partial", action="store_true", help="write it although something was not mapped")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_corim_arguments(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    import re

    from attest.cli.options import print_json, usage
    from attest.errors import AttestError
    from attest.loader import read_file
    from attest.policy.interchange.draft import write

    try:
        if not re.fullmatch(r"[a-z0-9-]{1,64}", args.name):
            raise usage(f"--name {args.name!r}: a name is 1 to 64 of a-z, 0-9 and -")
        draft = _read(args, read_file(args.file))
        # Of a file in which nothing is known there is no policy to write.
        written = bool(draft.platforms) and (args.partial or not draft.unmapped)
        text = write(draft, name=args.name) if written else None
        if text is not None:
            _prove(text, draft)
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
                "format": args.format,
                "policy": text,
                "params": sorted(draft.params),
                "notes": draft.notes,
                "unmapped": [one.as_dict() for one in draft.unmapped],
            }
        )
    else:
        if text is not None and args.output is None:
            sys.stdout.write(text)
        for one in draft.unmapped:
            print(one, file=sys.stderr)
        if text is None:
            rest = "--partial writes the rest" if draft.platforms else "nothing of it was mapped"
            print(f"nothing was written; {rest}", file=sys.stderr)
    return 1 if draft.unmapped or text is None else 0


def _read(args: argparse.Namespace, data: bytes) -> Draft:
    """Raises Malformed, or Rejected where a signature does not hold."""
    from importlib import import_module

    from attest.cli.policy_import_corim import read_corim_file, refuse_corim_arguments

    format_ = args.format
    if format_ == "corim":
        return read_corim_file(args, data)
    refuse_corim_arguments(args)
    module = import_module(f"attest.policy.interchange.{format_.replace('-', '_')}")
    draft: Draft = getattr(module, f"read_{format_.replace('-', '_')}")(data)
    return draft


def _prove(text: str, draft: Draft) -> None:
    """What is written loads: parameters that the owner is to give stand for any value. Raises Malformed."""
    from attest.claims import CLAIMS
    from attest.policy import Policy

    stand_in = {}
    for name, kind in draft.params.items():
        section, _, claim = kind.partition(".")
        size = CLAIMS[section][claim].size
        stand_in[name] = "11" * size[0] if size else "1"
    Policy.from_text(text, "imported", parameters=stand_in)


def save(output: str | None, text: str) -> None:
    """Write a new file; nothing where `output` is None. Raises Malformed as wrong use, over a file that is there."""
    from attest.cli.options import usage

    if output is None:
        return
    try:
        with open(output, "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise usage(f"-o {output} exists: choose another name, or move it away") from None
    except OSError as error:
        raise usage(f"-o {output} cannot be written: {error.strerror}") from None
