"""Eight Hopper GPUs and four switches of one node in protected PCIe mode, asked with one nonce."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from attest.simulator.device import DevicePlan, list_of
from attest.simulator.gpu import NODE_GPUS, NODE_SWITCHES
from attest.simulator.simulated import Simulated

DRIVER = "590.48.01"
"""The first branch whose report carries a feature flag is 580."""


@dataclass
class FabricPlan:
    """gpus, switches: before they are signed; a fault changes or swaps one. gpu, switch: make another, by index."""

    at: datetime
    gpus: list[DevicePlan]
    switches: list[DevicePlan]
    gpu: Callable[[int], DevicePlan]
    switch: Callable[[int], DevicePlan]

    def build(self) -> Simulated:
        return list_of([plan.build() for plan in (*self.gpus, *self.switches)], self.at)


def plan(
    gpu: Callable[..., DevicePlan],
    switch: Callable[..., DevicePlan],
    at: datetime,
    *,
    nonce: bytes | None = None,
    driver: str = DRIVER,
    mode: str = "ppcie",
) -> FabricPlan:
    """One honest node. gpu, switch: the plans of `attest.simulator.gpu` and `switch`. Raises ValueError."""
    nonce = hashlib.sha256(b"simulated nonce").digest() if nonce is None else nonce

    def make_gpu(index: int) -> DevicePlan:
        return gpu(index=index, nonce=nonce, driver=driver, mode=mode)

    def make_switch(index: int) -> DevicePlan:
        return switch(index=index, nonce=nonce)

    return FabricPlan(
        at,
        [make_gpu(index) for index in range(NODE_GPUS)],
        [make_switch(index) for index in range(NODE_SWITCHES)],
        make_gpu,
        make_switch,
    )
