"""The SNP launch digest equals our own derivation, for every thing it depends on."""

from __future__ import annotations

import struct

import pytest

from attest.errors import Malformed
from attest.measure import LinuxBoot, SnpLaunch, ToolMissing, launch_digest, vcpu_signature
from attest.measure import snp as room
from tests.measure.firmware import (
    AP_EIP,
    FOOTER,
    HASH_PAGE,
    RESET_BLOCK,
    SEV_METADATA,
    SEV_SECTIONS,
    SIZE,
    firmware,
    sev_metadata,
    table,
)
from tests.measure.independent import snp_digest

MILAN = 0x00A00F11
BOOT = LinuxBoot(b"a kernel", b"an initrd", "console=ttyS0 quiet")


def refusal(image: bytes, boot: LinuxBoot | None = None) -> tuple[str, str]:
    with pytest.raises(Malformed) as refused:
        launch_digest(SnpLaunch(image, 2, MILAN, boot=boot))
    (problem,) = refused.value.problems
    return problem.code, problem.message


@pytest.mark.parametrize("vcpus", [1, 2, 5, 64])
@pytest.mark.parametrize("vmm", ["qemu", "ec2", "gce"])
def test_firmware_alone_by_vcpus_and_vmm(vcpus: int, vmm: room.Vmm) -> None:
    image = firmware()
    launch = SnpLaunch(image, vcpus, MILAN, vmm)
    assert launch_digest(launch) == snp_digest(image, vcpus, MILAN, vmm=vmm)


@pytest.mark.parametrize(
    ("boot", "parts"),
    [
        (BOOT, (b"a kernel", b"an initrd", "console=ttyS0 quiet")),
        (LinuxBoot(b"k"), (b"k", b"", "")),
        (LinuxBoot(b"k", b"", "ünïcode"), (b"k", b"", "ünïcode")),
    ],
)
def test_kernel_hashes(boot: LinuxBoot, parts: tuple[bytes, bytes, str]) -> None:
    image = firmware()
    assert launch_digest(SnpLaunch(image, 2, MILAN, boot=boot)) == snp_digest(image, 2, MILAN, boot=parts)


def test_every_input_changes_the_digest() -> None:
    image = firmware()
    other = bytearray(image)
    other[100] ^= 1
    launches = [
        SnpLaunch(image, 2, MILAN),
        SnpLaunch(bytes(other), 2, MILAN),
        SnpLaunch(image, 3, MILAN),
        SnpLaunch(image, 2, MILAN + 1),
        SnpLaunch(image, 2, MILAN, guest_features=0x21),
        SnpLaunch(image, 2, vmm="ec2"),
        SnpLaunch(image, 2, vmm="gce"),
        SnpLaunch(image, 2, MILAN, boot=BOOT),
        SnpLaunch(image, 2, MILAN, boot=LinuxBoot(b"b kernel", b"an initrd", "console=ttyS0 quiet")),
        SnpLaunch(image, 2, MILAN, boot=LinuxBoot(b"a kernel", b"bn initrd", "console=ttyS0 quiet")),
        SnpLaunch(image, 2, MILAN, boot=LinuxBoot(b"a kernel", b"an initrd", "console=ttyS0 quiet ")),
    ]
    assert len({launch_digest(launch) for launch in launches}) == len(launches)


def test_guest_features_are_those_of_each_vcpu() -> None:
    image = firmware()
    digest = launch_digest(SnpLaunch(image, 3, MILAN, guest_features=0x21))
    assert digest == snp_digest(image, 3, MILAN, features=0x21)


@pytest.mark.parametrize(
    ("model", "signature"),
    [
        ("EPYC", 0x00800F12),
        ("EPYC-Rome", 0x00830F10),
        ("EPYC-Milan", 0x00A00F11),
        ("EPYC-Genoa", 0x00A10F10),
        ("EPYC-Turin", 0x00B00F00),
    ],
)
def test_signatures_of_models(model: str, signature: int) -> None:
    assert vcpu_signature(model) == signature


def test_an_unknown_model_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="EPYC-Milan"):
        vcpu_signature("Xeon")


# -- firmware that would give a value which no machine has ----------------------------------------------


def test_without_a_table_nothing_is_computed() -> None:
    image = bytearray(firmware())
    image[-48] ^= 1
    assert refusal(bytes(image))[0] == "measure.firmware"


@pytest.mark.parametrize("size", [0, 1, 4095, SIZE - 1])
def test_a_part_of_a_firmware_is_refused(size: int) -> None:
    assert refusal(firmware()[:size])[0] == "measure.firmware"


def test_a_kernel_needs_a_firmware_that_measures_it() -> None:
    assert refusal(firmware(hash_area=None), BOOT)[0] == "measure.kernel-unmeasured"
    without = firmware(sev=sev_metadata(SEV_SECTIONS[:-1]))
    assert refusal(without, BOOT)[0] == "measure.kernel-unmeasured"
    assert launch_digest(SnpLaunch(without, 1, MILAN)) == snp_digest(
        without, 1, MILAN, sections=SEV_SECTIONS[:-1]
    )


