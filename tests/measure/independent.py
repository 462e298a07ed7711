"""The launch measurements again, from the vendors' documents and not from the code under test.

SNP: AMD 56860, PAGE_INFO, and the state of a new vCPU. TDX: Intel's TDH.MEM.PAGE.ADD and TDH.MR.EXTEND.
Written to be short, for the firmware of `tests.measure.firmware` only.
"""

from __future__ import annotations

import hashlib
import struct
from uuid import UUID

from tests.measure.firmware import AP_EIP, HASH_TABLE_GPA, SEV_SECTIONS, TDX_SECTIONS

PAGE = 4096


def snp_digest(
    image: bytes,
    vcpus: int,
    signature: int,
    *,
    vmm: str = "qemu",
    features: int = 1,
    boot: tuple[bytes, bytes, str] | None = None,
    sections: tuple[tuple[int, int, int], ...] = SEV_SECTIONS,
) -> bytes:
    """boot: kernel, initrd, command line."""
    digest = bytes(48)

    def extend(kind: int, gpa: int, contents: bytes = bytes(48)) -> None:
        nonlocal digest
        info = digest + contents + struct.pack("<HBBBBBBQ", 0x70, kind, 0, 0, 0, 0, 0, gpa)
        digest = hashlib.sha384(info).digest()

    for offset in range(0, len(image), PAGE):
        extend(1, (1 << 32) - len(image) + offset, sha384(image[offset : offset + PAGE]))
    later = []
    for gpa, size, kind in sections:
        if kind == 3 and vmm == "ec2":
            later.append(gpa)
        elif kind == 3:
            extend(6, gpa)
        elif kind == 2:
            extend(5, gpa)
        elif kind == 0x10 and boot is not None:
            extend(1, gpa, sha384(hash_page(*boot)))
        else:
            for offset in range(0, size, PAGE):
                extend(4 if kind == 1 and vmm == "gce" else 3, gpa + offset)
    for gpa in later:
        extend(6, gpa)
    for number in range(vcpus):
        extend(
            2, 0xFFFFFFFFF000, sha384(vmsa(0xFFFFFFF0 if number == 0 else AP_EIP, signature, vmm, features))
        )
    return digest


def hash_page(kernel: bytes, initrd: bytes, append: str) -> bytes:
    def entry(guid: str, data: bytes) -> bytes:
        return UUID(guid).bytes_le + struct.pack("<H", 50) + hashlib.sha256(data).digest()

    hashed = (
        UUID("9438d606-4f22-4cc9-b479-a793d411fd21").bytes_le
        + struct.pack("<H", 168)
        + entry("97d02dd8-bd20-4c94-aa78-e7714d36ab2a", append.encode() + b"\0")
        + entry("44baf731-3a2f-4bd7-9af1-41e29169781d", initrd)
        + entry("4de79437-abd2-427f-b835-d5b172d2045b", kernel)
    )
    return (bytes(HASH_TABLE_GPA % PAGE) + hashed).ljust(PAGE, b"\0")


def vmsa(eip: int, signature: int, vmm: str, features: int) -> bytes:
    """Offsets of AMD APM volume 2, appendix B, VMSA."""
    cs = 0x9A if vmm == "ec2" and eip == 0xFFFFFFF0 else 0x9B
    page = bytearray(PAGE)
    segments = {
        0x00: (0, 0x93, 0xFFFF, 0),
        0x10: (0xF000, cs, 0xFFFF, eip & 0xFFFF0000),
        0x20: (0, 0x92 if vmm == "ec2" else 0x93, 0xFFFF, 0),
        0x30: (0, 0x93, 0xFFFF, 0),
        0x40: (0, 0x93, 0xFFFF, 0),
        0x50: (0, 0x93, 0xFFFF, 0),
        0x60: (0, 0, 0xFFFF, 0),
        0x70: (0, 0x82, 0xFFFF, 0),
        0x80: (0, 0, 0xFFFF, 0),
        0x90: (0, 0x83 if vmm == "ec2" else 0x8B, 0xFFFF, 0),
    }
    for offset, segment in segments.items():
        struct.pack_into("<HHIQ", page, offset, *segment)
    words = {
        0xD0: 0x1000,
        0x148: 0x40,
        0x158: 0x10,
        0x160: 0x400,
        0x168: 0xFFFF0FF0,
        0x170: 2,
        0x178: eip & 0xFFFF,
        0x268: 0x00070106 if vmm == "gce" else 0x0007040600070406,
        0x310: signature if vmm == "qemu" else 0x600,
        0x3B0: features,
        0x3E8: 1,
    }
    for offset, word in words.items():
        struct.pack_into("<Q", page, offset, word)
    if vmm == "qemu":
        struct.pack_into("<I", page, 0x408, 0x1F80)
        struct.pack_into("<H", page, 0x410, 0x37F)
    return bytes(page)


def mrtd(
    image: bytes, *, by_section: bool = False, sections: tuple[tuple[int, ...], ...] = TDX_SECTIONS
) -> bytes:
    stream = b""
    for at, raw, address, size, _, attributes in sections:
        data = image[at : at + raw].ljust(size, b"\0")
        added, measured = [], []
        for page in range(0, size, PAGE):
            added.append(
                struct.pack("<16sQ104x", b"MEM.PAGE.ADD", address + page) if not attributes & 2 else b""
            )
            chunks = [
                struct.pack("<16sQ104x", b"MR.EXTEND", address + chunk) + data[chunk : chunk + 256]
                for chunk in range(page, page + PAGE, 256)
            ]
            measured.append(b"".join(chunks) if attributes & 1 else b"")
        if by_section:
            stream += b"".join(added) + b"".join(measured)
        else:
            stream += b"".join(one + two for one, two in zip(added, measured, strict=True))
    return sha384(stream)


def sha384(data: bytes) -> bytes:
    return hashlib.sha384(data).digest()
