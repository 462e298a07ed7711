"""/dev/sev-guest: SNP reports on kernels without configfs-tsm.

A request that fails for any reason but two wipes the guest's message key, and the guest cannot ask again
until it reboots. So requests are spaced, and only the host's word for "your buffer is too small" is
followed by a second one. Source: Linux, include/uapi/linux/sev-guest.h, Documentation/virt/coco/sev-guest.rst
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attest.binding import equal
from attest.collect.deadline import within
from attest.collect.errors import CollectError, failure, of_os_error
from attest.collect.tsm import TsmReport, report_data_of

GET_REPORT = 0xC0205300
GET_EXT_REPORT = 0xC0205302
PAGE = 0x1000
MAX_CERTIFICATES = 0x4000
_FIRST = 2 * PAGE
INVALID_LEN, BUSY = 1, 2
"""What the hypervisor answers in the upper half of exitinfo2."""
_INVALID_PARAMETER = 0x16
_SECONDS = 75.0
"""Newer kernels repeat a busy request inside for up to a minute."""

Ioctl = Callable[[int, int, Any], int]
"""(descriptor, command, structure that is changed in place) → 0, or OSError."""


class GuestRequest(ctypes.Structure):
    """struct snp_guest_request_ioctl, 32 bytes."""

    _fields_ = (
        ("msg_version", ctypes.c_uint8),
        ("pad", ctypes.c_uint8 * 7),
        ("req_data", ctypes.c_uint64),
        ("resp_data", ctypes.c_uint64),
        ("exitinfo2", ctypes.c_uint64),
    )


class ReportRequest(ctypes.Structure):
    """struct snp_report_req, 96 bytes."""

    _fields_ = (
        ("user_data", ctypes.c_uint8 * 64),
        ("vmpl", ctypes.c_uint32),
        ("reserved", ctypes.c_uint8 * 28),
    )


class ExtendedRequest(ctypes.Structure):
    """struct snp_ext_report_req, 112 bytes."""

    _fields_ = (
        ("data", ReportRequest),
        ("certs_address", ctypes.c_uint64),
        ("certs_len", ctypes.c_uint32),
        ("pad", ctypes.c_uint32),
    )


class ReportResponse(ctypes.Structure):
    """struct snp_report_resp: 4000 bytes, the firmware's answer."""

    _fields_ = (
        ("status", ctypes.c_uint32),
        ("report_size", ctypes.c_uint32),
        ("reserved", ctypes.c_uint8 * 24),
        ("report", ctypes.c_uint8 * 3968),
    )


class Spacing:
    """At least `seconds` between two requests of this process, whoever asks."""

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._seconds, self._clock, self._sleep = seconds, clock, sleep
        self._next = float("-inf")
        self._lock = threading.Lock()

    def wait(self) -> None:
        with self._lock:
            now = self._clock()
            wait = self._next - now
            self._next = max(now, self._next) + self._seconds
        if wait > 0:
            self._sleep(wait)


SPACING = Spacing(2.0)


def fcntl_ioctl(descriptor: int, command: int, structure: Any) -> int:
    import fcntl

    return int(fcntl.ioctl(descriptor, command, structure, True))


def collect_report(
    device: Path,
    report_data: bytes,
    *,
    vmpl: int = 0,
    ioctl: Ioctl = fcntl_ioctl,
    spacing: Spacing = SPACING,
) -> TsmReport:
    """A report over these 64 bytes, with the host's certificates where it has any. Raises CollectError."""
    if len(report_data) != 64:
        raise failure("collect.bad-request", where=str(device), expected="64 bytes", found=len(report_data))
    return within(_SECONDS, str(device), lambda: _collect(device, report_data, vmpl, ioctl, spacing))


