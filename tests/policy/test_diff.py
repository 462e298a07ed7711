"""Two policies compared: what is found, that each witness is true, and that nothing is found where nothing is."""

from __future__ import annotations

import json
import random
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from attest.claims import CLAIMS
from attest.cli.main import main
from attest.policy import Policy, appraise
from attest.policy.builtin import BUILTINS
from attest.policy.diff import Comparison, Difference, compare
from tests.conftest import ROOT, Sample
from tests.fleet.conftest import fleet as fleet
from tests.policy.conftest import NOW, policy_of, verified_of

V, W = "aa" * 48, "bb" * 48
STEPS: dict[str, tuple[Any, Any]] = {
    "snp.tcb": ({"at-least": {"milan": {"snp": "22"}}}, {"at-least": {"milan": {"snp": "24"}}}),
    "snp.product": ({"one-of": ["milan", "genoa"]}, "milan"),
    "snp.firmware": ({"at-least": "1.55.4"}, {"at-least": "1.55.29"}),
    "snp.smt": ({"is": "false", "else": "warn", "until": "2027-01-31"}, "false"),
    "snp.vmpl": ({"one-of": ["0", "1"], "override": "a lab"}, "0"),
    "snp.guest-svn": (None, {"at-least": "4"}),
    "snp.mitigations-launch": ({"has-bits": "1"}, {"has-bits": "3"}),
    "snp.measurement": ({"one-of": [V, W]}, {"is": V}),
    "snp.ecc": (None, {"exists": "true"}),
    "snp.crl": (None, "fresh"),
    "snp.fixed": (None, ["amd-sb-3019"]),
    "gpu.driver": (
        {"at-least": {"550": "550.127.05", "newer": "ok"}},
        {"at-least": {"550": "550.127.05"}},
    ),
    "gpu.vbios": ({"at-least": "96.00.74"}, {"at-least": "96.00.9F"}),
    "gpu.count": ({"at-least": "1"}, {"at-least": "2"}),
    "gpu.mode": (None, "spt"),
    "gpu.cert": (None, "good"),
    "binding.key": (None, "true"),
    "binding.protocol": (None, {"at-least": "0.4.1"}),
    "time.evidence-age": ({"at-most": "60s"}, {"at-most": "30s"}),
    "snp.any": (
        [{"rapl-off": "true"}, {"tsme": "true"}, {"single-socket": "true"}],
        [{"rapl-off": "true"}, {"tsme": "true"}],
    ),
}
"""A rule, looser and tighter; None for none. Each on claims of its own."""


def policy_with(rules: dict[str, Any]) -> Policy:
    require: dict[str, dict[str, Any]] = {"snp": {"debug": "false"}, "gpu": {"architecture": "hopper"}}
    for name, rule in rules.items():
        section, _, claim = name.partition(".")
        if rule is not None:
            require.setdefault(section, {})[claim] = rule
    return policy_of(json.dumps(require))


def diff(a: Policy, b: Policy) -> Comparison:
    return compare(a, b, at=NOW)


def only(comparison: Comparison) -> Difference:
    (difference,) = comparison.differences
    return difference


def check_witnesses(comparison: Comparison) -> None:
    """Each claim tree, as a machine of its own, gets the verdicts that the comparison says."""
    assert all(difference.witnesses for difference in comparison.differences)
    for difference in comparison.differences:
        for witness in difference.witnesses:
            if difference.name == "allow-warnings":
                continue
            verified = verified_of(_with_azure(witness.claims), at=witness.at)
            for policy, outcome in ((comparison.a, witness.a), (comparison.b, witness.b)):
                assert appraise(verified, policy, at=witness.at).verdict == outcome.verdict


def _with_azure(claims: Any) -> dict[str, Any]:
    """The tests' own trees have what a paravisor says in the open."""
    said = claims["raw"].get("azure", {}).get("paravisor_says", {})
    return {**claims, **said}


@pytest.mark.parametrize("seed", range(20))
def test_a_step_of_one_rule_is_found_and_nothing_else(seed: int) -> None:
    chance = random.Random(seed)
    step = sorted(STEPS)[seed % len(STEPS)]
    chosen = {*chance.sample(sorted(STEPS), 4), step}
    rules = {name: chance.choice(STEPS[name]) for name in sorted(chosen)}
    loose = policy_with({**rules, step: STEPS[step][0]})
    tight = policy_with({**rules, step: STEPS[step][1]})
    found = diff(loose, tight)
    assert only(found).name.startswith(step)
    assert (only(found).direction, found.looser) == ("tighter", False)
    check_witnesses(found)
    back = diff(tight, loose)
    assert (only(back).direction, back.looser) == ("looser", True)
    check_witnesses(back)


