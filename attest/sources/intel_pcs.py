"""Intel's Provisioning Certification Service, version 4, and caching services (PCCS) that speak it.

Signed JSON comes as the exact octets Intel signed; the signer's chain comes percent-encoded in a header.
A PCCS hands lists out as hex where Intel hands out DER. `update=standard` and `early` are two answers to
one question, months apart after a disclosure, so which one was asked for is said with the answer.
Source: Intel PCS API v4; Intel PCCS API.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta

from attest.endorsements import Endorsements
from attest.problems import malformed
from attest.sources.client import Answer, Request, percent_decoded
from attest.sources.failure import FetchFailed, failed
from attest.sources.hosts import Hosts
from attest.sources.question import Question
from attest.tdx.collateral import QE_IDENTITY, TCB_INFO, read_pcs
from attest.tdx.pck import PLATFORM_CA, PROCESSOR_CA
from attest.tdx.qe_identity import QeIdentity
from attest.tdx.quote import Quote
from attest.tdx.sgx_extension import SGX_EXTENSION, PckFacts
from attest.tdx.tcb_info import MAX_SIZE, TcbInfo
from attest.x509 import MAX_CHAIN, MAX_CRL, Certificate, Crl, parse_certificates

_DAY = timedelta(days=1)
_JSON = ("application/json",)
_ANY: tuple[str, ...] = ()
_HEX = re.compile(rb"[0-9a-fA-F\s]+\Z")
AUTHORITIES: Mapping[str, str] = {PLATFORM_CA: "platform", PROCESSOR_CA: "processor"}
"""Common name of a PCK CA → the word of its list in the API."""
_PPID_SIZES = {2: 256, 3: 384}
"""Certification data type → bytes of the encrypted PPID before CPUSVN, PCESVN and PCEID."""
_PARAMETERS = 16 + 2 + 2


def tcb_info(hosts: Hosts, fmspc: bytes, *, early: bool = False) -> Question:
    """TCB info of a platform family. fmspc: 6 bytes."""
    update = "early" if early else "standard"

    def read(body: bytes, chain: bytes) -> Endorsements:
        document = read_pcs(body, _certificates(chain, "TCB info issuer chain"))
        content = TcbInfo.parse(document.body) if document.kind == TCB_INFO else None
        if content is None or content.fmspc != fmspc:
            found = document.kind if content is None else f"FMSPC {content.fmspc.hex()}"
            raise _other("TCB info", f"FMSPC {fmspc.hex()}", found)
        return Endorsements(documents=(document,), certificates=document.chain)

    return Question(
        f"TCB info of FMSPC {fmspc.hex()}, {update}",
        Request(f"{_api(hosts)}/tdx/certification/v4/tcb?fmspc={fmspc.hex().upper()}&update={update}", MAX_SIZE, types=_JSON),
        read,
        _DAY,
        chain=_header("tcb-info-issuer-chain", "sgx-tcb-info-issuer-chain"),
    )  # fmt: skip


def qe_identity(hosts: Hosts, *, early: bool = False) -> Question:
    """The identity of the TD quoting enclave."""
    update = "early" if early else "standard"

    def read(body: bytes, chain: bytes) -> Endorsements:
        document = read_pcs(body, _certificates(chain, "QE identity issuer chain"))
        if document.kind != QE_IDENTITY:
            raise _other("QE identity", QE_IDENTITY, document.kind)
        QeIdentity.parse(document.body)
        return Endorsements(documents=(document,), certificates=document.chain)

    return Question(
        f"QE identity, {update}",
        Request(f"{_api(hosts)}/tdx/certification/v4/qe/identity?update={update}", MAX_SIZE, types=_JSON),
        read,
        _DAY,
        chain=_header("sgx-enclave-identity-issuer-chain"),
    )


def pck_crl(hosts: Hosts, authority: str) -> Question:
    """The list of a PCK CA. authority: platform or processor."""
    if authority not in AUTHORITIES.values():
        raise ValueError("the authority is platform or processor")

    def read(body: bytes, chain: bytes) -> Endorsements:
        crl = Crl(_der(body, hex_too=hosts.pccs is not None, where="PCK CRL"), where="PCK CRL")
        return Endorsements(certificates=_certificates(chain, "PCK CRL issuer chain"), crls=(crl,))

    return Question(
        f"CRL of the PCK {authority} CA",
        Request(f"{_api(hosts)}/sgx/certification/v4/pckcrl?ca={authority}&encoding=der", 2 * MAX_CRL),
        read,
        _DAY,
        chain=_header("sgx-pck-crl-issuer-chain"),
    )


def root_crl(hosts: Hosts) -> Question:
    """The list of the SGX root. Intel has it as a file, a PCCS as hex text."""

    def read(body: bytes, _: bytes) -> Endorsements:
        where = "root CRL"
        return Endorsements(crls=(Crl(_der(body, hex_too=hosts.pccs is not None, where=where), where=where),))

    if hosts.pccs is not None:
        url = f"{hosts.pccs}/sgx/certification/v4/rootcacrl"
    else:
        url = f"{hosts.pcs_root_crl}/IntelSGXRootCA.der"
    return Question("CRL of the Intel SGX Root CA", Request(url, 2 * MAX_CRL), read, _DAY)


def pck_certificate(hosts: Hosts, quote: Quote) -> Question:
    """The PCK certificate of a quote that carries an encrypted platform id in its place (types 2 and 3).

    Raises FetchFailed (`sources.unbuildable`) for a quote that carries neither.
    """
    size = _PPID_SIZES.get(quote.certification_data_type)
    data = quote.certification_data
    if size is None or len(data) != size + _PARAMETERS:
        raise failed(
            "sources.unbuildable",
            where="quote.certification_data",
            expected="a PCK chain, or an encrypted PPID with its SVNs",
            found=f"type {quote.certification_data_type}, {len(data)} bytes",
            temporary=False,
        )
    ppid, cpusvn = data[:size], data[size : size + 16]
    pcesvn, pceid = data[size + 16 : size + 18], data[size + 18 :]
    query = f"encrypted_ppid={ppid.hex()}&cpusvn={cpusvn.hex()}&pcesvn={pcesvn.hex()}&pceid={pceid.hex()}"
    if hosts.pccs is not None:
        query += f"&qeid={quote.user_data[:16].hex()}"

    def read(body: bytes, chain: bytes) -> Endorsements:
        leaf, *more = parse_certificates(body, where="PCK certificate")
        extension = leaf.raw_extension(SGX_EXTENSION)
        if more or extension is None or PckFacts.parse(extension).pce_id != pceid:
            raise _other("PCK certificate", f"one certificate of PCE {pceid.hex()}", leaf.common_name.shown)
        return Endorsements(certificates=(leaf, *_certificates(chain, "PCK issuer chain")))

    return Question(
        "PCK certificate of this platform",
        Request(f"{_api(hosts)}/sgx/certification/v4/pckcert?{query}", 4 * MAX_CHAIN << 10),
        read,
        30 * _DAY,
        chain=_header("sgx-pck-certificate-issuer-chain"),
    )


def _api(hosts: Hosts) -> str:
    return hosts.pccs or hosts.pcs


def _header(*names: str) -> Callable[[Answer], bytes]:
    """The first of these headers that is there, percent-decoded; nothing where none is."""

    def chain(answer: Answer) -> bytes:
        for name in names:
            if name in answer.headers:
                return percent_decoded(answer.headers[name], where=name)
        return b""

    return chain


def _certificates(chain: bytes, where: str) -> tuple[Certificate, ...]:
    """Without a chain the signer may be among other endorsements; its signature decides."""
    return parse_certificates(chain, where=where, limit=4) if chain else ()


def _der(body: bytes, *, hex_too: bool, where: str) -> bytes:
    if hex_too and body[:1] != b"\x30":
        if not _HEX.match(body):
            raise malformed("Neither DER nor hex", where=where, code="endorsement.malformed")
        try:
            return bytes.fromhex(body.decode("ascii"))
        except ValueError:
            raise malformed(
                "An odd number of hex digits", where=where, code="endorsement.malformed"
            ) from None
    return body


def _other(what: str, expected: str, found: object) -> FetchFailed:
    return failed("sources.content", where=what, expected=expected, found=found, temporary=False)
