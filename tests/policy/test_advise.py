"""What ends, what is newer, what a stricter floor would refuse."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from attest.cli.main import main
from attest.policy import Policy
from attest.policy.advise import Advice, advise, newer_of
from attest.policy.builtin import floor_data
from attest.result.advice_text import render_advice
from tests.conftest import Sample
from tests.fleet.conftest import fleet as fleet
from tests.policy.conftest import GPU, NOW, SNP, TDX, policy_of, tree, verified_of

V, W = "aa" * 48, "bb" * 48


def told(policy: Policy, days: int = 30, **machines: Any) -> Advice:
    judged = [(name, verified_of(claims)) for name, claims in machines.items()]
    return advise(policy, judged, at=NOW, built_ins=["baseline/snp@1"], soon=timedelta(days=days))


def ends(advice: Advice) -> list[tuple[str, str, str]]:
    return [(one.kind, one.name, one.ends.isoformat()[:10]) for one in advice.endings]


def test_graces_values_sets_and_acceptances_that_end_soon_are_told_first_to_last() -> None:
    policy = policy_of(
        "{snp: {measurement: {in: web}, smt: {is: false, else: warn, until: 2026-12-20}}}",
        more=(
            f'references: {{web: {{type: snp.measurement, values: [{{value: "{V}", name: web 1, until: 2026-12-10}},'
            f' {{value: "{W}", name: web 2, state: revoked, since: 2026-11-30}}]}}}}\n'
            "accept: [{advisory: AMD-SB-3019, until: 2026-12-01, because: x}]\n"
        ),
    )
    assert ends(told(policy)) == [
        ("reference", "web: web 2, revoked", "2026-11-30"),
        ("accepted", "AMD-SB-3019", "2026-12-01"),
        ("reference", "web: web 1", "2026-12-10"),
        ("reference-set", "web", "2026-12-10"),
        ("grace", "snp.smt", "2026-12-20"),
    ]
    assert [one.days(NOW) for one in told(policy).endings] == [6, 8, 17, 17, 27]
    assert ends(told(policy, days=7)) == [("reference", "web: web 2, revoked", "2026-11-30")]


def test_what_has_ended_is_told_too() -> None:
    policy = policy_of("{snp: {smt: {is: false, else: warn, until: 2026-01-31}}}")
    (ending,) = told(policy).endings
    assert ending.days(NOW) < 0


def test_a_set_with_a_value_that_stays_does_not_end() -> None:
    policy = policy_of(
        "{snp: {measurement: {in: web}}}",
        more=f'references: {{web: {{type: snp.measurement, values: [{{value: "{V}", until: 2026-12-10}}, {{value: "{W}"}}]}}}}\n',
    )
    assert [kind for kind, *_ in ends(told(policy))] == ["reference"]


@pytest.mark.parametrize(
    ("values", "told_of"),
    [
        (
            f'{{value: "{V}", state: revoked, since: 2026-12-20, until: 2026-12-01}}',
            [("reference", "web: aaaaaaaa…", "2026-12-01"), ("reference-set", "web", "2026-12-01")],
        ),
        (
            f'{{value: "{V}", state: revoked, since: 2026-12-10}}',
            [("reference-set", "web", "2026-12-09"), ("reference", "web: aaaaaaaa…, revoked", "2026-12-10")],
        ),
        (
            f'{{value: "{V}", until: 2026-12-05}}, {{value: "{W}", state: revoked, since: 2026-12-10}}',
            [
                ("reference", "web: aaaaaaaa…", "2026-12-05"),
                ("reference-set", "web", "2026-12-09"),
                ("reference", "web: bbbbbbbb…, revoked", "2026-12-10"),
            ],
        ),
        (
            f'{{value: "{V}", until: 2026-12-05}}, {{value: "{W}", from: 2027-02-01}}',
            [("reference", "web: aaaaaaaa…", "2026-12-05"), ("reference-set", "web", "2026-12-05")],
        ),
        (
            f'{{value: "{V}", until: 2026-12-05}}, {{value: "{W}", from: 2026-12-06}}',
            [("reference", "web: aaaaaaaa…", "2026-12-05")],
        ),
        (f'{{value: "{V}", state: revoked, since: 2026-11-01}}, {{value: "{W}"}}', []),
    ],
)
def test_a_set_ends_when_no_value_of_it_passes_any_more(
    values: str, told_of: list[tuple[str, str, str]]
) -> None:
    more = f"references: {{web: {{type: snp.measurement, values: [{values}]}}}}\n"
    found = told(policy_of("{snp: {measurement: {in: web}}}", more=more))
    assert ends(found) == told_of
    if "from: 2027" in values:
        assert found.endings[1].then.startswith("no value of the set is valid until 2027-02-01T00:00:00Z")


def test_a_parameter_behind_a_value_that_ends_is_named() -> None:
    policy = Policy.from_text(
        "policy: 1\nname: t\nplatforms: [snp]\nparams: {ld: {type: snp.measurement}}\n"
        'references: {web: {type: snp.measurement, values: [{value: "${ld}", until: 2026-12-10}]}}\n'
        "require: {snp: {measurement: {in: web}}}\n",
        parameters={"ld": V},
    )
    assert "web: aaaaaaaa… (parameter ld)" in [name for _, name, _ in ends(told(policy))]


def test_floor_data_and_endorsements_that_end_are_told() -> None:
    policy = policy_of("{snp: {debug: false}}")
    verified = verified_of(tree(snp=SNP), expires=NOW + timedelta(days=3))
    advice = advise(policy, [("m1", verified)], at=NOW, built_ins=[], soon=timedelta(days=400))
    assert [(one.kind, one.name) for one in advice.endings] == [
        ("endorsements", "m1"),
        ("floors", "serial 1"),
    ]


def test_a_newer_built_in_is_named() -> None:
    known = ["baseline/snp@1", "baseline/snp@2", "baseline/snp@10", "baseline/tdx@1"]
    assert newer_of(["baseline/snp@2", "baseline/tdx@1", "team.yaml"], known) == {
        "baseline/snp@2": "baseline/snp@10"
    }
    policy = policy_of("{snp: {debug: false}}", more="extends: [baseline/snp@1]\n")
    assert advise(policy, [], at=NOW, built_ins=known).newer == {"baseline/snp@1": "baseline/snp@10"}


def test_machines_below_a_floor_that_the_policy_does_not_ask_for_are_named_with_how_much() -> None:
    old = tree(snp={**SNP, "tcb": {**SNP["tcb"], "snp": "20"}})
    advice = told(policy_of("{snp: {debug: false}}"), old=old, new=tree(snp=SNP))
    assert [(one.floor, one.machine, one.misses) for one in advice.refusals if "3019" in one.floor] == [
        ("fixed: [amd-sb-3019]", "old", (("AMD-SB-3019 needs snp ≥ 24 on Milan", "20"),))
    ]
    asked = told(policy_of("{snp: {fixed: [amd-sb-3019]}}"), old=old)
    assert not [one for one in asked.refusals if "3019" in one.floor], (
        "what the policy asks for already is no news"
    )


def test_a_minimum_that_rises_under_what_the_policy_asks_for_is_told() -> None:
    document = json.loads(floor_data())
    document["advisories"]["amd-sb-3019"]["products"]["milan"].append(
        {"from": "2027-03-01T00:00:00Z", "source": "a later bulletin", "tcb": {"snp": "26"}}
    )
    from attest.policy.floors import Floors

    floors = Floors.parse(json.dumps(document).encode())
    policy = Policy.from_text(
        "policy: 1\nname: t\nplatforms: [snp]\nrequire: {snp: {fixed: [amd-sb-3019]}}\n", floors=floors
    )

    def at(number: str) -> dict[str, Any]:
        return tree(snp={**SNP, "tcb": {**SNP["tcb"], "snp": number}})

    found = told(policy, behind=at("24"), ahead=at("26"), refused=at("20")).refusals
    assert [(one.floor, one.machine, one.misses) for one in found if "3019" in one.floor] == [
        (
            "fixed: [amd-sb-3019] from 2027-03-01 on",
            "behind",
            (("AMD-SB-3019 needs snp ≥ 26 on Milan", "24"),),
        )
    ]


def test_days_are_counted_by_the_calendar() -> None:
    late = NOW.replace(hour=23)
    policy = policy_of('{snp: {smt: {is: false, else: warn, until: "2026-11-24T22:30:00Z"}}}')
    advice = advise(policy, [], at=late, built_ins=[])
    said = render_advice(policy, advice, at=late, days=30, judged=0, simulated=0, unjudged=[], changes=None)
    assert "ends on 2026-11-24, in 1 day;" in said
    on = late + timedelta(hours=23)
    said = render_advice(
        policy,
        advise(policy, [], at=on, built_ins=[]),
        at=on,
        days=30,
        judged=0,
        simulated=0,
        unjudged=[],
        changes=None,
    )
    assert "ends on 2026-11-24, today;" in said


def test_an_evaluation_number_that_is_to_come_is_told() -> None:
    document = json.loads(floor_data())
    document["tcb-evaluation"].append(
        {"from": "2027-03-01T00:00:00Z", "at-least": "20", "source": "INTEL-SA-09999"}
    )
    from attest.policy.floors import Floors

    floors = Floors.parse(json.dumps(document).encode())
    policy = Policy.from_text(
        "policy: 1\nname: t\nplatforms: [tdx]\nrequire: {tdx: {crl: fresh}}\n", floors=floors
    )
    (refusal,) = told(policy, td=tree(tdx=TDX)).refusals
    assert refusal.floor == "tcb-evaluation ≥ 20 from 2027-03-01 on"
    assert refusal.misses == (("≥ 20", "18"),)


def test_how_far_machines_are_from_each_minimum() -> None:
    policy = policy_of(
        "{snp: {tcb: {at-least: {milan: {snp: 22}}}}, gpu: {driver: {at-least: {550: 550.90.07, newer: ok}}, count: {at-least: 1}}}"
    )
    low = tree(snp={**SNP, "tcb": {**SNP["tcb"], "snp": "23"}}, gpu=[{**GPU, "driver": "550.90.12"}])
    rooms = {one.rule: one for one in told(policy, low=low, high=tree(snp=SNP, gpu=[GPU])).room}
    assert set(rooms) == {"snp.tcb snp on Milan", "gpu.driver 550"}
    tcb = rooms["snp.tcb snp on Milan"]
    assert (tcb.minimum, tcb.lowest, tcb.highest, tcb.behind) == (
        "22",
        ("23", "low"),
        ("24", "high"),
        (("low", "23"),),
    )
    assert rooms["gpu.driver 550"].behind == (("low gpu[0]", "550.90.12"),)


# -- the command ------------------------------------------------------------------------------------


@pytest.fixture
def policy(tmp_path: Path) -> str:
    file = tmp_path / "p.yaml"
    file.write_text(
        "policy: 1\nname: t\nplatforms: [snp]\nrequire: {snp: {product: genoa, smt: {is: false, else: warn, until: 2025-09-20}}}\n"
    )
    return str(file)


def test_the_command_says_it_in_words_and_json(
    policy: str, fleet: Path, genoa: Sample, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--at", genoa.at.isoformat()]
    assert main(["policy", "advise", policy, *at]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "! grace period snp.smt" in said
    assert "ends on 2025-09-20, in 14 days; the rule refuses from then on" in said
    assert "stricter floor" not in said, "no machine was given to say it of"
    assert main(["policy", "advise", policy, str(fleet), *at, "--json"]) == 2, "one cannot be read"
    document = json.loads(capsys.readouterr().out)
    assert [one["machine"] for one in document["machines"]] == [
        "machine-0",
        "machine-1",
        "machine-3",
        "machine-4",
    ]
    assert {one["machine"] for one in document["unjudged"]} == {"machine-2", "nothing"}
    assert document["endings"][-1]["kind"] in ("grace", "endorsements")
    (fleet / "nothing").unlink()
    assert main(["policy", "advise", policy, str(fleet), *at]) == 1, "one is not genuine"
    assert "What a stricter floor would refuse today" in capsys.readouterr().out
    shutil.rmtree(fleet / "machine-2")
    assert main(["policy", "advise", policy, str(fleet), *at]) == 0
    capsys.readouterr()


def test_other_floor_data_is_tried_on_the_machines(
    tmp_path: Path, fleet: Path, genoa: Sample, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "fixed.yaml"
    file.write_text("policy: 1\nname: t\nplatforms: [snp]\nrequire: {snp: {fixed: [amd-sb-3019]}}\n")
    document = json.loads(floor_data())
    document["advisories"]["amd-sb-3019"]["products"]["genoa"][0]["tcb"]["snp"] = "200"
    floors = tmp_path / "floors.json"
    floors.write_text(json.dumps(document))
    command = [
        "policy",
        "advise",
        str(file),
        str(fleet),
        "--at",
        genoa.at.isoformat(),
        "--floors",
        str(floors),
    ]
    (fleet / "nothing").unlink()
    shutil.rmtree(fleet / "machine-2")
    assert main([*command, "--json"]) == 0
    changes = json.loads(capsys.readouterr().out)["changes"]
    assert {(one["a"], one["b"]) for one in changes} == {("conforms-with-warnings", "refused")}
    assert main(command) == 0
    assert "4 of 4 machines would be judged otherwise" in capsys.readouterr().out


def test_wrong_use_and_wrong_policies_end_with_two(
    policy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["policy", "advise", str(tmp_path / "none.yaml"), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["verdict"] == "invalid"
    for wrong in (["--days", "-1"], ["--floors", "x"]):
        with pytest.raises(SystemExit) as ended:
            main(["policy", "advise", policy, *wrong])
        assert ended.value.code == 2
