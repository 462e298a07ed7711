"""`attest policy schema`: JSON Schema of policy files, for editors."""

from __future__ import annotations

import argparse
from typing import Any


def add_parser(verbs: Any) -> None:
    schema = verbs.add_parser("schema", help="print the JSON Schema of policy files, for editors")
    schema.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from attest.cli.options import print_json
    from attest.policy.schema import schema

    print_json(schema())
    return 0
