"""`attest endorsements verify FILE...`: what each endorsement is, whether it is authentic, when it ends."""

from __future__ import annotations

import argparse
from typing import Any


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser("verify", help="say of each endorsement whether it is authentic and current")
    parser.add_argument("files", nargs="+", metavar="FILE", help="endorsements")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    raise NotImplementedError