def test_every_step_is_taken_by_some_seed() -> None:
    assert len(STEPS) <= 20


def _starter(path: Path) -> Policy:
    """The policy in a file, each parameter that has no value given one of its type."""
    given: dict[str, str] = {}
    for name, kind in re.findall(
        r"(?m)^\s+([a-z0-9_-]+):\s*\{\s*type:\s*([a-z0-9.-]+)\s*\}", path.read_text()
    ):
        section, _, claim = kind.partition(".")
        about = CLAIMS[section][claim]
        given[name] = "10" if about.kind == "int" else "a5" * about.size[0]
    return Policy.read(path, parameters=given)


def _policies() -> dict[str, Policy]:
    found = {"defaults": Policy.defaults()}
    for path in sorted((ROOT / "policies").glob("*.yaml")):
        if not path.name.endswith(".test.yaml"):
            found[path.stem] = _starter(path)
    for name in BUILTINS:
        cpu = "tdx" if "tdx" in name else "snp"
        more = f'extends: ["{name}"]\n'
        found[name] = policy_of(f"{{{cpu}: {{crl: fresh}}}}", platforms=cpu, more=more)
    return found


POLICIES = _policies()


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_does_not_differ_from_itself(name: str) -> None:
    found = diff(POLICIES[name], POLICIES[name])
    assert (found.differences, found.rewritten) == ((), ())
    assert found.trials > 20


def test_layout_comments_and_spelling_are_no_difference() -> None:
    one = policy_of(f'{{snp: {{debug: false, measurement: "{V}", vmpl: {{one-of: [0, 1], override: x}}}}}}')
    other = Policy.from_text(
        "# another\npolicy: 1\nname: other-name\nplatforms:\n- snp\nrequire:\n  snp:\n"
        f"    vmpl:\n      one-of: [0x1, 0x0]\n      override: x\n    measurement: '{V.upper()}' # mine\n    debug: false\n"
    )
    found = diff(one, other)
    assert (found.differences, found.rewritten) == ((), ())


def test_another_spelling_of_the_same_demand_is_told_apart_from_a_difference() -> None:
    found = diff(policy_of("{snp: {product: milan}}"), policy_of("{snp: {product: {one-of: [milan]}}}"))
    assert (found.differences, found.rewritten, found.looser) == ((), ("snp.product",), False)


def test_a_default_written_out_is_no_difference() -> None:
    assert not diff(
        policy_of("{snp: {product: milan}}"), policy_of("{snp: {product: milan, debug: false}}")
    ).differences


def test_policies_without_common_ground_differ_both_ways() -> None:
    found = diff(policy_of("{snp: {product: milan, smt: false}}"), policy_of("{snp: {product: genoa}}"))
    assert {one.name: one.direction for one in found.differences} == {
        "snp.product": "changed",
        "snp.smt": "looser",
    }
    check_witnesses(found)


def test_an_override_of_a_default_is_looser() -> None:
    found = diff(
        policy_of("{snp: {product: milan}}"),
        policy_of('{snp: {product: milan, debug: {one-of: [true, false], override: "lab"}}}'),
    )
    assert (only(found).name, only(found).direction) == ("snp.debug", "looser")
    assert only(found).a == "default: false"
    assert only(found).witnesses[0].facts == {"snp.debug": "true"}


def test_a_longer_grace_is_looser_from_the_day_the_other_ends() -> None:
    found = diff(
        policy_of("{snp: {smt: {is: false, else: warn, until: 2027-01-31}}}"),
        policy_of("{snp: {smt: {is: false, else: warn, until: 2027-03-31}}}"),
    )
    assert only(found).direction == "looser"
    assert {witness.at.isoformat() for witness in only(found).witnesses} == {"2027-02-01T00:00:00+00:00"}
    check_witnesses(found)


def test_what_is_past_is_no_difference() -> None:
    grace = policy_of("{snp: {smt: {is: false, else: warn, until: 2026-01-31}}}")
    assert not diff(grace, policy_of("{snp: {smt: false}}")).differences


