"""Kept evidence, verified again as it was when it came: at its time, for its challenge and key. No database, no web.

The row of the attestation holds all that is not in the evidence: time, nonce, age, protocol, TEE, the digests of evidence and
claims, and the name of the endorsements. So whoever has the row from a proved export, the evidence and the endorsements
needs no broker's word for what the machine proved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from attest import Anchors, Endorsements, Verified, verify
from attest.claims import read_instant
from attest.composite import read_composite
from kbs.attestation_result import claims_digest
from kbs.expected import expected_of
from kbs.protocol import CODECS


class NotReplayed(Exception):
    """The row and the evidence are no pair, or the claims come out otherwise."""


def replay(row: Mapping[str, Any], body: bytes, endorsements: Endorsements, anchors: Anchors) -> Verified:
    """What the machine proved, the same as the row says.

    row: of the event `attested`. body: the attestation as it was sent. Raises NotReplayed, attest.Malformed and
    attest.Rejected.
    """
    if row.get("event") != "attested" or row.get("protocol") not in CODECS or "nonce" not in row:
        raise NotReplayed("the row is none of an attestation that can be replayed")
    digest = hashlib.sha256(body).hexdigest()
    if digest != row.get("evidence"):
        raise NotReplayed(f"the evidence is another: expected {row.get('evidence')}, found {digest}")
    codec = CODECS[row["protocol"]]
    message = codec.read_attestation(body)
    evidence, stapled = read_composite(row["tee"], message.primary, message.additional)
    verified = verify(
        evidence,
        endorsements=stapled + endorsements,
        at=read_instant(row["at"]),
        expected=expected_of(codec, message, row["nonce"], row["age"]),
        anchors=anchors,
        cheapest_first=True,
    )
    found = claims_digest(verified)
    if found != row.get("claims"):
        raise NotReplayed(f"the claims come out otherwise: expected {row.get('claims')}, found {found}")
    return verified
