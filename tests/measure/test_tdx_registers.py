"""MRTD and RTMRs equal an independent derivation, and what a real machine logged."""

from __future__ import annotations

import hashlib
import json
import struct
from itertools import pairwise

import pytest

from attest.errors import Malformed
from attest.eventlog.replay import extend_all
from attest.measure import AcpiTables, LinuxBoot, Register, TdxLaunch, registers
from attest.measure.authenticode import authenticode_sha384
from attest.measure.linux_boot import patched_kernel
from attest.measure.mrtd import mrtd
from attest.measure.td_hob import td_hob
from attest.measure.tdvf import Tdvf
from attest.tdx.quote import Quote
from tests.conftest import Vectors
from tests.measure import independent
from tests.measure.firmware import TDX_SECTIONS, firmware, kernel, tdx_metadata

GIB = 1 << 30
ACPI = AcpiTables(b"loader", b"rsdp", b"tables")
BOOT = LinuxBoot(kernel(), b"an initrd", "console=hvc0")


def by_name(launch: TdxLaunch) -> dict[str, Register]:
    return {register.name: register for register in registers(launch)}


def full(**changes: object) -> TdxLaunch:
    values = {"firmware": firmware(), "memory": 16 * GIB, "acpi": ACPI, "boot": BOOT, **changes}
    return TdxLaunch(**values)  # type: ignore[arg-type]


# -- MRTD ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_section", [False, True])
def test_mrtd(by_section: bool) -> None:
    image = firmware()
    order = "section" if by_section else "page"
    assert mrtd(Tdvf.parse(image), order) == independent.mrtd(image, by_section=by_section)  # type: ignore[arg-type]


def test_the_orders_of_adding_pages_give_different_values() -> None:
    tdvf = Tdvf.parse(firmware())
    assert mrtd(tdvf, "page") != mrtd(tdvf, "section")


def test_pages_that_the_guest_accepts_are_not_added_and_short_data_end_in_zeros() -> None:
    sections = (
        *TDX_SECTIONS[1:],
        (0, 0, 0x900000, 0x2000, 4, 2),
        (0x2000, 0x1234, 0xA00000, 0x3000, 0, 1),
    )
    image = firmware(tdx=tdx_metadata(sections))
    assert mrtd(Tdvf.parse(image)) == independent.mrtd(image, sections=sections)


def test_mrtd_covers_code_and_addresses_but_not_the_configuration_volume() -> None:
    image = firmware()
    code, configuration = bytearray(image), bytearray(image)
    code[0x2000] ^= 1
    configuration[0] ^= 1
    expected = mrtd(Tdvf.parse(image))
    assert mrtd(Tdvf.parse(bytes(code))) != expected
    assert mrtd(Tdvf.parse(bytes(configuration))) == expected


# -- RTMRs --------------------------------------------------------------------------------------------


def test_registers_extend_their_events_in_order() -> None:
    found = by_name(full())
    for name, count in (("rtmr0", 13), ("rtmr1", 5), ("rtmr2", 2)):
        register = found[name]
        value = bytes(48)
        for _, digest in register.events:
            value = hashlib.sha384(value + digest).digest()
        assert (register.value, len(register.events)) == (value, count)


def test_every_input_changes_its_register_and_no_other() -> None:
    def values(**changes: object) -> list[bytes | None]:
        return [register.value for register in registers(full(**changes))]

    honest = values()
    other_configuration = b"\0" * 4 + firmware()[4:]
    for index, changes in (
        ({1}, {"firmware": other_configuration}),
        ({1}, {"memory": 17 * GIB}),
        ({1}, {"acpi": AcpiTables(b"loader", b"rsdp", b"other")}),
        ({1}, {"acpi": AcpiTables(b"loader", b"other", b"tables")}),
        ({1}, {"acpi": AcpiTables(b"other", b"rsdp", b"tables")}),
        ({2}, {"boot": LinuxBoot(kernel()[:-1] + b"\0", b"an initrd", "console=hvc0")}),
        ({2, 3}, {"boot": LinuxBoot(kernel(), b"an initrd2", "console=hvc0")}),
        ({3}, {"boot": LinuxBoot(kernel(), b"bn initrd", "console=hvc0")}),
        ({3}, {"boot": LinuxBoot(kernel(), b"an initrd", "console=hvc1")}),
        ({3}, {"initrd_argument": "before"}),
        ({2}, {"setup_header": "file"}),
    ):
        assert {n for n, (a, b) in enumerate(zip(honest, values(**changes), strict=True)) if a != b} == index


@pytest.mark.parametrize(
    ("argument", "options"),
    [
        ("after", "console=hvc0 initrd=initrd"),
        ("before", "initrd=initrd console=hvc0"),
        ("none", "console=hvc0"),
    ],
)
def test_command_line_as_the_kernel_gets_it(argument: str, options: str) -> None:
    register = by_name(full(initrd_argument=argument))["rtmr2"]
    measured = hashlib.sha384(options.encode("utf-16-le") + b"\0\0").digest()
    assert [digest for _, digest in register.events] == [measured, hashlib.sha384(b"an initrd").digest()]


