"""Whom the reader of a signed CoRIM trusts: a key, a certificate of that key, or the issuer of such certificates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

from attest import cose
from attest.anchors import Anchor, Anchors
from attest.checks import CheckLog
from attest.errors import Malformed, Problem
from attest.path import PathRule, check_path
from attest.x509 import Certificate, parse_certificates

MAX_CHAIN = 8
_WANTED = "a public key or certificates, PEM or DER"
_KEYS = "P-256, P-384, P-521, Ed25519, Ed448 or RSA of 2048 to 8192 bits"


@dataclass(frozen=True, slots=True)
class Signer:
    """key: whose signature counts. certificate: which carries it; what it issues counts too."""

    key: cose.PublicKey
    certificate: Certificate | None = None


def read_signers(data: bytes) -> tuple[Signer, ...]:
    """One key, or as many certificates as the file has. Raises ValueError."""
    try:
        found = parse_certificates(data, where="signer")
    except Malformed:
        return (Signer(_usable(_public_key(data))),)
    return tuple(Signer(_usable(one.public_key), one) for one in found)


def _public_key(data: bytes) -> object:
    load = load_der_public_key if data[:1] == b"\x30" else load_pem_public_key
    try:
        return load(data)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"not {_WANTED}") from None


def _usable(key: object) -> cose.PublicKey:
    if not cose.algorithms(key):
        raise ValueError(f"its key is not {_KEYS}")
    return key  # type: ignore[return-value] # what has algorithms is one of these


def leaf_under(
    anchor: Certificate, chain: tuple[Certificate, ...], at: datetime
) -> tuple[Certificate | None, list[Problem]]:
    """The first certificate of `chain`, leaf first, where `anchor` stands above it and all are valid at `at`; else
    what is wrong. What the chain brings beyond the anchor is not looked at. Revocation is not asked about: no list
    comes with a CoRIM."""
    above = next((i for i, one in enumerate(chain) if one.spki_sha256 == anchor.spki_sha256), None)
    if above == 0:
        return None, []  # the anchor's own key, which counts without a chain
    links = chain if above is None else chain[: above + 1]
    depth = len(links) + (above is None)
    certificates = (*links, anchor)[:depth]
    rule = PathRule(
        role="corim signer",
        names=(None,) * depth,
        keys=tuple(_kind(one.public_key) for one in certificates),
    )
    log = CheckLog()
    path = check_path(
        links, anchors=Anchors((Anchor("corim-signer", anchor),)), anchor_role="corim-signer", rule=rule, log=log
    )  # fmt: skip
    if path is None or not path.in_time(at, log):
        return None, log.problems
    return path.leaf, []


def _kind(key: object) -> Literal["P-256", "P-384", "RSA-2048"]:
    """As the rule of a path names it; the path itself refuses what is none of these."""
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA-2048"
    return (
        "P-256" if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1" else "P-384"
    )
