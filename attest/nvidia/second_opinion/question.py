"""One device, as NVIDIA's local verifier is asked about it: the same bytes that this verifier judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from attest.endorsements import Endorsements
from attest.errors import Malformed
from attest.nvidia.chain import given_chain
from attest.nvidia.containers import DeviceEvidence
from attest.nvidia.family import Family, Section
from attest.nvidia.opaque import Opaque
from attest.nvidia.rim import Rim


@dataclass(frozen=True, slots=True)
class Question:
    """report: raw, without what follows its signature. certificates: DER, leaf first, root last. rims: driver
    and vbios, or bios → the manifest's XML. nonce: 32 bytes, None where none was expected. at: aware."""

    kind: Section
    architecture: str
    report: bytes
    certificates: tuple[bytes, ...]
    nonce: bytes | None
    at: datetime
    rims: Mapping[str, bytes] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "arch": self.architecture.upper(),
            "report": self.report.hex(),
            "certificates": [der.hex() for der in self.certificates],
            "nonce": "" if self.nonce is None else self.nonce.hex(),
            "at": self.at.timestamp(),
            "rims": {role: xml.decode("utf-8", "replace") for role, xml in self.rims.items()},
        }


def question_of(
    device: DeviceEvidence,
    endorsements: Endorsements,
    *,
    nonce: bytes | None,
    at: datetime,
    used: Mapping[str, str] | None = None,
) -> Question:
    """The question about one device. Believes nothing: it may be asked about evidence that was refused.

    used: role → SHA-256 in hex of the manifest this verifier took, where several have one version.
    """
    chain = device.chain if device.chain is not None else given_chain(endorsements.certificates)
    family = Family.of_name(chain[0].common_name) if chain else None
    section = device.section
    return Question(
        section,
        family.architecture if family else ("ls10" if section == "switch" else "hopper"),
        device.report.raw,
        tuple(certificate.der for certificate in chain),
        nonce,
        at,
        _rims(device, endorsements, section, used or {}),
    )


def _rims(
    device: DeviceEvidence, endorsements: Endorsements, section: Section, used: Mapping[str, str]
) -> dict[str, bytes]:
    """The manifest for each role, by the version that the report names: no field says the role."""
    try:
        opaque = Opaque.read(device.report.opaque, section)
    except Malformed:
        return {}
    roles = {"bios": opaque.vbios_version}
    if section == "gpu":
        roles = {"driver": opaque.driver_version, "vbios": opaque.vbios_version}
    given: list[Rim] = []
    for document in endorsements.rims:
        try:
            given.append(document if isinstance(document, Rim) else Rim.parse(document))
        except Malformed:
            continue
    chosen: dict[str, bytes] = {}
    for role, version in roles.items():
        named = [
            rim for rim in given if version is not None and rim.stated.version.upper() == version.upper()
        ]
        named.sort(key=lambda rim: rim.digest.hex() != used.get(role))
        if named:
            chosen[role] = named[0].raw
    return chosen
