"""Where logs come from: files of their own, documents with a quote, bundles, composite evidence."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from attest.bundle import Kind, write_bundle
from attest.composite import read_composite
from attest.errors import Malformed
from attest.eventlog.containers import read_json
from attest.eventlog.log import MAX_EVENTS, MAX_LOG, EventLog
from attest.eventlog.replay import replay_rtmrs
from attest.eventlog.tie import tie
from attest.recognise import Found, recognise
from attest.simulator import Simulator
from attest.simulator.eventlog import EventLogPlan
from tests.conftest import Vectors
from tests.eventlog.conftest import read

ENTRY: dict[str, Any] = {
    "imr": 3,
    "event_type": 0x08000001,
    "digest": "5a" * 48,
    "event": "app-id",
    "event_payload": "00",
}


def found_in(data: bytes) -> Found:
    found = Found()
    recognise("file", data, found)
    return found


def dstack(*entries: Any) -> str:
    return json.dumps(entries)


def test_a_raw_log_is_recognised_by_its_content(boot: EventLogPlan, tpm: EventLogPlan) -> None:
    for plan in (boot, tpm):
        raw = plan.encode()
        for data in (raw, raw.hex().encode(), base64.b64encode(raw)):
            assert found_in(data).event_logs == [read(plan)]


def test_a_small_log_is_no_snp_report() -> None:
    assert len(found_in(EventLogPlan([]).encode()).event_logs) == 1
    assert len(found_in(EventLogPlan([], first=0).encode()).event_logs) == 1


def test_real_logs_are_recognised(vectors: Vectors) -> None:
    for name in ("ccel-gce-cos113-match", "ccel-parse-ovmf-trustee", "tcg-log-ubuntu2404-snp-gce"):
        assert len(found_in(vectors.read(name, "event_log")).event_logs) == 1
    assert len(found_in(vectors.read("ccel-gce-cos113-match", "ccel_table")).tables) == 1


def test_a_table_alone_is_no_evidence(vectors: Vectors) -> None:
    with pytest.raises(Malformed) as refusal:
        found_in(vectors.read("ccel-gce-cos113-match", "ccel_table")).evidence()
    assert refusal.value.codes == {"evidence.missing"}


def test_the_same_log_twice_is_one_and_two_logs_are_refused(
    simulator: Simulator, boot: EventLogPlan, tpm: EventLogPlan
) -> None:
    found = Found()
    recognise("quote", simulator.tdx().raw, found)
    for plan in (boot, boot, tpm):
        recognise("log", plan.encode(), found)
    assert found.evidence().event_logs == (read(boot), read(tpm))
    boot.events.pop()
    recognise("another", boot.encode(), found)
    with pytest.raises(Malformed) as refusal:
        found.evidence()
    assert refusal.value.codes == {"evidence.several"}


def test_a_document_of_confidential_containers_brings_its_log(
    simulator: Simulator, boot: EventLogPlan
) -> None:
    quote = base64.b64encode(simulator.tdx().raw).decode()
    logged = base64.b64encode(boot.encode()).decode()
    document = {"quote": quote, "cc_eventlog": logged}
    assert found_in(json.dumps(document).encode()).event_logs == [read(boot)]
    composite = json.dumps({"primary_evidence": document, "additional_evidence": ""}).encode()
    assert found_in(composite).evidence().event_logs == (read(boot),)
    assert read_composite("tdx", document, "")[0].event_logs == (read(boot),)
    for none in ({"cc_eventlog": None}, {}, {"cc_eventlog": ""}, {"event_log": ""}, {"event_log": None}):
        assert found_in(json.dumps({"quote": quote, **none}).encode()).event_logs == []


@pytest.mark.parametrize(
    ("kind", "tpm_first", "fits"),
    [
        ("ccel", False, True),
        ("tpm-event-log", True, True),
        ("ccel", True, False),
        ("tpm-event-log", False, False),
    ],
)
def test_a_bundle_holds_logs_of_the_kind_it_says(
    kind: Kind, tpm_first: bool, fits: bool, boot: EventLogPlan, tpm: EventLogPlan
) -> None:
    plan = tpm if tpm_first else boot
    bundle = write_bundle([(kind, plan.encode())])
    if fits:
        assert found_in(bundle).event_logs == [read(plan)]
    else:
        with pytest.raises(Malformed):
            found_in(bundle)


@pytest.mark.parametrize("kind", ["crl", "certificates", "devices", "snp-report", "rim"])
def test_a_log_is_no_other_kind_of_entry(kind: Kind, boot: EventLogPlan) -> None:
    with pytest.raises(Malformed):
        found_in(write_bundle([(kind, boot.encode())]))


def test_a_real_dstack_log_is_tied_throughout_rtmr3(vectors: Vectors) -> None:
    document = json.loads(vectors.read("tdx-v4-uptodate-dstack-eventlog", "quote_report_json"))
    log = read_json(document, "x")
    assert log is not None
    facts = vectors.cases["tdx-v4-uptodate-dstack-eventlog"]["facts"]
    assert [value.hex() for value in replay_rtmrs(log)] == [facts[f"rtmr{number}"] for number in range(4)]
    assert {tie(event) for event in log.events if event.index == 4} == {"runtime"}
    assert read_json({"event_log": json.loads(document["event_log"])}, "x") is not None


def test_dstack_entries_are_numbered_as_registers() -> None:
    log = read_json({"event_log": dstack({**ENTRY, "imr": 0}, ENTRY)}, "x")
    assert log is not None
    assert [event.index for event in log.events] == [1, 4]
    assert (log.form, log.events[1].name, log.events[1].data) == ("dstack", "app-id", b"\0")


@pytest.mark.parametrize(
    "document",
    [
        {"cc_eventlog": "AAAA"},
        {"cc_eventlog": "not base64!"},
        {"cc_eventlog": 5},
        {"cc_eventlog": []},
        {"cc_eventlog": "A" * (2 << 20)},
        {"event_log": 5},
        {"event_log": "{}"},
        {"event_log": "[1]"},
        {"event_log": "["},
        {"event_log": '"[]"'},
        {"event_log": dstack(*[ENTRY] * 10_001)},
        {"event_log": "[]" + " " * (5 << 20)},
        {"event_log": "[]", "cc_eventlog": "AAAA"},
        *(
            {"event_log": dstack({name: value for name, value in ENTRY.items() if name != left})}
            for left in ENTRY
        ),
        *(
            {"event_log": dstack({**ENTRY, **change})}
            for change in (
                {"imr": 4},
                {"imr": -1},
                {"imr": True},
                {"imr": "3"},
                {"imr": 3.0},
                {"event_type": -1},
                {"event_type": 1 << 32},
                {"digest": "5a" * 47},
                {"digest": "5a" * 49},
                {"digest": "5a" * 47 + " 5"},
                {"digest": "0x" + "5a" * 47},
                {"digest": ""},
                {"event": 5},
                {"event": "x" * 257},
                {"event_payload": "0"},
                {"event_payload": "zz"},
                {"event_payload": "00 00"},
                {"event_payload": "\u0660\u0660"},
            )
        ),
    ],
)
def test_a_log_that_is_none_is_malformed(document: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as refusal:
        read_json(document, "x")
    assert refusal.value.codes <= {"evidence.malformed", "evidence.too-large"}


def test_a_malformed_log_beside_a_quote_refuses_the_document(simulator: Simulator) -> None:
    document = {"quote": base64.b64encode(simulator.tdx().raw).decode(), "cc_eventlog": "AAAA"}
    with pytest.raises(Malformed):
        found_in(json.dumps(document).encode())
    with pytest.raises(Malformed):
        read_composite("tdx", document, "")


def test_parse_takes_any_name(boot: EventLogPlan) -> None:
    with pytest.raises(Malformed, match=r"\\x1b"):
        EventLog.parse(boot.encode() + b"x", "\x1b[31m")


def test_bounds_are_met_exactly_and_each_has_its_reason(boot: EventLogPlan) -> None:
    longest = base64.b64encode(EventLogPlan([]).encode().ljust(MAX_LOG, b"\xff")).decode()
    assert read_json({"cc_eventlog": longest}, "x") is not None
    for document, says in (
        ({"cc_eventlog": longest + "AAAA" * 4}, "too large"),
        ({"event_log": dstack(*[ENTRY] * (MAX_EVENTS + 1))}, "too many events"),
        ({"event_log": dstack({**ENTRY, "event": "x" * 257})}, "name is too long"),
        ({"event_log": "[]", "cc_eventlog": longest}, "Two event logs"),
        ({"event_log": dstack({**ENTRY, "digest": "5a" * 49})}, "48 bytes"),
        ({"event_log": dstack({**ENTRY, "imr": 4})}, "no such RTMR"),
    ):
        with pytest.raises(Malformed, match=says):
            read_json(document, "x")
    most = read_json({"event_log": dstack(*[ENTRY] * MAX_EVENTS)}, "x")
    assert most is not None
    assert len(most.events) == MAX_EVENTS
    for change in ({"event": "x" * 256}, {"event_type": 0}, {"event_type": 0xFFFFFFFF}):
        assert read_json({"event_log": dstack({**ENTRY, **change})}, "x") is not None
    both = {"event_log": "[]", "cc_eventlog": base64.b64encode(boot.encode()).decode()}
    with pytest.raises(Malformed, match="Two event logs"):
        read_json(both, "x")
