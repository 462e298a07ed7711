"""Registers after a machine's log: computed events are exchanged, the rest is taken and said to be."""

from __future__ import annotations

import hashlib

import pytest

from attest.errors import Malformed
from attest.eventlog.log import SHA384, Event, EventLog
from attest.eventlog.tie import LINUX_INITRD_TAG, LOAD_OPTIONS_TAG, tagged
from attest.measure import LinuxBoot, Register, TdxLaunch, registers, registers_of_log
from attest.measure.tdx import AcpiTables
from attest.recognise import Found, recognise
from attest.tdx.quote import Quote
from tests.conftest import Vectors
from tests.measure.firmware import TDX_SECTIONS, firmware, kernel, tdx_metadata

GIB = 1 << 30
LAUNCH = TdxLaunch(
    firmware(), 4 * GIB, AcpiTables(b"loader", b"rsdp", b"tables"), LinuxBoot(kernel(), b"initrd", "quiet")
)
DSTACK = "tdx-v4-uptodate-dstack-eventlog"


def event(register: int, kind: int, what: bytes, data: bytes = b"") -> Event:
    return Event(register + 1, kind, ((SHA384, hashlib.sha384(what).digest()),), data)


def log_of(*more: Event, without: int | None = None) -> EventLog:
    """A machine with another kernel, other memory, and an enrolled key."""
    events = [
        event(0, 0x8000000B, b"other memory"),
        event(0, 0x8000000A, b"other variables"),
        event(0, 0x80000001, b"a key of ours"),
        event(0, 0x4, bytes(4), bytes(4)),
        *[event(0, 0xA, part, b"ACPI DATA") for part in (b"one", b"two", b"three")],
        event(0, 0x3, b"not measured"),
        event(1, 0x80000003, b"other kernel"),
        event(1, 0x80000007, b"Exit Boot Services Invocation"),
        event(2, 0x6, b"other options", tagged(LOAD_OPTIONS_TAG, b"LOADED_IMAGE::LoadOptions\0")),
        event(2, 0x6, b"other initrd", tagged(LINUX_INITRD_TAG, b"Linux initrd\0")),
        *more,
    ]
    kept = [one for position, one in enumerate(events) if position != without]
    return EventLog("ccel", b"", ((SHA384, 48),), tuple(kept))


def by_name(found: tuple[Register, ...]) -> dict[str, Register]:
    return {register.name: register for register in found}


def test_computed_events_are_exchanged_and_the_rest_is_observed() -> None:
    found = by_name(registers_of_log(LAUNCH, log_of(event(2, 0x6, b"later"))))
    computed = by_name(registers(LAUNCH))
    assert found["mrtd"] == computed["mrtd"]
    assert found["rtmr0"].observed == ("variable",)
    assert found["rtmr1"].observed == ()
    assert found["rtmr2"].observed == ("tagged event",)
    known = dict(computed["rtmr0"].events) | dict(computed["rtmr1"].events) | dict(computed["rtmr2"].events)
    for register in ("rtmr0", "rtmr1", "rtmr2"):
        value = bytes(48)
        for what, digest in found[register].events:
            assert known.get(what, digest) == digest
            value = hashlib.sha384(value + digest).digest()
        assert found[register].value == value
    assert [what for what, _ in found["rtmr0"].events] == [
        "TD HOB",
        "configuration firmware volume",
        "variable",
        "separator",
        "ACPI table loader",
        "ACPI RSDP",
        "ACPI tables",
    ]


@pytest.mark.parametrize("without", [0, 1, 4, 8, 10, 11])
def test_a_log_of_another_boot_is_refused(without: int) -> None:
    """Without the stub's events the kernel did not measure its command line: nothing may say it did."""
    with pytest.raises(Malformed) as refused:
        registers_of_log(LAUNCH, log_of(without=without))
    assert refused.value.codes == {"measure.log"}


def test_a_second_image_is_refused() -> None:
    with pytest.raises(Malformed) as refused:
        registers_of_log(LAUNCH, log_of(event(1, 0x80000003, b"shim")))
    assert refused.value.codes == {"measure.log"}


def test_an_empty_register_has_no_value() -> None:
    found = by_name(registers_of_log(TdxLaunch(firmware(tdx=tdx_metadata(TDX_SECTIONS[:1]))), log_of()))
    assert found["rtmr0"].value is not None
    empty = EventLog("ccel", b"", ((SHA384, 48),), ())
    without_volume = TdxLaunch(firmware(tdx=tdx_metadata(TDX_SECTIONS[:1])))
    assert [register.why for register in registers_of_log(without_volume, empty)][1:] == [
        "the log has no events of it"
    ] * 3


def test_a_log_of_a_tpm_is_refused() -> None:
    with pytest.raises(Malformed) as refused:
        registers_of_log(LAUNCH, EventLog("tpm", b"", ((SHA384, 48),), ()))
    assert refused.value.codes == {"measure.log"}


def test_the_log_of_a_real_machine_gives_its_registers(vectors: Vectors) -> None:
    """Its TD HOB is computed for its memory and exchanged; the other digests are its own."""
    file = vectors.path(vectors.cases[DSTACK]["files"]["quote_report_json"])
    found = Found()
    recognise(file.name, file.read_bytes(), found)
    (log,) = found.event_logs
    image = firmware(tdx=tdx_metadata([TDX_SECTIONS[0], *TDX_SECTIONS[2:]]))
    values = by_name(registers_of_log(TdxLaunch(image, 64 * GIB), log))
    body = Quote.parse(vectors.read(DSTACK, "quote")).body
    assert [values[name].value for name in ("rtmr0", "rtmr1", "rtmr2")] == [
        body.rtmr0,
        body.rtmr1,
        body.rtmr2,
    ]
    assert values["rtmr0"].events[0][0] == "TD HOB"
    other = by_name(registers_of_log(TdxLaunch(image, 32 * GIB), log))
    assert other["rtmr0"].value != body.rtmr0
    assert other["rtmr1"].value == body.rtmr1