def test_no_initrd_is_no_event() -> None:
    register = by_name(full(boot=LinuxBoot(kernel(), None, "console=hvc0")))["rtmr2"]
    assert [what for what, _ in register.events] == ["command line, load options"]


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"boot": None}, {"rtmr0", "rtmr1", "rtmr2"}),
        ({"memory": None}, {"rtmr0", "rtmr1"}),
        ({"memory": None, "setup_header": "file"}, {"rtmr0"}),
        ({"acpi": None}, {"rtmr0"}),
        ({"edk2": "later"}, {"rtmr0"}),
        ({"boot": LinuxBoot(kernel())}, {"rtmr2"}),
        ({"firmware": firmware(tdx=tdx_metadata([TDX_SECTIONS[0], *TDX_SECTIONS[2:]]))}, {"rtmr0"}),
        (
            {"firmware": firmware(tdx=tdx_metadata([*TDX_SECTIONS, (0, 0x1000, 0x4000000, 0x1000, 5, 1)]))},
            {"rtmr0"},
        ),
    ],
)
def test_what_cannot_be_computed_is_left_out_with_the_reason(
    changes: dict[str, object], missing: set[str]
) -> None:
    found = registers(full(**changes))
    assert [register.name for register in found] == ["mrtd", "rtmr0", "rtmr1", "rtmr2"]
    assert {register.name for register in found if register.value is None} == missing
    assert all((register.value is None) == (register.why is not None) for register in found)


# -- TD HOB -------------------------------------------------------------------------------------------


def pieces(memory: int) -> list[tuple[int, int, int]]:
    """Kind, start and length of each resource."""
    hob = td_hob(Tdvf.parse(firmware()), memory)
    assert struct.unpack_from("<HH", hob) == (1, 56)
    assert struct.unpack_from("<Q", hob, 48) == (0x809000 + len(hob) + 8,)
    found = []
    for at in range(56, len(hob), 48):
        assert struct.unpack_from("<HHI", hob, at) == (3, 48, 0)
        kind, attributes, start, length = struct.unpack_from("<IIQQ", hob, at + 24)
        assert attributes == 7
        found.append((kind, start, length))
    return found


@pytest.mark.parametrize("memory", [GIB, 2 * GIB, 0xAFFFF000, 0xB0000000, 3 * GIB, 64 * GIB])
def test_the_hand_off_block_tells_all_memory_once(memory: int) -> None:
    found = pieces(memory)
    assert sum(length for _, _, length in found) == memory
    low = [piece for piece in found if piece[1] < 1 << 32]
    assert all(one[1] + one[2] == other[1] for one, other in pairwise(low))
    assert sum(length for _, _, length in low) == (memory if memory < 0xB0000000 else 2 * GIB)
    accepted = {(start, length) for kind, start, length in found if kind == 0}
    assert accepted == {(0x800000, 0x6000), (0x809000, 0x2000), (0x80B000, 0x2000), (0x810000, 0x10000)}


def test_memory_must_hold_the_firmware() -> None:
    image = firmware(tdx=tdx_metadata([*TDX_SECTIONS, (0, 0, 0x40000000, 0x1000, 3, 0)]))
    with pytest.raises(ValueError, match="does not hold"):
        td_hob(Tdvf.parse(image), GIB)
    with pytest.raises(ValueError, match="16 MiB or more"):
        TdxLaunch(firmware(), memory=4096)


# -- the kernel ---------------------------------------------------------------------------------------


def word(image: bytes, at: int, size: int = 4) -> int:
    return int.from_bytes(image[at : at + size], "little")


def test_setup_header_as_qemu_writes_it() -> None:
    patched = patched_kernel(BOOT, 16 * GIB)
    assert patched[0x210] == 0xB0
    assert patched[0x211] == 0x81
    assert (word(patched, 0x224, 2), word(patched, 0x228)) == (0xFE00, 0x20000)
    assert (word(patched, 0x218), word(patched, 0x21C)) == (0x80000000 - 0x29000, 9)
    same = {*range(0x210, 0x212), *range(0x218, 0x220), *range(0x224, 0x22C)}
    assert all(
        one == two or at in same for at, (one, two) in enumerate(zip(BOOT.kernel, patched, strict=True))
    )


@pytest.mark.parametrize(
    ("memory", "xloadflags", "top"),
    [
        (GIB, 0x7F, GIB - 0x28000),
        (2 * GIB, 0x7F, 0x80000000 - 0x28000),
        (0xAFFFF000, 0x7F, 0xAFFFF000 - 0x28000),
        (0xB0000000, 0x7F, 0x80000000 - 0x28000),
        (0xAFFFF000, 0x7D, 0x7FFFFFFF),
    ],
)
def test_the_address_of_the_initrd(memory: int, xloadflags: int, top: int) -> None:
    patched = patched_kernel(LinuxBoot(kernel(xloadflags=xloadflags), bytes(5000)), memory)
    limit = top if top == 0x7FFFFFFF else top - 1
    assert word(patched, 0x218) == (limit - 5000) & ~0xFFF


