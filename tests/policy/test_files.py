"""What a policy file may say, and where each error is."""

from __future__ import annotations

import json
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.errors import Malformed
from attest.policy import Policy
from attest.policy.suggest import distance
from tests.counts import tenth
from tests.policy.conftest import policy_of

HEAD = "policy: 1\nname: t\nplatforms: [snp]\n"
GOOD = HEAD + "require: {snp: {debug: false}}\n"


def refused(text: str | bytes) -> Malformed:
    with pytest.raises(Malformed) as refusal:
        Policy.from_text(text, "p.yaml")
    return refusal.value


def messages(text: str) -> list[str]:
    return [problem.message for problem in refused(text).problems]


def test_unknown_claim_is_named_with_its_place_and_a_suggestion() -> None:
    assert messages(HEAD + "require:\n  snp:\n    debug: false\n    firmwar: 1\n") == [
        'p.yaml:7:5: unknown claim "firmwar" in snp. Did you mean "firmware"?'
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD.replace("debug: false", "debug: &a false"), "4:24: anchors are not allowed (&a)"),
        ("a: &x b\nc: *x\n", "2:4: aliases are not allowed (*x)"),
        (GOOD.replace("false", "!!bool false"), "4:24: tags are not allowed"),
        (GOOD.replace("false", "! false"), "4:24: tags are not allowed"),
        (GOOD + "<<: {name: u}\n", "5:1: merge keys are not allowed"),
        (GOOD + "name: u\n", '5:1: key "name" stands twice, first in line 2'),
        (GOOD.replace("{debug: false}", "{debug: }"), "4:23: empty value"),
        (GOOD.replace("[snp]", "[]"), "3:12: empty list"),
        (GOOD.replace("{debug: false}", "{}"), "4:16: empty map"),
        (GOOD.replace("false", "''"), "4:24: empty value"),
        (GOOD + "---\n" + GOOD, "a second document"),
        ("%YAML 1.1\n---\n" + GOOD, "directives are not allowed"),
        ("? [a]\n: b\n", "1:3: a key is text"),
        ("", "the file is empty"),
        ("# nothing\n", "the file is empty"),
        ("a: [" + "[" * 20, "nested deeper than 12 levels"),
        ("a: {b: c\n", "not YAML"),
        ("a: \x01", "not YAML"),
        ('a: "\\ud800"', "text that is not Unicode"),
        ("- a\n", "a policy is a map"),
        (GOOD.replace("policy: 1", "policy: 2"), 'this verifier knows "policy: 1", not "2"'),
        (GOOD.replace("name: t", "name: T t"), "2:7: a name is 1 to 64 of a-z, 0-9 and -"),
        (GOOD.replace("name: t\n", ""), '"name" is missing'),
        (GOOD.replace("[snp]", "[snpp]"), '3:13: unknown platform "snpp". Did you mean "snp"?'),
        (GOOD.replace("[snp]", "[snp, snp]"), 'platform "snp" stands twice'),
        (GOOD.replace("[snp]", "[snp, none]"), '"none" stands alone'),
        (GOOD.replace("[snp]", "snp"), "platforms is a list"),
        (GOOD + "requires: {}\n".replace("{}", "x"), 'unknown policy key "requires". Did you mean "require"?'),
        (GOOD + "allow-warnings: {os-unmesured: x}\n", 'unknown warning "os-unmesured". Did you mean "os-unmeasured"?'),
        (GOOD.replace("snp: {", "snpp: {"), 'unknown section "snpp"'),
        (GOOD.replace("debug: false", "debug: no"), "4:24: debug wants true or false"),
        (GOOD.replace("debug: false", "debug: {iss: false}"), 'unknown operator of debug "iss". Did you mean "is"?'),
        (GOOD.replace("debug: false", "debug: {why: x}"), "debug has no operator"),
        (GOOD.replace("debug: false", "debug: [false]"), "debug wants one value here"),
        (GOOD.replace("debug: false", "debug: {one-of: false}"), "one-of wants a list"),
        (GOOD.replace("debug: false", "debug: {at-least: 1}"), '"at-least" does not apply to debug, of kind bool'),
        (GOOD.replace("debug: false", "tcb: 24"), "tcb wants operators"),
        (GOOD.replace("debug: false", "tcb: {at-least: 24}"), "tcb wants a map"),
        (GOOD.replace("debug: false", "tcb: {at-least: {snpp: 24}}"), '"snpp" is no TCB component'),
        (GOOD.replace("debug: false", "tcb: {at-least: {snp: 256}}"), "a number from 0 to 255"),
        (GOOD.replace("debug: false", "tcb: {at-least: {milan: {snp: 1}, snp: 2}}"), '"milan" is no TCB component'),
        (GOOD.replace("debug: false", "smt: {is: false, else: warn}"), "else: warn needs until"),
        (GOOD.replace("debug: false", "smt: {is: false, until: 2027-01-01}"), "until belongs to else: warn"),
        (GOOD.replace("debug: false", "smt: {is: false, else: warn, until: 2027-13-01}"), "until wants a date"),
        (GOOD.replace("debug: false", "smt: {is: false, else: pass}"), 'else is deny or warn, not "pass"'),
        (GOOD.replace("debug: false", "vmpl: 01"), "vmpl wants a number below 2^64"),
        (GOOD.replace("debug: false", "vmpl: 18446744073709551616"), "vmpl wants a number below 2^64"),
        (GOOD.replace("debug: false", "vmpl: ١"), "vmpl wants a number below 2^64"),
        (GOOD.replace("debug: false", "host-data: 00e1"), "host-data wants 32 bytes in hex"),
        (GOOD.replace("debug: false", "product: zen"), "product wants one of milan, genoa, turin"),
        (GOOD.replace("debug: false", "firmware: 1.2.3.4.5"), "firmware wants a version"),
        (GOOD.replace("debug: false", "measurement: {in: web}"), 'unknown reference set "web"'),
        (GOOD.replace("debug: false", 'vmpl: "${v}"'), 'unknown parameter "v"'),
        (GOOD.replace("debug: false", 'vmpl: "0${v}"'), "a parameter stands for a whole value"),
        (GOOD.replace("debug: false", "guest-svn: {at-least: 1, covers: image}"), "covers stands beside is or one-of"),
        (GOOD.replace("debug: false", "any: {debug: false}"), "any wants a list of rule maps"),
        (GOOD.replace("debug: false", "any: [{smt: {is: false, else: warn, until: 2027-01-01}}]"), "else stands outside"),
        (GOOD.replace("debug: false", "any: [{any: [{any: [{any: [{debug: false}]}]}]}]"), "nest at most 3 deep"),
        (GOOD.replace("debug: false", "mitigations-launch: {at-least: 1}"), '"at-least" does not apply'),
        (GOOD.replace("snp: {", "gpu: {driver: {at-least: {550: 560.1}}}, snp: {"), "a minimum of branch 550 starts with 550"),
        (GOOD.replace("snp: {", "gpu: {driver: {at-least: {newer: ok}}}, snp: {"), "no branch is listed"),
        (GOOD.replace("snp: {", "gpu: {vbios: {at-least: 96.0.9F}}, snp: {"), "vbios wants a version"),
        (GOOD.replace("snp: {", "tdx: {tee-tcb-svn: {at-least: {16: 1}}}, snp: {"), "a byte index is 0 to 15"),
        (GOOD.replace("snp: {", "time: {evidence-age: {at-most: 60}}, snp: {"), "a duration such as 60s"),
    ],
)  # fmt: skip
def test_refused_with_a_reason_at_its_place(text: str, says: str) -> None:
    found = messages(text)
    assert any(says in message for message in found), found
    assert refused(text).codes == {"policy.invalid"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (GOOD + "extends: [{file: a.yaml, digest: sha384:%s}]\n" % ("00" * 48), "policy.extends"),
        (GOOD.replace("debug: false", "fixed: [amd-sb-3020]"), "policy.floor-missing"),
        (GOOD.replace("debug: false", "fixed: [amd-sb-3091]"), "policy.floor-missing"),
        (GOOD.replace("[snp]", "[snp, tdx]"), "policy.platform-without-rules"),
        (GOOD.replace("[snp]", "[azure-snp]"), "policy.platform-without-rules"),
        (GOOD.replace("[snp]", "[azure-snp]").replace("}}", "}, azure: {secure-boot: true}}"), "policy.paravisor-unpinned"),
        (GOOD + "params: {v: {type: snp.vmpl}}\n", "policy.parameter-missing"),
    ],
)  # fmt: skip
def test_refused_with_a_code_of_its_own(text: str, code: str) -> None:
    assert code in refused(text).codes


