"""Guest protocol 0.3.0: composite evidence beside a key at the top, no nonce and no init-data in the body.

No release of guest-components speaks it; builds between June 3 and 23 of 2025 do. The digests are those of
0.4.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kbs.protocol import jwe
from kbs.protocol.codec import Attestation
from kbs.protocol.message import read_body, read_composite
from kbs.protocol.tee_key import TeeKey


@dataclass(frozen=True, slots=True)
class Version030:
    version: str = "0.3.0"
    claim: str = "0.3"
    covers_devices: bool = True

    def read_attestation(self, body: bytes) -> Attestation:
        message = read_body(body)
        primary, additional = read_composite(message)
        return Attestation(None, self.read_key(message.get("tee-pubkey")), primary, additional)

    def read_key(self, jwk: Any) -> TeeKey:
        return TeeKey.from_jwk(jwk)

    def write_answer(self, secret: bytes, key: TeeKey) -> bytes:
        return jwe.encrypt(secret, key)
