"""Pinned vendor roots, and the one way to add a simulator's.

Roots are compared by the SHA-256 of their public key (SPKI): a vendor may re-issue the certificate.
README.md beside this file has fingerprints and origins; `tests/test_anchors.py` recomputes them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.resources import files
from typing import Literal

from attest.x509 import SIMULATOR_EXTENSION, Certificate, parse_certificates, simulator_role

Role = Literal[
    "amd-ark-milan",
    "amd-ark-genoa",
    "amd-ark-turin",
    "intel-sgx-root",
    "nvidia-device",
    "nvidia-rim",
    "azure-vtpm",
    "corim-signer",
]
"""corim-signer: whom the reader of a CoRIM named; no root of ours has it, and no simulator's."""
ROLES: tuple[Role, ...] = (
    "amd-ark-milan",
    "amd-ark-genoa",
    "amd-ark-turin",
    "intel-sgx-root",
    "nvidia-device",
    "nvidia-rim",
    "azure-vtpm",
)


@dataclass(frozen=True, slots=True)
class Anchor:
    """A root we trust for one role. simulated: it is a simulator's."""

    role: Role
    certificate: Certificate
    simulated: bool = False

    @property
    def spki_sha256(self) -> bytes:
        return self.certificate.spki_sha256


@dataclass(frozen=True)
class Anchors:
    """The roots of one verification, and vendor intermediates we ship for convenience.

    Intermediates carry no trust of their own: each must verify under a root.
    """

    roots: tuple[Anchor, ...]
    intermediates: tuple[Certificate, ...] = ()

    @staticmethod
    def production() -> Anchors:
        """The vendors' own roots, nothing else."""
        return _production()

    def with_simulator(self, pem: bytes) -> Anchors:
        """These anchors and the simulator roots in `pem`.

        Raises ValueError when a certificate lacks the simulator's critical extension: this call can never
        add anything that a production verifier would take for a vendor's root.
        """
        added = []
        for certificate in parse_certificates(pem, where="simulator root"):
            role = simulator_role(certificate)
            if role is None:
                raise ValueError(
                    f"not a simulator root: it has no critical extension {SIMULATOR_EXTENSION.dotted_string}"
                )
            if role in ROLES:
                added.append(Anchor(role, certificate, simulated=True))
            else:
                raise ValueError(f"unknown simulator root role {role!r}")
        if not added:
            raise ValueError("no certificate in the simulator root file")
        return replace(self, roots=self.roots + tuple(added))

    def for_role(self, role: Role) -> tuple[Anchor, ...]:
        return tuple(anchor for anchor in self.roots if anchor.role == role)

    @cached_property
    def simulated(self) -> bool:
        """Whether any simulator's root is among them."""
        return any(anchor.simulated for anchor in self.roots)

    @cached_property
    def digest(self) -> bytes:
        """Identifies these roots and intermediates in cache keys (T-CACHE)."""
        state = hashlib.sha256()
        for anchor in self.roots:
            mark = b"simulated" if anchor.simulated else b"vendor"
            state.update(anchor.role.encode() + b"\0" + mark + b"\0" + anchor.certificate.fingerprint)
        for certificate in self.intermediates:
            state.update(b"intermediate\0" + certificate.fingerprint)
        return state.digest()


@cache
def _production() -> Anchors:
    folder = files(__name__)

    def load(name: str) -> Certificate:
        (certificate,) = parse_certificates(folder.joinpath(name).read_bytes(), where=name)
        return certificate

    roots = (
        Anchor("amd-ark-milan", load("amd-milan-ark.pem")),
        Anchor("amd-ark-genoa", load("amd-genoa-ark.pem")),
        Anchor("amd-ark-turin", load("amd-turin-ark.pem")),
        Anchor("intel-sgx-root", load("intel-sgx-root.pem")),
        Anchor("nvidia-device", load("nvidia-device-root.pem")),
        Anchor("nvidia-rim", load("nvidia-rim-root.pem")),
        Anchor("azure-vtpm", load("azure-vtpm-root.pem")),
    )
    intermediates = tuple(
        load(f"{name}.pem")
        for name in (
            *(f"amd-{product}-{ca}" for product in ("milan", "genoa", "turin") for ca in ("ask", "asvk")),
            "azure-vtpm-ca-01",
            "azure-vtpm-ca-03",
        )
    )
    return Anchors(roots, intermediates)
