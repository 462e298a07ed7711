"""The device certificate chain: five certificates, leaf first, up to NVIDIA's pinned device root.

    0  report signing key, certified by the boot ROM   2  provisioner CA
    1  device identity key, its serial is the device   3  identity CA      4  NVIDIA Device Identity CA

Certificates never expire by themselves (9999-12-31); what withdraws a device is revocation.
Source: NVIDIA GPU attestation certificate chain; RFC 5280 §6.1 through `attest.path`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from attest.anchors import Anchors
from attest.cache import Cache
from attest.checks import CheckLog
from attest.nvidia.family import Family, Section
from attest.nvidia.fwid import leaf_fwid
from attest.path import Path, PathRule, check_path
from attest.x509 import Certificate

DEPTH = 5
_RULES: dict[Section, PathRule] = {
    section: PathRule(
        role="device",
        names=(None,) * DEPTH,
        keys=("P-384", "P-384", "P-384", "P-384", "P-384"),
        check=f"{section}.chain",
    )
    for section in ("gpu", "switch")
}
_RIM_SIGNER = re.compile(r"RIM\b|Reference Value")


@dataclass(frozen=True, slots=True)
class Device:
    """What a verified chain says: which device, and the digest of the firmware that holds its key.

    serial: of certificate 1, lower-case hex; stays with the device, as the leaf does not.
    """

    path: Path
    family: Family
    serial: str
    fwid: bytes | None


def check_chain(
    chain: Sequence[Certificate],
    section: Section,
    *,
    anchors: Anchors,
    log: CheckLog,
    cache: Cache,
) -> Device | None:
    """Check shape, links, anchor, family and the leaf's FWID extension; None after recording why not.

    Says nothing about time or revocation. A cache hit is this very chain under these very anchors.
    """
    key = cache.key(f"device/{section}", anchors.digest, [c.fingerprint for c in chain])
    device: Device | None = cache.get(key)
    if device is not None:
        for check in ("chain", "family", "fwid.extension"):
            log.passed(f"{section}.{check}")
        return device
    device = _check_chain(chain, section, anchors, log, cache)
    if device is not None:
        cache.put(key, device)
    return device


def _check_chain(
    chain: Sequence[Certificate],
    section: Section,
    anchors: Anchors,
    log: CheckLog,
    cache: Cache,
) -> Device | None:
    check = f"{section}.chain"
    if not chain:
        log.failed(check, "x509.missing", where="device chain", expected=f"{DEPTH} certificates, leaf first")
        return None
    if len(chain) == DEPTH - 1:
        # A chain without its root would pass the path: devices always send five, so one is missing.
        log.failed(check, "x509.depth", where="device", expected=DEPTH, found=len(chain))
    before = len(log.problems)
    path = check_path(
        chain, anchors=anchors, anchor_role="nvidia-device", rule=_RULES[section], log=log, cache=cache
    )
    if path is None or len(chain) != DEPTH:
        return None
    log.passed(check)
    family = _family(path, section, log)
    if family is None:
        return None
    fwid = leaf_fwid(path.leaf, path.certificates[1], family, f"{section}.fwid.extension", log)
    if path.certificates[1].serial <= 0:
        # It is the device's name: zero and negative numbers (RFC 5280 §4.1.2.2) name none.
        log.failed(check, "x509.malformed", where="device identity", found=path.certificates[1].serial)
    if len(log.problems) > before:
        return None
    log.passed(f"{section}.fwid.extension")
    return Device(path, family, _serial(path.certificates[1]), fwid)


def _family(path: Path, section: Section, log: CheckLog) -> Family | None:
    """The family both the leaf and the identity certificate name."""
    check = f"{section}.family"
    names = [certificate.common_name for certificate in path.certificates[:2]]
    family, issuing = map(Family.of_name, names)
    if family is None or issuing != family or family.section != section:
        log.failed(
            check,
            "nvidia.device.family",
            where="leaf",
            expected=f"one known chip family of a {section}",
            found=" issued by ".join(name.shown for name in names),
        )
        return None
    log.passed(check)
    return family


def _serial(certificate: Certificate) -> str:
    serial = certificate.serial
    return serial.to_bytes(max(1, (serial.bit_length() + 7) // 8), "big").hex()


def given_chain(certificates: Sequence[Certificate]) -> tuple[Certificate, ...]:
    """NVIDIA's device certificates among endorsements, in the order given and none left out.

    For a report that came without its chain. Nothing is sorted or searched for: a file with a certificate
    too many or too few is refused by the checks.
    """
    return tuple(
        certificate
        for certificate in certificates
        if _is_nvidias(certificate)
        and not _RIM_SIGNER.search(certificate.common_name)
        and not _RIM_SIGNER.search(certificate.issuer_common_name)
    )


def _is_nvidias(certificate: Certificate) -> bool:
    return any("NVIDIA" in name for name in certificate.organisations)
