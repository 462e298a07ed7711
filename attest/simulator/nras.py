"""The remote attestation service's answers, under a key of the simulator's own: honest, or with one fault.

The key's certificate carries the simulator's critical extension, so a verifier that was not told to accept a
simulator refuses the answer for that alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from attest.simulator import nvidia
from attest.simulator.certificates import CertificatePlan, key_usage, name, simulator_mark
from attest.simulator.keys import Keyring

if TYPE_CHECKING:
    from attest.nvidia.nras import AskedDevice
    from attest.nvidia.second_opinion.opinion import SecondOpinion

KEY = "p384/nras"
KID = "nv-eat-kid-simulated-1"
ISSUER = "https://nras.attestation.nvidia.com"
VERSIONS = ("2-api", "2.0", "3.0")
_RIMS = ("driver", "vbios")


@dataclass
class TokenPlan:
    """One JWT before it is signed. key: name in the keyring. signature: what stands in place of the right one.
    edit: changes the finished text."""

    claims: dict[str, Any]
    header: dict[str, Any] = field(default_factory=lambda: {"kid": KID, "alg": "ES384"})
    key: str = KEY
    signature: bytes | None = None
    edit: Callable[[str], str] | None = None

    def build(self, keys: Keyring) -> str:
        signed = f"{_segment(self.header)}.{_segment(self.claims)}"
        signature = keys.raw_ecdsa(self.key, signed.encode()) if self.signature is None else self.signature
        text = f"{signed}.{_encoded(signature)}"
        return text if self.edit is None else self.edit(text)


@dataclass
class NrasPlan:
    """overall: without `submods`, which follow from devices. submods: changes them once they are made.
    jwk: changes the key set's one member. after: changes the finished tokens."""

    keys: Keyring
    at: datetime
    nonce: bytes
    asked: list[AskedDevice]
    overall: TokenPlan
    devices: dict[str, TokenPlan]
    submods: Callable[[dict[str, Any]], None] | None = None
    jwk: Callable[[dict[str, Any]], None] | None = None
    after: Callable[[dict[str, str]], None] | None = None

    def build(self) -> SimulatedNras:
        tokens = {module: plan.build(self.keys) for module, plan in self.devices.items()}
        submods: dict[str, Any] = {
            module: ["DIGEST", ["SHA-256", hashlib.sha256(token.encode()).hexdigest()]]
            for module, token in tokens.items()
        }
        if self.submods is not None:
            self.submods(submods)
        self.overall.claims["submods"] = submods
        if self.after is not None:
            self.after(tokens)
        answer = json.dumps([["JWT", self.overall.build(self.keys)], tokens], indent=1).encode()
        member = _member(self.keys, self.at)
        if self.jwk is not None:
            self.jwk(member)
        return SimulatedNras(
            answer, json.dumps({"keys": [member]}, indent=1).encode(), tuple(self.asked), self.nonce, self.at
        )


@dataclass(frozen=True)
class SimulatedNras:
    """answer: the service's JSON. jwks: its key set. asked: the devices it is about. nonce: the challenge."""

    answer: bytes
    jwks: bytes
    asked: tuple[AskedDevice, ...]
    nonce: bytes
    at: datetime

    def judged(self, **keywords: Any) -> SecondOpinion:
        """What a verifier that was told of the simulator makes of it. Raises Malformed.

        keywords: in place of what was asked: nonce, devices, at, simulated.
        """
        from attest.nvidia.nras import second_opinion
        from attest.nvidia.nras_keys import Jwks
        from attest.nvidia.nras_token import NrasAnswer

        asked = {"nonce": self.nonce, "devices": self.asked, "at": self.at, "simulated": True, **keywords}
        return second_opinion([NrasAnswer.parse(self.answer)], keys=Jwks.parse(self.jwks), **asked)


