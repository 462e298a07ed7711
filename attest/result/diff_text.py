"""A comparison of two policies, for a terminal: what is tighter or looser, and a machine that shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from attest.claims import instant
from attest.policy.diff import Comparison, Difference, Witness
from attest.result.tree import short
from attest.result.tree_text import wrapped
from attest.untrusted import escape

_MARKS = {"tighter": ("32", "▲"), "looser": ("31", "▼"), "changed": ("33", "◆")}


@dataclass(frozen=True, slots=True)
class Change:
    """What the policies say of one real machine. because: B's reason, or A's where B has none; of a machine that is not
    genuine, why it is not."""

    machine: str
    a: str | None
    b: str | None
    because: str | None
    simulated: bool = False

    @property
    def name(self) -> str:
        return escape(self.machine) + (" (simulated)" if self.simulated else "")

    @property
    def judged(self) -> bool:
        return self.a is not None

    def as_dict(self) -> dict[str, Any]:
        return {
            "machine": self.machine,
            "a": self.a,
            "b": self.b,
            "because": self.because,
            "simulated": self.simulated,
        }


def render_diff(
    comparison: Comparison,
    changes: Sequence[Change] | None,
    *,
    width: int = 100,
    colour: bool = False,
) -> str:
    """changes: every machine of `--with`, None where there were none to ask about."""

    def paint(code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour else text

    return "\n".join(_lines(comparison, changes, max(40, width), paint)) + "\n"


def _lines(
    comparison: Comparison,
    changes: Sequence[Change] | None,
    width: int,
    paint: Callable[[str, str], str],
) -> Iterator[str]:
    for name, policy in (("A", comparison.a), ("B", comparison.b)):
        file = f"{escape(policy.file)} · " if policy.file else ""
        yield from wrapped(f"{file}{policy.name} · {short(policy.digest, 40)}", width, f"{name}  ", "   ")
    yield ""
    found = comparison.differences
    if not found:
        yield (
            "No difference in meaning." if not comparison.unproven else "No difference in meaning was found."
        )
    for difference in found:
        yield from _difference(difference, width, paint)
    for name in comparison.rewritten:
        yield from wrapped(
            f"{name} is written otherwise; no machine tried is judged otherwise for it", width, "=  ", "   "
        )
    for name, number in comparison.untried.items():
        yield from wrapped(
            f"{number} more reference values of {name}: none of their kind was tried",
            width,
            "…  ",
            "   ",
        )
    for name in comparison.unproven:
        yield from wrapped(
            f"{name} is written otherwise and has more combinations than were tried: that B is not looser there was "
            "not shown; read both, or say it in fewer rules",
            width,
            "?  ",
            "   ",
        )
    if found:
        yield ""
        counts = {
            direction: sum(difference.direction == direction for difference in found) for direction in _MARKS
        }
        said = ", ".join(f"{count} {direction}" for direction, count in counts.items() if count)
        verdict = "B lets pass nothing that A does not."
        if comparison.looser:
            verdict = "B lets pass what A does not."
        elif comparison.unproven:
            verdict = "Nothing tried shows that B lets pass what A does not."
        yield from wrapped(f"{said}. {verdict}", width, "", "  ")
    yield from wrapped(
        f"{comparison.trials} machines judged by both, from {instant(comparison.at)} on.", width, "", "  "
    )
    if changes is not None:
        yield from _changes(changes, width, paint)


def _difference(difference: Difference, width: int, paint: Callable[[str, str], str]) -> Iterator[str]:
    code, mark = _MARKS[difference.direction]
    head = f"{mark}  {difference.name}  {difference.direction}"
    yield from wrapped(
        head, width, "", "   ", lambda line: line.replace(mark, paint(code, mark), 1).replace(difference.direction, paint(code, difference.direction), 1)
    )  # fmt: skip
    for name, said in (("A", difference.a), ("B", difference.b)):
        yield from wrapped(short(said, 400), width, f"     {name} demands  ", "                ")
    for witness in difference.witnesses:
        yield from _witness(witness, width)
    if difference.more:
        yield f"     … and {difference.more} more machines that show it"


def _witness(witness: Witness, width: int) -> Iterator[str]:
    shown = facts_text(witness.facts) or "as the rules of both demand"
    yield from wrapped(f"{witness.platform} at {instant(witness.at)}: {shown}", width, "     · ", "       ")
    for name, outcome in (("A", witness.a), ("B", witness.b)):
        because = f": {outcome.because}" if outcome.because else ""
        yield from wrapped(f"{outcome.verdict}{because}", width, f"         {name}  ", "            ")


def facts_text(facts: Mapping[str, Any]) -> str:
    """`snp.tcb snp 23, others 255`, `gpu.count 7`, `snp.smt absent`."""
    return "; ".join(f"{name} {_fact(value)}" for name, value in facts.items())


def _fact(value: Any) -> str:
    """Escaped: a literal of a policy that somebody proposes is text of somebody's (T-RENDER)."""
    if value is None:
        return "absent"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {number}" for key, number in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(escape(str(one)) for one in value) or "none"
    return short(escape(str(value)))


def _changes(changes: Sequence[Change], width: int, paint: Callable[[str, str], str]) -> Iterator[str]:
    yield ""
    judged = [one for one in changes if one.judged]
    turned = [one for one in judged if one.a != one.b]
    simulated = sum(one.simulated for one in judged)
    of_them = f" ({simulated} simulated)" if simulated else ""
    yield f"Of {len(judged)} machines{of_them} {len(turned)} would be judged otherwise."
    for one in turned:
        looser = one.a == "refused" or one.b == "conforms"
        mark = "▼" if looser else "▲"
        because = f": {one.because}" if one.because else ""
        text = f"{one.name}  {one.a} → {one.b}{because}"
        code = "31" if looser else "32"
        lines = list(wrapped(text, width, f"{mark}  ", "   "))
        yield lines[0].replace(mark, paint(code, mark), 1)
        yield from lines[1:]
    yield from unjudged_lines([(one.machine, one.because) for one in changes if not one.judged], width)


def unjudged_lines(found: Sequence[tuple[str, str | None]], width: int) -> Iterator[str]:
    """Machines that are not genuine, by reason: a folder of loose files is one line."""
    reasons: dict[str, list[str]] = {}
    for name, because in found:
        reasons.setdefault(because or "", []).append(escape(name))
    for because, names in reasons.items():
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        yield from wrapped(f"not judged: {shown}: {because}", width, "–  ", "   ")
