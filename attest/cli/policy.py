"""`attest policy`: each command has a file of its own, `attest.cli.policy_NAME`."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

_EPILOG = """\
examples:
  attest policy init --from report.bin vcek.der -o prod.yaml
  attest policy test prod.test.yaml --require-coverage
  attest policy check prod.yaml team.yaml
  attest policy explain prod.yaml report.bin vcek.der --at 2026-11-23T12:00:00Z

Exit status: 0 good (check) or conforms (explain), 1 refused, 2 an invalid policy, malformed input or
wrong use. The policy's allow-warnings change none of this: they say in spite of which
warnings the broker (kbs) releases a secret."""

_COMMANDS = (
    "init",
    "fmt",
    "check",
    "test",
    "explain",
    "diff",
    "advise",
    "schema",
    "sign",
    "import",
    "export",
)
"""Each in `attest.cli.policy_NAME`."""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "policy",
        help="write, check, test and explain policies",
        description="Write policies from evidence, check and test them, explain rule by rule what they say.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    for name in _COMMANDS:
        import_module(f"attest.cli.policy_{name}").add_parser(verbs)


def add_parameters(parser: argparse.ArgumentParser) -> None:
    """What every command that reads a policy is told of it."""
    from attest.cli.policy_reading import add_policy_arguments

    add_policy_arguments(parser)
