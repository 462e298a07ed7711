"""AMD's Key Distribution Service: the VCEK of a chip and TCB, the CAs of a product, the ARK's list.

Paths are built from fields of the report that are numbers or become hex: nothing an attester writes can
leave its place in the URL. AMD's own service answers about one request in ten seconds for an address, so
certificates are kept as long as they live, and the intermediates we ship save a request; a mirror is asked at
once.
Source: AMD 57230, VCEK Certificate and KDS Interface Specification.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from attest.endorsements import Endorsements
from attest.snp.leaf import HWID_SIZE, Kind, kind_of, read_leaf
from attest.snp.report import Report
from attest.snp.tcb import LAYOUTS, Product, Tcb, product_of
from attest.sources.client import Request
from attest.sources.failure import failed
from attest.sources.hosts import Hosts
from attest.sources.question import Question
from attest.x509 import MAX_CERTIFICATE, MAX_CRL, Certificate, Crl, parse_certificates

PACE = 10.0
_BUDGET = 180.0
_TITLE: dict[Product, str] = {"milan": "Milan", "genoa": "Genoa", "turin": "Turin"}
_PARAMETERS: dict[str, str] = {
    "fmc": "fmcSPL",
    "bootloader": "blSPL",
    "tee": "teeSPL",
    "snp": "snpSPL",
    "microcode": "ucodeSPL",
}
_DAY = timedelta(days=1)


def products(report: Report) -> tuple[Product, ...]:
    """The product lines a report can be of: one from its CPUID bytes; of version 2, which has none, those
    its chip id allows, in the order to try. Empty for a processor without a root we pin."""
    if report.cpuid_fam_id is not None and report.cpuid_mod_id is not None:
        product = product_of(report.cpuid_fam_id, report.cpuid_mod_id)
        return () if product is None else (product,)
    if any(report.chip_id) and not any(report.chip_id[8:]):
        return ("turin",)
    return ("milan", "genoa")


def vcek(hosts: Hosts, product: Product, chip_id: bytes, reported_tcb: bytes) -> Question:
    """The VCEK of a chip for its REPORTED_TCB. chip_id: 64 bytes, of which Turin's has 8.

    Raises FetchFailed (`sources.unbuildable`) for a masked chip id.
    """
    size = HWID_SIZE[product]
    hwid = chip_id[:size]
    if len(chip_id) != 64 or len(reported_tcb) != 8 or not any(hwid) or any(chip_id[size:]):
        raise failed(
            "sources.unbuildable",
            where="report.chip_id",
            expected=f"{size} bytes that name a {_TITLE[product]} chip",
            found="zero: the host masks it" if not any(chip_id) else chip_id,
            temporary=False,
        )
    tcb = Tcb.decode(reported_tcb, product)
    query = "&".join(
        f"{_PARAMETERS[name]}={value:02d}"
        for name, value in sorted(tcb.components.items(), key=lambda pair: LAYOUTS[product][pair[0]])
    )

    def read(body: bytes, chain: bytes) -> Endorsements:
        certificate = Certificate(body, where="VCEK")
        facts = read_leaf(certificate, "vcek", product)
        if kind_of(certificate) != "vcek" or facts.hwid != hwid or facts.tcb != tcb:
            raise failed(
                "sources.content",
                where=f"VCEK of chip {hwid.hex()[:16]}",
                expected=f"hwID {hwid.hex()[:16]}…, {tcb}",
                found=f"{certificate.common_name.shown}, hwID {(facts.hwid or b'').hex()[:16]}…, {facts.tcb}",
                temporary=False,
            )
        return Endorsements(certificates=(certificate,))

    return _question(
        hosts,
        f"VCEK of {_TITLE[product]} chip {hwid.hex()[:16]}… for {tcb}",
        f"/vcek/v1/{_TITLE[product]}/{hwid.hex()}?{query}",
        MAX_CERTIFICATE,
        read,
        None,  # the same question always has the same answer
    )


def chain(hosts: Hosts, kind: Kind, product: Product) -> Question:
    """ASK (or ASVK) and ARK; the ARK counts for nothing, ours is pinned."""

    def read(body: bytes, _: bytes) -> Endorsements:
        certificates = parse_certificates(body, where=f"{kind} cert_chain", limit=4)
        return Endorsements(certificates=certificates)

    return _question(
        hosts,
        f"{'ASK' if kind == 'vcek' else 'ASVK'} of {_TITLE[product]}",
        f"/{kind}/v1/{_TITLE[product]}/cert_chain",
        4 * MAX_CERTIFICATE,
        read,
        30 * _DAY,
    )


def crl(hosts: Hosts, kind: Kind, product: Product) -> Question:
    """The ARK's list. Both endpoints give lists of the same issuer."""

    def read(body: bytes, _: bytes) -> Endorsements:
        return Endorsements(crls=(Crl(body, where=f"CRL of ARK-{_TITLE[product]}"),))

    return _question(
        hosts,
        f"CRL of ARK-{_TITLE[product]}",
        f"/{kind}/v1/{_TITLE[product]}/crl",
        MAX_CRL,
        read,
        _DAY,
    )


def _question(
    hosts: Hosts,
    about: str,
    path: str,
    limit: int,
    read: Callable[[bytes, bytes], Endorsements],
    renew: timedelta | None,
) -> Question:
    pace = PACE if hosts.asks_amd else 0.0
    return Question(about, Request(hosts.kds + path, limit, pace=pace, budget=_BUDGET), read, renew)
