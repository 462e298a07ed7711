"""Compare what the parts carry with what was asked for, and the CPU with its devices.

Source: RFC 9334 §10 (freshness); guest protocol 0.4 and `attest.site` for the layouts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from attest.azure.bind import bind_quote
from attest.azure.facts import AzurePart
from attest.binding import (
    STRENGTHS,
    Expected,
    device_nonce,
    domain_of,
    equal,
    expected_report_data,
    is_public_nonce,
)
from attest.checks import CheckLog
from attest.claims import duration, flag, instant
from attest.composite import read_additional
from attest.errors import Malformed
from attest.evidence import Evidence
from attest.init_data import carries_init_data
from attest.parts import Part, device_names

MAX_AHEAD = timedelta(seconds=120)
"""How far a site's clock may be ahead of ours."""


@dataclass
class Bound:
    """claims: of the section `binding`. device_claims: what every device gets besides its own. raw: in words."""

    claims: dict[str, str] = field(default_factory=dict)
    device_claims: dict[str, str] = field(default_factory=dict)
    raw: dict[str, str] = field(default_factory=dict)


def bind(evidence: Evidence, parts: Sequence[Part], expected: Expected, at: datetime, log: CheckLog) -> Bound:
    """Record the checks of freshness and binding in `log`; claims of what holds.

    parts: of the CPU, where there is one, and of each device, as they stand in `evidence`.
    """
    cpu = parts[0] if evidence.cpu is not None else None
    devices = parts if cpu is None else parts[1:]
    bound = Bound()
    site = _site(evidence, expected, at, bound, log)
    covered = _bind_cpu(evidence, cpu, expected, bound, log)
    _bind_devices(evidence, cpu, devices, expected, bound, log)
    if site and not (covered and expected.origin is not None):
        # Nothing of a statement that no report covers is anybody's word.
        bound.device_claims.clear()
        bound.raw.clear()
    if cpu is not None and devices:
        _strength(evidence, cpu, devices, covered, expected, bound, log)
    if not expected.anything:
        log.warn("no-freshness")
    if expected.protocol is not None:
        bound.claims["protocol"] = expected.protocol
    if expected.init_data is not None and cpu is not None and carries_init_data(cpu, expected.init_data):
        bound.claims["init-data"] = expected.init_data.hex()
    return bound


def refuse_unasked(evidence: Evidence, expected: Expected, log: CheckLog) -> None:
    """Refuse what does not even say that it answers our challenge and key, before a signature of it is checked.

    Nothing passes here, for nobody signed it yet; `bind` asks again what was verified. Only for a broker's guests.
    """
    if expected.nonce is None or expected.origin is not None:
        return
    wanted = expected_report_data(expected, evidence.additional or "")
    cpu = evidence.cpu
    if cpu is not None and cpu.section == "azure":
        if not equal(cpu.bound, wanted[:48]):
            log.failed(
                "azure.tpm.extra-data",
                "azure.tpm.extra-data",
                where="tpm.extraData",
                expected=wanted[:48],
                found=cpu.bound,
            )
    elif cpu is not None and not equal(cpu.bound, wanted):
        log.failed(
            "binding.report-data",
            "binding.report-data",
            where="report_data",
            expected=wanted,
            found=cpu.bound,
        )
        if domain_of(cpu.bound) != domain_of(wanted):
            log.failed(
                "binding.domain", "binding.domain", expected=domain_of(wanted), found=domain_of(cpu.bound)
            )
    asked = device_nonce(expected.challenge, expected.key)
    devices = evidence.devices
    for name, device in zip(device_names(one.section for one in devices), devices, strict=True):
        if not equal(device.bound, asked):
            log.failed(
                "binding.gpu-nonce",
                "binding.gpu-nonce",
                where=f"{name}.nonce",
                expected=asked,
                found=device.bound,
            )


def _site(evidence: Evidence, expected: Expected, at: datetime, bound: Bound, log: CheckLog) -> bool:
    """Checks of a site's statement; whether evidence and caller both speak of a site."""
    site, origin = evidence.site, expected.origin
    if site is None and origin is None:
        return False
    if site is None or (origin is None and expected.nonce is not None):
        log.failed(
            "binding.domain",
            "binding.domain",
            expected="a site's evidence" if origin is not None else "evidence for a broker",
            found="a site's evidence" if site is not None else "no statement of a site",
        )
        return False
    if origin is None:
        log.not_run("binding.origin", "no origin was expected")
    else:
        log.require(
            "binding.origin",
            origin in site.origins,
            "binding.origin",
            expected=origin,
            found=", ".join(site.origins),
        )
    log.require(
        "binding.epoch",
        site.epoch_time <= at + MAX_AHEAD,
        "binding.epoch",
        expected=f"until {instant(at + MAX_AHEAD)}",
        found=instant(site.epoch_time),
    )
    if expected.key is not None:
        same = dict(expected.key) == dict(site.key)
        log.require("binding.site-key", same, "binding.site-key", expected=expected.key, found=dict(site.key))
    bound.device_claims["evidence-age"] = duration(at - site.epoch_time)
    bound.raw |= {"use": site.use, "origins": " ".join(site.origins), "epoch-time": instant(site.epoch_time)}
    return True