def plan(
    keys: Keyring,
    made: datetime,
    at: datetime,
    *,
    nonce: bytes | None = None,
    gpus: int = 1,
    version: str = "3.0",
    driver: str = "550.90.07",
    vbios: str = "96.00.9F.00.01",
) -> NrasPlan:
    """An honest answer about the simulator's first `gpus` GPUs, not yet signed.

    nonce: 32 bytes, that of the GPUs. version: 2-api (the `/v2/` interface), 2.0 or 3.0. driver, vbios: as the
    GPUs were made with. Raises ValueError.
    """
    from attest.nvidia.nras import AskedDevice

    nonce = hashlib.sha256(b"simulated nonce").digest() if nonce is None else nonce
    if len(nonce) != 32:
        raise ValueError("a GPU nonce is exactly 32 bytes")
    if version not in VERSIONS:
        raise ValueError(f"version is one of {', '.join(VERSIONS)}")
    if not 1 <= gpus <= 16:
        raise ValueError("gpus is 1 to 16")
    fwid = hashlib.sha384(f"simulated gpu fmc {vbios}".encode()).digest()
    asked = [
        AskedDevice(
            "gpu", nvidia.device_chain(keys, index, fwid)[0].serial, "GH100 A01 GSP BROM", driver, vbios
        )
        for index in range(gpus)
    ]
    issued = int(at.timestamp())
    common = {
        "iss": ISSUER, "eat_nonce": nonce.hex(), "iat": issued, "nbf": issued, "exp": issued + 3600,
    }  # fmt: skip
    overall = {
        **common,
        "sub": "NVIDIA-PLATFORM-ATTESTATION",
        "jti": "simulated-overall",
        "x-nvidia-ver": "3.0" if version == "3.0" else "2.0",
        "x-nvidia-overall-att-result": True,
    }
    devices = {
        f"GPU-{index}": TokenPlan({**common, "jti": f"simulated-{index}", **_claims(device, version)})
        for index, device in enumerate(asked)
    }
    return NrasPlan(keys, at, nonce, asked, TokenPlan(overall), devices)


def _claims(device: AskedDevice, version: str) -> dict[str, Any]:
    claims: dict[str, Any] = {
        "hwmodel": device.model,
        "ueid": str(device.serial),
        "oemid": "5703",
        "x-nvidia-gpu-driver-version": device.driver,
        "x-nvidia-gpu-vbios-version": device.vbios,
        "x-nvidia-gpu-arch-check": True,
        "x-nvidia-gpu-attestation-report-parsed": True,
        "x-nvidia-gpu-attestation-report-signature-verified": True,
        "x-nvidia-attestation-warning": None,
        "secboot": True,
        "dbgstat": "disabled",
        "measres": "comparison-successful" if version == "2-api" else "success",
    }
    if version == "2-api":
        claims["x-nvidia-gpu-nonce-match"] = claims["x-nvidia-gpu-measurements-match"] = True
    else:
        claims["x-nvidia-gpu-attestation-report-nonce-match"] = True
        claims["x-nvidia-gpu-vbios-index-no-conflict"] = True
    fetched = "schema-fetched" if version == "2-api" else "fetched"
    for rim in _RIMS:
        for what in (fetched, "schema-validated", "signature-verified", "measurements-available"):
            claims[f"x-nvidia-gpu-{rim}-rim-{what}"] = True
    if version == "3.0":
        claims["x-nvidia-gpu-attestation-report-cert-chain"] = _chain("9999-12-31T23:59:59Z")
        claims["x-nvidia-gpu-attestation-report-cert-chain-fwid-match"] = True
        for rim in _RIMS:
            claims[f"x-nvidia-gpu-{rim}-rim-cert-chain"] = _chain("2027-06-01T00:00:00Z")
            claims[f"x-nvidia-gpu-{rim}-rim-version-match"] = True
    else:
        claims["x-nvidia-gpu-attestation-report-cert-chain-validated"] = True
        for rim in _RIMS:
            claims[f"x-nvidia-gpu-{rim}-rim-cert-validated"] = True
    return claims


def _chain(expires: str) -> dict[str, Any]:
    return {
        "x-nvidia-cert-status": "valid",
        "x-nvidia-cert-ocsp-status": "good",
        "x-nvidia-cert-expiration-date": expires,
        "x-nvidia-cert-revocation-reason": None,
    }


def certificate(keys: Keyring, at: datetime, key: str = KEY) -> bytes:
    """The service key's certificate, DER, self-signed, with the simulator's mark."""
    subject = name("CN=NVIDIA Attestation Service,O=SIMULATED NVIDIA")
    year = timedelta(days=365)
    return CertificatePlan(
        subject,
        subject,
        key,
        key,
        1,
        at - year,
        at + year,
        [key_usage("digital_signature"), simulator_mark("nras")],
    ).build(keys)


def _member(keys: Keyring, at: datetime) -> dict[str, Any]:
    point = keys.point(KEY)
    return {
        "kty": "EC",
        "crv": "P-384",
        "use": "sig",
        "alg": "ES384",
        "kid": KID,
        "x": _encoded(point[1:49]),
        "y": _encoded(point[49:]),
        "x5c": [base64.b64encode(certificate(keys, at)).decode()],
    }


def _segment(document: dict[str, Any]) -> str:
    return _encoded(json.dumps(document, separators=(",", ":")).encode())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
