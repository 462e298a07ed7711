"""Attested: what a trusted verifier said of a machine. Only `read` makes one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from attest.result.ear.vector import Tier, Vector

_MINT: Final = object()


@dataclass(frozen=True, slots=True)
class AttestedPart:
    """status: not better than the vector's worst tier. policies: `NAME@sha384:…`, empty where none was run.
    evidence_digest: `sha384:…` of what was judged, None where there was nothing to read."""

    status: Tier
    vector: Vector
    policies: tuple[str, ...]
    evidence_digest: str | None


class Attested:
    """A result that a trusted key signed, in its time and for its reader. It is somebody's word, not evidence that
    was verified here: a function that needs a Verified does not take it.

    status: of the whole machine, not better than any part's. parts: `cpu0`, `gpu0` …, `switch0` …. simulated:
    whether it stands under a simulator's root. nonce: the challenge, None where there was none. key: the JWK that
    the machine is bound to, None where none was compared.
    """

    __slots__ = (
        "audience", "expires", "issued", "issuer", "key", "nonce", "parts", "simulated", "status", "token_id",
    )  # fmt: skip

    status: Tier
    parts: Mapping[str, AttestedPart]
    simulated: bool
    issuer: str
    audience: str | None
    issued: datetime
    expires: datetime
    token_id: bytes
    nonce: bytes | None
    key: Mapping[str, Any] | None

    def __init__(self, mint: object, **fields: Any) -> None:
        if mint is not _MINT:
            raise TypeError("only attest.result.ear.read makes an Attested")
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an Attested does not change")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("an Attested does not change")

    def __repr__(self) -> str:
        return f"<Attested {self.status} by {self.issuer!r}>"


def mint(**fields: Any) -> Attested:
    """For `attest.result.ear.read` alone."""
    return Attested(_MINT, **fields)
