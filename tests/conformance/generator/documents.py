"""What is no policy, and the one spelling of what is: canonical text and its digest."""

from __future__ import annotations

from collections.abc import Iterator

from tests.conformance.generator.case import (
    FLOORS,
    MEASUREMENT,
    NOW,
    Case,
    Tree,
    digest_of,
    invalid,
    policy,
)

_HEAD = "policy: 1\nname: t\nplatforms: [snp]\n"
_GOOD = _HEAD + "require: {snp: {debug: false}}\n"


def _texts() -> Iterator[Case]:
    """YAML texts; `line` is where the first error is told. Implementations that read no YAML leave them out."""
    for name, text, line in [
        ("an anchor", _GOOD.replace("debug: false", "debug: &a false"), 4),
        ("an alias", "a: &x b\nc: *x\n", 1),
        ("a tag", _GOOD.replace("false", "!!bool false"), 4),
        ("a merge key", _GOOD + "<<: {name: u}\n", 5),
        ("a key twice", _GOOD + "name: u\n", 5),
        ("a claim twice", _GOOD.replace("debug: false", "debug: false, debug: true"), 4),
        ("an empty value", _GOOD.replace("{debug: false}", "{debug: }"), 4),
        ("an empty list", _GOOD.replace("[snp]", "[]"), 3),
        ("a second document", _GOOD + "---\n" + _GOOD, 5),
        ("a directive of YAML 1.1", "%YAML 1.1\n---\n" + _GOOD, 2),
        ("a key that is a list", "? [a]\n: b\n", 1),
        ("nothing", "", 1),
        ("nesting without end", "a: " + "[" * 50, 1),
        ("an open brace", "a: {b: c\n", 2),
        ("a tab that indents", "policy: 1\n\tname: t\n", 2),
        (
            "a list of rules of one claim",
            _GOOD.replace("debug: false", "debug: [{is: false}, {is: true}]"),
            4,
        ),
    ]:
        yield invalid(f"YAML with {name}", None, yaml=text, line=line)


def _trees() -> Iterator[Case]:
    rules: Tree = {"snp": {"debug": "false"}}
    good = policy(rules)
    for key in ("policy", "name", "platforms", "require"):
        yield invalid(f"no {key}", {name: value for name, value in good.items() if name != key})
    changes: list[tuple[str, Tree]] = [
        ("another version", {"policy": "2"}), ("a name with a space", {"name": "T t"}), ("an unknown key", {"requires": "x"}),
        ("no name of 65 letters", {"name": "a" * 65}), ("an unknown platform", {"platforms": ["snpp"]}),
        ("a platform twice", {"platforms": ["snp", "snp"]}), ("a platform that is no list", {"platforms": "snp"}),
        ("an unknown section", {"require": {"snpp": {"debug": "false"}}}), ("a warning that is none", {"allow-warnings": {"os-unmesured": "x"}}),
        ("an unknown claim", {"require": {"snp": {"firmwar": "1"}}}), ("a number", {"policy": 1}), ("a truth", {"require": {"snp": {"debug": False}}}),
        ("nothing", {"require": {"snp": {"debug": None}}}), ("an empty section", {"require": {"snp": {}}}),
        ("count in a group", {"require": {**rules, "gpu": {"any": [{"count": "1"}]}}}),
        ("nesting of four", {"require": {"snp": {"any": [{"any": [{"any": [{"any": [{"debug": "false"}]}]}]}]}}}),
        ("501 rules", {"require": {"snp": {"any": [{"vmpl": "0"}] * 501}}}),
    ]  # fmt: skip
    for name, change in changes:
        yield invalid(f"a policy with {name}", {**good, **change})


