"""`attest measure snp|tdx`: what a launch will measure, before it runs."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

_DESCRIPTION = """\
Compute the measurements of a machine from what it is started with: firmware, and for a direct kernel boot
kernel, initrd and command line. What was computed goes into a policy with --reference."""

_VERBS = ("snp", "tdx")
"""Each is a module `attest.cli.measure_NAME` with `add_parser(verbs)`."""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "measure",
        help="compute expected launch measurements",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", metavar="KIND", required=True)
    for verb in _VERBS:
        import_module(f"attest.cli.measure_{verb}").add_parser(verbs)
