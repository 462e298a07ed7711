"""`kbs init`: keys, an empty database, and the first administration key."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kbs.state import DATABASE, KEYS, database_url


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "init",
        help="make a broker's keys and database",
        description="Make a broker's keys, an empty database and the first administration key.",
    )
    parser.add_argument("--state", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    parser.add_argument(
        "--admin-key-file",
        type=Path,
        metavar="FILE",
        help="write the first key here (0600), not to the screen",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from attest.claims import instant
    from kbs.http.auth import new_key
    from kbs.keys import KeyStoreError
    from kbs.keys.file import write_new
    from kbs.keys.ring import KeyRing
    from kbs.store.database import Store, migrate

    state: Path = args.state
    unused = False
    try:
        if (state / DATABASE).exists():
            raise KeyStoreError(f"{state} has a broker already")
        if args.admin_key_file and args.admin_key_file.exists():  # before anything is made: no half a broker
            raise KeyStoreError(f"{args.admin_key_file} exists; a key is never overwritten")
        unused = not state.exists() or not any(state.iterdir())
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        KeyRing.create(state / KEYS)
        os.close(os.open(state / DATABASE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        migrate(database_url(state))
        store = Store.open(database_url(state))
        now = datetime.now(UTC)
        with store.transaction() as tx:
            key = new_key(tx, "first-admin", now)
            tx.audit.append({"event": "initialised", "at": instant(now), "principal": "first-admin"})
            if args.admin_key_file:
                write_new(args.admin_key_file, key.encode() + b"\n")
    except (KeyStoreError, OSError) as error:
        if unused:  # a broker without its key could not be administered, nor made again
            shutil.rmtree(state / KEYS, ignore_errors=True)
            for file in state.glob(f"{DATABASE}*"):
                file.unlink(missing_ok=True)
        cause = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        print(f"kbs init: {cause}", file=sys.stderr)
        return 2
    print(f"broker made in {state}")
    if args.admin_key_file:
        print(f"administration key in {args.admin_key_file}")
    else:
        print("administration key, shown this once (KBS_ADMIN_KEY, or a file for --key-file):")
        print(key)
    return 0
