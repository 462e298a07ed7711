"""Floor data: the oldest firmware and collateral in which an advisory is fixed.

    {"serial": "1", "issued": INSTANT, "expires": INSTANT,
     "advisories": {"amd-sb-3019": {"title": TEXT, "products": {"milan": [MINIMUM, ...]}}},
     "tcb-evaluation": [{"from": INSTANT, "at-least": "18", "source": TEXT}]}

A MINIMUM is {"from": INSTANT, "source": TEXT} with `tcb` (a map of components), `firmware` and `flags` (claims
of snp that must be true), all of which must hold, or with `"not-affected": "true"`. Of several the one with the
latest `from` that has come counts. The file of the package is trusted as code, its digest is pinned
(`attest.policy.builtin`); any other comes signed (`attest.policy.floor_update`). Source: policy format, floors.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

from attest.canonical import read_json
from attest.claims import CLAIMS, read_instant
from attest.errors import Malformed
from attest.policy.kinds import COMPONENTS, PRODUCTS, byte, number, read
from attest.problems import malformed

MAX_BYTES = 1 << 20
GRACE = timedelta(days=180)
"""How long after its end floor data still judges where no secret is asked for."""
ADVISORY = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)+", re.ASCII)
_FLAGS = frozenset(name for name, claim in CLAIMS["snp"].items() if claim.kind == "bool")


@dataclass(frozen=True, slots=True)
class Minimum:
    """What shows the fix on one product from one instant on. All of it must hold; nothing where not affected."""

    begins: datetime
    source: str
    tcb: Mapping[str, int] = field(default_factory=dict)
    firmware: tuple[int, ...] | None = None
    flags: tuple[str, ...] = ()

    @property
    def not_affected(self) -> bool:
        return not self.tcb and self.firmware is None and not self.flags


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The lowest tcbEvaluationDataNumber from one instant on."""

    begins: datetime
    least: int
    source: str


@dataclass(frozen=True)
class Floors:
    """One set of floor data. serial: 0 for none at all. digest: `sha384:` and hex over the bytes."""

    serial: int
    digest: str | None
    issued: datetime | None = None
    expires: datetime | None = None
    titles: Mapping[str, str] = field(default_factory=dict)
    advisories: Mapping[str, Mapping[str, tuple[Minimum, ...]]] = field(default_factory=dict)
    evaluations: tuple[Evaluation, ...] = ()

    @staticmethod
    def none() -> Floors:
        """No floor data: no advisory has a floor, and the evaluation number is not judged."""
        return Floors(0, None)

    @staticmethod
    def shipped() -> Floors:
        """The floor data that came with the package."""
        return _shipped()

    @staticmethod
    def parse(data: bytes) -> Floors:
        """Raises Malformed."""
        return _parse(data)

    def about(self) -> dict[str, str]:
        """What a result says of the floor data it was made with."""
        return {} if self.digest is None else {"serial": str(self.serial), "digest": self.digest}

    def known(self, advisory: str) -> bool:
        """Whether a floor of this advisory is known for any product."""
        return any(self.advisories.get(advisory, {}).values())

    def minimum(self, advisory: str, product: str, at: datetime) -> Minimum | None:
        """The minimum that counts at `at`; None where none has come yet."""
        return max(
            (one for one in self.advisories[advisory].get(product, ()) if one.begins <= at),
            key=lambda one: one.begins,
            default=None,
        )

    def evaluation(self, at: datetime) -> Evaluation | None:
        """The evaluation number asked for at `at`; None where none is."""
        come = (one for one in self.evaluations if one.begins <= at)
        return max(come, key=lambda one: one.begins, default=None)

    def expired(self, at: datetime) -> bool:
        return self.expires is not None and at > self.expires

    def unknown(self, at: datetime) -> bool:
        """Whether the data is so old that what it says counts as not known."""
        return self.expires is not None and at > self.expires + GRACE


@cache
def _shipped() -> Floors:
    from attest.policy.builtin import floor_data

    return Floors.parse(floor_data())


# -- reading ----------------------------------------------------------------------------------------


