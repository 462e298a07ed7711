"""A strict twin of the guests' client, written from the protocol and sharing nothing with the broker.

Own Concat KDF, own AES key unwrap, own canonical JSON; strict where the real client is: errors only as
{"type","detail"}, both members of a challenge, three parts of a token, a protected header that is parsed
and written again before it becomes associated data.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CURVES: dict[str, tuple[ec.EllipticCurve, int]] = {
    "P-256": (ec.SECP256R1(), 32),
    "P-521": (ec.SECP521R1(), 66),
}


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unb64(text: str) -> bytes:
    assert "=" not in text
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def jcs(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def concat_kdf(shared: bytes, algorithm: str, bits: int, u: bytes = b"", v: bytes = b"") -> bytes:
    def part(raw: bytes) -> bytes:
        return len(raw).to_bytes(4, "big") + raw

    info = part(algorithm.encode()) + part(u) + part(v) + bits.to_bytes(4, "big")
    return hashlib.sha256((1).to_bytes(4, "big") + shared + info).digest()[: bits // 8]


def key_unwrap(kek: bytes, wrapped: bytes) -> bytes:
    """RFC 3394 §2.2.2, with the block cipher alone."""
    decryptor = Cipher(algorithms.AES(kek), modes.ECB()).decryptor()
    blocks = [wrapped[i : i + 8] for i in range(0, len(wrapped), 8)]
    a, r = int.from_bytes(blocks[0], "big"), blocks[1:]
    n = len(r)
    for j in range(5, -1, -1):
        for i in range(n, 0, -1):
            block = decryptor.update((a ^ (n * j + i)).to_bytes(8, "big") + r[i - 1])
            a, r[i - 1] = int.from_bytes(block[:8], "big"), block[8:]
    assert a == 0xA6A6A6A6A6A6A6A6, "integrity check of the key wrap"
    return b"".join(r)


@dataclass
class TwinKey:
    """An EC or RSA key of a guest."""

    private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    jwk: dict[str, Any]

    @classmethod
    def elliptic(cls, curve: str = "P-256") -> TwinKey:
        kind, size = CURVES[curve]
        private = ec.generate_private_key(kind)
        point = private.public_key().public_numbers()
        x, y = (b64(number.to_bytes(size, "big")) for number in (point.x, point.y))
        return cls(private, {"kty": "EC", "crv": curve, "alg": "ECDH-ES+A256KW", "x": x, "y": y})

    @classmethod
    def rsa(cls, algorithm: str = "RSA-OAEP-256", bits: int = 2048) -> TwinKey:
        private = rsa.generate_private_key(65537, bits)
        n = private.public_key().public_numbers().n
        modulus = b64(n.to_bytes((n.bit_length() + 7) // 8, "big"))
        return cls(private, {"kty": "RSA", "alg": algorithm, "n": modulus, "e": "AQAB"})

    def open(self, answer: bytes) -> bytes:
        message = json.loads(answer)
        assert list(message) == ["protected", "encrypted_key", "iv", "ciphertext", "tag"]
        header = json.loads(unb64(message["protected"]))
        others = {name: header[name] for name in sorted(header) if name not in ("alg", "enc")}
        ordered = {"alg": header["alg"], "enc": header["enc"], **others}
        if "epk" in ordered:
            ordered["epk"] = dict(sorted(ordered["epk"].items()))
        aad = b64(json.dumps(ordered, separators=(",", ":")).encode()).encode()
        assert header["enc"] == "A256GCM"
        assert header["alg"] == self.jwk["alg"]
        wrapped = unb64(message["encrypted_key"])
        if isinstance(self.private, rsa.RSAPrivateKey):
            oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
            cek = self.private.decrypt(wrapped, oaep)
        else:
            cek = self._agree(header["epk"], wrapped)
        ciphertext = unb64(message["ciphertext"]) + unb64(message["tag"])
        return AESGCM(cek).decrypt(unb64(message["iv"]), ciphertext, aad)

    def open_0_1(self, answer: bytes) -> bytes:
        """As clients of 0.1.0 and 0.1.1 do: the header is plain JSON and authenticates nothing, the tag stands
        behind the ciphertext."""
        message = json.loads(answer)
        assert list(message) == ["protected", "encrypted_key", "iv", "ciphertext", "tag"]
        assert all(isinstance(member, str) for member in message.values())
        header = json.loads(message["protected"])
        assert (header["alg"], header["enc"]) == ("RSA1_5", "A256GCM")
        assert isinstance(self.private, rsa.RSAPrivateKey)
        cek = self.private.decrypt(unb64(message["encrypted_key"]), padding.PKCS1v15())
        return AESGCM(cek).decrypt(unb64(message["iv"]), unb64(message["ciphertext"]), None)

    def _agree(self, epk: Mapping[str, str], wrapped: bytes) -> bytes:
        assert isinstance(self.private, ec.EllipticCurvePrivateKey)
        curve, size = CURVES[epk["crv"]]
        x, y = unb64(epk["x"]), unb64(epk["y"])
        assert len(x) == len(y) == size, "the real client wants full-length coordinates"
        public = ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + x + y)
        return key_unwrap(
            concat_kdf(self.private.exchange(ec.ECDH(), public), "ECDH-ES+A256KW", 256), wrapped
        )


class TwinRefused(Exception):
    def __init__(self, status: int, kind: str, detail: str) -> None:
        super().__init__(f"{status} {kind}: {detail}")
        self.status, self.kind, self.detail = status, kind, detail


def refusal_of(response: httpx.Response) -> TwinRefused:
    """The real client's only way to read an answer that is not 200."""
    message = response.json()
    assert set(message) == {"type", "detail"}, f"a guest cannot read {message}"
    prefix, _, kind = message["type"].rpartition("/")
    assert prefix == "https://github.com/confidential-containers/kbs/errors"
    return TwinRefused(response.status_code, kind, message["detail"])


