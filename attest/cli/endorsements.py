"""`attest endorsements fetch|verify|bundle|serve|rims`: what vendors sign about hardware, fetched, kept, judged,
and handed on."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

_DESCRIPTION = """\
Endorsements are what vendors sign about their hardware and firmware: certificates, revocation lists, TCB
information, reference manifests, OCSP answers. Where they were fetched from counts for nothing: each is
verified to a pinned root."""

_VERBS = ("fetch", "verify", "bundle", "serve", "rims")
"""Each is a module `attest.cli.endorsements_NAME` with `add_parser(verbs)`."""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "endorsements",
        help="fetch, keep and judge endorsements",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    for verb in _VERBS:
        import_module(f"attest.cli.endorsements_{verb}").add_parser(verbs)
