"""`attest`: verify the evidence of confidential machines and appraise it against a policy."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from io import TextIOWrapper
from typing import Any, NoReturn

from attest.standard_streams import delivered

_DESCRIPTION = """\
Verify what a confidential machine proves about itself, and say whether it is what you want.

  attest verify report.bin vcek.der                   is it genuine?
  attest verify quote.bin collateral.json --policy p.yaml --nonce HEX
  attest show FILE...                                 what do these files hold? (verifies nothing)
  attest collect --nonce HEX --key key.json -o machine.bundle.json      inside the guest: its evidence
  attest policy explain p.yaml report.bin vcek.der    rule by rule
  attest endorsements fetch report.bin -o endorsements.json    from the vendors' services
  attest measure snp --ovmf OVMF.fd --vcpus 4 --vcpu-type EPYC-Milan    what a launch will measure
  attest simulate snp -o demo                         evidence under a root of your own, for tests

Exit status: 0 the evidence conforms, 1 it is refused, 2 malformed input or wrong use."""

_DISTRIBUTION = "attest"
_COMMANDS = ("verify", "show", "collect", "policy", "floors", "endorsements", "measure", "simulate")


class Parser(argparse.ArgumentParser):
    """Wrong use ends with status 2 and, under --json, with the same shape as every other answer."""

    commands: Any = None

    def add_subparsers(self, **keywords: Any) -> Any:
        self.commands = super().add_subparsers(**keywords)
        return self.commands

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """As `parse_args`, by the named command's own parser: files and options may stand in any order."""
        if self.commands is None:
            return self.parse_intermixed_args(arguments)
        if arguments and arguments[0] in self.commands.choices:
            parsed: argparse.Namespace = self.commands.choices[arguments[0]].parse(arguments[1:])
            return parsed
        return self.parse_args(arguments)

    def error(self, message: str) -> NoReturn:
        if not message.isprintable():
            # A file may be called like an option, and whoever named it chose its characters.
            from attest.untrusted import escape

            message = escape(message, 1000)
        if "--json" in sys.argv:
            from attest.problems import problem
            from attest.result.answer import Answer

            answer = Answer(
                "malformed",
                False,
                datetime.now(UTC),
                problems=(problem("usage", message=f"Wrong use: {message}"),),
            )
            print(json.dumps(answer.as_dict(), indent=1))
        else:
            print(f"{self.prog}: {message}", file=sys.stderr)
            self.print_usage(sys.stderr)
            print(f"see {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str, **keywords: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, **keywords)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"attest {version(_DISTRIBUTION)}")
        except PackageNotFoundError:
            print("attest, not installed: run from its source")
        raise SystemExit(0)


def build_parser(only: str | None = None) -> Parser:
    """The whole parser, or the one subcommand that is asked for: each loads its own room."""
    from importlib import import_module

    parser = Parser(
        prog="attest", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action=_Version, help="print the version and stop")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    for name in _COMMANDS:
        if only in (None, name):
            import_module(f"attest.cli.{name}").add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A character that the terminal lacks is no reason to end without an answer.
            stream.reconfigure(errors="backslashreplace")
    return delivered("attest", lambda: _run(arguments))


def _run(arguments: Sequence[str]) -> int:
    only = arguments[0] if arguments and arguments[0] in _COMMANDS else None
    args = build_parser(only).parse(arguments)
    status: int = args.run(args)
    return status


if __name__ == "__main__":
    sys.exit(main())
