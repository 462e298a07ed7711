"""What ties evidence to a challenge, a key, and the CPU to its devices.

The layout is that of the guest protocol 0.4 (`kbs-protocol` §3), byte for byte:

    D = SHA-384(JCS({"nonce": N, "tee-pubkey": K}))                                  → device nonce = D[:32]
    P = SHA-384(JCS({"additional-evidence": A, "nonce": N, "tee-pubkey": K}))        → CPU report data = P ‖ 0…

N is the challenge in padded standard base64, K the key as a JWK with all members it came with, A the
exact text of the device evidence, "" where there is none. Without a key the member is absent.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attest.canonical import canonical, refuse_floats

SITE_TAG = b"attest-site/1"
LOCAL_TAG = b"attest-local/1"
"""What stands behind the digest in the report data of other domains than the broker's."""

STRENGTHS: Mapping[str, str] = {
    "covered": "The CPU's signed report data covers the exact device evidence: the measured program presented "
    "these devices. It does not prove that they are plugged into this machine.",
    "same-challenge": "The devices answer the challenge that the CPU's report data carries, but the CPU does "
    "not cover their evidence: whoever knew the challenge could have asked any device anywhere.",
    "none": "Nothing ties the devices to this CPU: they may be another machine's.",
}
"""Each strength of the tie between CPU and devices, with its limit. All of them rest on the CPU's program
being measured and trusted: no report names the bus a device is on."""

PUBLIC_NONCES = {
    bytes.fromhex("931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb"),
}
"""Nonces published in sample code: evidence that carries one may be a canned report."""
_PUBLIC_NONCE_PREFIXES = (bytes.fromhex("4cff7f53"), bytes.fromhex("931d8dd0"))


def is_public_nonce(nonce: bytes) -> bool:
    """Whether a nonce is, or starts like, one published in NVIDIA's sample code."""
    return nonce in PUBLIC_NONCES or nonce[:4] in _PUBLIC_NONCE_PREFIXES


@dataclass(frozen=True)
class Expected:
    """What the caller asked the attester to bind.

    nonce: the challenge bytes we gave. nonce_text: how the challenge was written in the JSON that was
    hashed, where that was not padded base64 of `nonce`. key: the JWK we expect, all members.
    report_data: up to 64 bytes of REPORTDATA, compared with zeros on the right; instead of nonce and key.
    gpu_nonce: 32 bytes, where devices were asked directly. tpm_nonce: a TPM quote's extraData in full, where
    the TPM was asked directly; instead of nonce and key. origin: our own, where the evidence is a site's;
    the key is then the one the site's statement names, and `key` need not be given. age_seconds: since our nonce was made.
    protocol: the guest protocol that brought the devices. covers_devices: whether the CPU's report data covers the
    devices' text, as P does; False for guest protocols before 0.3, where the CPU carries D. init_data: digest of the init-data's text, which the
    caller made; it is a claim only where the hardware carries it.
    """

    nonce: bytes | None = None
    nonce_text: str | None = None
    key: Mapping[str, Any] | None = None
    report_data: bytes | None = None
    gpu_nonce: bytes | None = None
    tpm_nonce: bytes | None = None
    origin: str | None = None
    age_seconds: int | None = None
    protocol: str | None = None
    covers_devices: bool = True
    init_data: bytes | None = None

    def __post_init__(self) -> None:
        if self.report_data is not None:
            if not 1 <= len(self.report_data) <= 64:
                raise ValueError("report data is 1 to 64 bytes")
            if self.nonce is not None or self.key is not None:
                raise ValueError("give report data, or nonce and key, not both")
        if self.gpu_nonce is not None and len(self.gpu_nonce) != 32:
            raise ValueError("a GPU nonce is exactly 32 bytes")
        if self.tpm_nonce is not None:
            if not 1 <= len(self.tpm_nonce) <= 64:
                raise ValueError("a TPM nonce is 1 to 64 bytes")
            if self.nonce is not None or self.key is not None or self.report_data is not None:
                raise ValueError("give a TPM nonce, or nonce and key, or report data")
        if self.nonce is not None and not 16 <= len(self.nonce) <= 64:
            raise ValueError("a nonce is 16 to 64 bytes")
        if self.key is not None and self.nonce is None:
            raise ValueError("a key is bound together with a nonce: give both")
        if self.key is not None:
            refuse_floats(self.key)
        if self.origin is not None and self.nonce is None:
            raise ValueError("a site's evidence answers a nonce: give origin and nonce")
        if self.nonce is not None and self.key is not None and self.origin is None:
            if self.key.get("kty") == "OKP":
                raise ValueError(
                    "an OKP key is a site's: give its origin; a broker's guest has EC, RSA or AKP"
                )

    @property
    def anything(self) -> bool:
        return not (self.nonce is self.report_data is self.gpu_nonce is self.tpm_nonce is None)

    @property
    def challenge(self) -> str:
        """The challenge as it stands in the hashed JSON."""
        if self.nonce_text is not None:
            return self.nonce_text
        return base64.b64encode(self.nonce or b"").decode()


def runtime_data(nonce: str, key: Mapping[str, Any] | None, additional: str | None = None) -> bytes:
    """SHA-384 over the canonical runtime data: P with `additional`, D without."""
    document: dict[str, Any] = {"nonce": nonce}
    if key is not None:
        document["tee-pubkey"] = key
    if additional is not None:
        document["additional-evidence"] = additional
    return hashlib.sha384(canonical(document)).digest()


def report_data(nonce: str, key: Mapping[str, Any] | None, additional: str = "") -> bytes:
    """The 64 bytes a CPU's report carries: P and sixteen zero bytes."""
    return runtime_data(nonce, key, additional) + bytes(16)


def expected_report_data(expected: Expected, additional: str) -> bytes:
    """What a broker's guest carries for the challenge and key of `expected`: 64 bytes."""
    if not expected.covers_devices:
        return runtime_data(expected.challenge, expected.key) + bytes(16)
    return report_data(expected.challenge, expected.key, additional)


def device_nonce(nonce: str, key: Mapping[str, Any] | None) -> bytes:
    """The 32 bytes a device is asked with: the head of D."""
    return runtime_data(nonce, key)[:32]


def domain_of(bound: bytes) -> str:
    """Who 64 bytes of report data were made for, by what follows the digest; a word for messages too."""
    tail = bound[48:].rstrip(b"\0")
    return {SITE_TAG: "site", LOCAL_TAG: "local evidence API", b"": "broker"}.get(tail, "unknown")


def equal(left: bytes, right: bytes) -> bool:
    """Constant-time comparison."""
    return hmac.compare_digest(left, right)
