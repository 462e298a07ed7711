"""An exported policy says of every machine what the policy says, in an engine that is not ours."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.claims import read_instant
from attest.policy import Policy, appraise
from attest.policy.interchange.rego import Input
from attest.result.answer import of_appraisal
from attest.result.ear.rego import policy_in_rego
from attest.verified import Verified
from tests.conftest import ROOT
from tests.interchange.rego_apart import Engine
from tests.policy.conftest import GPU, NOW, SNP, TDX, policy_of, tree, verified_of
from tests.policy.test_conformance import CASES, policies_of

JUDGED = [name for name, case in CASES.items() if case["expect"]["verdict"] not in ("invalid", "loads")]


@cache
def engine(text: str, at: datetime) -> Engine:
    return Engine(text, at=at)


def answer(verified: Verified, policy: Policy | None = None) -> dict[str, Any]:
    """What `attest verify --json` prints, with the warnings of verification alone: the policy's are for Rego to find."""
    found = of_appraisal(appraise(verified, policy, at=verified.at)).as_dict()
    return {**found, "warnings": [one.as_dict() for one in verified.warnings]}


def reasons(denied: list[str]) -> list[str]:
    """The rules that the reasons speak of, each once."""
    return sorted({one.split(" (")[0] for one in denied})


@pytest.mark.parametrize("name", JUDGED)
def test_conformance_case(name: str) -> None:
    case = CASES[name]
    policy, at = policies_of(case)[0], read_instant(case["now"])
    export = policy_in_rego(policy, read="claims")
    assert not export.unexported
    asked = engine(export.text, at)
    document = answer(verified_of(case["claims"], at=at), policy)
    assert reasons(asked.ask("deny", document)) == sorted(set(case["expect"]["denied"]))
    assert asked.ask("verdict", document) == case["expect"]["verdict"]


def counted(read: Input) -> Counter[str]:
    """Why cases cannot be asked of an export, and how many can."""
    found: Counter[str] = Counter()
    for case in CASES.values():
        verdict = case["expect"]["verdict"]
        if verdict == "invalid":
            found["the policy does not load"] += 1
        elif verdict == "loads":
            found["no machine is judged"] += 1
        else:
            hidden = {one.rule for one in policy_in_rego(policies_of(case)[0], read=read).unexported}
            found[", ".join(sorted(hidden)) or "expressed"] += 1
    return found


def test_the_page_says_how_many_cases_can_be_expressed() -> None:
    page = " ".join((ROOT / "docs" / "interchange.md").read_text().split())
    claims, trustee = counted("claims"), counted("trustee")
    assert claims["expressed"] == len(JUDGED) >= 500
    assert trustee["expressed"] >= 20
    assert trustee["snp.policy-unknown-bits"] >= 100
    assert f"{claims['expressed']} of the {len(CASES)} conformance cases" in page
    assert f"{claims['the policy does not load']} others do not load" in page
    assert f"{claims['no machine is judged']} judge no machine" in page
    assert f"Trustee's input can be asked {trustee['expressed']}" in page
    assert f"another {trustee['snp.policy-unknown-bits']} without `snp.policy-unknown-bits`" in page


# -- any claims -------------------------------------------------------------------------------------

