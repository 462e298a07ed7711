"""Recognise any file of the field by its content and sort it into evidence and endorsements.

Names and extensions say nothing. One encoding is decided for a file and decoded strictly; there is no
trial and error on bytes that could be two things. Pure: bytes in, `Found` out.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from attest import strict_base64
from attest.azure.ak import is_padded, read_certificate
from attest.azure.containers import is_evidence as is_azure
from attest.azure.containers import is_tpm_quote, read_tpm_quote
from attest.azure.containers import read_evidence as read_azure
from attest.azure.hcl import MAGIC as HCL_MAGIC
from attest.azure.hcl import HclReport
from attest.azure.parts import AzureParts
from attest.azure.tpm import MAGIC as TPM_MAGIC
from attest.azure.tpm import bare_signature
from attest.azure.yaml_text import is_yaml, read_yaml
from attest.bundle import is_bundle, read_bundle
from attest.canonical import read_json
from attest.dsse import Envelope, is_envelope, media_type
from attest.endorsements import Endorsements, SignedDocument
from attest.errors import Malformed
from attest.eventlog.log import EventLog, is_event_log
from attest.evidence import Evidence, Verifiable
from attest.problems import malformed, problem
from attest.site import SiteStatement
from attest.snp.containers import is_report_document, read_report_document
from attest.snp.report import SIZE as SNP_SIZE
from attest.snp.report import Report
from attest.x509 import Certificate, Crl, pem_blocks

if TYPE_CHECKING:
    from attest.eventlog.ccel import CcelTable
    from attest.nvidia.rim import Rim

MAX_FILE = 16 << 20

_HEX = re.compile(rb"(?:0x)?[0-9a-fA-F\s]+\Z")
# Possessive: a run of white space is read once, not once for each place where it may begin.
_BASE64 = re.compile(rb"[A-Za-z0-9+/\s]++={0,2}\s*+\Z")
_WHITE = b" \t\n\r\v\f"
_RSA_SIGNATURE = 256
_SPDM_REQUEST = b"\x11\xe0"


_MOST = {
    "cpus": 16,
    "event_logs": 16,
    "devices": 16,
    "certificates": 512,
    "crls": 64,
    "documents": 64,
    "rims": 64,
    "ocsp": 64,
}
"""More than one machine needs. Each costs signatures to check; CPU evidence and logs are compared with all
before them."""


_ENDORSING = ("certificates", "crls", "documents", "rims", "ocsp")
"""Members of Endorsements, in their order."""


@dataclass
class Found:
    """What the files of one verification hold, in the order they were given.

    bounded: whether to refuse more than one machine needs; a service's folder serves many machines.
    sealed: signed bundles, not opened: whoever has the keys takes them out before he asks for endorsements.
    """

    cpus: list[tuple[str, Verifiable]] = field(default_factory=list)
    devices: list[Verifiable] = field(default_factory=list)
    additional: list[str] = field(default_factory=list)
    certificates: list[Certificate] = field(default_factory=list)
    crls: list[Crl] = field(default_factory=list)
    documents: list[SignedDocument] = field(default_factory=list)
    rims: list[Rim | bytes] = field(default_factory=list)
    ocsp: list[bytes] = field(default_factory=list)
    event_logs: list[EventLog] = field(default_factory=list)
    tables: list[CcelTable] = field(default_factory=list)
    sites: list[SiteStatement] = field(default_factory=list)
    azure: AzureParts = field(default_factory=AzureParts)
    sealed: list[tuple[str, Envelope]] = field(default_factory=list)
    bounded: bool = True

    def check_bounds(self, where: str) -> None:
        """Raises Malformed when there is more of a kind than any machine needs."""
        for kind, most in _MOST.items():
            if self.bounded and len(getattr(self, kind)) > most:
                raise malformed(
                    "Too much for one machine",
                    where=where,
                    expected=f"≤ {most} {kind}",
                    found=len(getattr(self, kind)),
                    code="evidence.too-large",
                )

    def add_cpu(self, where: str, cpu: Verifiable) -> None:
        """The same evidence given twice (alone and inside a container) counts once."""
        if all(cpu != other for _, other in self.cpus):
            self.cpus.append((where, cpu))

    def add_event_log(self, log: EventLog) -> None:
        """The same log given twice (alone and inside a container) counts once."""
        if log not in self.event_logs:
            self.event_logs.append(log)

    def add_devices(self, devices: tuple[Verifiable, ...]) -> None:
        self.devices += devices

    def add_endorsements(self, endorsements: Endorsements) -> None:
        self.certificates += endorsements.certificates
        self.crls += endorsements.crls
        self.documents += endorsements.documents
        self.rims += endorsements.rims
        self.ocsp += endorsements.ocsp

    def counts(self) -> dict[str, int]:
        """How much of each kind there is, for `since`."""
        kinds = ("cpus", "devices", "sites", "event_logs", "tables", "sealed", *_ENDORSING)
        return {kind: len(getattr(self, kind)) for kind in kinds}

    def since(self, before: dict[str, int]) -> Endorsements | None:
        """What came since those counts; None where it was anything but endorsements, or nothing new."""
        now = self.counts()
        if any(now[kind] != before[kind] for kind in now if kind not in _ENDORSING) or now == before:
            return None
        return Endorsements(*(tuple(getattr(self, kind)[before[kind] :]) for kind in _ENDORSING))

    def evidence(self) -> Evidence:
        """One machine. Raises Malformed when there is none, or more than one."""
        self.cpus = self.azure.put_together(self.cpus, self.certificates)
        self.azure = AzureParts()
        if len(self.cpus) > 1:
            raise Malformed(
                problem(
                    "evidence.several",
                    expected="one report or quote",
                    found=", ".join(f"{cpu.section} in {where}" for where, cpu in self.cpus),
                )
            )
        if len(self.additional) > 1 or (self.additional and len(self.devices) > self._additional_devices):
            raise Malformed(
                problem("evidence.several", expected="devices inside the composite evidence, or beside it")
            )
        if not self.cpus and not self.devices:
            raise Malformed(problem("evidence.missing"))
        cpu = self.cpus[0][1] if self.cpus else None
        if len(self.sites) > 1 or (self.sites and cpu is None):
            raise Malformed(problem("evidence.several", expected="one site's statement, with CPU evidence"))
        of_tpm = sum(log.form == "tpm" for log in self.event_logs)
        if of_tpm > 1 or len(self.event_logs) - of_tpm > 1:
            raise Malformed(problem("evidence.several", expected="one event log of a TD, one of a TPM"))
        return Evidence(
            cpu,
            tuple(self.devices),
            self.additional[0] if self.additional else None,
            self.sites[0] if self.sites else None,
            tuple(self.event_logs),
        )

    _additional_devices: int = 0
    # Manifests share their intermediates: by their bytes, so that each is parsed once.
    _signers: dict[bytes, Certificate] = field(default_factory=dict)

    def endorsements(self) -> Endorsements:
        """Raises Malformed (`bundle.key-missing`) while a signed bundle lies unopened among them."""
        if self.sealed:
            raise Malformed(*(problem("bundle.key-missing", where=name) for name, _ in self.sealed))
        return Endorsements(
            tuple(dict.fromkeys(self.certificates)),
            tuple({crl.der: crl for crl in self.crls}.values()),
            tuple(dict.fromkeys(self.documents)),
            tuple(dict.fromkeys(self.rims)),
            tuple(dict.fromkeys(self.ocsp)),
        )


def recognise(name: str, data: bytes, found: Found) -> None:
    """Add what `data` holds to `found`. name: for messages. Raises Malformed when it is nothing known."""
    _recognise(name, data, found)
    found.check_bounds(name)


def _recognise(name: str, data: bytes, found: Found) -> None:
    if len(data) > MAX_FILE:
        raise Malformed(problem("evidence.too-large", where=name, expected=f"≤ {MAX_FILE}", found=len(data)))
    if not data.strip(b"\0 \t\r\n"):
        raise malformed(
            "The file holds nothing but zeros and white space" if data else "The file is empty",
            where=name,
            expected="evidence or an endorsement",
            found=f"{len(data)} bytes",
        )
    if _binary(name, data, found):
        return
    text = data.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith((b"{", b"[", b'"')):
        _json(name, data, found)
    elif text.startswith(b"<"):
        _rim(name, data, found)
    elif text.startswith(b"-----BEGIN"):
        _pem(name, data.removeprefix(b"\xef\xbb\xbf"), found)
    elif is_yaml(data):
        _azure_document(name, read_yaml(data, where=name), found)
    elif b"-----BEGIN " in data:
        # Such as `openssl s_client` prints: refused, with the line of the first words beside the blocks.
        _pem(name, data, found)
    else:
        _encoded(name, data, found)


def _binary(name: str, data: bytes, found: Found) -> bool:
    """Raw structures, told by their first bytes; False when the file is text or unknown."""
    if data[:1] == b"\x30" and _is_der(data):
        _der(name, data, found)
    elif data[:4] == HCL_MAGIC:
        found.azure.hcl.append(HclReport.parse(data))
    elif data[:4] == TPM_MAGIC:
        found.azure.messages.append(data)
    elif is_padded(data):
        found.azure.certificates.append(read_certificate(data, where=name))
    elif is_event_log(data):
        found.add_event_log(EventLog.parse(data, name))
    elif data[:4] == b"CCEL" and len(data) == 56:
        from attest.eventlog.ccel import CcelTable

        found.tables.append(CcelTable.parse(data, name))
    elif (
        len(data) >= 4
        and data[2:4] == b"\0\0"
        and data[0] < 0x80
        and data[1] == 0
        and len(data) <= 2 * SNP_SIZE
    ):
        found.add_cpu(name, Report.parse(data))
    elif data[:2] == _SPDM_REQUEST:
        from attest.nvidia.containers import DeviceEvidence

        found.add_devices((DeviceEvidence.parse(data),))
    elif len(data) >= 48 and data[1] == 0 and data[0] <= 0x20 and data[3] == 0 and data[2] <= 0x10:
        from attest.tdx.quote import Quote

        found.add_cpu(name, Quote.parse(data))
    elif len(bare_signature(data)) == _RSA_SIGNATURE and not data.isascii():
        # Nothing in a signature says that it is one; only its length, and that it is no text.
        found.azure.signatures.append(data)
    else:
        return False
    return True


def _is_der(data: bytes) -> bool:
    """A SEQUENCE whose length field reaches the end of the file: hex and base64 text starts with `0` too."""
    if len(data) < 4 or data[1] < 0x81:
        return False
    count = data[1] & 0x7F
    return count <= 4 and int.from_bytes(data[2 : 2 + count], "big") + 2 + count == len(data)


def _der(name: str, data: bytes, found: Found) -> None:
    # Certificate, CRL and OCSP answer differ in what follows the outer SEQUENCE.
    for add in (_add_certificate, _add_crl, _add_ocsp):
        try:
            add(name, data, found)
        except Malformed:
            continue
        return
    raise Malformed(
        problem("endorsement.malformed", where=name, expected="an X.509 certificate, a CRL or an OCSP answer")
    )


def _add_certificate(name: str, data: bytes, found: Found) -> None:
    found.certificates.append(Certificate(data, where=name))


def _add_crl(name: str, data: bytes, found: Found) -> None:
    found.crls.append(Crl(data, where=name))


def _add_ocsp(name: str, data: bytes, found: Found) -> None:
    from cryptography.x509 import ocsp

    try:
        ocsp.load_der_ocsp_response(data)
    except (ValueError, TypeError):
        raise malformed("Not an OCSP answer", where=name, code="endorsement.malformed") from None
    found.ocsp.append(data)


def _pem(name: str, data: bytes, found: Found) -> None:
    blocks = pem_blocks(data, where=name)
    if len(blocks) > 64:
        raise malformed("Too many PEM blocks", where=name, code="x509.malformed", found=len(blocks))
    for index, (label, der) in enumerate(blocks):
        place = f"{name}[{index}]"
        if label == "CERTIFICATE" and is_padded(der):
            found.azure.certificates.append(read_certificate(der, where=place))
        elif label == "CERTIFICATE":
            _add_certificate(place, der, found)
        elif label == "X509 CRL":
            _add_crl(place, der, found)
        else:
            raise malformed("A PEM block of another kind", where=place, code="x509.malformed", found=label)


def _rim(name: str, data: bytes, found: Found) -> None:
    from attest.nvidia.rim import Rim

    found.rims.append(Rim.parse(data, found._signers))


def _encoded(name: str, data: bytes, found: Found) -> None:
    """Hex or base64 text around a raw structure. Hex wins where both fit: base64 of our structures never
    consists of hex digits alone."""
    text = data.strip(b"\0 \t\r\n")
    if _HEX.match(text):
        digits = text.removeprefix(b"0x").translate(None, _WHITE)
        if len(digits) % 2:
            raise malformed("The hex text has an odd number of digits", where=name, found=len(digits))
        raw = bytes.fromhex(digits.decode("ascii"))
    elif _BASE64.match(text):
        try:
            raw = strict_base64.decode(text.translate(None, _WHITE))
        except binascii.Error:
            raise malformed("The base64 text is not well-formed", where=name) from None
        if raw[:6].lower() == b"11e001" and _HEX.match(raw):
            # Old NVIDIA tools write base64 of hex text.
            raw = bytes.fromhex(b"".join(raw.split()).decode("ascii")) if len(raw) % 2 == 0 else raw
    else:
        raise Malformed(problem("evidence.unrecognised", where=name))
    if raw[:1] == b"{" and raw[-1:] == b"}":
        _json(name, raw, found)
    elif not _binary(name, raw, found):
        raise Malformed(problem("evidence.unrecognised", where=name))


def _json(name: str, data: bytes, found: Found) -> None:
    document = read_json(data, where=name)
    if isinstance(document, str):
        # One more level: evidence fields are often JSON text inside JSON.
        document = read_json(document, where=name)
    known = False
    if isinstance(document, dict):
        known = _json_object(name, document, data, found)
    if isinstance(document, (dict, list)):
        from attest.nvidia.containers import read_json as read_devices

        devices = read_devices(document, name)
        if devices is not None:
            found.add_devices(devices)
            known = True
    if not known:
        raise Malformed(problem("evidence.unrecognised", where=name))


def _json_object(name: str, document: dict[str, Any], data: bytes, found: Found) -> bool:
    if is_envelope(document):
        envelope = Envelope.of_document(document)
        if envelope.payload_type != media_type("endorsements"):
            raise Malformed(
                problem(
                    "dsse.kind", where=name, expected=media_type("endorsements"), found=envelope.payload_type
                )
            )
        found.sealed.append((name, envelope))
        return True
    if is_bundle(document):
        for index, (kind, raw) in enumerate(read_bundle(document, where=name)):
            _bundle_entry(f"{name} entries[{index}]", kind, raw, found)
        return True
    if "primary_evidence" in document and "additional_evidence" in document:
        from attest.composite import read_composite_document

        read_composite_document(document, found, where=name)
        return True
    if "epoch-time" in document and "origins" in document:
        found.sites.append(SiteStatement.read(document, where=name))
        return True
    if is_report_document(document):
        report, certificates = read_report_document(document, where=name)
        found.add_cpu(name, report)
        found.certificates += certificates
        return True
    if is_tpm_quote(document):
        found.azure.quotes.append(read_tpm_quote(document, where=name))
        return True
    if is_azure(document):
        _azure_document(name, document, found)
        return True
    if "tcb_info" in document and "qe_identity" in document:
        from attest.tdx.collateral import read_dcap_qvl

        found.add_endorsements(read_dcap_qvl(document, name))
        return True
    if ("tcbInfo" in document or "enclaveIdentity" in document) and "signature" in document:
        from attest.tdx.collateral import read_pcs

        found.documents.append(read_pcs(data.strip()))
        return True
    if "vcekCert" in document and "certificateChain" in document:
        # Azure's THIM answer.
        for member in ("vcekCert", "certificateChain"):
            if not isinstance(document[member], str):
                raise malformed("A certificate member is not text", where=f"{name} {member}")
            # A character outside ASCII then fails as "not PEM".
            _pem(f"{name} {member}", document[member].encode("utf-8", "replace").strip(), found)
        return True
    if "rim" in document and "sha256" in document:
        try:
            _rim(name, strict_base64.decode(document["rim"]), found)
        except (TypeError, ValueError, binascii.Error):
            raise malformed("The RIM is not base64", where=name) from None
        return True
    from attest.eventlog.containers import read_json as read_event_log
    from attest.tdx.containers import read_json as read_quote

    quote = read_quote(document, name)
    if quote is not None:
        from attest.tdx.quote import Quote

        found.add_cpu(name, Quote.parse(quote))
        event_log = read_event_log(document, name)
        if event_log is not None:
            found.add_event_log(event_log)
        return True
    return False


def _azure_document(name: str, document: dict[str, Any], found: Found) -> None:
    evidence, certificates = read_azure(document, where=name)
    found.add_cpu(name, evidence)
    found.certificates += certificates


def _bundle_entry(where: str, kind: str, data: bytes, found: Found) -> None:
    if kind == "ak-certificate":
        found.azure.certificates.append(read_certificate(data, where=where))
        return
    if kind == "site-statement":
        found.sites.append(SiteStatement.parse(data, where=where))
        return
    if kind == "additional-evidence":
        from attest.composite import read_additional

        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            raise malformed("Additional evidence is not UTF-8", where=where) from None
        devices = read_additional(text, where=where)
        found.additional.append(text)
        found._additional_devices = len(devices)
        found.add_devices(devices)
        return
    inner = Found(bounded=found.bounded)
    recognise(where, data, inner)
    held = {
        "snp-report": [cpu for _, cpu in inner.cpus if cpu.section == "snp"],
        "tdx-quote": [cpu for _, cpu in inner.cpus if cpu.section == "tdx"],
        "azure-evidence": [cpu for _, cpu in inner.cpus if cpu.section == "azure"],
        "ccel": [log for log in inner.event_logs if log.form != "tpm"],
        "tpm-event-log": [log for log in inner.event_logs if log.form == "tpm"],
        "devices": inner.devices,
        "certificates": inner.certificates,
        "crl": inner.crls,
        "intel-collateral": inner.documents,
        "rim": inner.rims,
        "ocsp": inner.ocsp,
    }[kind]
    if (
        not held
        or (inner.cpus and kind not in ("snp-report", "tdx-quote", "azure-evidence"))
        or (inner.devices and kind != "devices")
        or (inner.event_logs and kind not in ("tdx-quote", "ccel", "tpm-event-log"))
    ):
        raise malformed("A bundle entry is not of the kind it says", where=where, expected=kind)
    for place, cpu in inner.cpus:
        found.add_cpu(place, cpu)
    found.add_devices(tuple(inner.devices))
    for event_log in inner.event_logs:
        found.add_event_log(event_log)
    found.add_endorsements(inner.endorsements())
    found.check_bounds(where)
