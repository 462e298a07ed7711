"""The host's quote generation service, over vsock: a TD report in, a quote out.

A frame is a 32-bit big-endian length and a message; the message is little-endian.
Source: Intel TDX DCAP, quote generation service messages (version 1.1; services of 1.0 answer with 1.0)
"""

from __future__ import annotations

import re
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

from attest.binding import equal
from attest.collect.errors import failure
from attest.collect.tsm import MAX_OUTBLOB, report_data_of

HOST = 2
"""The host's context identifier."""
SECONDS = 30.0
_REQUEST, _RESPONSE = 0, 1
_HEADER = struct.Struct("<HHIII")
_SIZES = struct.Struct("<II")
_PORT = re.compile(rb"^\s*port\s*=\s*([0-9]{1,10})\s*$", re.MULTILINE)
_MAX_CONFIGURATION = 4096

Connect = Callable[[], socket.socket]


def configured_port(configuration: Path) -> int:
    """The port in `/etc/tdx-attest.conf`. Raises CollectError where there is none."""
    try:
        with open(configuration, "rb") as stream:
            found = _PORT.findall(stream.read(_MAX_CONFIGURATION))
    except OSError as error:
        raise failure(
            "collect.unsupported",
            message="No quoting service is configured",
            where=str(configuration),
            found=error.strerror,
            remedy=f"write `port = 4050`, or the host's own port, into {configuration}; or use a kernel of 6.7 or "
            "newer, which needs no service in the guest",
        ) from None
    if len(found) != 1 or not 0 < int(found[0]) < 1 << 32:
        raise failure(
            "collect.unsupported",
            where=str(configuration),
            expected="one line `port = NUMBER`",
            found=len(found),
        )
    return int(found[0])


def vsock(port: int) -> Connect:
    """Connects to that port of the host."""

    def connect() -> socket.socket:
        connection = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        connection.settimeout(SECONDS)
        connection.connect((HOST, port))
        return connection

    return connect


def quote_of(td_report: bytes, connect: Connect, *, clock: Callable[[], float] = time.monotonic) -> bytes:
    """The quote over this TD report, checked to carry its report data. Raises CollectError."""
    try:
        with connect() as connection:
            end = clock() + SECONDS
            connection.settimeout(SECONDS)
            connection.sendall(request(td_report))

            def remaining() -> float:
                # Of the whole answer: a host that sends a byte now and then would hold us for days.
                if (left := end - clock()) <= 0:
                    raise TimeoutError
                return left

            (size,) = struct.unpack(">I", _exactly(connection, 4, remaining))
            if not _HEADER.size + _SIZES.size <= size <= MAX_OUTBLOB:
                raise failure("collect.quote-service", where="frame", expected=f"≤ {MAX_OUTBLOB}", found=size)
            answer = _exactly(connection, size, remaining)
    except TimeoutError:
        raise failure("collect.timeout", where="quoting service", expected=f"{SECONDS:.0f} s") from None
    except OSError as error:
        raise failure(
            "collect.quote-service", where="vsock", found=error.strerror or type(error).__name__
        ) from None
    quote = _quote(answer)
    carried = report_data_of("tdx", quote)
    if not equal(carried, td_report[128:192]):
        raise failure("collect.inconsistent", where="report_data", expected=td_report[128:192], found=carried)
    return quote


def request(td_report: bytes) -> bytes:
    """The framed request for a quote."""
    body = _SIZES.pack(len(td_report), 0) + td_report
    message = _HEADER.pack(1, 1, _REQUEST, _HEADER.size + len(body), 0) + body
    return struct.pack(">I", len(message)) + message


def _quote(message: bytes) -> bytes:
    major, _, kind, size, error = _HEADER.unpack_from(message)
    if major != 1 or kind != _RESPONSE or size != len(message):
        raise failure(
            "collect.quote-service",
            where="header",
            expected=f"version 1, type {_RESPONSE}, {len(message)} bytes",
            found=f"version {major}, type {kind}, {size} bytes",
        )
    if error:
        raise failure("collect.quote-service", where="error", found=f"{error:#x}")
    selected, length = _SIZES.unpack_from(message, _HEADER.size)
    start = _HEADER.size + _SIZES.size + selected
    if start + length != len(message):
        raise failure(
            "collect.quote-service", where="sizes", expected=len(message), found=f"{selected} and {length}"
        )
    return message[start:]


def _exactly(connection: socket.socket, size: int, remaining: Callable[[], float]) -> bytes:
    received = bytearray()
    while len(received) < size:
        connection.settimeout(remaining())
        part = connection.recv(min(size - len(received), 1 << 16))
        if not part:
            raise failure(
                "collect.quote-service",
                message="The quoting service ended its answer early",
                expected=f"{size} bytes",
                found=len(received),
            )
        received += part
    return bytes(received)
