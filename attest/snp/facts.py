"""A verified SEV-SNP report as claims."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from attest.claims import ClaimValue, Section, flag, instant
from attest.path import Path
from attest.revocation import State
from attest.snp.leaf import LeafFacts
from attest.snp.report import Report
from attest.snp.tcb import Product, Tcb
from attest.x509 import Crl

POLICY_KNOWN_BITS = (1 << 26) - 1

# First committed firmware that sets ALIAS_CHECK_COMPLETE (AMD-SB-3015); before it a zero means unknown.
_ALIAS_CHECK_SINCE: dict[Product, tuple[int, int, int]] = {"milan": (1, 55, 22), "genoa": (1, 55, 38)}


class SnpPart(NamedTuple):
    """report, under the leaf of `path`. crl: state of the ARK's list; newest_crl: that list."""

    report: Report
    product: Product
    path: Path
    leaf: LeafFacts
    crl: State
    newest_crl: Crl | None

    @property
    def section(self) -> str:
        return "snp"

    @property
    def bound(self) -> bytes:
        return self.report.bound

    @property
    def identity(self) -> str:
        return self.report.chip_id.hex()

    @property
    def simulated(self) -> bool:
        return self.path.simulated

    @property
    def expires(self) -> datetime:
        crl = self.newest_crl
        if self.crl == "fresh" and crl is not None and crl.next_update is not None:
            return min(self.path.not_after, crl.next_update)
        return self.path.not_after

    @property
    def oldest(self) -> datetime | None:
        return self.newest_crl.this_update if self.newest_crl is not None else None

    def _tcb(self, raw: bytes) -> dict[str, str]:
        return Tcb.decode(raw, self.product).text()

    def claims(self) -> Section:
        report = self.report
        policy, platform = report.policy, report.platform_info
        claims: dict[str, ClaimValue] = {
            "product": self.product,
            "tcb": self._tcb(report.reported_tcb),
            "tcb-committed": self._tcb(report.committed_tcb),
            "tcb-launch": self._tcb(report.launch_tcb),
            "firmware": "{}.{}.{}".format(*report.committed_version),
            "abi": f"{policy >> 8 & 0xFF}.{policy & 0xFF}",
            "debug": flag(bool(policy >> 19 & 1)),
            "migrate-ma": flag(bool(policy >> 18 & 1)),
            "smt-allowed": flag(bool(policy >> 16 & 1)),
            "single-socket": flag(bool(policy >> 20 & 1)),
            "smt": flag(bool(platform & 1)),
            "tsme": flag(bool(platform >> 1 & 1)),
            "ecc": flag(bool(platform >> 2 & 1)),
            "rapl-off": flag(bool(platform >> 3 & 1)),
            "ciphertext-hiding": flag(bool(platform >> 4 & 1)),
            "vmpl": str(report.vmpl),
            "guest-svn": str(report.guest_svn),
            "report-version": str(report.version),
            "measurement": report.measurement.hex(),
            "report-id": report.report_id.hex(),
            "signing-key": self.leaf.kind,
            "policy-unknown-bits": str(policy & ~POLICY_KNOWN_BITS),
            "crl": self.crl,
        }
        alias_check = bool(platform >> 5 & 1)
        if alias_check or report.committed_version >= _ALIAS_CHECK_SINCE.get(self.product, (0, 0, 0)):
            claims["alias-check"] = flag(alias_check)
        # Zero means unset for all of these, never "equal to zero".
        for name, value in (
            ("id-key", report.id_key_digest),
            ("host-data", report.host_data),
            ("chip-id", report.chip_id),
            ("family-id", report.family_id),
            ("image-id", report.image_id),
        ):
            if any(value):
                claims[name] = value.hex()
        if report.author_key_en:
            claims["author-key"] = report.author_key_digest.hex()
        if self.leaf.csp_id is not None:
            claims["csp"] = self.leaf.csp_id
        if report.launch_mit_vector is not None and report.current_mit_vector is not None:
            claims["mitigations-launch"] = str(report.launch_mit_vector)
            claims["mitigations-current"] = str(report.current_mit_vector)
        return claims

    def raw(self) -> dict[str, Any]:
        report = self.report
        fields: dict[str, Any] = {
            "version": str(report.version),
            "guest_svn": str(report.guest_svn),
            "policy": str(report.policy),
            "family_id": report.family_id.hex(),
            "image_id": report.image_id.hex(),
            "vmpl": str(report.vmpl),
            "signature_algo": str(report.signature_algo),
            "current_tcb": self._tcb(report.current_tcb),
            "platform_info": str(report.platform_info),
            "key_info": str(report.key_info),
            "report_data": report.report_data.hex(),
            "measurement": report.measurement.hex(),
            "host_data": report.host_data.hex(),
            "id_key_digest": report.id_key_digest.hex(),
            "author_key_digest": report.author_key_digest.hex(),
            "report_id": report.report_id.hex(),
            "report_id_ma": report.report_id_ma.hex(),
            "reported_tcb": self._tcb(report.reported_tcb),
            "chip_id": report.chip_id.hex(),
            "committed_tcb": self._tcb(report.committed_tcb),
            "current_version": "{}.{}.{}".format(*report.current_version),
            "committed_version": "{}.{}.{}".format(*report.committed_version),
            "launch_tcb": self._tcb(report.launch_tcb),
        }
        if report.cpuid_fam_id is not None:
            fields["cpuid_fam_id"] = str(report.cpuid_fam_id)
            fields["cpuid_mod_id"] = str(report.cpuid_mod_id)
            fields["cpuid_step"] = str(report.cpuid_step)
        if report.launch_mit_vector is not None:
            fields["launch_mit_vector"] = str(report.launch_mit_vector)
            fields["current_mit_vector"] = str(report.current_mit_vector)
        fields["leaf"] = {
            "fingerprint": self.path.leaf.fingerprint.hex(),
            "not_before": instant(self.path.not_before),
            "not_after": instant(self.path.not_after),
            "issuer": self.path.certificates[1].common_name,
            "root": self.path.root.common_name,
        }
        if self.newest_crl is not None:
            fields["crl"] = {
                "this_update": instant(self.newest_crl.this_update),
                "number": "" if self.newest_crl.number is None else str(self.newest_crl.number),
            }
        return fields
