"""What a log says about the boot, where the signed registers leave no other reading.

Replay proves digests and their order inside a register, not the types and names beside them: whoever holds the
log may relabel entries, and software in the guest may extend registers after the boot. So a fact counts only
at a place where firmware or the kernel's own stub must have put it, and only while everything before that place
is data that its digest vouches for:

- secure-boot: the SecureBoot variable among the variables before the first separator, all tied to their
  digests, with at most the TD's hand-off block and configuration volume before them;
- kernel: the one image that the firmware started, where nothing else was measured beside known actions,
  separators and the partition table, and the loader's path or the EFI stub's entries say that it is a kernel;
- cmdline, initrd: the first entries of the register into which that kernel's EFI stub measures.

Where shim or GRUB run in between, their entries name files without tying the names to digests, and nothing
marks the end of the boot in that register: the three stay unknown. Pin the registers there.

Source: TCG PC Client Platform Firmware Profile, event types and separators; TDVF design guide, measurement of
TDs; Linux EFI stub, measured tagged events; dstack for its runtime events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from attest.claims import flag
from attest.eventlog.log import EV_NO_ACTION, Event, EventLog, Form
from attest.eventlog.replay import BANKS
from attest.eventlog.tie import (
    EV_EFI_ACTION,
    EV_EFI_BOOT_SERVICES_APPLICATION,
    EV_EFI_GPT_EVENT,
    EV_EFI_HANDOFF_TABLES2,
    EV_EFI_PLATFORM_FIRMWARE_BLOB2,
    EV_EFI_VARIABLE_DRIVER_CONFIG,
    EV_SEPARATOR,
    LINUX_INITRD_TAG,
    LOAD_OPTIONS_TAG,
    Variable,
    tag_of,
    tie,
)

GLOBAL_VARIABLE = bytes.fromhex("61dfe48bca93d211aa0d00e098032b8c")
"""EFI_GLOBAL_VARIABLE as it stands in a variable event."""
QEMU_KERNEL_PATH = bytes.fromhex("0403140072f728144ab61e44b8c39ebdd7f893c7") + (
    b"\x04\x04\x12\x00" + "kernel\0".encode("utf-16-le") + b"\x7f\xff\x04\x00"
)
"""Device path of the kernel that QEMU hands to the firmware."""
PRE_OS = bytes(4)
"""Data of the separator between firmware and what it starts; anything else says that the boot failed."""
ACTIONS = frozenset(
    {
        b"Calling EFI Application from Boot Option",
        b"Returning from EFI Application from Boot Option",
        b"Exit Boot Services Invocation",
        b"Exit Boot Services Returned with Success",
        b"Exit Boot Services Returned with Failure",
    }
)
"""The only strings: hashing the right data under this type, anybody could make any digest an action."""
MAX_LISTED, MAX_PAYLOAD = 32, 4096
"""What a guest may put into the claim tree, however long its log."""


class _Registers(NamedTuple):
    """blocks: types of what the firmware measures before its variables, into the same register."""

    variables: int
    images: int
    stub: int
    blocks: tuple[int, ...] = ()


_TD = _Registers(1, 2, 3, (EV_EFI_HANDOFF_TABLES2, EV_EFI_PLATFORM_FIRMWARE_BLOB2))
_PLACES: Mapping[Form, _Registers] = {
    "ccel": _TD,
    "dstack": _TD,
    "tpm": _Registers(7, 4, 9),
}


@dataclass(frozen=True, slots=True)
class BootFacts:
    """kernel: Authenticode digest of the image. initrd: digest of its bytes. cmdline: digest of the load
    options, UTF-16LE with the final NUL. All None where unknown; unknown: fact → why."""

    kernel: bytes | None = None
    initrd: bytes | None = None
    cmdline: bytes | None = None
    secure_boot: bool | None = None
    unknown: Mapping[str, str] = field(default_factory=dict)

    def claims(self) -> dict[str, str]:
        """The claims of section boot; unknown ones are left out."""
        claims = {
            name: value.hex()
            for name, value in (("kernel", self.kernel), ("initrd", self.initrd), ("cmdline", self.cmdline))
            if value is not None
        }
        if self.secure_boot is not None:
            claims["secure-boot"] = flag(self.secure_boot)
        return claims


class _Unknown(Exception):
    """Why a fact cannot be told."""


def boot_facts(log: EventLog, bank: str, matching: Set[int]) -> BootFacts:
    """The facts of a log whose replay gave the signed registers; `Replay.facts` asks for no other.

    bank: `sha384` for a TD, `sha256` for a TPM. matching: indices of the registers that are signed and equal
    to the replayed ones; facts of other registers stay unknown. Never raises on a parsed log.
    """
    places = _PLACES[log.form]
    algorithm = BANKS[bank]
    unknown: dict[str, str] = {}
    secure_boot = kernel = cmdline = initrd = None
    try:
        if places.variables not in matching:
            raise _Unknown("the register of the firmware's variables is not among the signed ones")
        secure_boot = _secure_boot(_of(log, places.variables), algorithm, places.blocks)
    except _Unknown as why:
        unknown["secure-boot"] = str(why)
    try:
        if not {places.images, places.stub} <= matching:
            raise _Unknown("the registers of images and kernel are not among the signed ones")
        stub = _of(log, places.stub)
        kernel = _kernel(_of(log, places.images), stub, algorithm)
        cmdline, initrd = _stub_entries(stub, algorithm)
        for name, value in (("cmdline", cmdline), ("initrd", initrd)):
            if value is None:
                unknown[name] = "the kernel measured none"
    except _Unknown as why:
        for name, value in (("kernel", kernel), ("cmdline", None), ("initrd", None)):
            if value is None:
                unknown[name] = str(why)
    return BootFacts(kernel, initrd, cmdline, secure_boot, unknown)


def images(log: EventLog, bank: str, matching: Set[int]) -> tuple[bytes, ...]:
    """Authenticode digests of what was logged as started by the firmware, in order, MAX_LISTED at most.

    matching: as for `boot_facts`. None where their register is not among them: anybody could have written those.
    """
    register = _PLACES[log.form].images
    measured = _of(log, register) if register in matching else []
    started = [event for event in measured if event.type == EV_EFI_BOOT_SERVICES_APPLICATION]
    return tuple(event.digest(BANKS[bank]) or b"" for event in started[:MAX_LISTED])


def dstack_identities(log: EventLog) -> dict[str, bytes]:
    """Name → payload of what dstack's guest measured into RTMR3 before its workload could.

    Of a log that replays. Empty unless RTMR3 begins with runtime events, each tied to its digest and none
    of a name seen before, up to `system-ready`: what follows that is the workload's word. Empty too where
    there are more than MAX_LISTED, or a payload is longer than MAX_PAYLOAD.
    """
    measured = _of(log, 4)
    found: dict[str, bytes] = {}
    for position, event in enumerate(measured):
        if tie(event) != "runtime" or event.name in found:
            return {}
        if event.name == "system-ready":
            again = any(later.name in (*found, event.name) for later in measured[position + 1 :])
            return {} if again else found
        if len(found) == MAX_LISTED or len(event.data) > MAX_PAYLOAD:
            return {}
        found[event.name] = event.data
    return {}


def _of(log: EventLog, index: int) -> list[Event]:
    return [event for event in log.events if event.index == index and event.type != EV_NO_ACTION]


def _secure_boot(events: Sequence[Event], algorithm: int, blocks: tuple[int, ...]) -> bool:
    before = list(blocks)
    values: list[bytes] = []
    for event in events:
        if event.type in before:
            # One of each at most: every further place would hide a variable of the real boot.
            before.remove(event.type)
            continue
        before = []
        if event.type == EV_SEPARATOR and tie(event, algorithm):
            if event.data != PRE_OS:
                raise _Unknown("the firmware reported an error before the operating system")
            break
        if event.type != EV_EFI_VARIABLE_DRIVER_CONFIG or not tie(event, algorithm):
            raise _Unknown("something other than variables was measured before the first separator")
        variable = Variable.read(event.data)
        if variable is None:
            raise _Unknown("a variable before the first separator cannot be read")
        if variable.name == "SecureBoot" and variable.guid == GLOBAL_VARIABLE:
            values.append(variable.data)
    else:
        raise _Unknown("no separator ends the firmware's variables")
    if len(values) != 1 or values[0] not in (b"", b"\0", b"\1"):
        raise _Unknown("there is not exactly one SecureBoot variable before the first separator")
    return values[0] == b"\1"


def _kernel(events: Sequence[Event], stub: Sequence[Event], algorithm: int) -> bytes:
    started: list[Event] = []
    for event in events:
        if event.type == EV_EFI_BOOT_SERVICES_APPLICATION:
            started.append(event)
        elif not _known(event, algorithm):
            raise _Unknown("something of unknown content was measured beside the images")
    if len(started) != 1:
        raise _Unknown(f"{len(started)} images were started: nothing says which of them is the kernel")
    handed_over = started[0].data.endswith(QEMU_KERNEL_PATH)
    if not handed_over and not (stub and _stub_tag(stub[0])):
        raise _Unknown("the image that was started did not measure as a kernel does")
    digest = started[0].digest(algorithm)
    assert digest is not None  # parsing compared every event with the declaration
    return digest


def _known(event: Event, algorithm: int) -> bool:
    """Whether the digest can be of nothing but a separator, a known action or a partition table."""
    if not tie(event, algorithm):
        return False
    if event.type == EV_SEPARATOR:
        return event.data == PRE_OS
    if event.type == EV_EFI_ACTION:
        return event.data in ACTIONS
    return event.type == EV_EFI_GPT_EVENT and event.data.startswith(b"EFI PART")


def _stub_tag(event: Event) -> int | None:
    """LOAD_OPTIONS_TAG or LINUX_INITRD_TAG, where the entry is written as the EFI stub writes it."""
    tag = tag_of(event)
    wanted = {LOAD_OPTIONS_TAG: b"LOADED_IMAGE::LoadOptions\0", LINUX_INITRD_TAG: b"Linux initrd\0"}
    return tag if tag in wanted and event.data[8:] == wanted[tag] else None


def _stub_entries(events: Sequence[Event], algorithm: int) -> tuple[bytes | None, bytes | None]:
    """Digests of load options and initrd: the first entries, in the stub's order, and nowhere else."""
    tags = [_stub_tag(event) for event in events]
    said = [tag for tag in tags if tag is not None]
    orders: tuple[list[int], ...] = (
        [],
        [LOAD_OPTIONS_TAG],
        [LINUX_INITRD_TAG],
        [LOAD_OPTIONS_TAG, LINUX_INITRD_TAG],
    )
    if said not in orders or tags[: len(said)] != said:
        raise _Unknown("the kernel's entries are not once each at the head of their register")
    found = {tag: event.digest(algorithm) for tag, event in zip(said, events, strict=False)}
    return found.get(LOAD_OPTIONS_TAG), found.get(LINUX_INITRD_TAG)
