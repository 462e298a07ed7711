"""Advisories that an owner accepts: part by part, to a date, and never for what no advisory stands for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.policy.conftest import NOW, TDX, Judge, policy_of, rule, tree

A, B = "INTEL-SA-01036", "INTEL-SA-01099"
LAG = "{tdx: {tcb-lag: {at-most: 1d}}}"


def behind(status: str = "OutOfDate", /, **parts: tuple[str, list[str]]) -> dict[str, Any]:
    """Claims of a platform in this merged status; parts: each one's own status and advisories."""
    every = {"platform": ("UpToDate", []), "qe": ("UpToDate", []), **parts}
    tcb = {name: {"status": own, "advisories": advisories} for name, (own, advisories) in every.items()}
    advisories = sorted({one for _, listed in every.values() for one in listed})
    tdx = {**TDX, "tcb-status": status, "tcb-lag": "8640000s", "advisories": advisories}
    return tree(time=None, tdx=tdx, raw={"tdx": {"tcb": tcb}})


def accepts(*advisories: str, require: str = "{tdx: {debug: false}}", until: str = "2026-11-23") -> Any:
    listed = ", ".join(f"{{advisory: {one}, until: {until}, because: BIOS}}" for one in advisories)
    return policy_of(require, platforms="tdx", more=f"accept: [{listed}]\n")


OUT = "OutOfDate"
CASES = [
    # accepted, merged status, parts, whether it conforms
    ([A], OUT, {"platform": (OUT, [A])}, True),
    ([A.lower()], OUT, {"platform": (OUT, [A])}, True),
    ([A], OUT, {"platform": (OUT, [A, B])}, False),
    ([A, B], OUT, {"platform": (OUT, [A, B])}, True),
    ([A], OUT, {"platform": (OUT, [])}, False),
    ([A], OUT, {"platform": (OUT, [A]), "module": (OUT, [])}, False),
    ([A], OUT, {"platform": (OUT, [A]), "module": (OUT, [B])}, False),
    ([A, B], OUT, {"platform": (OUT, [A]), "module": (OUT, [B])}, True),
    ([A], OUT, {"platform": (OUT, [A]), "module": ("UpToDate", [])}, True),
    ([A], OUT, {"platform": (OUT, [A]), "qe": (OUT, [])}, False),
    ([A], OUT, {"qe": (OUT, [A])}, True),
    ([A], "Revoked", {"platform": ("Revoked", [A])}, False),
    ([A], OUT, {"platform": (OUT, [A]), "qe": ("Revoked", [A])}, False),
    ([A], "SWHardeningNeeded", {"platform": ("SWHardeningNeeded", [A])}, True),
    ([A], "ConfigurationNeeded", {"platform": ("ConfigurationNeeded", [A])}, False),
    ([A], "OutOfDateConfigurationNeeded", {"platform": ("OutOfDateConfigurationNeeded", [A])}, False),
    (
        [A],
        "ConfigurationAndSWHardeningNeeded",
        {"platform": ("ConfigurationAndSWHardeningNeeded", [A])},
        False,
    ),
    ([A], "TDRelaunchAdvised", {"platform": (OUT, [A]), "module": (OUT, [A])}, False),
    ([A], OUT, {}, False),
    ([A], OUT, {"platform": ("ConfigurationNeeded", [A])}, False),
]


@pytest.mark.parametrize("require", ["{tdx: {debug: false}}", "{tdx: {tcb-status: UpToDate}}"])
@pytest.mark.parametrize(("accepted", "status", "parts", "good"), CASES)
def test_t_tdx_status_each_part_behind_has_advisories_and_all_are_accepted(
    judge: Judge, accepted: list[str], status: str, parts: dict[str, Any], good: bool, require: str
) -> None:
    appraisal = judge(behind(status, **parts), accepts(*accepted, require=require))
    assert appraisal.conforms == good
    record = rule(appraisal, "tdx.tcb-status")
    assert record["outcome"] == ("accepted" if good else "deny")
    assert record["until"] == ("2026-11-23T23:59:59Z" if good else None)
    if good:
        assert appraisal.verdict == "conforms-with-warnings"


