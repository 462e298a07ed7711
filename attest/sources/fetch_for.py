"""What this evidence needs, asked of the services: certificates, lists, collateral, manifests, answers.

The evidence is unverified here: it only says which chip, platform family and firmware to ask for, each in
a form that can stand in a path. Nothing that comes back is believed; `attest.verify` decides. A service
that fails leaves a problem and the rest goes on: what is missing is then named by verify.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from threading import Lock

from attest.anchors import Anchors
from attest.endorsements import Endorsements
from attest.errors import Malformed, Problem
from attest.evidence import Evidence, Verifiable
from attest.snp.chain import issuer_name
from attest.snp.leaf import Kind, kind_of
from attest.snp.report import Report
from attest.snp.tcb import Product
from attest.sources import amd_kds, azure_thim, intel_pcs, nvidia_ocsp, nvidia_rim
from attest.sources.coverage import hardware
from attest.sources.failure import FetchFailed, failed
from attest.sources.once import Once
from attest.sources.question import Item, Question
from attest.sources.sources import Sources
from attest.tdx.ground import chain_beside
from attest.tdx.qe_identity import QeIdentity
from attest.tdx.quote import PCK_CHAIN, Quote
from attest.tdx.sgx_extension import SGX_EXTENSION, PckFacts
from attest.tdx.tcb_info import TcbInfo
from attest.x509 import Certificate, parse_certificates

_WORKERS = 6
_FEW = 8
_VLEK = 1


@dataclass(frozen=True)
class Fetched:
    """items: answers, each with where it stands. problems: what could not be had, or was served old."""

    items: tuple[Item, ...]
    problems: tuple[Problem, ...]

    @property
    def endorsements(self) -> Endorsements:
        found = Endorsements()
        for item in self.items:
            found += item.endorsements
        return found

    def own_evaluation(self, anchors: Anchors, at: datetime) -> int | None:
        """The evaluation number that Intel's service itself gives as standard at `at`, for the memory's
        minimum; None where none was fetched or it is not authentic (T-MEMORY).

        An early set does not count: it would refuse the standard one that everybody else shows.
        """
        from attest.checks import CheckLog
        from attest.tdx.documents import authentic_collateral

        found = [
            i.endorsements
            for i in self.items
            if i.endorsements.documents and "update=standard" in i.question.key
        ]
        numbers: list[int] = []
        for endorsements in found:
            collateral = authentic_collateral(endorsements, anchors=anchors, log=CheckLog(), cache=None)
            contents: list[TcbInfo | QeIdentity] = [
                *(info.content for info in collateral.tcb_infos),
                *(identity.content for identity in collateral.qe_identities),
            ]
            numbers += [
                content.evaluation for content in contents if content.issue_date <= at <= content.next_update
            ]
        # The lower of both kinds: a set is only as new as its older half.
        return min(numbers) if len(numbers) == len(found) > 1 else None


@dataclass
class _Run:
    """One fetch for one machine; its parts are asked at the same time."""

    sources: Sources
    have: Endorsements
    once: Once
    items: list[Item] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def ask(self, question: Question, beside: Iterable[Certificate] = ()) -> Item | None:
        """The answer, noted; None, and the problem noted, where there is none."""
        try:
            item = self.once.ask(question, beside=(*self.have.certificates, *beside))
        except FetchFailed as failure:
            self.note(failure.reason)
            return None
        self.add(item)
        return item

    def add(self, item: Item) -> None:
        """An answer, each once, and as authentic as it was found by any who asked."""
        with self.lock:
            known = [one for one in self.items if one.question.key == item.question.key]
            if not known:
                self.items.append(item)
            elif item.authentic and not known[0].authentic:
                self.items[self.items.index(known[0])] = item
        if item.note is not None:
            self.note(item.note)

    def note(self, problem: Problem) -> None:
        with self.lock:
            if problem not in self.problems:
                self.problems.append(problem)

    def guarded(self, part: Callable[[], object]) -> None:
        """Evidence that cannot be read far enough to ask for anything is named by verify."""
        try:
            part()
        except FetchFailed as failure:
            self.note(failure.reason)
        except Malformed as error:
            self.note(failed("sources.unbuildable", where="evidence", found=str(error.problems[0])).reason)


def fetch_for(
    evidence: Evidence, sources: Sources, *, have: Endorsements | None = None, once: Once | None = None
) -> Fetched:
    """Ask for all that verifying this evidence needs, from the cache where it is fresh.

    have: endorsements at hand. Certificates among them are not asked for again; lists, collateral and
    OCSP answers always are, since whoever brought them may have left out the newest (T-OMIT). once: of a run
    for several machines, so that none asks what another has asked.
    """
    run = _Run(sources, have or Endorsements(), once or Once(sources))
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        list(pool.map(run.guarded, _parts(evidence, run)))
    order = {kind: index for index, kind in enumerate(("certificates", "crls", "documents", "rims", "ocsp"))}

    def place(item: Item) -> tuple[int, str]:
        first = next((order[name] for name in order if getattr(item.endorsements, name)), len(order))
        return first, item.question.about

    return Fetched(tuple(sorted(run.items, key=place)), tuple(run.problems))


def again(fetched: Fetched, sources: Sources) -> Endorsements:
    """The manifests that came from the cache, asked for anew: before a device is judged by measurements
    that do not match, its manifest must be the vendor's newest. Those that cannot be had are left out."""
    found = Endorsements()
    for item in fetched.items:
        if item.kept and item.endorsements.rims:
            with suppress(FetchFailed):
                found += sources.ask(item.question, renew=True).endorsements
    return found


