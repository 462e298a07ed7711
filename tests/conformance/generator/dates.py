"""What holds from when to when: reference values, revocations, grace periods. Every edge, and the second beside it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.conformance.generator.case import (
    MEASUREMENT,
    OTHER,
    Case,
    invalid,
    judged,
    policy,
    record,
    snp,
)


def _at(text: str, seconds: int = 0) -> str:
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) + timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _in(
    name: str, values: list[Any], result: str, now: str, *, outcome: str | None = None, more: Any = None
) -> Case:
    sets = {"web": {"type": "snp.measurement", "values": values}, **(more or {})}
    asked = policy(
        {"snp": {"measurement": {"in": list(sets)}}},
        references=sets,
    )
    passes = result == "P"
    outcome = outcome or ("pass" if passes else "deny")
    return judged(
        name,
        asked,
        snp(),
        denied=[] if passes else ["snp.measurement"],
        rules=[record("snp.measurement", result, outcome=outcome)],
        warns=outcome == "observed",
        now=now,
    )


def _windows() -> Iterator[Case]:
    ours = {"value": MEASUREMENT.upper(), "covers": "image"}
    for key, text, edge, inside, outside in [
        ("from", "2026-11-23", "2026-11-23T00:00:00Z", 0, -1),
        ("from", "2026-11-23T06:30:00Z", "2026-11-23T06:30:00Z", 0, -1),
        ("until", "2026-11-23", "2026-11-23T23:59:59Z", 0, 1),
        ("until", "2026-11-23T06:30:00Z", "2026-11-23T06:30:00Z", 0, 1),
        ("until", "2028-02-29", "2028-02-29T23:59:59Z", 0, 1),
    ]:
        late = "F expired" if key == "until" else "F not yet"
        yield _in(f"{key} {text}: the last second", [{**ours, key: text}], "P", _at(edge, inside))
        yield _in(f"{key} {text}: a second beyond", [{**ours, key: text}], late, _at(edge, outside))
    for since, seconds, result in [
        ("2026-11-23", -1, "P"),
        ("2026-11-23", 0, "F revoked"),
        ("2026-11-23T06:30:00Z", -1, "P"),
        ("2026-11-23T06:30:00Z", 0, "F revoked"),
    ]:
        edge = since if "T" in since else f"{since}T00:00:00Z"
        name = f"revoked since {since}: {'the second before' if seconds else 'that second'}"
        yield _in(name, [{**ours, "state": "revoked", "since": since}], result, _at(edge, seconds))
    now = "2026-11-23T12:00:00Z"
    yield _in("revoked without a date", [{**ours, "state": "revoked"}], "F revoked", now)
    yield _in("observed passes, and is told", [{**ours, "state": "observed"}], "P", now, outcome="observed")
    yield _in("another value", [{"value": OTHER}], "F not listed", now)
    for first, second in (("web", "old"), ("old", "web")):
        revoked = {"type": "snp.measurement", "values": [{**ours, "state": "revoked"}]}
        active = {"type": "snp.measurement", "values": [ours]}
        sets = {first: active, second: revoked} if first == "web" else {first: revoked, second: active}
        asked = policy({"snp": {"measurement": {"in": [first, second]}}}, references=sets)
        yield judged(
            f"revoked in any joined set, named {first} first",
            asked,
            snp(),
            denied=["snp.measurement"],
            rules=[record("snp.measurement", "F revoked")],
        )
    ended = {**ours, "until": "2026-01-01"}
    both = {"next": {"type": "snp.measurement", "values": [ours]}}
    yield _in("expired in one set and active in another", [ended], "P", now, more=both)
    yield _in(
        "an active entry counts before an observed", [{**ours, "state": "observed"}], "P", now, more=both
    )


def _grace() -> Iterator[Case]:
    for until, edge in (
        ("2026-11-23", "2026-11-23T23:59:59Z"),
        ("2026-11-23T06:30:00Z", "2026-11-23T06:30:00Z"),
    ):
        for seconds in (0, 1):
            for claim, result in (("smt", "F"), ("csp", "U")):
                value = "false" if claim == "smt" else "aws"
                good = not seconds
                outcome = "grace" if good else "deny"
                rule = {"is": value, "else": "warn", "until": until}
                when = "a second beyond" if seconds else "the last second"
                yield judged(
                    f"a grace period of {claim} until {until}: {when}",
                    policy({"snp": {claim: rule}}),
                    snp(),
                    denied=[] if good else [f"snp.{claim}"],
                    rules=[record(f"snp.{claim}", result, outcome=outcome)],
                    now=_at(edge, seconds),
                )
    passing = {"is": "true", "else": "warn", "until": "2020-01-01"}
    yield judged("a grace period that nobody needs", policy({"snp": {"smt": passing}}), snp())


def _wrong() -> Iterator[Case]:
    for date in ("2026-02-30", "2026-13-01", "2026-11-31", "2027-02-29", "26-11-23", "2026-11-23T24:00:00Z",
                 "2026-11-23T12:00:00", "2026-11-23 12:00:00Z", "0000-00-00", "２０２６-11-23"):  # fmt: skip
        rule = {"is": "false", "else": "warn", "until": date}
        yield invalid(f"no such date: {date}", policy({"snp": {"smt": rule}}))
    yield invalid("a grace period without an end", policy({"snp": {"smt": {"is": "false", "else": "warn"}}}))
    yield invalid(
        "an end without a grace period", policy({"snp": {"smt": {"is": "false", "until": "2027-01-01"}}})
    )
    nested = {"is": "false", "else": "warn", "until": "2027-01-01"}
    yield invalid("a grace period inside any", policy({"snp": {"any": [{"smt": nested}]}}))
    for entry in ({"state": "active", "since": "2026-01-01"}, {"from": "2026-02-01", "until": "2026-01-01"},
                  {"state": "good"}, {"covers": "kernel"}, {"valid": "x"}):  # fmt: skip
        web = {"web": {"type": "snp.measurement", "values": [{"value": OTHER, **entry}]}}
        yield invalid(
            f"a reference value with {entry}",
            policy({"snp": {"measurement": {"in": "web"}}}, references=web),
        )
    other = {"web": {"type": "snp.host-data", "values": [{"value": "11" * 32}]}}
    yield invalid("a set of another claim", policy({"snp": {"measurement": {"in": "web"}}}, references=other))


def cases() -> Iterator[Case]:
    yield from _windows()
    yield from _grace()
    yield from _wrong()
