"""What one machine's evidence needs of a fleet's endorsements: which to hand over, and which are not there.

Nothing here is believed or verified. `select` leaves out what is plainly another machine's, so that a file for
ten thousand machines costs one of them no more than its own; lists of revoked certificates are never left
out. `needs` reads what the evidence says of itself, as a request to a vendor would.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from attest.anchors import Anchors
from attest.claims import instant
from attest.endorsements import Endorsements, SignedDocument
from attest.errors import Malformed
from attest.evidence import Evidence, Verifiable
from attest.nvidia.family import Family
from attest.nvidia.ocsp_answer import Answer
from attest.nvidia.ocsp_request import device_pairs, rim_pairs
from attest.nvidia.opaque import Opaque
from attest.nvidia.rim import Rim
from attest.nvidia.rim_ids import rim_ids
from attest.snp.chain import issuer_name
from attest.snp.leaf import LeafFacts, kind_of, read_leaf
from attest.snp.report import Report
from attest.snp.tcb import PRODUCTS, Product, Tcb, product_of
from attest.sources.dated import dates_of
from attest.tdx.pck import SGX_EXTENSION, PckFacts
from attest.tdx.quote import Quote
from attest.tdx.tcb_info import TcbInfo
from attest.x509 import Certificate, Crl, parse_certificates

if TYPE_CHECKING:
    pass

_PCK_LEAF = "Intel SGX PCK Certificate"
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


def hardware(cpu: Verifiable | None) -> Report | Quote | None:
    """The report or quote inside CPU evidence, whatever stands around it; None where it does not parse."""
    if isinstance(cpu, Report | Quote):
        return cpu
    quote, hcl = getattr(cpu, "td_quote", None), getattr(cpu, "hcl", None)
    if isinstance(quote, Quote):
        return quote
    try:
        return None if hcl is None or hcl.kind != "snp" else Report.parse(hcl.area)
    except Malformed:
        return None


def select(held: Endorsements, evidence: Evidence) -> Endorsements:
    """The endorsements of a fleet without those of other machines."""
    cpu = hardware(evidence.cpu)
    devices = [device for device in evidence.devices if hasattr(device, "chain")]
    leaves = _snp_leaves(held.certificates, cpu) if isinstance(cpu, Report) else []
    own_chains = all(getattr(device, "chain", None) for device in devices)

    def wanted(certificate: Certificate) -> bool:
        if kind_of(certificate) is not None:
            return certificate in leaves
        if certificate.common_name == _PCK_LEAF:
            return isinstance(cpu, Quote)
        # Of a device that brought its own chain no other is looked at.
        return not (own_chains and _is_device_certificate(certificate))

    certificates = tuple(certificate for certificate in held.certificates if wanted(certificate))
    documents = _documents(held.documents, cpu)
    rims = _rims(held.rims, devices)
    serials = _serials_asked(certificates, devices, rims)
    return Endorsements(
        certificates=certificates,
        crls=held.crls,
        documents=documents,
        rims=rims,
        ocsp=tuple(answer for answer in held.ocsp if _speaks_of(answer, serials)),
    )


def needs(evidence: Evidence, held: Endorsements, *, at: datetime, anchors: Anchors) -> tuple[Need, ...]:
    """What this evidence needs to be verified with revocation, and how `held` serves it at `at`."""
    found: list[Need] = []
    cpu = hardware(evidence.cpu)
    if isinstance(cpu, Report):
        found += _snp_needs(cpu, held, at, anchors)
    elif isinstance(cpu, Quote):
        found += _tdx_needs(cpu, held, at, anchors)
    for index, device in enumerate(evidence.devices):
        found += _device_needs(device, f"{device.section}[{index}]", held, at)
    return tuple(dict.fromkeys(found))


def issuers_of(evidence: Evidence) -> tuple[Certificate, ...]:
    """Certificates of authorities that a quote carries: a service that hands out lists needs them. Never a
    platform's own certificate, which names the machine."""
    cpu = hardware(evidence.cpu)
    if not isinstance(cpu, Quote):
        return ()
    chain = _pck_chain(cpu, Endorsements())
    return tuple(link for link in chain if link.raw_extension(SGX_EXTENSION) is None)


# -- AMD ------------------------------------------------------------------------------------------------


def leaf_facts(certificate: Certificate) -> tuple[Product, LeafFacts] | None:
    """Product and extensions of a VCEK or VLEK by its own words; None for anything else."""
    kind = kind_of(certificate)
    if kind is None:
        return None
    for product in PRODUCTS:
        if certificate.issuer_common_name in (issuer_name("vcek", product), issuer_name("vlek", product)):
            try:
                return product, read_leaf(certificate, kind, product)
            except Malformed:
                return None
    return None


def _snp_leaves(certificates: Iterable[Certificate], report: Report) -> list[Certificate]:
    """Leaves for this chip and TCB; where none fits both, those of the chip, so that the refusal can say
    which TCB they are for."""
    exact, near = [], []
    for certificate in certificates:
        known = leaf_facts(certificate)
        if known is None:
            continue
        product, facts = known
        if facts.hwid is not None and facts.hwid != report.chip_id[: len(facts.hwid)]:
            continue
        if facts.tcb == Tcb.decode(report.reported_tcb, product):
            exact.append(certificate)
        elif facts.hwid is not None:
            near.append(certificate)
    return (exact or near)[:8]


def _snp_needs(report: Report, held: Endorsements, at: datetime, anchors: Anchors) -> list[Need]:
    kind = "VLEK" if report.signing_key == 1 else "VCEK"
    product = None
    if report.cpuid_fam_id is not None and report.cpuid_mod_id is not None:
        product = product_of(report.cpuid_fam_id, report.cpuid_mod_id)
    exact = []
    for certificate in _snp_leaves(held.certificates, report):
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


