"""/dev/tdx_guest at the seam of ioctl, and the quoting service over a socket of this host."""

from __future__ import annotations

import errno
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attest.collect.errors import CollectError
from attest.collect.quote_service import configured_port, quote_of, request
from attest.collect.tdx_device import GET_REPORT0, collect_td_report
from attest.simulator import Simulator
from tests.collect.kernel import error

DATA = bytes(range(64))


class Module:
    """The TDX module behind the device: a TDREPORT over what is in the argument."""

    def __init__(self, fails: int = 0, spoil: bool = False) -> None:
        self.fails, self.spoil = fails, spoil

    def __call__(self, descriptor: int, command: int, argument: Any) -> int:
        assert descriptor > 2
        assert command == GET_REPORT0
        assert len(argument) == 1088
        if self.fails:
            raise error(self.fails)
        data = bytes(64) if self.spoil else bytes(argument[:64])
        argument[64:] = td_report(data)
        return 0


def td_report(data: bytes) -> bytes:
    return (b"\x81".ljust(128, b"\0") + data).ljust(1024, b"\0")


@pytest.fixture
def device(tmp_path: Path) -> Path:
    file = tmp_path / "tdx_guest"
    file.touch()
    return file


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(CollectError) as failure:
        call()
    assert failure.value.problems[0].remedy
    return failure.value.code


def test_the_command_is_the_kernels() -> None:
    """_IOWR('T', 1, 64 + 1024 bytes)"""
    assert 3 << 30 | 1088 << 16 | ord("T") << 8 | 1 == GET_REPORT0


def test_a_td_report(device: Path) -> None:
    assert collect_td_report(device, DATA, ioctl=Module()) == td_report(DATA)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.EBUSY, "collect.busy"),
        (errno.EINVAL, "collect.bad-request"),
        (errno.ENOTTY, "collect.unsupported"),
        (errno.EIO, "collect.failed"),
    ],
)
def test_what_the_driver_says_has_a_code(device: Path, number: int, code: str) -> None:
    assert code_of(lambda: collect_td_report(device, DATA, ioctl=Module(number))) == code


def test_a_td_report_over_other_data_is_refused(device: Path) -> None:
    assert (
        code_of(lambda: collect_td_report(device, DATA, ioctl=Module(spoil=True))) == "collect.inconsistent"
    )


def test_no_device(tmp_path: Path) -> None:
    assert code_of(lambda: collect_td_report(tmp_path / "x", DATA, ioctl=Module())) == "collect.unsupported"


def test_report_data_are_64_bytes(device: Path) -> None:
    assert code_of(lambda: collect_td_report(device, DATA[:63], ioctl=Module())) == "collect.bad-request"


class Service:
    """The host's quoting service, one connection at a time. spoil: changes the answer's frame.
    minor: of the version it speaks."""

    def __init__(self, quote: Callable[[bytes], bytes]) -> None:
        self._quote = quote
        self.minor = 1
        self.error = 0
        self.selected = b""
        self.spoil: Callable[[bytes], bytes] = bytes
        self.asked: list[bytes] = []

    def connect(self) -> socket.socket:
        here, there = socket.socketpair(socket.AF_UNIX)
        threading.Thread(target=self._serve, args=(there,), daemon=True).start()
        return here

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            (size,) = struct.unpack(">I", connection.recv(4, socket.MSG_WAITALL))
            message = connection.recv(size, socket.MSG_WAITALL)
            self.asked.append(message)
            quote = b"" if self.error else self._quote(message[24:])
            body = struct.pack("<II", len(self.selected), len(quote)) + self.selected + quote
            answer = struct.pack("<HHIII", 1, self.minor, 1, 16 + len(body), self.error) + body
            connection.sendall(self.spoil(struct.pack(">I", len(answer)) + answer))


@pytest.fixture
def service(simulator: Simulator) -> Service:
    return Service(lambda report: simulator.tdx(report_data=report[128:192]).raw)


