"""Values of a claim at which a rule may change its mind: on each bound, beside it, listed, unlisted, absent.

Every operator is constant between its edges, so two rules that agree on all edges of both agree on the claim.
Values are canonical text, as claim trees hold it; None stands for a claim that is absent.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import chain, combinations, count
from typing import Any, TypeAlias, cast

from attest.claims import Claim
from attest.policy.kinds import COMPONENTS, PRODUCTS, canonical_text
from attest.policy.model import Branches, Bytes, Components, Operator, Reference, ReferenceSet

Raw: TypeAlias = "str | list[str] | dict[str, str] | None"

MAX_REFERENCES = 40
"""Kinds of values of reference sets of which one is tried; the rest is counted."""
_OTHER_BYTES = 0xD1
_OTHER_TEXT = "something else"
_OTHER_ADVISORY = "INTEL-SA-00000"
_TOP = 255
_LARGEST = 10**19 - 1
"""Of the numbers of a version."""
_FEW_MEMBERS, _MANY_MEMBERS = 6, 24
"""Of sets: with so few all combinations are tried, beyond so many only one at a time."""
_MANY_MASKS, _MANY_CHOICES = 8, 64
_SOME_DATE = datetime(2024, 11, 13, tzinfo=UTC)


def edges(claim: Claim, operators: Iterable[Operator]) -> list[Raw]:
    """Canonical texts, each once, the most usual first; never empty. For `tcb` the product is the caller's to set:
    `tcb_edges`."""
    operators = tuple(operators)
    found: dict[str, Raw] = {}
    for value in _values(claim, operators):
        raw = _raw(claim, value)
        found.setdefault(str(raw), raw)
    return [*found.values(), None]


def all_edges(claim: Claim, operators: Iterable[Operator]) -> bool:
    """Whether `edges` has a value of each kind that these operators tell apart, or left some out where they are many."""
    operators = tuple(operators)
    if claim.kind == "bits":
        required, refused, listed = _masks(operators)
        return max(len(required), len(refused)) <= _MANY_MASKS and len(listed) + 2 <= _MANY_CHOICES
    if claim.kind == "set" and any(operator.name in ("is", "one-of") for operator in operators):
        sets = [value for value in _literals(operators) if isinstance(value, frozenset)]
        return len(frozenset().union(*sets)) <= _MANY_MEMBERS
    return True


def _raw(claim: Claim, value: Any) -> Raw:
    if claim.kind in ("tcb", "svn") or isinstance(value, str):
        return value.hex() if isinstance(value, bytes) else cast(Raw, value)
    return cast(Raw, canonical_text(claim, value))


def _values(claim: Claim, operators: tuple[Operator, ...]) -> Iterator[Any]:
    kind = claim.kind
    if kind == "bool":
        yield from (True, False)
    elif claim.values:
        yield from claim.values
    elif kind in ("int", "duration", "date"):
        yield from _numbers(kind, operators)
    elif kind == "bits":
        yield from _bits(operators)
    elif kind in ("version", "vbios"):
        yield from _versions(kind, operators)
    elif kind == "svn":
        yield from _svns(operators)
    elif kind == "set":
        yield from _sets(operators)
    else:
        yield from _members(claim, operators)


def _literals(operators: tuple[Operator, ...]) -> Iterator[Any]:
    """Every single value that stands in an operator."""
    for operator in operators:
        operand = operator.operand
        if operator.name in ("one-of", "none-of") and isinstance(operand, tuple):
            yield from operand
        elif operator.name in ("is", "at-least", "at-most", "has-bits", "no-bits", "subset-of"):
            if not isinstance(operand, (Branches, Components, Bytes)):
                yield operand
        elif operator.name == "none-of":
            yield operand


# -- kinds ------------------------------------------------------------------------------------------


def _numbers(kind: str, operators: tuple[Operator, ...]) -> Iterator[Any]:
    bounds = list(_literals(operators))
    if kind == "date":
        dates = [bound for bound in bounds if isinstance(bound, datetime)] or [_SOME_DATE]
        second = timedelta(seconds=1)
        yield from dates
        for date in dates:
            yield from (date - second, date + second)
        return
    numbers = [bound for bound in bounds if isinstance(bound, int)]
    yield from numbers
    yield from (number + 1 for number in numbers if number + 1 < 1 << 64)
    yield from (number - 1 for number in numbers if number)
    yield 0
    yield 1


def _bits(operators: tuple[Operator, ...]) -> Iterator[int]:
    masks = [mask for mask in _literals(operators) if isinstance(mask, int)]
    every = 0
    for mask in masks:
        every |= mask
    required = 0
    for operator in operators:
        if operator.name in ("has-bits", "is") and isinstance(operator.operand, int):
            required |= operator.operand
    yield required
    yield 0
    yield from masks
    yield every
    for bit in range(64):
        if every >> bit & 1:
            yield required ^ 1 << bit
            yield 1 << bit
    outside = next((1 << bit for bit in range(64) if not every >> bit & 1), None)
    if outside is not None:
        yield required | outside
    # Masks pass a value for every choice of the bits they leave free: more than any list of values has.
    required_by, refused_by, listed = _masks(operators)
    most = min(len(listed) + 2, _MANY_CHOICES)
    for wanted in dict.fromkeys((required, 0, *required_by[:_MANY_MASKS])):
        for refused in (0, *refused_by[:_MANY_MASKS]):
            yield from _choices(wanted, every & ~wanted & ~refused, most)


def _masks(operators: tuple[Operator, ...]) -> tuple[list[int], list[int], list[int]]:
    """Bits that must be set, bits that must not be, and single values, each once."""
    found: tuple[dict[int, None], ...] = ({}, {}, {})
    for operator in operators:
        which = {"has-bits": 0, "no-bits": 1}.get(operator.name, 2)
        for value in _literals((operator,)):
            if isinstance(value, int):
                found[which][value] = None
    return [*found[0]], [*found[1]], [*found[2]]


def _choices(wanted: int, free: int, most: int) -> Iterator[int]:
    """`wanted` with the first `most` choices of free bits."""
    chosen = 0
    for _ in range(most):
        yield wanted | chosen
        chosen = (chosen - free) & free
        if not chosen:
            break


def _versions(kind: str, operators: tuple[Operator, ...]) -> Iterator[tuple[int, ...]]:
    bounds: list[tuple[int, ...]] = [
        tuple(literal) for literal in _literals(operators) if isinstance(literal, tuple)
    ]
    branches: list[int] = []
    for operator in operators:
        if isinstance(operator.operand, Branches):
            bounds += [tuple(least) for least in operator.operand.minimums.values()]
            branches += operator.operand.minimums
    top, length = (_TOP, 5) if kind == "vbios" else (_LARGEST, 4)
    for bound in bounds:
        yield bound
        yield (*bound[:-1], min(top, bound[-1] + 1))
        # Between two bounds beside each other lie those with more numbers.
        yield from _next(bound, top, length)
        below = _below(bound, top)
        if below is not None:
            yield below
    heads = sorted({*branches, *(bound[0] for bound in bounds)})
    for head in heads:
        # A branch that nobody lists, between two that are, and each listed one from its first version on.
        yield from ((number, 0) for number in (head + 1, head - 1, head) if 0 <= number <= top)
    if kind == "vbios":
        yield from ((*bound[:1], (*bound, 0)[1] ^ 1) for bound in bounds)
    if not bounds:
        yield (1, 0)


def _next(version: tuple[int, ...], top: int, length: int) -> Iterator[tuple[int, ...]]:
    """The lowest version that is higher; none for the highest of all."""
    numbers = [*version, *[0] * (length - len(version))]
    for index in range(length - 1, -1, -1):
        if numbers[index] < top:
            yield (*numbers[:index], numbers[index] + 1, *[0] * (length - index - 1))
            return


def _below(version: tuple[int, ...], top: int) -> tuple[int, ...] | None:
    """The version just below: the last number that is not zero less one, and the highest after it."""
    numbers = list(version)
    for index in range(len(numbers) - 1, -1, -1):
        if numbers[index]:
            return (*numbers[:index], numbers[index] - 1, *[top] * (len(numbers) - index - 1))
    return None


def _svns(operators: tuple[Operator, ...]) -> Iterator[bytes]:
    bounds = [operator.operand.bounds for operator in operators if isinstance(operator.operand, Bytes)]
    # The module's major version is compared for equality first.
    base = bytearray([_TOP] * 16)
    for bound in bounds:
        if 1 in bound:
            base[1] = bound[1]
    yield bytes(base)
    lowest, highest = bytearray(base), bytearray(base)
    for bound in bounds:
        for index, number in bound.items():
            lowest[index], highest[index] = min(lowest[index], number), number
    yield from (bytes(lowest), bytes(highest))
    for bound in bounds:
        for index, number in bound.items():
            for near in (number, number - 1, number + 1):
                if 0 <= near <= _TOP:
                    for start in (base, highest):
                        changed = bytearray(start)
                        changed[index] = near
                        yield bytes(changed)


def _sets(operators: tuple[Operator, ...]) -> Iterator[frozenset[str]]:
    sets = [value for value in _literals(operators) if isinstance(value, frozenset)]
    every: frozenset[str] = frozenset().union(*sets)
    yield frozenset()
    yield from sets
    yield from (frozenset({member}) for member in sorted(every))
    yield every
    other = frozenset({_unlike(every, _OTHER_ADVISORY)})
    yield other
    yield from (value | other for value in sets)
    # Lists of whole sets may hold some combinations and lack others.
    members = sorted(every)
    sizes = range(2, len(members)) if len(members) <= _FEW_MEMBERS else (2, len(members) - 1)
    for size in sizes if len(members) <= _MANY_MEMBERS else ():
        yield from map(frozenset, combinations(members, size))


def _members(claim: Claim, operators: tuple[Operator, ...]) -> Iterator[Any]:
    yield from (value for value in _literals(operators) if isinstance(value, (bytes, str)))
    yield from chosen_references(operators)
    # What no rule names: whatever a policy lists, it is not what stands for everything else.
    named: set[Any] = {value for value in _literals(operators) if isinstance(value, (bytes, str))}
    named.update(one.value for found in _sets_of(operators) for one in found.values)
    if claim.kind == "bytes":
        yield from (_bytes_unlike(named, size) for size in claim.size)
    else:
        yield _unlike(named, _OTHER_TEXT)


def _bytes_unlike(named: Container[object], size: int) -> bytes:
    other = int.from_bytes(bytes([_OTHER_BYTES]) * size)
    while other.to_bytes(size) in named:
        other = (other + 1) % (1 << 8 * size)
    return other.to_bytes(size)


def _unlike(named: Container[object], text: str) -> str:
    return next(one for one in chain([text], (f"{text} {number}" for number in count(2))) if one not in named)


def dates_of(operators: Iterable[Operator], value: bytes | str) -> frozenset[datetime]:
    """Instants at which a reference set says something else of `value` than before."""
    entries = (entry for found in _sets_of(operators) for entry in found.index.get(value, ()))
    return frozenset(
        date for entry in entries for date in (entry.begins, entry.ends, entry.since) if date is not None
    )


def chosen_references(operators: Iterable[Operator]) -> list[bytes | str]:
    """One value of each kind, those first of which the sets do not all say the same: two values of which every set says
    the same are judged alike, so a large set costs no more than what is different in it."""
    kinds = _kinds(tuple(operators))
    return [values[0] for values in kinds[:MAX_REFERENCES]]


def untried_references(operators: Iterable[Operator]) -> int:
    """How many values are of a kind beyond MAX_REFERENCES, of which none was tried."""
    return sum(len(values) for values in _kinds(tuple(operators))[MAX_REFERENCES:])


def _sets_of(operators: Iterable[Operator]) -> list[ReferenceSet]:
    sets: dict[int, ReferenceSet] = {}
    for operator in operators:
        if operator.name == "in":
            for found in cast("tuple[ReferenceSet, ...]", operator.operand):
                sets[id(found)] = found
    return list(sets.values())


def _kinds(operators: tuple[Operator, ...]) -> list[list[bytes | str]]:
    """Values by what the sets say of them. A literal is no example of its kind: rules speak of it by itself."""
    sets = _sets_of(operators)
    literals = {value for value in _literals(operators) if isinstance(value, (bytes, str))}
    values = dict.fromkeys(one.value for found in sets for one in found.values if one.value not in literals)
    kinds: dict[tuple[tuple[tuple[object, ...], ...], ...], list[bytes | str]] = {}
    for value in values:
        said = tuple(tuple(_meaning(one) for one in found.index.get(value, ())) for found in sets)
        kinds.setdefault(said, []).append(value)
    return [kinds[said] for said in sorted(kinds, key=lambda said: len(set(said)) == 1)]


def _meaning(reference: Reference) -> tuple[object, ...]:
    return reference.state, reference.begins, reference.ends, reference.since, reference.covers


# -- TCB --------------------------------------------------------------------------------------------


def components_of(product: str) -> tuple[str, ...]:
    return COMPONENTS if product == "turin" else COMPONENTS[1:]


def tcb_edges(operators: Iterable[Operator]) -> list[tuple[str, dict[str, str] | None]]:
    """Product and TCB: everything at its highest, on each bound, one below and one above it."""
    operands = [operator.operand for operator in operators if isinstance(operator.operand, Components)]
    found: list[tuple[str, dict[str, str] | None]] = []
    for product in PRODUCTS:
        names = components_of(product)
        highest = dict.fromkeys(names, str(_TOP))
        found.append((product, highest))
        for operand in operands:
            bounds: Mapping[str, int] = (
                operand.free if operand.free is not None else operand.by_product.get(product, {})
            )
            held = {name: bound for name, bound in bounds.items() if name in names}
            on = {**highest, **{name: str(bound) for name, bound in held.items()}}
            found.append((product, on))
            for name, bound in held.items():
                for near in (bound - 1, bound + 1):
                    if 0 <= near <= _TOP:
                        for start in (highest, on):
                            found.append((product, {**start, name: str(near)}))
                found.append((product, {other: value for other, value in on.items() if other != name}))
        found.append((product, None))
    return [one for index, one in enumerate(found) if one not in found[:index]]