def _set(values: str) -> Policy:
    return policy_of(
        "{snp: {measurement: {in: web}}}",
        more=f"references: {{web: {{type: snp.measurement, values: [{values}]}}}}\n",
    )


@pytest.mark.parametrize(
    ("before", "after", "direction"),
    [
        (f'{{value: "{V}"}}', f'{{value: "{V}"}}, {{value: "{W}"}}', "looser"),
        (
            f'{{value: "{V}"}}, {{value: "{W}"}}',
            f'{{value: "{V}"}}, {{value: "{W}", state: revoked}}',
            "tighter",
        ),
        (f'{{value: "{V}"}}', f'{{value: "{V}", until: 2027-01-01}}', "tighter"),
        (
            f'{{value: "{V}"}}, {{value: "{W}"}}',
            f'{{value: "{V}"}}, {{value: "{W}", state: observed}}',
            "tighter",
        ),
        (f'{{value: "{V}"}}', f'{{value: "{W}"}}', "changed"),
    ],
)
def test_reference_sets_are_compared_by_their_values(before: str, after: str, direction: str) -> None:
    found = diff(_set(before), _set(after))
    assert (only(found).name, only(found).direction) == ("snp.measurement", direction)
    check_witnesses(found)


def test_ten_thousand_values_are_compared_by_what_is_different() -> None:
    values = [f'{{value: "{index:096x}"}}' for index in range(1, 1200)]
    found = diff(_set(", ".join(values)), _set(", ".join([*values, f'{{value: "{V}"}}'])))
    assert only(found).direction == "looser"
    assert only(found).witnesses[0].facts == {"snp.measurement": V}
    assert found.trials < 400
    assert not found.untried


def test_a_value_added_among_many_taken_away_is_found() -> None:
    values = [f'{{value: "{index:096x}"}}' for index in range(1, 101)]
    found = diff(_set(", ".join(values)), _set(", ".join([*values[60:], f'{{value: "{V}"}}'])))
    assert (only(found).direction, found.looser) == ("changed", True)
    assert {"snp.measurement": V} in [witness.facts for witness in only(found).witnesses]


@pytest.mark.parametrize(
    ("before", "after", "direction"),
    [
        ("until: 2027-01-01", "until: 2028-01-01", "looser"),
        ("until: 2027-01-01", "", "looser"),
        ("state: revoked, since: 2027-01-01", "state: revoked, since: 2027-06-01", "looser"),
        ("from: 2027-06-01", "from: 2027-01-01", "looser"),
        ("until: 2027-01-01", "until: 2026-12-01", "tighter"),
    ],
)
def test_the_dates_of_any_value_of_a_set_are_compared(before: str, after: str, direction: str) -> None:
    others = ", ".join(f'{{value: "{index:096x}"}}' for index in range(1, 8))

    def dated(dates: str) -> Policy:
        return _set(f'{others}, {{value: "{V}"' + (f", {dates}" if dates else "") + "}")

    found = diff(dated(before), dated(after))
    assert (only(found).name, only(found).direction) == ("snp.measurement", direction)
    check_witnesses(found)