def _digests() -> Iterator[Case]:
    m = MEASUREMENT
    table: list[tuple[str, Tree, Tree]] = [
        ("a bare value is `is`", policy({"snp": {"debug": "false"}}), policy({"snp": {"debug": {"is": "false"}}})),
        ("a number is decimal", policy({"snp": {"vmpl": "0x0"}}), policy({"snp": {"vmpl": {"is": "0"}}})),
        ("bytes are lower case", policy({"snp": {"measurement": m.upper()}}), policy({"snp": {"measurement": {"is": m}}})),
        ("an end of day is an instant", policy({"snp": {"smt": {"is": "false", "else": "warn", "until": "2027-01-31"}}}),
         policy({"snp": {"smt": {"is": "false", "else": "warn", "until": "2027-01-31T23:59:59Z"}}})),
        ("deny is not said", policy({"snp": {"smt": {"is": "true", "else": "deny"}}}), policy({"snp": {"smt": {"is": "true"}}})),
        ("why and fix are not in it", policy({"snp": {"smt": {"is": "true", "why": "x", "fix": "y"}}}), policy({"snp": {"smt": {"is": "true"}}})),
        ("lists are sorted", policy({"snp": {"product": {"one-of": ["milan", "genoa"]}}}), policy({"snp": {"product": {"one-of": ["genoa", "milan"]}}})),
        ("and sorted as text", policy({"snp": {"vmpl": {"one-of": ["0"], "none-of": ["9", "10"]}}}), policy({"snp": {"vmpl": {"one-of": ["0"], "none-of": ["10", "9"]}}})),
        ("durations are seconds", policy({"tdx": {"tcb-lag": {"at-most": "2d"}}}, platforms=["tdx"]), policy({"tdx": {"tcb-lag": {"at-most": "172800s"}}}, platforms=["tdx"])),
        ("days are instants", policy({"tdx": {"tcb-date": {"at-least": "2026-01-01"}}}, platforms=["tdx"]), policy({"tdx": {"tcb-date": {"at-least": "2026-01-01T00:00:00Z"}}}, platforms=["tdx"])),
        ("components are decimal", policy({"snp": {"tcb": {"at-least": {"milan": {"snp": "0x18"}}}}}), policy({"snp": {"tcb": {"at-least": {"milan": {"snp": "24"}}}}})),
        ("a version has no leading zeros", policy({"snp": {"smt": "true"}, "gpu": {"driver": {"at-least": {"550": "550.090.07", "newer": "ok"}}}}),
         policy({"snp": {"smt": {"is": "true"}}, "gpu": {"driver": {"at-least": {"550": "550.90.7", "newer": "ok"}}}})),
        ("a VBIOS is upper case", policy({"snp": {"smt": "true"}, "gpu": {"vbios": {"at-least": "96.00.9f"}}}),
         policy({"snp": {"smt": {"is": "true"}}, "gpu": {"vbios": {"at-least": "96.00.9F"}}})),
        ("a set is named in a list", policy({"snp": {"measurement": {"in": "web"}}}, references={"web": {"type": "snp.measurement", "values": [{"value": m, "state": "active", "until": "2027-01-01"}]}}),
         policy({"snp": {"measurement": {"in": ["web"]}}}, references={"web": {"type": "snp.measurement", "values": [{"value": m, "until": "2027-01-01T23:59:59Z"}]}})),
        ("advisories to fix are lower case and sorted", policy({"snp": {"fixed": ["AMD-SB-3019"]}}), policy({"snp": {"fixed": {"is": ["amd-sb-3019"]}}})),
        ("advisories to accept are upper case and sorted",
         policy({"tdx": {"crl": "fresh"}}, platforms=["tdx"], accept=[{"advisory": "intel-sa-2", "until": "2027-01-01", "because": "x"}, {"advisory": "INTEL-SA-1", "until": "2027-01-01", "because": "y"}]),
         policy({"tdx": {"crl": {"is": "fresh"}}}, platforms=["tdx"], accept=[{"advisory": "INTEL-SA-1", "until": "2027-01-01T23:59:59Z", "because": "y"}, {"advisory": "INTEL-SA-2", "until": "2027-01-01T23:59:59Z", "because": "x"}])),
        ("platforms are sorted", policy({"snp": {"smt": "true"}, "tdx": {"crl": "fresh"}}, platforms=["tdx", "snp"]),
         policy({"snp": {"smt": {"is": "true"}}, "tdx": {"crl": {"is": "fresh"}}}, platforms=["snp", "tdx"])),
        ("an override and what is covered are said", policy({"snp": {"vmpl": {"one-of": ["1", "0"], "override": "x"}, "measurement": {"is": m, "covers": "image"}}}),
         policy({"snp": {"vmpl": {"one-of": ["0", "1"], "override": "x"}, "measurement": {"is": m, "covers": "image"}}})),
        ("allowed warnings are said", policy({"snp": {"smt": "true"}}, allow_warnings={"simulated": "x"}), policy({"snp": {"smt": {"is": "true"}}}, allow_warnings={"simulated": "x"})),
    ]  # fmt: skip
    for name, asked, effective in table:
        yield {"name": f"canonical: {name}", "now": NOW, "policy": asked, "floors": FLOORS, "claims": None,
               "expect": {"verdict": "loads", "digest": digest_of(effective)}}  # fmt: skip
    text = f'{_HEAD}require:\n  snp:\n    vmpl: 0x0 # typed so\n    measurement: "{MEASUREMENT.upper()}"\n'
    tree = policy({"snp": {"vmpl": "0x0", "measurement": MEASUREMENT.upper()}})
    effective = policy({"snp": {"vmpl": {"is": "0"}, "measurement": {"is": MEASUREMENT}}})
    yield {"name": "canonical: YAML and JSON of one policy", "now": NOW, "policy": tree, "yaml": text, "claims": None,
           "expect": {"verdict": "loads", "digest": digest_of(effective)}}  # fmt: skip


def cases() -> Iterator[Case]:
    yield from _texts()
    yield from _trees()
    yield from _digests()
