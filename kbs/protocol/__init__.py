"""Wire codecs by version, tee keys and the JWE answer: bytes and JSON, no HTTP.

A codec is an object with the questions that differ between versions: how an attestation is written, what its
report data covers, which keys it may bring, and how the answer is laid out. The version string picks it, is kept
in the session, and there is no negotiation.
"""

from __future__ import annotations

from kbs.protocol.codec import Attestation, Codec
from kbs.protocol.request import Request
from kbs.protocol.served import CODECS, Served

__all__ = ["CODECS", "Attestation", "Codec", "Request", "Served"]
