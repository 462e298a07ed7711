"""The PCK chain: which certificate signed the QE report, and what Intel says in it about the platform.

Source: Intel SGX PCK certificate and CRL profile specification.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from attest.anchors import Anchors
from attest.cache import Cache, Key
from attest.checks import CheckLog
from attest.errors import Malformed
from attest.path import Path, PathRule, check_path
from attest.tdx.sgx_extension import SGX_EXTENSION, PckFacts
from attest.x509 import Certificate, parse_certificates

PLATFORM_CA = "Intel SGX PCK Platform CA"
PROCESSOR_CA = "Intel SGX PCK Processor CA"
_LEAF = "Intel SGX PCK Certificate"
_MAX_ISSUERS = 8

# The root's name is left to the pinned key.
_RULES = {
    ca: PathRule("pck", (_LEAF, ca, None), ("P-256", "P-256", "P-256"), check="tdx.pck.chain")
    for ca in (PLATFORM_CA, PROCESSOR_CA)
}


class PckChain(NamedTuple):
    """A path to the pinned root, and the leaf's facts. certificates of `path`: leaf, CA, root."""

    path: Path
    facts: PckFacts

    @property
    def ca(self) -> Certificate:
        return self.path.certificates[1]


def check_pck_pem(pem: bytes, *, anchors: Anchors, log: CheckLog, cache: Cache | None) -> PckChain | None:
    """The chain a quote carries (certification data type 5): exactly leaf, CA and root, in any order.

    None after recording why. A cache hit saves parsing, signatures and structure of these very bytes
    under these very anchors; validity in time is the caller's to ask.
    """
    key: Key = ()
    if cache is not None:
        key = cache.key("pck", anchors.digest, (pem,))
        known: PckChain | None = cache.get(key)
        if known is not None:
            return known
    try:
        certificates = parse_certificates(pem, where="quote.pck_certificate_chain", limit=3, cache=cache)
    except Malformed as error:
        log.absorb(error, "tdx.pck.chain")
        return None
    if len(certificates) != 3:
        log.failed(
            "tdx.pck.chain",
            "x509.depth",
            where="quote.pck_certificate_chain",
            expected=3,
            found=len(certificates),
        )
        return None
    chain = check_pck_chain(_in_order(certificates), anchors=anchors, log=log, cache=cache)
    if chain is not None and cache is not None:
        cache.put(key, chain)
    return chain


def check_pck_chain(
    certificates: tuple[Certificate, ...], *, anchors: Anchors, log: CheckLog, cache: Cache | None
) -> PckChain | None:
    """A chain, leaf first, with or without its root. None after recording why."""
    ca = str(certificates[1].common_name) if len(certificates) > 1 else PLATFORM_CA
    path = check_path(
        certificates,
        anchors=anchors,
        anchor_role="intel-sgx-root",
        rule=_RULES.get(ca, _RULES[PLATFORM_CA]),
        log=log,
        cache=cache,
    )
    if path is None:
        return None
    extension = path.leaf.raw_extension(SGX_EXTENSION)
    if extension is None:
        log.failed("tdx.pck.extension", "tdx.pck.extension", where=path.leaf.common_name.shown, found="none")
        return None
    try:
        facts = PckFacts.parse(extension)
    except Malformed as error:
        log.failed(
            "tdx.pck.extension",
            "tdx.pck.extension",
            where=error.problems[0].where,
            expected=error.problems[0].expected,
            found=error.problems[0].found,
        )
        return None
    return PckChain(path, facts)


def supplied_chains(
    certificates: tuple[Certificate, ...], *, wanted: Callable[[Certificate], bool]
) -> Iterator[tuple[Certificate, ...]]:
    """Leaf and CA of each PCK certificate among the endorsements, for quotes that carry no chain.

    wanted: whether a leaf is worth the search for its issuer, which costs signatures under any key given.
    """
    for leaf in certificates:
        if leaf.common_name != _LEAF or leaf.raw_extension(SGX_EXTENSION) is None or not wanted(leaf):
            continue
        named = [c for c in certificates if c.subject_der == leaf.issuer_der][:_MAX_ISSUERS]
        ca = next((c for c in named if leaf.issued_by(c)), None)
        yield (leaf,) if ca is None else (leaf, ca)


def _in_order(certificates: tuple[Certificate, ...]) -> tuple[Certificate, ...]:
    """Leaf (the one with the SGX extension), its issuer, the rest; as sent where that is not possible."""
    leaves = [c for c in certificates if c.raw_extension(SGX_EXTENSION) is not None]
    if len(leaves) != 1:
        return certificates
    (leaf,) = leaves
    rest = [c for c in certificates if c is not leaf]
    rest.sort(key=lambda c: c.subject_der != leaf.issuer_der)
    return (leaf, *rest)
