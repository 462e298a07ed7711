"""CoRIMs for tests, made with cbor2 and signed with cryptography: nothing of the reader has a hand in them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import cbor2
from cbor2 import CBORTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
AMD = CBORTag(32, "tag:amd.com,2024:snp-corim-profile")
INTEL = CBORTag(111, bytes.fromhex("6086480186f84d011001"))
VCEK, VLEK = bytes.fromhex("2b06010401 9c780301"), bytes.fromhex("2b060104019c780302")
SEAM = bytes.fromhex("6086480186f84d0102030403")
MEASURED = bytes.fromhex("ab" * 48)

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def seconds(year: int, month: int = 1, day: int = 1) -> CBORTag:
    return CBORTag(1, int(datetime(year, month, day, tzinfo=UTC).timestamp()))


def environment(oid: bytes = VCEK, **more: Any) -> dict[int, Any]:
    """more: vendor, model, layer, index; instance, group."""
    names = {"vendor": 1, "model": 2, "layer": 3, "index": 4}
    found: dict[int, Any] = {0: {0: CBORTag(111, oid)}}
    for name, value in more.items():
        if name in names:
            found[0][names[name]] = value
        else:
            found[{"instance": 1, "group": 2}[name]] = value
    return found


def measured(key: Any, **values: Any) -> dict[int, Any]:
    """values: of a measurement, by the draft's names; a digest is one of SHA-384."""
    names = {
        "version": 0,
        "svn": 1,
        "flags": 3,
        "raw": 4,
        "mask": 5,
        "name": 11,
        "registers": 14,
        "range": 15,
    }
    made: dict[int, Any] = {}
    for name, value in values.items():
        if name == "digest":
            made[2] = [[7, value]]
        elif name == "raw":
            made[4] = value if isinstance(value, CBORTag) else CBORTag(560, value)
        elif name == "version":
            made[0] = {0: value, 1: 16384}
        else:
            made[names[name]] = value
    return {1: made} if key is None else {0: key, 1: made}


def extended(values: dict[int, Any]) -> dict[int, Any]:
    """A measurement of a profile's own values."""
    return {1: values}


def triple(where: dict[int, Any], *measurements: dict[int, Any]) -> list[Any]:
    return [where, list(measurements)]


def comid(*triples: Any, **more: Any) -> bytes:
    """The CoMID alone. more: further triples by the number of their kind, as `kind_1`."""
    kinds: dict[int, Any] = {0: list(triples)} if triples else {}
    kinds |= {int(name[5:]): value for name, value in more.items()}
    return cbor2.dumps({1: {0: "tag 1"}, 4: kinds})


def corim_map(*triples: Any, **more: Any) -> dict[Any, Any]:
    """more: members of the corim-map by the draft's names."""
    names: dict[str, Any] = {
        "id": 0,
        "tags": 1,
        "dependent": 2,
        "profile": 3,
        "validity": 4,
        "entities": 5,
        "extension": -1,
        "other": b"\xaa",
    }
    made: dict[Any, Any] = {0: "corim 1", 1: [CBORTag(506, comid(*triples))] if triples else []}
    for name, value in more.items():
        made[names[name]] = value
    return made


def corim(*triples: Any, **more: Any) -> bytes:
    """An unsigned CoRIM, as drafts 07 to 11 have it."""
    return cbor2.dumps(CBORTag(501, corim_map(*triples, **more)))


def signed(
    payload: bytes | None,
    key: PrivateKey,
    *,
    algorithm: int | None = None,
    meta: Any = ...,
    header: dict[Any, Any] | None = None,
    unprotected: dict[Any, Any] | None = None,
) -> bytes:
    """A signed CoRIM. meta: the corim-meta-map; None leaves it out. header: further protected members, or others."""
    number, sign = _scheme(key)
    protected: dict[Any, Any] = {1: number if algorithm is None else algorithm, 3: "application/rim+cbor"}
    if meta is not None:
        protected[8] = cbor2.dumps({0: {0: "Vendor"}} if meta is ... else meta)
    protected |= header or {}
    raw = cbor2.dumps({label: value for label, value in protected.items() if value is not None})
    signature = sign(cbor2.dumps(["Signature1", raw, b"", payload or b""]))
    return cbor2.dumps(CBORTag(18, [raw, unprotected or {}, payload, signature]))


def _scheme(key: PrivateKey) -> tuple[int, Any]:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return -8, key.sign
    if isinstance(key, rsa.RSAPrivateKey):
        digest = hashes.SHA256()
        return -37, lambda data: key.sign(data, padding.PSS(padding.MGF1(digest), 32), digest)
    number, size, chosen = {
        "secp256r1": (-7, 32, hashes.SHA256()),
        "secp384r1": (-35, 48, hashes.SHA384()),
        "secp521r1": (-36, 66, hashes.SHA512()),
    }[key.curve.name]

    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(chosen)))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    return number, sign


def pem(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