def _parse(data: bytes) -> Floors:
    tree = _map(read_json(data, where="floors", limit=MAX_BYTES), "floors")
    _members(tree, "floors", {"serial", "issued", "expires", "advisories", "tcb-evaluation"})
    issued, expires = _instant(tree, "issued", "floors"), _instant(tree, "expires", "floors")
    if issued >= expires:
        raise _broken("floors.expires", "an instant after issued")
    serial = _number(tree, "serial", "floors")
    if not serial:
        raise _broken("floors.serial", "a number from 1")
    titles: dict[str, str] = {}
    advisories: dict[str, Mapping[str, tuple[Minimum, ...]]] = {}
    for name, entry in _map(tree["advisories"], "floors.advisories").items():
        where = f"floors.advisories.{name}"
        if not ADVISORY.fullmatch(name):
            raise _broken(where, "an advisory in lower case, such as amd-sb-3019")
        entry = _map(entry, where)
        _members(entry, where, {"title", "products"})
        titles[name] = _text(entry, "title", where)
        products: dict[str, tuple[Minimum, ...]] = {}
        for product, minimums in _map(entry["products"], f"{where}.products").items():
            if product not in PRODUCTS:
                raise _broken(f"{where}.products", f"one of {', '.join(PRODUCTS)}")
            products[product] = _minimums(minimums, f"{where}.{product}")
        advisories[name] = products
    return Floors(
        serial,
        "sha384:" + hashlib.sha384(data).hexdigest(),
        issued,
        expires,
        titles,
        advisories,
        _evaluations(tree["tcb-evaluation"]),
    )


def _minimums(found: object, where: str) -> tuple[Minimum, ...]:
    minimums = []
    for index, entry in enumerate(_list(found, where)):
        at = f"{where}[{index}]"
        entry = _map(entry, at)
        extra = {"tcb", "firmware", "flags", "not-affected"} & set(entry)
        _members(entry, at, {"from", "source"} | extra)
        if not extra or ("not-affected" in extra and extra != {"not-affected"}):
            raise _broken(at, "tcb, firmware and flags, or not-affected alone")
        if entry.get("not-affected", "true") != "true":
            raise _broken(f"{at}.not-affected", "true")
        minimums.append(
            Minimum(
                _instant(entry, "from", at),
                _text(entry, "source", at),
                _tcb(entry["tcb"], f"{at}.tcb") if "tcb" in entry else {},
                _firmware(entry, at) if "firmware" in entry else None,
                _flags(entry["flags"], f"{at}.flags") if "flags" in entry else (),
            )
        )
    if len({one.begins for one in minimums}) != len(minimums):
        raise _broken(where, "each from once")
    return tuple(minimums)


def _tcb(found: object, where: str) -> Mapping[str, int]:
    bounds = _map(found, where)
    if not bounds or not set(bounds) <= set(COMPONENTS):
        raise _broken(where, f"some of {', '.join(COMPONENTS)}")
    try:
        return {name: byte(bounds[name]) for name in COMPONENTS if name in bounds}
    except ValueError as error:
        raise _broken(where, str(error)) from None


def _firmware(entry: Mapping[str, Any], where: str) -> tuple[int, ...]:
    try:
        value = read(CLAIMS["snp"]["firmware"], entry["firmware"])
    except ValueError as error:
        raise _broken(f"{where}.firmware", str(error)) from None
    assert isinstance(value, tuple)
    return value


def _flags(found: object, where: str) -> tuple[str, ...]:
    flags = _list(found, where)
    if not flags or not all(isinstance(flag, str) and flag in _FLAGS for flag in flags):
        raise _broken(where, "claims of snp that are true or false")
    return tuple(flags)


def _evaluations(found: object) -> tuple[Evaluation, ...]:
    evaluations = []
    for index, entry in enumerate(_list(found, "floors.tcb-evaluation")):
        at = f"floors.tcb-evaluation[{index}]"
        entry = _map(entry, at)
        _members(entry, at, {"from", "at-least", "source"})
        evaluations.append(
            Evaluation(
                _instant(entry, "from", at), _number(entry, "at-least", at), _text(entry, "source", at)
            )
        )
    in_order = sorted(evaluations, key=lambda one: one.begins)
    if any(later.least <= earlier.least for earlier, later in pairwise(in_order)):
        raise _broken("floors.tcb-evaluation", "numbers that rise with from")
    return tuple(in_order)


def _map(found: object, where: str) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise _broken(where, "a map")
    return found


def _list(found: object, where: str) -> list[Any]:
    if not isinstance(found, list):
        raise _broken(where, "a list")
    return found


def _members(found: Mapping[str, Any], where: str, names: set[str]) -> None:
    if set(found) != names:
        raise _broken(where, f"the members {', '.join(sorted(names))}")


def _text(found: Mapping[str, Any], name: str, where: str) -> str:
    text = found[name]
    if not isinstance(text, str) or not text:
        raise _broken(f"{where}.{name}", "text")
    return text


def _number(found: Mapping[str, Any], name: str, where: str) -> int:
    try:
        return number(found[name])
    except ValueError as error:
        raise _broken(f"{where}.{name}", str(error)) from None


def _instant(found: Mapping[str, Any], name: str, where: str) -> datetime:
    try:
        return read_instant(_text(found, name, where))
    except ValueError:
        raise _broken(f"{where}.{name}", "an instant such as 2026-11-30T00:00:00Z") from None


def _broken(where: str, expected: str) -> Malformed:
    return malformed("The floor data cannot be read", where=where, expected=expected, code="floors.malformed")
