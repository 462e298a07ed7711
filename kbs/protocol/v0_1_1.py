"""Guest protocol 0.1.1 (guest-components 0.10 and 0.11): as 0.2.0, with RSA keys under PKCS #1 v1.5 only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kbs.protocol import jwe_rsa1_5
from kbs.protocol.codec import Attestation
from kbs.protocol.message import read_bare, read_body
from kbs.protocol.tee_key import RSA1_5, TeeKey


@dataclass(frozen=True, slots=True)
class Version011:
    version: str = "0.1.1"
    claim: str = "0.1.1"
    covers_devices: bool = False

    def read_attestation(self, body: bytes) -> Attestation:
        message = read_body(body)
        evidence = read_bare(message.get("tee-evidence"), self.version)
        return Attestation(None, self.read_key(message.get("tee-pubkey")), evidence)

    def read_key(self, jwk: Any) -> TeeKey:
        return TeeKey.from_jwk(jwk, frozenset({RSA1_5}))

    def write_answer(self, secret: bytes, key: TeeKey) -> bytes:
        return jwe_rsa1_5.encrypt(secret, key)
