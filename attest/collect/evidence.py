"""All evidence of this machine for one challenge, in the order that binds it together.

challenge → device nonce → reports of all GPUs and switches → their exact text → report data → the CPU's report.
Nothing is repaired: bytes go into the bundle as they came, and what could not be had is said.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from attest.bundle import Kind, write_bundle
from attest.collect import nvidia, nvswitch, quote_service, snp_device, tdx_device
from attest.collect.azure import collect_azure
from attest.collect.deadline import within
from attest.collect.detect import Source, check_tsm, detect
from attest.collect.errors import CollectError, failure
from attest.collect.layout import Broker, Layout, Site
from attest.collect.machine import Machine
from attest.collect.metadata import Metadata
from attest.collect.tpm2 import DeviceTransport, Tpm, Transport
from attest.collect.tsm import Tsm, TsmDirectory, TsmReport, collect_report
from attest.errors import Malformed
from attest.recognise import Found, recognise
from attest.snp.certificate_table import read_certificate_table

GpuMode = Literal["auto", "require", "none"]
_AZURE_SECONDS = 180.0
MAX_LOG = 4 << 20


@dataclass(frozen=True)
class Interfaces:
    """What stands in for the machine's own interfaces, in tests; None for the kernel's or the driver's."""

    tsm: Tsm | None = None
    tpm: Transport | None = None
    ioctl: snp_device.Ioctl = snp_device.fcntl_ioctl
    spacing: snp_device.Spacing = snp_device.SPACING
    quote_service: quote_service.Connect | None = None
    nvml: Any = None


@dataclass(frozen=True)
class Collected:
    """source: the interface used. tee: snp, tdx, az-snp-vtpm or az-tdx-vtpm. entries: of the bundle.
    bound: the 64 bytes of report data, on Azure the user data. notes: what was not collected, and why."""

    source: Source
    tee: str
    entries: tuple[tuple[Kind, bytes], ...]
    bound: bytes
    devices: int = 0
    notes: tuple[str, ...] = field(default=())

    def bundle(self) -> bytes:
        """One file that `attest verify` reads."""
        return write_bundle(self.entries)


def collect(
    layout: Broker | Site,
    machine: Machine | None = None,
    *,
    source: Source | None = None,
    gpus: GpuMode = "auto",
    service_provider: str | None = None,
    interfaces: Interfaces | None = None,
) -> Collected:
    """Evidence of this machine for one challenge.

    layout: whose challenge; report data cannot be given as bytes. source: None to detect. gpus: `auto` takes
    them where the library loads and confidential computing is on, `require` fails without them.
    service_provider: `svsm`, for SNP guests below a service module. Raises CollectError.
    """
    if not isinstance(layout, (Broker, Site)):
        raise TypeError("evidence is collected for a Broker's or a Site's challenge")
    job = _Job(layout, machine or Machine(), interfaces or Interfaces())
    chosen = source or job.detect()
    additional = job.devices(gpus)
    job.cpu(chosen, additional, service_provider)
    if additional:
        job.add("additional-evidence", additional.encode())
    if isinstance(layout, Site):
        job.add("site-statement", json.dumps(layout.statement.document()).encode())
    job.event_log(chosen)
    return Collected(chosen, job.tee, tuple(job.entries), job.bound, job.device_count, tuple(job.notes))


