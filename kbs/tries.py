"""How often an address may fail to prove who it is (T-DOS): beyond that nothing it sends is looked at for a while.

Right keys cost nothing. Once the rate is used up a right key waits too: an answer that tells it from a wrong one would let
keys be tried without end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, ip_address, ip_network
from time import monotonic
from typing import Final

import structlog

from kbs.budget import Budget, Rate
from kbs.refusals import Refusal

_log = structlog.get_logger("kbs.http")
_ONE_SITE: Final = 64
"""Bits of an IPv6 address that its holder did not choose."""


class Tries:
    """Safe for threads; of this process alone. a_minute: failures of one address."""

    def __init__(self, a_minute: int, clock: Callable[[], float] = monotonic) -> None:
        self._budget = Budget(
            Rate(a_minute, 60, f"{a_minute} wrong keys a minute from one address"), clock=clock
        )

    @contextmanager
    def counted(self, address: str) -> Iterator[None]:
        """What is tried in here counts where it ends in a Refusal with status 401. Raises Refusal."""
        name = _site(address)
        spent = self._budget.used_up(name)
        if spent is not None:
            raise Refusal(429, "TooManyRequests", f"more than {spent.rate.said}", retry_after=spent.wait)
        try:
            yield
        except Refusal as refusal:
            if refusal.status == 401:
                self._budget.spend(name)
                if self._budget.used_up(name) is not None:
                    _log.warning("too many wrong keys from one address: it waits now", address=address)
            raise


def _site(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ip_network((int(parsed), _ONE_SITE), strict=False))
    return str(parsed)
