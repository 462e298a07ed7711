"""A site: a machine whose evidence a browser asks for, bound to its key, epoch and origins."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from attest.evidence import Evidence
from attest.simulator.device import Device, device_endorsements
from attest.simulator.machine import additional, challenge, composite_files, member
from attest.simulator.simulated import Simulated
from attest.site import SiteStatement


@dataclass
class SitePlan:
    """statement: what is shown beside the evidence; bound: what the report covers. devices: how many.
    report_data: made of the bound statement, the challenge and the device text, unless a fault makes it."""

    at: datetime
    tee: str
    nonce: bytes
    statement: SiteStatement
    bound: SiteStatement
    devices: int
    cpu: Callable[[bytes], Simulated]
    device: Callable[[int, bytes], Device]
    asked: bytes | None = None
    report_data: Callable[[SiteStatement, str, str], bytes] = SiteStatement.report_data

    def build(self) -> Simulated:
        asked = self.asked or self.bound.device_nonce()
        devices = [self.device(index, asked) for index in range(self.devices)]
        text = additional([member(device) for device in devices])
        cpu = self.cpu(self.report_data(self.bound, challenge(self.nonce), text))
        rims: dict[str, bytes] = {}
        for device in devices:
            rims.update(device.endorsements)
        statement = self.statement
        return Simulated(
            cpu.raw,
            {
                **composite_files(self.tee, cpu, text, rims),
                "simulated-site.json": json.dumps(statement.document(), indent=1).encode(),
            },
            self.at,
            cpu.certificates,
            lambda: _evidence(cpu, text, statement),
            lambda: cpu.endorsements + device_endorsements(rims),
            text,
            (cpu,),
        )


def site_key(use: str = "direct", policy: str | None = None, seed: bytes = b"site") -> Mapping[str, Any]:
    """The JWK of a site's key. use: `direct`, or `fleet` with the digest of its release policy."""
    private = X25519PrivateKey.from_private_bytes(hashlib.sha256(seed).digest())
    public = private.public_key().public_bytes_raw()

    def text(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    return {
        "alg": "DHKEM-X25519-HKDF-SHA256",
        "crv": "X25519",
        "kid": text(hashlib.sha256(public).digest()[:16]),
        "kty": "OKP",
        "use": use,
        "x": text(public),
        **({} if policy is None else {"release-policy": policy}),
    }


def with_origin(statement: SiteStatement, origin: str) -> SiteStatement:
    return replace(statement, origins=(origin,))


def _evidence(cpu: Simulated, text: str, statement: SiteStatement) -> Evidence:
    from attest.composite import read_additional

    devices = read_additional(text, where="simulated") if text else ()
    said = SiteStatement.read(statement.document(), where="site")
    return Evidence(cpu.evidence.cpu, devices, text, said, cpu.evidence.event_logs)
