"""accept and tcb-lag: part by part, never by an empty list, never for what no advisory stands for."""

from __future__ import annotations

from collections.abc import Iterator

from tests.conformance.generator.case import NOW, TDX, Case, Tree, invalid, judged, machine, policy, record

A, B = "INTEL-SA-01036", "INTEL-SA-01099"
Part = tuple[str, list[str]]
_OUT, _GOOD = "OutOfDate", "UpToDate"
_NEVER = (
    "ConfigurationNeeded",
    "ConfigurationAndSWHardeningNeeded",
    "OutOfDateConfigurationNeeded",
    "TDRelaunchAdvised",
    "TDRelaunchAdvisedConfigurationNeeded",
    "Revoked",
)


def behind(status: str, parts: dict[str, Part], **more: str) -> Tree:
    every: dict[str, Part] = {"platform": (_GOOD, []), "qe": (_GOOD, []), **parts}
    tcb = {name: {"status": own, "advisories": listed, "behind": []} for name, (own, listed) in every.items()}
    union = sorted({one for _, listed in every.values() for one in listed})
    changes = {name.replace("_", "-"): value for name, value in more.items()}
    section = {**TDX, "tcb-status": status, "tcb-lag": "8640000s", "advisories": union, **changes}
    return machine(tdx=section, raw={"tdx": {"tcb": tcb}})


def accepting(*advisories: str, rules: Tree | None = None, until: str = "2026-12-31") -> Tree:
    listed = [{"advisory": one, "until": until, "because": "BIOS"} for one in advisories]
    return policy({"tdx": rules or {"crl": "fresh"}}, platforms=["tdx"], accept=listed)


_TABLE: list[tuple[list[str], str, dict[str, Part], bool]] = [
    ([A], _OUT, {"platform": (_OUT, [A])}, True),
    ([A], _OUT, {"platform": (_OUT, [A, B])}, False),
    ([A, B], _OUT, {"platform": (_OUT, [A, B])}, True),
    ([A], _OUT, {"platform": (_OUT, [])}, False),
    ([A], _OUT, {"platform": (_OUT, [A]), "module": (_OUT, [])}, False),
    ([A], _OUT, {"platform": (_OUT, [A]), "module": (_OUT, [B])}, False),
    ([A, B], _OUT, {"platform": (_OUT, [A]), "module": (_OUT, [B])}, True),
    ([A], _OUT, {"platform": (_OUT, [A]), "module": (_GOOD, [B])}, True),
    ([A], _OUT, {"platform": (_OUT, [A]), "qe": (_OUT, [])}, False),
    ([A], _OUT, {"qe": (_OUT, [A])}, True),
    ([A], _OUT, {"module": (_OUT, [A])}, True),
    ([A], _OUT, {"platform": (_OUT, [A]), "qe": ("Revoked", [A])}, False),
    ([A], _OUT, {}, False),
    ([A], "SWHardeningNeeded", {"platform": ("SWHardeningNeeded", [A])}, True),
]


