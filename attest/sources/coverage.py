"""What one machine's evidence needs of a fleet's endorsements.

Nothing here is believed or verified. `select` leaves out what is plainly another machine's, so that a file for
ten thousand machines costs one of them no more than its own; lists of revoked certificates are never left
out. What is missing is said by `attest.sources.needs`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from attest.endorsements import Endorsements, SignedDocument
from attest.errors import Malformed
from attest.evidence import Evidence, Verifiable
from attest.nvidia.chain import DEPTH, given_chain
from attest.nvidia.family import Family
from attest.nvidia.ocsp_answer import Answer
from attest.nvidia.opaque import Opaque
from attest.nvidia.rim import Rim
from attest.nvidia.rim_ids import rim_ids
from attest.snp.chain import issuer_name
from attest.snp.leaf import LeafFacts, kind_of, read_leaf
from attest.snp.report import Report
from attest.snp.tcb import PRODUCTS, Product, Tcb
from attest.tdx.quote import Quote
from attest.tdx.sgx_extension import SGX_EXTENSION, PckFacts
from attest.tdx.tcb_info import TcbInfo
from attest.x509 import Certificate, parse_certificates

if TYPE_CHECKING:
    pass

_REMEMBERED = 16_384
"""Facts about bytes alone, read once for all machines of a fleet."""
_PCK_LEAF = "Intel SGX PCK Certificate"


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
    leaves = snp_leaves(held.certificates, cpu) if isinstance(cpu, Report) else []
    lacking = any(not getattr(device, "chain", None) for device in devices)
    chains = _whole_chains(held.certificates) if lacking else ()

    def wanted(certificate: Certificate) -> bool:
        if kind_of(certificate) is not None:
            return certificate in leaves
        if certificate.common_name == _PCK_LEAF:
            return isinstance(cpu, Quote)
        # Of a device that brought its own chain no other is looked at.
        return certificate in chains or not _is_device_certificate(certificate)

    certificates = tuple(certificate for certificate in held.certificates if wanted(certificate))
    documents = _documents(held.documents, cpu)
    rims = _rims(held.rims, devices)
    serials = _serials_asked(certificates, devices, rims)
    return Endorsements(
        certificates=certificates,
        crls=held.crls,
        documents=documents,
        rims=rims,
        ocsp=tuple(answer for answer in held.ocsp if speaks_of(answer, serials)),
    )


def issuers_of(evidence: Evidence) -> tuple[Certificate, ...]:
    """Certificates that evidence carries and that a service needs beside lists and answers: the authorities
    of a quote, never the platform's own certificate; of a device all that OCSP is asked about, never its
    leaf, which is made at each boot."""
    found: list[Certificate] = []
    cpu = hardware(evidence.cpu)
    if isinstance(cpu, Quote):
        chain = pck_chain(cpu, Endorsements())
        found += (link for link in chain if link.raw_extension(SGX_EXTENSION) is None)
    for device in evidence.devices:
        found += (getattr(device, "chain", None) or ())[1:]
    return tuple(dict.fromkeys(found))


# -- AMD ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=_REMEMBERED)
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


def snp_leaves(certificates: Iterable[Certificate], report: Report) -> list[Certificate]:
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


# -- Intel ----------------------------------------------------------------------------------------------


def pck_chain(quote: Quote, held: Endorsements) -> tuple[Certificate, ...]:
    try:
        if quote.certification_data_type == 5:
            return parse_certificates(quote.certification_data, where="quote", limit=3)
    except Malformed:
        return ()
    return tuple(c for c in held.certificates if c.raw_extension(SGX_EXTENSION) is not None)[:1]


def fmspc_of(chain: Sequence[Certificate]) -> bytes | None:
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
    fmspc = fmspc_of(pck_chain(cpu, Endorsements()))
    return tuple(
        document
        for document in documents
        if fmspc is None or document.kind != "tcb-info" or is_for(document, fmspc)
    )


def is_for(document: SignedDocument, fmspc: bytes) -> bool:
    return _family_of(document) in (fmspc, None)


@lru_cache(maxsize=_REMEMBERED)
def _family_of(document: SignedDocument) -> bytes | None:
    """FMSPC of a TCB info; None where it does not parse: verify says what is wrong with it."""
    try:
        return TcbInfo.parse(document.body).fmspc
    except Malformed:
        return None


# -- NVIDIA ---------------------------------------------------------------------------------------------


def _is_device_certificate(certificate: Certificate) -> bool:
    return bool(given_chain((certificate,)))


def _whole_chains(certificates: Iterable[Certificate]) -> set[Certificate]:
    """Device chains that are there from their leaf on. With several a device that brought none has no way
    to say which is its own, and verify refuses: evidence of a fleet carries its chains."""
    held = [certificate for certificate in certificates if _is_device_certificate(certificate)]
    by_subject: dict[bytes, list[Certificate]] = {}
    for certificate in held:
        by_subject.setdefault(certificate.subject_der, []).append(certificate)
    issuing = {certificate.issuer_der for certificate in held}
    whole: set[Certificate] = set()
    for leaf in held:
        if leaf.subject_der in issuing:
            continue
        chain = [leaf]
        while len(chain) < DEPTH:
            # Devices of one model have certificates of one name: the signature tells whose it is.
            named = by_subject.get(chain[-1].issuer_der, ())
            issuer = next((one for one in named if chain[-1].issued_by(one)), None)
            if issuer is None or issuer in chain:
                break
            chain.append(issuer)
        if len(chain) == DEPTH:
            whole |= set(chain)
    return whole


def opaque_of(device: Verifiable) -> Opaque | None:
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
        opaque = opaque_of(device)
        if opaque is not None:
            found |= {str(v).upper() for v in (opaque.driver_version, opaque.vbios_version) if v is not None}
    return found


def manifest_ids(device: Verifiable) -> dict[str, str]:
    """Version in upper case → id of the manifest that a device's own fields ask for."""
    opaque, chain = opaque_of(device), getattr(device, "chain", None)
    family = Family.of_name(chain[0].common_name) if chain else None
    if opaque is None or family is None:
        return {}
    versions = {"driver": opaque.driver_version, "vbios": opaque.vbios_version, "bios": opaque.vbios_version}
    return {
        str(version).upper(): identifier
        for kind, identifier in rim_ids(family, opaque).items()
        if (version := versions[kind]) is not None
    }


def readable(rims: Iterable[Rim | bytes]) -> tuple[Rim | bytes, ...]:
    """The manifests, parsed; those that do not parse stay bytes, for verify to say what is wrong with them."""
    found: list[Rim | bytes] = []
    known: dict[bytes, Certificate] = {}
    for rim in rims:
        try:
            found.append(rim if isinstance(rim, Rim) else Rim.parse(rim, known))
        except Malformed:
            found.append(rim)
    return tuple(found)


def _rims(rims: Iterable[Rim | bytes], devices: Sequence[Verifiable]) -> tuple[Rim | bytes, ...]:
    if not devices:
        return ()
    versions = _versions(devices)
    return tuple(
        rim for rim in readable(rims) if isinstance(rim, bytes) or str(rim.stated.version).upper() in versions
    )


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


def speaks_of(answer: bytes, serials: set[int]) -> bool:
    named = _serials(answer)
    return named is None or not serials.isdisjoint(named)


@lru_cache(maxsize=_REMEMBERED)
def _serials(answer: bytes) -> frozenset[int] | None:
    """Serial numbers an OCSP answer speaks of; None where it does not parse: verify says what is wrong."""
    try:
        return frozenset(single.serial for single in Answer.parse(answer).singles)
    except Malformed:
        return None
