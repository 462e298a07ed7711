"""`kbs serve`: guests and administrators over HTTP."""

from __future__ import annotations

import argparse
import socket
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kbs.cli.state import KEYS, database_url

if TYPE_CHECKING:
    from kbs.broker import Verification


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("serve", help="serve guests and administrators")
    parser.add_argument("--state", type=Path, required=True, metavar="DIR", help="as made by kbs init")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one")
    parser.add_argument(
        "--endorsements",
        type=Path,
        metavar="DIR",
        help="certificates, CRLs, collateral, RIMs; read on change",
    )
    parser.add_argument(
        "--simulator-root", type=Path, metavar="FILE", help="accept simulated machines under this root"
    )
    parser.add_argument("--tls-cert", type=Path, metavar="PEM")
    parser.add_argument("--tls-key", type=Path, metavar="PEM")
    parser.add_argument(
        "--session-seconds", type=int, default=300, help="life of a challenge and its session, at most 300"
    )
    parser.add_argument("--deny-status", type=int, choices=(401, 403), default=403)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    import uvicorn

    from attest import Malformed
    from kbs.administration import Administration
    from kbs.broker import Broker, Settings
    from kbs.http.app import create_app
    from kbs.http.server import ReadableProtocol
    from kbs.keys import KeyStoreError
    from kbs.keys.ring import KeyRing
    from kbs.store.database import SchemaMismatch, Store, migrate

    if bool(args.tls_cert) != bool(args.tls_key):
        print("kbs serve: TLS needs both --tls-cert and --tls-key", file=sys.stderr)
        return 2
    _log_to_stderr()
    try:
        keys = KeyRing.open(args.state / KEYS)
        migrate(database_url(args.state))
        store = Store.open(database_url(args.state))
        settings = Settings(session_seconds=args.session_seconds, deny_status=args.deny_status)
        broker = Broker(store, keys, _verification(args), settings)
        listening = socket.create_server((args.host, args.port))
    except (KeyStoreError, SchemaMismatch, Malformed, OSError, ValueError) as error:
        print(f"kbs serve: {error}", file=sys.stderr)
        return 2
    config = uvicorn.Config(
        create_app(broker, Administration(store, keys), store),
        http=ReadableProtocol,  # the same with whatever else is installed
        ws="none",
        log_level="warning",
        access_log=False,  # paths name secrets
        server_header=False,
        ssl_certfile=args.tls_cert,
        ssl_keyfile=args.tls_key,
        timeout_graceful_shutdown=int(timedelta(seconds=10).total_seconds()),
    )
    scheme = "https" if args.tls_cert else "http"
    host, port = listening.getsockname()[:2]
    print(f"serving {scheme}://{f'[{host}]' if ':' in host else host}:{port}", flush=True)
    uvicorn.Server(config).run(sockets=[listening])
    return 0


def _verification(args: argparse.Namespace) -> Verification:
    import structlog

    from attest import Anchors
    from kbs.broker import Verification
    from kbs.collateral import Folder, NoCollateral

    anchors = Anchors.production()
    if args.simulator_root:
        anchors = anchors.with_simulator(args.simulator_root.read_bytes())
        structlog.get_logger("kbs").warning(
            "SIMULATED machines are accepted: they prove nothing about hardware",
            root=str(args.simulator_root),
        )
    return Verification(anchors, Folder(args.endorsements) if args.endorsements else NoCollateral())


def _log_to_stderr() -> None:
    import structlog

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
