"""Guest protocol 0.2.0 (guest-components 0.12 and 0.13): the CPU's evidence alone, bound to nonce and key.

The body does not repeat the nonce: the one of the session is hashed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kbs.protocol import jwe
from kbs.protocol.codec import Attestation
from kbs.protocol.message import read_bare, read_body
from kbs.protocol.tee_key import TeeKey


@dataclass(frozen=True, slots=True)
class Version020:
    version: str = "0.2.0"
    claim: str = "0.2"
    covers_devices: bool = False

    def read_attestation(self, body: bytes) -> Attestation:
        message = read_body(body)
        evidence = read_bare(message.get("tee-evidence"), self.version)
        return Attestation(None, self.read_key(message.get("tee-pubkey")), evidence)

    def read_key(self, jwk: Any) -> TeeKey:
        return TeeKey.from_jwk(jwk)

    def write_answer(self, secret: bytes, key: TeeKey) -> bytes:
        return jwe.encrypt(secret, key)
