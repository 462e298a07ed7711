"""extends: both apply, and every way in which a child could loosen what it inherits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.conformance.generator.case import (
    FLOORS,
    MEASUREMENT,
    OTHER,
    Case,
    Tree,
    digest_of,
    extend,
    file,
    invalid,
    judged,
    policy,
    snp,
    tdx,
)

M = MEASUREMENT
LOOSE = "policy.override-missing"


def child(parent: Tree, require: Tree, *, platforms: Any = ("snp",), **more: Any) -> dict[str, Any]:
    """A policy that extends the one file `team.yaml`."""
    text = file(parent)
    asked = policy(require, platforms=platforms, extends=[extend("team.yaml", text)], **more)
    return {"policy": asked, "files": {"team.yaml": text}}


def _rules() -> Iterator[Case]:
    genoa = policy({"snp": {"product": "genoa"}}, name="team")
    wide = {"product": {"one-of": ["milan", "genoa"]}}
    effective = policy({"snp": {"product": [{"is": "genoa"}, {"one-of": ["genoa", "milan"]}]}})
    yield judged(
        "parent product genoa, child one-of [milan, genoa], on milan",
        **child(genoa, {"snp": wide}), claims=snp(), denied=["snp.product"], numbers=[27],
        digest=digest_of(effective), loosened={},
    )  # fmt: skip
    reason = {"product": {"one-of": ["milan", "genoa"], "override": "old racks"}}
    effective = policy({"snp": {"product": {"one-of": ["genoa", "milan"], "override": "old racks"}}})
    yield judged(
        "the same with a reason", **child(genoa, {"snp": reason}), claims=snp(),
        digest=digest_of(effective), loosened={"snp.product": "old racks"},
    )  # fmt: skip
    both = policy({"snp": {"product": "genoa", "smt": "false"}})
    yield judged(
        "an override takes one claim's rule and no other",
        **child(both, {"snp": reason}),
        claims=snp(),
        denied=["snp.smt"],
    )
    warned = {"product": {"one-of": ["milan", "genoa"], "else": "warn", "until": "2030-01-01"}}
    yield judged(
        "a child's warning takes no denial away",
        **child(genoa, {"snp": warned}),
        claims=snp(),
        denied=["snp.product"],
    )
    grouped = policy({"snp": {"any": [{"product": "genoa"}, {"smt": "false"}]}})
    effective = policy(
        {
            "snp": {
                "any": [
                    [{"product": {"is": "genoa"}}, {"smt": {"is": "false"}}],
                    [{"product": {"is": "milan"}}],
                ]
            }
        }
    )
    yield judged(
        "groups of two files both hold", **child(grouped, {"snp": {"any": [{"product": "milan"}]}}), claims=snp(),
        denied=["snp.any"], digest=digest_of(effective),
    )  # fmt: skip
    inner = {"snp": {"all": [{"product": "genoa"}]}}
    yield judged(
        "an override does not reach into a group",
        **child(policy(inner), {"snp": reason}),
        claims=snp(),
        denied=["snp.all"],
    )
    debug = policy({"snp": {"debug": {"is": "true", "override": "lab"}}})
    yield judged(
        "a child takes a parent's loosening back",
        **child(debug, {"snp": {"debug": "false"}}),
        claims=snp(debug="true"),
        denied=["snp.debug"],
    )
    yield judged(
        "an inherited loosening is told",
        **child(debug, {"snp": {"smt": "true"}}),
        claims=snp(debug="true"),
        loosened={"snp.debug": "lab"},
    )
    strict = file(policy({"snp": {"vmpl": "0"}}, name="a"))
    loose = file(policy({"snp": {"vmpl": {"one-of": ["0", "1"], "override": "AWS"}}}, name="b"))
    sides = policy({"snp": {"smt": "true"}}, extends=[extend("a.yaml", strict), extend("b.yaml", loose)])
    yield judged(
        "an override takes no rule of a file that it does not extend",
        sides,
        snp(vmpl="1"),
        files={"a.yaml": strict, "b.yaml": loose},
        denied=["snp.vmpl"],
    )
    base = policy({"snp": {"smt": "false"}}, extends=["baseline/snp@1"])
    yield judged(
        "a built-in's rules apply",
        base,
        snp(alias_check=None, smt="false", product="turin"),
        denied=["snp.fixed", "snp.product"],
        floors=FLOORS,
    )


def _heads() -> Iterator[Case]:
    wide = policy({"snp": {"smt": "true"}}, platforms=["snp", "azure-snp"])
    yield judged(
        "platforms intersect", **child(wide, {"snp": {"crl": "fresh"}}), claims=tdx(), denied=["platforms"]
    )
    yield invalid("no platform in common", **child(wide, {"tdx": {"crl": "fresh"}}, platforms=["tdx"]))
    allowed = policy(
        {"snp": {"smt": "true"}}, allow_warnings={"os-unmeasured": "x", "no-workload-identity": "x"}
    )
    yield judged(
        "allowed warnings are not inherited",
        **child(allowed, {"snp": {"measurement": M}}),
        claims=snp(),
        release=False,
    )
    nras = policy({"snp": {"smt": "true"}, "evidence": {"verified-by": {"is": "nras", "override": "x"}}})
    yield invalid("who may verify is not inherited", **child(nras, {"snp": {"crl": "fresh"}}))
    team = file(policy({"snp": {"smt": "true"}}))
    named = {"files": {"team.yaml": team}}
    for name, extends in [
        ("a built-in without its version", ["baseline/snp"]), ("a version that is not", ["baseline/snp@99"]),
        ("a file without its digest", [{"file": "team.yaml"}]), ("a digest alone", [{"digest": "sha384:" + "00" * 48}]),
        ("a file in a folder", [{**extend("team.yaml", team), "file": "../team.yaml"}]), ("no list", "baseline/snp@1"),
    ]:  # fmt: skip
        code = (
            "policy.invalid"
            if name in ("a built-in without its version", "a version that is not", "no list")
            else "policy.extends"
        )
        yield invalid(f"extends {name}", policy({"snp": {"smt": "true"}}, extends=extends), code, **named)
    altered = [{**extend("team.yaml", team), "digest": "sha384:" + "00" * 48}]
    yield invalid(
        "a file with another digest",
        policy({"snp": {"smt": "true"}}, extends=altered),
        "policy.extends",
        **named,
    )
    yield invalid(
        "a file that is not given",
        policy({"snp": {"smt": "true"}}, extends=[extend("none.yaml", team)]),
        "policy.extends",
    )
    circle = file(
        policy({"snp": {"smt": "true"}}, extends=[{"file": "b.yaml", "digest": "sha384:" + "00" * 48}])
    )
    b = file(policy({"snp": {"smt": "true"}}, extends=[extend("a.yaml", circle)]))
    top = policy({"snp": {"smt": "true"}}, extends=[extend("b.yaml", b)])
    yield invalid("extends in a circle", top, "policy.extends", files={"a.yaml": circle, "b.yaml": b})
    files: dict[str, str] = {}
    last = file(policy({"snp": {"smt": "true"}}))
    for index in range(16):
        files[f"f{index}.yaml"] = last
        last = file(policy({"snp": {"smt": "true"}}, extends=[extend(f"f{index}.yaml", last)]))
    seventeen = policy({"snp": {"smt": "true"}}, extends=[extend("f15.yaml", files["f15.yaml"])])
    yield invalid("seventeen files", seventeen, "policy.extends", files=files)
    fifteen = policy({"snp": {"smt": "true"}}, extends=[extend("f14.yaml", files["f14.yaml"])])
    yield judged("sixteen files", fifteen, snp(), files=files)


def _sets() -> Iterator[Case]:
    def web(*values: Tree, **more: str) -> Tree:
        return {"web": {"type": "snp.measurement", "values": list(values), **more}}

    ours = {"value": M, "from": "2026-01-01", "until": "2027-01-01"}
    parent = policy({"snp": {"measurement": {"in": "web"}}}, references=web(ours))
    table: list[tuple[str, Tree, bool]] = [
        ("another value", {"value": OTHER}, False),
        ("a value observed", {"value": OTHER, "state": "observed"}, False),
        ("a longer time", {**ours, "until": "2027-01-02"}, False),
        ("an earlier start", {**ours, "from": "2025-12-31"}, False),
        ("no end", {"value": M, "from": "2026-01-01"}, False),
        ("more covered", {**ours, "covers": "image"}, False),
        (
            "a revocation to come of a value not listed",
            {"value": OTHER, "state": "revoked", "since": "2030-01-01"},
            False,
        ),
        ("a shorter time", {**ours, "until": "2026-12-31"}, True),
        ("a revocation", {"value": M, "state": "revoked"}, True),
        ("a revocation of a value not listed", {"value": OTHER, "state": "revoked"}, True),
        ("a revocation within its time", {**ours, "state": "revoked", "since": "2026-06-01"}, True),
    ]
    for name, value, good in table:
        given = child(parent, {"snp": {"crl": "fresh"}}, references=web(value))
        if not good:
            yield invalid(
                f"a child adds to an inherited set: {name}", given["policy"], LOOSE, files=given["files"]
            )
            reason = child(parent, {"snp": {"crl": "fresh"}}, references=web(value, override="ours"))
            yield judged(
                f"a child adds with a reason: {name}",
                **reason,
                claims=snp(),
                loosened={"references.web": "ours"},
            )
            continue
        denied = ["snp.measurement"] if value.get("state") == "revoked" and value["value"] == M else []
        yield judged(f"a child narrows an inherited set: {name}", **given, claims=snp(), denied=denied)
    a = file(policy({"snp": {"measurement": {"in": "web"}}}, references=web(ours), name="a"))
    b = file(policy({"snp": {"smt": "true"}}, references=web({"value": OTHER}, override="x"), name="b"))
    sides = policy({"snp": {"crl": "fresh"}}, extends=[extend("a.yaml", a), extend("b.yaml", b)])
    yield invalid("two parents with a set of one name", sides, files={"a.yaml": a, "b.yaml": b})
    other = {"web": {"type": "snp.host-data", "values": [{"value": "11" * 32}], "override": "x"}}
    retyped = child(parent, {"snp": {"crl": "fresh"}}, references=other)
    yield invalid("an inherited set of another type", retyped["policy"], files=retyped["files"])
    own = policy({"snp": {"measurement": {"in": "web"}}}, references=web({"value": M}, {"value": M.upper()}))
    yield invalid("a value twice in one file", None, yaml=file(own), line=1)


def _parameters() -> Iterator[Case]:
    n = OTHER
    table: list[tuple[str, str, str, str, Tree, bool]] = [
        ("a shorter lag", "tdx.tcb-lag", "30d", "20d", {"tcb-lag": {"at-most": "${p}"}}, True),
        ("a longer lag", "tdx.tcb-lag", "30d", "31d", {"tcb-lag": {"at-most": "${p}"}}, False),
        ("a longer lag, turned by none", "tdx.tcb-lag", "30d", "90d", {"none": [{"tcb-lag": {"at-most": "${p}"}}]}, True),
        ("a shorter lag, turned by none", "tdx.tcb-lag", "30d", "1d", {"none": [{"tcb-lag": {"at-most": "${p}"}}]}, False),
        ("a higher number", "tdx.tcb-evaluation", "18", "0x13", {"tcb-evaluation": {"at-least": "${p}"}}, True),
        ("a lower number", "tdx.tcb-evaluation", "18", "17", {"tcb-evaluation": {"at-least": "${p}"}}, False),
        ("another measurement", "tdx.mrtd", "aa" * 48, n, {"mrtd": "${p}"}, False),
        ("one more measurement", "tdx.mrtd", "aa" * 48, n, {"mrtd": {"one-of": ["${p}", "cc" * 48]}}, False),
        ("another exception", "tdx.mrtd", n, "cc" * 48, {"mrtd": {"none-of": ["${p}"]}}, False),
        ("more bits clear", "tdx.xfam", "1", "3", {"xfam": {"no-bits": "${p}"}}, True),
        ("fewer bits clear", "tdx.xfam", "3", "1", {"xfam": {"no-bits": "${p}"}}, False),
        ("the same in other letters", "tdx.mrtd", "aa" * 48, "AA" * 48, {"mrtd": "${p}"}, True),
    ]  # fmt: skip
    for name, kind, before, after, rule, good in table:
        first = {"p": {"type": kind, "default": before}}
        again = {"p": {"type": kind, "default": after}}
        parent = policy({"tdx": rule}, platforms=["tdx"], params=first)
        require: Tree = {"tdx": {"crl": "fresh"}}
        redeclared = child(parent, require, platforms=["tdx"], params=again)
        given = {**child(parent, require, platforms=["tdx"]), "parameters": {"p": after}}
        if good:
            effective = "19" if after == "0x13" else after
            for how, case in (("a child's default", redeclared), ("the caller's value", given)):
                # What is denied is the rules' affair; here it is that the policy loads, with this value.
                yield {"name": f"{how} for an inherited parameter: {name}", "now": "2026-11-23T12:00:00Z", **case,
                       "claims": None, "expect": {"verdict": "loads", "parameters": {"p": after}}}  # fmt: skip
                assert effective
            continue
        for how, case in (("a child's default", redeclared), ("the caller's value", given)):
            yield invalid(f"{how} for an inherited parameter: {name}", case.pop("policy"), LOOSE, **case)
        reasoned = child(parent, require, platforms=["tdx"], params={"p": {**again["p"], "override": "why"}})
        yield {"name": f"a reason for {name}", "now": "2026-11-23T12:00:00Z", **reasoned, "claims": None,
               "expect": {"verdict": "loads", "parameters": {"p": after}, "loosened": {"params.p": "why"}}}  # fmt: skip
    asked = policy({"snp": {"measurement": "${ld}"}}, params={"ld": {"type": "snp.measurement"}})
    yield invalid("a parameter without a value", asked, "policy.parameter-missing")
    yield judged(
        "a value from the caller",
        asked,
        snp(),
        parameters={"ld": M.upper()},
        digest=digest_of(policy({"snp": {"measurement": {"is": M}}})),
    )
    for name, params, given in [
        ("a parameter that nobody declared", {}, {"ld": M}), ("a value of another kind", {}, {"ld": "x"}),
        ("a parameter of a TCB", {"t": {"type": "snp.tcb", "default": "1"}}, {}),
        ("a parameter of no claim", {"t": {"type": "snp.firmwar", "default": "1"}}, {}),
    ]:  # fmt: skip
        more: dict[str, Any] = {"params": params} if params else {}
        base = policy({"snp": {"crl": "fresh"}}, **more)
        if name == "a value of another kind":
            base = asked
        yield invalid(name, base, parameters=given)
    part = policy(
        {"snp": {"measurement": "41d0${ld}"}}, params={"ld": {"type": "snp.measurement", "default": M}}
    )
    yield invalid("a parameter stands for a whole value", part)
    cross = policy({"snp": {"vmpl": "${ld}"}}, params={"ld": {"type": "snp.measurement", "default": M}})
    yield invalid("a parameter of another kind than the claim", cross)


def _acceptances() -> Iterator[Case]:
    def accept(advisory: str, until: str = "2026-12-31", **more: str) -> list[Tree]:
        return [{"advisory": advisory, "until": until, "because": "x", **more}]

    require: Tree = {"tdx": {"crl": "fresh"}}
    for claim, rule in (
        ("tcb-status", "UpToDate"),
        ("tcb-lag", {"at-most": "1d"}),
        ("advisories", {"none-of": ["X-1"]}),
    ):
        parent = policy({"tdx": {claim: rule}}, platforms=["tdx"])
        case = child(parent, require, platforms=["tdx"], accept=accept("INTEL-SA-01036"))
        yield invalid(
            f"accepting over an inherited rule on {claim}", case["policy"], LOOSE, files=case["files"]
        )
    parent = policy({"snp": {"fixed": ["amd-sb-3019"]}})
    case = child(parent, {"snp": {"crl": "fresh"}}, accept=accept("AMD-SB-3019"))
    yield invalid(
        "accepting over inherited floors", case["policy"], LOOSE, files=case["files"], floors=FLOORS
    )
    reason = child(parent, {"snp": {"crl": "fresh"}}, accept=accept("AMD-SB-3019", override="on order"))
    old = snp(tcb={"snp": "23"})
    yield judged(
        "the same with a reason",
        **reason,
        claims=old,
        floors=FLOORS,
        loosened={"accept.AMD-SB-3019": "on order"},
    ) | {"name": "accepting over inherited floors with a reason"}
    parent = policy(require, platforms=["tdx"], accept=accept("INTEL-SA-01036"))
    longer = child(parent, require, platforms=["tdx"], accept=accept("INTEL-SA-01036", "2027-12-31"))
    yield invalid("accepting for longer than a parent", longer["policy"], LOOSE, files=longer["files"])
    a = file(policy({"tdx": {"tcb-status": "UpToDate"}}, platforms=["tdx"], name="a"))
    b = file(policy(require, platforms=["tdx"], name="b", accept=accept("INTEL-SA-01036")))
    for order in (("a", "b"), ("b", "a")):
        texts = {"a": a, "b": b}
        sides = policy(
            require, platforms=["tdx"], extends=[extend(f"{one}.yaml", texts[one]) for one in order]
        )
        yield invalid(
            f"accepting over a rule of a file beside, {' before '.join(order)}",
            sides,
            LOOSE,
            files={"a.yaml": a, "b.yaml": b},
        )


def cases() -> Iterator[Case]:
    yield from _rules()
    yield from _heads()
    yield from _sets()
    yield from _parameters()
    yield from _acceptances()
