"""Registers after the log of a machine that booted once: its events, with those exchanged that are computed.

What a disk, an enrolled key or a newer firmware puts into RTMR0 to RTMR2 cannot be computed from files here, but
a log of such a machine has it. Nothing in that log is believed to be good: whatever is taken from it is listed, and
the values are references of state `observed`.
Source: TCG PC Client Platform Firmware Profile, event types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from attest.eventlog.log import EV_NO_ACTION, SHA384, Event, EventLog
from attest.eventlog.replay import RTMRS, extend_all
from attest.eventlog.tie import (
    EV_EFI_BOOT_SERVICES_APPLICATION,
    EV_EFI_HANDOFF_TABLES2,
    EV_EFI_PLATFORM_FIRMWARE_BLOB2,
    EV_PLATFORM_CONFIG_FLAGS,
    LINUX_INITRD_TAG,
    LOAD_OPTIONS_TAG,
    tag_of,
)
from attest.measure.mrtd import mrtd
from attest.measure.td_hob import td_hob
from attest.measure.tdvf import CFV, Tdvf
from attest.measure.tdx import (
    CONSTANT,
    Register,
    TdxLaunch,
    acpi_digests,
    digest_of,
    kernel_digest,
    stub_digests,
)
from attest.problems import malformed

_ACPI = b"ACPI DATA"
_TYPES = {
    0x04: "separator",
    0x06: "tagged event",
    0x0A: "platform configuration",
    0x0D: "boot loader",
    0x80000001: "variable",
    0x80000002: "boot variable",
    0x80000003: "image",
    0x80000006: "partition table",
    0x80000007: "action",
    0x8000000A: "firmware volume",
    0x8000000B: "hand-off table",
    0x800000E0: "authority",
}


@dataclass(frozen=True, slots=True)
class _Exchange:
    """Events that are computed. matches: finds them in the log. digests: theirs, in order."""

    register: int
    matches: Callable[[Event], bool]
    digests: tuple[tuple[str, bytes], ...]


def registers_of_log(launch: TdxLaunch, log: EventLog) -> tuple[Register, ...]:
    """MRTD, and RTMR0 to 2 by the log's events, exchanging those that `launch` lets us compute.

    log: of a machine of the same firmware and shape, unverified. Raises Malformed as `registers` does, and
    (`measure.log`) where the log has not as many events of a kind as the launch has.
    """
    tdvf = Tdvf.parse(launch.firmware)
    if log.form == "tpm":
        raise malformed("This is a TPM's event log, not a TD's", where="event log", code="measure.log")
    exchanges = tuple(_exchanges(tdvf, launch))
    return (
        Register("mrtd", mrtd(tdvf, launch.page_order)),
        *(_register(index, log, exchanges) for index in RTMRS[:3]),
    )


def _exchanges(tdvf: Tdvf, launch: TdxLaunch) -> Iterator[_Exchange]:
    rtmr0, rtmr1, rtmr2 = RTMRS[:3]
    if launch.memory is not None:
        hob = ("TD HOB", digest_of(td_hob(tdvf, launch.memory)))
        yield _Exchange(rtmr0, lambda event: event.type == EV_EFI_HANDOFF_TABLES2, (hob,))
    volume = tdvf.only(CFV)
    if volume is not None:
        yield _Exchange(
            rtmr0,
            lambda event: event.type == EV_EFI_PLATFORM_FIRMWARE_BLOB2,
            (("configuration firmware volume", digest_of(volume.data)),),
        )
    if launch.acpi is not None:
        yield _Exchange(
            rtmr0,
            lambda event: event.type == EV_PLATFORM_CONFIG_FLAGS and event.data.rstrip(b"\0") == _ACPI,
            acpi_digests(launch.acpi),
        )
    if launch.boot is not None:
        kernel = kernel_digest(launch)
        if kernel is None:
            raise ValueError("QEMU before 10.2 writes the initrd's address into the kernel: give --memory")
        yield _Exchange(
            rtmr1,
            lambda event: event.type == EV_EFI_BOOT_SERVICES_APPLICATION,
            (("kernel, Authenticode", kernel),),
        )
        yield _Exchange(
            rtmr2,
            lambda event: tag_of(event) in (LOAD_OPTIONS_TAG, LINUX_INITRD_TAG),
            stub_digests(launch),
        )


def _register(index: int, log: EventLog, exchanges: tuple[_Exchange, ...]) -> Register:
    name = f"rtmr{index - RTMRS[0]}"
    events = [event for event in log.events if event.index == index and event.type != EV_NO_ACTION]
    computed: dict[int, tuple[str, bytes]] = {}
    for exchange in exchanges:
        if exchange.register != index:
            continue
        places = [position for position, event in enumerate(events) if exchange.matches(event)]
        if len(places) != len(exchange.digests):
            raise malformed(
                "The log and the launch do not have the same events: another machine, or a kernel "
                "that does not measure what it is given",
                where=name,
                expected=", ".join(what for what, _ in exchange.digests) or "none",
                found=f"{len(places)} events",
                code="measure.log",
            )
        computed.update(zip(places, exchange.digests, strict=True))
    found: list[tuple[str, bytes]] = []
    observed: list[str] = []
    for position, event in enumerate(events):
        digest = event.digest(SHA384)
        if digest is None:
            raise malformed("The log has no SHA-384 digests", where=name, code="measure.log")
        what = _TYPES.get(event.type, f"type 0x{event.type:x}")
        if position not in computed and digest not in CONSTANT:
            observed.append(what)
        found.append(computed.get(position, (what, digest)))
    if not found:
        return Register(name, None, why="the log has no events of it")
    return Register(name, extend_all(digest for _, digest in found), tuple(found), None, tuple(observed))
