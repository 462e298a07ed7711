"""fixed, and Intel's evaluation number: what floor data asks at each instant, and when it no longer can."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from tests.conformance.generator.case import (
    FLOORS,
    PINNED,
    Case,
    Tree,
    invalid,
    judged,
    policy,
    record,
    snp,
    tdx,
)

FIXED = {"fixed": ["amd-sb-3019"]}


def with_(**changes: Any) -> Tree:
    found = copy.deepcopy(FLOORS)
    minimums = found["advisories"]["amd-sb-3019"]["products"]["milan"]
    for name, value in changes.items():
        if name == "later":
            minimums.append({"from": value, "source": "AMD-SB-3019", "tcb": {"snp": "27"}})
        elif name == "turin":
            found["advisories"]["amd-sb-3019"]["products"]["turin"] = [value]
        elif name == "evaluations":
            found["tcb-evaluation"] = value
        else:
            found[name] = value
    return found


def tcb(number: str) -> Tree:
    return {"bootloader": "4", "tee": "0", "snp": number, "microcode": "219"}


def _fixed() -> Iterator[Case]:
    for product, number, result in [
        ("milan", "24", "P"), ("milan", "23", "F"), ("milan", "255", "P"), ("genoa", "23", "P"), ("genoa", "22", "F"),
        ("turin", "255", "U"), ("zen", "255", "U"),
    ]:  # fmt: skip
        yield judged(
            f"the fix of AMD-SB-3019 on {product} with snp {number}: {result}",
            policy({"snp": FIXED}),
            snp(product=product, tcb=tcb(number)),
            denied=[] if result == "P" else ["snp.fixed"],
            rules=[record("snp.fixed", result)],
            floors=FLOORS,
            numbers=[29] if product == "turin" else [],
        )
    unread = policy({"snp": FIXED})
    yield judged(
        "a TCB without the component",
        unread,
        snp(tcb={"microcode": "219"}),
        denied=["snp.fixed"],
        floors=FLOORS,
    )
    yield judged("no TCB at all", unread, snp(tcb=None), denied=["snp.fixed"], floors=FLOORS)
    not_affected = with_(
        turin={"from": "2025-01-01T00:00:00Z", "source": "AMD-SB-3019", "not-affected": "true"}
    )
    yield judged("a product that is not affected", unread, snp(product="turin"), floors=not_affected)
    both: Tree = {
        "from": "2025-01-01T00:00:00Z",
        "source": "AMD-SB-3019",
        "firmware": "1.55.30",
        "flags": ["alias-check"],
    }
    for firmware, alias, result in [
        ("1.55.30", "true", "P"),
        ("1.55.29", "true", "F"),
        ("1.55.30", "false", "F"),
        ("1.55.30", None, "U"),
        ("1.55.29", None, "F"),
    ]:
        yield judged(
            f"a fix shown by firmware {firmware} and alias check {alias}: {result}",
            unread,
            snp(product="turin", firmware=firmware, alias_check=alias),
            denied=[] if result == "P" else ["snp.fixed"],
            rules=[record("snp.fixed", result)],
            floors=with_(turin=both),
        )
    for kind, result in (("any", "P"), ("none", "F")):
        yield judged(
            f"fixed inside {kind}",
            policy({"snp": {kind: [FIXED]}}),
            snp(),
            denied=[] if result == "P" else [f"snp.{kind}"],
            floors=FLOORS,
        )
    accepted = [{"advisory": "AMD-SB-3019", "until": "2026-12-31", "because": "on order"}]
    old = policy({"snp": FIXED}, accept=accepted)
    yield judged(
        "a missing fix that is accepted",
        old,
        snp(tcb=tcb("23")),
        rules=[record("snp.fixed", "F", outcome="accepted")],
        floors=FLOORS,
    )
    yield judged(
        "one that cannot be told is not", old, snp(product="turin"), denied=["snp.fixed"], floors=FLOORS
    )
    grace = policy({"snp": {"fixed": {"is": ["amd-sb-3019"], "else": "warn", "until": "2026-11-23"}}})
    yield judged(
        "a missing fix in its grace period",
        grace,
        snp(tcb=tcb("23")),
        rules=[record("snp.fixed", "F", outcome="grace")],
        floors=FLOORS,
    )
    yield invalid(
        "an advisory whose floor nobody knows",
        policy({"snp": {"fixed": ["amd-sb-3020"]}}),
        "policy.floor-missing",
        floors=FLOORS,
    )
    yield invalid(
        "an advisory that floor data does not list",
        policy({"snp": {"fixed": ["amd-sb-9999"]}}),
        "policy.floor-missing",
        floors=FLOORS,
    )
    yield invalid("an advisory without any floor data", policy({"snp": FIXED}), "policy.floor-missing")
    yield invalid(
        "one advisory twice", policy({"snp": {"fixed": ["amd-sb-3019", "AMD-SB-3019"]}}), floors=FLOORS
    )
    yield invalid(
        "fixed by another operator", policy({"snp": {"fixed": {"none-of": ["amd-sb-3019"]}}}), floors=FLOORS
    )
    yield invalid("fixed of another section", policy({"snp": {"smt": "true"}, "gpu": FIXED}), floors=FLOORS)


def _instants() -> Iterator[Case]:
    raised = with_(later="2026-11-23T12:00:00Z")
    for now, number, good in [
        ("2024-12-31T23:59:59Z", "0", True), ("2025-01-01T00:00:00Z", "23", False), ("2026-11-23T11:59:59Z", "24", True),
        ("2026-11-23T12:00:00Z", "24", False), ("2026-11-23T12:00:00Z", "27", True),
    ]:  # fmt: skip
        yield judged(
            f"the floor at {now} with snp {number}",
            policy({"snp": FIXED}),
            snp(tcb=tcb(number)),
            denied=[] if good else ["snp.fixed"],
            now=now,
            floors=raised,
        )
    pinned = policy({"snp": {**FIXED, **PINNED}}, allow_warnings={"floors-expired": "never mind"})
    for now, warnings, denied, release in [
        ("2027-01-01T00:00:00Z", [], [], True),
        ("2027-01-01T00:00:01Z", ["floors-expired"], [], False),
        ("2027-06-30T00:00:00Z", ["floors-expired"], [], False),
        ("2027-06-30T00:00:01Z", ["floors-expired"], ["snp.fixed"], False),
    ]:
        yield judged(
            f"floor data that ended with 2026, at {now}",
            pinned,
            snp(),
            denied=denied,
            warns=bool(warnings),
            warnings=warnings,
            release=release,
            now=now,
            floors=FLOORS,
        )
    unused = policy({"snp": PINNED})
    yield judged(
        "ended floor data that nothing is judged by",
        unused,
        snp(),
        warns=False,
        now="2028-01-01T00:00:00Z",
        floors=FLOORS,
    )


def _evaluation() -> Iterator[Case]:
    bare: Tree = {"crl": "fresh"}
    for number, good in (("17", False), ("18", True), ("19", True)):
        yield judged(
            f"Intel's number {number} where floor data asks for 18",
            policy({"tdx": bare}, platforms=["tdx"]),
            tdx(tcb_evaluation=number),
            denied=[] if good else ["tdx.tcb-evaluation"],
            floors=FLOORS,
        )
    yield judged(
        "no number",
        policy({"tdx": bare}, platforms=["tdx"]),
        tdx(tcb_evaluation=None),
        denied=["tdx.tcb-evaluation"],
        floors=FLOORS,
    )
    for rule, good in [
        ({"at-least": "1"}, False), ({"exists": "true"}, False), ({"one-of": ["17", "18"]}, False),
        ({"at-least": "1", "else": "warn", "until": "2030-01-01"}, False), ({"at-least": "1", "override": "old"}, True),
    ]:  # fmt: skip
        yield judged(
            f"number 17 with the rule {rule}: the floor stands beside it{' but for a reason' if good else ''}",
            policy({"tdx": {"tcb-evaluation": rule}}, platforms=["tdx"]),
            tdx(tcb_evaluation="17"),
            denied=[] if good else ["tdx.tcb-evaluation"],
            floors=FLOORS,
        )
    rising = with_(evaluations=[
        {"from": "2026-01-01T00:00:00Z", "at-least": "18", "source": "INTEL-SA-01036"},
        {"from": "2026-11-23T12:00:00Z", "at-least": "20", "source": "INTEL-SA-01099"},
    ])  # fmt: skip
    for now, good in (("2026-11-23T11:59:59Z", True), ("2026-11-23T12:00:00Z", False)):
        yield judged(
            f"number 18 at {now}, where 20 counts from noon on",
            policy({"tdx": bare}, platforms=["tdx"]),
            tdx(),
            denied=[] if good else ["tdx.tcb-evaluation"],
            now=now,
            floors=rising,
        )
    yield judged(
        "no floor data is told",
        policy({"tdx": bare}, platforms=["tdx"]),
        tdx(),
        warnings=["no-floors", "no-workload-identity"],
    )
    early = policy({"tdx": bare}, platforms=["tdx"])
    yield judged(
        "so is that none counts yet",
        early,
        tdx(),
        warnings=["no-floors", "no-workload-identity"],
        now="2025-12-31T23:59:59Z",
        floors=FLOORS,
    )


def cases() -> Iterator[Case]:
    yield from _fixed()
    yield from _instants()
    yield from _evaluation()
