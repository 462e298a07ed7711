"""Azure confidential VMs, byte-exact: HCL report, TPM quote, evidence document, the key's certificate.

Source: Microsoft Learn, confidential VM guest attestation; TCG TPM 2.0 Library, part 2; Confidential
Containers, az-snp-vtpm and az-tdx-vtpm evidence.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import rsa

from attest.binding import runtime_data
from attest.simulator import azure_chain
from attest.simulator.certificates import CertificatePlan, CrlPlan, day_of, pem
from attest.simulator.eventlog import EventLogPlan, tpm_boot
from attest.simulator.eventlog import pcrs as pcrs_of
from attest.simulator.keys import Keyring
from attest.simulator.machine import challenge
from attest.simulator.paravisor import HclPlan, bind, hardware_area, runtime_claims
from attest.simulator.simulated import Simulated
from attest.simulator.snp import SnpPlan
from attest.simulator.snp import plan as snp_plan
from attest.simulator.tdx import TdxPlan
from attest.simulator.tdx import plan as tdx_plan

if TYPE_CHECKING:
    from attest.endorsements import Endorsements
    from attest.evidence import Evidence

TEES = {"snp": "az-snp-vtpm", "tdx": "az-tdx-vtpm"}
_SHA256 = 0x000B
ID_KEY = hashlib.sha384(b"simulated paravisor signer").digest()
GUEST_SVN = 0xA


def default_pcrs() -> dict[int, bytes]:
    """Registers as after a boot: 17 to 22 all ones (no dynamic launch), 13, 15, 16 and 23 untouched."""
    pcrs = {index: hashlib.sha256(b"simulated pcr %d" % index).digest() for index in range(24)}
    pcrs |= dict.fromkeys(range(17, 23), b"\xff" * 32)
    pcrs |= dict.fromkeys((8, 13, 15, 16, 23), bytes(32))
    return pcrs


@dataclass
class QuotePlan:
    """A TPMS_ATTEST, its signature and the values sent beside it; a fault changes one thing of it.

    selections: (algorithm, registers, bytes of the bitmap). digest: None for that of `pcrs`. sent: the values
    in the evidence, None for those selected. trailing: after the structure. edit: of the signed bytes.
    """

    extra_data: bytes
    pcrs: dict[int, bytes]
    key: str = azure_chain.AK
    magic: bytes = bytes.fromhex("ff544347")
    type: int = 0x8018
    signer: bytes = b"\x00\x0b" + hashlib.sha256(b"simulated name of the AK").digest()
    selections: list[tuple[int, list[int], int]] = field(
        default_factory=lambda: [(_SHA256, list(range(24)), 3)]
    )
    digest: bytes | None = None
    sent: list[bytes] | None = None
    trailing: bytes = b""
    edit: Callable[[bytearray], None] | None = None

    def values(self) -> list[bytes]:
        return [self.pcrs[index] for _, indices, _ in self.selections for index in indices]

    def message(self) -> bytes:
        digest = hashlib.sha256(b"".join(self.values())).digest() if self.digest is None else self.digest
        out = self.magic + struct.pack(">H", self.type) + _sized(self.signer) + _sized(self.extra_data)
        out += struct.pack(">QIIB", 0x3B0A37F, 2, 0, 1) + bytes.fromhex("2020031200120003")
        out += struct.pack(">I", len(self.selections))
        for algorithm, indices, size in self.selections:
            bitmap = bytearray(size)
            for index in indices:
                bitmap[index // 8] |= 1 << index % 8
            out += struct.pack(">HB", algorithm, size) + bytes(bitmap)
        return out + _sized(digest) + self.trailing

    def build(self, keys: Keyring) -> tuple[bytes, bytes, list[bytes]]:
        """Message, signature, values."""
        message = bytearray(self.message())
        signature = keys.sign(self.key, bytes(message))
        if self.edit is not None:
            self.edit(message)
        return bytes(message), signature, self.values() if self.sent is None else self.sent


def _sized(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


@dataclass
class AzurePlan:
    """Everything that goes into one machine's evidence.

    hardware: what signs the report. claims: the runtime data; text: other bytes in their place. bound_text:
    what the hardware covers in its place; bound_tail: second half of its report data. ak: name of the key in
    the runtime data. host: body that the TDREPORT is made of. document: last change to the evidence document.
    certificate: of the key, None for none; intermediate, root: above it. stray: certificates given beside.
    event_log: the TPM's, beside the evidence; None without one.
    """

    kind: str
    version: int
    at: datetime
    keys: Keyring
    hardware: SnpPlan | TdxPlan
    claims: dict[str, Any]
    hcl: HclPlan
    quote: QuotePlan | None
    certificate: CertificatePlan | None
    intermediate: CertificatePlan
    root: CertificatePlan
    crl: CrlPlan | None
    text: bytes | None = None
    bound_text: bytes | None = None
    bound_tail: bytes = bytes(32)
    host: Callable[[bytearray], None] | None = None
    document: Callable[[dict[str, Any]], None] | None = None
    nv_certificate: Callable[[bytes], bytes] = field(default=lambda der: der.ljust(4096, b"\0"))
    event_log: EventLogPlan | None = None

    def build(self) -> Simulated:
        text = self.text if self.text is not None else json.dumps(self.claims, separators=(",", ":")).encode()
        covered = text if self.bound_text is None else self.bound_text
        bind(self.hardware, hashlib.sha256(covered).digest() + self.bound_tail)
        made = self.hardware.build()
        area = hardware_area(self.hardware, made)
        if self.host is not None:
            changed = bytearray(area)
            self.host(changed)
            area = bytes(changed)
        self.hcl.text = text
        hcl = self.hcl.encode(area)
        document = self._document(hcl, made)
        if self.document is not None:
            self.document(document)
        evidence = json.dumps(document, indent=1).encode()
        files = {f"simulated-{TEES[self.kind]}.json": evidence}
        reports = ("simulated-report.bin", "simulated-quote.bin", "simulated-vcek.der")
        files |= {name: data for name, data in made.files.items() if name not in reports}
        certificates = list(made.certificates)
        if self.certificate is not None:
            padded = self.nv_certificate(self.certificate.build(self.keys))
            files["simulated-ak-certificate.bin"] = padded
            above = self.intermediate.build(self.keys)
            files["simulated-ak-ca.pem"] = pem(above)
            certificates.append(above)
        if self.crl is not None and self.certificate is not None:
            files["simulated-azure-root.crl"] = self.crl.build(self.keys)
        if self.event_log is not None:
            files["simulated-tpm-event-log.bin"] = self.event_log.encode()
        given = dict(files)
        return Simulated(
            hcl,
            files,
            self.at,
            tuple(certificates),
            lambda: _load(given)[0],
            lambda: _load(given)[1],
        )

    def _document(self, hcl: bytes, made: Simulated) -> dict[str, Any]:
        """The evidence document in the shape of its version."""
        old, snp = self.version == 0, self.kind == "snp"
        quote: dict[str, Any] | None = None
        if self.quote is not None:
            message, signature, values = self.quote.build(self.keys)
            spell: Callable[[bytes], Any] = list if old else bytes.hex
            quote = {
                "signature": spell(signature),
                "message": spell(message),
                "pcrs": [spell(value) for value in values],
            }
        if old and snp:
            assert isinstance(self.hardware, SnpPlan)
            vcek = pem(self.hardware.leaf.build(self.keys)).decode()
            return {"quote": quote, "report": list(hcl), "vcek": vcek}
        write: Callable[[bytes], Any] = list if old else lambda data: base64.urlsafe_b64encode(data).decode()
        document = {"tpm_quote": quote, "hcl_report": write(hcl)}
        if not old:
            document = {"version": self.version, **document}
        if isinstance(self.hardware, SnpPlan):
            return {**document, "vcek": write(self.hardware.leaf.build(self.keys))}
        return {**document, "td_quote": write(made.raw)}


def _load(files: Mapping[str, bytes]) -> tuple[Evidence, Endorsements]:
    """Read like any other files: where a fault made them unreadable, Malformed comes from here."""
    from attest.recognise import Found, recognise

    found = Found()
    for name, data in files.items():
        recognise(name, data, found)
    return found.evidence(), found.endorsements()


def plan(
    keys: Keyring,
    made: datetime,
    at: datetime,
    *,
    kind: str = "snp",
    version: int = 2,
    nonce: bytes = b"",
    key: Mapping[str, Any] | None = None,
    tpm_nonce: bytes | None = None,
    pcrs: Mapping[int, bytes] | None = None,
    secure_boot: bool = True,
    ak_certificate: bool = True,
    event_log: bool = False,
    **hardware: Any,
) -> AzurePlan:
    """An honest machine, not yet signed.

    kind: snp or tdx. version: of the evidence document, 0 to 2. nonce, key: bound as the guest protocol 0.4
    does; tpm_nonce: other bytes for the quote. pcrs: registers that differ. event_log: whether a log
    of the boot comes along, whose registers the quote then has. hardware: keywords of the report
    or quote; SNP has an ID block. Raises ValueError.
    """
    if kind not in TEES or version not in (0, 1, 2):
        raise ValueError("kind is snp or tdx, version 0, 1 or 2")
    asked = runtime_data(challenge(nonce), key, "") if tpm_nonce is None else tpm_nonce
    if not 1 <= len(asked) <= 64:
        raise ValueError("a TPM nonce is 1 to 64 bytes")
    log = tpm_boot(secure_boot=secure_boot) if event_log else None
    values = default_pcrs() | dict(pcrs_of(log) if log else {}) | dict(pcrs or {})
    below: SnpPlan | TdxPlan
    if kind == "snp":
        block = {"id_key_digest": ID_KEY, "guest_svn": GUEST_SVN, "product": "milan", "version": 3}
        below = snp_plan(keys, made, at, **{**block, **hardware})
    else:
        below = tdx_plan(keys, made, at, **{**{f"rtmr{i}": bytes(48) for i in range(4)}, **hardware})
    root = azure_chain.root(keys, made)
    intermediate = azure_chain.ca(keys, root)
    return AzurePlan(
        kind,
        version,
        at,
        keys,
        below,
        runtime_claims(
            public(keys, azure_chain.AK),
            public(keys, azure_chain.EK),
            # Before version 2 nobody wrote anything there.
            asked if version == 2 else b"",
            secure_boot=secure_boot,
        ),
        HclPlan(kind, b""),
        QuotePlan(asked, values),
        azure_chain.ak(keys, intermediate, day_of(at)) if ak_certificate else None,
        intermediate,
        root,
        azure_chain.root_crl(root, day_of(at)),
        event_log=log,
    )


def public(keys: Keyring, name: str) -> rsa.RSAPublicKey:
    key = keys.private(name)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError(f"{name} is not an RSA key")
    return key.public_key()
