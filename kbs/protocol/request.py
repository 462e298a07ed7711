"""The first message of a guest, alike in every version: which protocol it speaks and on which TEE it runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from attest.canonical import read_json
from attest.problems import malformed
from kbs.protocol.message import read_object

TEES: Final = frozenset({"snp", "tdx", "az-snp-vtpm", "az-tdx-vtpm"})
"""CPU evidence that can be verified. Test TEEs (`sample`) prove nothing and are not among them (T-SAMPLE)."""
_SPELLINGS: Final = {"azsnpvtpm": "az-snp-vtpm", "aztdxvtpm": "az-tdx-vtpm"}
"""What guest-components up to 0.15 send. Here and in the trail they have one name."""
_LIMIT = 64 << 10


@dataclass(frozen=True, slots=True)
class Request:
    """version: as sent. tee: lower-case, the hyphenated spelling."""

    version: str
    tee: str


def read_request(body: bytes) -> Request:
    """Version and TEE; raises Malformed.

    `extra-params` may be anything or missing: the clients disagree about it.
    """
    request = read_object(read_json(body, where="request", limit=_LIMIT), "request")
    version, tee = request.get("version"), request.get("tee")
    if not isinstance(version, str):
        raise malformed("The request has no version", where="request.version")
    if not isinstance(tee, str):
        raise malformed("The request names no TEE", where="request.tee")
    return Request(version, _SPELLINGS.get(tee, tee))


def write_challenge(nonce: str) -> bytes:
    """The answer to a request. Both members are required by the clients' deserialisers; "" is a text for those
    that want one, and keeps the others at SHA-384."""
    return json.dumps({"nonce": nonce, "extra-params": ""}).encode()