@pytest.mark.parametrize(
    ("sev", "said"),
    [
        (sev_metadata([*SEV_SECTIONS, (0x808000, 0x1000, 1)]), "overlap"),
        (sev_metadata([*SEV_SECTIONS, SEV_SECTIONS[0]]), "overlap"),
        (sev_metadata([(0x800001, 0x1000, 1)]), "whole pages"),
        (sev_metadata([(0x800000, 0x800, 1)]), "whole pages"),
        (sev_metadata([(0x800000, 0, 1)]), "whole pages"),
        (sev_metadata([(0x800000, 0x80000000, 1)]), "whole pages"),
        (sev_metadata([(0xFFFFF000, 0x2000, 1)]), "whole pages"),
        (sev_metadata([(0x800000, 0x2000, 2)]), "one page"),
        (sev_metadata([(0x800000, 0x1000, 9)]), "Unknown section type 0x9"),
        (sev_metadata([(0x900000 + 0x1000 * n, 0x1000, 1) for n in range(65)]), "number of sections"),
        (sev_metadata([]), "number of sections"),
        (sev_metadata(SEV_SECTIONS, count=6), "number of sections"),
        (sev_metadata(SEV_SECTIONS, count=0xFFFFFFFF), "number of sections"),
        (sev_metadata(SEV_SECTIONS, version=2), "no known version"),
        (b"XSEV" + sev_metadata(SEV_SECTIONS)[4:], "no known version"),
    ],
)
def test_metadata_that_cannot_be_followed(sev: bytes, said: str) -> None:
    code, message = refusal(firmware(sev=sev))
    assert code == "measure.sev-metadata"
    assert said in message


def test_a_hash_table_outside_its_page_is_refused() -> None:
    code, message = refusal(firmware(hash_area=(HASH_PAGE[0] + 0xFC0, 0x20)))
    assert (code, message) == ("measure.sev-metadata", "The table of kernel hashes does not lie in its page")


@pytest.mark.parametrize("reset", [None, b"\0"])
def test_a_firmware_without_a_start_for_further_vcpus(reset: bytes | None) -> None:
    assert refusal(firmware(reset=reset))[0] == "measure.sev-metadata"


@pytest.mark.parametrize("distance", [0, 15, SIZE + 1, 0xFFFFFFFF])
def test_metadata_outside_the_file(distance: int) -> None:
    entries = [(SEV_METADATA, struct.pack("<I", distance)), (RESET_BLOCK, struct.pack("<I", AP_EIP))]
    assert refusal(firmware(entries=entries))[0] == "measure.sev-metadata"


def test_an_entry_that_stands_twice_is_refused() -> None:
    entry = (SEV_METADATA, struct.pack("<I", 0x1000))
    assert refusal(firmware(entries=[entry, entry]))[0] == "measure.firmware"


@pytest.mark.parametrize("length", [0, 17, 60000])
def test_impossible_lengths_in_the_table(length: int) -> None:
    image = bytearray(firmware())
    found = bytearray(table([(RESET_BLOCK, struct.pack("<I", AP_EIP))]))
    found[4:6] = struct.pack("<H", length)
    image[SIZE - 32 - len(found) : SIZE - 32] = found
    assert refusal(bytes(image))[0] == "measure.firmware"
    image[SIZE - 50 : SIZE - 48] = struct.pack("<H", length)
    assert image[SIZE - 48 : SIZE - 32] == FOOTER.bytes_le
    assert refusal(bytes(image))[0] == "measure.firmware"


def test_a_firmware_of_another_kind_says_so() -> None:
    assert refusal(firmware(entries=[])) == (
        "measure.sev-metadata",
        "The firmware has no SEV metadata: it is not built for SEV-SNP",
    )


# -- wrong use ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "keywords",
    [
        {"vcpus": 0},
        {"vcpus": 4097},
        {"vcpu_signature": 0},
        {"vcpu_signature": 1 << 32},
        {"guest_features": 0},
        {"guest_features": 0x20},
        {"vmm": "xen"},
        {"vmm": "ec2", "boot": BOOT},
    ],
)
def test_a_launch_that_cannot_be(keywords: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        SnpLaunch(**{"firmware": b"", "vcpus": 1, "vcpu_signature": MILAN, **keywords})  # type: ignore[arg-type]


@pytest.mark.parametrize("append", ["a\0b", "\udcff"])
def test_a_command_line_is_text_without_nul(append: str) -> None:
    with pytest.raises(ValueError):
        LinuxBoot(b"k", append=append)


def test_without_the_tool_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(room, "import_module", missing)
    with pytest.raises(ToolMissing, match=r"attest\[measure\]"):
        launch_digest(SnpLaunch(firmware(), 1, MILAN))
