"""What evidence must bind: the challenge it answers and the key beside it. The same when it comes and when it is replayed."""

from __future__ import annotations

import base64

from attest import Expected
from kbs.protocol import Attestation, Codec


def expected_of(codec: Codec, message: Attestation, nonce: str, age_seconds: int) -> Expected:
    """nonce: our copy, never what the body repeats (T-NONCE-ECHO). age_seconds: from the challenge to its answer."""
    init_data = message.init_data
    return Expected(
        nonce=base64.b64decode(nonce),
        nonce_text=nonce,
        key=message.key.jwk,
        age_seconds=age_seconds,
        protocol=codec.claim,
        covers_devices=codec.covers_devices,
        init_data=None if init_data is None else init_data.digest,
    )
