"""`kbs clock`: what to do after a clock was wrong."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from kbs.cli.configured import add_place, read_place, told

if TYPE_CHECKING:
    from kbs.store.repository import Repository


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "clock",
        help="go on after a clock was wrong",
        description="A broker whose clock is behind the newest act in the database serves nobody: it would "
        "revive what had ended.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    accept = actions.add_parser(
        "accept",
        help="this machine's clock is right, the one that was ahead was wrong",
        description="Take this machine's clock for right although the database has seen a later time. Every "
        "guest attests again, and the audit trail says so. Set all replicas' clocks first.",
    )
    add_place(accept)
    accept.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    with told("clock accept"):
        _accept(args)
    return 0


def _accept(args: argparse.Namespace) -> None:
    from attest.claims import instant
    from kbs.clock import Clock
    from kbs.service import database_address
    from kbs.store.database import Store

    here = instant(Clock().here())

    def accept(tx: Repository) -> None:
        tx.sessions.forget_all()
        tx.releases.forget_all()
        tx.audit.append({"event": "clock-accepted", "at": here})

    store = Store.open(database_address(read_place(args)))
    store.write(accept)
    print(f"the time is {here}; guests attest again")