PINS = [
    ("azure-snp", 'snp: {measurement: "%s"}, azure: {secure-boot: true}' % ("11" * 48), True),
    (
        "azure-snp",
        'snp: {id-key: "%s", guest-svn: {at-least: 2}}, azure: {secure-boot: true}' % ("11" * 48),
        True,
    ),
    ("azure-snp", 'snp: {id-key: "%s", guest-svn: 2}, azure: {secure-boot: true}' % ("11" * 48), False),
    ("azure-snp", 'snp: {id-key: "%s"}, azure: {secure-boot: true}' % ("11" * 48), False),
    ("azure-snp", 'snp: {any: [{measurement: "%s"}]}, azure: {secure-boot: true}' % ("11" * 48), False),
    ("azure-snp", 'snp: {all: [{measurement: "%s"}]}, azure: {secure-boot: true}' % ("11" * 48), True),
    (
        "azure-snp",
        'snp: {measurement: {is: "%s", else: warn, until: 2027-01-01}}, azure: {secure-boot: true}'
        % ("11" * 48),
        False,
    ),
    ("azure-snp", 'snp: {measurement: {none-of: ["%s"]}}, azure: {secure-boot: true}' % ("11" * 48), False),
    ("azure-tdx", 'tdx: {mrtd: "%s"}, azure: {secure-boot: true}' % ("11" * 48), True),
    ("azure-tdx", 'tdx: {rtmr1: "%s"}, azure: {secure-boot: true}' % ("11" * 48), False),
]


