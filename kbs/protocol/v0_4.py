"""Guest protocol 0.4.0: runtime-data, init-data, composite evidence, RFC 8785 digests.

The messages are those of guest-components 0.14 and later (kbs_protocol client) and Trustee's
`kbs/docs/kbs.yaml`. Members we do not know are let through, except inside what is hashed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from attest.canonical import read_json
from attest.problems import malformed
from kbs.protocol import jwe
from kbs.protocol.codec import Attestation, Request, read_version
from kbs.protocol.init_data import InitData
from kbs.protocol.tee_key import TeeKey

TEES = frozenset({"snp", "tdx", "az-snp-vtpm", "az-tdx-vtpm"})
"""CPU evidence that this version's reader can bind. Test TEEs (`sample`) are not among them (T-SAMPLE)."""
_SPELLINGS = {"azsnpvtpm": "az-snp-vtpm", "aztdxvtpm": "az-tdx-vtpm"}
"""What guest-components up to 0.15 send. Here and in the trail they have one name."""

_ATTESTATION_LIMIT = 16 << 20
_REQUEST_LIMIT = 64 << 10
_MAX_COMMAS = 256 << 10
"""Evidence is a few long texts and, for SNP, some thousand integers. Sixteen megabytes of `[],[],` would be
half a gigabyte of lists."""


def read_request(body: bytes) -> Request:
    """Version and TEE of an `auth` request of any version; raises Malformed.

    `extra-params` may be anything or missing: the clients disagree about it.
    """
    request = _object(read_json(body, where="request", limit=_REQUEST_LIMIT), "request")
    version = read_version(request)
    if version is None:
        raise malformed("The request has no version", where="request.version")
    tee = request.get("tee")
    if not isinstance(tee, str):
        raise malformed("The request names no TEE", where="request.tee")
    return Request(version, _SPELLINGS.get(tee, tee))


@dataclass(frozen=True, slots=True)
class Version04:
    version: str = "0.4.0"
    claim: str = "0.4"

    def read_attestation(self, body: bytes) -> Attestation:
        if body.count(b",") > _MAX_COMMAS:
            raise malformed("The attestation has too many members", where="attestation", expected=_MAX_COMMAS)
        message = _object(read_json(body, where="attestation", limit=_ATTESTATION_LIMIT), "attestation")
        runtime = _object(message.get("runtime-data"), "runtime-data")
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
        evidence = _object(message.get("tee-evidence"), "tee-evidence")
        if "primary_evidence" not in evidence:
            raise malformed("There is no primary evidence", where="tee-evidence.primary_evidence")
        additional = evidence.get("additional_evidence", "")
        if not isinstance(additional, str):
            raise malformed("Additional evidence is a text", where="tee-evidence.additional_evidence")
        hashable(additional, "tee-evidence.additional_evidence")
        init_data = message.get("init-data")
        return Attestation(
            nonce=nonce,
            key=TeeKey.from_jwk(runtime["tee-pubkey"]),
            primary=evidence["primary_evidence"],
            additional=additional,
            init_data=None if init_data is None else InitData.from_json(init_data),
        )

    def write_challenge(self, nonce: str) -> bytes:
        # Both members are required by the clients' deserialiser; "" keeps them at SHA-384.
        return json.dumps({"nonce": nonce, "extra-params": ""}).encode()

    def write_answer(self, secret: bytes, key: TeeKey) -> bytes:
        return jwe.encrypt(secret, key)


VERSION_0_4 = Version04()


def hashable(text: str, where: str) -> None:
    """Refuse text that UTF-8 cannot write: it has no canonical form, so no digest (T-CANON)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise malformed("The text holds half a surrogate pair", where=where) from None


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise malformed("A JSON object is wanted", where=where)
    return value
