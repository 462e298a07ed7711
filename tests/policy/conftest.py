"""Claim trees as Verified. There is no public way to make one, so they come through the sealed format,
under a key of these tests."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from attest.canonical import canonical
from attest.claims import instant
from attest.memory import Memory
from attest.policy import Appraisal, Policy, appraise
from attest.policy.floors import Floors
from attest.verified import Verified

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
_KEY = bytes(32)
_CONTEXT = b"policy tests"
_VERSION = b"attest-verified/1\0"
"""As in `attest.verified`; if it moves there, these trees do not open and say so."""

SNP: dict[str, Any] = {
    "product": "milan",
    "tcb": {"bootloader": "4", "tee": "0", "snp": "24", "microcode": "219"},
    "tcb-committed": {"bootloader": "4", "tee": "0", "snp": "24", "microcode": "219"},
    "tcb-launch": {"bootloader": "4", "tee": "0", "snp": "24", "microcode": "219"},
    "firmware": "1.55.29",
    "abi": "1.51",
    "debug": "false",
    "migrate-ma": "false",
    "smt-allowed": "true",
    "single-socket": "false",
    "smt": "true",
    "tsme": "false",
    "ecc": "true",
    "rapl-off": "false",
    "ciphertext-hiding": "false",
    "alias-check": "true",
    "vmpl": "0",
    "guest-svn": "3",
    "report-version": "3",
    "measurement": "41d0" + "ab" * 45 + "9c",
    "chip-id": "11" * 64,
    "report-id": "22" * 32,
    "signing-key": "vcek",
    "policy-unknown-bits": "0",
    "crl": "fresh",
}
TDX: dict[str, Any] = {
    "tcb-status": "UpToDate",
    "tcb-lag": "0s",
    "tcb-evaluation": "18",
    "tcb-date": "2024-11-13T00:00:00Z",
    "advisories": [],
    "tee-tcb-svn": "05010700" + "00" * 12,
    "debug": "false",
    "migratable": "false",
    "sept-ve-disable": "true",
    "attributes": str(1 << 28),
    "xfam": str(0x602E7),
    "mrtd": "aa" * 48,
    "rtmr1": "bb" * 48,
    "rtmr2": "cc" * 48,
    "mrservicetd": "00" * 48,
    "fmspc": "00806f050000",
    "crl": "fresh",
    "event-log": "absent",
}
GPU: dict[str, Any] = {
    "architecture": "hopper",
    "model": "GH100",
    "id": "53c2" + "00" * 16 + "5771",
    "driver": "550.127.05",
    "vbios": "96.00.9F.00.01",
    "mode": "spt",
    "measurements": "match",
    "driver-rim": "valid",
    "vbios-rim": "valid",
    "cert": "good",
    "count": "1",
}
SWITCH: dict[str, Any] = {
    "architecture": "ls10",
    "model": "LS_10",
    "id": "77" * 20,
    "bios": "96.10.55.00.01",
    "locked": "true",
    "measurements": "match",
    "bios-rim": "valid",
    "cert": "good",
    "count": "1",
}
BOUND = {"nonce": "true", "key": "true"}


def tree(**sections: Any) -> dict[str, Any]:
    """A claim tree with the sections given; evidence verified by ourselves, bound to our nonce."""
    claims: dict[str, Any] = {
        "evidence": {"verified-by": "self", "simulated": "false"},
        "binding": dict(BOUND),
        "time": {"evidence-age": "2s"},
        "raw": {},
    }
    claims.update(copy.deepcopy(sections))
    if "gpu" in claims and isinstance(claims["gpu"], list):
        claims["raw"] = {"gpu": [{"opaque_data_version": "1"}] * len(claims["gpu"]), **claims["raw"]}
        if "snp" in claims or "tdx" in claims:
            claims["binding"] = {"gpu-to-cpu": "true", "protocol": "0.4", **claims["binding"]}
    return {name: value for name, value in claims.items() if value is not None}


def _set_aside(claims: Mapping[str, Any]) -> Mapping[str, Any]:
    """As verification leaves an Azure machine's claims: what the paravisor says is none of them."""
    said = {name: claims[name] for name in ("azure", "boot") if isinstance(claims.get(name), Mapping)}
    raw = claims.get("raw", {})
    if "azure" not in said or not isinstance(raw, Mapping):
        return claims
    kept = {name: value for name, value in claims.items() if name not in said}
    return {**kept, "raw": {**raw, "azure": {"paravisor_says": said}}}


def verified_of(
    claims: Mapping[str, Any],
    *,
    at: datetime = NOW,
    expires: datetime | None = None,
    warnings: Sequence[Mapping[str, Any]] = (),
    checks: Sequence[Mapping[str, Any]] = (),
    simulated: bool = False,
) -> Verified:
    body = canonical(
        {
            "at": instant(at),
            "claims": _set_aside(claims),
            "checks": list(checks),
            "expires": instant(expires or at + timedelta(days=365)),
            "memory": Memory().as_dict(),
            "simulated": simulated,
            "warnings": list(warnings),
        }
    )
    nonce = os.urandom(12)
    return Verified.unseal(_KEY, _CONTEXT, nonce + AESGCM(_KEY).encrypt(nonce, body, _VERSION + _CONTEXT))


def policy_of(
    require: str, *, platforms: str = "snp", more: str = "", floors: Floors | None = None
) -> Policy:
    """A policy in p.yaml whose `require` is one flow map, in line 4 where `more` is empty."""
    return Policy.from_text(
        f"policy: 1\nname: t\nplatforms: [{platforms}]\n{more}require: {require}\n", "p.yaml", floors=floors
    )


Judge = Callable[..., Appraisal]


@pytest.fixture(scope="session")
def judge() -> Judge:
    """judge(claims, policy or None): the appraisal now."""

    def run(
        claims: Mapping[str, Any],
        policy: Policy | None = None,
        at: datetime = NOW,
        state_at: datetime = NOW,
        **state: Any,
    ) -> Appraisal:
        return appraise(verified_of(claims, at=state_at, **state), policy, at=at)

    return run


def rule(appraisal: Appraisal, name: str, at: str | None = None) -> Mapping[str, str | None]:
    """The one record of a rule; at: "default" or the file's."""
    found = [
        record
        for record in appraisal.rules
        if record["rule"] == name and (at is None or (record["at"] == "default") == (at == "default"))
    ]
    assert len(found) == 1, [(record["rule"], record["at"]) for record in appraisal.rules]
    return found[0]
