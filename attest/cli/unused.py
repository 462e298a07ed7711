"""Which of the given files an accepted verification had no use for: another vendor's, another machine's.

A file is named only where that is certain. What belongs to the evidence's vendor and stood by unneeded, such as a root
that is pinned anyway, is not named: leaving it out or in is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attest.anchors import Anchors
from attest.endorsements import Endorsements
from attest.snp.leaf import kind_of
from attest.verified import Verified
from attest.x509 import Certificate

_LONGEST = 6
"""Certificates of a chain, root included; more is no vendor's."""


def not_used(brought: Mapping[str, Endorsements], verified: Verified, anchors: Anchors) -> tuple[str, ...]:
    """brought: file → the endorsements that it holds and nothing else. Names in the order given."""
    use = _Use(brought, verified, anchors)
    return tuple(name for name, held in brought.items() if not any(use.of(held)))


class _Use:
    def __init__(self, brought: Mapping[str, Endorsements], verified: Verified, anchors: Anchors) -> None:
        self._claims = verified.claims
        self._raw: Mapping[str, Any] = verified.claims.get("raw", {})
        self._by_name: dict[bytes, Certificate] = {}
        for held in brought.values():
            self._by_name.update((one.subject_der, one) for one in held.certificates)
        self._by_name.update((one.subject_der, one) for one in anchors.intermediates)
        self._roles: dict[bytes, set[str]] = {}
        for root in anchors.roots:
            self._roles.setdefault(root.certificate.subject_der, set()).add(root.role)

    def of(self, held: Endorsements) -> Iterator[bool]:
        """For each piece whether it may have been of use."""
        for certificate in held.certificates:
            yield self._certificate(certificate)
        for crl in held.crls:
            yield self._wanted(crl.issuer_der)
        for _ in held.documents:
            yield "tdx" in self._claims
        devices = self._devices()
        used = {str(rim.get("sha256")) for device in devices for rim in device.get("rims", {}).values()}
        for rim in held.rims:
            yield bool(devices) and (isinstance(rim, bytes) or rim.digest.hex() in used)
        for answer in held.ocsp:
            yield bool(devices) and self._speaks_of(answer, devices)

    def _certificate(self, certificate: Certificate) -> bool:
        if kind_of(certificate) is not None:
            leaf = self._raw.get("snp", {}).get("leaf", {})
            return bool(leaf.get("fingerprint") == certificate.fingerprint.hex())
        return self._wanted(certificate.subject_der) or self._wanted(certificate.issuer_der)

    def _wanted(self, name: bytes) -> bool:
        """Whether a name leads to a root that this evidence stands under, or nobody can tell to which."""
        for _ in range(_LONGEST):
            if name in self._roles:
                return bool(self._roles[name] & self._standing())
            above = self._by_name.get(name)
            if above is None or above.issuer_der == name:
                return True
            name = above.issuer_der
        return True

    def _standing(self) -> set[str]:
        roles = {"azure-vtpm"} if "azure" in self._raw else set()
        if "snp" in self._claims:
            roles.add(f"amd-ark-{self._claims['snp'].get('product')}")
        if "tdx" in self._claims:
            roles.add("intel-sgx-root")
        return roles | ({"nvidia-device", "nvidia-rim"} if self._devices() else set())

    def _devices(self) -> list[Mapping[str, Any]]:
        return [*self._raw.get("gpu", ()), *self._raw.get("switch", ())]

    def _speaks_of(self, answer: bytes, devices: list[Mapping[str, Any]]) -> bool:
        from attest.sources.coverage import speaks_of  # devices have loaded their room

        serials = {int(one["serial"], 16) for device in devices for one in device.get("revocation", ())}
        return speaks_of(answer, serials)