POLICIES = [
    policy_of(
        "{snp: {tcb: {at-least: {milan: {snp: 24}, genoa: {microcode: 84}}}, firmware: {at-least: 1.55.29}, smt: {is: false,"
        " else: warn, until: 2026-12-01}, vmpl: {one-of: [0, 1], override: aws}, guest-svn: {at-least: 2, at-most: 0x10},"
        " mitigations-launch: {has-bits: 5, no-bits: 2}, host-data: {exists: false}, any: [{product: milan}, {csp: x}],"
        " none: [{ecc: false}, {report-version: {at-most: 2}}]}}"
    ),
    policy_of(
        "{tdx: {tcb-lag: {at-most: 90d}, tee-tcb-svn: {at-least: {0: 5, 1: 1}}, advisories: {subset-of: [INTEL-SA-00001]},"
        " xfam: {no-bits: 0x8000000000000000}, tcb-date: {at-least: 2024-02-29}, rtmr1: {is: " + "bb" * 48 + "}}}",
        platforms="tdx",
    ),
]  # fmt: skip
TEXTS = st.one_of(
    st.sampled_from(
        ["", "0", "1", "2", "24", "023", "0x18", "0X2", "255", "256", "18446744073709551615", "18446744073709551616",
         "9223372036854775808", "0xffffffffffffffff", "true", "false", "True", "milan", "genoa", "1.55", "1.55.29", "1.55.4",
         "1.055.0029", "1.55.29.0", "1.55.29.0.0", "5s", "90d", "91d", "2160h", "0s", "2024-02-29", "2023-02-29", "2024-13-01",
         "2024-02-29T00:00:00Z", "2024-02-28T23:59:59Z", "2024-02-29T24:00:00Z", "UpToDate", "Revoked", "bb" * 48, "BB" * 48,
         "05010700" + "00" * 12, "05020700" + "00" * 12, "0\n", " 0", 'a"b', "a\\b", "é", "\U0001f600"]
    ),
    st.integers(0, 1 << 65).map(str),
    st.integers(0, 1 << 64).map(hex),
    st.lists(st.integers(0, 1 << 64), min_size=1, max_size=5).map(lambda parts: ".".join(map(str, parts))),
    st.text(max_size=6),
)  # fmt: skip
VALUES = st.one_of(
    TEXTS,
    st.lists(TEXTS, max_size=3),
    st.dictionaries(
        st.sampled_from(["fmc", "bootloader", "tee", "snp", "microcode", "other"]), TEXTS, max_size=4
    ),
    st.none(),
)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(POLICIES), st.data())
def test_any_claims(policy: Policy, data: st.DataObject) -> None:
    section, whole = ("snp", SNP) if "snp" in policy.platforms else ("tdx", TDX)
    claims = copy.deepcopy(whole)
    named = [entry.claim.name for entry in policy.body.sections[section] if hasattr(entry, "claim")]
    for name in data.draw(st.lists(st.sampled_from([*named, *sorted(whole)]), max_size=4)):
        value = data.draw(VALUES)
        if value is None:
            claims.pop(name, None)
        else:
            claims[name] = value
    try:
        verified = verified_of(tree(**{section: claims}))
    except (UnicodeError, ValueError):
        return  # lone surrogates are no JSON
    appraisal = appraise(verified, policy, at=NOW)
    asked = engine(policy_in_rego(policy, read="claims").text, NOW)
    document = answer(verified, policy)
    assert reasons(asked.ask("deny", document)) == sorted({str(one.where) for one in appraisal.problems})
    assert asked.ask("verdict", document) == appraisal.verdict


DATES = policy_of("{tdx: {tcb-date: {at-least: 1999-12-31}, advisories: {none-of: [x]}}}", platforms="tdx")


@pytest.mark.parametrize(
    "date",
    ["1999-12-30", "1999-12-31", "2000-02-29", "1900-02-29", "2100-02-29", "2023-02-29", "2024-02-29", "2024-02-30",
     "2024-04-31", "2024-01-32", "2024-01-00", "2024-00-10", "2024-01-10", "2024-12-31", "2024-13-01", "2999-12-31",
     "0999-12-31", "1999-12-31T00:00:00Z", "1999-12-30T23:59:59Z", "1999-12-30T24:00:00Z", "1999-12-31T23:60:00Z",
     "1999-12-31T23:59:60Z", "1999-12-31T23:59:59+00:00", "1999-12-31T23:59:59", "1999-12-31 00:00:00Z", "31-12-1999"],
)  # fmt: skip
def test_dates_are_those_of_the_calendar(date: str) -> None:
    _says_the_same(DATES, tree(tdx={**TDX, "tcb-date": date}))


@pytest.mark.parametrize(
    "found", [None, [], "", "x", "X", ["x"], ["y", ""], ["y", "y"], ["y", "z"], {"x": "y"}]
)
def test_sets_are_texts_each_once(found: object) -> None:
    claims = {**TDX, "advisories": found}
    _says_the_same(DATES, tree(tdx={name: value for name, value in claims.items() if value is not None}))


