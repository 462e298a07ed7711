"""ID blocks: their bytes, their signatures, and the digests of their keys."""

from __future__ import annotations

import base64
import hashlib
import struct
from importlib import import_module
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

from attest.errors import Malformed
from attest.measure import IdBlock, key_digest
from attest.measure.id_block import key_record, read_key

ID_KEY = ec.generate_private_key(ec.SECP384R1())
AUTHOR_KEY = ec.generate_private_key(ec.SECP384R1())
DIGEST = bytes(range(48))


def pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, password: bytes | None = None) -> bytes:
    protection = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


def verify(key: ec.EllipticCurvePrivateKey, signature: bytes, data: bytes) -> None:
    r, s = (int.from_bytes(part, "little") for part in (signature[:72], signature[72:144]))
    assert not any(signature[144:])
    key.public_key().verify(utils.encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA384()))


def test_bytes_of_a_block() -> None:
    block = IdBlock(DIGEST, b"F" * 16, b"I" * 16, 7, 0xB0000).encode()
    assert block == DIGEST + b"F" * 16 + b"I" * 16 + struct.pack("<IIQ", 1, 7, 0xB0000)
    assert len(block) == 96


def test_signatures_and_keys() -> None:
    signed = IdBlock(DIGEST, guest_svn=7).sign(ID_KEY, AUTHOR_KEY)
    assert len(signed.auth) == 4096
    assert struct.unpack_from("<II", signed.auth) == (1, 1)
    assert not any(signed.auth[8:0x40] + signed.auth[0x644:0x680] + signed.auth[0xC84:])
    record = key_record(ID_KEY.public_key())
    assert signed.auth[0x240:0x644] == record
    assert signed.auth[0x880:0xC84] == key_record(AUTHOR_KEY.public_key())
    verify(ID_KEY, signed.auth[0x40:0x240], signed.block)
    verify(AUTHOR_KEY, signed.auth[0x680:0x880], record)
    with pytest.raises(InvalidSignature):
        verify(ID_KEY, signed.auth[0x40:0x240], IdBlock(DIGEST, guest_svn=8).encode())


def test_without_an_author_key_nothing_says_there_is_one() -> None:
    signed = IdBlock(DIGEST).sign(ID_KEY)
    assert struct.unpack_from("<II", signed.auth) == (1, 0)
    assert not any(signed.auth[0x680:])


def test_a_key_digest_is_over_the_whole_record() -> None:
    point = ID_KEY.public_key().public_numbers()
    record = (
        struct.pack("<I", 2) + point.x.to_bytes(72, "little") + point.y.to_bytes(72, "little") + bytes(880)
    )
    assert len(record) == 0x404
    assert key_digest(ID_KEY.public_key()) == hashlib.sha384(record).digest()


def test_as_sev_snp_measure_makes_it(tmp_path: Path) -> None:
    """Signatures differ by their random numbers, everything else is equal byte by byte."""
    files = {"id": ID_KEY, "author": AUTHOR_KEY}
    for name, key in files.items():
        (tmp_path / name).write_bytes(pem(key))
    made: str = import_module("sevsnpmeasure.id_block").snp_calc_id_block(
        DIGEST, str(tmp_path / "id"), str(tmp_path / "author")
    )
    first, id_hash, author_hash = made.splitlines()
    block, auth = (base64.b64decode(part.split("=", 1)[1]) for part in first.split(","))
    signed = IdBlock(DIGEST).sign(ID_KEY, AUTHOR_KEY)

    def unsigned(data: bytes) -> bytes:
        return data[:0x40] + data[0x240:0x680] + data[0x880:]

    assert block == signed.block
    assert unsigned(auth) == unsigned(signed.auth)
    verify(ID_KEY, auth[0x40:0x240], signed.block)
    assert base64.b64decode(id_hash.split(": ")[1]) == key_digest(ID_KEY.public_key())
    assert base64.b64decode(author_hash.split(": ")[1]) == key_digest(AUTHOR_KEY.public_key())


def test_public_and_private_keys_are_read() -> None:
    public = ID_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert isinstance(read_key(pem(ID_KEY)), ec.EllipticCurvePrivateKey)
    read = read_key(public)
    assert isinstance(read, ec.EllipticCurvePublicKey)
    assert key_digest(read) == key_digest(ID_KEY.public_key())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"-----BEGIN PRIVATE KEY-----",
        pem(ec.generate_private_key(ec.SECP256R1())),
        pem(ed25519.Ed25519PrivateKey.generate()),
        pem(ID_KEY, b"password"),
    ],
)
def test_other_keys_are_refused(data: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        read_key(data)
    assert refused.value.codes == {"measure.id-key"}


@pytest.mark.parametrize(
    "keywords",
    [
        {"digest": bytes(47)},
        {"family_id": b"x"},
        {"image_id": b"x"},
        {"guest_svn": 1 << 32},
        {"policy": 0x10000},
        {"policy": 1 << 64},
    ],
)
def test_a_block_that_cannot_be(keywords: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        IdBlock(**{"digest": DIGEST, **keywords})  # type: ignore[arg-type]
