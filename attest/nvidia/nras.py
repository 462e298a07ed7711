"""A second opinion from NVIDIA's remote attestation service: never believed for where it came from.

A token counts when the service's key signed it, for this challenge, about these very devices, at this time,
and every module of it says that all is well. Whatever is missing has not been said.
Source: NVIDIA Remote Attestation Service, detached EAT; RFC 7515, RFC 7519; RFC 8725 §3.1 (one algorithm).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from attest.binding import equal, is_public_nonce
from attest.checks import CheckLog
from attest.nvidia.nras_claims import VERSION, form_of, required, value_at
from attest.nvidia.nras_keys import Jwks
from attest.nvidia.nras_signature import SIGNATURE_CHECKS, check_signatures
from attest.nvidia.nras_token import NrasAnswer, Token
from attest.nvidia.second_opinion.opinion import DeviceOpinion, SecondOpinion
from attest.problems import show

ISSUER = "https://nras.attestation.nvidia.com"
SUBJECT = "NVIDIA-PLATFORM-ATTESTATION"
LEEWAY = 60
"""Seconds that the service's clock may differ from ours."""

_NONCE = re.compile(r"[0-9a-fA-F]{64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DERIVED: Mapping[str, object] = {"secboot": True, "dbgstat": "disabled"}
_RESULT = "x-nvidia-overall-att-result"
_AFTER_SIGNATURE = (
    "nras.issuer", "nras.claims", "nras.time", "nras.nonce", "nras.submodules", "nras.verdict",
    "nras.identity", "nras.devices",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AskedDevice:
    """One device that the service was asked about, as this verifier found it.

    kind: gpu or switch. serial: of the leaf certificate, the service's `ueid`. model: common name of the
    device identity certificate. driver, vbios: as signed in the report; None where it names none.
    """

    kind: Literal["gpu", "switch"]
    serial: int
    model: str
    driver: str | None = None
    vbios: str | None = None


def second_opinion(
    answers: Sequence[NrasAnswer],
    *,
    keys: Jwks,
    nonce: bytes,
    devices: Sequence[AskedDevice],
    at: datetime,
    simulated: bool = False,
) -> SecondOpinion:
    """What the service says of these devices, and whether that is to be heard at all.

    answers: one for the GPUs, one for the switches where there are any. keys: the service's, from its host.
    nonce: the 32 bytes the devices were asked with. devices: all that were sent. at: aware. simulated: whether
    a simulator's keys may count. Pure: no clock, no network. Never raises on what the answers hold.
    """
    if at.tzinfo is None:
        raise ValueError("`at` needs a time zone")
    if len(nonce) != 32:
        raise ValueError("a GPU nonce is exactly 32 bytes")
    log = CheckLog()
    if is_public_nonce(nonce):
        log.failed("nras.nonce", "nonce.public-constant", found=nonce)
    opinions: list[DeviceOpinion] = []
    left = list(devices)
    from_simulator = False
    heard = 0
    for answer in answers:
        signer = check_signatures(answer, keys, log)
        if signer is None:
            continue
        from_simulator |= signer.simulated
        if signer.simulated and not simulated:
            log.failed("nras.key", "nras.simulated", where="jwks", found=signer.kid)
            continue
        heard += 1
        _overall(answer, nonce, at, log)
        for name, token in answer.devices.items():
            opinions.append(_device(name, token, answer.overall, nonce, at, left, log))
    _count(answers, devices, log)
    for check in (*SIGNATURE_CHECKS, *_AFTER_SIGNATURE):
        if heard == len(answers) > 0:
            log.passed(check)
        else:
            log.not_run(check, "not every answer is signed by the service")
    return SecondOpinion(
        who=ISSUER,
        agrees=log.good,
        devices=tuple(opinions),
        problems=tuple(log.problems),
        checks=log.records(),
        simulated=from_simulator,
    )


# -- the overall token --------------------------------------------------------------------------------------------


def _overall(answer: NrasAnswer, nonce: bytes, at: datetime, log: CheckLog) -> None:
    claims = answer.overall.claims
    _envelope("overall", claims, nonce, at, log)
    if claims.get("sub") != SUBJECT:
        log.failed(
            "nras.claims", "nras.claims", where="overall.sub", expected=SUBJECT, found=claims.get("sub")
        )
    if claims.get("x-nvidia-ver") not in VERSION.values():
        log.failed(
            "nras.claims",
            "nras.version",
            where="overall.x-nvidia-ver",
            expected=" or ".join(sorted(set(VERSION.values()))),
            found=claims.get("x-nvidia-ver"),
        )
    if claims.get(_RESULT) is not True:
        # Text is not a verdict: "false" is true in most languages.
        log.failed(
            "nras.verdict",
            "nras.verdict",
            where=f"overall.{_RESULT}",
            expected=True,
            found=_shown(claims.get(_RESULT)),
        )
    _submodules(answer, log)


def _envelope(name: str, claims: Mapping[str, Any], nonce: bytes, at: datetime, log: CheckLog) -> None:
    """What overall token and device token share: issuer, time, challenge, no error."""
    if claims.get("iss") != ISSUER:
        log.failed(
            "nras.issuer", "nras.issuer", where=f"{name}.iss", expected=ISSUER, found=claims.get("iss")
        )
    if claims.get("x-nvidia-error-details") is not None:
        log.failed(
            "nras.verdict", "nras.error", where=f"{name}.x-nvidia-error-details",
            found=_shown(claims["x-nvidia-error-details"]),
        )  # fmt: skip
    _times(name, claims, at, log)
    stated = claims.get("eat_nonce")
    if not isinstance(stated, str) or not _NONCE.fullmatch(stated) or not equal(bytes.fromhex(stated), nonce):
        log.failed(
            "nras.nonce", "nras.nonce", where=f"{name}.eat_nonce", expected=nonce, found=_shown(stated)
        )


def _times(name: str, claims: Mapping[str, Any], at: datetime, log: CheckLog) -> None:
    """RFC 7519 §4.1.4 to §4.1.6; all three are required here."""
    now = at.timestamp()
    for member in ("exp", "nbf", "iat"):
        stated = claims.get(member)
        if not isinstance(stated, int) or isinstance(stated, bool):
            log.failed(
                "nras.claims",
                "nras.claims",
                where=f"{name}.{member}",
                expected="whole seconds",
                found=_shown(stated),
            )
        elif member == "exp" and stated + LEEWAY <= now:
            log.failed(
                "nras.time", "nras.expired", where=f"{name}.exp", expected=f"> {int(now)}", found=stated
            )
        elif member != "exp" and stated - LEEWAY > now:
            log.failed(
                "nras.time",
                "nras.not-yet-valid",
                where=f"{name}.{member}",
                expected=f"≤ {int(now)}",
                found=stated,
            )


def _submodules(answer: NrasAnswer, log: CheckLog) -> None:
    """The overall token names each device's token by its digest, and there is no other."""
    stated = answer.overall.claims.get("submods")
    if not isinstance(stated, Mapping):
        log.failed("nras.submodules", "nras.submodules", where="overall.submods", found=_shown(stated))
        return
    if set(stated) != set(answer.devices):
        log.failed(
            "nras.submodules",
            "nras.submodules",
            where="overall.submods",
            expected=", ".join(sorted(stated)),
            found=", ".join(sorted(answer.devices)),
        )
    for name in answer.devices.keys() & stated.keys():
        digest = _digest(stated[name])
        made = hashlib.sha256(answer.devices[name].raw).hexdigest()
        if digest is None or not equal(digest.encode(), made.encode()):
            log.failed(
                "nras.submodules",
                "nras.digest",
                where=f"overall.submods.{name}",
                expected=made,
                found=_shown(digest),
            )


def _digest(entry: object) -> str | None:
    """The hex of `["DIGEST", ["SHA-256", hex]]`; None for anything else."""
    if not isinstance(entry, list) or len(entry) != 2 or entry[0] != "DIGEST":
        return None
    inner = entry[1]
    if not isinstance(inner, list) or len(inner) != 2 or inner[0] not in ("SHA-256", "SHA256"):
        return None
    return inner[1] if isinstance(inner[1], str) and _DIGEST.fullmatch(inner[1]) else None


def _count(answers: Sequence[NrasAnswer], devices: Sequence[AskedDevice], log: CheckLog) -> None:
    """As many modules of each kind as devices were sent: an answer about nothing agrees with nothing."""
    for kind in ("gpu", "switch"):
        sent = sum(device.kind == kind for device in devices)
        told = sum(_kind(name) == kind for answer in answers for name in answer.devices)
        if sent != told:
            log.failed("nras.count", "nras.count", where=kind, expected=sent, found=told)
    if not devices:
        log.failed("nras.count", "nras.count", expected="at least one device", found=0)
    log.passed("nras.count")


# -- one device -----------------------------------------------------------------------------------------------------


def _device(
    name: str,
    token: Token,
    overall: Token,
    nonce: bytes,
    at: datetime,
    left: list[AskedDevice],
    log: CheckLog,
) -> DeviceOpinion:
    claims = token.claims
    before = len(log.problems)
    _envelope(name, claims, nonce, at, log)
    _identity(name, claims, left, log)
    kind = _kind(name)
    form = form_of(claims, kind)
    version = claims.get(f"x-nvidia-{kind}-claims-version", VERSION[form])
    if not version == VERSION[form] == overall.claims.get("x-nvidia-ver"):
        log.failed(
            "nras.claims", "nras.version", where=f"{name}.x-nvidia-{kind}-claims-version",
            expected=VERSION[form], found=f"{_shown(version)} under {_shown(overall.claims.get('x-nvidia-ver'))}",
        )  # fmt: skip
    for path, wanted in required(kind, form):
        found = value_at(claims, path)
        if found != wanted or type(found) is not type(wanted):
            log.failed(
                "nras.devices",
                "nras.device",
                where=f"{name}.{'.'.join(path)}",
                expected=wanted,
                found=_shown(found),
            )
    if form == "2-api" and claims.get("measres", "success") not in ("success", "comparison-successful"):
        # That interface says it in `measurements-match`; where it says it twice, both count.
        log.failed("nras.devices", "nras.device", where=f"{name}.measres", found=_shown(claims["measres"]))
    for member, wanted in _DERIVED.items():
        # Derived by the service, and null where it could not say: but what it says must not be the opposite.
        found = claims.get(member)
        if found is not None and (found != wanted or type(found) is not type(wanted)):
            log.failed(
                "nras.devices", "nras.device", where=f"{name}.{member}", expected=wanted, found=_shown(found)
            )
    if claims.get("x-nvidia-attestation-warning") is not None:
        # A certificate on hold: NVIDIA calls it a warning, here it refuses unless a policy may say otherwise.
        log.failed(
            "nras.devices", "nras.warning", where=f"{name}.x-nvidia-attestation-warning",
            found=_shown(claims["x-nvidia-attestation-warning"]),
        )  # fmt: skip
    said = {member: _shown(value) for member, value in claims.items() if member not in ("jti", "submods")}
    return DeviceOpinion(name, len(log.problems) == before, said)


def _identity(name: str, claims: Mapping[str, Any], left: list[AskedDevice], log: CheckLog) -> None:
    """The module speaks of a device that was sent, and no other module speaks of it.

    `ueid` is the leaf certificate's serial number in decimal.
    """
    kind = _kind(name)
    match = next((one for one in left if one.kind == kind and str(one.serial) == claims.get("ueid")), None)
    if match is None:
        log.failed(
            "nras.identity",
            "nras.identity",
            where=f"{name}.ueid",
            expected=", ".join(str(one.serial) for one in left if one.kind == kind) or "no further device",
            found=_shown(claims.get("ueid")),
        )
        return
    left.remove(match)
    firmware = "bios-version" if kind == "switch" else "vbios-version"
    for member, ours in (
        ("hwmodel", match.model),
        (f"x-nvidia-{kind}-driver-version", match.driver),
        (f"x-nvidia-{kind}-{firmware}", match.vbios),
    ):
        theirs = claims.get(member)
        if ours is not None and (not isinstance(theirs, str) or theirs.upper() != ours.upper()):
            log.failed(
                "nras.identity",
                "nras.identity",
                where=f"{name}.{member}",
                expected=ours,
                found=_shown(theirs),
            )


def _kind(name: str) -> Literal["gpu", "switch"]:
    return "gpu" if name.startswith("GPU-") else "switch"


def _shown(value: object) -> str:
    """Any JSON value as short, safe text."""
    if value is None:
        return "absent"
    return show(value) or ""