SET = "references: {web: {type: snp.measurement, values: [{value: " + "ab" * 48 + "}]}}\n"
RULES = [
    "measurement: {in: web}", "measurement: {none-of: [" + "cd" * 48 + "]}", "tcb: {at-most: {snp: 24}}",
    "tcb: {at-least: {milan: {snp: 24}}}", "csp: {exists: true}", "csp: {exists: false}", "csp: {none-of: [x]}",
    "firmware: {at-most: 9.9}", "firmware: {none-of: [1.1]}", "guest-svn: {at-most: 5}", "mitigations-launch: {no-bits: 1}",
    "none: [{csp: x}, {smt: true, measurement: {in: web}}]", "any: [{csp: {one-of: [x, y]}}, {guest-svn: 4}]",
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_what_is_absent_or_unreadable_is_no_pass(rule: str) -> None:
    name = re.findall(r"csp|measurement|tcb|firmware|guest-svn|mitigations-launch", rule)[0]
    policy = policy_of(f"{{snp: {{{rule}}}}}", more=SET)
    for raw in (
        None,
        "",
        "x",
        "ab" * 48,
        "5",
        "1.1",
        [],
        ["5"],
        {},
        {"snp": "24"},
        {"snp": "x"},
        {"snp": "25", "tee": "256"},
    ):
        claims = {**SNP, name: raw}
        if raw is None:
            del claims[name]
        _says_the_same(policy, tree(snp=claims))


@pytest.mark.parametrize("mode", [None, "spt", "ppcie", ""])
@pytest.mark.parametrize(
    "raw", [None, [], ["x"], [{}], [{"opaque_data_version": "0"}], [{"opaque_data_version": "1"}]]
)
def test_a_mode_that_cannot_be_said_passes_its_default(mode: str | None, raw: list[Any] | None) -> None:
    device = {**GPU, "cert": "absent"}
    device = (
        {**device, "mode": mode} if mode is not None else {k: v for k, v in device.items() if k != "mode"}
    )
    claims = tree(snp=SNP, gpu=[device])
    claims["raw"] = {} if raw is None else {"gpu": raw}
    _says_the_same(policy_of("{snp: {smt: true}, gpu: {count: 1}}"), claims)


@pytest.mark.parametrize(
    "values",
    ["{value: V, covers: image}", "{value: V}", "{value: V, state: observed, covers: image}", "{value: V, state: observed}",
     "{value: V, state: revoked, since: 2027-01-01, covers: image}", "{value: V, until: 2026-01-01, covers: image}"],
)  # fmt: skip
def test_what_a_reference_value_covers(values: str) -> None:
    listed = values.replace("V", SNP["measurement"])
    more = f"references: {{web: {{type: snp.measurement, values: [{listed}]}}}}\n"
    _says_the_same(policy_of("{snp: {measurement: {in: web}}}", more=more), tree(snp=SNP))


FIRST = "INTEL-SA-00001"
LEVEL = {"status": "OutOfDate", "advisories": [FIRST]}
GOOD = {"status": "UpToDate", "advisories": []}


@pytest.mark.parametrize(
    "levels",
    [None, {}, {"platform": LEVEL}, {"qe": LEVEL}, {"platform": LEVEL, "qe": GOOD}, {"platform": LEVEL, "qe": "x"},
     {"platform": LEVEL, "qe": GOOD, "module": {"status": "OutOfDate", "advisories": []}}, {"platform": GOOD, "qe": GOOD},
     {"platform": {**LEVEL, "advisories": FIRST.lower()}, "qe": GOOD}, {"platform": {**LEVEL, "status": "Revoked"}, "qe": GOOD},
     {"platform": {"advisories": [FIRST]}, "qe": GOOD}],
)  # fmt: skip
@pytest.mark.parametrize("status", ["OutOfDate", None, "Revoked", "TDRelaunchAdvised"])
def test_an_advisory_is_accepted_for_each_part_that_is_behind(levels: object, status: str | None) -> None:
    policy = policy_of(
        f"{{tdx: {{advisories: {{none-of: [{FIRST}]}}}}}}",
        platforms="tdx",
        more=f"accept: [{{advisory: {FIRST}, until: 2027-01-01, because: x}}]\n",
    )
    claims = {**TDX, "tcb-status": status, "advisories": [FIRST]}
    raw = {} if levels is None else {"tdx": {"tcb": levels}}
    _says_the_same(
        policy, tree(tdx={name: value for name, value in claims.items() if value is not None}, raw=raw)
    )


def _says_the_same(
    policy: Policy, claims: dict[str, Any], judged: Policy | None = None, **state: Any
) -> None:
    """judged: whose answer it is that the export reads."""
    verified = verified_of(claims, **state)
    appraisal = appraise(verified, policy, at=NOW)
    asked = engine(policy_in_rego(policy, read="claims").text, NOW)
    document = answer(verified, judged or policy)
    assert reasons(asked.ask("deny", document)) == sorted({str(one.where) for one in appraisal.problems})
    assert asked.answer("verdict") == appraisal.verdict
    if appraisal.conforms:
        assert set(asked.answer("warnings")) == {one.code for one in appraisal.warnings}


# -- the paravisor's word, and what nobody asked ----------------------------------------------------

AZURE = {"pcr11": "c1" * 32, "secure-boot": "true", "user-data-bound": "true"}
BOOT = {"kernel": "d1" * 32}


def paravisor_policy(measurement: str) -> Policy:
    return policy_of(
        f"{{snp: {{measurement: {{is: {measurement}, covers: image}}}}, azure: {{pcr11: {'c1' * 32}}},"
        f" boot: {{kernel: {'d1' * 32}}}, binding: {{init-data: {{exists: true}}}}}}",
        platforms="azure-snp",
    )


@pytest.mark.parametrize("pinned", [True, False])
@pytest.mark.parametrize("lifted", [True, False])
def test_a_paravisor_is_heard_where_this_policy_pins_it(pinned: bool, lifted: bool) -> None:
    """Whatever the policy of the answer made known."""
    claims = tree(snp=SNP, azure=AZURE, boot=BOOT)
    policy = paravisor_policy(SNP["measurement"] if pinned else "0b" * 48)
    judged = paravisor_policy(SNP["measurement"] if lifted else "0c" * 48)
    _says_the_same(policy, claims, judged)
    claims["azure"]["pcr11"] = "c2" * 32
    _says_the_same(policy, claims, judged)


def test_on_other_machines_the_boot_is_the_hardwares_word() -> None:
    policy = policy_of(
        f"{{snp: {{smt: true}}, boot: {{kernel: {'d1' * 32}}}, binding: {{init-data: {'e1' * 32}}}}}"
    )
    for kernel, digest in (("d1", "e1"), ("d2", "e1"), ("d1", "e2")):
        claims = tree(snp=SNP, boot={"kernel": kernel * 32})
        claims["binding"]["init-data"] = digest * 32
        _says_the_same(policy, claims)


@pytest.mark.parametrize("cpu", [True, False])
@pytest.mark.parametrize("check", ["binding.report-data", "binding.gpu-nonce"])
def test_freshness_is_a_check_of_the_part_that_speaks(cpu: bool, check: str) -> None:
    claims = tree(gpu=[GPU], **({"snp": SNP} if cpu else {}))
    claims["binding"].pop("nonce")
    policy = policy_of(
        "{snp: {smt: true}, gpu: {count: 1}}" if cpu else "{gpu: {count: 1}}",
        platforms="snp" if cpu else "none",
    )
    record = {"name": check, "outcome": "passed", "source": "", "why": None}
    _says_the_same(policy, claims, checks=[record])


@pytest.mark.parametrize("ids", [["aa"], [None], [None, None], ["aa", "aa"], ["aa", "bb", "aa"], ["", "aa"]])
def test_devices_are_told_apart(ids: list[str | None]) -> None:
    devices = [{**GPU, "id": one, "count": str(len(ids))} for one in ids]
    claims = tree(
        snp=SNP, gpu=[{name: value for name, value in one.items() if value is not None} for one in devices]
    )
    _says_the_same(policy_of("{snp: {smt: true}, gpu: {count: {at-least: 1}}}"), claims)


# -- what is no answer ------------------------------------------------------------------------------

PLAIN = policy_of("{snp: {smt-allowed: true}}")


@pytest.mark.parametrize(
    "document",
    [{}, {"authentic": True}, {"claims": tree(snp=SNP)}, {"authentic": "true", "claims": tree(snp=SNP)},
     {"authentic": False, "claims": tree(snp=SNP)}, {"authentic": True, "claims": []}],
)  # fmt: skip
def test_what_is_no_answer_is_refused_with_a_reason(document: dict[str, Any]) -> None:
    asked = engine(policy_in_rego(PLAIN, read="claims").text, NOW)
    assert asked.ask("accept", document) is False
    assert asked.ask("deny", document)
    assert set(asked.answer("trust_claims").values()) <= {0, 96, 97}
    assert max(asked.answer("trust_claims").values()) >= 96


@pytest.mark.parametrize("missing", ["at", "expires", "claims", "authentic"])
def test_a_member_that_is_missing_leaves_nothing_to_accept(missing: str) -> None:
    asked = engine(policy_in_rego(PLAIN, read="claims").text, NOW)
    document = answer(verified_of(tree(snp=SNP)))
    assert asked.ask("accept", document) is True
    del document[missing]
    assert asked.ask("accept", document) is False
    assert "The machine could not be judged" in asked.answer("deny")


@pytest.mark.parametrize(
    ("change", "rule"),
    [({"at": None}, "clock"), ({"at": "2026-11-23T12:00:01Z"}, "clock"), ({"expires": None}, "expired"),
     ({"expires": "2026-11-23T11:59:59Z"}, "expired"), ({"expires": "x"}, "expired")],
)  # fmt: skip
def test_an_answer_holds_from_its_time_until_its_end(change: Mapping[str, Any], rule: str) -> None:
    asked = engine(policy_in_rego(PLAIN, read="claims").text, NOW)
    document = answer(verified_of(tree(snp=SNP)))
    assert asked.ask("accept", document) is True
    changed = {**document, **change}
    assert asked.ask("accept", changed) is False
    said = reasons(asked.ask("deny", changed))
    assert rule in said or said == ["The machine could not be judged"]


def test_ages_grow_with_the_engines_clock() -> None:
    policy = policy_of("{snp: {smt-allowed: true}, time: {evidence-age: {at-most: 60s}}}")
    text = policy_in_rego(policy, read="claims").text
    document = answer(verified_of(tree(snp=SNP)))
    assert engine(text, NOW + timedelta(seconds=58)).ask("accept", document) is True
    assert reasons(engine(text, NOW + timedelta(seconds=59)).ask("deny", document)) == ["time.evidence-age"]


def test_the_clock_is_the_engines_own() -> None:
    rule = "{{snp: {{smt: {{is: false, else: warn, until: {year}-01-01}}}}}}"
    document = answer(verified_of(tree(snp=SNP), at=NOW, expires=NOW + timedelta(days=36500)))
    document["at"] = "2020-01-01T00:00:00Z"
    document["claims"]["binding"].pop("nonce")
    for year, accepted in ((2025, False), (2999, True)):
        text = policy_in_rego(policy_of(rule.format(year=year)), read="claims").text
        assert Engine(text).ask("accept", document) is accepted


@pytest.mark.parametrize("value", [False, 0, None, ["false"], {"false": "false"}, "False", "0"])
def test_only_the_text_false_is_false(value: object) -> None:
    document = answer(verified_of(tree(snp=SNP)))
    document["claims"]["snp"]["debug"] = value
    asked = engine(policy_in_rego(PLAIN, read="claims").text, NOW)
    assert reasons(asked.ask("deny", document)) == ["snp.debug"]


# -- the vector -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", JUDGED[::40])
def test_the_vector_affirms_what_a_release_would(name: str) -> None:
    """Trustee's status is the worst of the vector: refused is contraindicated, a warning is one unless allowed."""
    case = CASES[name]
    policy, at = policies_of(case)[0], read_instant(case["now"])
    verified = verified_of(case["claims"], at=at)
    appraisal = appraise(verified, policy, at=at)
    vector = engine(policy_in_rego(policy, read="claims").text, at).ask(
        "trust_claims", answer(verified, policy)
    )
    assert len(vector) == 8
    marked = any(one["outcome"] != "pass" for one in appraisal.rules)
    warned = marked or any(
        one.code not in appraisal.allowed or one.code == "floors-expired" for one in appraisal.warnings
    )
    worst = max(vector.values())
    if not appraisal.conforms:
        assert worst >= 96
    elif warned:
        assert worst == 32
    else:
        assert 2 <= worst < 32


@pytest.mark.parametrize(
    ("allow", "configuration"), [("", 32), ("allow-warnings: {no-workload-identity: tried elsewhere}\n", 2)]
)
def test_a_warning_that_the_owner_allows_is_none_of_the_vectors(allow: str, configuration: int) -> None:
    text = policy_in_rego(policy_of("{snp: {smt-allowed: true}}", more=allow), read="claims").text
    vector = engine(text, NOW).ask("trust_claims", answer(verified_of(tree(snp=SNP))))
    assert vector["configuration"] == configuration
    assert vector["executables"] == 0
