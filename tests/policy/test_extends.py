"""What a policy takes from others: both apply, and nothing of a child's loosens without a reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from time import process_time

import pytest

from attest.errors import Malformed
from attest.policy import Policy
from attest.policy.builtin import BUILTINS, built_in
from tests.policy.conftest import SNP, TDX, Judge, tree

M, N = "11" * 48, "22" * 48


def digest(text: bytes) -> str:
    return "sha384:" + hashlib.sha384(text).hexdigest()


def file(
    require: str, more: str = "", *, name: str = "team", platforms: str = "snp", extends: str = ""
) -> bytes:
    head = f"policy: 1\nname: {name}\nplatforms: [{platforms}]\n"
    return (head + (f"extends: [{extends}]\n" if extends else "") + more + f"require: {require}\n").encode()


def ref(name: str, text: bytes) -> str:
    return f'{{file: {name}, digest: "{digest(text)}"}}'


def child_of(
    parent: bytes,
    require: str,
    more: str = "",
    *,
    platforms: str = "snp",
    parameters: Mapping[str, str] | None = None,
) -> Policy:
    text = file(require, more, name="child", platforms=platforms, extends=ref("team.yaml", parent))
    return Policy.from_text(text, "c.yaml", files={"team.yaml": parent}, parameters=parameters)


def refused(parent: bytes, require: str, more: str = "", **given: Mapping[str, str]) -> Malformed:
    with pytest.raises(Malformed) as refusal:
        child_of(parent, require, more, **given)  # type: ignore[arg-type]  # parameters alone
    return refusal.value


def entries(policy: Policy, section: str = "snp") -> object:
    return json.loads(policy.canonical())["require"][section]


# -- both apply -------------------------------------------------------------------------------------


def test_the_same_claim_twice_is_two_rules(judge: Judge) -> None:
    policy = child_of(file("{snp: {product: genoa}}"), "{snp: {product: {one-of: [milan, genoa]}}}")
    assert entries(policy) == {"product": [{"is": "genoa"}, {"one-of": ["genoa", "milan"]}]}
    assert [problem.where for problem in judge(tree(snp=SNP), policy).problems] == ["snp.product"]
    assert policy.extended == {"team.yaml": digest(file("{snp: {product: genoa}}"))}


def test_an_override_takes_the_rules_place_and_is_listed(judge: Judge) -> None:
    policy = child_of(
        file("{snp: {product: genoa, smt: false}}"),
        '{snp: {product: {one-of: [milan, genoa], override: "old racks"}}}',
    )
    assert dict(policy.body.loosened) == {"snp.product": "old racks"}
    appraisal = judge(tree(snp={**SNP, "smt": "false"}), policy)
    assert appraisal.conforms
    assert appraisal.policy["loosened"] == {"snp.product": "old racks"}
    assert appraisal.policy["extends"] == dict(policy.extended)
    assert not judge(tree(snp=SNP), policy).conforms  # smt is the parent's still


def test_an_override_does_not_reach_into_a_file_beside(judge: Judge) -> None:
    strict = file("{snp: {vmpl: 0}}", name="a")
    loose = file('{snp: {vmpl: {one-of: [0, 1], override: "AWS"}}}', name="b")
    text = file("{snp: {smt: true}}", extends=f"{ref('a.yaml', strict)}, {ref('b.yaml', loose)}")
    policy = Policy.from_text(text, files={"a.yaml": strict, "b.yaml": loose})
    assert not judge(tree(snp={**SNP, "vmpl": "1"}), policy).conforms


@pytest.mark.parametrize("turned", [False, True])
def test_an_override_does_not_take_from_a_file_beside_what_both_inherit(judge: Judge, turned: bool) -> None:
    """Who extends `kept.yaml` gets no less than it asks, whatever else he extends."""
    base = file("{snp: {smt: false}}", name="base")
    files = {
        "base.yaml": base,
        "loose.yaml": file(
            "{snp: {smt: {exists: true, override: old hosts}}}", name="loose", extends=ref("base.yaml", base)
        ),
        "kept.yaml": file("{snp: {vmpl: 0}}", name="kept", extends=ref("base.yaml", base)),
    }

    def policy(*names: str) -> Policy:
        extends = ", ".join(ref(name, files[name]) for name in names)
        return Policy.from_text(file("{snp: {debug: false}}", extends=extends), "c.yaml", files=files)

    both = ["kept.yaml", "loose.yaml"]
    claims = tree(snp={**SNP, "smt": "true"})
    assert judge(claims, policy("loose.yaml")).conforms
    assert not judge(claims, policy("kept.yaml")).conforms
    assert not judge(claims, policy(*(reversed(both) if turned else both))).conforms


def test_groups_of_two_files_both_hold(judge: Judge) -> None:
    policy = child_of(
        file("{snp: {any: [{product: genoa}, {smt: false}]}}"), "{snp: {any: [{product: milan}]}}"
    )
    again = Policy.from_canonical(json.loads(policy.canonical()))
    assert again.digest == policy.digest
    assert [p.where for p in judge(tree(snp=SNP), again).problems] == ["snp.any"]


def test_platforms_intersect() -> None:
    parent = file("{snp: {smt: true}}", platforms="snp, azure-snp")
    assert child_of(parent, "{snp: {debug: false}}").platforms == {"snp"}
    with pytest.raises(Malformed, match=r"no platform is in all of team\.yaml: azure-snp, snp; c\.yaml: tdx"):
        child_of(parent, "{tdx: {debug: false}}", platforms="tdx")


def test_allowed_warnings_are_never_inherited() -> None:
    parent = file("{snp: {smt: true}}", "allow-warnings: {simulated: x, unappraised: y}\n")
    policy = child_of(parent, "{snp: {debug: false}}", "allow-warnings: {os-unmeasured: z}\n")
    assert dict(policy.body.allow_warnings) == {"os-unmeasured": "z"}


def test_who_may_verify_is_never_inherited() -> None:
    parent = file('{snp: {smt: true}, evidence: {verified-by: {is: nras, override: "x"}}}')
    assert "only the owner's own file" in refused(parent, "{snp: {debug: false}}").problems[0].message


# -- sets -------------------------------------------------------------------------------------------

WEB = "references: {web: {type: snp.measurement, %svalues: [%s]}}\n"


@pytest.mark.parametrize(
    ("value", "good"),
    [
        (f'{{value: "{N}"}}', False),
        (f'{{value: "{M}"}}', True),
        (f'{{value: "{M}", until: 2027-01-01}}', True),
        (f'{{value: "{M}", covers: image}}', False),
        (f'{{value: "{M}", state: revoked, since: 2026-11-02}}', True),
        (f'{{value: "{N}", state: revoked}}', True),
        # Until then it would pass.
        (f'{{value: "{N}", state: revoked, since: 2030-01-01}}', False),
        (f'{{value: "{N}", state: observed}}', False),
    ],
)
def test_a_childs_addition_to_an_inherited_set(value: str, good: bool) -> None:
    parent = file("{snp: {measurement: {in: web}}}", WEB % ("", f'{{value: "{M}"}}'))
    if good:
        assert child_of(parent, "{snp: {debug: false}}", WEB % ("", value)).body.references["web"].valid
    else:
        assert refused(parent, "{snp: {debug: false}}", WEB % ("", value)).codes == {
            "policy.override-missing"
        }
    policy = child_of(parent, "{snp: {debug: false}}", WEB % ("override: ours too, ", value))
    assert dict(policy.body.loosened) == {"references.web": "ours too"}
    again = Policy.from_canonical(json.loads(policy.canonical()))
    assert (again.digest, dict(again.body.loosened)) == (policy.digest, dict(policy.body.loosened))


@pytest.mark.parametrize(
    ("value", "good"),
    [("until: 2027-06-01", False), ("until: 2026-12-31", True), ("from: 2026-01-01", False)],
)
def test_a_child_may_shorten_a_value_and_not_prolong_it(value: str, good: bool) -> None:
    dated = f'{{value: "{M}", from: 2026-06-01, until: 2027-01-01}}'
    parent = file("{snp: {measurement: {in: web}}}", WEB % ("", dated))
    more = WEB % (
        "",
        f'{{value: "{M}", from: 2026-06-01, {value}}}'.replace("from: 2026-06-01, from", "from"),
    )
    if good:
        child_of(parent, "{snp: {debug: false}}", more)
    else:
        assert refused(parent, "{snp: {debug: false}}", more).codes == {"policy.override-missing"}


def test_t_rv_a_child_revokes_what_a_parent_lists(judge: Judge) -> None:
    claims = tree(snp={**SNP, "measurement": M})
    parent = file("{snp: {measurement: {in: web}}}", WEB % ("", f'{{value: "{M}"}}'))
    revoked = f'{{value: "{M}", state: revoked, because: CVE}}'
    policy = child_of(parent, "{snp: {debug: false}}", WEB % ("", revoked))
    assert [p.where for p in judge(claims, policy).problems] == ["snp.measurement"]


def test_two_parents_do_not_share_a_set_by_accident() -> None:
    a = file("{snp: {measurement: {in: web}}}", WEB % ("", f'{{value: "{M}"}}'), name="a")
    b = file("{snp: {smt: true}}", WEB % ("override: x, ", f'{{value: "{N}"}}'), name="b")
    text = file("{snp: {debug: false}}", extends=f"{ref('a.yaml', a)}, {ref('b.yaml', b)}")
    with pytest.raises(Malformed, match=r'set "web" stands in a\.yaml too, which this file does not extend'):
        Policy.from_text(text, files={"a.yaml": a, "b.yaml": b})


# -- parameters -------------------------------------------------------------------------------------

LAG = "params: {days: {type: tdx.tcb-lag, default: %s%s}}\n"
PARAMETERS = [
    # the parent's rule, its type and default, another value, whether that is as strict
    ("tdx: {tcb-lag: {at-most: '${p}'}}", "tdx.tcb-lag", "30d", "20d", True),
    ("tdx: {tcb-lag: {at-most: '${p}'}}", "tdx.tcb-lag", "30d", "90d", False),
    ("tdx: {none: [{tcb-lag: {at-most: '${p}'}}]}", "tdx.tcb-lag", "30d", "20d", False),
    ("tdx: {none: [{tcb-lag: {at-most: '${p}'}}]}", "tdx.tcb-lag", "30d", "90d", True),
    ("tdx: {none: [{none: [{tcb-lag: {at-most: '${p}'}}]}]}", "tdx.tcb-lag", "30d", "90d", False),
    ("tdx: {tcb-evaluation: {at-least: '${p}'}}", "tdx.tcb-evaluation", "18", "19", True),
    ("tdx: {tcb-evaluation: {at-least: '${p}'}}", "tdx.tcb-evaluation", "18", "17", False),
    ("tdx: {mrtd: '${p}'}", "tdx.mrtd", M, N, False),
    ("tdx: {mrtd: {one-of: ['${p}', '%s']}}" % N, "tdx.mrtd", M, "33" * 48, False),  # noqa: UP031
    ("tdx: {mrtd: {none-of: ['${p}']}}", "tdx.mrtd", M, N, False),
    ("tdx: {xfam: {no-bits: '${p}'}}", "tdx.xfam", "1", "3", True),
    ("tdx: {xfam: {no-bits: '${p}'}}", "tdx.xfam", "3", "1", False),
    ("tdx: {xfam: {has-bits: '${p}'}}", "tdx.xfam", "3", "1", False),
    ("tdx: {debug: false}, gpu: {vbios: {at-least: '${p}'}}", "gpu.vbios", "96.00.9F", "97.00.9F", False),
    ("tdx: {debug: false}, gpu: {vbios: {at-least: '${p}'}}", "gpu.vbios", "96.00.9F", "96.00.A0", True),
    ("tdx: {debug: false}, gpu: {driver: {at-least: '${p}'}}", "gpu.driver", "550.1", "570.2", True),
    ("tdx: {debug: false}, gpu: {driver: {at-least: {550: '${p}'}}}", "gpu.driver", "550.9", "550.8", False),
]


@pytest.mark.parametrize(("rule", "kind", "before", "after", "good"), PARAMETERS)
def test_a_wider_parameter_needs_a_reason(rule: str, kind: str, before: str, after: str, good: bool) -> None:
    def params(value: str, more: str = "") -> str:
        return f"params: {{p: {{type: {kind}, default: '{value}'{more}}}}}\n"

    parent = file(f"{{{rule}}}", params(before), platforms="tdx")
    child = "{tdx: {migratable: false}}"

    def redeclared(more: str = "") -> Policy:
        return child_of(parent, child, params(after, more), platforms="tdx")

    def given() -> Policy:
        return child_of(parent, child, platforms="tdx", parameters={"p": after})

    if good:
        assert dict(redeclared().body.parameters) == {"p": after}
        assert dict(given().body.parameters) == {"p": after}
        return
    for read in (redeclared, given):
        with pytest.raises(Malformed) as refusal:
            read()
        assert refusal.value.codes == {"policy.override-missing"}
    assert dict(redeclared(", override: why").body.loosened) == {"params.p": "why"}


def test_a_child_fills_in_what_a_parent_leaves_open() -> None:
    parent = file("{snp: {measurement: '${ld}'}}", "params: {ld: {type: snp.measurement}}\n")
    filled = child_of(
        parent, "{snp: {debug: false}}", f"params: {{ld: {{type: snp.measurement, default: '{M}'}}}}\n"
    )
    assert entries(filled) == {"measurement": {"is": M}, "debug": {"is": "false"}}
    given = child_of(parent, "{snp: {debug: false}}", parameters={"ld": M})
    assert given.digest == filled.digest
    assert refused(parent, "{snp: {debug: false}}").codes == {"policy.parameter-missing"}


def test_a_wider_value_in_an_inherited_set_needs_a_reason() -> None:
    parent = file(
        "{snp: {measurement: {in: web}}}",
        f"params: {{ld: {{type: snp.measurement, default: '{M}'}}}}\n" + WEB % ("", "{value: '${ld}'}"),
    )
    with pytest.raises(Malformed) as refusal:
        child_of(parent, "{snp: {debug: false}}", parameters={"ld": N})
    assert refusal.value.codes == {"policy.override-missing"}


def test_values_given_together_are_judged_as_they_will_stand() -> None:
    parent = file(
        "{tdx: {mrtd: {one-of: ['${a}', '${b}']}}}",
        f"params: {{a: {{type: tdx.mrtd, default: '{M}'}}, b: {{type: tdx.mrtd, default: '{N}'}}}}\n",
        platforms="tdx",
    )

    def given(a: str, b: str) -> Policy:
        return child_of(parent, "{tdx: {debug: false}}", platforms="tdx", parameters={"a": a, "b": b})

    assert dict(given(N, M).body.parameters) == {"a": N, "b": M}
    for a, b in ((N, "33" * 48), ("33" * 48, M)):
        with pytest.raises(Malformed) as refusal:
            given(a, b)
        assert refusal.value.codes == {"policy.override-missing"}


def test_many_parameters_have_a_bounded_price() -> None:
    """Reading all parents twice for each was minutes for a file of a quarter megabyte."""

    def params(first: int, others: int) -> str:
        values = [first, *[others] * 1000]
        texts = [f"p{index}: {{type: snp.guest-svn, default: {value}}}" for index, value in enumerate(values)]
        return f"params: {{{', '.join(texts)}}}\n"

    rules = ", ".join(["{vmpl: 0}"] * 450)
    parent = file(f"{{snp: {{any: [{rules}], guest-svn: {{at-least: '${{p0}}'}}}}}}", params(5, 1))
    start = process_time()
    assert child_of(parent, "{snp: {debug: false}}", params(6, 2)).body.parameters["p0"] == "6"
    refusal = refused(parent, "{snp: {debug: false}}", params(4, 2))
    assert process_time() - start < 8, "most of it is reading YAML"
    assert refusal.codes == {"policy.override-missing"}


# -- accept -----------------------------------------------------------------------------------------

ACCEPT = "accept: [{advisory: %s, until: %s, because: x%s}]\n"


def test_accepting_over_an_inherited_rule_needs_a_reason() -> None:
    parent = file("{tdx: {tcb-status: UpToDate}}", platforms="tdx")
    more = ACCEPT % ("INTEL-SA-01036", "2026-12-31", "")
    with pytest.raises(Malformed) as refusal:
        child_of(parent, "{tdx: {debug: false}}", more, platforms="tdx")
    assert refusal.value.codes == {"policy.override-missing"}
    reason = ACCEPT % ("INTEL-SA-01036", "2026-12-31", ", override: BIOS")
    policy = child_of(parent, "{tdx: {debug: false}}", reason, platforms="tdx")
    assert dict(policy.body.loosened) == {"accept.INTEL-SA-01036": "BIOS"}
    # The default is nobody's rule but the version's: accepting is what it is for.
    child_of(file("{tdx: {debug: false}}", platforms="tdx"), "{tdx: {debug: false}}", more, platforms="tdx")


def test_accepting_over_inherited_floors_and_longer_than_a_parent() -> None:
    parent = file("{snp: {fixed: [amd-sb-3019]}}")
    assert refused(parent, "{snp: {debug: false}}", ACCEPT % ("AMD-SB-3019", "2026-12-31", "")).codes == {
        "policy.override-missing"
    }
    child_of(parent, "{snp: {debug: false}}", ACCEPT % ("AMD-SB-3015", "2026-12-31", ""))
    accepts = file("{tdx: {debug: false}}", ACCEPT % ("INTEL-SA-1", "2026-12-31", ""), platforms="tdx")
    for until, good in (("2027-12-31", False), ("2026-06-30", True)):
        more = ACCEPT % ("INTEL-SA-1", until, "")
        if good:
            child_of(accepts, "{tdx: {debug: false}}", more, platforms="tdx")
            continue
        with pytest.raises(Malformed, match="over the earlier end"):
            child_of(accepts, "{tdx: {debug: false}}", more, platforms="tdx")


def test_the_shorter_of_two_acceptances_counts(judge: Judge) -> None:
    out = tree(
        tdx={**TDX, "tcb-status": "OutOfDate"},
        raw={
            "tdx": {
                "tcb": {
                    "platform": {"status": "OutOfDate", "advisories": ["INTEL-SA-1"]},
                    "qe": {"status": "UpToDate", "advisories": []},
                }
            }
        },
    )
    accepts = file("{tdx: {debug: false}}", ACCEPT % ("INTEL-SA-1", "2026-12-31", ""), platforms="tdx")
    one = child_of(accepts, "{tdx: {migratable: false}}", platforms="tdx")
    assert judge(out, one).conforms
    ended = child_of(
        accepts,
        "{tdx: {migratable: false}}",
        ACCEPT % ("INTEL-SA-1", "2026-11-01", ""),
        platforms="tdx",
    )
    assert not judge(out, ended).conforms


# -- files ------------------------------------------------------------------------------------------


def test_a_circle_of_two_files_is_named_with_its_line() -> None:
    # Of honest digests no circle can be made: it is found by its names, before they are compared.
    b = file("{snp: {smt: true}}", extends='{file: p.yaml, digest: "sha384:%s"}' % ("00" * 48))
    top = file("{snp: {smt: true}}", extends=ref("b.yaml", b))
    for where in ("p.yaml", "/etc/p.yaml"):
        with pytest.raises(
            Malformed, match=r"b\.yaml:4:11: extends in a circle: p\.yaml → b\.yaml → p\.yaml"
        ):
            Policy.from_text(top, where, files={"b.yaml": b, "p.yaml": top})


def test_a_circle_through_itself_is_refused() -> None:
    own = file("{snp: {smt: true}}", extends='{file: p.yaml, digest: "sha384:%s"}' % ("00" * 48))
    with pytest.raises(Malformed, match=r"p\.yaml:4:11: extends in a circle: p\.yaml → p\.yaml"):
        Policy.from_text(own, "p.yaml", files={"p.yaml": own})


def test_sixteen_files_and_no_more() -> None:
    files: dict[str, bytes] = {}
    last = file("{snp: {smt: true}}")
    for index in range(15):
        files[f"f{index}.yaml"] = last
        last = file("{snp: {smt: true}}", extends=ref(f"f{index}.yaml", last))
        if index < 14:
            continue
        assert len(Policy.from_text(last, files=files).extended) == 15
    files["f15.yaml"] = last
    with pytest.raises(Malformed, match="more than 16 files"):
        Policy.from_text(file("{snp: {smt: true}}", extends=ref("f15.yaml", last)), files=files)


@pytest.mark.parametrize(
    ("extends", "says"),
    [
        ("baseline/snp", 'unknown built-in policy "baseline/snp". Did you mean "baseline/snp@1"?'),
        ("baseline/snp@2", "unknown built-in policy"),
        ("{file: team.yaml}", "a file to extend has file and digest"),
        ('{file: ../t.yaml, digest: "sha384:%s"}' % ("00" * 48), "named without folders"),
        ('{file: none.yaml, digest: "sha384:%s"}' % ("00" * 48), "was not given"),
        ('{file: team.yaml, digest: "sha384:%s"}' % ("00" * 48), "is another file: its digest is sha384:"),
        ("{file: team.yaml, digest: sha256:00}", "a digest is sha384:"),
    ],
)
def test_what_cannot_be_extended(extends: str, says: str) -> None:
    text = file("{snp: {smt: true}}", extends=extends)
    with pytest.raises(Malformed) as refusal:
        Policy.from_text(text, files={"team.yaml": file("{snp: {smt: true}}")})
    assert says in refusal.value.problems[0].message
    assert "policy:4:" in refusal.value.problems[0].message


def test_errors_of_a_parent_name_the_parent() -> None:
    found = refused(file("{snp: {smtt: true}}"), "{snp: {debg: false}}")
    assert [problem.message.split(": ")[0] for problem in found.problems] == ["c.yaml:5:17", "team.yaml:4:17"]


def test_files_lie_beside_the_policy(tmp_path: Path) -> None:
    team = file("{snp: {smt: false}}", extends="baseline/snp@1")
    (tmp_path / "team.yaml").write_bytes(team)
    (tmp_path / "p.yaml").write_bytes(file("{snp: {debug: false}}", extends=ref("team.yaml", team)))
    policy = Policy.read(tmp_path / "p.yaml")
    assert set(policy.extended) == {"team.yaml", "baseline/snp@1"}
    assert "fixed" in json.loads(policy.canonical())["require"]["snp"]


@pytest.mark.parametrize("name", BUILTINS)
def test_built_ins_are_policies_that_never_change(name: str) -> None:
    policy = Policy.from_text(file(f"{{{name[9:12]}: {{debug: false}}}}", platforms=name[9:12], extends=name))
    assert policy.extended == {name: digest(built_in(name))}


def test_a_file_is_read_once_however_often_it_is_extended() -> None:
    base = file("{snp: {smt: false}}")
    a = file("{snp: {tsme: true}}", name="a", extends=ref("base.yaml", base))
    b = file("{snp: {ecc: true}}", name="b", extends=ref("base.yaml", base))
    text = file("{snp: {debug: false}}", extends=f"{ref('a.yaml', a)}, {ref('b.yaml', b)}")
    policy = Policy.from_text(text, files={"base.yaml": base, "a.yaml": a, "b.yaml": b})
    assert entries(policy) == {
        claim: {"is": value}
        for claim, value in {"smt": "false", "tsme": "true", "ecc": "true", "debug": "false"}.items()
    }


def test_an_accepted_advisory_may_be_accepted_longer_with_a_reason(judge: Judge) -> None:
    """Of two acceptances the shorter counts, unless the child takes its parent's place."""
    out = tree(
        time=None,
        tdx={**TDX, "tcb-status": "OutOfDate"},
        raw={
            "tdx": {
                "tcb": {
                    "platform": {"status": "OutOfDate", "advisories": ["INTEL-SA-1"]},
                    "qe": {"status": "UpToDate", "advisories": []},
                }
            }
        },
    )
    parent = file("{tdx: {debug: false}}", ACCEPT % ("INTEL-SA-1", "2026-11-01", ""), platforms="tdx")
    other = file(
        "{tdx: {debug: false}}", ACCEPT % ("INTEL-SA-1", "2026-11-01", ""), name="other", platforms="tdx"
    )
    longer = ACCEPT % ("INTEL-SA-1", "2026-12-31", ", override: late")
    assert judge(out, child_of(parent, "{tdx: {migratable: false}}", longer, platforms="tdx")).conforms
    # A file beside, which the child of the other does not extend, keeps its own end.
    middle = file(
        "{tdx: {debug: false}}", longer, name="middle", platforms="tdx", extends=ref("team.yaml", parent)
    )
    text = file(
        "{tdx: {migratable: false}}",
        platforms="tdx",
        extends=f"{ref('other.yaml', other)}, {ref('middle.yaml', middle)}",
    )
    files = {"team.yaml": parent, "other.yaml": other, "middle.yaml": middle}
    assert not judge(out, Policy.from_text(text, files=files)).conforms