Machine = Callable[[str, Mapping[str, Any]], tuple[Any, str]]
"""(nonce, key) → primary evidence, text of the additional evidence"""


@dataclass
class TwinGuest:
    http: httpx.Client
    machine: Machine
    tee: str = "snp"
    key: TwinKey = field(default_factory=TwinKey.elliptic)
    version: str = "0.4.0"
    nonce: str = ""
    body: bytes = b""

    def auth(self) -> str:
        algorithms = {"supported-hash-algorithms": ["sha256", "sha384", "sha512", "sm3"]}
        request = {
            "version": self.version,
            "tee": self.tee,
            "extra-params": "" if self.version == "0.1.0" else algorithms,
        }
        challenge = self.post("auth", jcs(request))
        assert {"nonce", "extra-params"} <= set(challenge)
        assert len(challenge["nonce"]) == 44
        assert challenge["extra-params"] == ""
        self.nonce = challenge["nonce"]
        return self.nonce

    def attestation(self, **changes: Any) -> bytes:
        primary, additional = self.machine(self.nonce, self.key.jwk)
        composite = {"primary_evidence": primary, "additional_evidence": additional}
        message: dict[str, Any]
        if self.version == "0.4.0":
            runtime = {"nonce": self.nonce, "tee-pubkey": self.key.jwk}
            message = {"init-data": None, "runtime-data": runtime, "tee-evidence": composite}
        else:
            evidence: Any = primary
            if self.version == "0.3.0":
                evidence = composite
            elif self.version == "0.1.0":
                evidence = json.dumps(primary)
            message = {"tee-pubkey": self.key.jwk, "tee-evidence": evidence}
        message.update(changes)
        return json.dumps(message).encode()

    def attest(self, body: bytes | None = None) -> str:
        self.body = self.attestation() if body is None else body
        token = self.post("attest", self.body)["token"]
        parts = token.split(".")
        assert len(parts) == 3
        payload = json.loads(unb64(parts[1]))
        assert isinstance(payload["exp"], int), "a missing exp means for ever to a guest"
        return str(token)

    def resource(self, path: str, token: str | None = None) -> bytes:
        """token: asks with it in place of the cookie, as a data hub does that never attested."""
        if token is not None:
            self.http.cookies.clear()
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        response = self.http.get(f"/kbs/v0/resource/{path}", headers=headers)
        if response.status_code != 200:
            raise refusal_of(response)
        assert response.headers["content-type"] == "application/json"
        return self.opened(response.content)

    def opened(self, answer: bytes) -> bytes:
        return self.key.open_0_1(answer) if self.version.startswith("0.1.") else self.key.open(answer)

    def boot(self, path: str) -> bytes:
        self.auth()
        self.attest()
        return self.resource(path)

    def post(self, path: str, content: bytes) -> dict[str, Any]:
        response = self.http.post(f"/kbs/v0/{path}", content=content)
        if response.status_code != 200:
            raise refusal_of(response)
        message: dict[str, Any] = response.json()
        return message
