"""A bench for crafted GPU evidence: the simulator's plans, and only NVIDIA's two roots of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from attest.anchors import Anchors
from attest.cache import Cache
from attest.endorsements import Endorsements
from attest.errors import Rejected
from attest.evidence import Evidence
from attest.memory import Memory
from attest.nvidia.containers import read_json
from attest.simulator import gpu, nvidia
from attest.simulator.certificates import pem
from attest.simulator.device import DevicePlan
from attest.simulator.keys import Keyring
from attest.verified import Verified
from attest.verifier import verify

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)


@dataclass
class Bench:
    """Plans and verifies GPUs. Keys and certificates are made once and kept."""

    keys: Keyring = field(default_factory=Keyring)

    def __post_init__(self) -> None:
        roots = (nvidia.device_root(self.keys), nvidia.rim_root(self.keys))
        self.anchors = Anchors.production().with_simulator(b"".join(pem(r.build(self.keys)) for r in roots))

    def plan(self, **keywords: Any) -> DevicePlan:
        return gpu.plan(self.keys, AT, AT, **keywords)

    def verify(
        self,
        *plans: DevicePlan,
        at: datetime = AT,
        cache: Cache | None = None,
        anchors: Anchors | None = None,
        rims: Sequence[bytes] | None = None,
        memory: Memory | None = None,
        **endorsements: Any,
    ) -> Verified:
        """rims: in place of those of the plans. Their OCSP answers are not given."""
        devices = [plan.build() for plan in plans]
        parsed = read_json([device.document() for device in devices], "bench")
        assert parsed is not None
        if rims is None:
            rims = [rim for device in devices for rim in device.rims.values()]
        return verify(
            Evidence(devices=parsed),
            endorsements=Endorsements(rims=tuple(dict.fromkeys(rims)), **endorsements),
            at=at,
            cache=cache,
            memory=memory,
            anchors=anchors or self.anchors,
        )

    def refused(self, *plans: DevicePlan, **more: Any) -> set[str]:
        """The codes of the refusal; fails when there is none."""
        with pytest.raises(Rejected) as refusal:
            self.verify(*plans, **more)
        return refusal.value.codes

    def claims(self, *plans: DevicePlan, **more: Any) -> dict[str, Any]:
        claims: dict[str, Any] = self.verify(*plans, **more).claims["gpu"][0]
        return claims


@pytest.fixture(scope="session")
def bench() -> Bench:
    return Bench()