def test_a_child_may_not_make_an_observed_value_active() -> None:
    parent = file("{snp: {measurement: {in: web}}}", WEB % ("", f'{{value: "{M}", state: observed}}'))
    assert refused(parent, "{snp: {debug: false}}", WEB % ("", f'{{value: "{M}"}}')).codes == {
        "policy.override-missing"
    }
    child_of(parent, "{snp: {debug: false}}", WEB % ("", f'{{value: "{M}", state: observed}}'))


def test_parameters_of_many_files_cost_no_second_reading_of_long_reference_sets() -> None:
    """Each file that changes a parameter is held against its parents; their sets are not read again for that."""
    names = [f"p{index}" for index in range(8)]

    def head(values: str) -> str:
        listed = "".join(f"  {name}: {{type: snp.guest-svn, default: {values}}}\n" for name in names)
        return f"policy: 1\nname: a\nplatforms: [snp]\nparams:\n{listed}"

    values = "".join(f"      - {{value: {index:032x}}}\n" for index in range(2000))
    rules = "".join(f'      - {{guest-svn: {{at-least: "${{{name}}}"}}}}\n' for name in names)
    sets = f"references:\n  web:\n    type: snp.family-id\n    values:\n{values}"
    files = {"f0.yaml": f"{head('100')}{sets}require:\n  snp:\n    all:\n{rules}".encode()}
    for index in range(1, 16):
        parent = f"f{index - 1}.yaml"
        extends = f'extends: [{{file: {parent}, digest: "{digest(files[parent])}"}}]\n'
        text = f"{head(str(100 - index))}{extends}require: {{snp: {{debug: false}}}}\n"
        files[f"f{index}.yaml"] = text.encode()
    begins = process_time()
    Policy.from_text(files["f0.yaml"])
    alone = process_time() - begins
    begins = process_time()
    with pytest.raises(Malformed) as caught:
        Policy.from_text(files["f15.yaml"], files=files)
    assert process_time() - begins < 4 * alone
    # The first of them each for itself, the others by file: what is wrong is told all the same.
    assert len(caught.value.problems) == 8 + 14
    assert {problem.code for problem in caught.value.problems} == {"policy.override-missing"}