def _parts(evidence: Evidence, run: _Run) -> Iterator[Callable[[], object]]:
    cpu = hardware(evidence.cpu)
    if isinstance(cpu, Report):
        yield lambda: _snp(cpu, run)
    elif isinstance(cpu, Quote):
        yield from _tdx(cpu, run)
    for device in evidence.devices:
        yield from _device(device, run)


# -- AMD ------------------------------------------------------------------------------------------------


def _snp(report: Report, run: _Run) -> None:
    kind: Kind = "vlek" if report.signing_key == _VLEK else "vcek"
    leaves = [certificate for certificate in run.have.certificates if kind_of(certificate) == kind]
    if not leaves and run.sources.azure_host and kind == "vcek":
        item = run.ask(azure_thim.certification(run.sources.hosts))
        if item is not None:
            leaves = [c for c in item.endorsements.certificates if kind_of(c) == kind]
    wanted = amd_kds.products(report)
    if leaves:
        # Of version 2 only the certificate's issuer tells the product.
        named = tuple(
            product
            for product in wanted
            if any(c.issuer_common_name == issuer_name(kind, product) for c in leaves)
        )
        wanted = named or wanted
    if not wanted:
        raise failed(
            "sources.unbuildable",
            where="report.cpuid",
            expected="Milan, Genoa or Turin",
            found=f"family {report.cpuid_fam_id}, model {report.cpuid_mod_id}",
        )
    product: Product = wanted[0]
    item = None
    if not leaves and kind == "vlek":
        run.note(failed("sources.unavailable", where="VLEK: AMD gives it to the cloud provider alone").reason)
    elif not leaves:
        found = _vcek(report, wanted, run)
        if found is not None:
            product, item = found
            leaves = list(item.endorsements.certificates)
    known = (*run.sources.anchors.intermediates, *run.have.certificates)
    if leaves and not _issuer_known(leaves, known):
        # AMD has re-issued an ASK before: ours may be the old one.
        chain = _amd_chain(kind, product, run)
        if item is not None and not item.authentic:
            run.add(run.sources.judge_again(item, (*known, *chain)))
    run.ask(amd_kds.crl(run.sources.hosts, kind, product))


def _issuer_known(leaves: Sequence[Certificate], known: Sequence[Certificate]) -> bool:
    """Whether the issuer of any leaf is at hand. Of a few: each pair costs a signature under any key."""
    return any(
        leaf.issued_by(certificate)
        for leaf in leaves[:_FEW]
        for certificate in [one for one in known if one.subject_der == leaf.issuer_der][:_FEW]
    )


def _amd_chain(kind: Kind, product: Product, run: _Run) -> tuple[Certificate, ...]:
    item = run.ask(amd_kds.chain(run.sources.hosts, kind, product))
    return item.endorsements.certificates if item is not None else ()


