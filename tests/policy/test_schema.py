"""The JSON Schema for editors: it takes what the reader takes, and marks what it can of what the reader refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from attest.claims import CLAIMS
from attest.policy.builtin import BUILTINS, built_in
from attest.policy.operators import OPERATORS, applies
from attest.policy.schema import schema
from tests.conftest import ROOT

SCHEMA = schema()
VALIDATOR = Draft202012Validator(SCHEMA)
GOOD: dict[str, Any] = {
    "policy": 1,
    "name": "t",
    "platforms": ["snp"],
    "require": {"snp": {"debug": False}},
}


def as_an_editor_reads(text: bytes) -> Any:
    """YAML's core schema: `false` is a boolean, `550.10` a number, a date a date; as JSON has them."""
    return json.loads(json.dumps(YAML(typ="safe", pure=True).load(text), default=str))


def errors(value: object) -> list[str]:
    return [error.json_path for error in VALIDATOR.iter_errors(value)]


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert errors(GOOD) == []


@pytest.mark.parametrize("path", sorted((ROOT / "policies").glob("*.yaml")), ids=lambda path: path.stem)
def test_it_takes_every_policy_that_comes_along(path: Path) -> None:
    document = as_an_editor_reads(path.read_bytes())
    if "policy" in document:
        assert errors(document) == []


@pytest.mark.parametrize("name", BUILTINS)
def test_it_takes_the_built_ins(name: str) -> None:
    assert errors(as_an_editor_reads(built_in(name))) == []


def test_it_knows_every_claim_and_operator_and_no_other() -> None:
    for section, claims in CLAIMS.items():
        properties = SCHEMA["$defs"][section]["properties"]
        extra = {"any", "all", "none"} | ({"fixed"} if section == "snp" else set())
        assert set(properties) == set(claims) | extra
        for name, claim in claims.items():
            rule = properties[name]
            several = rule["anyOf"][1] if "properties" not in rule else rule
            operators = {one for one in OPERATORS if applies(one, claim)}
            assert set(several["properties"]) & set(OPERATORS) == operators


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("require/snp/firmwar", 1),
        ("require/snp/debug", "yes"),
        ("require/snp/debug", {"iss": False}),
        ("require/snp/debug", {"why": "no operator"}),
        ("require/snp/product", "zen"),
        ("require/snp/measurement", "00e1"),
        ("require/snp/tcb", 24),
        ("require/snp/tcb", {"at-least": {"snpp": 24}}),
        ("require/snp/tcb", {"at-least": {"snp": 256}}),
        ("require/snp/fixed", "amd-sb-3019"),
        ("require/snp/vmpl", {"one-of": []}),
        ("require/snp/any", {"debug": False}),
        ("require/gpu", {"vbios": {"at-least": "96.0.9F"}}),
        ("require/gpu", {}),
        ("require/snpp", {"debug": False}),
        ("require/time", {"evidence-age": {"at-most": 60}}),
        ("platforms", ["snpp"]),
        ("platforms", []),
        ("policy", 2),
        ("name", "T t"),
        ("extends", ["baseline/snp"]),
        ("extends", [{"file": "../team.yaml", "digest": "sha384:" + "00" * 48}]),
        ("params", {"v": {"type": "snp.tcb"}}),
        ("references", {"web": {"type": "snp.vmpl", "values": [{"value": "1"}]}}),
        ("references", {"web": {"type": "snp.csp", "values": [{"value": "x", "state": "good"}]}}),
        ("accept", [{"advisory": "INTEL-SA-01036", "because": "x"}]),
        ("allow-warnings", {"os-unmesured": "x"}),
        ("more", 1),
    ],
)
def test_it_marks_what_the_reader_refuses(path: str, value: object) -> None:
    document = json.loads(json.dumps(GOOD))
    *way, last = path.split("/")
    at = document
    for step in way:
        at = at[step]
    at[last] = value
    assert errors(document)
