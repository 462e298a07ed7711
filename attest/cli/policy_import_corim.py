"""What `attest policy import corim` has that other formats have not: signers, and the instant that dates must hold."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from attest.policy.interchange.draft import Draft

_ENVIRONMENTS = ("snp", "tdx")


def add_corim_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("corim")
    group.add_argument(
        "--signer", action="append", metavar="FILE",
        help="public key, certificate, or certificate of its issuer, PEM or DER, that you trust to sign it; may be repeated",
    )  # fmt: skip
    group.add_argument(
        "--environment", choices=_ENVIRONMENTS,
        help="what the one class of environment is that no profile names: an SNP guest or a TDX guest",
    )  # fmt: skip
    group.add_argument(
        "--at", type=_instant, metavar="TIME",
        help="the instant that its dates must hold (RFC 3339); default now",
    )  # fmt: skip


def _instant(text: str) -> datetime:
    from attest.cli.options import instant_argument

    return instant_argument(text)


def refuse_corim_arguments(args: argparse.Namespace) -> None:
    """Raises Malformed (`usage`) where another format was given them."""
    from attest.cli.options import usage

    for name in ("signer", "environment", "at"):
        if getattr(args, name) is not None:
            raise usage(f"--{name} belongs to corim")


def read_corim_file(args: argparse.Namespace, data: bytes) -> Draft:
    """Raises Malformed or Rejected."""
    from attest.cli.options import at_of, usage
    from attest.loader import read_file
    from attest.untrusted import escape

    if find_spec("cbor2") is None:
        raise usage("a CoRIM needs cbor2: pip install attest[results]")
    from attest.policy.interchange.corim import Signer, read_corim, read_signers

    signers: list[Signer] = []
    for file in args.signer or ():
        try:
            signers += read_signers(read_file(file))
        except ValueError as error:
            raise usage(f"--signer {escape(file)}: {error}") from None
    return read_corim(data, at=at_of(args), signers=signers, environment=args.environment)
