"""The checks of one device, in order: chain, signature, firmware identity, revocation, mode, manifests, measurements.

Nothing of the report's content is read as the device's before chain and signature hold. All problems that
can be found without believing anything are reported together.
Source: NVIDIA GPU attestation; DMTF DSP0274; TCG DICE.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from attest.anchors import Anchors
from attest.binding import equal
from attest.cache import Cache
from attest.checks import CheckLog
from attest.endorsements import Endorsements
from attest.errors import Malformed
from attest.evidence import PartResult
from attest.memory import Memory
from attest.nvidia.chain import Device, check_chain, given_chain
from attest.nvidia.facts import DevicePart
from attest.nvidia.family import Section, architecture_named
from attest.nvidia.modes import Mode, read_mode
from attest.nvidia.opaque import Opaque
from attest.nvidia.references import check_together, find_reference, needed, read_rims
from attest.nvidia.revocation import RevocationCheck
from attest.nvidia.spdm import Report
from attest.x509 import Certificate

_SHA384 = ec.ECDSA(hashes.SHA384())
# What is not looked at before the report is the device's own.
_BELIEVING = ("family", "fwid.extension", "architecture", "crl", "fwid", "revocation")
_BELIEVING_RIMS = {
    "gpu": ("mode", "rim.documents", "driver-rim", "vbios-rim", "measurements.compared"),
    "switch": ("rim.documents", "bios-rim", "measurements.compared"),
}


def verify_device(
    report: Report,
    chain: Sequence[Certificate] | None,
    section: Section,
    *,
    arch: str | None,
    endorsements: Endorsements,
    anchors: Anchors,
    at: datetime,
    log: CheckLog,
    cache: Cache | None,
    memory: Memory | None,
) -> PartResult | None:
    """Verify one report; None after recording every problem found.

    chain: leaf first as sent, or None to take NVIDIA's certificates from the endorsements. arch: what
    stood beside the evidence, to be contradicted only. log: of this part. The nonce is compared by
    `attest.verify` with what was expected (`DevicePart.bound`).
    """
    if cache is None:
        # The manifests of one device share their intermediates: each link is checked once.
        cache = Cache()
    before = len(log.problems)
    if report.trailing:
        log.warn("nvidia.trailing-bytes", where="report", found=report.trailing)
    certificates = chain if chain is not None else given_chain(endorsements.certificates)
    device = check_chain(certificates, section, anchors=anchors, log=log, cache=cache)
    asked = RevocationCheck(section, endorsements, at=at, log=log, cache=cache, memory=memory)
    if device is not None:
        device.path.in_time(at, log)
        _architecture(arch, device, log)
        asked.device(device.path)
    _signature(report, certificates, section, log)
    opaque = _opaque(report, section, log)
    if device is not None and opaque is not None:
        _fwid(opaque, device, log)
    if device is None or opaque is None or len(log.problems) > before:
        for check in (*_BELIEVING, *_BELIEVING_RIMS[section]):
            log.not_run(f"{section}.{check}", "the device's chain, signature or report does not hold")
        return None

    mode = read_mode(opaque, f"{section}.mode", log) if section == "gpu" else Mode(None)
    rims = read_rims(endorsements.rims, f"{section}.rim.documents", log, cache)
    wanted = needed(device.family, opaque)
    references = []
    for kind, version in wanted:
        reference = find_reference(
            kind,
            version,
            rims,
            report=report,
            opaque=opaque,
            family=device.family,
            at=at,
            anchors=anchors,
            log=log,
            cache=cache,
        )
        if reference is not None:
            asked.manifest(reference.rim.path)
            references.append(reference)
    measurements = check_together(references, wanted, f"{section}.measurements.compared", log)
    revocation = asked.conclude()
    if len(log.problems) > before:
        return None
    return PartResult(
        DevicePart(report, opaque, device, mode, tuple(references), measurements, revocation),
        crls=revocation.crls,
        documents=revocation.answers,
    )


def _signature(report: Report, chain: Sequence[Certificate], section: Section, log: CheckLog) -> None:
    """ECDSA P-384 with SHA-384 over request ‖ response, under the first certificate's key.

    Never cached. Source: DMTF DSP0274, MEASUREMENTS signature (SPDM 1.1: no prefix).
    """
    check = f"{section}.signature"
    if not chain:
        log.not_run(check, "there is no certificate to check it with")
        return
    key = chain[0].public_key
    signature = report.signature
    holds = False
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP384R1):
        try:
            key.verify(
                encode_dss_signature(
                    int.from_bytes(signature[:48], "big"), int.from_bytes(signature[48:], "big")
                ),
                report.tbs,
                _SHA384,
            )
            holds = True
        except InvalidSignature:
            pass
    if holds:
        log.passed(check)
    else:
        log.failed(
            check,
            "nvidia.signature.invalid",
            where="report.signature",
            expected=f"by {chain[0].common_name.shown}",
        )


def _architecture(arch: str | None, device: Device, log: CheckLog) -> None:
    check = f"{device.family.section}.architecture"
    if arch is None:
        log.not_run(check, "no architecture stands beside the report")
        return
    log.require(
        check,
        architecture_named(arch) == device.family.architecture,
        "nvidia.device.architecture",
        where="arch",
        expected=device.family.architecture,
        found=arch,
    )


def _opaque(report: Report, section: Section, log: CheckLog) -> Opaque | None:
    check = f"{section}.opaque"
    try:
        opaque = Opaque.read(report.opaque, section)
    except Malformed as error:
        log.absorb(error, check)
        return None
    if opaque.unknown:
        log.warn("nvidia.opaque.unknown", where="opaque", found=", ".join(map(str, opaque.unknown)))
    log.passed(check)
    return opaque


def _fwid(opaque: Opaque, device: Device, log: CheckLog) -> None:
    """The firmware that made the report is the one the leaf was issued to."""
    check = f"{device.family.section}.fwid"
    if opaque.fwid is None:
        log.not_run(check, "the report carries no FWID (driver 535 and switches write none)")
        return
    log.require(
        check,
        device.fwid is not None and equal(opaque.fwid, device.fwid),
        "nvidia.fwid.mismatch",
        where="opaque.fwid",
        expected=device.fwid,
        found=opaque.fwid,
    )
