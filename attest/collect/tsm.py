"""configfs-tsm: reports and quotes from a kernel of 6.7 or newer, the same way for every vendor.

An entry is made, the request written, the answer read, the entry removed. A store into a binary attribute
happens when the file is closed and its result is thrown away, so the write counter `generation` and the
report data inside the answer are the only proof that an answer is ours.
Source: Linux, Documentation/ABI/testing/configfs-tsm and drivers/virt/coco/guest/report.c
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from attest.binding import equal
from attest.collect.deadline import within
from attest.collect.errors import CollectError, failure, of_os_error

REPORT_DATA = 64
MAX_OUTBLOB = 64 << 10
MAX_AUXBLOB = 32 << 10
_MAX_TEXT = 4096
SNP_REPORT = 1184
_MIN_QUOTE = 1020
_ENTRY = "attest-"
"""What our entries' names begin with; `com.intel.dcap` is another library's and never touched."""

TOTAL_SECONDS = 60.0
_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
_RACES = 3

PROVIDERS = {"sev_guest": "snp", "sev-guest": "snp", "tdx_guest": "tdx"}


class Tsm(Protocol):
    """The four things the kernel offers. Each raises OSError as the kernel does."""

    def mkdir(self, entry: str) -> None: ...
    def rmdir(self, entry: str) -> None: ...

    def write(self, entry: str, attribute: str, data: bytes) -> None:
        """One open, one write, one close. What a binary attribute says of it is never seen."""
        ...

    def read(self, entry: str, attribute: str, limit: int) -> bytes:
        """The whole attribute; OSError EFBIG when there are more than `limit` bytes."""
        ...


class TsmDirectory:
    """The kernel's own tree. report: its folder `tsm/report`."""

    def __init__(self, report: Path) -> None:
        self._report = report

    def mkdir(self, entry: str) -> None:
        os.mkdir(self._report / entry, 0o700)

    def rmdir(self, entry: str) -> None:
        # Plain: the attributes inside belong to the kernel and go with the entry.
        os.rmdir(self._report / entry)

    def write(self, entry: str, attribute: str, data: bytes) -> None:
        descriptor = os.open(self._report / entry / attribute, os.O_WRONLY | os.O_CLOEXEC)
        try:
            if os.write(descriptor, data) != len(data):
                raise OSError(errno.EIO, "the attribute took only a part")
        finally:
            os.close(descriptor)

    def read(self, entry: str, attribute: str, limit: int) -> bytes:
        descriptor = os.open(self._report / entry / attribute, os.O_RDONLY | os.O_CLOEXEC)
        try:
            parts, size = [], 0
            while part := os.read(descriptor, limit + 1):
                parts.append(part)
                size += len(part)
                if size > limit:
                    raise OSError(errno.EFBIG, f"more than {limit} bytes")
            return b"".join(parts)
        finally:
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class TsmReport:
    """tee: snp or tdx. outblob: report or quote. auxblob: the host's certificate table, SNP only.
    manifest: of the service that answered, where one did. notes: what was found odd and is no error."""

    tee: str
    outblob: bytes
    auxblob: bytes = b""
    manifest: bytes = b""
    notes: tuple[str, ...] = ()


def collect_report(
    tsm: Tsm,
    report_data: bytes,
    *,
    service_provider: str | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    total: float = TOTAL_SECONDS,
) -> TsmReport:
    """A report or quote over these 64 bytes.

    service_provider: `svsm` to ask the service module above an SNP guest. A busy interface is asked again
    with growing pauses for `total` seconds, a lost race three times; nothing else is repeated.
    Raises CollectError.
    """
    if len(report_data) != REPORT_DATA:
        raise failure(
            "collect.bad-request", where="inblob", expected=f"{REPORT_DATA} bytes", found=len(report_data)
        )
    end = clock() + total
    pause, races = _PAUSE, 0
    while True:
        try:
            return within(
                max(0.1, end - clock()),
                "outblob",
                lambda: _ask(tsm, report_data, service_provider),
            )
        except CollectError as error:
            if error.code == "collect.race" and races < _RACES:
                races += 1
                continue
            if error.code != "collect.busy" or clock() + pause >= end:
                raise
        sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def provider_of(tsm: Tsm) -> str:
    """snp or tdx, by a fresh entry's `provider`. Raises CollectError."""

    def ask() -> str:
        with _entry(tsm) as entry:
            return _tee(entry)

    return within(TOTAL_SECONDS, "provider", ask)


@dataclass(slots=True)
class _Entry:
    """One entry of ours: reads and writes by attribute, and counts the writes."""

    tsm: Tsm
    name: str
    writes: int = 0

    def read(self, attribute: str, limit: int = _MAX_TEXT) -> bytes:
        try:
            return self.tsm.read(self.name, attribute, limit)
        except OSError as error:
            raise of_os_error(error, where=f"tsm/report {attribute}") from None

    def read_if_there(self, attribute: str, limit: int = _MAX_TEXT) -> bytes | None:
        try:
            return self.tsm.read(self.name, attribute, limit)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise of_os_error(error, where=f"tsm/report {attribute}") from None

    def write(self, attribute: str, data: bytes) -> None:
        try:
            self.tsm.write(self.name, attribute, data)
        except OSError as error:
            raise of_os_error(error, where=f"tsm/report {attribute}") from None
        self.writes += 1

    def number(self, attribute: str) -> int:
        text = self.read(attribute).strip()
        if not text.isdigit() or len(text) > 20:
            raise failure("collect.inconsistent", where=f"tsm/report {attribute}", expected="a number")
        return int(text)