def _bind_cpu(evidence: Evidence, cpu: Part | None, expected: Expected, bound: Bound, log: CheckLog) -> bool:
    """Whether the CPU's report data is what our challenge, key and the evidence beside it make."""
    check = "binding.report-data"
    wanted: bytes | None = None
    site = evidence.site if expected.origin is not None else None
    if expected.report_data is not None:
        wanted = expected.report_data.ljust(64, b"\0")
    elif site is not None:
        wanted = site.report_data(expected.challenge, evidence.additional or "")
    elif expected.nonce is not None:
        wanted = expected_report_data(expected, evidence.additional or "")
    if isinstance(cpu, AzurePart):
        return _bind_azure(cpu, wanted, site is not None, expected, bound, log)
    if expected.tpm_nonce is not None:
        log.failed("azure.tpm.extra-data", "binding.no-evidence", expected="a TPM quote of an Azure machine")
    if wanted is None:
        log.not_run(check, "no nonce, key or report data was expected")
        return False
    if cpu is None:
        if expected.report_data is not None or site is not None:
            log.failed(check, "binding.no-evidence", expected="CPU evidence")
        else:
            log.not_run(check, "there is no CPU evidence")
        return False
    asked_in, made_in = domain_of(wanted), domain_of(cpu.bound)
    if asked_in != made_in and expected.nonce is not None:
        log.failed("binding.domain", "binding.domain", expected=asked_in, found=made_in)
    same = log.require(
        check,
        equal(cpu.bound, wanted),
        "binding.report-data",
        expected=wanted,
        found=cpu.bound,
        where="report_data",
    )
    if expected.nonce is not None:
        log.passed("binding.domain")
        bound.claims["nonce"] = flag(same)
        bound.claims["key"] = flag(same and (site is not None or expected.key is not None))
    return same


def _bind_azure(
    cpu: AzurePart, wanted: bytes | None, site: bool, expected: Expected, bound: Bound, log: CheckLog
) -> bool:
    same = bind_quote(cpu, wanted, expected, log)
    if expected.nonce is not None or expected.tpm_nonce is not None:
        bound.claims["nonce"] = flag(same)
    if expected.nonce is not None:
        bound.claims["key"] = flag(same and (site or expected.key is not None))
    return same


def _bind_devices(
    evidence: Evidence,
    cpu: Part | None,
    devices: Sequence[Part],
    expected: Expected,
    bound: Bound,
    log: CheckLog,
) -> None:
    asked = expected.gpu_nonce
    if asked is None and evidence.site is not None and expected.origin is not None:
        asked = evidence.site.device_nonce()
    elif asked is None and expected.nonce is not None:
        asked = device_nonce(expected.challenge, expected.key)
    if expected.gpu_nonce is not None and not devices:
        log.failed("binding.gpu-nonce", "binding.no-evidence", expected="device evidence")
    for name, device in zip(device_names(one.section for one in devices), devices, strict=True):
        if asked is None:
            log.not_run("binding.gpu-nonce", "no nonce was expected")
            if is_public_nonce(device.bound):
                log.warn("nonce.public-sample", where=f"{name}.nonce", found=device.bound)
            continue
        same = log.require(
            "binding.gpu-nonce",
            equal(device.bound, asked),
            "binding.gpu-nonce",
            expected=asked,
            found=device.bound,
            where=f"{name}.nonce",
        )
        if cpu is None:
            bound.claims["nonce"] = flag(same)


def _strength(
    evidence: Evidence,
    cpu: Part,
    devices: Sequence[Part],
    covered: bool,
    expected: Expected,
    bound: Bound,
    log: CheckLog,
) -> None:
    """How firmly the devices are tied to the CPU, and the limit of that in words."""
    check = "binding.gpu-to-cpu"
    covers = covered and expected.covers_devices and expected.nonce is not None and _devices_are(evidence)
    if covers:
        strength = "covered"
    elif (covered and expected.nonce is not None and log.good) or all(
        _from_report_data(device.bound, cpu.bound) for device in devices
    ):
        strength = "same-challenge"
    else:
        strength = "none"
    bound.claims["gpu-strength"] = strength
    bound.raw["gpu-to-cpu"] = STRENGTHS[strength]
    if expected.nonce is None:
        # Unknown, not false: only the challenge tells what the report data covers.
        log.not_run(check, "no nonce was expected: give the one the machine was asked with")
        return
    bound.claims["gpu-to-cpu"] = flag(covers)
    if covers:
        log.passed(check)
    else:
        log.not_run(check, "the devices did not come inside the CPU's evidence")


def _from_report_data(nonce: bytes, bound: bytes) -> bool:
    """Whether a device was asked with 32 bytes of the CPU's own report data, as some guests do."""
    return any(nonce) and (equal(nonce, bound[:32]) or equal(nonce, bound[32:64]))


def _devices_are(evidence: Evidence) -> bool:
    """Whether the devices are those written in the text that the CPU's report data covers.

    Asked here although `attest.composite` read them from it: an Evidence put together otherwise must not
    borrow the binding of another text.
    """
    if not evidence.additional:
        return False
    try:
        return read_additional(evidence.additional, where="additional evidence") == evidence.devices
    except Malformed:
        return False
