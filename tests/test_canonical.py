"""Strict JSON in, RFC 8785 out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.binding import device_nonce, report_data
from attest.canonical import canonical, read_json
from attest.errors import Malformed
from attest.untrusted import Untrusted

TREES = st.recursive(
    st.none() | st.booleans() | st.text() | st.integers(-(2**53) + 1, 2**53 - 1),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def test_the_runtime_data_vector_of_the_guest_protocol() -> None:
    digest = hashlib.sha384(canonical({"b": 1, "a": "test", "c": {"d": "e"}})).hexdigest()
    assert digest == (
        "e71ce8e70d814ba6639c3612ebee0ff1f76f650f8dbb5e47157e0f3f525cd22c4597480a186427c813ca941da78870c3"
    )


@given(TREES)
def test_what_was_written_is_read_back_and_is_written_alike(tree: object) -> None:
    try:
        text = canonical(tree)
    except UnicodeEncodeError:
        return
    assert canonical(read_json(text, where="test")) == text


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.text()
    | st.text(st.characters(max_codepoint=0x7F))
    | st.text(max_size=8).map(Untrusted)
    | st.integers()
    | st.floats(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.text(st.characters(max_codepoint=0x7F)), inner)
    ),
    max_leaves=20,
)


@settings(max_examples=2000)
@given(ANYTHING)
def test_t_canon_the_quick_way_writes_what_rfc_8785_says(tree: object) -> None:
    """Whatever the tree holds: the same bytes as the library, or its refusal."""

    def written(write: Callable[[Any], bytes]) -> object:
        try:
            return write(tree)
        except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
            return type(error)

    assert written(canonical) == written(rfc8785.dumps)


def test_text_of_an_attester_is_written_the_quick_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands in the claims of every machine with a GPU, which are written three times a release."""
    monkeypatch.setattr(rfc8785, "dumps", None)
    assert canonical({"driver": Untrusted('550 "x"\n')}) == b'{"driver":"550 \\"x\\"\\n"}'


@pytest.mark.parametrize(
    "tree", ["\x00\x1f\x7f\"\\/\b\f\n\r\t", {"b": 1, "a": 2, "A": 3, "": 4, "a\x00": 5, "\x7f": 6}, {"é": 1, "z": 2},
             {"\U0001f600": 1, "\ufb33": 2}, [2**53 - 1, -(2**53) + 1, True, None, False], 2**53, 1.0, [1e21], {"a": -0.0}]
)  # fmt: skip
def test_t_canon_escapes_order_and_numbers(tree: object) -> None:
    try:
        wanted = rfc8785.dumps(tree)  # type: ignore[arg-type]
    except rfc8785.CanonicalizationError:
        with pytest.raises(rfc8785.CanonicalizationError):
            canonical(tree)
    else:
        assert canonical(tree) == wanted


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":2}',
        b'{"x":{"a":1,"a":1}}',
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"\xff",
        b"",
        b"{",
        b"[" * 100 + b"]" * 100,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"1" * 6000,
        b"{}{}",
    ],
)
def test_t_canon_what_two_parsers_might_read_differently_is_refused(text: bytes) -> None:
    with pytest.raises(Malformed):
        read_json(text, where="test")


def test_brackets_in_strings_do_not_count_as_nesting() -> None:
    text = canonical({"a": "[" * 5000 + '\\"' + "{" * 5000})
    assert read_json(text, where="test")["a"].startswith("[")


@given(st.binary(max_size=300))
def test_any_bytes_are_json_or_malformed(data: bytes) -> None:
    try:
        read_json(data, where="test")
    except Malformed as error:
        assert error.codes == {"evidence.malformed"}


def test_cpu_and_device_are_bound_by_different_digests() -> None:
    key = {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}
    cpu, device = report_data("bm9uY2U=", key, "{}"), device_nonce("bm9uY2U=", key)
    assert len(cpu) == 64
    assert cpu[48:] == bytes(16)
    assert len(device) == 32
    assert device != cpu[:32]
    assert report_data("bm9uY2U=", key, "{ }") != cpu
    assert report_data("bm9uY2U=", key | {"kid": "1"}, "{}") != cpu
    assert report_data("bm9uY2U=", None, "{}") != cpu
