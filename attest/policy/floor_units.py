"""What of two policies turns on floor data and on accepted advisories: edges that no operator of a file has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from attest.claims import instant
from attest.policy.document import Policy
from attest.policy.edges import Raw, components_of
from attest.policy.floors import Minimum
from attest.policy.kinds import PRODUCTS
from attest.policy.model import Operator

_TOP = "255"
_OTHER = "INTEL-SA-00000"


def evaluation_operators(policies: Sequence[Policy]) -> Iterator[tuple[Operator, datetime]]:
    """The evaluation numbers that floor data asks for, each with its first instant."""
    for policy in policies:
        for one in policy.floors.evaluations:
            yield Operator("at-least", one.least, str(one.least)), one.begins


def fixed_options(policies: Sequence[Policy], advisories: Sequence[str]) -> list[dict[str, Raw]]:
    """Machines at, just below and without each minimum of these advisories, a product at a time."""
    found: list[dict[str, Raw]] = []
    minimums = [
        (product, minimum)
        for policy in policies
        for advisory in advisories
        for product, listed in policy.floors.advisories.get(advisory, {}).items()
        for minimum in listed
    ]
    flags = sorted({flag for _, minimum in minimums for flag in minimum.flags})
    for product in PRODUCTS:
        highest: dict[str, Raw] = {
            "snp.product": product,
            "snp.tcb": dict.fromkeys(components_of(product), _TOP),
            "snp.firmware": "255.255.255",
            **{f"snp.{flag}": "true" for flag in flags},
        }
        found.append(highest)
        for chip, minimum in minimums:
            if chip == product:
                found += _near(minimum, product, highest)
    return [one for index, one in enumerate(found) if one not in found[:index]]


def _near(minimum: Minimum, product: str, highest: dict[str, Raw]) -> Iterator[dict[str, Raw]]:
    top = dict.fromkeys(components_of(product), _TOP)
    for component, least in minimum.tcb.items():
        for number in (least, least - 1):
            if component in top and number >= 0:
                yield {**highest, "snp.tcb": {**top, component: str(number)}}
    if minimum.firmware is not None:
        yield {**highest, "snp.firmware": ".".join(map(str, minimum.firmware))}
        yield {**highest, "snp.firmware": "0.0.1"}
    for flag in minimum.flags:
        yield {**highest, f"snp.{flag}": "false"}


def floor_dates(policies: Sequence[Policy], advisories: Sequence[str]) -> set[datetime]:
    """Instants at which what floor data asks of these advisories changes."""
    return {
        minimum.begins
        for policy in policies
        for advisory in advisories
        for listed in policy.floors.advisories.get(advisory, {}).values()
        for minimum in listed
    }


def accepted_dates(policies: Sequence[Policy]) -> set[datetime]:
    return {one.until for policy in policies for one in policy.body.accepted}


def accepted_changes(policies: Sequence[Policy]) -> list[tuple[dict[str, Raw], dict[str, object]]]:
    """TDX machines behind by accepted advisories, each and all of them, by others, and by none at all; with the vendor's
    own fields, from which acceptance is judged part by part."""
    of_each = [sorted({one.advisory for one in policy.body.accepted}) for policy in policies]
    every = sorted({advisory for listed in of_each for advisory in listed})
    lists = [[advisory] for advisory in every] + [*of_each, every, [*every, _OTHER], []]
    found: list[tuple[dict[str, Raw], dict[str, object]]] = []
    for advisories in [one for index, one in enumerate(lists) if one not in lists[:index]]:
        facts: dict[str, Raw] = {
            "tdx.tcb-status": "OutOfDate",
            "tdx.tcb-lag": "31536000s",
            "tdx.advisories": list(advisories),
        }
        behind = {"status": "OutOfDate", "advisories": list(advisories), "behind": []}
        current = {"status": "UpToDate", "advisories": [], "behind": []}
        found.append((facts, {"tdx": {"tcb": {"platform": behind, "module": current, "qe": current}}}))
    return found


def accepted_words(policy: Policy) -> str:
    said = [f"{one.advisory} until {instant(one.until)}" for one in policy.body.accepted]
    return ", ".join(said) or "nothing"