@pytest.mark.parametrize(("platform", "require", "good"), PINS)
def test_t_paravisor_an_azure_policy_pins_it(platform: str, require: str, good: bool) -> None:
    text = f"policy: 1\nname: t\nplatforms: [{platform}]\nrequire: {{{require}}}\n"
    if good:
        assert Policy.from_text(text).platforms == {platform}
    else:
        assert refused(text).codes == {"policy.paravisor-unpinned"}


def test_all_errors_are_reported_in_the_order_of_their_places() -> None:
    text = HEAD + "require:\n  snp:\n    debug: maybe\n    firmwar: 1\n    vmpl: {one-of: [0, 0x0]}\n"
    assert [message.split(": ")[0] for message in messages(text)] == [
        "p.yaml:6:12",
        "p.yaml:7:5",
        "p.yaml:8:24",
    ]


@pytest.mark.parametrize("typed", ["550.10", "on", "0x10", "1e3", "null", "~"])
def test_scalars_stay_the_text_that_was_typed(typed: str) -> None:
    policy = Policy.from_text(GOOD.replace("debug: false", f"csp: {typed}"))
    assert json.loads(policy.canonical())["require"]["snp"]["csp"] == {"is": typed}


def test_parameters_resolve_and_are_checked() -> None:
    text = GOOD.replace("debug: false", 'vmpl: "${v}"') + "params: {v: {type: snp.vmpl, default: 0x0}}\n"
    assert json.loads(Policy.from_text(text).canonical())["require"]["snp"]["vmpl"] == {"is": "0"}
    with pytest.raises(Malformed):
        Policy.from_text(text, parameters={"v": "one"})
    with pytest.raises(Malformed):
        Policy.from_text(text, parameters={"w": "0"})
    with pytest.raises(Malformed) as refusal:
        Policy.from_text(text.replace("snp.vmpl", "snp.debug").replace("0x0", "false"))
    assert "is of type snp.debug, not snp.vmpl" in refusal.value.problems[0].message


def test_canonical_text_has_one_spelling() -> None:
    text = f"""
policy: 1
name: t
platforms: [tdx, snp]
require:
  tdx: {{tcb-lag: {{at-most: 2d}}, tcb-date: {{at-least: 2026-01-01}}}}
  snp:
    measurement: {{one-of: ["{"AB" * 48}", "{"01" * 48}"]}}
    policy-unknown-bits: 0x0
    smt: {{is: false, else: warn, until: 2027-01-31, why: x, fix: y}}
    vmpl: {{one-of: [0x0], else: deny}}
"""
    assert json.loads(Policy.from_text(text).canonical()) == {
        "policy": "1",
        "name": "t",
        "platforms": ["snp", "tdx"],
        "require": {
            "tdx": {"tcb-lag": {"at-most": "172800s"}, "tcb-date": {"at-least": "2026-01-01T00:00:00Z"}},
            "snp": {
                "measurement": {"one-of": ["01" * 48, "ab" * 48]},
                "policy-unknown-bits": {"is": "0"},
                "smt": {"is": "false", "else": "warn", "until": "2027-01-31T23:59:59Z"},
                "vmpl": {"one-of": ["0"]},
            },
        },
    }


def test_limits(tmp_path: Path) -> None:
    rules = ", ".join("{vmpl: 0}" for _ in range(501))
    assert "more than 500 rules" in messages(GOOD.replace("debug: false", f"any: [{rules}]"))[0]
    assert "larger than 256 KiB" in messages("#" * (256 << 10) + GOOD)[0]
    file = tmp_path / "p.yaml"
    file.write_text("#" * (300 << 10))
    with pytest.raises(Malformed):
        Policy.read(file)
    values = [{"value": f"{index:064x}"} for index in range(10_001)]
    tree = json.loads(Policy.from_text(GOOD).canonical())
    tree["references"] = {"web": {"type": "snp.host-data", "values": values}}
    with pytest.raises(Malformed) as refusal:
        Policy.from_canonical(tree)
    assert "more than 10000 reference values" in refusal.value.problems[0].message
    tree["references"]["web"]["values"] = values[1:]
    assert Policy.from_canonical(tree).name == "t"