def _vcek(report: Report, products: Sequence[Product], run: _Run) -> tuple[Product, Item] | None:
    """From the first product line that knows the chip; the refusals count when none does."""
    refusals = []
    for product in products:
        try:
            item = run.once.ask(
                amd_kds.vcek(run.sources.hosts, product, report.chip_id, report.reported_tcb),
                beside=run.have.certificates,
            )
        except FetchFailed as failure:
            refusals.append(failure.reason)
            continue
        run.add(item)
        return product, item
    for reason in refusals:
        run.note(reason)
    return None


# -- Intel ----------------------------------------------------------------------------------------------


def _tdx(quote: Quote, run: _Run) -> Iterator[Callable[[], object]]:
    hosts, early = run.sources.hosts, run.sources.early
    yield lambda: run.ask(intel_pcs.root_crl(hosts))
    yield lambda: run.ask(intel_pcs.qe_identity(hosts, early=early))
    yield lambda: _platform(quote, run)


def _platform(quote: Quote, run: _Run) -> None:
    """TCB info of the family that the PCK certificate names, and the list of the CA that issued it."""
    hosts = run.sources.hosts
    if quote.certification_data_type == PCK_CHAIN:
        chain = parse_certificates(quote.certification_data, where="quote.pck_certificate_chain", limit=3)
    else:
        chain = chain_beside(quote, run.have.certificates) or ()
        if not chain:
            item = run.ask(intel_pcs.pck_certificate(hosts, quote))
            chain = item.endorsements.certificates if item is not None else ()
    leaf = next((c for c in chain if c.raw_extension(SGX_EXTENSION) is not None), None)
    if leaf is None:
        run.note(failed("sources.unbuildable", where="quote", expected="a PCK certificate").reason)
        return
    authority = intel_pcs.AUTHORITIES.get(leaf.issuer_common_name)
    if authority is None:
        run.note(
            failed(
                "sources.unbuildable",
                where="PCK certificate's issuer",
                expected=" or ".join(intel_pcs.AUTHORITIES),
                found=leaf.issuer_common_name,
            ).reason
        )
    else:
        run.ask(intel_pcs.pck_crl(hosts, authority), chain)
    facts = PckFacts.parse(leaf.raw_extension(SGX_EXTENSION) or b"")
    run.ask(intel_pcs.tcb_info(hosts, facts.fmspc, early=run.sources.early))


# -- NVIDIA ---------------------------------------------------------------------------------------------


def _device(device: Verifiable, run: _Run) -> Iterator[Callable[[], object]]:
    from attest.nvidia.chain import given_chain
    from attest.nvidia.containers import DeviceEvidence
    from attest.nvidia.family import Family
    from attest.nvidia.ocsp_request import device_pairs, rim_pairs
    from attest.nvidia.opaque import Opaque
    from attest.nvidia.rim_ids import rim_ids

    if not isinstance(device, DeviceEvidence):
        return
    chain = device.chain or given_chain(run.have.certificates)
    for certificate, issuer in device_pairs(chain):
        yield partial(_status, certificate, issuer, chain, run)
    family = Family.of_name(chain[0].common_name) if chain else None
    if family is None:
        yield lambda: run.note(
            failed(
                "sources.unbuildable", where=f"{device.section} certificate", expected="a known chip"
            ).reason
        )
        return
    hosts, key = run.sources.hosts, run.sources.service_key

    def manifest(identifier: str) -> None:
        item = run.ask(nvidia_rim.rim(hosts, identifier, key))
        if item is None:
            return
        for rim in item.endorsements.rims:
            if not isinstance(rim, bytes):
                for certificate, issuer in rim_pairs(rim.chain):
                    _status(certificate, issuer, rim.chain, run)

    def manifests() -> None:
        identifiers = rim_ids(family, Opaque.read(device.report.opaque, family.section))
        wanted = {"bios"} if family.section == "switch" else {"driver", "vbios"}
        for kind in sorted(wanted - set(identifiers)):
            run.note(
                failed(
                    "sources.unbuildable", where=f"{kind} manifest", expected="a version in the report"
                ).reason
            )
        for identifier in identifiers.values():
            manifest(identifier)

    yield manifests


def _status(certificate: Certificate, issuer: Certificate, chain: Sequence[Certificate], run: _Run) -> None:
    run.guarded(
        lambda: run.ask(
            nvidia_ocsp.status(run.sources.hosts, certificate, issuer, run.sources.service_key), chain
        )
    )
