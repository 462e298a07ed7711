"""Reference integrity manifests: SWID tags with golden measurements, signed with XML-DSig.

Source: ISO 19770-2:2015, TCG Reference Integrity Manifest information model, XML Signature.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import quoteattr

from attest.simulator.certificates import CertificatePlan, pem
from attest.simulator.keys import Keyring

SWID = "http://standards.iso.org/iso/19770/-2/2015/schema.xsd"
HASH = "http://www.w3.org/2001/04/xmlenc#sha384"
RIM = "https://trustedcomputinggroup.org/resource/tcg-reference-integrity-manifest-rim-information-model/"
ZERO = bytes(48)

DRIVER_INDEXES = (7, *range(21, 41))
VBIOS_INDEXES = (*range(7), *range(8, 13))
ALWAYS_ZERO = (0, 8, 10, 12, 23, 24, 28)
"""Indexes that a manifest lists and that read zero on a Hopper GPU in single pass-through."""


SWITCH_INDEXES = tuple(range(31))


def golden_switch(index: int) -> bytes:
    """What the simulator's switch measures at a RIM index; some read zero, as on a real one."""
    if index in (5, 7, 12, 13, 15, 16, 17):
        return ZERO
    return hashlib.sha384(b"simulated switch firmware %d" % index).digest()


def golden(index: int) -> bytes:
    """What the simulator's GPU measures at a RIM index."""
    if index in ALWAYS_ZERO or not (index in DRIVER_INDEXES or index in VBIOS_INDEXES):
        return ZERO
    return hashlib.sha384(b"simulated gpu firmware %d" % index).digest()


def alternative(index: int, number: int = 1) -> bytes:
    """Another value that the manifest allows; of index 12 the one of protected PCIe."""
    return hashlib.sha384(b"simulated gpu firmware %d, alternative %d" % (index, number)).digest()


_COUNTS = {12: 4, 23: 2, 24: 2, 32: 2, 34: 2, 35: 4, 36: 2}


@dataclass
class Entry:
    """One Resource. attributes: None for those that follow from the rest."""

    index: int
    active: str
    hashes: list[bytes]
    size: int = 48
    alternatives: int | None = None

    def text(self) -> str:
        count = len(self.hashes) if self.alternatives is None else self.alternatives
        hashes = " ".join(f'ns2:Hash{i}="{value.hex()}"' for i, value in enumerate(self.hashes))
        return (
            f'        <ns0:Resource type="Measurement" index="{self.index}" active="{self.active}" '
            f'alternatives="{count}" {hashes} name="Measurement_{self.index}" size="{self.size}"/>\n'
        )


@dataclass
class RimPlan:
    """version: driver or VBIOS version. chain: leaf first; its key signs. edit: last change to the signed
    text. signature_algorithm, digest_algorithm: short names of XML-DSig."""

    keys: Keyring
    file: str
    version: str
    entries: list[Entry]
    chain: list[CertificatePlan]
    product: str = "GH100"
    edition: str = "GPU"
    signing_key: str = ""
    signature_algorithm: str = "ecdsa-sha384"
    digest_algorithm: str = "sha384"
    prologue: str = ""
    edit: Callable[[bytes], bytes] | None = None
    certificates: list[bytes] = field(default_factory=list)

    def text(self) -> str:
        tag = hashlib.sha384(f"simulated {self.file}".encode()).hexdigest()
        maker = 'PlatformManufacturerId="5703" ns1:PlatformManufacturerStr="NVIDIA Corporation"'
        return (
            f'<SoftwareIdentity xmlns="{SWID}" xmlns:ns0="{SWID}" xmlns:ns2="{HASH}" corpus="false" '
            f'name={quoteattr(self.product)} patch="false" supplemental="false" tagId="{tag}" version="1.0" '
            'tagVersion="0">\n'
            '    <ns0:Entity name="NVIDIA Corporation" role="softwareCreator tagCreator"/>\n'
            f'    <ns0:Meta xmlns:ns1="{RIM}" colloquialVersion={quoteattr(self.version)} '
            f'edition={quoteattr(self.edition)} product={quoteattr(self.product)} revision="r1" '
            'PayloadType="direct" ns1:BindingSpec="RIMIM" ns1:BindingSpecVersion="1.01" '
            f"ns1:{maker} ns1:PlatformModel={quoteattr(self.product)} "
            'ns1:FirmwareManufacturer="NVIDIA Corporation" ns1:FirmwareManufacturerId="5703"/>\n'
            f'    <ns0:Payload xmlns:SHA384="{HASH}">\n'
            + "".join(entry.text() for entry in self.entries)
            + "    </ns0:Payload>\n</SoftwareIdentity>"
        )

    def build(self) -> bytes:
        certificates = self.certificates or [plan.build(self.keys) for plan in self.chain]
        key = self.signing_key or self.chain[0].key
        signed = self._signed(self.text(), certificates, key)
        signed = self.prologue.encode() + signed
        return self.edit(signed) if self.edit else signed

    def _signed(self, text: str, certificates: list[bytes], key: str) -> bytes:
        """The document with its enveloped signature; kept, so that a RIM keeps its bytes as a real one."""
        parts = [
            text.encode(),
            *certificates,
            key.encode(),
            self.signature_algorithm.encode(),
            self.digest_algorithm.encode(),
        ]
        made = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
        kept = self.keys.documents.get(made)
        if kept is None:
            kept = self.keys.documents[made] = _sign(
                text,
                [pem(certificate).decode() for certificate in certificates],
                self.keys.elliptic(key),
                self.signature_algorithm,
                self.digest_algorithm,
            )
        return kept


def _sign(text: str, certificates: list[str], key: Any, signature: str, digest: str) -> bytes:
    # Loaded only where a RIM is signed: lxml and signxml cost more than a report.
    from lxml import etree
    from signxml.signer import XMLSigner

    signer = XMLSigner(
        signature_algorithm=signature,
        digest_algorithm=digest,
        c14n_algorithm="http://www.w3.org/2006/12/xml-c14n11",
    )
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    root = signer.sign(etree.fromstring(text.encode(), parser), key=key, cert=certificates)
    return bytes(etree.tostring(root))


def switch_entries() -> list[Entry]:
    """All 64 indexes, of which a switch's manifest has 31 active."""
    return [
        Entry(i, "True", [golden_switch(i)]) if i in SWITCH_INDEXES else Entry(i, "False", [ZERO])
        for i in range(64)
    ]


def entries(active: tuple[int, ...]) -> list[Entry]:
    """All 64 indexes; those that this manifest owns are active, with as many alternatives as real ones."""
    listed = []
    for index in range(64):
        if index not in active:
            listed.append(Entry(index, "False", [ZERO]))
            continue
        more = [alternative(index, number) for number in range(1, _COUNTS.get(index, 1))]
        listed.append(Entry(index, "True", [golden(index), *more]))
    return listed
