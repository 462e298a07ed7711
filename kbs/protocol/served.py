"""Which guests a broker serves: what it is told, and 0.4.0 alone where it is told nothing.

A guest chooses its version, so whoever may choose an old one may choose what that one leaves out: devices, the
init-data, the user data of Azure (T-VERSION-DOWNGRADE). Each is therefore off until the configuration names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kbs.protocol.codec import Codec
from kbs.protocol.v0_1_0 import Version010
from kbs.protocol.v0_1_1 import Version011
from kbs.protocol.v0_2_0 import Version020
from kbs.protocol.v0_3_0 import Version030
from kbs.protocol.v0_4_0 import Version040

CODECS: Final[dict[str, Codec]] = {
    codec.version: codec for codec in (Version040(), Version030(), Version020(), Version011(), Version010())
}
"""Every version there is a codec for, newest first."""
_RSA1_5: Final = frozenset({"0.1.0", "0.1.1"})


@dataclass(frozen=True, slots=True)
class Served:
    """versions: protocol strings as guests send them. rsa1_5: whether answers may be wrapped with PKCS #1 v1.5,
    which 0.1.0 and 0.1.1 cannot do without. azure_evidence: the least version of an Azure evidence document, 0 to
    2; before 2 it carries no user data.

    Raises ValueError.
    """

    versions: frozenset[str] = frozenset({"0.4.0"})
    rsa1_5: bool = False
    azure_evidence: int = 2

    def __post_init__(self) -> None:
        if not self.versions:
            raise ValueError("a broker serves at least one protocol version")
        if unknown := sorted(self.versions - set(CODECS)):
            raise ValueError(f"there is no protocol {unknown[0]}; there are {', '.join(CODECS)}")
        if not self.rsa1_5 and (old := sorted(self.versions & _RSA1_5)):
            raise ValueError(f"protocol {old[0]} needs RSA1_5: allow that too, or leave {old[0]} out")
        if self.azure_evidence not in (0, 1, 2):
            raise ValueError("the least version of Azure evidence is 0, 1 or 2")

    def codec(self, version: str) -> Codec | None:
        """None for a version that is not served here, whatever was served when a session began."""
        return CODECS[version] if version in self.versions else None

    def mismatch(self, version: str) -> str:
        """The sentence of the reference server for a version that is not served."""
        wanted = " or ".join(f"={known}" for known in CODECS if known in self.versions)
        return f"KBS Client Protocol Version Mismatch: expect {wanted} while the request is {version}"
