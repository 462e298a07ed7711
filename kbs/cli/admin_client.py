"""What the administration commands share: the broker's address, the key, and one way to ask."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

DEFAULT_URL = "http://127.0.0.1:8080"
URL_HELP = f"the broker's address; KBS_URL otherwise, or else {DEFAULT_URL}"
_THIS_MACHINE = ("127.0.0.1", "::1", "localhost")
_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 3.2)
"""Seconds between tries while a broker of this machine starts."""


class CommandError(Exception):
    """status: the command's exit status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def add_connection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", default=os.environ.get("KBS_URL", DEFAULT_URL), help=URL_HELP)
    parser.add_argument(
        "--key-file", type=Path, metavar="FILE", help="the administration key; KBS_ADMIN_KEY otherwise"
    )
    parser.add_argument("--ca", type=Path, metavar="PEM", help="accept only this CA's certificates")
    parser.add_argument(
        "--allow-http", action="store_true", help="send key and secrets in clear to another machine"
    )
    parser.add_argument("--json", action="store_true", help="print the broker's answer as it is")


def ask(args: argparse.Namespace, method: str, path: str, **request: Any) -> Any:
    """The JSON that the broker answers with. Raises CommandError."""
    import httpx

    from attest.untrusted import escape

    require_tls(args)
    headers = {"authorization": f"Bearer {_key(args)}"}
    try:
        with httpx.Client(verify=tls(args.ca), trust_env=False, timeout=60.0) as http:
            url = f"{args.url.rstrip('/')}/admin/v1/{path}"
            response = _asked(http, args.url, method, url, headers=headers, **request)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CommandError(3, f"no broker answers at {args.url}: {type(error).__name__}") from None
    try:
        answer = response.json()
    except ValueError:
        raise CommandError(3, f"{args.url} does not answer as a broker does") from None
    if response.status_code == 401:
        origin = args.key_file or "KBS_ADMIN_KEY"
        raise CommandError(
            1, f"wrong key: the broker at {args.url} does not know the one in {origin}, or it has ended"
        )
    if not response.is_success:
        detail = answer.get("detail", "refused") if isinstance(answer, dict) else "refused"
        raise CommandError(1, escape(str(detail), 2000))
    return answer


def _asked(http: Any, broker: str, method: str, url: str, **request: Any) -> Any:
    """httpx's response. A broker of this machine that was started a moment ago is waited for: what is not connected was
    not asked, so asking again does nothing twice. Raises httpx.HTTPError, httpx.InvalidURL."""
    import httpx

    pauses = iter(_PAUSES if httpx.URL(url).host in _THIS_MACHINE else ())
    waited = False
    while True:
        try:
            return http.request(method, url, **request)
        except httpx.ConnectError:
            pause = next(pauses, None)
            if pause is None:
                raise
        if not waited:
            print(f"waiting for a broker at {broker}", file=sys.stderr)
            waited = True
        time.sleep(pause)


def require_tls(args: argparse.Namespace) -> None:
    """Raises CommandError for what is no URL, and for plain HTTP to another machine, unless asked for."""
    from urllib.parse import urlsplit

    try:
        address = urlsplit(args.url)
        right = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:  # a port that is no number, brackets that do not close
        right = False
    if not right:
        raise CommandError(2, f"{args.url} is not a URL: --url and KBS_URL take https://HOST:PORT")
    if address.scheme == "https" or args.allow_http or address.hostname in _THIS_MACHINE:
        return
    raise CommandError(2, "without TLS nobody knows who answers, or reads along: use https, or --allow-http")


def tls(ca: Path | None) -> Any:
    """What httpx verifies servers with: the system's CAs, or `ca` alone."""
    import ssl

    if ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(ca))
    except (OSError, ssl.SSLError) as error:
        raise CommandError(2, f"{ca}: {error}") from None


def command(name: str, act: Callable[[argparse.Namespace], None]) -> Callable[[argparse.Namespace], int]:
    """`act` with its errors as exit statuses."""

    def run(args: argparse.Namespace) -> int:
        try:
            act(args)
        except CommandError as error:
            print(f"kbs {name}: {error}", file=sys.stderr)
            return error.status
        return 0

    return run


def read_input(file: Path, limit: int) -> bytes:
    """A file's bytes, `-` for standard input. Raises CommandError."""
    try:
        if str(file) == "-":
            content = sys.stdin.buffer.read(limit + 1)
        else:
            with file.open("rb") as stream:
                content = stream.read(limit + 1)
    except OSError as error:
        raise CommandError(2, f"{file}: {error.strerror}") from None
    if len(content) > limit:
        raise CommandError(2, f"{file} is larger than {limit} bytes")
    return content


def _key(args: argparse.Namespace) -> str:
    if args.key_file:
        key = read_input(args.key_file, 4096).decode("ascii", "replace").strip()
    else:
        key = os.environ.get("KBS_ADMIN_KEY", "").strip()
    if not key or not key.isascii():
        raise CommandError(2, "no administration key: give --key-file or set KBS_ADMIN_KEY")
    return key
