"""What evidence needs to be verified with revocation, one by one, and whether it is held.

It reads what the evidence says of itself, as a request to a vendor would; nothing is believed or verified.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from attest.anchors import Anchors
from attest.claims import instant
from attest.endorsements import Endorsements, SignedDocument
from attest.errors import Malformed
from attest.evidence import Evidence, Verifiable
from attest.nvidia.chain import given_chain
from attest.nvidia.ocsp_request import device_pairs, rim_pairs
from attest.nvidia.rim import Rim
from attest.parts import device_names
from attest.snp.report import Report
from attest.snp.tcb import Tcb, product_of
from attest.sources.coverage import (
    fmspc_of,
    hardware,
    is_for,
    leaf_facts,
    opaque_of,
    pck_chain,
    readable,
    snp_leaves,
    speaks_of,
)
from attest.sources.dated import dates_of
from attest.tdx.quote import Quote
from attest.tdx.sgx_extension import SGX_EXTENSION
from attest.x509 import Certificate, Crl

State = Literal["held", "missing", "ended", "not-yet"]


@dataclass(frozen=True, slots=True)
class Need:
    """One endorsement that evidence needs. what: in words, already escaped. ends: of the best one held."""

    what: str
    state: State
    ends: datetime | None = None

    @property
    def met(self) -> bool:
        return self.state == "held"

    def __str__(self) -> str:
        if self.state == "held":
            return f"{self.what}" + ("" if self.ends is None else f" (until {instant(self.ends)})")
        when = "" if self.ends is None else f" {instant(self.ends)}"
        return f"{self.what}: {self.state.replace('-', ' ')}{when}"


def needs(evidence: Evidence, held: Endorsements, *, at: datetime, anchors: Anchors) -> tuple[Need, ...]:
    """What this evidence needs to be verified with revocation, and how `held` serves it at `at`."""
    found: list[Need] = []
    held = replace(held, rims=readable(held.rims))
    cpu = hardware(evidence.cpu)
    if isinstance(cpu, Report):
        found += _snp_needs(cpu, held, at, anchors)
    elif isinstance(cpu, Quote):
        found += _tdx_needs(cpu, held, at, anchors)
    names = device_names(device.section for device in evidence.devices)
    for device, name in zip(evidence.devices, names, strict=True):
        found += _device_needs(device, name, held, at)
    return tuple(dict.fromkeys(found))


def _snp_needs(report: Report, held: Endorsements, at: datetime, anchors: Anchors) -> list[Need]:
    kind = "VLEK" if report.signing_key == 1 else "VCEK"
    product = None
    if report.cpuid_fam_id is not None and report.cpuid_mod_id is not None:
        product = product_of(report.cpuid_fam_id, report.cpuid_mod_id)
    exact = []
    for certificate in snp_leaves(held.certificates, report):
        known = leaf_facts(certificate)
        if known is not None and known[1].tcb == Tcb.decode(report.reported_tcb, known[0]):
            product = product or known[0]
            exact.append(certificate)
    chip = "" if kind == "VLEK" else f" of chip {report.chip_id.hex()[:16]}…"
    tcb = "" if product is None else f" for TCB {Tcb.decode(report.reported_tcb, product)}"
    found = [_need(f"{kind}{chip}{tcb}", exact, at)]
    roots = [a.certificate for a in anchors.roots if product is not None and a.role == f"amd-ark-{product}"]
    lists = [crl for crl in held.crls if crl.issuer_der in {root.subject_der for root in roots}]
    found.append(_need(f"list of ARK-{product.title()}" if product else "list of the ARK", lists, at))
    return found


def _tdx_needs(quote: Quote, held: Endorsements, at: datetime, anchors: Anchors) -> list[Need]:
    chain = pck_chain(quote, held)
    fmspc = fmspc_of(chain)
    leaf = next((c for c in chain if c.raw_extension(SGX_EXTENSION) is not None), None)
    found = []
    if quote.certification_data_type != 5:
        found.append(_need("PCK certificate of the platform", [leaf] if leaf else [], at))
    infos = [d for d in held.documents if d.kind == "tcb-info" and (fmspc is None or is_for(d, fmspc))]
    identities = [d for d in held.documents if d.kind == "qe-identity"]
    found.append(_need(f"TCB info of FMSPC {fmspc.hex() if fmspc else 'unknown'}", infos, at))
    found.append(_need("QE identity", identities, at))
    roots = {a.certificate.subject_der for a in anchors.for_role("intel-sgx-root")}
    found.append(_need("list of Intel SGX Root CA", [c for c in held.crls if c.issuer_der in roots], at))
    if leaf is not None:
        lists = [crl for crl in held.crls if crl.issuer_der == leaf.issuer_der]
        found.append(_need(f"list of {leaf.issuer_common_name.shown}", lists, at))
    return found


def _device_needs(device: Verifiable, name: str, held: Endorsements, at: datetime) -> list[Need]:
    opaque = opaque_of(device)
    if opaque is None:
        return [Need(f"{name}: a report whose fields can be read", "missing")]
    wanted = [("VBIOS" if device.section == "gpu" else "BIOS", opaque.vbios_version)]
    if device.section == "gpu":
        wanted.insert(0, ("driver", opaque.driver_version))
    found, rims = [], []
    for kind, version in wanted:
        shown = getattr(version, "shown", version) or "unknown"
        own = [
            rim
            for rim in held.rims
            if isinstance(rim, Rim) and version and str(rim.stated.version).upper() == version.upper()
        ]
        found.append(_need(f"{kind} manifest {shown}", own, at))
        rims += own
    pairs = list(device_pairs(_device_chain(device, held)))
    for rim in rims:
        pairs += rim_pairs(rim.chain)
    for certificate, _ in dict.fromkeys(pairs):
        answers = [answer for answer in held.ocsp if speaks_of(answer, {certificate.serial})]
        found.append(
            _need(f"OCSP answer for {certificate.common_name.shown} ({certificate.serial:x})", answers, at)
        )
    return found


def _device_chain(device: Verifiable, held: Endorsements) -> Sequence[Certificate]:
    return getattr(device, "chain", None) or given_chain(held.certificates)


def _need(
    what: str, candidates: Sequence[Certificate | Crl | SignedDocument | Rim | bytes], at: datetime
) -> Need:
    """Held by any candidate that is current at `at`; else the one that ended last is told."""
    dated = []
    for candidate in candidates:
        try:
            dated.append(dates_of(candidate))
        except Malformed:
            continue
    if not dated:
        return Need(what, "missing")
    current = [d for d in dated if d.this_update <= at and (d.next_update is None or at <= d.next_update)]
    if current:
        ends = [d.next_update for d in current if d.next_update is not None]
        return Need(what, "held", max(ends) if len(ends) == len(current) else None)
    later = [d.this_update for d in dated if d.this_update > at]
    if later:
        return Need(what, "not-yet", min(later))
    return Need(what, "ended", max(d.next_update for d in dated if d.next_update is not None))
