"""--bundle-key: who may put a bundle of endorsements together, for every command that reads evidence."""

from __future__ import annotations

import argparse
import os
import stat
from typing import TYPE_CHECKING

from attest.errors import Malformed
from attest.loader import read_file
from attest.problems import problem
from attest.untrusted import escape

if TYPE_CHECKING:
    from datetime import datetime

    from attest.dsse import Kind, PrivateKey, TrustedKeys
    from attest.memory import Memory
    from attest.sources.opening import BundleReader


def add_bundle_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bundle-key", action="append", default=[], metavar="PEM",
        help="public key of whoever signs your bundles of endorsements; may be given more than once",
    )  # fmt: skip


def bundle_reader(args: argparse.Namespace, at: datetime, memory: Memory | None) -> BundleReader | None:
    """Opens bundles with the keys that were given; None without any. Raises Malformed (`usage`)."""
    if not args.bundle_key:
        return None
    from attest.sources.opening import BundleReader

    return BundleReader(trusted_keys("--bundle-key", args.bundle_key, "endorsements"), at, memory)


def trusted_keys(option: str, files: list[str], kind: Kind) -> TrustedKeys:
    """The public keys in these files, each trusted for `kind` alone. Raises Malformed (`usage`)."""
    from attest.dsse import TrustedKey, TrustedKeys

    keys = []
    for file in files:
        try:
            keys.append(TrustedKey.read(kind, read_file(file)))
        except ValueError as error:
            raise _usage(f"{option} {escape(file)}: {error}") from None
    return TrustedKeys(keys)


def signing_key(option: str, file: str) -> PrivateKey:
    """The private key in a file that nobody but its owner can read. Raises Malformed (`usage`)."""
    from attest.dsse import read_private_key

    try:
        key = read_private_key(
            read_file(file)
        )  # first: a public key may be read by anybody, and is none to sign with
    except ValueError as error:
        raise _usage(f"{option} {escape(file)}: {error}") from None
    private_file(option, file)
    return key


def private_file(option: str, file: str) -> bytes:
    """What is in a file that nobody but its owner can read. Raises Malformed (`usage`)."""
    data = read_file(file)
    mode = os.stat(file).st_mode
    if stat.S_ISREG(mode) and mode & 0o077:
        raise _usage(f"{option} {escape(file)} can be read by others: chmod 600 it, and think of a new key")
    return data


def _usage(message: str) -> Malformed:
    return Malformed(problem("usage", message=message))
