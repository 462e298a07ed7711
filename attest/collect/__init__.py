"""Collect evidence inside a guest: what the machine can prove, for one challenge.

    collected = collect(Broker(challenge, jwk))
    Path("machine.bundle.json").write_bytes(collected.bundle())

The only part of `attest` that talks to kernels, drivers and devices. It verifies nothing; what it writes is
for `attest.load` and `attest.verify`, on a machine that is trusted to do so.
"""

from __future__ import annotations

from attest.collect.errors import CollectError
from attest.collect.evidence import Collected, Interfaces, collect
from attest.collect.layout import Broker, Site
from attest.collect.machine import Machine

__all__ = ["Broker", "CollectError", "Collected", "Interfaces", "Machine", "Site", "collect"]