@pytest.mark.parametrize(
    ("boot", "said"),
    [
        (LinuxBoot(b"MZ" * 0x1000), "no setup header"),
        (LinuxBoot(kernel()[:0xFFF]), "no setup header"),
        (LinuxBoot(kernel(protocol=0x0202)), "protocol 2.02 is too old"),
        (LinuxBoot(kernel(), None, "vga=normal"), "vga="),
        (LinuxBoot(kernel(), bytes(16 << 20)), "does not fit"),
    ],
)
def test_kernels_whose_measurement_is_not_known(boot: LinuxBoot, said: str) -> None:
    with pytest.raises(Malformed, match=said) as refused:
        patched_kernel(boot, 16 << 20)
    assert refused.value.codes == {"measure.kernel"}


def test_authenticode_leaves_out_checksum_and_signatures_only() -> None:
    image = kernel(rest=b"more")
    optional = 0x58
    expected = hashlib.sha384(
        image[: optional + 64]
        + image[optional + 68 : optional + 144]
        + image[optional + 152 : 0x1000]
        + image[0x1000:0x3000]
        + image[0x3000:0x5000]
        + b"more"
    ).digest()
    assert authenticode_sha384(image) == expected
    assert authenticode_sha384(kernel(rest=b"more", signature=b"signed")) == expected
    changed = bytearray(image)
    changed[optional + 64] ^= 1
    assert authenticode_sha384(bytes(changed)) == expected
    for at in (0x60, optional + 60 + 60, 0x1000, 0x2FFF, 0x4FFF, 0x5003):
        changed = bytearray(image)
        changed[at] ^= 1
        assert authenticode_sha384(bytes(changed)) != expected, at


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, b"ZM"),
        (0x3C, b"\xff\xff\xff\x7f"),
        (0x40, b"PX"),
        (0x46, b"\xff\xff"),
        (0x54, b"\xff\xff"),
        (0x58, b"\x0c\x02"),
        (0x58 + 60, b"\0\0\0\0"),
        (0x58 + 60, b"\xff\xff\xff\xff"),
        (0x58 + 0xA0 + 16, b"\xff\xff\xff\xff"),
        (0x58 + 0xA0 + 20, b"\xff\xff\xff\xff"),
        (0x58 + 0xA0 + 16, len(kernel()).to_bytes(4, "little") + bytes(4)),
    ],
)
def test_what_is_no_efi_image(at: int, value: bytes) -> None:
    image = bytearray(kernel())
    image[at : at + len(value)] = value
    with pytest.raises(Malformed) as refused:
        authenticode_sha384(bytes(image))
    assert refused.value.codes == {"measure.kernel"}


def test_a_cut_image_is_malformed_or_another_value() -> None:
    image = kernel()
    whole = authenticode_sha384(image)
    for size in range(0, len(image), 37):
        try:
            assert authenticode_sha384(image[:size]) != whole
        except Malformed as refused:
            assert refused.codes == {"measure.kernel"}


# -- a real machine -----------------------------------------------------------------------------------

DSTACK = "tdx-v4-uptodate-dstack-eventlog"


def test_a_real_machine_logged_what_is_computed(vectors: Vectors) -> None:
    """Firmware and kernel of this machine are not public, but its memory and what its log describes are."""
    report = json.loads(vectors.read(DSTACK, "quote_report_json"))
    memory = json.loads(report["vm_config"])["memory_size"]
    log: dict[int, list[bytes]] = {0: [], 1: [], 2: [], 3: []}
    for event in json.loads(report["event_log"]):
        log[event["imr"]].append(bytes.fromhex(event["digest"]))
    # Only the layout of its first memory enters the TD HOB: that of a stock OVMF for TDX.
    found = by_name(full(memory=memory))
    computed = dict(found["rtmr0"].events)
    same = [position for position, digest in enumerate(computed.values()) if digest == log[0][position]]
    names = [list(computed)[position] for position in same]
    assert set(computed) - set(names) == {
        "configuration firmware volume",
        "ACPI table loader",
        "ACPI RSDP",
        "ACPI tables",
    }
    assert [digest for _, digest in found["rtmr1"].events][1:] == log[1][1:]
    assert [what for what, _ in found["rtmr2"].events] == ["command line, load options", "initrd"]
    body = Quote.parse(vectors.read(DSTACK, "quote")).body
    assert [extend_all(log[index]) for index in range(4)] == [body.rtmr0, body.rtmr1, body.rtmr2, body.rtmr3]
