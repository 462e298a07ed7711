"""What each version of the service's device claims must say before it counts as agreement.

Three forms exist. `2-api` is that of the `/v2/` interface, `2.0` and `3.0` are the claims versions of the
later ones. A claim that is absent has not been said, so it does not count as true.
Source: NVIDIA attestation documentation, GPU claims and switch claims; NVIDIA's appraisal policies for
remote verifiers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

Form = Literal["2-api", "2.0", "3.0"]

_REPORT = "attestation-report-"
_TRUE: dict[tuple[str, Form], tuple[str, ...]] = {
    ("gpu", "2-api"): (
        "arch-check",
        f"{_REPORT}parsed",
        f"{_REPORT}signature-verified",
        f"{_REPORT}cert-chain-validated",
        "nonce-match",
        "measurements-match",
        *(
            f"{rim}-rim-{what}"
            for rim in ("driver", "vbios")
            for what in (
                "schema-fetched", "schema-validated", "signature-verified", "cert-validated", "measurements-available",
            )
        ),
    ),
    ("switch", "2-api"): (
        f"{_REPORT}parsed",
        f"{_REPORT}signature-verified",
        f"{_REPORT}cert-chain-validated",
        "nonce-match",
        "measurements-match",
        "vbios-rim-schema-fetched",
        "vbios-rim-schema-validated",
        "vbios-rim-signature-verified",
        "vbios-rim-cert-validated",
        "vbios-rim-measurements-available",
    ),
}  # fmt: skip
_SINCE_3 = ("arch-check", f"{_REPORT}parsed", f"{_REPORT}nonce-match", f"{_REPORT}signature-verified")
_RIM_SINCE_3 = ("fetched", "schema-validated", "signature-verified", "measurements-available")
_RIMS = {"gpu": ("driver", "vbios"), "switch": ("bios",)}
for _kind, _rims in _RIMS.items():
    _common = (*_SINCE_3, *(f"{rim}-rim-{what}" for rim in _rims for what in _RIM_SINCE_3))
    _conflict = ("vbios-index-no-conflict",) if _kind == "gpu" else ()
    _TRUE[_kind, "2.0"] = (
        *_common,
        f"{_REPORT}cert-chain-validated",
        *(f"{rim}-rim-cert-validated" for rim in _rims),
        *_conflict,
    )
    _TRUE[_kind, "3.0"] = (
        *_common,
        f"{_REPORT}cert-chain-fwid-match",
        *(f"{rim}-rim-version-match" for rim in _rims),
        *_conflict,
    )
VERSION: dict[Form, str] = {"2-api": "2.0", "2.0": "2.0", "3.0": "3.0"}
"""What the overall token's `x-nvidia-ver` then says."""


def form_of(claims: Mapping[str, Any], kind: str) -> Form:
    """Which form a device's claims have, by the names that only one of them has."""
    head = f"x-nvidia-{kind}-"
    if head + "measurements-match" in claims or head + "nonce-match" in claims:
        return "2-api"
    if f"{head}{_REPORT}cert-chain" in claims:
        return "3.0"
    return "2.0"


def required(kind: str, form: Form) -> Iterator[tuple[tuple[str, ...], object]]:
    """Each claim that must stand in a device's token, as a path, and the value it must have.

    kind: gpu or switch.
    """
    if form != "2-api":
        yield ("measres",), "success"
    head = f"x-nvidia-{kind}-"
    for name in _TRUE[kind, form]:
        yield (head + name,), True
    if form == "3.0":
        for chain in (f"{_REPORT}cert-chain", *(f"{rim}-rim-cert-chain" for rim in _RIMS[kind])):
            yield (head + chain, "x-nvidia-cert-status"), "valid"
            yield (head + chain, "x-nvidia-cert-ocsp-status"), "good"


def value_at(claims: Mapping[str, Any], path: tuple[str, ...]) -> object:
    """The claim at a path of member names; None when it is absent."""
    value: Any = claims
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    found: object = value
    return found
