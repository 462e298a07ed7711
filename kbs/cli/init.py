"""`kbs init`: keys, an empty database, and the first administration key."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kbs.cli.configured import add_place, read_place, told

if TYPE_CHECKING:
    from kbs.store.address import Address
    from kbs.store.repository import Repository


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "init",
        help="make a broker's keys and database",
        description="Make a broker's keys, the tables of its empty database and the first administration key. "
        "The database is a SQLite file in DIR, or what the section `database` of a configuration names. "
        "Other replicas on the same database take a copy of the folder keys/ and are not made by this.",
    )
    add_place(parser)
    parser.add_argument(
        "--admin-key-file",
        type=Path,
        metavar="FILE",
        help="write the first key here (0600), not to the screen",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    with told("init"):
        key = _init(args)
    if args.admin_key_file:
        print(f"administration key in {args.admin_key_file}")
    else:
        print("administration key, shown this once (KBS_ADMIN_KEY, or a file for --key-file):")
        print(key)
    return 0


def _init(args: argparse.Namespace) -> str:
    from attest.claims import instant
    from kbs.clock import Clock
    from kbs.http.auth import give_key, make_key
    from kbs.keys import KeyStoreError
    from kbs.keys.files import write_new
    from kbs.keys.ring import KeyRing
    from kbs.service import database_address
    from kbs.state import KEYS
    from kbs.store.database import Store, migrate

    key_file: Path | None = args.admin_key_file
    if key_file and key_file.exists():  # before anything is made: no half a broker
        raise KeyStoreError(f"{key_file} exists; a key is never overwritten")
    if args.config is None and args.state is not None:
        Path(args.state).mkdir(mode=0o700, parents=True, exist_ok=True)
    config = read_place(args)
    address = database_address(config)
    key, now = make_key(), Clock().here()

    def first(tx: Repository) -> None:
        if tx.registry.principals():
            raise KeyStoreError(f"{address} has a broker already; a replica of it takes a copy of its keys/")
        give_key(tx, "first-admin", key, now)
        tx.audit.append({"event": "initialised", "at": instant(now), "principal": "first-admin"})

    with _whole_or_not(address, config.state):
        KeyRing.create(config.state / KEYS)
        migrate(address)
        store = Store.open(address)
        if key_file is None:
            store.write(first)
        else:
            write_new(key_file, key.encode() + b"\n")
            try:
                store.write(first)
            except BaseException:
                key_file.unlink()
                raise
    print(f"broker made in {config.state}")
    return key


@contextmanager
def _whole_or_not(address: Address, state: Path) -> Iterator[None]:
    """A broker without its key could not be administered, nor made again: what was begun goes again."""
    from kbs.keys import KeyStoreError
    from kbs.state import KEYS
    from kbs.store.address import SqliteFile
    from kbs.store.sqlite import create_file, remove_file

    had_keys = (state / KEYS).exists()
    file = address.path if isinstance(address, SqliteFile) else None
    if file is not None:
        if file.exists():
            raise KeyStoreError(f"{state} has a broker already")
        create_file(file)
    try:
        yield
    except BaseException:
        if not had_keys:
            shutil.rmtree(state / KEYS, ignore_errors=True)
        if file is not None:
            remove_file(file)
        raise
