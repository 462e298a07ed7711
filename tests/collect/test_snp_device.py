"""/dev/sev-guest at the seam of ioctl: a firmware that answers, or does not, by the kernel's rules."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attest.collect.errors import CollectError
from attest.collect.snp_device import (
    GET_EXT_REPORT,
    GET_REPORT,
    ExtendedRequest,
    GuestRequest,
    ReportRequest,
    ReportResponse,
    Spacing,
    collect_report,
)
from attest.simulator import Simulator
from tests.collect.kernel import Clock, error

DATA = bytes(range(64))
TABLE = b"\x01" * 24 + b"the host's table"


class Firmware:
    """answers: what the next requests meet, in order: an errno with a hypervisor's word, a status, or a report."""

    def __init__(self, answer: Callable[[bytes, int], bytes], table: bytes = TABLE) -> None:
        self._answer, self.table = answer, table
        self.meets: list[tuple[int, int] | int] = []
        self.commands: list[int] = []
        self.needed = 0x3000
        self.wiped = False

    def __call__(self, descriptor: int, command: int, message: Any) -> int:
        assert descriptor > 2
        assert isinstance(message, GuestRequest)
        assert message.msg_version == 1
        self.commands.append(command)
        if self.wiped:
            raise error(errno.ENOTTY)
        extended = command == GET_EXT_REPORT
        address = int(message.req_data)
        request = ExtendedRequest.from_address(address) if extended else None
        plain = request.data if request is not None else ReportRequest.from_address(address)
        if request is not None:
            assert request.certs_len % 0x1000 == 0
            assert 0 < request.certs_len <= 0x4000
            if request.certs_len < len(self.table):
                request.certs_len = self.needed
                message.exitinfo2 = 1 << 32
                raise error(errno.EIO)
        response = ReportResponse.from_address(int(message.resp_data))
        meets = self.meets.pop(0) if self.meets else 0
        if isinstance(meets, tuple):
            number, vmm = meets
            message.exitinfo2 = vmm << 32
            self.wiped = vmm != 2
            raise error(number)
        if meets:
            response.status = meets
        report = self._answer(bytes(plain.user_data), plain.vmpl)
        response.report_size = len(report)
        ctypes.memmove(response.report, report, len(report))
        if request is not None:
            ctypes.memmove(int(request.certs_address), self.table, len(self.table))
            request.certs_len = len(self.table)
        return 0


@pytest.fixture
def firmware(simulator: Simulator) -> Firmware:
    return Firmware(lambda data, vmpl: simulator.snp(report_data=data, vmpl=vmpl).raw)


@pytest.fixture
def device(tmp_path: Path) -> Path:
    file = tmp_path / "sev-guest"
    file.touch()
    return file


def ask(device: Path, firmware: Firmware, clock: Clock | None = None, **keywords: Any) -> Any:
    clock = clock or Clock()
    return collect_report(device, DATA, ioctl=firmware, spacing=Spacing(2.0, clock, clock.sleep), **keywords)


def refused(device: Path, firmware: Firmware) -> str:
    with pytest.raises(CollectError) as failure:
        ask(device, firmware)
    assert failure.value.problems[0].remedy
    return failure.value.code


def test_the_structures_are_the_kernels() -> None:
    sizes = {GuestRequest: 32, ReportRequest: 96, ExtendedRequest: 112, ReportResponse: 4000}
    assert {kind: ctypes.sizeof(kind) for kind in sizes} == sizes
    assert (ExtendedRequest.certs_address.offset, ExtendedRequest.certs_len.offset) == (96, 104)
    assert (GuestRequest.req_data.offset, GuestRequest.exitinfo2.offset) == (8, 24)
    assert (ReportRequest.vmpl.offset, ReportResponse.report.offset) == (64, 32)
    # _IOWR('S', 0 and 2, 32 bytes)
    assert tuple(3 << 30 | 32 << 16 | ord("S") << 8 | n for n in (0, 2)) == (GET_REPORT, GET_EXT_REPORT)


def test_a_report_with_the_hosts_certificates_in_one_request(device: Path, firmware: Firmware) -> None:
    report = ask(device, firmware, vmpl=1)
    assert report.outblob[0x50:0x90] == DATA
    assert report.outblob[0x30] == 1
    assert report.auxblob == TABLE
    assert firmware.commands == [GET_EXT_REPORT]


def test_too_small_a_buffer_is_asked_once_more_with_the_size_that_was_told(
    device: Path, firmware: Firmware
) -> None:
    firmware.table = TABLE.ljust(0x2800, b"\0")
    assert ask(device, firmware).auxblob == firmware.table
    assert firmware.commands == [GET_EXT_REPORT] * 2


@pytest.mark.parametrize("needed", [0, 0x2001, 0x2000, 0x5000, 0xFFFFF000])
def test_a_size_that_cannot_be_gives_the_report_without_certificates(
    device: Path, firmware: Firmware, needed: int
) -> None:
    firmware.table = TABLE.ljust(0x2800, b"\0")
    firmware.needed = needed
    assert ask(device, firmware).auxblob == b""
    assert firmware.commands == [GET_EXT_REPORT, GET_REPORT]


def test_a_host_that_always_wants_more_is_not_asked_for_ever(device: Path, firmware: Firmware) -> None:
    firmware.table = TABLE.ljust(0x8000, b"\0")
    assert ask(device, firmware).auxblob == b""
    assert firmware.commands == [GET_EXT_REPORT, GET_EXT_REPORT, GET_REPORT]


def test_a_failure_is_never_followed_by_another_request(device: Path, firmware: Firmware) -> None:
    """It has wiped the message key; each further request would only find that out."""
    firmware.meets = [(errno.EIO, 0)]
    assert refused(device, firmware) == "collect.failed"
    assert len(firmware.commands) == 1
    assert refused(device, firmware) == "collect.vmpck-disabled"


@pytest.mark.parametrize(
    ("meets", "code"),
    [
        ((errno.EIO, 2), "collect.busy"),
        ((errno.ETIMEDOUT, 2), "collect.busy"),
        ((errno.ETIMEDOUT, 0), "collect.timeout"),
        ((errno.EINVAL, 0), "collect.bad-request"),
        (0x16, "collect.bad-request"),
        (0x27, "collect.inconsistent"),
    ],
)
def test_other_words_of_hypervisor_and_firmware(
    device: Path, firmware: Firmware, meets: tuple[int, int] | int, code: str
) -> None:
    firmware.meets = [meets]
    assert refused(device, firmware) == code
    assert len(firmware.commands) == 1


def test_a_report_over_other_data_is_refused(device: Path, simulator: Simulator) -> None:
    assert refused(device, Firmware(lambda *_: simulator.snp().raw)) == "collect.inconsistent"


def test_a_report_of_another_length_is_refused(device: Path) -> None:
    assert refused(device, Firmware(lambda *_: bytes(1000))) == "collect.inconsistent"


def test_requests_are_two_seconds_apart(device: Path, firmware: Firmware) -> None:
    clock = Clock()
    spacing = Spacing(2.0, clock, clock.sleep)
    for _ in range(3):
        collect_report(device, DATA, ioctl=firmware, spacing=spacing)
    assert clock.slept == [2.0, 2.0]


def test_no_device_names_its_module(tmp_path: Path, firmware: Firmware) -> None:
    with pytest.raises(CollectError) as failure:
        ask(tmp_path / "sev-guest", firmware)
    assert failure.value.code == "collect.unsupported"
    assert "modprobe sev-guest" in (failure.value.problems[0].remedy or "")
