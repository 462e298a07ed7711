"""`attest policy test`: suites are read strictly, tests fail for the right reasons, coverage is honest."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.cli.main import main
from attest.policy import Policy
from attest.policy.nodes import Unreadable
from attest.policy.suite import Suite, read_suite
from attest.policy.suppose import Supposed, change, judge, removal
from attest.policy.trial import Trial, Unfit, run
from attest.simulator import Simulator
from attest.verified import Verified
from tests.conftest import NOON, Sample
from tests.counts import tenth
from tests.policy.conftest import GPU, NOW, SNP, tree, verified_of

HEAD = "at: 2026-11-23T12:00:00Z\nevidence: {good: {files: x}}\ntests:\n"
POLICY = """policy: 1
name: t
platforms: [snp]
require:
  snp:
    product: {one-of: [milan, genoa]}
    any:
      - {smt: false}
      - {ecc: true, vmpl: 0}
  gpu: {driver: {at-least: 550.1}}
"""


def trial(tests: str, *, policy: str = POLICY, claims: Any = None) -> Trial:
    shown = verified_of(claims or tree(snp=SNP, gpu=[GPU, {**GPU, "id": "77"}]))
    return run(read_suite(HEAD + tests), Policy.from_text(policy, "p.yaml"), lambda *_: shown, now=NOW)


def faults(text: str) -> list[str]:
    with pytest.raises(Unreadable) as refused:
        read_suite(text)
    return [f"{fault.place.line}:{fault.place.column}: {fault.message}" for fault in refused.value.faults]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("policy: p.yaml\n", '"tests" is missing'),
        ("tests: {a: b}\n", "tests is a list"),
        ("suite: 2\ntests: [{evidence: a.b, expect: conforms}]\n", 'this version knows "suite: 1"'),
        (HEAD + "  - {evidence: good, expect: refused}\n", "expect: refused needs because"),
        (HEAD + "  - {evidence: good, expect: refuse, because: [x]}\n", 'Did you mean "refused"?'),
        (HEAD + "  - {evidence: goood, expect: conforms}\n", 'no evidence is called "goood". Did you mean "good"?'),
        (HEAD + "  - {expect: conforms}\n", 'a test has "evidence"'),
        (HEAD + "  - {evidence: good, expect: conforms, sets: {a: b}}\n", 'Did you mean "set"?'),
        (HEAD + "  - {evidence: good, expect: conforms, set: {snp.debg: true}}\n", 'Did you mean "debug"?'),
        (HEAD + "  - {evidence: good, expect: conforms, set: {snpp.debug: true}}\n", 'Did you mean "snp"?'),
        (HEAD + "  - {evidence: good, expect: conforms, set: {snp.debug: yes}}\n", "snp.debug wants true or false"),
        (HEAD + "  - {evidence: good, expect: conforms, set: {snp.tcb: {snpp: 1}}}\n", "is no TCB component"),
        (HEAD + "  - {evidence: good, expect: conforms, set: {snp: true}}\n", '"snp" is no claim'),
        (HEAD + "  - {evidence: good, expect: conforms, set: {\"snp[0].debug\": true}}\n", "snp is one part"),
        (HEAD + "  - {evidence: good, expect: conforms, set: {gpu.count: 8}}\n", "the count is that of the devices"),
        (HEAD + "  - {evidence: good, expect: conforms, set: {snp.vmpl: 1}, unset: [snp.vmpl]}\n", "changed twice"),
        (HEAD + "  - {evidence: good, expect: conforms, release: maybe}\n", "release is true or false"),
        (HEAD + "  - {evidence: good, expect: conforms, at: 2026-02-30}\n", "at wants a date"),
        (HEAD + "  - &a {evidence: good, expect: conforms}\n", "anchors are not allowed"),
        (HEAD + "  - {evidence: good, evidence: good, expect: conforms}\n", "stands twice"),
        (HEAD + "  - {evidence: good, expect: conforms}\n" * 2, "two tests are called"),
        ("evidence: {a: {files: x, simulate: {kind: snp}}}\ntests: [{evidence: a, expect: conforms}]\n", "one of the two"),
        ("evidence: {a: {simulate: {product: x}}}\ntests: [{evidence: a, expect: conforms}]\n", "simulate is a map with kind"),
        ("evidence: {a: {simulate: {kind: snp}, nonce: ab}}\ntests: [{evidence: a, expect: conforms}]\n", "chosen by the test itself"),
        ("x" * (256 * 1024 + 1), "larger than 256 KiB"),
        (HEAD + "".join(f"  - {{name: t{n}, evidence: good, expect: conforms}}\n" for n in range(1001)), "more than 1000 tests"),
    ],
)  # fmt: skip
def test_a_suite_is_read_strictly(text: str, says: str) -> None:
    assert any(says in fault for fault in faults(text)), faults(text)


@settings(max_examples=tenth(1000), deadline=None)
@given(st.text(max_size=80) | st.binary(max_size=80))
def test_any_text_is_a_suite_or_unreadable(text: str | bytes) -> None:
    with contextlib.suppress(Unreadable):
        assert isinstance(read_suite(text), Suite)


def test_a_test_passes_for_its_reason_and_no_other() -> None:
    found = trial(
        "  - {name: a, evidence: good, set: {snp.debug: true}, expect: refused, because: [snp.debug]}\n"
        "  - {name: b, evidence: good, set: {snp.debug: true}, expect: refused, because: [snp.debgu]}\n"
        "  - {name: c, evidence: good, set: {snp.debug: true, snp.vmpl: 1}, expect: refused, because: [snp.debug]}\n"
        "  - {name: d, evidence: good, expect: refused, because: [snp.debug]}\n"
        '  - {name: e, evidence: good, set: {"gpu[1].driver": 550.0}, expect: refused, because: [gpu.driver]}\n'
        '  - {name: f, evidence: good, set: {"gpu[1].driver": 550.0}, expect: refused, because: ["gpu[0].driver"]}\n'
        "  - {name: g, evidence: good, unset: [snp.product], expect: refused, because: [policy.snp.product]}\n"
    )
    assert [outcome.passed for outcome in found.outcomes] == [True, False, False, False, True, False, True]
    assert 'Did you mean "snp.debug"?' in found.outcomes[1].faults[0]
    assert [fault.split()[0] for fault in found.outcomes[2].faults] == ["snp.any", "snp.vmpl"]
    assert found.outcomes[3].faults[0].startswith("expected refused, found conforms-with-warnings because of")
    assert found.outcomes[0].changes == ("snp.debug = true",)
    assert not found.passed


def test_coverage_names_what_no_test_tried() -> None:
    found = trial(
        "  - {evidence: good, set: {snp.product: turin}, expect: refused, because: [snp.product]}\n"
    )
    missing = {rule.rule: rule.missing for rule in found.uncovered}
    assert missing == {
        "platforms": "no test made it fail",
        "snp.product": "no test made it pass",
        "snp.any": "no test made it fail",
        "snp.smt": "no test made it pass",
        "snp.ecc": "no test made it fail",
        "snp.vmpl": "no test made it fail",
        "gpu.present": "no test made it fail",
        "gpu.driver": "no test made it fail",
    }


GONE = "no test would notice that it, or a part of it, is gone"
UNMISSED: dict[str, tuple[str, str, str, str]] = {
    "a grace that no test names": (
        "snp.smt",
        "smt: {is: false, else: warn, until: 2027-05-05}",
        "{evidence: good, set: {snp.smt: false}, expect: conforms-with-warnings}",
        "{name: warned, evidence: good, expect: conforms-with-warnings, because: [no-workload-identity, snp.smt]}",
    ),
    "a bound beside another": (
        "snp.guest-svn",
        "guest-svn: {at-least: 1, at-most: 5}",
        "{evidence: good, set: {snp.guest-svn: 0}, expect: refused, because: [snp.guest-svn]}",
        "{evidence: good, set: {snp.guest-svn: 6}, expect: refused, because: [snp.guest-svn]}",
    ),
    "what its default refuses too": (
        "snp.crl",
        "crl: fresh",
        "{evidence: good, set: {snp.crl: stale}, expect: refused, because: [snp.crl]}",
        "{evidence: good, set: {snp.crl: absent}, expect: refused, because: [snp.crl]}",
    ),
    "a branch beside another": (
        "snp.any",
        "any: [{ecc: true}, {tsme: true}]",
        "{evidence: good, set: {snp.ecc: false}, expect: refused, because: [snp.any]}",
        "{evidence: good, set: {snp.ecc: false, snp.tsme: true}, expect: conforms-with-warnings}",
    ),
    "what a parent refuses too": (
        "snp.firmware",
        "firmware: {at-least: 1.55.20}",
        "{evidence: good, set: {snp.firmware: 1.50}, expect: refused, because: [snp.firmware]}",
        "{evidence: good, set: {snp.firmware: 1.55.19}, expect: refused, because: [snp.firmware]}",
    ),
}


@pytest.mark.parametrize("name", UNMISSED)
def test_a_rule_that_nobody_would_miss_is_not_covered(name: str) -> None:
    rule, line, failing, telling = UNMISSED[name]
    parent = b"policy: 1\nname: p\nplatforms: [snp]\nrequire: {snp: {firmware: {at-least: 1.55.1}}}\n"
    digest = hashlib.sha384(parent).hexdigest()
    policy = Policy.from_text(
        f'policy: 1\nname: t\nplatforms: [snp]\nextends: [{{file: p.yaml, digest: "sha384:{digest}"}}]\n'
        f"require:\n  snp:\n    product: milan\n    {line}\n",
        "t.yaml",
        files={"p.yaml": parent},
    )
    shown = verified_of(tree(snp={**SNP, "smt": "true" if "smt" in line else "false"}))

    def missing(*tests: str) -> dict[str, str]:
        text = HEAD + "".join(
            f"  - {test}\n" for test in ("{evidence: good, expect: conforms-with-warnings}", *tests)
        )
        found = run(read_suite(text), policy, lambda *_: shown, now=NOW)
        assert found.passed, [outcome.faults for outcome in found.outcomes]
        return {one.rule: one.missing for one in found.uncovered if one.at == "t.yaml:8:5"}

    assert missing(failing) == {rule: GONE}
    assert missing(failing, telling) == {}


def test_a_rule_that_says_what_the_default_says_is_covered_all_the_same() -> None:
    """No test can tell it from the default."""
    found = trial(
        "  - {evidence: good, expect: conforms-with-warnings}\n"
        "  - {evidence: good, set: {snp.debug: true}, expect: refused, because: [snp.debug]}\n",
        policy="policy: 1\nname: t\nplatforms: [snp]\nrequire: {snp: {debug: false}}\n",
        claims=tree(snp=SNP),
    )
    assert [one.rule for one in found.uncovered] == ["platforms"]


def test_a_rule_of_a_part_that_no_test_has_is_untried() -> None:
    policy = (
        "policy: 1\nname: t\nplatforms: [snp, tdx]\nrequire:\n  snp: {product: milan}\n  tdx: {mrtd: '"
        + "ab" * 48
        + "'}\n"
    )
    found = trial(
        "  - {evidence: good, expect: conforms-with-warnings}\n", policy=policy, claims=tree(snp=SNP)
    )
    assert {rule.rule: rule.missing for rule in found.uncovered}["tdx.mrtd"] == "no test judged it"
    inside = policy.replace("tdx: {mrtd: ", "tdx: {any: [{debug: false}], mrtd: ")
    found = trial(
        "  - {evidence: good, expect: conforms-with-warnings}\n", policy=inside, claims=tree(snp=SNP)
    )
    assert {rule.rule: rule.missing for rule in found.uncovered}["tdx.debug"] == "no test judged it"


def test_what_a_release_would_need_can_be_asked() -> None:
    policy = (
        "policy: 1\nname: t\nplatforms: [snp]\nallow-warnings: {os-unmeasured: x}\nrequire: {snp: {measurement: '"
        + str(SNP["measurement"])
        + "'}}\n"
    )
    tests = "  - {name: a, evidence: good, expect: conforms-with-warnings, release: true}\n  - {name: b, evidence: good, set: {snp.crl: absent}, expect: conforms-with-warnings, release: true}\n"
    found = trial(tests, policy=policy, claims=tree(snp=SNP))
    assert [outcome.passed for outcome in found.outcomes] == [True, False]
    assert found.outcomes[1].faults == ("no secret would go out",)


def test_changes_are_supposed_and_never_verified() -> None:
    shown = verified_of(tree(snp=SNP))
    supposed = Supposed(shown, [change("snp.debug", "true")])
    assert not isinstance(supposed, Verified)
    assert supposed.claims["snp"]["debug"] == "true"
    assert shown.claims["snp"]["debug"] == "false"
    assert supposed.at == shown.at


def test_a_change_of_what_is_not_there_is_the_suites_mistake() -> None:
    with pytest.raises(Unfit, match=r"line 4: tdx\.debug: the evidence has no part tdx"):
        trial("  - {evidence: good, set: {tdx.debug: true}, expect: refused, because: [tdx.debug]}\n")
    with pytest.raises(Unfit, match=r"the evidence has 2 of part gpu"):
        trial('  - {evidence: good, set: {"gpu[2].driver": 1.0}, expect: refused, because: [gpu.driver]}\n')


def test_components_are_laid_over_and_devices_taken_away() -> None:
    shown = verified_of(tree(snp=SNP, gpu=[GPU, {**GPU, "id": "77"}]))
    claims = Supposed(shown, [change("snp.tcb", {"snp": "1"}), removal("gpu[0]")]).claims
    assert claims["snp"]["tcb"] == {**SNP["tcb"], "snp": "1"}
    assert [(device["id"], device["count"]) for device in claims["gpu"]] == [("77", "1")]
    assert len(claims["raw"]["gpu"]) == 1
    assert "gpu" not in Supposed(shown, [removal("gpu")]).claims


def test_azures_claims_change_where_the_paravisor_says_them(simulator: Simulator) -> None:
    from tests.policy.test_author import Makers

    shown = Makers(simulator, simulator.anchors())("azure")
    measurement = shown.claims["snp"]["measurement"]
    policy = Policy.from_text(
        f"policy: 1\nname: t\nplatforms: [azure-snp]\nrequire: {{snp: {{measurement: '{measurement}'}}, azure: {{secure-boot: true}}}}\n"
    )
    assert judge(shown, policy, at=NOON).verdict == "conforms-with-warnings"
    assert judge(shown, policy, at=NOON, changes=[change("azure.secure-boot", "false")]).reasons == (
        "azure.secure-boot",
    )


# -- the command --------------------------------------------------------------------------------------


@pytest.fixture
def suite(tmp_path: Path, genoa: Sample) -> Path:
    for file in genoa.files:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "p.yaml").write_text(
        "policy: 1\nname: t\nplatforms: [snp]\nrequire:\n  snp: {product: genoa}\n"
    )
    file = tmp_path / "p.test.yaml"
    file.write_text(
        "evidence:\n"
        "  real: {files: [report.bin, vcek.der, ark.crl], at: 2025-09-06T17:21:41Z}\n"
        "tests:\n"
        "  - {evidence: real, expect: conforms-with-warnings}\n"
        "  - {evidence: real, set: {snp.product: milan}, expect: refused, because: [snp.product]}\n"
    )
    return file


def test_files_are_found_beside_the_suite(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "test", str(suite), "-v"]) == 0
    out = capsys.readouterr().out
    assert "changed after verification: snp.product = milan" in out
    assert out.splitlines()[-1].endswith(
        "2 of 2 tests of t passed, 1 of 2 rules seen passing and not passing"
    )
    assert f"○ platforms ({suite.parent / 'p.yaml'}): no test made it fail" in out
    assert main(["policy", "test", str(suite), "--require-coverage"]) == 1


def test_a_failing_test_is_told_with_the_sentence(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite.write_text(
        suite.read_text().replace("milan}, expect: refused", "milan}, expect: conforms-with-warnings")
    )
    assert main(["policy", "test", str(suite)]) == 1
    out = capsys.readouterr().out
    assert "expected conforms-with-warnings, found refused because of snp.product" in out
    assert "Wanted genoa, found milan." in out


def test_json_says_what_was_changed_after_verification(
    suite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["policy", "test", str(suite), "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["suites"]
    assert result["policy"]["digest"] == Policy.read(suite.with_name("p.yaml")).digest
    assert [test["changed-after-verification"] for test in result["tests"]] == [[], ["snp.product = milan"]]
    assert result["verdict"] == "passed"
    assert result["covered"] is False


def test_refused_and_malformed_evidence_has_its_codes(
    suite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = bytearray((suite.parent / "report.bin").read_bytes())
    report[0x90] ^= 1
    (suite.parent / "bad.bin").write_bytes(report)
    (suite.parent / "short.bin").write_bytes(report[:40])
    suite.write_text(
        "at: 2025-09-06T17:21:41Z\n"
        "tests:\n"
        "  - {evidence: [bad.bin, vcek.der, ark.crl], expect: refused, because: [snp.signature.invalid]}\n"
        "  - {evidence: [short.bin], expect: malformed, because: [evidence.unrecognised]}\n"
    )
    status = main(["policy", "test", str(suite), "--json"])
    (result,) = json.loads(capsys.readouterr().out)["suites"]
    assert [test["verdict"] for test in result["tests"]] == ["refused", "malformed"]
    assert result["tests"][0]["passed"]
    assert status in (0, 1)


@pytest.mark.parametrize(
    ("change_", "says"),
    [
        (lambda suite: suite.write_text("tests: x\n"), "p.test.yaml:1:8: tests is a list"),
        (lambda suite: suite.with_name("p.yaml").write_text("policy: 2\n"), 'this verifier knows "policy: 1"'),
        (lambda suite: suite.with_name("p.yaml").unlink(), "p.yaml"),
        (lambda suite: suite.unlink(), "No such file or directory"),
        (lambda suite: suite.write_text("evidence: {a: {simulate: {kind: snpp}}}\ntests: [{evidence: a, expect: conforms}]\n"), "line 1: simulate: kind is one of"),
        (lambda suite: suite.write_text("evidence: {a: {simulate: {kind: snp, nonsense: 1}}}\ntests: [{evidence: a, expect: conforms}]\n"), "line 1: simulate: nonsense=1: snp has no field nonsense. It has "),
        (lambda suite: suite.write_text("evidence: {a: {files: report.bin, nonce: xy}}\ntests: [{evidence: a, expect: conforms}]\n"), "line 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_ends_with_2(
    suite: Path, change_: Any, says: str, capsys: pytest.CaptureFixture[str], simulator: Simulator
) -> None:
    change_(suite)
    state = suite.with_name("state.json")
    simulator.save(state)
    assert main(["policy", "test", str(suite), "--state", str(state)]) == 2
    assert says in capsys.readouterr().err


def test_a_suite_of_another_name_says_its_policy(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = suite.rename(suite.with_name("tests.yaml"))
    assert main(["policy", "test", str(other)]) == 2
    assert 'which policy? Say "policy: FILE"' in capsys.readouterr().err
    other.write_text("policy: p.yaml\n" + other.read_text())
    assert main(["policy", "test", str(other)]) == 0