def test_a_lag_too_long_is_accepted_likewise(judge: Judge) -> None:
    claims = behind(platform=(OUT, [A]))
    assert judge(claims, accepts(A, require=LAG)).conforms
    assert not judge(claims, accepts(B, require=LAG)).conforms
    unknown = behind(platform=(OUT, [A]))
    del unknown["tdx"]["tcb-lag"]
    assert not judge(unknown, accepts(A, require=LAG)).conforms


def test_an_acceptance_ends(judge: Judge) -> None:
    claims = behind(platform=(OUT, [A]))
    assert judge(claims, accepts(A), at=NOW.replace(hour=23, minute=59, second=59)).conforms
    assert not judge(claims, accepts(A), at=NOW.replace(day=24, hour=0)).conforms
    early = rule(judge(claims, accepts(A, B, until="2027-01-01")), "tdx.tcb-status")
    assert early["until"] == "2027-01-01T23:59:59Z"


@pytest.mark.parametrize(
    ("accepted", "claimed", "asked", "good"),
    [
        ([A], [A, B], f"none-of: [{A}]", True),
        ([B], [A, B], f"none-of: [{A}]", False),
        ([A], [A, B], f"none-of: [{A}, {B}]", False),
        ([A], [A, B], f"subset-of: [{B}]", True),
        ([B], [A, B], f"subset-of: [{B}]", False),
        ([A], [A, B], f"is: [{B}]", False),
        ([A, B], [A, B], f"is: [{B}]", True),
    ],
)
def test_a_rule_on_advisories_is_cured_by_just_those_it_objects_to(
    judge: Judge, accepted: list[str], claimed: list[str], asked: str, good: bool
) -> None:
    """Also where no part is behind: accepting another advisory must not be enough by way of an empty list."""
    claims = behind("UpToDate", platform=("UpToDate", claimed))
    assert judge(claims, accepts(*accepted, require=f"{{tdx: {{advisories: {{{asked}}}}}}}")).conforms == good


def test_a_named_status_is_what_an_acceptance_may_cure(judge: Judge) -> None:
    claims = behind("ConfigurationNeeded", platform=("ConfigurationNeeded", [A]))
    rules = 'tcb-status: {one-of: [UpToDate, ConfigurationNeeded], override: "x"}, tcb-lag: {at-most: 1d}'
    assert judge(claims, accepts(A, require=f"{{tdx: {{{rules}}}}}")).conforms
    assert not judge(claims, accepts(B, require=f"{{tdx: {{{rules}}}}}")).conforms
    unnamed = rules.replace(", ConfigurationNeeded", ", SWHardeningNeeded")
    assert not judge(claims, accepts(A, require=f"{{tdx: {{{unnamed}}}}}")).conforms


def test_nothing_else_is_cured(judge: Judge) -> None:
    claims = behind(platform=(OUT, [A]))
    claims["tdx"]["debug"] = "true"
    denied = [problem.where for problem in judge(claims, accepts(A)).problems]
    assert denied == ["tdx.debug"]
    # A group is no single rule; what stands in it is not cured.
    grouped = accepts(A, require="{tdx: {all: [{tcb-status: UpToDate}]}}")
    assert [p.where for p in judge(behind(platform=(OUT, [A])), grouped).problems] == ["tdx.all"]


@pytest.mark.parametrize("lost", ["platform", "qe", "tcb"])
def test_parts_that_cannot_be_seen_accept_nothing(judge: Judge, lost: str) -> None:
    claims = behind(platform=(OUT, [A]))
    tcb = claims["raw"]["tdx"]["tcb"]
    if lost == "tcb":
        claims["raw"]["tdx"] = {}
    else:
        del tcb[lost]
    assert not judge(claims, accepts(A)).conforms
