"""/dev/tdx_guest: a TD report on kernels without configfs-tsm.

A TD report is MACed for this processor only. It becomes evidence when the host's quoting service turns it
into a quote (`attest.collect.quote_service`). Source: Linux, include/uapi/linux/tdx-guest.h
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from attest.binding import equal
from attest.collect.deadline import within
from attest.collect.errors import failure, of_os_error
from attest.collect.snp_device import Ioctl, fcntl_ioctl

GET_REPORT0 = 0xC4405401
REPORT = 1024
_SECONDS = 10.0


def collect_td_report(device: Path, report_data: bytes, *, ioctl: Ioctl = fcntl_ioctl) -> bytes:
    """The 1024-byte TDREPORT over these 64 bytes. Raises CollectError."""
    if len(report_data) != 64:
        raise failure("collect.bad-request", where=str(device), expected="64 bytes", found=len(report_data))
    return within(_SECONDS, str(device), lambda: _collect(device, report_data, ioctl))


def _collect(device: Path, report_data: bytes, ioctl: Ioctl) -> bytes:
    try:
        descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        remedy = "load the guest driver: modprobe tdx-guest" if error.errno == errno.ENOENT else None
        raise of_os_error(error, where=str(device), remedy=remedy) from None
    argument = bytearray(report_data + bytes(REPORT))
    try:
        ioctl(descriptor, GET_REPORT0, argument)
    except OSError as error:
        if error.errno == errno.ENOTTY:
            raise failure(
                "collect.unsupported",
                where=str(device),
                found="ENOTTY",
                remedy="this driver speaks another version of the interface: use a kernel of 6.2 or newer",
            ) from None
        raise of_os_error(error, where=str(device)) from None
    finally:
        os.close(descriptor)
    report = bytes(argument[64:])
    if not equal(report[128:192], report_data):
        raise failure("collect.inconsistent", where="REPORTDATA", expected=report_data, found=report[128:192])
    return report