def _collect(device: Path, report_data: bytes, vmpl: int, ioctl: Ioctl, spacing: Spacing) -> TsmReport:
    try:
        descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise of_os_error(error, where=str(device), remedy=_OPEN.get(error.errno or 0)) from None
    try:
        asked = _Asked(descriptor, str(device), ioctl, spacing)
        report, certificates = asked.extended(report_data, vmpl)
    finally:
        os.close(descriptor)
    carried = report_data_of("snp", report)
    if not equal(carried, report_data):
        raise failure("collect.inconsistent", where="report_data", expected=report_data, found=carried)
    return TsmReport("snp", report, certificates)


_OPEN = {
    errno.EACCES: "run as root: the device belongs to root alone (mode 0600)",
    errno.ENOENT: "load the guest driver: modprobe sev-guest",
}


class _Asked:
    """Requests on one open device."""

    def __init__(self, descriptor: int, device: str, ioctl: Ioctl, spacing: Spacing) -> None:
        self._descriptor, self._device, self._ioctl, self._spacing = descriptor, device, ioctl, spacing

    def extended(self, report_data: bytes, vmpl: int) -> tuple[bytes, bytes]:
        """The report and the certificate table, which may be empty."""
        size = _FIRST  # VCEK, ASK and ARK as DER fit
        for _ in range(2):
            certificates = ctypes.create_string_buffer(size)
            request = ExtendedRequest(_request(report_data, vmpl), ctypes.addressof(certificates), size, 0)
            report, vmm_error = self._send(GET_EXT_REPORT, request)
            if report is not None:
                # The length that comes back is the host's; more than it was given it cannot have written.
                return report, certificates.raw[: min(int(request.certs_len), size)]
            needed = int(request.certs_len)
            if vmm_error != INVALID_LEN or needed % PAGE or not size < needed <= MAX_CERTIFICATES:
                break
            size = needed
        # The host's certificates do not fit: the report without them; they can be fetched from AMD.
        report, vmm_error = self._send(GET_REPORT, _request(report_data, vmpl))
        if report is None:
            raise failure("collect.failed", where=self._device, found=f"hypervisor error {vmm_error}")
        return report, b""

    def _send(self, command: int, request: Any) -> tuple[bytes | None, int]:
        """The report; or None and INVALID_LEN. Raises CollectError for everything else."""
        response = ReportResponse()
        message = GuestRequest(
            1, (ctypes.c_uint8 * 7)(), ctypes.addressof(request), ctypes.addressof(response), 0
        )
        self._spacing.wait()
        try:
            self._ioctl(self._descriptor, command, message)
        except OSError as error:
            vmm_error, firmware = int(message.exitinfo2) >> 32, int(message.exitinfo2) & 0xFFFFFFFF
            if error.errno == errno.EIO and vmm_error == INVALID_LEN:
                return None, vmm_error
            raise self._failed(error, vmm_error, firmware) from None
        if response.status == _INVALID_PARAMETER:
            raise failure("collect.bad-request", where=self._device, found="firmware: invalid parameter")
        size = int(response.report_size)
        if response.status or size > ctypes.sizeof(response.report):
            raise failure(
                "collect.inconsistent",
                where=self._device,
                expected="status 0",
                found=f"status {response.status:#x}, {size} bytes",
            )
        return bytes(response.report)[:size], 0

    def _failed(self, error: OSError, vmm_error: int, firmware: int) -> CollectError:
        if error.errno == errno.ENOTTY:
            return failure("collect.vmpck-disabled", where=self._device, found="ENOTTY")
        if vmm_error == BUSY:
            return failure("collect.busy", where=self._device, found="the hypervisor is busy")
        if error.errno == errno.EIO:
            return failure(
                "collect.failed",
                where=self._device,
                found=f"EIO: hypervisor error {vmm_error}, firmware error {firmware:#x}",
                remedy="the kernel has wiped the guest's message key: reboot the guest, and look at dmesg",
            )
        return of_os_error(error, where=self._device)


def _request(report_data: bytes, vmpl: int) -> ReportRequest:
    return ReportRequest((ctypes.c_uint8 * 64)(*report_data), vmpl, (ctypes.c_uint8 * 28)())
