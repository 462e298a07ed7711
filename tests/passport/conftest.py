"""A verifier of somebody else's, as Trustee's attestation service signs and shapes its tokens."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Mapping
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from attest.result.passport import Issuer, IssuerKey, read_jwks
from tests.policy.conftest import NOW

KEY: Final = ec.generate_private_key(ec.SECP256R1())
OTHER: Final = ec.generate_private_key(ec.SECP256R1())
TRUSTEE: Final = Issuer("trustee-prod", "CoCo-Attestation-Service", "trustee")
PROFILE: Final = "tag:github.com,2024:confidential-containers/Trustee"
ANNOTATED: Final = "ear.veraison.annotated-evidence"
MEASUREMENT: Final = "41d0" + "ab" * 45 + "9c"
GUEST_KEY: Final = {"kty": "EC", "crv": "P-256", "alg": "ECDH-ES+A256KW", "x": "eA", "y": "eQ"}
SNP: Final[Mapping[str, Any]] = {
    "policy_abi_major": 0,
    "policy_abi_minor": 31,
    "policy_smt_allowed": True,
    "policy_migrate_ma": False,
    "policy_debug_allowed": False,
    "policy_single_socket": False,
    "reported_tcb_bootloader": 4,
    "reported_tcb_tee": 0,
    "reported_tcb_snp": 24,
    "reported_tcb_microcode": 219,
    "platform_tsme_enabled": True,
    "platform_smt_enabled": True,
    "measurement": MEASUREMENT,
    "chip_id": "5a" * 64,
}
VECTOR: Final = {
    "instance-identity": 0,
    "configuration": 2,
    "executables": 3,
    "file-system": 0,
    "hardware": 2,
    "runtime-opaque": 0,
    "storage-opaque": 0,
    "sourced-data": 0,
}


def part(said: Mapping[str, Any], status: str = "affirming", **vector: int) -> dict[str, Any]:
    return {
        "ear.status": status,
        "ear.trustworthiness-vector": {**VECTOR, **vector},
        "ear.appraisal-policy-id": "default",
        "ear.trustee.identifiers": {"validated": {}},
        ANNOTATED: copy.deepcopy(dict(said)),
    }


def cpu(tee: str = "snp", said: Mapping[str, Any] = SNP, **more: Any) -> dict[str, Any]:
    """The annotated evidence of a CPU."""
    return {
        "report_data": "11" * 64,
        "init_data": "00" * 32,
        "init_data_claims": None,
        "runtime_data_claims": {"nonce": "bm9uY2U=", "tee-pubkey": GUEST_KEY},
        tee: dict(said),
        **more,
    }


def payload(submods: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Members given as None are left out."""
    start = int(NOW.timestamp())
    whole = {
        "eat_profile": PROFILE,
        "iat": start,
        "exp": start + 300,
        "iss": "CoCo-Attestation-Service",
        "ear.verifier-id": {
            "developer": "https://confidentialcontainers.org",
            "build": "attestation-service 0.1.0",
        },
        "submods": {"cpu0": part(cpu())} if submods is None else dict(submods),
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def jwk(key: ec.EllipticCurvePrivateKey = KEY, **more: Any) -> dict[str, Any]:
    point = key.public_key().public_numbers()
    size = (key.key_size + 7) // 8
    curve = {256: "P-256", 384: "P-384"}[key.key_size]
    x, y = (b64(number.to_bytes(size, "big")) for number in (point.x, point.y))
    return {
        "kty": "EC",
        "crv": curve,
        "x": x,
        "y": y,
        "alg": {"P-256": "ES256", "P-384": "ES384"}[curve],
        **more,
    }


def signed(
    claims: Mapping[str, Any] | bytes,
    header: Mapping[str, Any] | None = None,
    key: ec.EllipticCurvePrivateKey = KEY,
) -> bytes:
    """A compact JWS with exactly this header, under `key` with ES256."""
    head = {"typ": "JWT", "alg": "ES256", "jwk": jwk()} if header is None else header
    body = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    message = f"{b64(json.dumps(head).encode())}.{b64(body)}".encode()
    return message + b"." + b64(jwt.get_algorithm_by_name("ES256").sign(message, key)).encode()


def key_set(*keys: Mapping[str, Any]) -> tuple[IssuerKey, ...]:
    return read_jwks(json.dumps({"keys": list(keys)}).encode())


KEYS: Final = key_set(jwk())