@contextlib.contextmanager
def _entry(tsm: Tsm) -> Iterator[_Entry]:
    name = _ENTRY + secrets.token_hex(8)
    try:
        tsm.mkdir(name)
    except OSError as error:
        raise of_os_error(error, where="tsm/report") from None
    entry = _Entry(tsm, name)
    try:
        yield entry
    finally:
        # An entry that will not go is a name that stays behind; the answer is none the worse for it.
        with contextlib.suppress(OSError):
            tsm.rmdir(name)


def _tee(entry: _Entry) -> str:
    provider = entry.read("provider").strip().decode("ascii", "replace")
    tee = PROVIDERS.get(provider)
    if tee is None:
        raise failure(
            "collect.unsupported",
            message="The kernel's report provider is of a kind this verifier does not read",
            where="tsm/report provider",
            expected="sev_guest or tdx_guest",
            found=provider,
            remedy="use a machine with AMD SEV-SNP or Intel TDX",
        )
    return tee


def _ask(tsm: Tsm, report_data: bytes, service_provider: str | None) -> TsmReport:
    with _entry(tsm) as entry:
        tee = _tee(entry)
        start = entry.number("generation")
        if tee == "snp":
            _choose_privilege(entry, service_provider)
        elif service_provider is not None:
            raise failure("collect.bad-request", where="service_provider", expected="an SNP guest")
        entry.write("inblob", report_data)
        try:
            outblob = entry.read("outblob", MAX_OUTBLOB)
        except CollectError as error:
            # A store that was thrown away reads like a wrong request; the counter tells them apart.
            if error.code == "collect.bad-request":
                _check_generation(entry, start)
            raise
        auxblob = (entry.read_if_there("auxblob", MAX_AUXBLOB) or b"") if tee == "snp" else b""
        manifest = b""
        if service_provider is not None:
            manifest = entry.read_if_there("manifestblob", MAX_OUTBLOB) or b""
        _check_generation(entry, start)
        notes = _check_answer(tee, outblob, report_data, service_provider, manifest)
        return TsmReport(tee, outblob, auxblob, manifest, notes)


def _choose_privilege(entry: _Entry, service_provider: str | None) -> None:
    """The level asked with is 0 unless written, not the guest's own: below VMPL 0 that is refused."""
    if service_provider is not None:
        # The service answers at its own level, which is 0.
        entry.write("service_provider", service_provider.encode("ascii"))
        return
    if entry.read_if_there("privlevel_floor") is not None:
        entry.write("privlevel", str(entry.number("privlevel_floor")).encode("ascii"))


def _check_generation(entry: _Entry, start: int) -> None:
    found = entry.number("generation")
    if found != start + entry.writes:
        raise failure(
            "collect.race", where="tsm/report generation", expected=start + entry.writes, found=found
        )


def _check_answer(
    tee: str, outblob: bytes, report_data: bytes, service_provider: str | None, manifest: bytes
) -> tuple[str, ...]:
    carried = report_data_of(tee, outblob)
    if equal(carried, report_data):
        return ()
    if service_provider is not None:
        # How a service module joins request and manifest is its own rule; what we know of it refuses nothing.
        if equal(carried, hashlib.sha512(report_data + manifest).digest()):
            return (
                f"the service answered with its own report data: verify with --report-data {carried.hex()}",
            )
        return ("the service's report data could not be compared with the request",)
    raise failure("collect.inconsistent", where="report_data", expected=report_data, found=carried)


def report_data_of(tee: str, blob: bytes) -> bytes:
    """The 64 bytes of report data in an SNP report or a TDX quote; nothing else is looked at.

    Raises CollectError where the blob is no whole report or quote. Source: AMD 56860, ATTESTATION_REPORT; Intel
    TDX DCAP quoting library API, quote versions 4 and 5.
    """
    if tee == "snp":
        if len(blob) != SNP_REPORT:
            raise failure("collect.inconsistent", where="report", expected=SNP_REPORT, found=len(blob))
        return blob[0x50:0x90]
    # A quote of length 0 is what the kernel gives when the host reported an error.
    if len(blob) < _MIN_QUOTE:
        raise failure(
            "collect.inconsistent", where="quote", expected=f"≥ {_MIN_QUOTE} bytes", found=len(blob)
        )
    version = int.from_bytes(blob[:2], "little")
    if version == 4:
        return blob[568:632]
    if version == 5 and int.from_bytes(blob[48:50], "little") in (2, 3):
        return blob[574:638]
    raise failure(
        "collect.inconsistent", where="quote", expected="a TD quote of version 4 or 5", found=version
    )