_ALL_BITS = (1 << 64) - 1


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        # What no rule names is none of what a rule names, whatever that is.
        ("snp.measurement", V, {"none-of": ["d1" * 48]}),
        ("snp.measurement", {"one-of": [V, "d1" * 48]}, {"exists": "true"}),
        ("snp.csp", "aws", {"none-of": ["something else"]}),
        ("evidence.verified-by", "self", {"none-of": ["something else"], "override": "tried"}),
        ("gpu.id", "aa", {"none-of": ["something else"]}),
        ("tdx.advisories", {"subset-of": ["INTEL-SA-00001"]}, {"none-of": ["INTEL-SA-00000"]}),
        ("tdx.advisories", {"one-of": [["A"], ["B"], ["C"], ["A", "B", "C"]]}, {"subset-of": ["A", "B", "C"]}),
        # Between two versions beside each other lie longer ones, and none is the highest.
        ("snp.firmware", {"one-of": ["1.5", "1.6"]}, {"at-least": "1.5", "at-most": "1.6"}),
        ("gpu.vbios", {"one-of": ["96.00.9F", "96.00.A0"]}, {"at-least": "96.00.9F", "at-most": "96.00.A0"}),
        ("gpu.driver", "550.127.05.999", {"at-least": {"550": "550.127.05.999"}}),
        ("gpu.driver", {"at-least": {"2000": "2000.1"}}, {"at-least": {"2000": "2000.1", "newer": "ok"}}),
        # A list of values is shorter than what a mask passes.
        ("snp.mitigations-launch", {"one-of": ["0", "1", "2"]}, {"no-bits": str(_ALL_BITS ^ 3)}),
        ("snp.mitigations-launch", {"one-of": ["1", "3", "5"]}, {"has-bits": "1", "none-of": ["9", "17"]}),
        ("tdx.tcb-date", {"exists": "false"}, None),
    ],
)  # fmt: skip
def test_a_value_that_no_rule_names_is_no_way_round_the_comparison(
    name: str, before: Any, after: Any
) -> None:
    section, _, claim = name.partition(".")
    cpu = section if section in ("snp", "tdx") else "snp"
    policies = []
    for rule in (before, after):
        require: dict[str, dict[str, Any]] = {cpu: {"debug": "false"}}
        if rule is not None:
            require.setdefault(section, {})[claim] = rule
        policies.append(policy_of(json.dumps(require), platforms=cpu))
    comparison = diff(*policies)
    assert comparison.looser
    check_witnesses(comparison)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            {"one-of": [str(number) for number in range(100)]},
            {"no-bits": str(_ALL_BITS ^ 127), "none-of": [str(number) for number in range(100, 127)]},
        ),
        ({"one-of": [str(1 << bit) for bit in range(9)]}, {"no-bits": str(_ALL_BITS ^ 511)}),
    ],
)
def test_lists_against_masks_are_found_looser_or_not_called_the_same(before: Any, after: Any) -> None:
    """127 passes the masks alone, and so does 3."""
    comparison = diff(
        policy_with({"snp.mitigations-launch": before}), policy_with({"snp.mitigations-launch": after})
    )
    assert comparison.looser or comparison.unproven


def test_more_devices_than_are_made_up_leave_it_open_that_b_is_not_looser() -> None:
    a, b = (policy_with({"gpu.count": {"one-of": counts}}) for counts in (["8"], ["8", "100"]))
    assert diff(a, b).unproven == ("gpu.count",)
    assert diff(a, policy_with({"gpu.count": "8"})).unproven == ()


def test_values_of_a_group_are_told_apart_by_the_defaults_too() -> None:
    """Where combinations are many, one value stands for those of which rules say the same: the defaults are rules."""
    never = "{mitigations-launch: {has-bits: 0xffffffffffffffff, one-of: [2, 5]}}"
    a = policy_of(f"{{snp: {{debug: false, all: [{{vmpl: {{at-most: 0x10}}}}, {never}]}}}}")
    comparison = diff(a, policy_of("{snp: {debug: false}}"))
    assert comparison.looser
    check_witnesses(comparison)


def test_values_of_more_kinds_than_are_tried_leave_it_open_that_b_is_not_looser() -> None:
    dates = [
        f'{{value: "{index:096x}", until: 2027-{index % 12 + 1:02}-{index % 28 + 1:02}}}'
        for index in range(1, 85)
    ]
    ends = [date.replace("2027", "2028") for date in dates]
    found = diff(_set(", ".join(ends)), _set(", ".join(dates)))
    assert found.untried == {"snp.measurement": 84 - 40}
    assert (only(found).direction, found.looser, found.unproven) == ("tighter", False, ("snp.measurement",))


_MACHINES = (
    f'tcb: {{at-least: {{milan: {{snp: 8, microcode: 115}}}}}}, firmware: {{at-least: 1.51.3}}, measurement: "{V}", '
    f'guest-svn: {{at-least: 4}}, host-data: "{"1a" * 32}"',
    f'tcb: {{at-least: {{genoa: {{snp: 14, microcode: 72}}}}}}, firmware: {{at-least: 1.55.21}}, measurement: "{W}", '
    f'guest-svn: {{at-least: 2}}, host-data: "{"2b" * 32}"',
)


def _any(*branches: str) -> Policy:
    return policy_of(f"{{snp: {{debug: false, any: [{', '.join(f'{{{branch}}}' for branch in branches)}]}}}}")


