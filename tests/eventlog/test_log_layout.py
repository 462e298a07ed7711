"""The binary form: every length is checked before it is used, and any bytes give a log or Malformed."""

from __future__ import annotations

import contextlib
import struct
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.errors import Malformed
from attest.eventlog.ccel import CcelTable
from attest.eventlog.log import MAX_EVENTS, MAX_LOG, SHA384, EventLog, is_event_log
from attest.simulator.eventlog import EventLogPlan, Logged, separator, td_boot, tied, tpm_boot
from tests.conftest import Vectors
from tests.eventlog.conftest import read

CASES = [
    "ccel-gce-cos113-match",
    "ccel-gce-cos113-dupe-separator",
    "ccel-parse-ovmf-trustee",
    "ccel-parse-grub-trustee",
    "ccel-dstack-rtmr0-only",
    "tcg-log-ubuntu2404-snp-gce",
]
HEAD = len(EventLogPlan([]).encode())


@pytest.mark.parametrize("name", CASES)
def test_a_real_log_has_the_events_and_algorithms_it_is_known_for(vectors: Vectors, name: str) -> None:
    raw, facts = vectors.read(name, "event_log"), vectors.cases[name]["facts"]
    log = EventLog.parse(raw)
    assert is_event_log(raw)
    assert log.form == ("tpm" if name.startswith("tcg") else "ccel")
    assert len(log.events) == facts["events"]
    assert dict(log.algorithms) == {int(key, 16): size for key, size in facts["algorithms"].items()}
    assert len(log.raw) == facts.get("used_bytes", len(raw))
    assert raw.startswith(log.raw)


def test_padding_is_cut_off_and_an_unterminated_log_reads_the_same() -> None:
    padded, bare = td_boot(), td_boot()
    bare.padding = b""
    assert read(padded) == read(bare)
    assert read(bare).raw == bare.encode()


@pytest.mark.parametrize("padding", [b"\xff" * 8, b"\0" * 8, b"\0" * 4096, b"\xff" * 8 + b"\0" * 56])
def test_either_end_mark_ends_the_log(boot: EventLogPlan, padding: bytes) -> None:
    boot.padding = padding
    assert len(read(boot).events) == len(boot.events)


@pytest.mark.parametrize(
    "padding",
    [b"\xff" * 7, b"\0", b"\xff" * 8 + b"x", b"\0" * 8 + b"x" * 60, b"\xff" * 64 + bytes([1, 0, 0, 0]) * 20],
    ids=[
        "too short",
        "one byte",
        "a byte behind the mark",
        "text behind the mark",
        "an entry behind the mark",
    ],
)
def test_nothing_hides_behind_the_end_mark(boot: EventLogPlan, padding: bytes) -> None:
    boot.padding = padding
    with pytest.raises(Malformed) as refusal:
        read(boot)
    assert refusal.value.codes == {"evidence.malformed"}


def _declaration(change: Callable[[bytearray], None]) -> bytes:
    raw = bytearray(EventLogPlan([separator(1)]).encode())
    change(raw)
    return bytes(raw)


def _put(offset: int, value: bytes) -> Callable[[bytearray], None]:
    def change(raw: bytearray) -> None:
        raw[offset : offset + len(value)] = value

    return change


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (0, b"\x02"),
        (4, b"\x04"),
        (8, b"\x01"),
        (28, b"\x00\x00\x00\x00"),
        (28, b"\xff\xff\xff\xff"),
        (28, struct.pack("<I", HEAD - 32 + 1)),
        (32 + 13, b"02"),
        (32 + 23, b"\x03"),
        (32 + 24, b"\x00\x00\x00\x00"),
        (32 + 24, b"\xff\xff\xff\xff"),
        (32 + 28, b"\x0b\x00\x30\x00"),
        (32 + 28, b"\x0c\x00\x20\x00"),
        (32 + 28, b"\x77\x00\x00\x00"),
        (32 + 28, b"\x77\x00\x30\x00"),
        (HEAD - 1, b"\x01"),
    ],
)
def test_a_declaration_that_is_not_one_is_malformed(offset: int, value: bytes) -> None:
    with pytest.raises(Malformed) as refusal:
        EventLog.parse(_declaration(_put(offset, value)))
    assert refusal.value.codes == {"evidence.malformed"}


def test_an_algorithm_declared_twice_is_malformed() -> None:
    with pytest.raises(Malformed, match="twice"):
        EventLog.parse(EventLogPlan([], algorithms=(SHA384, SHA384)).encode())


