"""Documents that carry device evidence, and one device's evidence taken out of them.

Nothing written beside a report is believed: a nonce there is decoration, versions there are ignored, an
architecture there can only contradict the certificates.
Source: NVIDIA attestation SDK evidence lists; CoCo device evidence; NRAS request bodies.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from attest import strict_base64
from attest.anchors import Anchors
from attest.cache import Cache
from attest.canonical import read_json as read_json_text
from attest.checks import CheckLog
from attest.endorsements import Endorsements
from attest.evidence import PartResult
from attest.memory import Memory
from attest.nvidia.family import Family, Section, section_of_architecture
from attest.nvidia.spdm import Report, decode_report
from attest.nvidia.verify import verify_device
from attest.problems import malformed
from attest.x509 import Certificate, parse_certificates

MAX_DEVICES = 16
MAX_CHAIN = 16 << 10
_SWITCH_BLOCKS = 31
_LISTS = ("evidences", "device_evidence_list", "evidence_list")


@dataclass(frozen=True, slots=True)
class DeviceEvidence:
    """One device: its report, its chain as sent (leaf first), and the architecture written beside it.

    chain: None where it comes with the endorsements. arch: as written, or None.
    """

    report: Report
    chain: tuple[Certificate, ...] | None = None
    arch: str | None = None

    @classmethod
    def parse(cls, data: bytes) -> DeviceEvidence:
        """A report file of its own: raw, hex, base64 or base64 of hex; its chain comes separately.

        Raises Malformed.
        """
        return cls(Report.parse(decode_report(data)))

    @property
    def section(self) -> Section:
        """gpu or switch, as far as unverified bytes tell; `verify_with` refuses when certificates disagree."""
        if self.chain:
            family = Family.of_name(self.chain[0].common_name)
            if family is not None:
                return family.section
        if self.arch is not None:
            section = section_of_architecture(self.arch)
            if section is not None:
                return section
        return "switch" if len(self.report.measurements) == _SWITCH_BLOCKS else "gpu"

    @property
    def bound(self) -> bytes:
        return self.report.request_nonce

    def verify_with(
        self,
        *,
        endorsements: Endorsements,
        anchors: Anchors,
        at: datetime,
        log: CheckLog,
        cache: Cache | None,
        memory: Memory | None,
    ) -> PartResult | None:
        """See `attest.nvidia.verify.verify_device`."""
        return verify_device(
            self.report,
            self.chain,
            self.section,
            arch=self.arch,
            endorsements=endorsements,
            anchors=anchors,
            at=at,
            log=log,
            cache=cache,
            memory=memory,
        )


def read_json(document: Any, where: str) -> tuple[DeviceEvidence, ...] | None:
    """The devices in a JSON document, in its order; None when it is another kind of document.

    document: as `attest.canonical.read_json` gives it: a list of entries `{evidence, certificate, arch}`,
    or an object that holds one as `evidences`, `device_evidence_list` or `evidence_list`, or, as text, as
    `nvidia_payload`. Raises Malformed for a list that is empty, too long or broken.
    """
    entries, arch = _entries(document, where)
    if entries is None:
        return None
    if not entries:
        raise malformed("The device evidence lists no device", where=where, code="nvidia.no-devices")
    if len(entries) > MAX_DEVICES:
        _refuse(where, f"at most {MAX_DEVICES} devices", len(entries))
    return tuple(_device(entry, arch, f"{where}[{index}]") for index, entry in enumerate(entries))


def _entries(document: Any, where: str) -> tuple[list[Any] | None, str | None]:
    if isinstance(document, list):
        first = document[0] if document else {"evidence": ""}
        return (document if isinstance(first, dict) and "evidence" in first else None), None
    if not isinstance(document, dict):
        return None, None
    payload = document.get("nvidia_payload")
    if isinstance(payload, str):
        where = f"{where}.nvidia_payload"
        document = read_json_text(payload, where=where, limit=MAX_DEVICES << 19)
        if not isinstance(document, dict) or "evidence_list" not in document:
            _refuse(where, "an object with evidence_list", type(document).__name__)
    held = [name for name in _LISTS if name in document]
    if not held:
        return None, None
    entries = document[held[0]]
    if len(held) > 1 or not isinstance(entries, list):
        _refuse(f"{where}.{held[0]}", "one list of devices", " and ".join(held))
    return entries, _arch(document, where)


def _device(entry: Any, arch: str | None, where: str) -> DeviceEvidence:
    if not isinstance(entry, dict):
        _refuse(where, "an object", type(entry).__name__)
    evidence = entry.get("evidence")
    if not isinstance(evidence, str):
        _refuse(f"{where}.evidence", "text", type(evidence).__name__)
    report = Report.parse(decode_report(evidence.encode("utf-8", "replace")))
    return DeviceEvidence(report, _chain(entry, where), _arch(entry, where) or arch)


def _chain(entry: Mapping[str, Any], where: str) -> tuple[Certificate, ...] | None:
    """PEM, or base64 of PEM; no member means that the chain comes with the endorsements."""
    if "certificate" not in entry:
        return None
    text = entry["certificate"]
    where = f"{where}.certificate"
    if not isinstance(text, str):
        _refuse(where, "text", type(text).__name__)
    if not text:
        return ()
    pem = text.encode("utf-8", "replace")
    if not pem.lstrip().startswith(b"-----BEGIN"):
        try:
            pem = strict_base64.decode(pem)
        except binascii.Error:
            _refuse(where, "base64 of PEM", text[:16])
    if len(pem) > MAX_CHAIN:
        _refuse(where, f"≤ {MAX_CHAIN} bytes", len(pem))
    return parse_certificates(pem, where=where)


def _arch(holder: Mapping[str, Any], where: str) -> str | None:
    arch = holder.get("arch")
    if arch is not None and not isinstance(arch, str):
        _refuse(f"{where}.arch", "text", type(arch).__name__)
    return arch


def _refuse(where: str, expected: object, found: object) -> NoReturn:
    raise malformed(
        "The device evidence document is not built as its kind is",
        where=where,
        expected=expected,
        found=found,
        code="nvidia.container",
    )
