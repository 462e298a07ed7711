"""Claims of NVIDIA's device tokens: in which forms of token each stands, and what asks the same here.

A token has one form: of the first SDK (`1-local`, `1-remote`), of the `/v2/` interface (`2-api`), or of claims
version 2.0 or 3.0. Source: NVIDIA attestation documentation, GPU and switch claims; nvtrust's example policies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["gpu", "switch"]
Asked = Literal["verified", "nonce", "measured", "cert", "driver-rim", "vbios-rim", "bios-rim"]
"""verified: what `verify` refuses without a rule. The others name the rule."""

LOCAL_1, REMOTE_1, API_2, CLAIMS_2, CLAIMS_3 = "1-local", "1-remote", "2-api", "2.0", "3.0"
ALL = frozenset({LOCAL_1, REMOTE_1, API_2, CLAIMS_2, CLAIMS_3})
NEWER = frozenset({API_2, CLAIMS_2, CLAIMS_3})
_OLD = frozenset({REMOTE_1, API_2})
_WITH_FLAGS = frozenset({REMOTE_1, API_2, CLAIMS_2})
_NAMED = frozenset({REMOTE_1, API_2, CLAIMS_2, CLAIMS_3})
_EAT = frozenset({CLAIMS_2, CLAIMS_3})
_3 = frozenset({CLAIMS_3})

VERSIONS: Mapping[str, frozenset[str]] = {
    "1.0": _OLD | {LOCAL_1},
    "2.0": frozenset({API_2, CLAIMS_2}),
    "3.0": _3,
}
"""Value of x-nvidia-ver → the forms of which tokens say so."""

MEASRES: Mapping[str, frozenset[str]] = {"success": _EAT, "comparison-successful": _OLD}
"""The values of measres that say the measurements match."""


@dataclass(frozen=True, slots=True)
class Flag:
    """A claim that is true where its check passed."""

    forms: frozenset[str]
    asks: tuple[Asked, ...]


def _report() -> dict[str, Flag]:
    report = "attestation-report-"
    return {
        "arch-check": Flag(_NAMED, ("verified",)),
        f"{report}parsed": Flag(_NAMED, ("verified",)),
        f"{report}signature-verified": Flag(_NAMED, ("verified",)),
        f"{report}cert-chain-validated": Flag(_WITH_FLAGS, ("cert",)),
        f"{report}cert-chain-fwid-match": Flag(_3, ("verified",)),
        f"{report}nonce-match": Flag(_EAT, ("nonce",)),
        "nonce-match": Flag(_OLD, ("nonce",)),
        "measurements-match": Flag(_OLD, ("measured",)),
    }


def _rim(
    name: str, claim: Asked, *, old: frozenset[str] = _OLD, new: frozenset[str] = _EAT
) -> dict[str, Flag]:
    return {
        f"{name}-rim-schema-fetched": Flag(old, (claim,)),
        f"{name}-rim-fetched": Flag(new, (claim,)),
        f"{name}-rim-schema-validated": Flag(old | new, (claim,)),
        f"{name}-rim-signature-verified": Flag(old | new, (claim,)),
        f"{name}-rim-measurements-available": Flag(old | new, (claim,)),
        f"{name}-rim-cert-validated": Flag(old | (new & _WITH_FLAGS), (claim, "cert")),
        f"{name}-rim-version-match": Flag(new & _3, (claim,)),
    }


_NONE: frozenset[str] = frozenset()
FLAGS: Mapping[Kind, Mapping[str, Flag]] = {
    "gpu": {
        **_report(),
        **_rim("driver", "driver-rim"),
        **_rim("vbios", "vbios-rim"),
        "driver-rim-driver-measurements-available": Flag(frozenset({REMOTE_1}), ("driver-rim",)),
        "vbios-index-no-conflict": Flag(_EAT, ("measured",)),
    },
    # The /v2/ interface calls a switch's BIOS a VBIOS.
    "switch": {
        **_report(),
        **_rim("vbios", "bios-rim", new=_NONE),
        **_rim("bios", "bios-rim", old=_NONE),
    },
}
"""Behind `x-nvidia-gpu-` and `x-nvidia-switch-`."""

_LOCAL: dict[Asked, str] = {
    "verified": "available attestation-report-available info-fetched arch-check root-cert-available "
    "cert-chain-verified measurement-available attestation-report-parsed attestation-report-verified",
    "nonce": "nonce-match",
    "measured": "vbios-index-no-conflict measurements-match",
    "cert": "ocsp-cert-chain-verified ocsp-signature-verified cert-check-complete",
    "driver-rim": "attestation-report-driver-version-match driver-rim-schema-fetched driver-rim-schema-validated "
    "driver-rim-cert-extracted driver-rim-signature-verified driver-rim-driver-measurements-available",
    "vbios-rim": "attestation-report-vbios-version-match driver-vbios-rim-fetched vbios-rim-schema-validated "
    "vbios-rim-cert-extracted vbios-rim-signature-verified vbios-rim-driver-measurements-available",
}
LOCAL_FLAGS: Mapping[str, Flag] = {
    name: Flag(frozenset({LOCAL_1}), (asked,)) for asked, names in _LOCAL.items() for name in names.split()
}
"""Behind `x-nv-gpu-`, of the first local verifier."""

CHAINS: Mapping[Kind, Mapping[str, Asked]] = {
    "gpu": {
        "attestation-report-cert-chain": "verified",
        "driver-rim-cert-chain": "driver-rim",
        "vbios-rim-cert-chain": "vbios-rim",
    },
    "switch": {"attestation-report-cert-chain": "verified", "bios-rim-cert-chain": "bios-rim"},
}
"""Maps of claims version 3.0 → what a chain that is in date asks."""

RIMS: Mapping[Kind, tuple[Asked, ...]] = {"gpu": ("driver-rim", "vbios-rim"), "switch": ("bios-rim",)}
