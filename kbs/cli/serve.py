"""`kbs serve`: guests and administrators over HTTP."""

from __future__ import annotations

import argparse
import os
import socket
import ssl
import sys
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kbs.cli.admin_client import CommandError
from kbs.cli.state import DATABASE, KEYS, database_url

if TYPE_CHECKING:
    from kbs.broker import Verification


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "serve",
        help="serve guests and administrators",
        description="Serve guests (/kbs/v0) and administrators (/admin/v1) over HTTP or HTTPS.",
    )
    parser.add_argument("--state", type=Path, required=True, metavar="DIR", help="as made by kbs init")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; 127.0.0.1, this machine only, unless given"
    )
    parser.add_argument("--port", type=_port, default=8080, help="8080 unless given; 0 takes a free one")
    parser.add_argument(
        "--endorsements",
        type=Path,
        metavar="DIR",
        help="a folder of certificates, CRLs, collateral, RIMs; read again on change",
    )
    parser.add_argument(
        "--simulator-root", type=Path, metavar="FILE", help="accept simulated machines under this root"
    )
    parser.add_argument(
        "--tls-cert", type=Path, metavar="PEM", help="serve HTTPS with this certificate chain"
    )
    parser.add_argument("--tls-key", type=Path, metavar="PEM", help="the certificate's key, not encrypted")
    parser.add_argument(
        "--session-seconds",
        type=int,
        default=300,
        metavar="SECONDS",
        help="life of a challenge and its session, at most 300",
    )
    parser.add_argument(
        "--deny-status",
        type=int,
        choices=(401, 403),
        default=403,
        help="HTTP status of a guest whose machine does not conform; 403 unless given",
    )
    parser.set_defaults(run=run)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("a port is 0 to 65535")
    return int(text)


def run(args: argparse.Namespace) -> int:
    import uvicorn
    from sqlalchemy.exc import DatabaseError

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
        _look_at_files(args)
        keys = KeyRing.open(args.state / KEYS)
        migrate(database_url(args.state))
        store = Store.open(database_url(args.state))
        settings = Settings(session_seconds=args.session_seconds, deny_status=args.deny_status)
        broker = Broker(store, keys, _verification(args), settings)
        listening = _listen(args.host, args.port)
    except OSError as error:
        print(
            f"kbs serve: {f'{error.filename}: ' if error.filename else ''}{error.strerror}", file=sys.stderr
        )
        return 2
    except DatabaseError as error:
        print(f"kbs serve: the broker's database cannot be used: {error.orig}", file=sys.stderr)
        return 2
    except (CommandError, KeyStoreError, SchemaMismatch, Malformed, ValueError) as error:
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
    if scheme == "http" and not ip_address(host).is_loopback:
        print(
            "kbs serve: WARNING: no TLS. Keys of administrators and secrets they put cross the network in "
            "clear, unless a proxy before this address ends TLS: --tls-cert and --tls-key",
            file=sys.stderr,
        )
    print(f"serving {scheme}://{f'[{host}]' if ':' in host else host}:{port}", flush=True)
    uvicorn.Server(config).run(sockets=[listening])
    return 0


def _look_at_files(args: argparse.Namespace) -> None:
    """Raises CommandError for a path that holds nothing of what it should."""
    if not (args.state / DATABASE).is_file():
        raise CommandError(2, f"there is no broker in {args.state}: make one, kbs init --state {args.state}")
    if args.endorsements and not args.endorsements.is_dir():
        raise CommandError(
            2, f"{args.endorsements}: no such folder; make it and put CRLs, collateral, RIMs there"
        )
    if not args.tls_cert:
        return
    for file in (args.tls_cert, args.tls_key):
        if not os.access(file, os.R_OK) or not file.is_file():
            raise CommandError(2, f"{file}: no such file, or not readable")
    try:
        # The password is asked for on a terminal otherwise, which a service has not.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(args.tls_cert, args.tls_key, lambda: b"")
    except (ssl.SSLError, OSError, ValueError):
        raise CommandError(
            2,
            f"{args.tls_cert} and {args.tls_key} are no certificate chain and its key, both PEM, not encrypted",
        ) from None


def _listen(host: str, port: int) -> socket.socket:
    """Raises CommandError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except UnicodeError:
        raise CommandError(2, f"{host} is no address to listen on") from None
    except OSError as error:
        number = error.errno or 0  # negative where a name does not resolve
        cause = os.strerror(number) if number > 0 else "no such address"
        raise CommandError(2, f"cannot listen on {host} port {port}: {cause}") from None


def _verification(args: argparse.Namespace) -> Verification:
    import structlog

    from attest import Anchors, Malformed
    from kbs.broker import Verification
    from kbs.collateral import Folder, NoCollateral

    anchors = Anchors.production()
    if args.simulator_root:
        try:
            anchors = anchors.with_simulator(args.simulator_root.read_bytes())
        except Malformed:
            # A file named by mistake may be a secret: nothing of it is quoted where logs are kept (T-CT).
            raise CommandError(
                2, f"--simulator-root {args.simulator_root}: not certificates in PEM"
            ) from None
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
