"""Composite evidence of the guest protocol 0.4: one CPU, any number of devices.

`primary` is the CPU's evidence in the JSON form of its kind; `additional` is text, kept exactly as it came
because the CPU's report data covers it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from attest.azure.containers import TEES
from attest.azure.containers import is_evidence as is_azure
from attest.azure.containers import read_evidence as read_azure
from attest.canonical import read_json
from attest.endorsements import Endorsements
from attest.evidence import Evidence, Verifiable
from attest.problems import malformed
from attest.recognise import Found
from attest.snp.containers import read_report_document, write_report_document
from attest.snp.report import Report
from attest.x509 import Certificate

DEVICE_KINDS = ("nvidia",)
"""Names that may stand in additional evidence, each once. A CPU's name refuses."""


def read_composite(tee: str, primary: object, additional: str) -> tuple[Evidence, Endorsements]:
    """Parse what a guest sent.

    tee: `snp`, `tdx`, `az-snp-vtpm` or `az-tdx-vtpm` (or `azsnpvtpm`, `aztdxvtpm`), as the guest named it. primary: JSON value. additional: text, "" for none.
    Returns unverified evidence with `additional` set, and the endorsements that came along.
    Raises Malformed for another kind of TEE, or content that is not of its kind.
    """
    found = Found()
    _read_primary(tee, primary, found, "tee-evidence.primary_evidence")
    devices = read_additional(additional, where="tee-evidence.additional_evidence") if additional else ()
    (_, cpu), *_ = found.cpus
    evidence = Evidence(cpu, devices, additional, event_logs=tuple(found.event_logs))
    return evidence, found.endorsements()


def read_composite_document(document: Mapping[str, Any], found: Found, *, where: str) -> None:
    """The same from a file: {"primary_evidence": …, "additional_evidence": "…"}."""
    primary, additional = document["primary_evidence"], document["additional_evidence"]
    _read_primary(_tee_of(primary), primary, found, f"{where} primary_evidence")
    if not isinstance(additional, str):
        raise malformed("Additional evidence is text", where=f"{where} additional_evidence")
    devices = read_additional(additional, where=f"{where} additional_evidence") if additional else ()
    found.additional.append(additional)
    found._additional_devices = len(devices)
    found.add_devices(devices)


def read_additional(text: str, *, where: str) -> tuple[Verifiable, ...]:
    """Devices of the additional evidence: compact JSON, a map of kind → container.

    Raises Malformed on unknown kinds, on kinds given twice, and on an empty list of devices.
    """
    from attest.nvidia.containers import read_json as read_devices

    document = read_json(text, where=where)
    if not isinstance(document, dict) or not document:
        raise malformed("Additional evidence is a map of kind to evidence", where=where)
    devices: list[Verifiable] = []
    for kind, container in document.items():
        if kind not in DEVICE_KINDS:
            raise malformed(
                "Unknown kind of additional evidence",
                where=where,
                expected=", ".join(DEVICE_KINDS),
                found=kind,
            )
        if not isinstance(container, dict) or "device_evidence_list" not in container:
            raise malformed("Device evidence is a list under device_evidence_list", where=f"{where} {kind}")
        read = read_devices(container, f"{where} {kind}")
        if not read:
            raise malformed("Device evidence is empty", where=f"{where} {kind}")
        devices += read
    return tuple(devices)


def write_primary(
    tee: Literal["snp", "tdx"],
    raw: bytes,
    certificates: Iterable[Certificate] = (),
    event_log: bytes | None = None,
) -> dict[str, Any]:
    """The JSON form of a raw report or quote, as guests send it. event_log: CCEL data of a TD."""
    if tee == "snp":
        return write_report_document(Report.parse(raw), certificates)
    logged = None if event_log is None else base64.b64encode(event_log).decode()
    return {"quote": base64.b64encode(raw).decode(), "cc_eventlog": logged}


def _tee_of(primary: object) -> str:
    """What a file's primary evidence is, by its members."""
    if not isinstance(primary, dict):
        return "tdx"
    if is_azure(primary):
        return "az-tdx-vtpm" if "td_quote" in primary else "az-snp-vtpm"
    return "snp" if "attestation_report" in primary else "tdx"


def _read_primary(tee: str, primary: object, found: Found, where: str) -> None:
    if not isinstance(primary, dict):
        raise malformed("Evidence is an object", where=where)
    if tee in TEES:
        evidence, certificates = read_azure(primary, where=where, kind=TEES[tee])
        found.add_cpu(where, evidence)
        found.certificates += certificates
        return
    if tee == "snp" and isinstance(primary.get("attestation_report"), dict):
        report, certificates = read_report_document(primary, where=where)
        found.add_cpu(where, report)
        found.certificates += certificates
        return
    if tee == "tdx" and "quote" in primary:
        from attest.eventlog.containers import read_json as read_event_log
        from attest.tdx.containers import read_json as read_quote
        from attest.tdx.quote import Quote

        raw = read_quote(primary, where)
        if raw is not None:
            found.add_cpu(where, Quote.parse(raw))
            event_log = read_event_log(primary, where)
            if event_log is not None:
                found.add_event_log(event_log)
            return
    raise malformed("Not evidence of this kind of TEE", where=where, expected=tee)
