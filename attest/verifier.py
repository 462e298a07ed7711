"""One set of evidence → Verified: dispatch to the vendors, then what must hold between the parts.

Pure: bytes, endorsements, anchors and a time in; a Verified out, or Rejected with every problem found.
Nothing vendor-specific is decided here.
"""

from __future__ import annotations

from datetime import UTC, datetime

from attest.anchors import Anchors
from attest.binding import Expected, device_nonce, equal, is_public_nonce, report_data
from attest.cache import Cache
from attest.checks import CheckLog
from attest.claims import duration, flag
from attest.composite import read_additional
from attest.endorsements import Endorsements
from attest.errors import Malformed, Rejected
from attest.evidence import Evidence
from attest.memory import Memory
from attest.parts import Part
from attest.problems import problem
from attest.verified import Verified, mint
from attest.x509 import simulator_role


def verify(
    evidence: Evidence,
    *,
    endorsements: Endorsements,
    at: datetime,
    expected: Expected | None = None,
    anchors: Anchors | None = None,
    cache: Cache | None = None,
    memory: Memory | None = None,
) -> Verified:
    """Verify all parts of one machine at the instant `at`.

    evidence: parsed, unverified. endorsements: whatever is at hand, of any vendor; only what leads to a
    pinned root counts. at: aware; every certificate, CRL, collateral and RIM is judged at it. expected:
    challenge, key or report data that the evidence must carry; without any the result warns
    `no-freshness`. anchors: None for the vendors' roots; a simulator's only through
    `Anchors.with_simulator`. cache: verified chains of earlier calls. memory: newest collateral seen; it
    comes back updated.

    Raises Rejected with all problems found, and the checks that ran.
    """
    if at.tzinfo is None:
        raise ValueError("`at` needs a time zone")
    at = at.astimezone(UTC)
    expected = expected or Expected()
    anchors = anchors or Anchors.production()
    log = CheckLog()
    parts: list[Part] = []
    kept = memory or Memory()
    crls: dict[bytes, datetime] = {}
    documents: dict[tuple[str, str, int], datetime] = {}

    if expected.gpu_nonce is not None and is_public_nonce(expected.gpu_nonce):
        log.failed("binding.gpu-nonce", "nonce.public-constant", found=expected.gpu_nonce)
    if expected.nonce is not None and is_public_nonce(expected.nonce):
        log.failed("binding.report-data", "nonce.public-constant", found=expected.nonce)

    if evidence.cpu is not None:
        result = evidence.cpu.verify_with(
            endorsements=endorsements, anchors=anchors, at=at, log=log, cache=cache, memory=memory
        )
        if result is not None:
            parts.append(result.part)
            crls.update(result.crls)
            documents.update(result.documents)
    for index, device in enumerate(evidence.devices):
        result = device.verify_with(
            endorsements=endorsements,
            anchors=anchors,
            at=at,
            log=log.for_part(device.section, index),
            cache=cache,
            memory=memory,
        )
        if result is not None:
            parts.append(result.part)
            crls.update(result.crls)
    if not log.good:
        if _simulator_unnamed(endorsements, anchors):
            log.problems.insert(0, problem("evidence.simulated"))
        for check in ("binding.report-data", "binding.gpu-nonce", "binding.gpu-to-cpu"):
            if check != "binding.report-data" and not evidence.devices:
                continue
            log.not_run(check, "the evidence was refused before")
    log.reject_if_bad()
    if not parts:
        raise Rejected([problem("evidence.missing")], checks=log.records())
    if len(parts) != (evidence.cpu is not None) + len(evidence.devices):
        # A vendor's verifier that hands back nothing and says nothing must not make a part disappear.
        raise Rejected(
            [problem("evidence.missing", message="A part of the evidence was not verified")],
            checks=log.records(),
        )

    _distinct(parts, log)
    claims = _bind(evidence, parts, expected, log)
    if (crls or documents) and memory is None:
        log.warn("collateral-memory-absent")
    if any(part.simulated for part in parts):
        log.warn("simulated")
    log.reject_if_bad()

    oldest = [part.oldest for part in parts if part.oldest is not None]
    times: dict[str, str] = {}
    if expected.age_seconds is not None and claims["binding"].get("nonce") == "true":
        times["evidence-age"] = f"{expected.age_seconds}s"
    if oldest:
        times["collateral-age"] = duration(at - min(oldest))
    if times:
        claims["time"] = times
    return mint(
        at=at,
        parts=parts,
        more_claims=claims,
        log=log,
        memory=kept.updated(crls, documents),
    )