# -- Intel ----------------------------------------------------------------------------------------------


def _pck_chain(quote: Quote, held: Endorsements) -> tuple[Certificate, ...]:
    try:
        if quote.certification_data_type == 5:
            return parse_certificates(quote.certification_data, where="quote", limit=3)
    except Malformed:
        return ()
    return tuple(c for c in held.certificates if c.raw_extension(SGX_EXTENSION) is not None)[:1]


def _fmspc(chain: Sequence[Certificate]) -> bytes | None:
    for certificate in chain:
        extension = certificate.raw_extension(SGX_EXTENSION)
        if extension is not None:
            try:
                return PckFacts.parse(extension).fmspc
            except Malformed:
                return None
    return None


def _documents(documents: Sequence[SignedDocument], cpu: Report | Quote | None) -> tuple[SignedDocument, ...]:
    if not isinstance(cpu, Quote):
        return ()
    fmspc = _fmspc(_pck_chain(cpu, Endorsements()))
    return tuple(
        document
        for document in documents
        if fmspc is None or document.kind != "tcb-info" or _is_for(document, fmspc)
    )


def _is_for(document: SignedDocument, fmspc: bytes) -> bool:
    try:
        return TcbInfo.parse(document.body).fmspc == fmspc
    except Malformed:
        return True  # let verify say what is wrong with it


def _tdx_needs(quote: Quote, held: Endorsements, at: datetime, anchors: Anchors) -> list[Need]:
    chain = _pck_chain(quote, held)
    fmspc = _fmspc(chain)
    leaf = next((c for c in chain if c.raw_extension(SGX_EXTENSION) is not None), None)
    found = []
    if quote.certification_data_type != 5:
        found.append(_need("PCK certificate of the platform", [leaf] if leaf else [], at))
    infos = [d for d in held.documents if d.kind == "tcb-info" and (fmspc is None or _is_for(d, fmspc))]
    identities = [d for d in held.documents if d.kind == "qe-identity"]
    found.append(_need(f"TCB info of FMSPC {fmspc.hex() if fmspc else 'unknown'}", infos, at))
    found.append(_need("QE identity", identities, at))
    roots = {a.certificate.subject_der for a in anchors.for_role("intel-sgx-root")}
    found.append(_need("list of Intel SGX Root CA", [c for c in held.crls if c.issuer_der in roots], at))
    if leaf is not None:
        lists = [crl for crl in held.crls if crl.issuer_der == leaf.issuer_der]
        found.append(_need(f"list of {leaf.issuer_common_name.shown}", lists, at))
    return found


# -- NVIDIA ---------------------------------------------------------------------------------------------


def _is_device_certificate(certificate: Certificate) -> bool:
    from attest.nvidia.chain import given_chain

    return bool(given_chain((certificate,)))


def _opaque(device: Verifiable) -> Opaque | None:
    report = getattr(device, "report", None)
    try:
        return (
            Opaque.read(report.opaque, "switch" if device.section == "switch" else "gpu") if report else None
        )
    except Malformed:
        return None


def _versions(devices: Iterable[Verifiable]) -> set[str]:
    """Driver and VBIOS versions that these devices report, in upper case."""
    found = set()
    for device in devices:
        opaque = _opaque(device)
        if opaque is not None:
            found |= {str(v).upper() for v in (opaque.driver_version, opaque.vbios_version) if v is not None}
    return found


def manifest_ids(device: Verifiable) -> dict[str, str]:
    """Version in upper case → id of the manifest that a device's own fields ask for."""
    opaque, chain = _opaque(device), getattr(device, "chain", None)
    family = Family.of_name(chain[0].common_name) if chain else None
    if opaque is None or family is None:
        return {}
    versions = {"driver": opaque.driver_version, "vbios": opaque.vbios_version, "bios": opaque.vbios_version}
    return {
        str(version).upper(): identifier
        for kind, identifier in rim_ids(family, opaque).items()
        if (version := versions[kind]) is not None
    }


def _rims(rims: Sequence[Rim | bytes], devices: Sequence[Verifiable]) -> tuple[Rim | bytes, ...]:
    versions = _versions(devices)
    return tuple(rim for rim in rims if isinstance(rim, bytes) or str(rim.stated.version).upper() in versions)


def _serials_asked(
    certificates: Iterable[Certificate], devices: Iterable[Verifiable], rims: Iterable[Rim | bytes]
) -> set[int]:
    serials = {certificate.serial for certificate in certificates}
    for device in devices:
        serials |= {link.serial for link in getattr(device, "chain", None) or ()}
    for rim in rims:
        if isinstance(rim, Rim):
            serials |= {link.serial for link in rim.chain}
    return serials


def _speaks_of(answer: bytes, serials: set[int]) -> bool:
    try:
        return any(single.serial in serials for single in Answer.parse(answer).singles)
    except Malformed:
        return True  # let verify say what is wrong with it


def _device_needs(device: Verifiable, name: str, held: Endorsements, at: datetime) -> list[Need]:
    opaque = _opaque(device)
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
        answers = [answer for answer in held.ocsp if _speaks_of(answer, {certificate.serial})]
        found.append(
            _need(f"OCSP answer for {certificate.common_name.shown} ({certificate.serial:x})", answers, at)
        )
    return found


def _device_chain(device: Verifiable, held: Endorsements) -> Sequence[Certificate]:
    from attest.nvidia.chain import given_chain

    return getattr(device, "chain", None) or given_chain(held.certificates)


# -- dates ----------------------------------------------------------------------------------------------


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
