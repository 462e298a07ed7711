"""NVIDIA's certificates: the device chain of five and the RIM signers' chain of four.

Names, extensions and the rules for serial numbers are those of Hopper (GH100); only the roots'
organisation says SIMULATED. Source: NVIDIA GPU attestation; TCG DICE attestation architecture (FWID).
"""

from __future__ import annotations

import hashlib
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
ALTERNATIVE_NAME = "2.5.29.17"
_OCSP = "http://ocsp.ndis.nvidia.com"
_FOREVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_FACTORY = datetime(2020, 10, 17, tzinfo=UTC)

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


def device_id(index: int) -> bytes:
    """The 8 bytes that name the simulator's GPU of this index (its PDI)."""
    return hashlib.sha256(b"simulated gpu %d" % index).digest()[:8]


def device_chain(keys: Keyring, index: int, fwid: bytes) -> list[CertificatePlan]:
    """Leaf first, root last: FMC, BROM, provisioner, identity CA, root."""
    root = device_root(keys)
    identity = _plan(
        keys,
        "CN=NVIDIA GH100 Identity,O=NVIDIA Corporation",
        "p384/gh100-identity",
        root,
        (datetime(2022, 1, 12, tzinfo=UTC), _FOREVER),
        basic_constraints(True),
        key_usage("key_cert_sign", "crl_sign"),
        crl_point("http://crl.ndis.nvidia.com/crl/l1-root.crl"),
        ocsp_access(_OCSP),
    )
    provisioner = _plan(
        keys,
        "CN=NVIDIA GH100 Provisioner ICA 1,O=NVIDIA Corporation,C=US",
        "p384/gh100-provisioner",
        identity,
        (datetime(2022, 3, 1, tzinfo=UTC), _FOREVER),
        basic_constraints(True),
        key_usage("key_cert_sign", "crl_sign"),
        crl_point("http://crl.ndis.nvidia.com/crl/l2-gh100.crl"),
        ocsp_access(_OCSP),
    )
    serial = b"\x41" + device_id(index)
    brom = _plan(
        keys,
        f"SERIAL={serial.hex().upper()},C=US,O=NVIDIA Corporation,CN=GH100 A01 GSP BROM",
        f"p384/gh100-brom-{index}",
        provisioner,
        (_FACTORY, _FOREVER),
        basic_constraints(True),
        key_usage("key_cert_sign"),
        serial=int.from_bytes(serial, "big"),
    )
    key = f"p384/gh100-fmc-{index}"
    leaf_serial = bytearray(keys.identifier(key))
    leaf_serial[0] = (leaf_serial[0] & 0x7F) | 0x40
    leaf = _plan(
        keys,
        f"SERIAL={leaf_serial.hex().upper()},C=US,O=NVIDIA Corporation,CN=GH100 A01 GSP FMC LF",
        key,
        brom,
        (_FACTORY, _FOREVER),
        key_usage("digital_signature"),
        serial=int.from_bytes(leaf_serial, "big"),
    )
    leaf.put(_device_info(index))
    leaf.put(fwid_extension(keys.spki(brom.key), fwid))
    return [leaf, brom, provisioner, identity, root]


def fwid_extension(spki: bytes, fwid: bytes) -> Extension:
    """TCG DICE composite device id: the issuer's public key and the firmware's SHA-384."""
    digest = der.sequence(der.oid("2.16.840.1.101.3.4.2.2"), der.octets(fwid))
    return Extension(FWID, der.sequence(der.integer(1), spki, digest))


def _device_info(index: int) -> Extension:
    """DMTF device info as otherName in the subject alternative name."""
    text = f"NVIDIA:GH100:{hashlib.sha256(b'simulated ueid %d' % index).hexdigest()[:16].upper()}"
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


def rim_chain(keys: Keyring, at: datetime) -> list[CertificatePlan]:
    """Leaf first, root last. The signer lives two years, as NVIDIA's do: a RIM outlives its signer."""
    root = rim_root(keys)
    year = timedelta(days=365)
    authority = _plan(
        keys,
        "CN=NVIDIA Reference Value GH100 CA,O=NVIDIA Corporation,C=US",
        "p384/rim-gh100",
        root,
        (datetime(2023, 5, 11, tzinfo=UTC), datetime(2043, 5, 11, 23, 59, 59, tzinfo=UTC)),
        basic_constraints(True),
        key_usage("key_cert_sign", "crl_sign"),
        crl_point("http://crl.ndis.nvidia.com/crl-corim/l1-corim"),
        ocsp_access(_OCSP),
    )
    third = _plan(
        keys,
        "CN=NVIDIA Reference Value L3 GH100 002,O=NVIDIA Corporation,C=US",
        "p384/rim-l3",
        authority,
        (at - 2 * year, at + 2 * year),
        basic_constraints(True, 0),
        key_usage("key_cert_sign", "crl_sign"),
        ocsp_access(_OCSP),
    )
    signer = _plan(
        keys,
        "C=US,ST=CA,L=Santa Clara,O=NVIDIA Corporation,CN=HCC RIM L4 Signer",
        "p384/rim-l4",
        third,
        (at - year, at + year),
        basic_constraints(False),
        key_usage("digital_signature"),
        ocsp_access(_OCSP),
    )
    return [signer, third, authority, root]
