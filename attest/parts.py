"""What a vendor's verifier hands back for one part of a machine: CPU, GPU or switch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Protocol

from attest.claims import Section


class Part(Protocol):
    """A verified part. Only vendor `verify` functions make them, and only `attest.verify` uses them.

    section: snp, tdx, azure, gpu or switch. bound: the 64 bytes of report data of a CPU, the 32-byte nonce
    of a device; of an Azure machine the TPM quote's extraData. identity: what tells this device from
    another. simulated: any root was a simulator's.
    expires: earliest end of the endorsements used. oldest: oldest thisUpdate or issueDate used, None
    where no dated collateral was used.
    """

    @property
    def section(self) -> str: ...
    @property
    def bound(self) -> bytes: ...
    @property
    def identity(self) -> str: ...
    @property
    def simulated(self) -> bool: ...
    @property
    def expires(self) -> datetime: ...
    @property
    def oldest(self) -> datetime | None: ...

    def claims(self) -> Section:
        """Claims with the names and kinds of `attest.claims.CLAIMS[section]`; unknown ones are left out."""
        ...

    def raw(self) -> dict[str, Any]:
        """The vendor's field names in snake_case → canonical text, lists and maps of it."""
        ...


def numbered(sections: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Each kind of device counts from its own zero, as in the claim tree: gpu, gpu, switch → gpu 0, gpu 1, switch 0.

    Every name of a device (`gpu[3]`, `GPU 3 of 8`) takes its number from here.
    """
    seen: Counter[str] = Counter()
    for section in sections:
        yield section, seen[section]
        seen[section] += 1


def device_names(sections: Iterable[str]) -> list[str]:
    """`gpu[0]`, `gpu[1]`, `switch[0]`: names of devices in the order given."""
    return [f"{section}[{index}]" for section, index in numbered(sections)]
