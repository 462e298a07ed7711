"""NVIDIA's certificates: the device chain of five and the RIM signers' chain of four.

Names, extensions and the rules for serial numbers are those of Hopper (GH100), Blackwell (GB100) and the LS10
switch; only the roots' organisation says SIMULATED. Source: NVIDIA GPU attestation; TCG DICE attestation architecture (FWID).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from attest.simulator import der
from attest.simulator.certificates import (
    CertificatePlan,
    Extension,
    authority_key_id,
    basic_constraints,
    crl_point,
    key_usage,
    name,
    ocsp_access,
    simulator_mark,
    subject_key_id,
)
from attest.simulator.keys import Keyring

FWID = "2.23.133.5.4.1"
TCB_INFO = "2.23.133.5.4.1.1"
ALTERNATIVE_NAME = "2.5.29.17"
_OCSP = "http://ocsp.ndis.nvidia.com"
_FOREVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_FACTORY = datetime(2020, 10, 17, tzinfo=UTC)


@dataclass(frozen=True)
class Chip:
    """How NVIDIA names a family. chip: in certificates. product: in manifests. processor: that holds the keys.
    head: first byte of the identity's serial number. identity: of the CA above, which LS10 shares with GH100.
    kind: `gpu` or `switch`. boot_ocsp: whether the identity certificate names an OCSP responder.
    """

    chip: str
    product: str
    processor: str
    head: bytes
    identity: str
    provisioner: str
    crl: str
    kind: str
    made: datetime
    signer: str
    boot_ocsp: bool = False

    @property
    def key(self) -> str:
        return self.chip.lower().replace("_", "")


HOPPER = Chip(
    "GH100", "GH100", "GSP", b"\x41", "GH100", "1", "l2-gh100", "gpu", _FACTORY, "HCC RIM L4 Signer"
)
BLACKWELL = Chip(
    "GB100", "GB100", "GSP", b"\x41", "GB100", "00000", "l2-gb100", "gpu",
    datetime(2023, 6, 20, tzinfo=UTC), "HCC RIM L4 Signer", True,
)  # fmt: skip
LS10 = Chip(
    "LS_10", "LS10", "FSP", b"\x50", "GH100", "1", "l2-gh100", "switch", _FACTORY,
    "NVIDIA Reference Value L4 LS10",
)  # fmt: skip

DEVICE_ROOT = "p384/nvidia-device-root"
RIM_ROOT = "p384/nvidia-rim-root"


def _serial(text: str) -> int:
    return int.from_bytes(hashlib.sha256(b"simulated serial " + text.encode()).digest()[:16], "big") >> 1


def _plan(
    keys: Keyring,
    subject: str,
    key: str,
    issuer: CertificatePlan | None,
    validity: tuple[datetime, datetime],
    *extensions: Extension,
    serial: int | None = None,
) -> CertificatePlan:
    own = name(subject)
    signer = issuer.key if issuer else key
    return CertificatePlan(
        own,
        issuer.subject if issuer else own,
        key,
        signer,
        _serial(subject) if serial is None else serial,
        *validity,
        [
            *extensions,
            subject_key_id(keys.identifier(key)),
            authority_key_id(keys.identifier(signer)),
        ],
    )


def device_root(keys: Keyring) -> CertificatePlan:
    return _plan(
        keys,
        "CN=NVIDIA Device Identity CA,O=SIMULATED NVIDIA",
        DEVICE_ROOT,
        None,
        (datetime(2021, 11, 5, tzinfo=UTC), _FOREVER),
        basic_constraints(True),
        key_usage("key_cert_sign", "crl_sign"),
        simulator_mark("nvidia-device"),
    )


def device_id(index: int, kind: str = "gpu") -> bytes:
    """The 8 bytes that name the simulator's GPU or switch of this index (its PDI)."""
    return hashlib.sha256(f"simulated {kind} {index}".encode()).digest()[:8]


def device_chain(keys: Keyring, index: int, fwid: bytes, chip: Chip = HOPPER) -> list[CertificatePlan]:
    """Leaf first, root last: FMC, BROM, provisioner, identity CA, root."""
    root = device_root(keys)
    identity = _plan(
        keys,
        f"CN=NVIDIA {chip.identity} Identity,O=NVIDIA Corporation",
        f"p384/{chip.identity.lower()}-identity",
        root,
        (datetime(2022, 1, 12, tzinfo=UTC), _FOREVER),
        basic_constraints(True),
        key_usage("key_cert_sign", "crl_sign"),
        crl_point("http://crl.ndis.nvidia.com/crl/l1-root.crl"),
        ocsp_access(_OCSP),
    )
    provisioner = _plan(
        keys,
        f"CN=NVIDIA {chip.chip} Provisioner ICA {chip.provisioner},O=NVIDIA Corporation,C=US",
        f"p384/{chip.key}-provisioner",
        identity,
        (datetime(2022, 3, 1, tzinfo=UTC), _FOREVER),
        basic_constraints(True),
        key_usage("key_cert_sign", "crl_sign"),
        crl_point(f"http://crl.ndis.nvidia.com/crl/{chip.crl}.crl"),
        ocsp_access(_OCSP),
    )
    title = f"{chip.chip} A01 {chip.processor}"
    serial = chip.head + device_id(index, chip.kind)
    brom = _plan(
        keys,
        f"SERIAL={serial.hex().upper()},C=US,O=NVIDIA Corporation,CN={title} BROM",
        f"p384/{chip.key}-brom-{index}",
        provisioner,
        (chip.made, _FOREVER),
        basic_constraints(True),
        key_usage("key_cert_sign"),
        *((ocsp_access(_OCSP),) if chip.boot_ocsp else ()),
        serial=int.from_bytes(serial, "big"),
    )
    key = f"p384/{chip.key}-fmc-{index}"
    leaf_serial = bytearray(keys.identifier(key))
    leaf_serial[0] = (leaf_serial[0] & 0x7F) | 0x40
    leaf = _plan(
        keys,
        f"SERIAL={leaf_serial.hex().upper()},C=US,O=NVIDIA Corporation,CN={title} FMC LF",
        key,
        brom,
        (chip.made, _FOREVER),
        key_usage("digital_signature"),
        serial=int.from_bytes(leaf_serial, "big"),
    )
    leaf.put(_device_info(index, chip))
    leaf.put(tcb_info(title, fwid) if chip is BLACKWELL else fwid_extension(keys.spki(brom.key), fwid))
    return [leaf, brom, provisioner, identity, root]


