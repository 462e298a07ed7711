"""`kbs restore`: a backup into a new database."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from kbs.cli.configured import add_place, read_place, told

if TYPE_CHECKING:
    from kbs.audit import Head

_EPILOG = """\
examples:
  kbs restore --config /etc/kbs/kbs.yaml kbs-2026-12-01.backup --head 812:5f0c...

The database must be new: a file that is not there, or a PostgreSQL database with nothing in it. The state folder
must hold the keys that the backup was made with. It may be the other kind of database than the backup's.

What was changed after the backup is undone: a policy is as loose, and an owner as enabled, as it was then. With
--head, a head of the audit trail that was kept elsewhere, an older backup is refused."""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "restore",
        help="a backup into a new database",
        description="Put a backup into a new database, bring it to this program's schema, and note it in the "
        "audit trail. Guests attest again.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", help="as written by kbs backup")
    add_place(parser)
    parser.add_argument(
        "--head",
        action="append",
        default=[],
        type=_head,
        metavar="NUMBER:HASH",
        help="a head that was kept elsewhere: the trail in the backup must hold it",
    )
    parser.set_defaults(run=run)


def _head(text: str) -> Head:
    from kbs.audit import Head

    try:
        return Head.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(args: argparse.Namespace) -> int:
    with told("restore"):
        _restore(args)
    return 0


def _restore(args: argparse.Namespace) -> None:
    from kbs.backup import Backup
    from kbs.clock import Clock
    from kbs.restore import restore
    from kbs.service import database_address, key_ring

    config = read_place(args)
    keys = key_ring(config)
    with open(args.file, "rb") as stream:
        backup = Backup(stream, keys.wrap)
        head = restore(backup, database_address(config), args.head, Clock())
    about = backup.about
    print(
        f"{args.file}: restored with schema {about.schema} up to audit row {about.head.number}; head now {head}"
    )
