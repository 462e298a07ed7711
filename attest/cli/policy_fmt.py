"""`attest policy fmt FILE...`: policies and suites in one layout, comments kept."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from attest.untrusted import escape

_EPILOG = """\
Files are rewritten in place. What a file says does not change, and neither does a policy's digest; comments
stay. Exit status: 0 done, 1 with --check where a file would change, 2 where a file cannot be read."""


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "fmt",
        help="lay policy and suite files out, keeping comments",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help='policies or suites; "-" reads and prints')
    parser.add_argument("--check", action="store_true", help="change nothing, say what would change")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    return max([_one(file, check=args.check) for file in args.files])


def _one(file: str, *, check: bool) -> int:
    from attest.policy.layout import lay_out
    from attest.policy.nodes import Unreadable
    from attest.policy.yaml_text import MAX_BYTES

    shown = escape(file)
    try:
        if file == "-":
            before = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(file).open("rb") as stream:
                before = stream.read(MAX_BYTES + 1)
        after = lay_out(before).encode()
    except OSError as error:
        print(f"{shown}: cannot be read: {error.strerror}", file=sys.stderr)
        return 2
    except Unreadable as error:
        for fault in sorted(error.faults, key=lambda fault: fault.place):
            print(f"{fault.place.within(shown)}: {escape(fault.message, 400)}", file=sys.stderr)
        return 2
    if file == "-" and not check:
        sys.stdout.write(after.decode())
        return 0
    if before == after:
        return 0
    if check:
        print(f"{shown}: would change")
        return 1
    try:
        _replace(Path(file), after)
    except OSError as error:
        print(f"{shown}: cannot be written: {error.strerror}", file=sys.stderr)
        return 2
    print(f"{shown}: changed")
    return 0


def _replace(path: Path, data: bytes) -> None:
    """Whole or not at all: a policy that is half written would be refused at the next release."""
    path = path.resolve()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(name, path.stat().st_mode & 0o7777)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
