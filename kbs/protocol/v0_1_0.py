"""Guest protocol 0.1.0 (guest-components 0.7 to 0.9): as 0.1.1, with the evidence as a text that holds JSON.

Guests before 0.9 hash nonce and key in another way and do not pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attest.canonical import read_json
from attest.problems import malformed
from kbs.protocol import jwe_rsa1_5
from kbs.protocol.codec import Attestation
from kbs.protocol.message import LIMIT, read_bare, read_body
from kbs.protocol.tee_key import RSA1_5, TeeKey


@dataclass(frozen=True, slots=True)
class Version010:
    version: str = "0.1.0"
    claim: str = "0.1"
    covers_devices: bool = False

    def read_attestation(self, body: bytes) -> Attestation:
        message = read_body(body)
        text = message.get("tee-evidence")
        if not isinstance(text, str):
            raise malformed("Evidence of protocol 0.1.0 is a text of JSON", where="tee-evidence")
        evidence = read_bare(read_json(text, where="tee-evidence", limit=LIMIT), self.version)
        return Attestation(None, self.read_key(message.get("tee-pubkey")), evidence)

    def read_key(self, jwk: Any) -> TeeKey:
        return TeeKey.from_jwk(jwk, frozenset({RSA1_5}))

    def write_answer(self, secret: bytes, key: TeeKey) -> bytes:
        return jwe_rsa1_5.encrypt(secret, key)