@pytest.mark.parametrize(
    ("offset", "value", "says"),
    [
        (0, b"\x05", "register"),
        (0, b"\xff\xff\xff\xff", "register"),
        (8, b"\x00", "number of digests"),
        (8, b"\x02", "number of digests"),
        (8, b"\xff\xff\xff\xff", "number of digests"),
        (12, b"\x0b", "does not declare"),
        (62, b"\x05", "past the end"),
        (62, b"\xff\xff\xff\xff", "past the end"),
        (62, b"\x03", "cut short"),
    ],
)
def test_an_event_that_is_not_one_is_malformed(offset: int, value: bytes, says: str) -> None:
    with pytest.raises(Malformed, match=says) as refusal:
        EventLog.parse(_declaration(_put(HEAD + offset, value)))
    assert f"+{HEAD}" in str(refusal.value) or "+" in str(refusal.value)


def test_a_log_cut_anywhere_is_malformed_or_ends_with_a_whole_event(boot: EventLogPlan) -> None:
    boot.padding = b""
    raw = boot.encode()
    whole = []
    for end in range(len(raw)):
        try:
            log = EventLog.parse(raw[:end])
        except Malformed:
            continue
        assert log.raw == raw[:end]
        whole.append(len(log.events))
    assert whole == list(range(len(boot.events)))


def test_a_digest_given_twice_for_one_algorithm_is_malformed(tpm: EventLogPlan) -> None:
    raw = bytearray(tpm.encode())
    head = len(EventLogPlan([], first=0, algorithms=tpm.algorithms).encode())
    assert raw[head + 12 + 2 + 32 : head + 12 + 2 + 34] == b"\x0c\0"
    raw[head + 12 + 2 + 32] = 0x0B
    with pytest.raises(Malformed, match="does not declare"):
        EventLog.parse(bytes(raw))


def test_a_tds_log_has_sha384_digests() -> None:
    with pytest.raises(Malformed, match="SHA-384"):
        EventLog.parse(EventLogPlan([separator(1)], algorithms=(0x000B,)).encode())


def test_counts_and_sizes_are_bounded() -> None:
    most = EventLogPlan([tied(1, 6, b"")] * MAX_EVENTS)
    assert len(read(most).events) == MAX_EVENTS
    most.events.append(separator(1))
    with pytest.raises(Malformed, match="too many events"):
        read(most)
    with pytest.raises(Malformed) as refusal:
        EventLog.parse(EventLogPlan([]).encode().ljust(MAX_LOG + 1, b"\xff"))
    assert refusal.value.codes == {"evidence.too-large"}


def test_a_size_of_four_gigabytes_allocates_nothing() -> None:
    raw = _declaration(_put(HEAD + 62, b"\xff\xff\xff\xff"))
    tracemalloc.start()
    try:
        with pytest.raises(Malformed):
            EventLog.parse(raw)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


def test_unknown_types_are_kept_as_they_are() -> None:
    log = read(EventLogPlan([tied(4, 0xDEADBEEF, b"anything")]))
    assert (log.events[0].type, log.events[0].data) == (0xDEADBEEF, b"anything")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_give_a_log_or_malformed(data: bytes) -> None:
    for raw in (data, EventLogPlan([]).encode() + data, tpm_boot().encode() + data):
        with contextlib.suppress(Malformed):
            EventLog.parse(raw)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 4), st.integers(0, 2**32 - 1), st.binary(max_size=40), st.binary(max_size=40)
        ),
        max_size=8,
    )
)
def test_what_is_written_is_what_is_read(events: list[tuple[int, int, bytes, bytes]]) -> None:
    plan = EventLogPlan([Logged(*event) for event in events], padding=b"\xff" * 64)
    log = read(plan)
    assert [(event.index, event.type, event.data) for event in log.events] == [event[:3] for event in events]


def test_the_real_acpi_table_is_read(vectors: Vectors) -> None:
    raw = vectors.read("ccel-gce-cos113-match", "ccel_table")
    table = CcelTable.parse(raw)
    assert (table.cc_type, table.cc_subtype) == (2, 0)
    assert table.log_area_minimum_length == len(vectors.read("ccel-gce-cos113-match", "event_log"))
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1
        with pytest.raises(Malformed):
            CcelTable.parse(bytes(changed))
    with pytest.raises(Malformed):
        CcelTable.parse(raw + b"\0")
