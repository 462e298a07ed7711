"""Files made to hurt: each is a typed error with its line, in under a second."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from attest.errors import Malformed
from attest.policy import Policy
from tests.policy.test_extends import file, ref

HEAD = "policy: 1\nname: t\nplatforms: [snp]\n"
GOOD = HEAD + "require: {snp: {debug: false}}\n"


def _bomb() -> str:
    """A billion laughs, where aliases would count."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    return GOOD + "\n".join(lines) + "\n"


def _many(count: int, text: str) -> str:
    return "\n".join([HEAD + "require:", "  snp:", "    any:", *[f"      - {text}"] * count]) + "\n"


TEXTS: list[tuple[str, Callable[[], str | bytes], str, str]] = [
    ("a bomb of aliases", _bomb, "5", "anchors are not allowed"),
    ("an anchor that refers to itself", lambda: GOOD + "a: &a [*a]\n", "5", "anchors are not allowed"),
    ("ten megabytes", lambda: GOOD + "# " + "x" * (10 << 20), "1", "larger than 256 KiB"),
    ("ten megabytes of brackets", lambda: "[" * (10 << 20), "1", "larger than 256 KiB"),
    ("a quarter of a megabyte of brackets", lambda: "[" * 250_000, "1", "nested deeper than 12"),
    ("the same of braces", lambda: "{a: " * 60_000, "1", "nested deeper than 12"),
    ("blocks in blocks", lambda: "\n".join(" " * i + "a:" for i in range(600)), "13", "nested deeper than 12"),
    ("sixty thousand entries", lambda: GOOD + "a: [" + "b," * 60_000 + "b]\n", "5", "more than 30500 entries"),
    ("twenty thousand keys", lambda: "\n".join(f"k{i}: v" for i in range(20_000)), "2001", "more than 2000 keys in one map"),
    ("a thousand times one key", lambda: GOOD + "name: u\n" * 1_000, "5", "stands twice"),
    ("nineteen hundred unknown keys", lambda: GOOD + "".join(f"{'x' * 60}{i}: y\n" for i in range(1_900)), "5", "unknown policy key"),
    ("an unknown key of a megabyte's quarter", lambda: GOOD + "x" * 200_000 + ": y\n", "5", ""),
    ("501 rules", lambda: _many(501, "{vmpl: 0}"), "507", "more than 500 rules"),
    ("UTF-16", lambda: GOOD.encode("utf-16"), "1", "not UTF-8"),
    ("Latin-1 in a comment", lambda: GOOD.encode() + "# Schlüssel\n".encode("latin-1"), "5", "not UTF-8"),
    ("two encodings", lambda: GOOD.encode() + "# ü\n".encode() + "# ü\n".encode("latin-1"), "6", "not UTF-8"),
    ("a mark of another byte order", lambda: b"\xfe\xff" + GOOD.encode(), "1", "not UTF-8"),
    ("a zero byte", lambda: GOOD.encode() + b"a: \x00\n", "5", "not YAML"),
    ("a control character", lambda: GOOD + "a: \x1b[2J\n", "5", "not YAML"),
    ("not a number", lambda: GOOD.replace("debug: false", "vmpl: .nan"), "4", "vmpl wants a number"),
    ("infinity", lambda: GOOD.replace("debug: false", "vmpl: {at-most: .inf}"), "4", "vmpl wants a number"),
    ("a number of a hundred thousand digits", lambda: GOOD.replace("debug: false", f"vmpl: {'9' * 100_000}"), "4", "vmpl wants a number"),
    ("a date that does not exist", lambda: GOOD.replace("debug: false", "smt: {is: false, else: warn, until: 2027-02-29}"), "4", "until wants a date"),
    ("digits of another script", lambda: GOOD.replace("debug: false", "vmpl: ٠"), "4", "vmpl wants a number"),
    ("groups in groups", lambda: GOOD.replace("debug: false", "any: [{any: [{any: [{any: [{debug: false}]}]}]}]"), "4", "nest at most 3"),
    ("a parameter that names itself", lambda: GOOD + 'params: {a: {type: snp.csp, default: "${a}"}}\n' , "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "line", "says"), TEXTS, ids=[text[0] for text in TEXTS])
def test_a_text_made_to_hurt(name: str, make: Callable[[], str | bytes], line: str, says: str) -> None:
    text = make()
    started = time.process_time()
    try:
        Policy.from_text(text, "p.yaml")
    except Malformed as error:
        assert line, error
        messages = [problem.message for problem in error.problems]
        assert any(message.startswith(f"p.yaml:{line}:") and says in message for message in messages), (
            messages[:3]
        )
        assert len(messages) <= 200
        assert all(len(message) < 600 for message in messages)
    else:
        # A default is text: nothing is put into it, so nothing goes round.
        assert not line
    assert time.process_time() - started < 2, "under a second on an idle machine"


def _values(count: int) -> dict[str, Any]:
    values = [{"value": f"{index:064x}"} for index in range(count)]
    return {
        "policy": "1",
        "name": "t",
        "platforms": ["snp"],
        "references": {"web": {"type": "snp.host-data", "values": values}},
        "require": {"snp": {"host-data": {"in": "web"}}},
    }


def test_ten_thousand_and_one_reference_values() -> None:
    started = time.process_time()
    with pytest.raises(Malformed, match="more than 10000 reference values"):
        Policy.from_canonical(_values(10_001))
    assert time.process_time() - started < 2, "under a second on an idle machine"
    assert len(Policy.from_canonical(_values(10_000)).body.references["web"].values) == 10_000


def test_the_limits_are_of_all_files_together() -> None:
    rules = ", ".join(["{vmpl: 0}"] * 300)
    parent = file(f"{{snp: {{any: [{rules}]}}}}")
    child = file(f"{{snp: {{any: [{rules}]}}}}", extends=ref("team.yaml", parent))
    with pytest.raises(Malformed, match="more than 500 rules"):
        Policy.from_text(child, files={"team.yaml": parent})
    host = "references: {%s: {type: snp.csp, values: [%s]}}\n"  # no two files share a set
    listed = [", ".join(f"{{value: {name}{index}}}" for index in range(5_001)) for name in "ab"]
    parent = file("{snp: {smt: true}}", host % ("a", listed[0]))
    child = file("{snp: {smt: true}}", host % ("b", listed[1]), extends=ref("team.yaml", parent))
    with pytest.raises(Malformed, match="more than 10000 reference values"):
        Policy.from_text(child, files={"team.yaml": parent})


def test_trees_made_to_hurt() -> None:
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    trees: list[Any] = [
        deep,
        {"policy": float("nan")},
        {"policy": 1},
        {"policy": b"1"},
        [],
        {},
        None,
        {"": "x"},
        {1: "x"},
        {"policy": "\ud800"},
        {"a": ["x"] * 70_000},
    ]
    for tree in trees:
        started = time.process_time()
        with pytest.raises(Malformed):
            Policy.from_canonical(tree)
        assert time.process_time() - started < 2, "under a second on an idle machine"


@pytest.mark.parametrize("levels", [13, 14])
def test_canonical_depth(levels: int) -> None:
    """The effective form may be one level deeper than a file, and no more."""
    inner: Any = {"tcb": {"at-least": {"milan": {"snp": "24"}}}}
    for _ in range(3):
        inner = {"any": [inner]}
    two = [inner["any"], [{"smt": "true"}]]
    tree = {"policy": "1", "name": "t", "platforms": ["snp"], "require": {"snp": {"any": two}}}
    if levels == 13:
        policy = Policy.from_canonical(tree)
        assert Policy.from_canonical(json.loads(policy.canonical())).digest == policy.digest
        return
    two[0][0] = {"any": [two[0][0]]}
    with pytest.raises(Malformed):
        Policy.from_canonical(tree)
