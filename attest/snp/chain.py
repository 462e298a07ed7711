"""From a VCEK or VLEK to the pinned ARK (AMD 57230): which certificates, in which shape."""

from __future__ import annotations

from typing import NamedTuple

from attest.anchors import Anchors, Role
from attest.cache import Cache
from attest.checks import CheckLog
from attest.endorsements import Endorsements
from attest.path import Path, PathRule, check_path, issued
from attest.snp.leaf import LEAF_NAMES, Kind, kind_of
from attest.snp.tcb import PRODUCTS, Product
from attest.x509 import Certificate

_MAX_ISSUERS = 8
"""AMD has re-issued an ASK once; each one of the name costs an RSA operation for each leaf."""
_TITLE: dict[Product, str] = {"milan": "Milan", "genoa": "Genoa", "turin": "Turin"}
_ROLE: dict[Product, Role] = {
    "milan": "amd-ark-milan",
    "genoa": "amd-ark-genoa",
    "turin": "amd-ark-turin",
}


def issuer_name(kind: Kind, product: Product) -> str:
    """Common name of the ASK or ASVK."""
    return f"SEV-{_TITLE[product]}" if kind == "vcek" else f"SEV-VLEK-{_TITLE[product]}"


_RULES = {
    (kind, product): PathRule(
        role=kind,
        names=(LEAF_NAMES[kind], issuer_name(kind, product), f"ARK-{_TITLE[product]}"),
        keys=("P-384", "RSA-4096", "RSA-4096"),
        # AMD's leaves carry neither BasicConstraints nor KeyUsage.
        leaf_constraints=False,
        check="snp.chain",
    )
    for kind in LEAF_NAMES
    for product in PRODUCTS
}


_PRODUCT_OF = {issuer_name(kind, product): product for kind, product in _RULES}


class Leaf(NamedTuple):
    """A certificate and what its names claim; nothing of it is checked."""

    certificate: Certificate
    kind: Kind
    product: Product


class Candidate(NamedTuple):
    """A leaf and the certificate that its issuer's name asks for; nothing of them is checked."""

    leaf: Certificate
    kind: Kind
    product: Product
    issuer: Certificate | None


def leaves(endorsements: Endorsements) -> list[Leaf]:
    """VCEKs and VLEKs among the endorsements by their names. One of an unknown issuer is passed over."""
    found = []
    for certificate in endorsements.certificates:
        kind = kind_of(certificate)
        product = None if kind is None else _PRODUCT_OF.get(certificate.issuer_common_name)
        if kind is not None and product is not None:
            found.append(Leaf(certificate, kind, product))
    return found


def with_issuer(leaf: Leaf, endorsements: Endorsements, anchors: Anchors, cache: Cache | None) -> Candidate:
    """The leaf with the ASK or ASVK that its issuer's name asks for.

    One given with the evidence is preferred over the one we ship; where several carry the name, the one that
    signed the leaf. To be asked for one leaf alone: each costs signatures, under any key that was given.
    """
    certificate = leaf.certificate
    issuers = [
        other
        for other in (*endorsements.certificates, *anchors.intermediates)
        if other.subject_der == certificate.issuer_der and other != certificate
    ][:_MAX_ISSUERS]
    issuer = issuers[0] if issuers else None
    if len(issuers) > 1:
        issuer = next((ca for ca in issuers if issued(certificate, ca, cache)), issuer)
    return Candidate(certificate, leaf.kind, leaf.product, issuer)


def check_chain(candidate: Candidate, *, anchors: Anchors, log: CheckLog, cache: Cache | None) -> Path | None:
    """The path from the leaf to the pinned ARK of the product its issuer names."""
    if candidate.issuer is None:
        log.failed(
            "snp.chain",
            "x509.missing",
            where=candidate.leaf.common_name.shown,
            expected=candidate.leaf.issuer_common_name.shown,
        )
        return None
    return check_path(
        (candidate.leaf, candidate.issuer),
        anchors=anchors,
        anchor_role=_ROLE[candidate.product],
        rule=_RULES[candidate.kind, candidate.product],
        log=log,
        cache=cache,
    )
