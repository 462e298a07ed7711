"""The ID block: what a guest's owner signs for a launch, and the key digests that reports then carry.

The firmware of the machine checks both signatures at launch; a report shows FAMILY_ID, IMAGE_ID, GUEST_SVN,
ID_KEY_DIGEST and AUTHOR_KEY_DIGEST of an accepted block.
Source: AMD 56860, SNP_LAUNCH_FINISH, ID_BLOCK and ID_AUTH structures. All integers little-endian.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from attest.problems import malformed

DEFAULT_POLICY = 0x30000
"""SMT allowed, and bit 17 that must be set."""
_KEY_SIZE = 0x404
_P384 = 2
_ECDSA_P384_SHA384 = 1

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey
PublicKey: TypeAlias = ec.EllipticCurvePublicKey


def read_key(pem: bytes, *, where: str = "key") -> PrivateKey | PublicKey:
    """A P-384 key from PEM, private or public. Raises Malformed (`measure.id-key`)."""
    key: object = None
    try:
        if b"PRIVATE KEY" in pem:
            key = serialization.load_pem_private_key(pem, password=None)
        else:
            key = serialization.load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        pass
    if not isinstance(key, (PrivateKey, PublicKey)) or not isinstance(key.curve, ec.SECP384R1):
        raise malformed("The file holds no P-384 key, or it is encrypted", where=where, code="measure.id-key")
    return key


def key_record(key: PublicKey) -> bytes:
    """The 0x404 bytes of a public key: curve, QX and QY of 72 bytes each, zeros."""
    point = key.public_numbers()
    body = struct.pack("<I", _P384) + point.x.to_bytes(72, "little") + point.y.to_bytes(72, "little")
    return body.ljust(_KEY_SIZE, b"\0")


def key_digest(key: PublicKey) -> bytes:
    """ID_KEY_DIGEST or AUTHOR_KEY_DIGEST, 48 bytes: SHA-384 over the whole record, zeros included."""
    return hashlib.sha384(key_record(key)).digest()


@dataclass(frozen=True, slots=True)
class IdBlock:
    """digest: of the launch, 48 bytes. family_id, image_id: 16 bytes each. policy: the guest's POLICY."""

    digest: bytes
    family_id: bytes = bytes(16)
    image_id: bytes = bytes(16)
    guest_svn: int = 0
    policy: int = DEFAULT_POLICY

    def __post_init__(self) -> None:
        if (len(self.digest), len(self.family_id), len(self.image_id)) != (48, 16, 16):
            raise ValueError("a launch digest is 48 bytes, a family and an image id are 16 each")
        if not 0 <= self.guest_svn < 1 << 32:
            raise ValueError("a guest SVN is 32 bits")
        if not 0 <= self.policy < 1 << 64 or not self.policy & 1 << 17:
            raise ValueError("a guest policy is 64 bits, of which bit 17 is set")

    def encode(self) -> bytes:
        """The 96 bytes that the ID key signs."""
        head = self.digest + self.family_id + self.image_id
        return head + struct.pack("<IIQ", 1, self.guest_svn, self.policy)

    def sign(self, id_key: PrivateKey, author_key: PrivateKey | None = None) -> SignedIdBlock:
        """author_key: signs the ID key; None without one, and AUTHOR_KEY_EN is then 0."""
        block = self.encode()
        auth = bytearray(4096)
        struct.pack_into("<II", auth, 0, _ECDSA_P384_SHA384, 0 if author_key is None else _ECDSA_P384_SHA384)
        record = key_record(id_key.public_key())
        auth[0x040:0x240] = _signature(id_key, block)
        auth[0x240:0x644] = record
        if author_key is not None:
            auth[0x680:0x880] = _signature(author_key, record)
            auth[0x880:0xC84] = key_record(author_key.public_key())
        return SignedIdBlock(block, bytes(auth))


@dataclass(frozen=True, slots=True)
class SignedIdBlock:
    """block: 96 bytes; auth: 4096 bytes. QEMU takes both in base64, as id-block and id-auth."""

    block: bytes
    auth: bytes


def _signature(key: PrivateKey, data: bytes) -> bytes:
    """512 bytes: R and S of 72 each, zeros."""
    r, s = utils.decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA384())))
    return (r.to_bytes(72, "little") + s.to_bytes(72, "little")).ljust(512, b"\0")
