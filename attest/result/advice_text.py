"""Advice on a policy, for a terminal: what ends first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from attest.claims import instant
from attest.policy.advise import Advice, Ending
from attest.policy.document import Policy
from attest.result.diff_text import Change, unjudged_lines
from attest.result.tree import short
from attest.result.tree_text import wrapped

_KINDS = {
    "grace": "grace period",
    "reference": "reference value",
    "reference-set": "reference set",
    "accepted": "accepted advisory",
    "floors": "floor data",
    "endorsements": "endorsements of",
}
Paint = Callable[[str, str], str]


def render_advice(
    policy: Policy,
    advice: Advice,
    *,
    at: datetime,
    days: int,
    judged: int,
    simulated: int,
    unjudged: Sequence[tuple[str, str | None]],
    changes: Sequence[Change] | None,
    width: int = 100,
    colour: bool = False,
) -> str:
    """days: how far ahead ends are told. judged: machines looked at, simulated ones among them. unjudged: machines that are not genuine, and why.
    changes: what other floor data would change, None where none was given."""

    def paint(code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour else text

    of_them = f" ({simulated} simulated: they prove nothing about hardware)" if simulated else ""

    def lines() -> Iterator[str]:
        yield from wrapped(
            f"{policy.name} · {short(policy.digest, 40)} · {judged} machines{of_them} · at {instant(at)}",
            width,
            "",
            "  ",
        )
        yield from _ends(advice, at, days, width, paint)
        yield from _newer(advice, width, paint)
        yield from _floors(advice, judged, width, paint)
        yield from _changed(changes, width, paint)
        yield from _room(advice, width, paint)
        if unjudged:
            yield ""
            yield from unjudged_lines(unjudged, width)

    return "\n".join(lines()) + "\n"


def _ends(advice: Advice, at: datetime, days: int, width: int, paint: Paint) -> Iterator[str]:
    yield ""
    yield paint("1", f"What has ended or ends within {days} days")
    if not advice.endings:
        yield "  nothing"
    for one in advice.endings:
        code = "31" if one.ends < at else "33"
        mark = "✘" if one.ends < at else "!"
        place = f" [{one.at}]" if one.at else ""
        text = f"{_KINDS[one.kind]} {one.name}{place}: {_when(one, at)}; {one.then}."
        lines = list(wrapped(text, width, f"  {mark} ", "    "))
        yield lines[0].replace(mark, paint(code, mark), 1)
        yield from lines[1:]


def _when(one: Ending, at: datetime) -> str:
    # By the calendar: what ends tomorrow at six does not end today, however few hours that is.
    left = (one.ends.date() - at.date()).days
    day = instant(one.ends)[:10]
    if one.ends < at:
        return f"ended on {day}"
    return f"ends on {day}, " + ("today" if left == 0 else f"in {left} {'day' if left == 1 else 'days'}")


def _newer(advice: Advice, width: int, paint: Paint) -> Iterator[str]:
    if advice.newer:
        yield ""
        yield paint("1", "Built-in policies with a newer version")
    for name, newest in advice.newer.items():
        yield from wrapped(
            f"{name} → {newest}: compare them first, with attest policy diff on a copy that extends {newest}",
            width,
            "  ! ",
            "    ",
        )


def _floors(advice: Advice, judged: int, width: int, paint: Paint) -> Iterator[str]:
    if not judged:
        return
    yield ""
    yield paint("1", "What a stricter floor would refuse today")
    if not advice.refusals:
        yield from wrapped(
            "nothing: the machines meet every floor that this floor data knows and the policy does not ask for yet",
            width,
            "  ",
            "  ",
        )
    floor = None
    for one in advice.refusals:
        if one.floor != floor:
            floor = one.floor
            source = "" if one.source.lower() in floor else f" ({one.source})"
            yield from wrapped(f"{floor}{source}", width, "  ", "    ")
        misses = "; ".join(f"{wanted}, found {found}" for wanted, found in one.misses)
        yield from wrapped(f"{one.machine}: {misses}", width, "    · ", "      ")


def _changed(changes: Sequence[Change] | None, width: int, paint: Paint) -> Iterator[str]:
    if changes is None:
        return
    turned = [one for one in changes if one.a != one.b]
    yield ""
    yield paint(
        "1", f"With the floor data given, {len(turned)} of {len(changes)} machines would be judged otherwise"
    )
    for one in turned:
        because = f": {one.because}" if one.because else ""
        yield from wrapped(f"{one.name}  {one.a} → {one.b}{because}", width, "  · ", "    ")


def _room(advice: Advice, width: int, paint: Paint) -> Iterator[str]:
    if not advice.room:
        return
    yield ""
    yield paint("1", "How the machines stand to the policy's minimums")
    for one in advice.room:
        text = f"{one.rule} ≥ {one.minimum} [{one.at}]: lowest {one.lowest[0]} ({one.lowest[1]}), highest {one.highest[0]}"
        if one.behind:
            names = ", ".join(f"{name} {value}" for name, value in one.behind[:4])
            more = f" and {len(one.behind) - 4} more" if len(one.behind) > 4 else ""
            text += f"; a minimum of {one.highest[0]} would refuse {names}{more}"
        yield from wrapped(text, width, "  ", "    ")
