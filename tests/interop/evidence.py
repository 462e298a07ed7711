"""Simulated evidence for the bytes that a client wants to see in it."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from typing import Any

from attest.composite import write_primary
from attest.simulator import Simulator
from attest.x509 import Certificate


def give(state: str, kind: str, bound: str) -> None:
    """Write to standard output what an attester gives. state: of the simulator. kind: `cpu` or `device`. bound: hex
    of the digest that the client made."""
    simulator = Simulator.load(state, datetime.now(UTC))
    digest = bytes.fromhex(bound)
    if kind == "device":
        device = simulator.plan_gpu(nonce=digest[:32]).build()
        document = device.document()
        members = {name: document[name] for name in ("arch", "evidence", "certificate")}
        answer = {"device_evidence_list": [{"uuid": "unknown", **members}]}
    elif os.environ["EVIDENCE_TEE"] == "tdx":
        answer = write_primary("tdx", simulator.tdx(report_data=digest.ljust(64, b"\0")).raw)
    else:
        named = json.loads(os.environ.get("EVIDENCE_FIELDS", "{}"))
        fields: dict[str, Any] = {name: bytes.fromhex(text) for name, text in named.items()}
        made = simulator.snp(report_data=digest.ljust(64, b"\0"), **fields)
        answer = write_primary("snp", made.raw, [Certificate(der) for der in made.certificates])
    sys.stdout.write(json.dumps(answer))
