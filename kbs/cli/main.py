"""`kbs`: a broker that gives secrets to machines that conform, its administration, and the guest's side."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from attest.standard_streams import delivered
from attest.untrusted import escape

_DESCRIPTION = """\
Release secrets to confidential machines that their owners' policies accept.

  kbs init --state DIR                                make keys and database; prints the first key once
  kbs serve --state DIR --endorsements DIR            serve guests and administrators
  kbs config check kbs.yaml                           is a configuration right, before it is served?
  kbs owner add acme                                  who holds secrets
  kbs principal list                                  who may administer, and what
  kbs policy put --owner acme --path 'acme/*' p.yaml  what acme asks of a machine
  kbs secret put acme/key/model --owner acme FILE     a secret, encrypted at rest
  kbs consent list                                    what owners' people signed before a release
  kbs revoke list                                     what is not to be trusted any more
  kbs stop list                                       the emergency stop, of an owner or of everything
  kbs keys rotate                                     a new key wraps secrets at rest
  kbs audit verify                                    is the trail whole?
  kbs backup --state DIR -o FILE                      all that lasts, while serving; kbs restore puts it back
  kbs guest get --path acme/key/model -o FILE --simulate STATE    the guest at boot

Exit status: 0 done, 1 refused, 2 wrong use or unreadable input, 3 no broker answers; `guest get` also
4 no such resource, 5 the answer does not open."""

COMMANDS = (
    "init",
    "serve",
    "config",
    "owner",
    "principal",
    "approve",
    "policy",
    "secret",
    "consent",
    "revoke",
    "stop",
    "lease",
    "keys",
    "audit",
    "why",
    "backup",
    "restore",
    "clock",
    "guest",
)


class Parser(argparse.ArgumentParser):
    """Says what is wrong first, and where help is; subcommands' parsers are of this class too."""

    def error(self, message: str) -> NoReturn:
        if not message.isprintable():
            message = escape(message, 1000)
        self.exit(2, f"{self.prog}: {message}\nsee {self.prog} --help\n")


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("attest")  # one distribution holds both
        except PackageNotFoundError:
            number = "of a source tree that is not installed"
        print(f"kbs {number}")
        parser.exit()


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """The whole parser, or the one subcommand asked for."""
    parser = Parser(
        prog="kbs", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and stop")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        if only in (None, name):
            import_module(f"kbs.cli.{name}").add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return delivered("kbs", lambda: _run(given))
    except KeyboardInterrupt:
        return 130


def _run(given: Sequence[str]) -> int:
    only = given[0] if given and given[0] in COMMANDS else None
    args = build_parser(only).parse_args(given)
    status: int = args.run(args)
    return status


if __name__ == "__main__":
    sys.exit(main())
