"""Wire codecs by version, tee keys and the JWE answer: bytes and JSON, no HTTP.

A codec is an object with the four questions that differ between versions: how a request, an attestation
and a challenge are written, and how the answer is laid out. The version string picks it, is kept in the
session, and there is no negotiation.
"""

from __future__ import annotations

from typing import Final

from kbs.protocol.codec import Attestation, Codec, Request
from kbs.protocol.v0_4 import VERSION_0_4

CODECS: Final[dict[str, Codec]] = {VERSION_0_4.version: VERSION_0_4}
"""Older guests come with a later issue; 0.2 and before would also drop the device binding
(T-VERSION-DOWNGRADE)."""


def mismatch(version: str) -> str:
    """The sentence of the reference server for a version that is not served."""
    served = " or ".join(f"={known}" for known in CODECS)
    return f"KBS Client Protocol Version Mismatch: expect {served} while the request is {version}"


__all__ = ["CODECS", "Attestation", "Codec", "Request", "mismatch"]
