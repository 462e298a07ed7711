"""Which of the certificates at hand lead to a pinned root, and which issuer is lacking where one does not.

From the roots down: each certificate is looked at once for each genuine issuer of its name, however many forged
ones of that name lie beside. What is lacking is told by names alone, which costs no signature.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.x509 import BasicConstraints, KeyUsage

from attest.anchors import Anchors
from attest.nvidia.ocsp_answer import HASHES, Single, key_hash
from attest.x509 import Certificate

_LONGEST_WALK = 64


@dataclass(frozen=True, slots=True)
class Root:
    name: str
    simulated: bool


@dataclass(slots=True)
class _Name:
    """Everything at hand of one subject. issuers: DER of a name → the name, of those without a place."""

    placed: bool = False
    issuers: dict[bytes, str] = field(default_factory=dict)


class Placed:
    """The certificates at hand, each under its root or under none. roots: of those that have one."""

    def __init__(self, anchors: Anchors, certificates: Iterable[Certificate]) -> None:
        self._given = tuple(dict.fromkeys(certificates))
        self._issuers: dict[bytes, list[Certificate]] = {}
        self._hashed: dict[tuple[str, bool], dict[tuple[bytes, bytes], list[Certificate]]] = {}
        self.roots: Mapping[Certificate, Root] = self._place(anchors)
        self._names: dict[bytes, _Name] = {}
        for certificate in self._given:
            name = self._names.setdefault(certificate.subject_der, _Name())
            if certificate in self.roots:
                name.placed = True
            elif certificate.issuer_der != certificate.subject_der:
                name.issuers[certificate.issuer_der] = certificate.issuer_common_name.shown

    def _place(self, anchors: Anchors) -> dict[Certificate, Root]:
        pinned = {anchor.spki_sha256: anchor for anchor in anchors.roots}
        placed: dict[Certificate, Root] = {}
        named: dict[bytes, list[Certificate]] = {}
        for certificate in self._given:
            anchor = pinned.get(certificate.spki_sha256)
            # Anybody can write a certificate around a root's public key; a re-issued root is signed with it.
            if anchor is not None and (
                certificate == anchor.certificate or certificate.issued_by(anchor.certificate)
            ):
                placed[certificate] = Root(anchor.certificate.common_name.shown, anchor.simulated)
            else:
                named.setdefault(certificate.issuer_der, []).append(certificate)
        reached = list(placed)
        for issuer in reached:
            self._issuers.setdefault(issuer.subject_der, []).append(issuer)
            if not _may_issue(issuer):
                continue
            for certificate in named.get(issuer.subject_der, ()):
                if certificate not in placed and certificate.issued_by(issuer):
                    placed[certificate] = placed[issuer]
                    reached.append(certificate)
        return placed

    def named(self, subject: bytes) -> Sequence[Certificate]:
        """Certificates of this name that lead to a root."""
        return self._issuers.get(subject, ())

    def lacking(self, issuer: bytes, shown: str) -> str | None:
        """The issuer that is not at hand, on the way up from something that this one signed; None where the way
        ends in certificates that are there: then it is no matter of another file.

        issuer: DER of its name. shown: the name for people.
        """
        seen: set[bytes] = set()
        pending = [(issuer, shown)]
        while pending and len(seen) < _LONGEST_WALK:
            name, shown = pending.pop()
            if name in seen:
                continue
            seen.add(name)
            held = self._names.get(name)
            if held is None:
                return shown or "one without a name"
            if held.placed:
                return None
            pending += held.issuers.items()
        return None

    def issuers_of(self, single: Single, *, placed: bool) -> Sequence[Certificate]:
        """The certificates that a statement of an OCSP answer names as issuer, by the hashes of name and key
        (RFC 6960 §4.1.1), among those with a root or those without."""
        key = single.hash_name, placed
        if key not in self._hashed:
            hashed: dict[tuple[bytes, bytes], list[Certificate]] = {}
            for certificate in self._given:
                of_key = key_hash(single.hash_name, certificate)
                if (certificate in self.roots) is placed and of_key is not None:
                    of_name = HASHES[single.hash_name](certificate.subject_der).digest()
                    hashed.setdefault((of_name, of_key), []).append(certificate)
            self._hashed[key] = hashed
        return self._hashed[key].get((single.issuer_name_hash, single.issuer_key_hash), ())


def _may_issue(issuer: Certificate) -> bool:
    constraints, usage = issuer.extension(BasicConstraints), issuer.extension(KeyUsage)
    return constraints is not None and constraints.ca and (usage is None or usage.key_cert_sign)
