"""JSON with the line of each value; what is no strict JSON is refused with the line of the fault."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.errors import Malformed
from attest.policy.interchange.json_lines import Located, read_located
from tests.counts import tenth

TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


def plain(one: Located) -> Any:
    if isinstance(one.value, dict):
        return {key: plain(value) for key, value in one.value.items()}
    return [plain(item) for item in one.value] if isinstance(one.value, list) else one.value


@given(tree=TREES, indent=st.sampled_from([None, 0, 1, "\t"]), ascii_only=st.booleans())
@settings(max_examples=tenth(2_000), deadline=None)
def test_values_are_those_of_the_strict_reader(tree: Any, indent: int | str | None, ascii_only: bool) -> None:
    text = json.dumps(tree, indent=indent, ensure_ascii=ascii_only)
    assert plain(read_located(text.encode())) == tree


@given(tree=st.dictionaries(st.text(max_size=6), TREES, min_size=1, max_size=6), breaks=st.integers(1, 3))
@settings(max_examples=tenth(1_000), deadline=None)
def test_each_member_has_the_line_of_its_key(tree: dict[str, Any], breaks: int) -> None:
    text, expected, line = "{", {}, 1
    for number, (key, value) in enumerate(tree.items()):
        text += ("," if number else "") + "\r\n" * breaks
        expected[key] = line = line + breaks
        # A text may hold no line break, so that only those between the members count.
        text += f"{json.dumps(key)}\n: {json.dumps(value)}"
        line += 1
    found = read_located((text + "}").encode()).members("the tree")
    assert {key: one.line for key, one in found.items()} == expected


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (b'{"a": 1,\n"a": 2}', 2, "repeats a key"),
        (b'{"a": 1,\n"b": {"\\u0061": 1,\n"a": 2},\n"c": 3}', 3, "repeats a key"),
        (b'{"a":\n-Infinity,\n"b": 1}', 2, "no such number, found -Infinity"),
        (b'{"a": 1,\n"b": "\\ud800",\n"c": 1}', 2, "not Unicode"),
        (b'{"a": ' + b"[\n" * 40 + b"]" * 40 + b"}", 24, "nested too deeply, wanted"),
        (b'{"a":\n' + b"1" * 5000 + b',\n"b": 1}', 2, "Not JSON that can be read"),
        (b'{"a": 1}\n{}', 2, "Extra data"),
        (b'{\n"a": "\t"}', 2, "Invalid control character"),
        (b'{\n\n"a": "\xff"}', 3, "not UTF-8"),
        (b'{"a": "' + b"\n" * (256 << 10) + b'"}', (256 << 10) - 6, "too large, wanted"),
        (b"\xef\xbb\xbf\n[", 2, "Not JSON"),
    ],
)
def test_a_fault_has_its_line(data: bytes, line: int, message: str) -> None:
    with pytest.raises(Malformed) as refusal:
        read_located(data)
    (problem,) = refusal.value.problems
    assert (problem.code, problem.where) == ("policy.import", f"line {line}")
    assert problem.message.startswith(f"line {line}: ")
    assert message in problem.message


@given(data=st.binary(max_size=80) | st.text(alphabet='{}[]:,"\\u0aN1-e \n', max_size=80).map(str.encode))
@settings(max_examples=tenth(3_000), deadline=None)
def test_any_bytes_are_read_or_refused_with_a_line(data: bytes) -> None:
    try:
        read_located(data)
    except Malformed as error:
        (problem,) = error.problems
        assert problem.where is not None
        assert 1 <= int(problem.where.removeprefix("line ")) <= data.count(b"\n") + 1


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda one: one["list"].members("it"), "line 2: it is not an object"),
        (lambda one: one["list"].text("it"), "line 2: it is not a text"),
        (lambda one: one["map"].items("it"), "line 3: it is not a list"),
        (lambda one: one["empty"].items("it"), "line 4: it is an empty list"),
    ],
)
def test_another_type_is_refused_with_its_line(read: Any, message: str) -> None:
    members = read_located(b'{\n"list": [1],\n"map": {"a": 1},\n"empty": []}').members("the tree")
    with pytest.raises(Malformed) as refusal:
        read(members)
    assert refusal.value.problems[0].message == message
