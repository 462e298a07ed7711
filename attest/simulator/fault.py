"""A fault: one field or one link of otherwise right evidence, and the check that must notice it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Fault:
    """name: `snp-hwid-of-another-chip`. vendor: snp, tdx, gpu or machine. check: number in the vendor's list of
    checks and what it compares. breaks: a sentence. codes: exactly the problems of the refusal. claims: where
    the evidence stays authentic, what it then says (policies judge it); dotted below the vendor's section, and
    `boot.` for section boot.
    warnings: what `verify` must then warn of. keywords: what the evidence needs besides.
    """

    name: str
    vendor: str
    check: str
    breaks: str
    codes: frozenset[str]
    apply: Callable[[Any], None]
    claims: Mapping[str, str | None] = field(default_factory=dict)
    warnings: frozenset[str] = frozenset()
    keywords: Mapping[str, Any] = field(default_factory=dict)


class FaultTable:
    """The faults of one vendor, in the order of its checks."""

    def __init__(self, vendor: str) -> None:
        self.vendor = vendor
        self.faults: dict[str, Fault] = {}

    def __call__(
        self,
        name: str,
        check: str,
        breaks: str,
        codes: str = "",
        *,
        claims: Mapping[str, str | None] | None = None,
        warnings: str = "",
        **keywords: Any,
    ) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
        """Register the decorated function, which changes the vendor's plan. codes, warnings: with spaces
        between. Something must come of every fault."""
        full = f"{self.vendor}-{name}"
        if full in self.faults:
            raise RuntimeError(f"two faults are called {full}")
        if not (codes or claims or warnings):
            raise RuntimeError(f"nothing comes of {full}")

        def register(apply: Callable[[Any], None]) -> Callable[[Any], None]:
            self.faults[full] = Fault(
                full,
                self.vendor,
                f"{self.vendor} {check}",
                breaks,
                frozenset(codes.split()),
                apply,
                claims or {},
                frozenset(warnings.split()),
                keywords,
            )
            return apply

        return register
