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
    assert is_event_log(bytes(raw))
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


def _declared(*algorithms: tuple[int, int], count: int | None = None, vendor: bytes = b"\0") -> bytes:
    """A log without events that declares these algorithms."""
    listed = b"".join(struct.pack("<HH", *one) for one in algorithms)
    head = struct.pack("<IBBBBI", 0, 0, 2, 0, 2, len(algorithms) if count is None else count)
    spec_id = b"Spec ID Event03\0" + head + listed + vendor
    return struct.pack("<II20xI", 1, 3, len(spec_id)) + spec_id


SHA384_48 = (SHA384, 48)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (_declared((SHA384, 32)), "another size"),
        (_declared(SHA384_48, (0x04, 32)), "another size"),
        (_declared(SHA384_48, (0x0D, 48)), "another size"),
        (_declared(SHA384_48, (0x12, 48)), "another size"),
        (_declared(SHA384_48, (0x77, 0)), "another size"),
        (_declared(SHA384_48, (0x77, 65)), "another size"),
        (_declared(SHA384_48, *((0x70 + number, 32) for number in range(8))), "no usable algorithms"),
        (_declared(), "no usable algorithms"),
        (_declared(SHA384_48, count=2) + bytes(64), "cut short"),
        (_declared(SHA384_48, vendor=b"\2\0"), "end where it says"),
        (_declared(SHA384_48, vendor=b"\0\0"), "end where it says"),
        (struct.pack("<II20xI", 1, 3, 28) + b"Spec ID Event03\0" + bytes(40), "impossible size"),
        (_declared(SHA384_48)[:-1], "impossible size"),
        (_declared(SHA384_48)[:31], "cut short"),
    ],
)
def test_a_declaration_is_refused_for_its_own_reason(raw: bytes, says: str) -> None:
    with pytest.raises(Malformed, match=says):
        EventLog.parse(raw)


@pytest.mark.parametrize(
    "algorithms",
    [
        (SHA384_48, (0x04, 20), (0x0B, 32), (0x0D, 64), (0x12, 32)),
        (SHA384_48, (0x77, 1), (0x78, 64)),
        (SHA384_48, *((0x70 + number, 32) for number in range(7))),
    ],
)
def test_known_algorithms_have_their_sizes_and_unknown_ones_any(
    algorithms: tuple[tuple[int, int], ...],
) -> None:
    assert EventLog.parse(_declared(*algorithms)).algorithms == algorithms
    assert EventLog.parse(_declared(*algorithms, vendor=b"\3abc")).events == ()


@pytest.mark.parametrize("size", [HEAD + length for length in (1, 11, 13, 62, 65)])
def test_an_event_cut_in_its_head_says_so(size: int) -> None:
    with pytest.raises(Malformed, match=rf"An event is cut short.*\+{HEAD}"):
        EventLog.parse(EventLogPlan([separator(1)]).encode()[:size])


@pytest.mark.parametrize(("index", "known"), [(4, True), (5, False)])
def test_a_td_has_five_registers(index: int, known: bool) -> None:
    assert _reads(EventLogPlan([separator(index)])) == known


@pytest.mark.parametrize(("index", "known"), [(23, True), (24, False)])
def test_a_tpm_has_24_registers(index: int, known: bool) -> None:
    assert _reads(EventLogPlan([separator(index)], first=0, algorithms=(0x0B,))) == known


def _reads(plan: EventLogPlan) -> bool:
    try:
        read(plan)
    except Malformed as refusal:
        assert "register that is not there" in str(refusal)
        return False
    return True


@pytest.mark.parametrize("position", [0, 4, 8, 27, 32, 43])
def test_other_bytes_are_no_log(position: int) -> None:
    raw = bytearray(EventLogPlan([]).encode())
    assert is_event_log(bytes(raw))
    raw[position] ^= 0x40
    assert not is_event_log(bytes(raw))


def test_a_log_of_exactly_the_limit_is_read() -> None:
    assert EventLog.parse(EventLogPlan([]).encode().ljust(MAX_LOG, b"\xff")).events == ()


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


def test_t_eventlog_counts_and_sizes_are_bounded() -> None:
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
    for wrong, says in (
        (raw + b"\0", "56 bytes"),
        (b"CCEX" + raw[4:], "Not a CCEL table"),
        (raw[:4] + b"\x39" + raw[5:], "Not a CCEL table"),
        (raw[:36] + b"\x03" + raw[37:], "checksum"),
    ):
        with pytest.raises(Malformed, match=says):
            CcelTable.parse(wrong)
    other = bytearray(raw)
    other[36], other[9] = 3, (other[9] - 1) & 0xFF
    with pytest.raises(Malformed, match="unknown machine"):
        CcelTable.parse(bytes(other))
    other[36], other[9] = 1, (other[9] + 2) & 0xFF
    assert CcelTable.parse(bytes(other)).cc_type == 1
