"""Event logs in TCG2 binary form, byte-exact, and the registers they replay to.

Source: TCG PC Client Platform Firmware Profile, event logging; TDVF and the Linux EFI stub for what a TD that
boots a kernel directly measures. Integers are little-endian.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

SHA256, SHA384 = 0x000B, 0x000C
HASHES = {SHA256: "sha256", SHA384: "sha384"}
AREA = 64 << 10
"""Bytes of the log area; what no event fills is 0xFF."""

GLOBAL_VARIABLE = bytes.fromhex("61dfe48bca93d211aa0d00e098032b8c")
IMAGE_SECURITY = bytes.fromhex("cbb219d73a3d9645a3bcdad00e67656f")
KERNEL_PATH = bytes.fromhex("0403140072f728144ab61e44b8c39ebdd7f893c7") + (
    b"\x04\x04\x12\x00" + "kernel\0".encode("utf-16-le") + b"\x7f\xff\x04\x00"
)


@dataclass
class Logged:
    """One entry. measured: what its digests are over. digest: other bytes in the place of each digest."""

    index: int
    type: int
    data: bytes
    measured: bytes
    digest: bytes | None = None

    def digests(self, algorithms: tuple[int, ...]) -> dict[int, bytes]:
        return {
            one: hashlib.new(HASHES[one], self.measured).digest() if self.digest is None else self.digest
            for one in algorithms
        }


@dataclass
class EventLogPlan:
    """first: index of the declaring entry, 1 in a TD's log, 0 in a TPM's. edit: last change to the bytes."""

    events: list[Logged]
    first: int = 1
    algorithms: tuple[int, ...] = (SHA384,)
    padding: bytes = field(default=b"", repr=False)
    edit: Callable[[bytearray], None] | None = None

    def encode(self) -> bytes:
        declared = b"".join(
            struct.pack("<HH", one, hashlib.new(HASHES[one]).digest_size) for one in self.algorithms
        )
        spec_id = (
            b"Spec ID Event03\0" + struct.pack("<IBBBBI", 0, 0, 2, 0, 2, len(self.algorithms)) + declared
        )
        out = bytearray(struct.pack("<II20xI", self.first, 3, len(spec_id) + 1) + spec_id + b"\0")
        for event in self.events:
            out += struct.pack("<III", event.index, event.type, len(self.algorithms))
            for algorithm, digest in event.digests(self.algorithms).items():
                out += struct.pack("<H", algorithm) + digest
            out += struct.pack("<I", len(event.data)) + event.data
        out += self.padding
        if self.edit is not None:
            self.edit(out)
        return bytes(out)

    def registers(self, algorithm: int = SHA384) -> dict[int, bytes]:
        """Index → value of each register that has events."""
        name = HASHES[algorithm]
        registers: dict[int, bytes] = {}
        for event in self.events:
            if event.type == 3:
                continue
            before = registers.get(event.index, bytes(hashlib.new(name).digest_size))
            digest = event.digests(self.algorithms)[algorithm]
            registers[event.index] = hashlib.new(name, before + digest).digest()
        return registers

    def find(self, index: int, kind: int) -> Logged:
        """The first entry of this register and type."""
        return next(event for event in self.events if (event.index, event.type) == (index, kind))


def tied(index: int, kind: int, data: bytes) -> Logged:
    """An entry whose digest is over its data."""
    return Logged(index, kind, data, data)


def variable(index: int, name: str, data: bytes, guid: bytes = GLOBAL_VARIABLE) -> Logged:
    """A variable of the firmware's configuration."""
    text = name.encode("utf-16-le")
    return tied(index, 0x80000001, guid + struct.pack("<QQ", len(name), len(data)) + text + data)


def boot_variable(index: int, name: str, data: bytes) -> Logged:
    """A boot variable: the digest is over its value only."""
    text = name.encode("utf-16-le")
    whole = GLOBAL_VARIABLE + struct.pack("<QQ", len(name), len(data)) + text + data
    return Logged(index, 0x80000002, whole, data)


