"""JSON forms of a quote: one encoding a field, decided by what stands there."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from attest.errors import Malformed
from attest.tdx.containers import read_json
from attest.tdx.quote import Quote
from tests.conftest import Sample, Vectors


def test_each_form_of_the_field_gives_the_quote(td: Sample) -> None:
    raw = td.read("quote.bin")
    for document in (
        {"quote": base64.b64encode(raw).decode(), "cc_eventlog": None},
        {"quote": base64.b64encode(raw).decode()},
        {"quote": raw.hex(), "event_log": "[]", "report_data": "", "vm_config": "{}"},
        {"quote": raw.hex().upper()},
        {"intel_quote": raw.hex()},
        {"intel_quote": "0x" + raw.hex(), "nvidia_payload": "{}"},
    ):
        assert read_json(document, "evidence.json") == raw


def test_a_real_dstack_answer_holds_the_quote_beside_it(vectors: Vectors) -> None:
    name = "tdx-v4-uptodate-dstack-eventlog"
    raw = read_json(json.loads(vectors.read(name, "quote_report_json")), "report.json")
    assert raw is not None
    assert Quote.parse(raw) == Quote.parse(vectors.read(name, "quote"))


@pytest.mark.parametrize(
    "document", [{}, {"quote": None}, {"quote": {"message": ""}}, {"report": "AA=="}, {"quote": 5}]
)
def test_other_documents_are_left_to_others(document: dict[str, Any]) -> None:
    assert read_json(document, "x") is None


@pytest.mark.parametrize(
    "document",
    [
        {"quote": "not base64!"},
        {"quote": "AAA"},
        {"quote": "04000200810"},
        {"quote": "\u0660" * 8},
        {"intel_quote": "BAACAIEAAAA="},
        {"intel_quote": ""},
        {"quote": "A" * (300 << 10)},
    ],
)
def test_a_member_that_does_not_decode_is_malformed(document: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        read_json(document, "x")
