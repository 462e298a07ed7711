"""One set of evidence → Verified: dispatch to the vendors, then what must hold between the parts.

Pure: bytes, endorsements, anchors and a time in; a Verified out, or Rejected with every problem found.
Nothing vendor-specific is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from attest.anchors import Anchors
from attest.bind import bind, refuse_unasked
from attest.binding import Expected, equal, is_public_nonce
from attest.cache import Cache
from attest.checks import CheckLog
from attest.endorsements import Endorsements
from attest.errors import Rejected
from attest.eventlog.verify import check_event_logs
from attest.evidence import Evidence, PartResult
from attest.memory import Memory
from attest.parts import Part, device_names, numbered
from attest.problems import problem
from attest.verified import Verified, mint
from attest.x509 import simulator_role

_NOTHING = Expected()


def verify(
    evidence: Evidence,
    *,
    endorsements: Endorsements,
    at: datetime,
    expected: Expected | None = None,
    anchors: Anchors | None = None,
    cache: Cache | None = None,
    memory: Memory | None = None,
    cheapest_first: bool = False,
) -> Verified:
    """Verify all parts of one machine at the instant `at`.

    evidence: parsed, unverified. endorsements: whatever is at hand, of any vendor; only what leads to a
    pinned root counts. at: aware; every certificate, CRL, collateral and RIM is judged at it. expected:
    challenge, key or report data that the evidence must carry; without any the result warns
    `no-freshness`. anchors: None for the vendors' roots; a simulator's only through
    `Anchors.with_simulator`. cache: verified chains of earlier calls. memory: newest collateral seen; it
    comes back updated. cheapest_first: for a service that anybody may ask: end at the first of what costs least
    (the challenge, then the CPU, then devices) instead of finding everything there is to find.

    Raises Rejected with all problems found, and the checks that ran.
    """
    if at.tzinfo is None:
        raise ValueError("`at` needs a time zone")
    at = at.astimezone(UTC)
    expected = expected or _NOTHING
    anchors = anchors or Anchors.production()
    log = CheckLog()
    parts: list[Part] = []
    beneath: list[Part] = []
    used: list[PartResult] = []
    if cache is None and len(evidence.devices) > 1:
        # They share intermediates, manifests and OCSP answers: each is checked once.
        cache = Cache()

    if expected.gpu_nonce is not None and is_public_nonce(expected.gpu_nonce):
        log.failed("binding.gpu-nonce", "nonce.public-constant", found=expected.gpu_nonce)
    if expected.nonce is not None and is_public_nonce(expected.nonce):
        log.failed("binding.report-data", "nonce.public-constant", found=expected.nonce)

    if cheapest_first:
        refuse_unasked(evidence, expected, log)
        log.reject_if_bad()
    if evidence.cpu is not None:
        result = evidence.cpu.verify_with(
            endorsements=endorsements, anchors=anchors, at=at, log=log, cache=cache, memory=memory
        )
        if result is not None:
            used.append(result)
            parts.append(result.part)
            if result.beneath is not None:
                beneath.append(result.beneath)
    section = evidence.cpu.section if evidence.cpu is not None else ""
    boot = check_event_logs(evidence.event_logs, section, parts, beneath, log)
    if cheapest_first:
        log.reject_if_bad()
    places = numbered(device.section for device in evidence.devices)
    for device, (kind, index) in zip(evidence.devices, places, strict=True):
        result = device.verify_with(
            endorsements=endorsements,
            anchors=anchors,
            at=at,
            log=log.for_part(kind, index),
            cache=cache,
            memory=memory,
        )
        if result is not None:
            used.append(result)
            parts.append(result.part)
            if result.beneath is not None:
                beneath.append(result.beneath)
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
    if evidence.devices:
        from attest.nvidia.fabric import check_fabric  # what verified a device has loaded its vendor
        from attest.nvidia.facts import DevicePart

        check_fabric([part for part in parts if isinstance(part, DevicePart)], log)
    bound = bind(evidence, parts, expected, at, log)
    claims = {"binding": bound.claims, **boot}
    if memory is None and any(one.crls or one.documents for one in used):
        log.warn("collateral-memory-absent")
    simulated = any(part.simulated for part in parts)
    if simulated:
        log.warn("simulated")
    log.reject_if_bad()
    if expected.age_seconds is not None and bound.claims.get("nonce") == "true":
        claims["time"] = {"evidence-age": f"{expected.age_seconds}s"}
    return mint(
        at=at,
        simulated=simulated,
        parts=[*beneath, *parts],
        more_claims=claims,
        device_claims=bound.device_claims,
        more_raw={"binding": bound.raw} if bound.raw else {},
        log=log,
        remember=lambda: _updated(memory, used),
    )


def _updated(memory: Memory | None, used: Sequence[PartResult]) -> Memory:
    """The memory after what was used of each part."""
    kept = memory or Memory()
    for one in used:
        kept = kept.updated(one.crls, one.documents, one.crl_numbers)
    return kept


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
    names = device_names(part.section for part in devices)
    seen: dict[str, str] = {}
    for name, part in zip(names, devices, strict=True):
        if part.identity in seen:
            log.failed(
                "devices.distinct",
                "devices.duplicate",
                where=name,
                found=f"same device as {seen[part.identity]}: {part.identity}",
            )
        seen.setdefault(part.identity, name)
    log.passed("devices.distinct")
    for name, part in zip(names, devices, strict=True):
        if not equal(part.bound, devices[0].bound):
            log.failed(
                "devices.nonce",
                "devices.nonce",
                where=f"{name}.nonce",
                expected=devices[0].bound,
                found=part.bound,
            )
    log.passed("devices.nonce")