def test_another_machine_among_those_that_any_lists_is_looser() -> None:
    """As `init` writes several machines: it differs from the first in every claim at once."""
    found = diff(_any(_MACHINES[0]), _any(*_MACHINES))
    assert (only(found).direction, found.looser, found.unproven) == ("looser", True, ())
    check_witnesses(found)
    back = diff(_any(*_MACHINES), _any(_MACHINES[0]))
    assert (only(back).direction, back.looser) == ("tighter", False)
    lower = _MACHINES[1].replace("1.55.21", "1.55.20")
    found = diff(_any(*_MACHINES), _any(_MACHINES[0], lower))
    assert (only(found).direction, found.looser) == ("looser", True)
    check_witnesses(found)


def test_what_was_not_tried_of_a_group_is_not_called_the_same() -> None:
    """More combinations than anybody waits for, and other words: that B is not looser was not shown."""
    found = diff(_any(*_MACHINES), _any(*reversed(_MACHINES)))
    assert (found.differences, found.looser) == ((), False)
    assert found.unproven == ("snp.any (firmware, guest-svn, host-data, measurement, tcb)",)
    assert diff(_any(*_MACHINES), _any(*_MACHINES)).unproven == ()


def test_an_older_gpu_without_a_mode_passes_the_default_alone() -> None:
    rules = "{{snp: {{debug: false}}, gpu: {{count: 1{}}}}}"
    found = diff(policy_of(rules.format(", mode: {one-of: [spt, mpt]}")), policy_of(rules.format("")))
    assert (only(found).name, only(found).direction) == ("gpu.mode", "looser")
    check_witnesses(found)


def test_one_reason_less_to_withhold_is_looser_beside_another() -> None:
    rule = "{{snp: {{fixed: [amd-sb-3019], measurement: {{is: {}, covers: {}}}}}}}"
    expires = Policy.defaults().floors.expires
    assert expires is not None
    found = compare(
        policy_of(rule.format(V, "firmware")),
        policy_of(rule.format(V, "image")),
        at=expires + timedelta(days=1),
    )
    assert (only(found).name, found.looser) == ("warnings", True)


def test_acceptances_count() -> None:
    accept = "accept:\n  - {advisory: INTEL-SA-01192, until: 2026-12-31, because: x}\n"
    rules = "{tdx: {crl: fresh}}"
    found = diff(policy_of(rules, platforms="tdx"), policy_of(rules, platforms="tdx", more=accept))
    assert (only(found).name, only(found).direction) == ("accept", "looser")
    assert found.looser


def test_an_advisory_to_be_fixed_is_shown_by_the_machine_just_below_its_floor() -> None:
    found = diff(policy_of("{snp: {debug: false}}"), policy_of("{snp: {fixed: [amd-sb-3019]}}"))
    assert (only(found).name, only(found).direction) == ("snp.fixed", "tighter")
    shown: list[Any] = [witness.facts for witness in only(found).witnesses]
    assert {(one["snp.product"], one["snp.tcb"]["snp"]) for one in shown} >= {
        ("milan", "23"),
        ("genoa", "22"),
    }
    check_witnesses(found)


def test_what_is_extended_counts() -> None:
    rules = "{snp: {debug: false}}"
    found = diff(policy_of(rules), policy_of(rules, more="extends: [baseline/snp@1]\n"))
    assert {"snp.product", "snp.fixed"} <= {one.name for one in found.differences}
    assert {one.direction for one in found.differences} == {"tighter"}
    check_witnesses(found)


def test_platforms_and_allowed_warnings_count() -> None:
    one = policy_of("{snp: {debug: false}, tdx: {crl: fresh}}", platforms="snp, tdx")
    found = diff(policy_of("{snp: {debug: false}}"), one)
    assert ("platforms", "looser") in [
        (difference.name, difference.direction) for difference in found.differences
    ]
    allowing = policy_of("{snp: {debug: false}}", more="allow-warnings: {no-freshness: x}\n")
    found = diff(policy_of("{snp: {debug: false}}"), allowing)
    assert (only(found).name, only(found).direction, found.looser) == ("allow-warnings", "looser", True)


def test_a_workload_no_longer_covered_is_found_in_its_warning() -> None:
    found = diff(
        policy_of(f'{{snp: {{measurement: {{is: "{V}", covers: image}}}}}}'),
        policy_of(f'{{snp: {{measurement: {{is: "{V}", covers: firmware}}}}}}'),
    )
    assert (only(found).name, only(found).direction) == ("warnings", "tighter")
    assert "os-unmeasured" in only(found).b