def cases() -> Iterator[Case]:
    for accepted, status, parts, good in _TABLE:
        said = (
            ", ".join(f"{name} {own} {listed}" for name, (own, listed) in parts.items()) or "no part behind"
        )
        yield judged(
            f"accept {accepted} of {said}: {'accepted' if good else 'denied'}",
            accepting(*accepted),
            behind(status, parts),
            denied=[] if good else ["tdx.tcb-status"],
            rules=[record("tdx.tcb-status", "F", outcome="accepted" if good else "deny")],
            numbers=[24] if accepted == [A] and not good else [25] if accepted == [A, B] else [],
        )
    for status in _NEVER:
        yield judged(
            f"no acceptance cures {status}",
            accepting(A),
            behind(status, {"platform": (status, [A])}),
            denied=["tdx.tcb-status"],
            numbers=[24] if status == "Revoked" else [],
        )
        lag = {"tcb-lag": {"at-most": "365d"}}
        denied = ["tdx.tcb-lag", "tdx.tcb-status"] if status == "Revoked" else ["tdx.tcb-status"]
        yield judged(
            f"no lag cures {status}",
            policy({"tdx": lag}, platforms=["tdx"]),
            behind(status, {"platform": (status, [A])}),
            denied=denied,
        )
    named = {
        "tcb-status": {"one-of": [_GOOD, "ConfigurationNeeded"], "override": "x"},
        "tcb-lag": {"at-most": "1d"},
    }
    of_named = behind("ConfigurationNeeded", {"platform": ("ConfigurationNeeded", [A])})
    yield judged(
        "a status that a rule names may be accepted for its lag", accepting(A, rules=named), of_named
    )
    yield judged(
        "and not for another's advisory", accepting(B, rules=named), of_named, denied=["tdx.tcb-lag"]
    )
    one_behind = {"platform": (_OUT, [A])}
    for until, good in [
        ("2026-11-23", True),
        ("2026-11-22", False),
        ("2026-11-23T12:00:00Z", True),
        ("2026-11-23T11:59:59Z", False),
    ]:
        yield judged(
            f"an acceptance until {until} at noon of the 23rd",
            accepting(A, until=until),
            behind(_OUT, one_behind),
            denied=[] if good else ["tdx.tcb-status"],
        )
    for asked, accepted, good in [
        ({"none-of": [A]}, [A], True), ({"none-of": [A]}, [B], False), ({"subset-of": [B]}, [A], True),
        ({"subset-of": [B]}, [B], False), ({"none-of": [A, B]}, [A], False),
    ]:  # fmt: skip
        yield judged(
            f"advisories {asked} of an up-to-date platform, {accepted} accepted",
            accepting(*accepted, rules={"advisories": asked}),
            behind(_GOOD, {"platform": (_GOOD, [A, B])}),
            denied=[] if good else ["tdx.advisories"],
        )
    yield judged(
        "a rule in a group is not cured",
        accepting(A, rules={"all": [{"tcb-status": _GOOD}]}),
        behind(_OUT, one_behind),
        denied=["tdx.all"],
    )
    debugged = behind(_OUT, one_behind, debug="true")
    yield judged("nothing else is cured", accepting(A), debugged, denied=["tdx.debug"])
    unknown = behind(_OUT, one_behind)
    unknown["raw"] = {}
    yield judged("parts that cannot be seen", accepting(A), unknown, denied=["tdx.tcb-status"])
    for days, good in ((89, False), (90, True)):
        asked = policy({"tdx": {"tcb-lag": {"at-most": f"{days}d"}}}, platforms=["tdx"])
        late = behind(_OUT, one_behind, tcb_lag="7776000s")
        yield judged(
            f"a lag of 90 days where {days} are allowed", asked, late, denied=[] if good else ["tdx.tcb-lag"]
        )
    unsaid = behind(_OUT, one_behind)
    del unsaid["tdx"]["tcb-lag"]
    yield judged(
        "a lag that cannot be told is not cured", accepting(A, rules={"tcb-lag": {"at-most": "1d"}}), unsaid,
        denied=["tdx.tcb-lag"], rules=[record("tdx.tcb-lag", "U")],
    )  # fmt: skip
    rules = {"crl": "fresh"}
    for entry in (
        {"advisory": A, "because": "x"}, {"advisory": A, "until": "2027-01-01"}, {"until": "2027-01-01", "because": "x"},
        {"advisory": "all", "until": "2027-01-01", "because": "x"}, {"advisory": A, "until": "for ever", "because": "x"},
        {"advisory": "*", "until": "2027-01-01", "because": "x"},
    ):  # fmt: skip
        yield invalid(f"accept {entry}", policy({"tdx": rules}, platforms=["tdx"], accept=[entry]))


__all__ = ["NOW", "cases"]
