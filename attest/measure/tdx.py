"""The registers of a TD whose kernel QEMU starts directly: what can be computed, and what is left out and why.

MRTD follows from the firmware alone. RTMR0 needs the machine's memory and its ACPI tables, RTMR1 the
kernel, RTMR2 command line and initrd. A boot from a disk (shim, GRUB) fills RTMR1 and RTMR2 from the disk,
which is not read here: `attest.measure.template` takes such events from a log.
Source: TCG PC Client Platform Firmware Profile, events; edk2, OvmfPkg/Tcg/TdTcg2Dxe; Linux, drivers/firmware/
efi/libstub, measurement of initrd and load options.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from attest.eventlog.replay import extend_all
from attest.eventlog.tie import Variable, load_options
from attest.measure.authenticode import authenticode_sha384
from attest.measure.linux_boot import LOW_MEMORY_SPLIT, InitrdArgument, LinuxBoot, patched_kernel
from attest.measure.mrtd import PageOrder, mrtd
from attest.measure.td_hob import td_hob
from attest.measure.tdvf import CFV, PAYLOAD, Tdvf

SetupHeader = Literal["qemu", "file"]
Edk2 = Literal["before-202505", "later"]
MAX_MEMORY = 1 << 46

_GLOBAL = UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")
_IMAGE_SECURITY = UUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f")
_UI_APP_VOLUME = UUID("7cb8bdc9-f8eb-4f34-aaea-3ee4af6516a1")
_UI_APP = UUID("462caa21-7614-4503-836e-8ab6f4662331")
SEPARATOR = bytes(4)
_ACTIONS = (
    b"Calling EFI Application from Boot Option",
    b"Exit Boot Services Invocation",
    b"Exit Boot Services Returned with Success",
)


def digest_of(data: bytes) -> bytes:
    return hashlib.sha384(data).digest()


UNENROLLED = tuple(
    (f"{name}, not enrolled", digest_of(Variable(guid.bytes_le, name, b"").encode()))
    for guid, name in (
        (_GLOBAL, "SecureBoot"),
        (_GLOBAL, "PK"),
        (_GLOBAL, "KEK"),
        (_IMAGE_SECURITY, "db"),
        (_IMAGE_SECURITY, "dbx"),
    )
)
"""The Secure Boot variables of a firmware into which nobody enrolled a key."""
CONSTANT = frozenset(map(digest_of, (SEPARATOR, *_ACTIONS))) | {digest for _, digest in UNENROLLED}
"""Digests that say the same on every machine."""


@dataclass(frozen=True, slots=True)
class AcpiTables:
    """QEMU's fw_cfg files, as a guest reads them below /sys/firmware/qemu_fw_cfg/by_name.

    loader: etc/table-loader. rsdp: etc/acpi/rsdp. tables: etc/acpi/tables.
    """

    loader: bytes
    rsdp: bytes
    tables: bytes


@dataclass(frozen=True, slots=True)
class TdxLaunch:
    """One TD's launch under QEMU, machine q35.

    memory: bytes. page_order: how the VMM adds the first pages. setup_header: `qemu` where QEMU rewrites the
    kernel's setup header (before 10.2), `file` where the kernel is measured as it is. edk2: the firmware's
    release; the events of RTMR0 are known for those before 202505.
    """

    firmware: bytes
    memory: int | None = None
    acpi: AcpiTables | None = None
    boot: LinuxBoot | None = None
    page_order: PageOrder = "page"
    setup_header: SetupHeader = "qemu"
    initrd_argument: InitrdArgument = "after"
    edk2: Edk2 = "before-202505"

    def __post_init__(self) -> None:
        if self.memory is not None and not (
            0x0100_0000 <= self.memory <= MAX_MEMORY and self.memory % 4096 == 0
        ):
            raise ValueError("memory is 16 MiB or more, whole pages")


@dataclass(frozen=True, slots=True)
class Register:
    """name: mrtd, rtmr0, rtmr1, rtmr2. value: 48 bytes, None where it was not computed, and `why` says so.
    events: what each digest is of, in order; without any for MRTD. observed: events whose digests were taken
    from a machine's log, not computed."""

    name: str
    value: bytes | None
    events: tuple[tuple[str, bytes], ...] = ()
    why: str | None = None
    observed: tuple[str, ...] = ()


def registers(launch: TdxLaunch) -> tuple[Register, ...]:
    """MRTD and RTMR0 to 2, each with its value or the reason why it has none.

    Raises Malformed (`measure.firmware`, `measure.tdvf-metadata`, `measure.kernel`) for files that are not
    what they should be, ValueError for a machine that cannot hold them.
    """
    tdvf = Tdvf.parse(launch.firmware)
    return (
        Register("mrtd", mrtd(tdvf, launch.page_order)),
        _rtmr0(tdvf, launch),
        _rtmr1(launch),
        _rtmr2(launch),
    )


