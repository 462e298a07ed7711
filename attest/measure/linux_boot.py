"""A kernel started by the VMM itself, and what QEMU and the firmware make of it before it is measured.

Source: Linux, Documentation/arch/x86/boot.rst; QEMU, hw/i386/x86-common.c, x86_load_linux; edk2,
OvmfPkg/Library/GenericQemuLoadImageLib.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from attest.errors import Malformed
from attest.problems import malformed

_LOADER_QEMU = 0xB0
_CAN_USE_HEAP = 0x80
_LOADED_HIGH = 0x01
_CAN_BE_LOADED_ABOVE_4G = 0x02
_REAL_MODE = 0x10000
_COMMAND_LINE = 0x20000
_ACPI_DATA = 0x28000
"""What QEMU keeps free below the end of low memory for ACPI data."""
LOW_MEMORY_SPLIT = 0xB000_0000
LOW_MEMORY = 0x8000_0000
"""The q35 machine keeps 2 GiB below 4 GiB once memory reaches 2.75 GiB, and all of it before."""

InitrdArgument = Literal["after", "before", "none"]


@dataclass(frozen=True, slots=True)
class LinuxBoot:
    """A direct kernel boot: QEMU's -kernel, -initrd and -append.

    kernel: the bzImage. initrd: None without one. append: the command line, without NUL.
    """

    kernel: bytes
    initrd: bytes | None = None
    append: str = ""

    def __post_init__(self) -> None:
        if "\0" in self.append:
            raise ValueError("a command line holds no NUL")
        try:
            self.append.encode()
        except UnicodeEncodeError:
            raise ValueError("the command line is not UTF-8") from None

    def load_options(self, initrd_argument: InitrdArgument) -> str:
        """The text that the firmware hands to the kernel's EFI stub.

        initrd_argument: where the firmware puts `initrd=initrd` when there is an initrd: after the command
        line (edk2 before 2025), before it (later), or nowhere.
        """
        if self.initrd is None or initrd_argument == "none":
            return self.append
        if initrd_argument == "before":
            return f"initrd=initrd {self.append}"
        return f"{self.append} initrd=initrd"


def patched_kernel(boot: LinuxBoot, memory: int) -> bytes:
    """The kernel with the setup header as QEMU before 10.2 rewrites it, also for a TD.

    memory: of the machine, bytes. The initrd's address depends on it below 2.75 GiB.
    Raises Malformed (`measure.kernel`).
    """
    kernel = bytearray(boot.kernel)
    if len(kernel) < 0x1000 or kernel[0x202:0x206] != b"HdrS":
        raise _wrong("The kernel is no bzImage: it has no setup header")
    protocol = int.from_bytes(kernel[0x206:0x208], "little")
    if protocol < 0x0203 or not kernel[0x211] & _LOADED_HIGH:
        raise _wrong(f"The kernel's boot protocol {protocol >> 8}.{protocol & 0xFF:02} is too old")
    if "vga=" in boot.append:
        raise _wrong("QEMU writes vga= of the command line into the kernel: not computed here")
    limit = _initrd_limit(kernel, protocol)
    kernel[0x210] = _LOADER_QEMU
    kernel[0x211] |= _CAN_USE_HEAP
    kernel[0x224:0x226] = (_COMMAND_LINE - _REAL_MODE - 0x200).to_bytes(2, "little")
    kernel[0x228:0x22C] = _COMMAND_LINE.to_bytes(4, "little")
    if boot.initrd is not None:
        low = LOW_MEMORY if memory >= LOW_MEMORY_SPLIT else memory
        limit = min(limit, low - _ACPI_DATA - 1)
        size = len(boot.initrd)
        if size >= limit:
            raise _wrong(f"The initrd of {size} bytes does not fit into the machine's low memory")
        kernel[0x218:0x21C] = ((limit - size) & ~0xFFF).to_bytes(4, "little")
        kernel[0x21C:0x220] = size.to_bytes(4, "little")
    return bytes(kernel)


def _initrd_limit(kernel: bytes | bytearray, protocol: int) -> int:
    """The highest address that an initrd may reach, by the kernel's own word."""
    if protocol >= 0x020C and int.from_bytes(kernel[0x236:0x238], "little") & _CAN_BE_LOADED_ABOVE_4G:
        return 0xFFFF_FFFF
    return int.from_bytes(kernel[0x22C:0x230], "little")


def _wrong(message: str) -> Malformed:
    return malformed(message, where="kernel", code="measure.kernel")
