"""`kbs backup`: everything that lasts, while the broker serves, into one file."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kbs.cli.configured import add_place, read_place, told

if TYPE_CHECKING:
    from sqlalchemy import Connection

_EPILOG = """\
examples:
  kbs backup --config /etc/kbs/kbs.yaml -o kbs-2026-12-01.backup

The keys are not in it: keep a copy of the folder keys/ in another place than the backups. Keep the head that is
printed, too, where whoever could change the backups cannot: kbs restore --head asks for it."""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "backup",
        help="write all that lasts into one file, while serving",
        description="Write owners, policies, secrets (as they are kept, encrypted), administrators and the audit "
        "trail into one file, as they are at one moment. The broker may serve meanwhile.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_place(parser)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="a new file, whole or not at all"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    with told("backup"):
        _backup(args)
    return 0


def _backup(args: argparse.Namespace) -> None:
    from kbs.backup import About, BackupError, write_backup
    from kbs.clock import Clock
    from kbs.service import database_address, key_ring
    from kbs.store.audit_rows import AuditRows
    from kbs.store.database import connected, whole
    from kbs.store.kinds import Purpose
    from kbs.store.lasting import lasting_rows
    from kbs.store.schema import current, require_current

    config = read_place(args)
    keys = key_ring(config)
    output: Path = args.output
    if output.exists():
        raise BackupError(f"{output} exists; a backup is never overwritten")
    partial = output.with_name(f"{output.name}.partial")

    def write(connection: Connection) -> str:
        require_current(connection)
        about = About(str(current(connection)), AuditRows(connection).head(), Clock().here())
        file.seek(0)
        file.truncate()
        count = write_backup(file, about, lasting_rows(connection), keys.wrap)
        return f"schema {about.schema}, {count} rows, audit head {about.head}"

    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        try:
            with connected(database_address(config)) as database:
                said = whole(database, Purpose.READ, write)
            file.flush()
            os.fsync(file.fileno())
            partial.rename(output)
        except BaseException:
            partial.unlink()
            raise
    print(f"{output}: {said}")