# -- RTMR0: configuration ---------------------------------------------------------------------------


def _rtmr0(tdvf: Tdvf, launch: TdxLaunch) -> Register:
    if launch.edk2 != "before-202505":
        return _left_out("rtmr0", "its events in firmware of edk2-stable202505 and later are not computed")
    if any(section.type == PAYLOAD for section in tdvf.sections):
        return _left_out("rtmr0", "this is no OVMF: a td-shim measures other events")
    volume = tdvf.only(CFV)
    if volume is None:
        return _left_out("rtmr0", "the firmware has no configuration volume, so it is no OVMF")
    if launch.boot is None:
        return _left_out("rtmr0", "the boot entries of a machine that boots from a disk are on that machine")
    if launch.memory is None:
        return _left_out("rtmr0", "the TD HOB depends on the machine's memory: give --memory")
    if launch.acpi is None:
        return _left_out(
            "rtmr0", "the ACPI tables depend on QEMU's version and devices: give the three files of --acpi"
        )
    return _extended(
        "rtmr0",
        (
            ("TD HOB", digest_of(td_hob(tdvf, launch.memory))),
            ("configuration firmware volume", digest_of(volume.data)),
            *UNENROLLED,
            ("separator", digest_of(SEPARATOR)),
            *acpi_digests(launch.acpi),
            ("BootOrder", digest_of(bytes(2))),
            ("Boot0000, UiApp", digest_of(_ui_app())),
        ),
    )


def acpi_digests(acpi: AcpiTables) -> tuple[tuple[str, bytes], ...]:
    """In the order of measuring."""
    return (
        ("ACPI table loader", digest_of(acpi.loader)),
        ("ACPI RSDP", digest_of(acpi.rsdp)),
        ("ACPI tables", digest_of(acpi.tables)),
    )


def _ui_app() -> bytes:
    """EFI_LOAD_OPTION of OVMF's own boot menu: active, hidden, category application."""
    path = (
        b"\x04\x07\x14\0" + _UI_APP_VOLUME.bytes_le
        + b"\x04\x06\x14\0" + _UI_APP.bytes_le
        + b"\x7f\xff\x04\0"
    )  # fmt: skip
    head = (0x109).to_bytes(4, "little") + len(path).to_bytes(2, "little")
    return head + "UiApp\0".encode("utf-16-le") + path


# -- RTMR1 and RTMR2: the kernel and what it was given ------------------------------------------------


def _rtmr1(launch: TdxLaunch) -> Register:
    if launch.boot is None:
        return _left_out("rtmr1", "without --kernel the firmware boots from a disk, which is not read")
    kernel = kernel_digest(launch)
    if kernel is None:
        return _left_out(
            "rtmr1", "QEMU before 10.2 writes the initrd's address into the kernel: give --memory"
        )
    events = [("kernel, Authenticode", kernel), ("boot attempt", digest_of(_ACTIONS[0]))]
    events += [("separator", digest_of(SEPARATOR))]
    events += [("exit boot services", digest_of(_ACTIONS[1])), ("and its return", digest_of(_ACTIONS[2]))]
    return _extended("rtmr1", events)


def kernel_digest(launch: TdxLaunch) -> bytes | None:
    """What the firmware measures of the kernel; None where that depends on memory that is not given.

    Raises Malformed (`measure.kernel`).
    """
    assert launch.boot is not None
    if launch.setup_header == "file":
        return authenticode_sha384(launch.boot.kernel)
    if launch.memory is None and launch.boot.initrd is not None:
        return None
    memory = LOW_MEMORY_SPLIT if launch.memory is None else launch.memory
    return authenticode_sha384(patched_kernel(launch.boot, memory))


def _rtmr2(launch: TdxLaunch) -> Register:
    if launch.boot is None:
        return _left_out("rtmr2", "without --kernel the firmware boots from a disk, which is not read")
    events = stub_digests(launch)
    if not events:
        return _left_out("rtmr2", "without a command line and an initrd nothing is measured into it")
    return _extended("rtmr2", events)


def stub_digests(launch: TdxLaunch) -> tuple[tuple[str, bytes], ...]:
    """What the kernel's EFI stub measures: load options, then the initrd."""
    assert launch.boot is not None
    options = launch.boot.load_options(launch.initrd_argument)
    events = [("command line, load options", digest_of(load_options(options)))] if options else []
    if launch.boot.initrd is not None:
        events.append(("initrd", digest_of(launch.boot.initrd)))
    return tuple(events)


def _left_out(name: str, why: str) -> Register:
    return Register(name, None, why=why)


def _extended(name: str, events: Iterable[tuple[str, bytes]]) -> Register:
    digests = tuple(events)
    return Register(name, extend_all(digest for _, digest in digests), digests)
