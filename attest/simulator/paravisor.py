"""What Azure's paravisor writes: runtime data, the HCL report around the hardware's, the TDREPORT.

An HCL report: 32 bytes of header, 1184 of hardware report, 20 of runtime data header, runtime data as JSON,
zeros up to the size of the NV index. Little-endian. Source: Microsoft Learn, Confidential VM guest
attestation; azure-cvm-tooling.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import rsa

from attest.simulator.snp import SnpPlan
from attest.simulator.tdx import BODY, TdxPlan

if TYPE_CHECKING:
    from attest.simulator.simulated import Simulated

NV_SIZE = 2600
HARDWARE_SIZE = 1184
REPORT_TYPES = {"snp": 2, "tdx": 4}
VM_ID = "51D0E1A7-ED00-4000-8000-000000000001"


def jwk(kid: str, key: rsa.RSAPublicKey, operation: str) -> dict[str, Any]:
    """A key of the runtime data, spelled as Azure spells it."""
    numbers = key.public_numbers()
    modulus = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
    return {
        "kid": kid,
        "key_ops": [operation],
        "kty": "RSA",
        "e": _b64(numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8, "big")),
        "n": _b64(modulus),
    }


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def runtime_claims(
    ak: rsa.RSAPublicKey, ek: rsa.RSAPublicKey | None, user_data: bytes, *, secure_boot: bool = True
) -> dict[str, Any]:
    """The JSON that the paravisor hashes into the hardware's report data."""
    keys = [jwk("HCLAkPub", ak, "sign")]
    if ek is not None:
        keys.append(jwk("HCLEkPub", ek, "encrypt"))
    return {
        "keys": keys,
        "vm-configuration": {
            "console-enabled": True,
            "secure-boot": secure_boot,
            "tpm-enabled": True,
            "tpm-persisted": True,
            "vmUniqueId": VM_ID,
        },
        "user-data": user_data.ljust(64, b"\0").hex().upper(),
    }


@dataclass
class HclPlan:
    """The HCL report around a hardware report. None for what follows from the rest. edit: last change."""

    kind: str
    text: bytes
    signature: bytes = b"HCLA"
    version: int = 2
    report_size: int | None = None
    request_type: int = 2
    status: int = 0
    reserved: bytes = bytes(12)
    data_size: int | None = None
    data_version: int = 1
    report_type: int | None = None
    hash_type: int = 1
    variable_size: int | None = None
    nv_size: int = NV_SIZE
    edit: Callable[[bytearray], None] | None = None

    def encode(self, hardware: bytes) -> bytes:
        length = len(self.text)
        header = struct.pack(
            "<4sIIII12s",
            self.signature,
            self.version,
            32 + HARDWARE_SIZE + 20 + length if self.report_size is None else self.report_size,
            self.request_type,
            self.status,
            self.reserved,
        )
        data = struct.pack(
            "<IIIII",
            20 + length if self.data_size is None else self.data_size,
            self.data_version,
            REPORT_TYPES[self.kind] if self.report_type is None else self.report_type,
            self.hash_type,
            length if self.variable_size is None else self.variable_size,
        )
        out = bytearray(header + hardware.ljust(HARDWARE_SIZE, b"\0") + data + self.text)
        out = out.ljust(self.nv_size, b"\0")
        if self.edit is not None:
            self.edit(out)
        return bytes(out)


def td_report(body: bytes) -> bytes:
    """The TDREPORT of the same TD: 1024 bytes. Its MAC can be checked on that CPU alone, so it is filler.

    body: the TD report of the quote, 584 or 648 bytes.
    """

    def take(name: str) -> bytes:
        offset, size = BODY[name]
        return body[offset : offset + size]

    tcb = take("tee_tcb_svn") + take("mrseam") + take("mrsignerseam") + take("seamattributes")
    info = struct.pack("<8s239x", bytes.fromhex("ff03000000000000"))
    tcb_info = (info[:8] + tcb).ljust(239, b"\0")
    names = "tdattributes xfam mrtd mrconfigid mrowner mrownerconfig rtmr0 rtmr1 rtmr2 rtmr3"
    td_info = b"".join(take(name) for name in names.split())
    if len(body) > 584:
        tcb_info = (tcb_info[: 8 + 16 + 48 + 48 + 8] + take("tee_tcb_svn2")).ljust(239, b"\0")
        td_info += take("mrservicetd")
    td_info = td_info.ljust(512, b"\0")
    mac_struct = struct.pack(
        "<4s12x16s48s48s64s32x32s",
        b"\x81\0\0\0",
        bytes(range(16)),
        hashlib.sha384(tcb_info).digest(),
        hashlib.sha384(td_info).digest(),
        take("report_data"),
        hashlib.sha256(b"simulated MAC" + body).digest(),
    )
    return mac_struct + tcb_info + bytes(17) + td_info


@dataclass
class Paravisor:
    """The paravisor of one simulated machine, to answer whoever plays its guest.

    kind: `snp` or `tdx`. hardware: makes the plan of a report or quote. ek: public, None to leave it out.
    """

    kind: str
    hardware: Callable[[], SnpPlan | TdxPlan]
    ek: rsa.RSAPublicKey | None = None
    secure_boot: bool = True
    made: dict[bytes, Simulated] = field(default_factory=dict)

    def report(self, user_data: bytes, ak: rsa.RSAPublicKey) -> bytes:
        """What NV index 0x01400001 holds after `user_data` (64 bytes) was written to 0x01400002: 2600 bytes.

        ak: the public attestation key of the TPM, RSA-2048.
        """
        claims = runtime_claims(ak, self.ek, user_data, secure_boot=self.secure_boot)
        text = json.dumps(claims, separators=(",", ":")).encode()
        plan = self.hardware()
        bind(plan, hashlib.sha256(text).digest())
        made = plan.build()
        self.made[text] = made
        return HclPlan(self.kind, text).encode(hardware_area(plan, made))

    @property
    def last(self) -> Simulated:
        """The hardware's evidence behind the last report: files of endorsements; for TDX `raw` is the quote
        that the instance metadata service would make of its TDREPORT."""
        return list(self.made.values())[-1]


def bind(plan: SnpPlan | TdxPlan, report_data: bytes) -> None:
    """Have the hardware sign these bytes as its report data."""
    if isinstance(plan, SnpPlan):
        plan.fields["report_data"] = report_data
    else:
        plan.set("report_data", report_data)


def hardware_area(plan: SnpPlan | TdxPlan, made: Simulated) -> bytes:
    """The report as the HCL report holds it: SNP's own, or the TDREPORT of the TD."""
    return made.raw if isinstance(plan, SnpPlan) else td_report(bytes(plan.body))