def separator(index: int) -> Logged:
    return tied(index, 4, bytes(4))


def action(index: int, text: str) -> Logged:
    return tied(index, 0x80000007, text.encode())


def image(index: int, measured: bytes, path: bytes = KERNEL_PATH) -> Logged:
    """A started image. measured: the bytes its Authenticode digest is over."""
    head = struct.pack("<QQQQ", 0x7B0D4018, len(measured), 0, len(path))
    return Logged(index, 0x80000003, head + path, measured)


def tag(index: int, identifier: int, name: bytes, measured: bytes) -> Logged:
    """An entry of the kernel's EFI stub: the name is not what was measured."""
    return Logged(index, 6, struct.pack("<II", identifier, len(name)) + name, measured)


def stub_entries(index: int, cmdline: str, initrd: bytes) -> list[Logged]:
    return [
        tag(index, 0x8F3B22ED, b"LOADED_IMAGE::LoadOptions\0", cmdline.encode("utf-16-le") + b"\0\0"),
        tag(index, 0x8F3B22EC, b"Linux initrd\0", initrd),
    ]


def td_boot(
    *,
    secure_boot: bool = True,
    kernel: bytes = b"MZ simulated kernel",
    cmdline: str = "root=/dev/vda1 ro",
    initrd: bytes = b"simulated initrd",
) -> EventLogPlan:
    """A TD whose firmware starts a kernel directly; its log area is padded as firmware leaves it."""
    return EventLogPlan(
        [
            Logged(1, 0x8000000B, b"\x09TdxTable\0" + bytes(32), b"simulated hand-off block"),
            Logged(1, 0x8000000A, b")Fv(simulated)" + bytes(16), b"simulated configuration volume"),
            variable(1, "SecureBoot", bytes([secure_boot])),
            *(variable(1, name, b"") for name in ("PK", "KEK")),
            *(variable(1, name, b"", IMAGE_SECURITY) for name in ("db", "dbx")),
            separator(1),
            Logged(1, 0xA, b"ACPI DATA", b"simulated ACPI tables"),
            image(2, kernel),
            boot_variable(1, "BootOrder", b"\0\0"),
            action(2, "Calling EFI Application from Boot Option"),
            separator(2),
            *stub_entries(3, cmdline, initrd),
            action(2, "Exit Boot Services Invocation"),
            action(2, "Exit Boot Services Returned with Success"),
        ],
        padding=b"\xff" * AREA,
    )


def tpm_boot(
    *,
    secure_boot: bool = True,
    kernel: bytes = b"MZ simulated kernel",
    cmdline: str = "root=/dev/vda1 ro",
    initrd: bytes = b"simulated initrd",
) -> EventLogPlan:
    """The same boot as a TPM's log: SHA-256 and SHA-384 banks, one separator for each of PCR 0 to 7."""
    return EventLogPlan(
        [
            tied(0, 8, "simulated\0".encode("utf-16-le")),
            variable(7, "SecureBoot", bytes([secure_boot])),
            *(variable(7, name, b"") for name in ("PK", "KEK")),
            *(variable(7, name, b"", IMAGE_SECURITY) for name in ("db", "dbx")),
            separator(7),
            boot_variable(1, "BootOrder", b"\0\0"),
            action(4, "Calling EFI Application from Boot Option"),
            *(separator(index) for index in range(7)),
            image(4, kernel),
            *stub_entries(9, cmdline, initrd),
            action(5, "Exit Boot Services Invocation"),
            action(5, "Exit Boot Services Returned with Success"),
        ],
        first=0,
        algorithms=(SHA256, SHA384),
    )


def pcrs(plan: EventLogPlan) -> Mapping[int, bytes]:
    """All 24 registers of the SHA-256 bank after this boot."""
    start = {index: (b"\xff" if 17 <= index <= 22 else b"\0") * 32 for index in range(24)}
    return start | plan.registers(SHA256)