def test_azure_rules_are_compared_where_the_paravisor_is_pinned() -> None:
    def azure(rule: str) -> Policy:
        return policy_of(f'{{snp: {{measurement: "{V}"}}, azure: {{{rule}}}}}', platforms="azure-snp")

    found = diff(azure("secure-boot: {exists: true}"), azure("secure-boot: true"))
    assert (only(found).name, only(found).direction) == ("azure.secure-boot", "tighter")
    check_witnesses(found)


def test_the_common_ground_is_accepted_by_both() -> None:
    """Without it, a witness shows a rule that is not met and no verdict that turns."""
    for witness in only(
        diff(policy_with({"gpu.count": {"at-least": "8"}}), policy_with({"gpu.count": {"at-least": "4"}}))
    ).witnesses:
        assert (witness.a.verdict, witness.b.verdict) == ("refused", "conforms-with-warnings")


# -- the command ------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    head = "policy: 1\nname: t\nplatforms: [snp]\nrequire: "
    (tmp_path / "a.yaml").write_text(head + "{snp: {product: genoa}}\n")
    (tmp_path / "b.yaml").write_text(head + "{snp: {product: genoa, tcb: {at-least: {genoa: {snp: 200}}}}}\n")
    return str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")


def test_the_command_ends_with_one_where_b_is_looser(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = files
    assert main(["policy", "diff", a, b, "--at", "2026-11-23T12:00:00Z"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "▲ snp.tcb tighter A demands nothing B demands snp ≥ 200 on Genoa" in said
    assert "1 tighter. B lets pass nothing that A does not." in said
    assert main(["policy", "diff", b, a]) == 1
    assert "B lets pass what A does not." in capsys.readouterr().out
    assert main(["policy", "diff", a, a]) == 0
    assert "No difference in meaning." in capsys.readouterr().out


def test_the_command_lists_real_machines_whose_verdict_changes(
    files: tuple[str, str], fleet: Path, genoa: Sample, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["policy", "diff", *files, "--with", str(fleet), "--at", genoa.at.isoformat(), "--json"]
    assert main(command) == 2, "one cannot be read"
    document = json.loads(capsys.readouterr().out)
    turned = {one["machine"]: (one["a"], one["b"]) for one in document["evidence"]}
    assert turned["machine-0"] == ("conforms-with-warnings", "refused")
    assert turned["machine-2"] == (None, None), "not genuine, so neither policy was asked"
    assert [one["name"] for one in document["differences"]] == ["snp.tcb"]
    (fleet / "nothing").unlink()
    assert main(command[:-1]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Of 4 machines 4 would be judged otherwise." in said
    assert "▲ machine-0 conforms-with-warnings → refused: SNP firmware is too old (snp.tcb," in said


def test_a_policy_that_cannot_be_read_ends_with_two(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("policy: 2\n")
    assert main(["policy", "diff", files[0], str(bad)]) == 2
    assert f"{bad}:1:9" in capsys.readouterr().err
    assert main(["policy", "diff", files[0], files[1], "--with", str(tmp_path / "none")]) == 2


def test_t_render_a_literal_of_a_proposed_policy_is_escaped_in_its_witness(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = "policy: 1\nname: t\nplatforms: [snp]\nrequire: "
    (tmp_path / "a.yaml").write_text(head + "{snp: {csp: aws}}\n")
    (tmp_path / "b.yaml").write_text(head + '{snp: {csp: "\\e]0;x\\a\\e[2J"}}\n')
    assert main(["policy", "diff", str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")]) == 1
    said = capsys.readouterr().out
    assert "snp.csp \\x1b]0;x\\x07\\x1b[2J" in said
    assert all(char.isprintable() or char == "\n" for char in said)


def test_the_command_ends_with_one_where_b_could_not_be_shown_not_to_be_looser(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = "policy: 1\nname: t\nplatforms: [snp]\nrequire: {snp: {debug: false, any: [%s]}}\n"
    for name, branches in (("a", _MACHINES), ("b", _MACHINES[::-1])):
        text = head % ", ".join(f"{{{branch}}}" for branch in branches)
        (tmp_path / f"{name}.yaml").write_text(text)
    assert main(["policy", "diff", str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "No difference in meaning was found." in said
    assert "that B is not looser there was not shown" in said
