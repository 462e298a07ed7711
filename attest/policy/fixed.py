"""What floor data asks of a machine: that an advisory's fix shows, and that Intel's collateral is not an old one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attest.claims import CLAIMS, instant
from attest.policy.compare import ABSENT, UNREADABLE, Finding, Result, at_least, shown_raw
from attest.policy.floors import Floors, Minimum
from attest.policy.kinds import Value, read
from attest.policy.model import Operator, Rule

FLOOR = "floor"
"""Where a rule stands that floor data makes of a default."""

ENDED = "The floor data is too old to judge by"


def judge_fixed(
    advisory: str, floors: Floors, claims: Mapping[str, object], product: str | None, at: datetime
) -> Finding:
    """Whether the machine shows the fix. P also before the first minimum counts, and where not affected."""
    name = advisory.upper()
    if floors.unknown(at):
        return Finding("U", f"{name} fixed", None, unknown=ENDED, operator="is")
    if product is None:
        return Finding("U", f"{name} fixed", None, unknown="The product is not known", operator="is")
    on = product.capitalize()
    if not floors.advisories[advisory].get(product):
        unknown = f"Floor data knows no minimum of {name} for {on}"
        return Finding("U", f"{name} fixed on {on}", on, unknown=unknown, operator="is")
    minimum = floors.minimum(advisory, product, at)
    if minimum is None:
        first = min(one.begins for one in floors.advisories[advisory][product])
        return Finding("P", f"{name}: nothing on {on} before {instant(first)}", on, operator="is")
    if minimum.not_affected:
        return Finding("P", f"{name}: {on} is not affected", on, operator="is")
    return _shows(name, on, minimum, claims)


def _shows(name: str, on: str, minimum: Minimum, claims: Mapping[str, object]) -> Finding:
    wanted: list[str] = []
    found: list[str] = []
    misses: list[tuple[str, str]] = []
    unknown: str | None = None

    def ask(what: str, claim: str, value: object, holds: bool | None) -> None:
        nonlocal unknown
        wanted.append(what)
        text = shown_raw(value)
        found.append(text or "nothing")
        if holds is None:
            unknown = unknown or f"{ABSENT if value is None else UNREADABLE} ({claim})"
        elif not holds:
            misses.append((f"{name} needs {what} on {on}", text or "nothing"))

    tcb = _value("tcb", claims)
    for component, least in minimum.tcb.items():
        number = tcb.get(component) if isinstance(tcb, Mapping) else None
        ask(f"{component} ≥ {least}", "tcb", number, None if number is None else number >= least)
    if minimum.firmware is not None:
        version = ".".join(map(str, minimum.firmware))
        value = _value("firmware", claims)
        holds = None if value is None else at_least(value, minimum.firmware)
        ask(f"firmware ≥ {version}", "firmware", claims.get("firmware"), holds)
    for flag in minimum.flags:
        value = _value(flag, claims)
        ask(f"{flag} true", flag, claims.get(flag), None if value is None else value is True)
    result: Result = "F" if misses else "U" if unknown else "P"
    return Finding(
        result,
        f"{name}: {', '.join(wanted)} on {on}",
        ", ".join(found),
        tuple(misses),
        unknown,
        operator="is",
    )


def _value(name: str, claims: Mapping[str, object]) -> Value | None:
    raw = claims.get(name)
    if raw is None:
        return None
    try:
        return read(CLAIMS["snp"][name], raw)
    except ValueError:
        return None


def evaluation_rule(floors: Floors, at: datetime) -> Rule | None:
    """The default on Intel's evaluation number; None where floor data asks for none yet."""
    evaluation = floors.evaluation(at)
    if evaluation is None:
        return None
    operator = Operator("at-least", evaluation.least, str(evaluation.least))
    return Rule(CLAIMS["tdx"]["tcb-evaluation"], (operator,), FLOOR, order=1 << 30)
