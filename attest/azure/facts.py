"""A verified Azure confidential VM as claims: what the paravisor says of the guest it runs.

Claims of the hardware are in the section of its own (snp, tdx). These here are worth as much as the
paravisor: an ordinary guest anywhere can write all of them about itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from attest.azure.ak import AkCertificate
from attest.azure.hcl import HclReport
from attest.azure.tpm import TpmQuote
from attest.claims import ClaimValue, Section, flag, instant
from attest.parts import Part

if TYPE_CHECKING:
    from attest.eventlog.verify import Replay

LIMIT = (
    "Azure's paravisor says this, and it is worth as much as the paravisor is: whoever launched the machine "
    "can write all of it, unless a policy pins the paravisor's measurement."
)


@dataclass(frozen=True, slots=True)
class AzurePart:
    """hardware: the part beneath; its report data names the attestation key and is never the guest's.
    version: of the evidence document, None where there was none. pcrs: index → value, in the quote. replay: of the TPM's event
    log, None without one."""

    hardware: Part
    hcl: HclReport
    version: int | None
    quote: TpmQuote | None
    pcrs: dict[int, bytes] | None
    user_data_bound: bool | None
    certificate: AkCertificate | None
    replay: Replay | None = None

    @property
    def section(self) -> Literal["azure"]:
        return "azure"

    @property
    def bound(self) -> bytes:
        """The quote's extraData, in its own length; empty where there is no quote."""
        return self.quote.attest.extra_data if self.quote is not None else b""

    @property
    def identity(self) -> str:
        return self.hardware.identity

    @property
    def simulated(self) -> bool:
        return self.hardware.simulated or (self.certificate is not None and self.certificate.path.simulated)

    @property
    def expires(self) -> datetime:
        ends = [self.hardware.expires]
        if self.certificate is not None:
            ends.append(self.certificate.path.not_after)
            ends += [crl.next_update for crl in self.certificate.crls.values() if crl.next_update is not None]
        return min(ends)

    @property
    def oldest(self) -> datetime | None:
        dates = [crl.this_update for crl in self.certificate.crls.values()] if self.certificate else []
        if self.hardware.oldest is not None:
            dates.append(self.hardware.oldest)
        return min(dates, default=None)

    def claims(self) -> Section:
        runtime = self.hcl.runtime
        claims: dict[str, ClaimValue] = {"ak-cert": "absent" if self.certificate is None else "azure"}
        if self.pcrs is not None:
            claims |= {f"pcr{index}": value.hex() for index, value in self.pcrs.items()}
        if runtime.secure_boot is not None:
            claims["secure-boot"] = flag(runtime.secure_boot)
        if runtime.vm_id is not None:
            claims["vm-id"] = runtime.vm_id
        if self.version is not None:
            claims["evidence-version"] = str(self.version)
        if self.user_data_bound is not None:
            claims["user-data-bound"] = flag(self.user_data_bound)
        return claims

    def raw(self) -> dict[str, Any]:
        runtime = self.hcl.runtime
        fields: dict[str, Any] = {
            "limit": LIMIT,
            "runtime_data": {
                "sha256": runtime.digest.hex(),
                "ak_thumbprint": runtime.ak_thumbprint,
                "vm_configuration": {
                    name: flag(value) if isinstance(value, bool) else value
                    for name, value in runtime.configuration.items()
                },
            },
        }
        if runtime.user_data is not None:
            fields["runtime_data"]["user_data"] = runtime.user_data.hex()
        if self.quote is not None:
            attest = self.quote.attest
            fields["tpm_quote"] = {
                "extra_data": attest.extra_data.hex(),
                "qualified_signer": attest.qualified_signer.hex(),
                "clock": str(attest.clock),
                "reset_count": str(attest.reset_count),
                "restart_count": str(attest.restart_count),
                "safe": str(attest.safe),
                "firmware_version": attest.firmware_version.hex(),
                "pcr_digest": attest.pcr_digest.hex(),
                "selected": [str(index) for one in attest.selections for index in one.indices],
            }
        if self.replay is not None:
            fields["event_log"] = self.replay.raw()
        if self.certificate is not None:
            leaf = self.certificate.path.leaf
            fields["ak_certificate"] = {
                "subject": leaf.common_name,
                "issuer": leaf.issuer_common_name,
                "root": self.certificate.path.root.common_name,
                "not_before": instant(leaf.not_before),
                "not_after": instant(leaf.not_after),
                "fingerprint": leaf.fingerprint.hex(),
            }
        return fields
