"""Evidence of one Azure confidential VM, from whatever container it came in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from attest.anchors import Anchors
from attest.azure.hcl import HclReport, Kind
from attest.azure.tpm import TpmQuote
from attest.cache import Cache
from attest.checks import CheckLog
from attest.endorsements import Endorsements
from attest.evidence import PartResult
from attest.memory import Memory
from attest.x509 import Certificate

if TYPE_CHECKING:
    from attest.tdx.quote import Quote


@dataclass(frozen=True, slots=True)
class AzureEvidence:
    """kind: what the container says the hardware is. version: of the evidence document (0, 1, 2), None where
    the parts came without one. quote: of the TPM. td_quote: for TDX. certificate: of the attestation key."""

    kind: Kind
    hcl: HclReport
    version: int | None = None
    quote: TpmQuote | None = None
    td_quote: Quote | None = None
    certificate: Certificate | None = None

    @property
    def section(self) -> Literal["azure"]:
        return "azure"

    @property
    def bound(self) -> bytes:
        """The quote's extraData, in its own length; empty where there is no quote."""
        return self.quote.attest.extra_data if self.quote is not None else b""

    def verify_with(
        self,
        *,
        endorsements: Endorsements,
        anchors: Anchors,
        at: datetime,
        log: CheckLog,
        cache: Cache | None,
        memory: Memory | None,
    ) -> PartResult | None:
        """See `attest.evidence.Verifiable`."""
        from attest.azure.verify import verify_azure

        return verify_azure(
            self, endorsements=endorsements, anchors=anchors, at=at, log=log, cache=cache, memory=memory
        )
