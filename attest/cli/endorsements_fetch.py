"""`attest endorsements fetch FILE...`: fetch what this evidence needs to be verified."""

from __future__ import annotations

import argparse
from typing import Any


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser("fetch", help="fetch what evidence needs from the vendors")
    parser.add_argument("files", nargs="+", metavar="FILE", help="evidence, any form that `attest verify` takes")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    raise NotImplementedError
