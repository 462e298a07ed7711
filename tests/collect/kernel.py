"""A configfs-tsm with the kernel's own rules, in memory. Source: Linux, drivers/virt/coco/guest/report.c and
fs/configfs/file.c: where other fakes are kinder, the kernel is followed."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from attest.simulator import Simulator

SVSM_MANIFEST = b"simulated service manifest"


@dataclass
class Request:
    """What the driver sees of one entry."""

    inblob: bytes = b""
    privlevel: int = 0
    service_provider: str = ""
    generation: int = 0
    answered: int = -1
    outblob: bytes = b""


@dataclass
class KernelTsm:
    """provider: None where no guest driver is loaded. floor: the guest's own VMPL. answer: 64 bytes and the
    privilege level → report or quote.

    Hooks of the tests: dropped: so many stores of inblob fail, which nobody is told. busy: so many reads of
    outblob find the interface busy. second_writer: so many answers are preceded by another's write. before:
    called before an answer is made. fails: attribute → what its next reads or writes say.
    """

    provider: str | None
    answer: Callable[[bytes, int], bytes]
    floor: int = 0
    auxblob: bytes = b""
    dropped: int = 0
    busy: int = 0
    second_writer: int = 0
    before: Callable[[], None] = lambda: None
    fails: dict[str, int] = field(default_factory=dict)
    entries: dict[str, Request] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    writes: list[tuple[str, bytes]] = field(default_factory=list)

    def mkdir(self, entry: str) -> None:
        self._fail("mkdir")
        if self.provider is None:
            raise error(errno.ENXIO)
        if entry in self.entries:
            raise error(errno.EEXIST)
        self.entries[entry] = Request()
        self.made.append(entry)

    def rmdir(self, entry: str) -> None:
        if entry not in self.entries:
            raise error(errno.ENOENT)
        del self.entries[entry]

    def attributes(self) -> set[str]:
        names = {"inblob", "outblob", "provider", "generation"}
        if self.provider == "sev_guest":
            names |= {"auxblob", "privlevel", "privlevel_floor"}
            if self.floor:
                names |= {"manifestblob", "service_provider", "service_guid", "service_manifest_version"}
        return names

    def write(self, entry: str, attribute: str, data: bytes) -> None:
        request = self._entry(entry, attribute)
        self._fail(attribute)
        self.writes.append((attribute, data))
        if attribute == "inblob":
            if len(data) > 64:
                raise error(errno.EFBIG)
            # The store happens at close, and what it says is thrown away.
            if self.dropped:
                self.dropped -= 1
                return
            request.inblob = data
        elif attribute == "privlevel":
            try:
                level = int(data.decode("ascii"), 0)
            except ValueError:
                raise error(errno.EINVAL) from None
            if not self.floor <= level <= 3:
                raise error(errno.EINVAL)
            request.privlevel = level
        elif attribute == "service_provider":
            if data != b"svsm":
                raise error(errno.EINVAL)
            request.service_provider = "svsm"
        else:
            raise error(errno.EACCES)
        request.generation += 1

    def read(self, entry: str, attribute: str, limit: int) -> bytes:
        request = self._entry(entry, attribute)
        self._fail(attribute)
        data = self._value(request, attribute)
        if len(data) > limit:
            raise error(errno.EFBIG)
        return data

    def _value(self, request: Request, attribute: str) -> bytes:
        if self.provider is None:
            raise error(errno.ENXIO)
        if attribute == "provider":
            return self.provider.encode() + b"\n"
        if attribute == "generation":
            return b"%d\n" % request.generation
        if attribute == "privlevel_floor":
            return b"%d\n" % self.floor
        if attribute not in ("outblob", "auxblob", "manifestblob"):
            raise error(errno.EACCES)
        if not request.inblob:
            raise error(errno.EINVAL)
        if request.answered != request.generation:
            self._answer(request)
        if attribute == "outblob":
            return request.outblob
        return self.auxblob if attribute == "auxblob" else SVSM_MANIFEST

    def _answer(self, request: Request) -> None:
        if self.second_writer:
            self.second_writer -= 1
            request.inblob = bytes(63) + b"\1"
            request.generation += 1
        if self.busy:
            self.busy -= 1
            raise error(errno.EBUSY)
        if len(request.inblob) != 64:
            raise error(errno.EINVAL)
        if not request.service_provider and request.privlevel < self.floor:
            raise error(errno.EINVAL)
        self.before()
        request.outblob = self.answer(request.inblob, request.privlevel)
        request.answered = request.generation

    def _entry(self, entry: str, attribute: str) -> Request:
        if entry not in self.entries or attribute not in self.attributes():
            raise error(errno.ENOENT)
        return self.entries[entry]

    def _fail(self, what: str) -> None:
        if what in self.fails:
            raise error(self.fails[what])


def error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def snp_kernel(simulator: Simulator, **hooks: object) -> KernelTsm:
    """An SNP guest of the simulator behind the kernel's interface."""

    def answer(report_data: bytes, vmpl: int) -> bytes:
        return simulator.snp(report_data=report_data, vmpl=vmpl).raw

    return KernelTsm("sev_guest", answer, **hooks)  # type: ignore[arg-type]


def tdx_kernel(simulator: Simulator, **hooks: object) -> KernelTsm:
    def answer(report_data: bytes, _: int) -> bytes:
        return simulator.tdx(report_data=report_data).raw

    return KernelTsm("tdx_guest", answer, **hooks)  # type: ignore[arg-type]


@dataclass
class Clock:
    """Time that passes only while somebody sleeps."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def certificate_table(values: dict[str, bytes]) -> bytes:
    """The host's table: GUID in the order of its text, offset, length; zeros; the values."""

    def rows() -> Iterator[bytes]:
        offset = 24 * (len(values) + 1)
        for guid, value in values.items():
            yield (
                bytes.fromhex(guid.replace("-", ""))
                + offset.to_bytes(4, "little")
                + len(value).to_bytes(4, "little")
            )
            offset += len(value)
        yield bytes(24)

    return b"".join(rows()) + b"".join(values.values())
