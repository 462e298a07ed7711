"""Whether what was read with one value of a parameter lets pass more than with another.

Both come from the same text, so they differ in literals alone and are walked side by side. What cannot be shown to
be as strict is looser.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from attest.policy.compare import at_least
from attest.policy.kinds import Value
from attest.policy.model import Branches, Entry, Group, Operand, Operator, Rule
from attest.policy.operators import padded

if TYPE_CHECKING:
    from attest.policy.reader import Said


def looser(new: Sequence[Said], old: Sequence[Said]) -> bool:
    return any(
        _entries(one.sections[section], entries, flipped=False)
        for one, other in zip(new, old, strict=True)
        for section, entries in other.sections.items()
    )


def _entries(new: tuple[Entry, ...], old: tuple[Entry, ...], *, flipped: bool) -> bool:
    return any(_entry(one, other, flipped=flipped) for one, other in zip(new, old, strict=True))


def _entry(new: Entry, old: Entry, *, flipped: bool) -> bool:
    if isinstance(new, Group) and isinstance(old, Group):
        below = flipped != (old.kind == "none")
        return any(
            _entries(one, other, flipped=below) for one, other in zip(new.branches, old.branches, strict=True)
        )
    if isinstance(new, Rule) and isinstance(old, Rule):
        pairs = zip(new.operators, old.operators, strict=True)
        kind = old.claim.kind
        return any(not (strict(b, a, kind) if flipped else strict(a, b, kind)) for a, b in pairs)
    return True


def strict(new: Operator, old: Operator, kind: str) -> bool:
    """Whether `new` passes nothing that `old` does not. Both have one name and one claim, of `kind`."""
    if new.text == old.text:
        return True
    a, b = new.operand, old.operand
    name = old.name
    if name in ("at-least", "at-most"):
        if isinstance(a, Branches) and isinstance(b, Branches):
            return (
                a.newer == b.newer
                and set(a.minimums) == set(b.minimums)
                and all(at_least(a.minimums[branch], least) for branch, least in b.minimums.items())
            )
        if kind == "vbios" and _family(a) != _family(b):
            return False
        low, high = (b, a) if name == "at-least" else (a, b)
        return _plain(a) and _plain(b) and at_least(cast(Value, high), cast(Value, low))
    if name == "has-bits":
        return isinstance(a, int) and isinstance(b, int) and a & b == b
    if name == "no-bits":
        return isinstance(a, int) and isinstance(b, int) and a & b == b
    if name in ("none-of", "one-of", "subset-of"):
        more, fewer = (a, b) if name == "none-of" else (b, a)
        return _members(fewer) <= _members(more)
    return False


def _plain(operand: Operand) -> bool:
    return isinstance(operand, int) or hasattr(operand, "year") or isinstance(operand, tuple)


def _family(operand: Operand) -> object:
    """The first two bytes: a VBIOS is compared within its family only."""
    return (*operand, 0)[:2] if isinstance(operand, tuple) else None


def _members(operand: Operand) -> set[object]:
    if isinstance(operand, frozenset):
        return set(operand)
    members = operand if isinstance(operand, tuple) else (operand,)
    return {padded(cast(Value, member)) for member in members}