def _simulator_unnamed(endorsements: Endorsements, anchors: Anchors) -> bool:
    """Whether a refusal is best explained by a simulator's root that the caller did not name."""
    return not anchors.simulated and any(
        simulator_role(certificate) is not None for certificate in endorsements.certificates
    )


def _distinct(parts: list[Part], log: CheckLog) -> None:
    """No device may stand for two (T-DUP), and all answer one challenge."""
    devices = [part for part in parts if part.section in ("gpu", "switch")]
    if len(devices) < 2:
        return
    seen: dict[str, int] = {}
    for index, part in enumerate(devices):
        if part.identity in seen:
            log.failed(
                "devices.distinct",
                "devices.duplicate",
                where=f"{part.section}[{index}]",
                found=f"same device as {part.section}[{seen[part.identity]}]: {part.identity}",
            )
        seen.setdefault(part.identity, index)
    log.passed("devices.distinct")
    for index, part in enumerate(devices):
        if not equal(part.bound, devices[0].bound):
            log.failed(
                "devices.nonce",
                "devices.nonce",
                where=f"{part.section}[{index}].nonce",
                expected=devices[0].bound,
                found=part.bound,
            )
    log.passed("devices.nonce")


def _bind(
    evidence: Evidence, parts: list[Part], expected: Expected, log: CheckLog
) -> dict[str, dict[str, str]]:
    """Compare what the parts carry with what was asked for, and the CPU with its devices.

    Source: RFC 9334 §10 (freshness); guest protocol 0.4 for the layout.
    """
    cpu = next((part for part in parts if part.section not in ("gpu", "switch")), None)
    devices = [part for part in parts if part.section in ("gpu", "switch")]
    additional = evidence.additional
    binding: dict[str, str] = {}
    cpu_covers_devices = False

    wanted: bytes | None = None
    if expected.report_data is not None:
        wanted = expected.report_data.ljust(64, b"\0")
    elif expected.nonce is not None:
        wanted = report_data(expected.challenge, expected.key, additional or "")
    if wanted is None:
        log.not_run("binding.report-data", "no nonce, key or report data was expected")
    elif cpu is None and expected.report_data is not None:
        log.failed("binding.report-data", "binding.no-evidence", expected="CPU evidence")
    elif cpu is None:
        log.not_run("binding.report-data", "there is no CPU evidence")
    else:
        bound = log.require(
            "binding.report-data",
            equal(cpu.bound, wanted),
            "binding.report-data",
            expected=wanted,
            found=cpu.bound,
            where="report_data",
        )
        if expected.nonce is not None:
            binding["nonce"] = flag(bound)
            binding["key"] = flag(bound and expected.key is not None)
            cpu_covers_devices = bound and bool(devices) and _devices_are(evidence, additional)

    asked = expected.gpu_nonce
    if asked is None and expected.nonce is not None:
        asked = device_nonce(expected.challenge, expected.key)
    if expected.gpu_nonce is not None and not devices:
        log.failed("binding.gpu-nonce", "binding.no-evidence", expected="device evidence")
    for index, device in enumerate(devices):
        if asked is None:
            log.not_run("binding.gpu-nonce", "no nonce was expected")
            if is_public_nonce(device.bound):
                log.warn("nonce.public-sample", where=f"{device.section}[{index}].nonce", found=device.bound)
            continue
        same = log.require(
            "binding.gpu-nonce",
            equal(device.bound, asked),
            "binding.gpu-nonce",
            expected=asked,
            found=device.bound,
            where=f"{device.section}[{index}].nonce",
        )
        if cpu is None:
            binding["nonce"] = flag(same)
    if cpu is not None and devices:
        if expected.nonce is None:
            # Unknown, not false: only the challenge tells what the report data covers.
            log.not_run(
                "binding.gpu-to-cpu", "no nonce was expected: give the one the machine was asked with"
            )
        else:
            binding["gpu-to-cpu"] = flag(cpu_covers_devices)
            if cpu_covers_devices:
                log.passed("binding.gpu-to-cpu")
            else:
                log.not_run("binding.gpu-to-cpu", "the devices did not come inside the CPU's evidence")
    if not expected.anything:
        log.warn("no-freshness")
    if expected.protocol is not None:
        binding["protocol"] = expected.protocol
    if expected.init_data is not None:
        binding["init-data"] = expected.init_data.hex()
    return {"binding": binding}


def _devices_are(evidence: Evidence, additional: str | None) -> bool:
    """Whether the devices are those written in the text that the CPU's report data covers.

    Asked here although `attest.composite` read them from it: an Evidence put together otherwise must not
    borrow the binding of another text.
    """
    if not additional:
        return False
    try:
        return read_additional(additional, where="additional evidence") == evidence.devices
    except Malformed:
        return False
