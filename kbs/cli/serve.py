"""`kbs serve`: guests and administrators over HTTP."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from kbs.cli.admin_client import CommandError
from kbs.cli.configured import add_place, read_place, told

if TYPE_CHECKING:
    from kbs.config import Config
    from kbs.observing.metrics import Listener, Metrics

_EPILOG = """\
examples:
  kbs serve --state kbs-state --endorsements endorsements
  kbs serve --config /etc/kbs/kbs.yaml

A configuration has every option and more: `kbs config show` prints the keys with what they mean, `kbs config
check FILE` looks at a file without serving. Options stand above what the file says."""

_IDLE_SECONDS = 100
"""How long a connection may wait for its next request. Guests' clients keep theirs for 90 seconds, use it again after the
machine made its evidence, and give up where it was closed meanwhile: a POST is not sent twice."""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "serve",
        help="serve guests and administrators",
        description="Serve guests (/kbs/v0) and administrators (/admin/v1) over HTTP or HTTPS.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_place(parser)
    parser.add_argument("--host", help="address to listen on; 127.0.0.1, this machine only, unless given")
    parser.add_argument("--port", type=_port, help="8080 unless given; 0 takes a free one")
    parser.add_argument(
        "--endorsements",
        metavar="DIR",
        help="a folder of certificates, CRLs, collateral, RIMs; read again on change",
    )
    parser.add_argument("--simulator-root", metavar="FILE", help="accept simulated machines under this root")
    parser.add_argument("--tls-cert", metavar="PEM", help="serve HTTPS with this certificate chain")
    parser.add_argument("--tls-key", metavar="PEM", help="the certificate's key, not encrypted")
    parser.add_argument(
        "--session-seconds",
        metavar="SECONDS",
        help="life of a challenge and its session; 300, the most, unless given",
    )
    parser.add_argument(
        "--deny-status",
        choices=("401", "403"),
        help="HTTP status of a guest whose machine does not conform; 403 unless given",
    )
    parser.set_defaults(run=run)


def _port(text: str) -> str:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("a port is 0 to 65535")
    return text


def run(args: argparse.Namespace) -> int:
    import uvicorn

    from kbs.http.app import create_app
    from kbs.http.server import ReadableProtocol, Server
    from kbs.logs import to_stderr
    from kbs.service import build, certificates

    with told("serve"):
        config = _config(args)
        to_stderr(config.log.format, config.log.level)
        tls = certificates(config)
        service = build(config)
        listening = _listen(config.listen.host, config.listen.port)
        metrics = _serve_metrics(config, service.metrics)
    app = create_app(
        service.broker,
        service.administration,
        service.store,
        service.readiness,
        service.metrics,
        None if config.console is None else timedelta(minutes=config.console.session_minutes),
        [str(one) for one in config.listen.proxies],
    )
    server = uvicorn.Config(
        app,
        proxy_headers=False,  # or whoever connects from this machine would choose his address
        http=ReadableProtocol,  # the same with whatever else is installed
        ws="none",
        lifespan="off",
        log_config=None,  # ours stands
        log_level="warning",
        access_log=False,  # paths name secrets
        server_header=False,
        ssl_context_factory=None if tls is None else lambda *_: tls.context,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=config.listen.finish_seconds,
    )
    scheme = "https" if tls else "http"
    host, port = listening.getsockname()[:2]
    if scheme == "http" and not ip_address(host).is_loopback:
        print(
            "kbs serve: WARNING: no TLS. Keys of administrators and secrets they put cross the network in "
            "clear, unless a proxy before this address ends TLS: --tls-cert and --tls-key",
            file=sys.stderr,
        )
    print(f"serving {scheme}://{_place(host, port)}", flush=True)
    if metrics is not None and config.metrics is not None:
        print(f"metrics http://{_place(config.metrics.host, metrics.port)}/metrics", flush=True)
    service.start()
    try:
        Server(server, service.readiness, config.listen.drain_seconds, tls).run(sockets=[listening])
    finally:
        if metrics is not None:
            metrics.stop()
        service.close()
    return 0


def _place(host: str, port: int) -> str:
    return f"{f'[{host}]' if ':' in host else host}:{port}"


def _serve_metrics(config: Config, metrics: Metrics | None) -> Listener | None:
    """Raises CommandError."""
    if metrics is None or config.metrics is None:
        return None
    try:
        return metrics.serve(config.metrics.host, config.metrics.port)
    except OSError as error:
        raise CommandError(2, f"cannot listen for metrics: {error.strerror}") from None


def _config(args: argparse.Namespace) -> Config:
    """The file's sections with what the options say above them. Raises InvalidConfig and CommandError."""
    from kbs.config import Above

    if bool(args.tls_cert) != bool(args.tls_key):
        raise CommandError(2, "TLS needs both --tls-cert and --tls-key")
    above = (Above(keys, option, value) for keys, option, value in _options(args) if value is not None)
    return read_place(args, *above)


def _options(args: argparse.Namespace) -> Iterator[tuple[tuple[str, ...], str, str | None]]:
    """Key of the configuration, option, and what was given. Paths count from here, not from the file."""
    paths = {
        "--endorsements": (("endorsements",), args.endorsements),
        "--simulator-root": (("simulator-root",), args.simulator_root),
        "--tls-cert": (("listen", "tls", "certificate"), args.tls_cert),
        "--tls-key": (("listen", "tls", "key"), args.tls_key),
    }
    for option, (keys, path) in paths.items():
        yield keys, option, os.path.abspath(path) if path and args.config else path
    yield ("listen", "host"), "--host", args.host
    yield ("listen", "port"), "--port", args.port
    yield ("guests", "session-seconds"), "--session-seconds", args.session_seconds
    yield ("guests", "deny-status"), "--deny-status", args.deny_status


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
