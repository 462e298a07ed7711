"""Guest protocol 0.4.0: runtime-data, init-data, composite evidence, RFC 8785 digests.

The messages are those of guest-components 0.14 and later (kbs_protocol client) and Trustee's
`kbs/docs/kbs.yaml`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attest.problems import malformed
from kbs.protocol import jwe
from kbs.protocol.codec import Attestation
from kbs.protocol.init_data import InitData
from kbs.protocol.message import hashable, read_body, read_composite, read_object
from kbs.protocol.tee_key import TeeKey


@dataclass(frozen=True, slots=True)
class Version040:
    version: str = "0.4.0"
    claim: str = "0.4"
    covers_devices: bool = True

    def read_attestation(self, body: bytes) -> Attestation:
        message = read_body(body)
        runtime = read_object(message.get("runtime-data"), "runtime-data")
        if set(runtime) != {"nonce", "tee-pubkey"}:
            raise malformed(
                "Runtime data holds exactly a nonce and a key, for it is hashed",
                where="runtime-data",
                found=sorted(runtime),
            )
        nonce = runtime["nonce"]
        if not isinstance(nonce, str):
            raise malformed("The nonce is no text", where="runtime-data.nonce")
        hashable(nonce, "runtime-data.nonce")
        primary, additional = read_composite(message)
        init_data = message.get("init-data")
        return Attestation(
            nonce=nonce,
            key=self.read_key(runtime["tee-pubkey"]),
            primary=primary,
            additional=additional,
            init_data=None if init_data is None else InitData.from_json(init_data),
        )

    def read_key(self, jwk: Any) -> TeeKey:
        return TeeKey.from_jwk(jwk)

    def write_answer(self, secret: bytes, key: TeeKey) -> bytes:
        return jwe.encrypt(secret, key)
