"""The firmware identity (FWID) that the leaf certificate names, and how it meets the report.

The device's boot ROM certifies the report signing key together with the digest of the firmware that
holds it; a report made by other firmware carries another FWID in its opaque data.
Source: TCG DICE Attestation Architecture, CompositeDeviceID extension (2.23.133.5.4.1) as Hopper and LS10
write it, and DiceTcbInfo (2.23.133.5.4.1.1) as Blackwell does.
"""

from __future__ import annotations

from typing import NoReturn

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ObjectIdentifier

from attest.checks import CheckLog
from attest.der import Tlv, read_der
from attest.errors import Malformed
from attest.nvidia.family import Family
from attest.problems import malformed
from attest.x509 import Certificate

COMPOSITE_DEVICE_ID = ObjectIdentifier("2.23.133.5.4.1")
DICE_TCB_INFO = ObjectIdentifier("2.23.133.5.4.1.1")
_SHA384 = "2.16.840.1.101.3.4.2.2"
_FWIDS = 0xA6
_WHERE = "leaf.fwid"


def leaf_fwid(
    leaf: Certificate, device: Certificate, family: Family, check: str, log: CheckLog
) -> bytes | None:
    """The 48-byte FWID of the leaf; None after recording why not.

    device: certificate 1, the device identity. Exactly one of the two extensions may stand in a leaf, and
    the one this family writes. Hopper and LS10 repeat the identity's public key beside the FWID, and it
    must be that of certificate 1.
    """
    composite = leaf.raw_extension(COMPOSITE_DEVICE_ID)
    tcb_info = leaf.raw_extension(DICE_TCB_INFO)
    wanted = DICE_TCB_INFO if family.architecture == "blackwell" else COMPOSITE_DEVICE_ID
    present = [
        oid.dotted_string
        for oid, value in ((COMPOSITE_DEVICE_ID, composite), (DICE_TCB_INFO, tcb_info))
        if value is not None
    ]
    if present != [wanted.dotted_string]:
        log.failed(
            check,
            "nvidia.fwid.extension",
            where=_WHERE,
            expected=wanted.dotted_string,
            found=" and ".join(present) or "none",
        )
        return None
    try:
        if tcb_info is not None:
            return _from_tcb_info(tcb_info)
        assert composite is not None
        spki, fwid = _from_composite(composite)
    except Malformed as error:
        log.failed(check, "nvidia.fwid.extension", where=_WHERE, found=error.problems[0])
        return None
    if spki != _spki(device):
        log.failed(
            check,
            "nvidia.fwid.key",
            where=_WHERE,
            expected=f"the key of {device.common_name.shown}",
            found=spki[-16:].hex(),
        )
        return None
    return fwid


def _from_composite(data: bytes) -> tuple[bytes, bytes]:
    """SEQUENCE { version 1, SubjectPublicKeyInfo of the identity, SEQUENCE { sha384, digest } }."""
    parts = read_der(data, where=_WHERE).sequence()
    if len(parts) != 3:
        _refuse("3 elements", len(parts))
    version, spki, fwid = parts
    if version.integer() != 1:
        _refuse("version 1", version.integer())
    spki.sequence()
    return spki.encoded, _fwid(fwid)


def _from_tcb_info(data: bytes) -> bytes:
    """DiceTcbInfo: the first of its fwids is the firmware; those after it are all zero."""
    lists = [part for part in read_der(data, where=_WHERE).sequence() if part.tag == _FWIDS]
    if len(lists) != 1:
        _refuse("one list of FWIDs", len(lists))
    fwids = lists[0].children()
    if not fwids:
        _refuse("at least one FWID", 0)
    digests = [_fwid(entry) for entry in fwids]
    if any(map(any, digests[1:])):
        _refuse("zeros after the first FWID", len(digests))
    return digests[0]


def _fwid(entry: Tlv) -> bytes:
    parts = entry.sequence()
    if len(parts) != 2 or parts[0].oid() != _SHA384:
        _refuse("a SHA-384 FWID", entry.encoded[:24].hex())
    return parts[1].octets(48)


def _spki(certificate: Certificate) -> bytes:
    key = certificate.public_key
    return b"" if key is None else bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _refuse(expected: str, found: object) -> NoReturn:
    raise malformed("The FWID extension cannot be read", where=_WHERE, expected=expected, found=found)
