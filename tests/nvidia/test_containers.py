"""Documents around device evidence: every known shape, no shape guessed, limits kept."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import Malformed
from attest.nvidia.containers import MAX_DEVICES, DeviceEvidence, read_json
from attest.simulator.certificates import pem
from tests.conftest import Sample
from tests.nvidia.conftest import Bench


@pytest.fixture(scope="module")
def entry(bench: Bench) -> dict[str, Any]:
    return dict(bench.plan().build().document())


def refused(document: Any) -> set[str]:
    with pytest.raises(Malformed) as refusal:
        read_json(document, "d")
    return refusal.value.codes


def test_every_producers_shape_gives_the_same_devices(entry: dict[str, Any]) -> None:
    bare = {name: entry[name] for name in ("evidence", "certificate")}
    body = {"nonce": entry["nonce"], "arch": "HOPPER", "evidence_list": [bare]}
    shapes: list[Any] = [
        [entry],
        {"evidences": [entry], "result_code": 0, "result_message": "Ok"},
        {"device_evidence_list": [{**entry, "uuid": "unknown"}]},
        body,
        {"nvidia_payload": json.dumps(body), "intel_quote": "04", "signing_address": "0x"},
    ]
    first = read_json(shapes[0], "d")
    for shape in shapes[1:]:
        assert read_json(shape, "d") == first
    assert first is not None
    assert (first[0].section, first[0].arch) == ("gpu", "HOPPER")


@pytest.mark.parametrize(
    "document", [[], {"evidences": []}, {"device_evidence_list": []}, {"evidence_list": []}]
)
def test_t_empty_an_empty_list_is_never_success(document: Any) -> None:
    assert refused(document) == {"nvidia.no-devices"}


@pytest.mark.parametrize(
    "document", [{}, {"quote": "AA"}, [1], ["evidence"], [{"quote": ""}], "text", None, 7, True]
)
def test_other_documents_are_left_to_others(document: Any) -> None:
    assert read_json(document, "d") is None


def test_at_most_sixteen_devices(entry: dict[str, Any]) -> None:
    assert refused([entry] * (MAX_DEVICES + 1)) == {"nvidia.container"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"evidence": 7}, "nvidia.container"),
        ({"evidence": "AAAA"}, "nvidia.report.malformed"),
        ({"certificate": 7}, "nvidia.container"),
        ({"certificate": "!"}, "nvidia.container"),
        ({"certificate": "A" * (33 << 10)}, "nvidia.container"),
        ({"certificate": "AAAA"}, "x509.malformed"),
        ({"arch": 7}, "nvidia.container"),
    ],
)
def test_a_broken_entry_is_malformed(entry: dict[str, Any], change: dict[str, Any], code: str) -> None:
    assert refused([{**entry, **change}]) == {code}
    assert refused([entry, {**entry, **change}]) == {code}


@pytest.mark.parametrize("document", [{"evidences": {}}, {"evidence_list": "x"}, {"evidences": [], "evidence_list": []},
                                      {"nvidia_payload": "{}"}, {"nvidia_payload": "[]"}, {"nvidia_payload": "nope"},
                                      {"evidences": [7]}, {"evidences": [{}]}])  # fmt: skip
def test_a_broken_list_is_malformed(document: Any) -> None:
    assert refused(document) <= {"nvidia.container", "evidence.malformed"}


def test_a_chain_may_be_pem_empty_or_elsewhere(bench: Bench, entry: dict[str, Any]) -> None:
    text = b"".join(map(pem, bench.plan().build().chain)).decode()
    chains = [{**entry, "certificate": text}, {**entry, "certificate": ""}]
    devices = read_json([entry, *chains, {"evidence": entry["evidence"]}], "d")
    assert devices is not None
    assert devices[0].chain == devices[1].chain
    assert devices[2].chain == ()
    assert devices[3].chain is None


def test_a_chain_is_capped(bench: Bench, entry: dict[str, Any]) -> None:
    text = b"".join(map(pem, bench.plan().build().chain)) * 4
    for certificate in (text.decode(), base64.b64encode(text).decode()):
        assert refused([{**entry, "certificate": certificate}]) == {"nvidia.container"}


def test_a_nonce_beside_the_evidence_is_decoration(entry: dict[str, Any]) -> None:
    assert read_json([{**entry, "nonce": "00" * 32}], "d") == read_json([entry], "d")


def test_the_section_comes_from_the_best_that_is_there(
    bench: Bench, entry: dict[str, Any], h100: Sample
) -> None:
    devices = read_json([entry], "d")
    assert devices is not None
    report = devices[0].report
    assert DeviceEvidence(report, devices[0].chain, "LS10").section == "gpu"
    assert DeviceEvidence(report, None, "LS10").section == "switch"
    assert DeviceEvidence(report, None, "else").section == "gpu"
    assert h100.evidence.devices[0].section == "gpu"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["evidence", "certificate", "arch", "evidences", "evidence_list", "nvidia_payload", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_JSON)
def test_any_json_gives_devices_none_or_malformed(document: Any) -> None:
    try:
        read_json(document, "d")
    except Malformed as refusal:
        assert refusal.codes <= {
            "nvidia.container",
            "nvidia.no-devices",
            "nvidia.report.malformed",
            "evidence.malformed",
        }
