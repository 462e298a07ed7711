"""What a protocol version must answer, and the message it reads into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from kbs.protocol.init_data import InitData
from kbs.protocol.tee_key import TeeKey


@dataclass(frozen=True, slots=True)
class Attestation:
    """One guest's answer to a challenge, parsed and believed by nobody.

    nonce: as the body says, None where the version does not repeat it. primary: JSON of the TEE.
    additional: exact text of the device evidence, "" for none.
    """

    nonce: str | None
    key: TeeKey
    primary: Any
    additional: str = ""
    init_data: InitData | None = None


class Codec(Protocol):
    """One protocol version."""

    @property
    def version(self) -> str: ...
    @property
    def claim(self) -> str:
        """What the claim `binding.protocol` says: `0.4`."""
        ...

    @property
    def covers_devices(self) -> bool:
        """Whether the CPU's report data covers the text of the device evidence (`attest.Expected`)."""
        ...

    def read_attestation(self, body: bytes) -> Attestation:
        """Raises attest.Malformed."""
        ...

    def read_key(self, jwk: Any) -> TeeKey:
        """A key that this version's answers can be wrapped for. Raises attest.Malformed."""
        ...

    def write_answer(self, secret: bytes, key: TeeKey) -> bytes:
        """A fresh content key and IV each time (T-JWE)."""
        ...
