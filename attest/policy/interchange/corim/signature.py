"""A signed CoRIM: COSE_Sign1 under a signer that the reader named, and from when to when it counts.

Nothing but the two headers is read before a signature holds. The header picks one of the key's own algorithms and
nothing else; `kid` and certificates that come along are looked for under what was named, never believed.
Source: draft-ietf-rats-corim-11 §4.2; RFC 9052 §3.1 and §4.4, RFC 9360 (x5chain), RFC 9597 (CWT claims).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attest import cose
from attest.claims import instant
from attest.errors import Problem, Rejected
from attest.policy.interchange.corim.items import Item, broken, opened, refused, shape
from attest.policy.interchange.corim.signer import MAX_CHAIN, Signer, leaf_under
from attest.policy.interchange.corim.validity import Validity, read_validity
from attest.problems import problem
from attest.untrusted import escape
from attest.x509 import Certificate

_ALGORITHM, _CRITICAL, _TYPE, _KID, _META, _CWT, _CHAIN = 1, 2, 3, 4, 8, 15, 33
_HASH_ENVELOPE = (258, 259, 260)
_HEADER = {
    _ALGORITHM: "alg", _CRITICAL: "crit", _TYPE: "content-type", _KID: "kid", _META: "corim-meta",
    _CWT: "CWT-Claims", _CHAIN: "x5chain",
}  # fmt: skip
_UNDERSTOOD = {_ALGORITHM, _TYPE, _META, _CWT, _CHAIN}
_TYPES = ("application/rim+cbor", "application/corim-unsigned+cbor")
"""Since draft 07, and before."""
_ISSUER, _EXPIRES, _BEGINS = 1, 4, 5
_CLAIMS = {_ISSUER: "iss", 2: "sub", _EXPIRES: "exp", _BEGINS: "nbf"}


@dataclass(frozen=True, slots=True)
class Signed:
    """payload: what was signed. name: what the signer calls itself, escaped. key: SHA-256 of its key, hex. by: the
    certificate that carries it."""

    payload: bytes
    name: str
    key: str
    by: Certificate | None
    validity: Validity


def verified(message: Item, signers: Sequence[Signer], at: datetime) -> Signed:
    """Raises Malformed (`corim.malformed`, `corim.payload`, `corim.signer-missing`) or Rejected
    (`corim.algorithm`, `corim.signature`, `corim.dates`, `x509.*`)."""
    protected, unprotected, payload, signature = Item(
        message.inner(cose.SIGN1).value, "corim.COSE_Sign1"
    ).items(least=4, most=4)
    header = opened(protected.octets(), "corim.protected").members(_HEADER, needs=(_ALGORITHM,), closed=False)
    outer = Item(unprotected.value, "corim.unprotected").members(_HEADER, closed=False)
    if payload.value is None or any(key in header for key in _HASH_ENVELOPE):
        raise refused("corim.payload", payload.path, "the CoRIM itself", "a digest of it, or nothing")
    if not signers:
        raise refused("corim.signer-missing", "corim", "--signer FILE", "none")
    algorithm = header[_ALGORITHM].number(least=-(1 << 31), most=(1 << 31) - 1)
    structure = cose.sig_structure(protected.octets(), payload.octets())
    chain = _chain(header.get(_CHAIN) or outer.get(_CHAIN))
    signer = _held(signers, chain, algorithm, signature.octets(), structure, at)
    return _described(signer, header, payload.octets(), at)


def _held(
    signers: Sequence[Signer],
    chain: tuple[Certificate, ...],
    algorithm: int,
    signature: bytes,
    structure: bytes,
    at: datetime,
) -> Signer:
    """The signer whose key made the signature."""
    candidates, problems = list(signers), list[Problem]()
    for anchor in (one.certificate for one in signers if one.certificate is not None and chain):
        leaf, wrong = leaf_under(anchor, chain, at)
        problems += wrong
        if leaf is not None:
            candidates.append(Signer(leaf.public_key, leaf))
    able = [one for one in candidates if algorithm in cose.algorithms(one.key)]
    for one in able:
        if cose.verify(one.key, algorithm, signature, structure):
            _in_time(one.certificate, at)
            return one
    if not able and not problems:
        wanted = sorted({number for one in candidates for number in cose.algorithms(one.key)}, reverse=True)
        raise Rejected([problem("corim.algorithm", expected=" or ".join(map(str, wanted)), found=algorithm)])
    keys = " or ".join(_key_id(one.key)[:16] for one in candidates)
    raise Rejected([problem("corim.signature", expected=f"by key {keys}"), *problems])


def _in_time(certificate: Certificate | None, at: datetime) -> None:
    if certificate is not None and not certificate.not_before <= at <= certificate.not_after:
        raise Rejected(
            [
                problem(
                    "corim.dates",
                    where=f"certificate of {certificate.common_name.shown}",
                    expected=f"{instant(certificate.not_before)} to {instant(certificate.not_after)}",
                    found=instant(at),
                )
            ]
        )


def _chain(item: Item | None) -> tuple[Certificate, ...]:
    """x5chain: one certificate, or several, leaf first."""
    if item is None:
        return ()
    ones = [item] if isinstance(item.value, bytes) else item.items(most=MAX_CHAIN)
    return tuple(Certificate(one.octets(), where=one.path) for one in ones)


def _described(signer: Signer, header: dict[int | str | bytes, Item], payload: bytes, at: datetime) -> Signed:
    for critical in header[_CRITICAL].items() if _CRITICAL in header else ():
        if not critical.is_number() or critical.value not in _UNDERSTOOD:
            broken(critical.path, "a header that is understood here", shape(critical.value))
    if _TYPE not in header or header[_TYPE].value not in _TYPES:
        found = header[_TYPE].value if _TYPE in header else "none"
        broken("corim.protected.content-type", " or ".join(_TYPES), str(found)[:80])
    meta, cwt = header.get(_META), header.get(_CWT)
    if meta is None and cwt is None:
        broken("corim.protected", "corim-meta or CWT-Claims", "neither")
    said = [(one.path, *read(one)) for one, read in ((meta, _meta), (cwt, _cwt)) if one is not None]
    if len(said) == 2 and said[0][1:] != said[1][1:]:
        broken(said[1][0], "the same name and dates as corim-meta", "others")
    path, name, validity = said[0]
    validity.holds(path, at)
    return Signed(payload, escape(name, 80), _key_id(signer.key), signer.certificate, validity)


def _meta(item: Item) -> tuple[str, Validity]:
    found = opened(item.octets(), item.path).members({0: "signer", 1: "signature-validity"}, needs=(0,))
    signer = found[0].members({0: "signer-name", 1: "signer-uri"}, needs=(0,), closed=False)
    return signer[0].text(), read_validity(found.get(1))


def _cwt(item: Item) -> tuple[str, Validity]:
    found = item.members(_CLAIMS, needs=(_ISSUER,), closed=False)
    begins, ends = (found[key].seconds() if key in found else None for key in (_BEGINS, _EXPIRES))
    return found[_ISSUER].text(), Validity(begins, ends)


def _key_id(key: cose.PublicKey) -> str:
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
