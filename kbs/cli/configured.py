"""What the commands share that work on a broker's own files: where it is, and what is wrong in sentences."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kbs.cli.admin_client import CommandError

if TYPE_CHECKING:
    from kbs.config import Config


def add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="the broker's configuration, YAML")
    parser.add_argument("--state", metavar="DIR", help="as made by kbs init; needed without --config")


def read_place(args: argparse.Namespace, *above: Any) -> Config:
    """The configuration's file, with --state and what else was given above what it says.

    above: kbs.config.Above. Raises InvalidConfig, CommandError and OSError.
    """
    from kbs.config import Above, read_config

    if args.config is None and args.state is None:
        raise CommandError(2, "name the broker: --state DIR, as made by kbs init, or --config FILE")
    if args.state is not None:
        # Paths of options count from here, those of the file from its folder.
        state = str(Path(args.state).absolute()) if args.config else args.state
        above = (Above(("state",), "--state", state), *above)
    file = Path() if args.config is None else args.config
    return read_config(None if args.config is None else args.config.read_bytes(), file, above)


@contextmanager
def told(name: str) -> Iterator[None]:
    """Says what is wrong, a sentence a line, and ends the command with its status. Logs go to stderr."""
    from attest import Malformed
    from kbs.backup import BackupError
    from kbs.config import InvalidConfig
    from kbs.keys import KeyStoreError
    from kbs.logs import to_stderr
    from kbs.refusals import Refusal
    from kbs.store.failures import Unavailable
    from kbs.store.rollback import RolledBack
    from kbs.store.schema import SchemaMismatch

    to_stderr()
    status = 2
    try:
        yield
    except InvalidConfig as error:
        sentences = list(error.faults)
    except OSError as error:
        sentences = [f"{f'{error.filename}: ' if error.filename else ''}{error.strerror}"]
    except Unavailable as error:
        sentences = [f"the broker's database cannot be used: {error}"]
    except CommandError as error:
        status, sentences = error.status, [str(error)]
    except (BackupError, KeyStoreError, Malformed, Refusal, RolledBack, SchemaMismatch) as error:
        sentences = [str(error)]
    else:
        return
    for sentence in sentences:
        print(f"kbs {name}: {sentence}", file=sys.stderr)
    raise SystemExit(status)