class _Job:
    """What one collection has so far."""

    def __init__(self, layout: Layout, machine: Machine, interfaces: Interfaces) -> None:
        self._layout, self._machine, self._interfaces = layout, machine, interfaces
        self.entries: list[tuple[Kind, bytes]] = []
        self.notes: list[str] = []
        self.tee = ""
        self.bound = b""
        self.device_count = 0

    def add(self, kind: Kind, data: bytes) -> None:
        self.entries.append((kind, data))

    def add_readable(self, kind: Kind, data: bytes) -> None:
        """What host or firmware wrote beside the evidence: one that nobody can read would spoil all the rest."""
        try:
            bundle = write_bundle([(kind, data)])
            recognise(kind, bundle, Found())
        except Malformed as error:
            self.notes.append(f"{kind} left out: {error.problems[0]}")
        else:
            self.add(kind, data)

    # -- which interface --------------------------------------------------------------------------------

    def detect(self) -> Source:
        tpm = self._interfaces.tpm
        return detect(
            self._machine,
            tsm=self._interfaces.tsm,
            tpm=Tpm(tpm, sleep=self._machine.sleep) if tpm is not None else None,
        )

    # -- devices ----------------------------------------------------------------------------------------

    def devices(self, mode: GpuMode) -> str:
        """The exact text of the device evidence; "" without devices."""
        if mode == "none":
            self.notes.append("GPUs were not asked for")
            return ""
        nonce = self._layout.device_nonce()
        try:
            nvml = self._interfaces.nvml or nvidia.load(self._machine.nvml)
            gpus = nvidia.collect_gpus(nonce, nvml)
        except CollectError as error:
            # Without library or mode there is nothing to present; a GPU that fails is another matter.
            if mode == "require" or error.code not in ("collect.gpu-library", "collect.gpu-mode"):
                raise
            told = error.problems[0]
            self.notes.append(f"no GPU evidence: {told}; {told.remedy}")
            return ""
        found = list(gpus.devices)
        if gpus.protected_pcie:
            found += nvswitch.collect_switches(nonce, self._machine.nscq)
        elif gpus.protected_pcie is None:
            self.notes.append("the driver does not say whether protected PCIe is on: switches were not asked")
        self.device_count = len(found)
        members = [device.member() for device in found]
        return json.dumps({"nvidia": {"device_evidence_list": members}}, separators=(",", ":"))

    # -- the CPU ----------------------------------------------------------------------------------------

    def cpu(self, source: Source, additional: str, service_provider: str | None) -> None:
        if service_provider is not None and source != "tsm":
            raise failure(
                "collect.bad-request", where="service provider", expected="source tsm", found=source
            )
        report_data = self._layout.report_data(additional)
        self.bound = report_data
        if source == "azure":
            self._azure(report_data)
        elif source == "tsm":
            self._add_report(self._tsm_report(report_data, service_provider))
        elif source == "sev-guest":
            self._add_report(
                snp_device.collect_report(
                    self._machine.sev_guest,
                    report_data,
                    vmpl=self._own_vmpl(),
                    ioctl=self._interfaces.ioctl,
                    spacing=self._interfaces.spacing,
                )
            )
        else:
            self._add_report(TsmReport("tdx", self._td_quote(report_data)))

    def _tsm_report(self, report_data: bytes, service_provider: str | None) -> TsmReport:
        tsm = self._interfaces.tsm
        if tsm is None:
            check_tsm(self._machine)
            tsm = TsmDirectory(self._machine.tsm_report)
        return collect_report(
            tsm,
            report_data,
            service_provider=service_provider,
            clock=self._machine.clock,
            sleep=self._machine.sleep,
        )

    def _own_vmpl(self) -> int:
        """The level to ask with may not be above the guest's own; kernels that do not tell it run at 0."""
        try:
            text = self._machine.vmpl.read_text("ascii").strip()
        except (OSError, ValueError):
            return 0
        return int(text) if text in ("0", "1", "2", "3") else 0

    def _td_quote(self, report_data: bytes) -> bytes:
        # The service first: without it a TD report is of no use to anybody else.
        connect = self._interfaces.quote_service or quote_service.vsock(
            quote_service.configured_port(self._machine.quote_service_conf)
        )
        td_report = tdx_device.collect_td_report(
            self._machine.tdx_guest, report_data, ioctl=self._interfaces.ioctl
        )
        return quote_service.quote_of(td_report, connect)

    def _add_report(self, report: TsmReport) -> None:
        self.tee = report.tee
        self.notes += report.notes
        self.add("snp-report" if report.tee == "snp" else "tdx-quote", report.outblob)
        if report.tee != "snp":
            return
        try:
            table = read_certificate_table(report.auxblob)
        except Malformed as error:
            # The host wrote it, and the report stands without it.
            self.notes.append(f"the host's certificate table is left out: {error.problems[0]}")
            return
        for name, value in table.items():
            self.add_readable("crl" if name == "crl" else "certificates", value)
        if not {"vcek", "vlek"} & set(table):
            self.notes.append("the host gave no certificate for this chip: fetch it when verifying")

    def _azure(self, report_data: bytes) -> None:
        machine, given = self._machine, self._interfaces.tpm
        transport = given or DeviceTransport(machine.tpm)
        tpm = Tpm(transport, sleep=machine.sleep, name=str(machine.tpm))
        metadata = Metadata(machine.metadata)
        try:
            found = within(
                _AZURE_SECONDS,
                "virtual TPM",
                lambda: collect_azure(tpm, metadata, report_data, sleep=machine.sleep),
            )
        finally:
            if isinstance(transport, DeviceTransport):
                transport.close()
        self.tee = f"az-{found.tee}-vtpm"
        self.add("azure-evidence", found.document)
        for certificate in found.certificates:
            self.add("certificates", certificate)
        if found.ak_certificate is not None:
            self.add_readable("ak-certificate", found.ak_certificate)
        else:
            self.notes.append("the TPM holds no certificate of its attestation key")

    # -- event logs -------------------------------------------------------------------------------------

    def event_log(self, source: Source) -> None:
        if self.tee == "tdx":
            self._log("ccel", self._machine.ccel)
        elif source == "azure":
            self._log("tpm-event-log", self._machine.tpm_event_log)

    def _log(self, kind: Kind, file: Path) -> None:
        try:
            with open(file, "rb") as stream:
                data = stream.read(MAX_LOG + 1)
        except OSError as error:
            self.notes.append(f"no event log: {file}: {error.strerror}")
            return
        if len(data) > MAX_LOG:
            self.notes.append(f"no event log: {file} is larger than {MAX_LOG} bytes")
        elif data:
            self.add_readable(kind, data)