def test_a_quote_over_the_td_report(service: Service) -> None:
    quote = quote_of(td_report(DATA), service.connect)
    assert quote[568:632] == DATA
    (asked,) = service.asked
    assert struct.unpack("<HHIIIII", asked[:24]) == (1, 1, 0, 24 + 1024, 0, 1024, 0)
    assert request(td_report(DATA))[:4] == struct.pack(">I", 24 + 1024)


def test_an_older_service_answers_with_its_own_minor_version(service: Service) -> None:
    service.minor, service.selected = 0, bytes(16)
    assert quote_of(td_report(DATA), service.connect)[568:632] == DATA


def spoiled(offset: int, value: bytes) -> Callable[[bytes], bytes]:
    return lambda frame: frame[:offset] + value + frame[offset + len(value) :]


@pytest.mark.parametrize(
    "spoil",
    [
        spoiled(0, b"\xff\xff\xff\xff"),
        spoiled(0, b"\0\0\0\x08"),
        spoiled(4, b"\x02\0"),
        spoiled(8, b"\x03\0\0\0"),
        spoiled(12, b"\x01\0\0\0"),
        spoiled(20, b"\x01\0\0\0"),
        spoiled(24, b"\x01\0\0\0"),
        lambda frame: frame[:100],
        lambda frame: b"",
    ],
)
def test_a_broken_answer_is_refused(service: Service, spoil: Callable[[bytes], bytes]) -> None:
    service.spoil = spoil
    assert code_of(lambda: quote_of(td_report(DATA), service.connect)) == "collect.quote-service"


def test_the_services_own_error_is_shown(service: Service) -> None:
    service.error = 0x12002
    with pytest.raises(CollectError) as failure:
        quote_of(td_report(DATA), service.connect)
    assert failure.value.problems[0].found == "0x12002"


def test_a_quote_over_another_report_is_refused(simulator: Simulator) -> None:
    service = Service(lambda _: simulator.tdx(report_data=bytes(64)).raw)
    assert code_of(lambda: quote_of(td_report(DATA), service.connect)) == "collect.inconsistent"


def test_a_service_that_answers_a_byte_at_a_time_is_not_waited_for(service: Service) -> None:
    """The time is that of the whole answer, not of each byte."""
    moments = iter(range(0, 10_000, 10))

    class Dripping:
        def __init__(self) -> None:
            self.real, self.reads = service.connect(), 0

        def __enter__(self) -> Dripping:
            return self

        def __exit__(self, *_: object) -> None:
            self.real.close()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

        def recv(self, _: int) -> bytes:
            self.reads += 1
            return self.real.recv(1)

    dripping = Dripping()
    connect: Any = lambda: dripping  # noqa: E731
    clock = lambda: float(next(moments))  # noqa: E731
    assert code_of(lambda: quote_of(td_report(DATA), connect, clock=clock)) == "collect.timeout"
    assert dripping.reads == 2


def test_no_service(service: Service) -> None:
    def refuse() -> socket.socket:
        raise error(errno.ECONNREFUSED)

    assert code_of(lambda: quote_of(td_report(DATA), refuse)) == "collect.quote-service"


@pytest.mark.parametrize("text", ["port = 4050\n", "# a comment\n port=4050 \n#port = 1\n"])
def test_the_port_is_read_from_the_configuration(tmp_path: Path, text: str) -> None:
    (tmp_path / "conf").write_text(text)
    assert configured_port(tmp_path / "conf") == 4050


@pytest.mark.parametrize("text", ["", "port = x", "port = 0", "port = 1\nport = 2", "port = 9999999999"])
def test_no_port_or_several_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "conf").write_text(text)
    assert code_of(lambda: configured_port(tmp_path / "conf")) == "collect.unsupported"


def test_no_configuration_says_which_file_to_write(tmp_path: Path) -> None:
    with pytest.raises(CollectError) as failure:
        configured_port(tmp_path / "conf")
    assert "port = 4050" in (failure.value.problems[0].remedy or "")
