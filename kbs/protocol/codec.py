"""What a protocol version must answer, and the messages it reads into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kbs.protocol.init_data import InitData
from kbs.protocol.tee_key import TeeKey


@dataclass(frozen=True, slots=True)
class Request:
    """version: as sent. tee: lower-case, the hyphenated spelling."""

    version: str
    tee: str


@dataclass(frozen=True, slots=True)
class Attestation:
    """One guest's answer to a challenge, parsed and believed by nobody.

    nonce: as the body says, None where the version does not repeat it. primary: JSON of the TEE.
    additional: exact text of the device evidence, "" for none.
    """

    nonce: str | None
    key: TeeKey
    primary: Any
    additional: str
    init_data: InitData | None


class Codec(Protocol):
    """One protocol version."""

    @property
    def version(self) -> str: ...
    @property
    def claim(self) -> str:
        """What the claim `binding.protocol` says: `0.4`."""
        ...

    def read_attestation(self, body: bytes) -> Attestation:
        """Raises attest.Malformed."""
        ...

    def write_challenge(self, nonce: str) -> bytes: ...

    def write_answer(self, secret: bytes, key: TeeKey) -> bytes:
        """A fresh content key and IV each time (T-JWE)."""
        ...


def read_version(request: Mapping[str, Any]) -> str | None:
    version = request.get("version")
    return version if isinstance(version, str) else None