def fwid_extension(spki: bytes, fwid: bytes) -> Extension:
    """TCG DICE composite device id: the issuer's public key and the firmware's SHA-384."""
    digest = der.sequence(der.oid("2.16.840.1.101.3.4.2.2"), der.octets(fwid))
    return Extension(FWID, der.sequence(der.integer(1), spki, digest))


def tcb_info(model: str, fwid: bytes) -> Extension:
    """DiceTcbInfo as Blackwell writes it: the firmware's SHA-384 first, zeros after it."""
    fwids = [
        der.sequence(der.oid("2.16.840.1.101.3.4.2.2"), der.octets(value)) for value in (fwid, bytes(48))
    ]
    return Extension(
        TCB_INFO,
        der.sequence(
            der.implicit(0, b"NVIDIA"),
            der.implicit(1, model.encode()),
            der.implicit(2, b"01"),
            der.implicit(3, b"\x01"),
            der.implicit(4, b"\x01"),
            der.implicit(5, b"\x00"),
            der.explicit(6, *fwids),
            der.implicit(7, bytes.fromhex("0080000001")),
            der.implicit(8, b"\xc0"),
            der.implicit(9, b"\x00"),
        ),
    )


def _device_info(index: int, chip: Chip) -> Extension:
    """DMTF device info as otherName in the subject alternative name."""
    ueid = hashlib.sha256(f"simulated {chip.key} ueid {index}".encode()).hexdigest()[:16].upper()
    text = f"NVIDIA:{chip.chip}:{ueid}"
    other = der.explicit(0, der.oid("1.3.6.1.4.1.412.274.1"), der.explicit(0, der.utf8(text)))
    return Extension(ALTERNATIVE_NAME, der.sequence(other))


def rim_root(keys: Keyring) -> CertificatePlan:
    return _plan(
        keys,
        "C=US,O=SIMULATED NVIDIA,CN=NVIDIA CoRIM signing Root CA",
        RIM_ROOT,
        None,
        (datetime(2023, 3, 16, 15, 37, 34, tzinfo=UTC), datetime(2053, 3, 8, 15, 37, 34, tzinfo=UTC)),
        basic_constraints(True),
        key_usage("key_cert_sign", "crl_sign"),
        simulator_mark("nvidia-rim"),
    )


def rim_chain(keys: Keyring, at: datetime, chip: Chip = HOPPER) -> list[CertificatePlan]:
    """Leaf first, root last. The signer lives two years, as NVIDIA's do: a RIM outlives its signer."""
    root = rim_root(keys)
    year = timedelta(days=365)
    suffix = "" if chip is HOPPER else f"-{chip.key}"
    authority = _plan(
        keys,
        f"CN=NVIDIA Reference Value {chip.product} CA,O=NVIDIA Corporation,C=US",
        f"p384/rim-{chip.product.lower()}",
        root,
        (datetime(2023, 5, 11, tzinfo=UTC), datetime(2043, 5, 11, 23, 59, 59, tzinfo=UTC)),
        basic_constraints(True),
        key_usage("key_cert_sign", "crl_sign"),
        crl_point("http://crl.ndis.nvidia.com/crl-corim/l1-corim"),
        ocsp_access(_OCSP),
    )
    third = _plan(
        keys,
        f"CN=NVIDIA Reference Value L3 {chip.product} 002,O=NVIDIA Corporation,C=US",
        f"p384/rim-l3{suffix}",
        authority,
        (at - 2 * year, at + 2 * year),
        basic_constraints(True, 0),
        key_usage("key_cert_sign", "crl_sign"),
        ocsp_access(_OCSP),
    )
    signer = _plan(
        keys,
        f"C=US,ST=CA,L=Santa Clara,O=NVIDIA Corporation,CN={chip.signer}",
        f"p384/rim-l4{suffix}",
        third,
        (at - year, at + year),
        basic_constraints(False),
        key_usage("digital_signature"),
        ocsp_access(_OCSP),
    )
    return [signer, third, authority, root]