def test_a_file_that_cannot_be_read_is_a_typed_error(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(Malformed) as refusal:
            Policy.read(path)
        assert refusal.value.codes == {"policy.invalid"}


def test_a_policy_cannot_be_made_or_changed_otherwise() -> None:
    policy = policy_of("{snp: {debug: false}}")
    with pytest.raises(TypeError):
        Policy(None, policy.body, {})
    with pytest.raises(AttributeError):
        policy.own = False


@pytest.mark.parametrize(
    ("left", "right", "apart"),
    [("is", "is", 0), ("si", "is", 1), ("firmwar", "firmware", 1), ("vmlp", "vmpl", 1), ("abcd", "efgh", 3), ("a", "abcd", 3)],
)  # fmt: skip
def test_distance(left: str, right: str, apart: int) -> None:
    assert distance(left, right) == apart


_WORDS = st.sampled_from(
    [
        *[
            "policy",
            "name",
            "platforms",
            "require",
            "snp",
            "tdx",
            "gpu",
            "1",
            "t",
            "debug",
            "false",
            "any",
            "all",
            "none",
            "is",
            "in",
            "one-of",
            "tcb",
            "at-least",
        ],
        *[
            "milan",
            "else",
            "warn",
            "until",
            "2027-01-01",
            "references",
            "values",
            "value",
            "params",
            "type",
            "default",
            "${x}",
        ],
        *["&", "*", "!", "-", ":", ",", "{", "}", "[", "]", "'", "#", "|", ">", "?", "%", "@", '"', "\\"],
        *("\n", "  ", "\n  ", ": "),
    ]
)


@settings(max_examples=tenth(3000), deadline=None)
@given(st.lists(_WORDS, max_size=40).map("".join) | st.text(max_size=80) | st.binary(max_size=80))
def test_any_text_is_a_policy_or_malformed(text: str | bytes) -> None:
    try:
        policy = Policy.from_text(text)
    except Malformed:
        return
    assert Policy.from_canonical(json.loads(policy.canonical())).digest == policy.digest


_JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | _WORDS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(_WORDS | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=tenth(2000), deadline=None)
@given(
    _JSON,
    st.sampled_from(["policy", "require", "references", "params", "platforms", "allow-warnings", "name"]),
)
def test_any_tree_is_a_policy_or_malformed(value: Any, key: str) -> None:
    tree: dict[str, Any] = {
        "policy": "1",
        "name": "t",
        "platforms": ["snp"],
        "require": {"snp": {"debug": {"is": "false"}}},
    }
    for shape in (value, {**tree, key: value}, {**tree, "require": {"snp": value}}):
        try:
            Policy.from_canonical(shape)
        except Malformed:
            continue


@pytest.mark.parametrize(
    "text",
    [
        "a: [" + "a," * 130_000 + "]",
        "{" + "a," * 130_000 + "}",
        "[" * (255 << 10),
        "- " * 130_000,
        "&a " * 80_000,
    ],
    ids=["items", "empty values", "brackets", "dashes", "anchors"],
)
def test_hostile_text_has_a_bounded_price(text: str) -> None:
    assert 1 <= len(refused(text).problems) <= 200


def test_long_lists_have_a_bounded_price() -> None:
    """Each member once more against all before it was minutes for a file of a quarter megabyte."""
    tree = json.loads(Policy.from_text(GOOD).canonical())
    tree["require"]["snp"]["guest-svn"] = {"none-of": [str(number) for number in range(30_000)]}
    start = process_time()
    assert Policy.from_canonical(tree).name == "t"
    assert process_time() - start < 5
    tree["require"]["snp"]["guest-svn"] = {"one-of": ["7", "0x07"]}
    with pytest.raises(Malformed) as refusal:
        Policy.from_canonical(tree)
    assert "the same value twice" in refusal.value.problems[0].message


def test_a_value_stands_in_a_set_once_for_each_file_at_most() -> None:
    tree = json.loads(Policy.from_text(GOOD).canonical())
    values = [{"value": "aa" * 32, "name": str(index)} for index in range(17)]
    tree["references"] = {"web": {"type": "snp.host-data", "values": values}}
    with pytest.raises(Malformed) as refusal:
        Policy.from_canonical(tree)
    assert "more than 16 times" in refusal.value.problems[0].message
    tree["references"]["web"]["values"] = values[1:]
    assert Policy.from_canonical(tree).name == "t"
