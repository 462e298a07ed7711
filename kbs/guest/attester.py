"""Where a guest's evidence comes from. The simulator now; collectors of real devices take the same place."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from attest.simulator import Simulator


@dataclass(frozen=True, slots=True)
class Composite:
    """primary: the CPU's evidence, a JSON value. additional: exact text of the devices', "" for none."""

    primary: Any
    additional: str = ""


class Attester(Protocol):
    """One machine that can prove itself."""

    @property
    def tee(self) -> str:
        """snp or tdx"""
        ...

    def evidence(self, nonce: str, key: Mapping[str, Any]) -> Composite:
        """Evidence that binds the challenge's text and the key (`attest.binding`).

        Raises OSError or ValueError where the machine cannot give it.
        """
        ...


class SimulatedAttester:
    """A machine of the simulator: its evidence proves nothing, and says so.

    state: what `Simulator.save` kept. cpu: snp or tdx. gpus: how many. settings: keywords of
    `Simulator.machine`, so that one changes one field.
    """

    def __init__(
        self,
        state: Path | Simulator,
        *,
        cpu: str = "snp",
        gpus: int = 1,
        settings: Mapping[str, Any] | None = None,
        at: datetime | None = None,
    ) -> None:
        self._state = state
        self._cpu = cpu
        self._gpus = gpus
        self._settings = dict(settings or {})
        self._at = at

    @property
    def tee(self) -> str:
        return self._cpu

    def evidence(self, nonce: str, key: Mapping[str, Any]) -> Composite:
        from attest.simulator import Simulator

        at = self._at or datetime.now(UTC)
        if isinstance(self._state, Path):
            simulator = Simulator.load(self._state, at)
        else:
            simulator = self._state.moved_to(at)
        machine = simulator.machine(
            cpu=self._cpu, gpus=self._gpus, nonce=base64.b64decode(nonce), key=key, **self._settings
        )
        document = json.loads(machine.files["simulated-machine.json"])
        return Composite(document["primary_evidence"], document["additional_evidence"])
