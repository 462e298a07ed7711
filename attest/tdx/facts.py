"""A verified TDX quote as claims."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from attest.claims import ClaimValue, Section, duration, flag, instant
from attest.tdx.attributes import DEBUG, MIGRATABLE, SEPT_VE_DISABLE
from attest.tdx.platform import Platform
from attest.tdx.qe_identity import QeIdentity
from attest.tdx.tcb import Standing, Tcb
from attest.tdx.tcb_info import TcbInfo
from attest.x509 import Crl

if TYPE_CHECKING:
    from attest.eventlog.verify import Replay
    from attest.tdx.quote import Quote


class TdxPart(NamedTuple):
    """quote, under the chain and collateral of `platform`, judged at `at`. replay: of the event log beside
    it, None without one."""

    quote: Quote
    platform: Platform
    tcb: Tcb
    at: datetime
    replay: Replay | None = None

    @property
    def section(self) -> Literal["tdx"]:
        return "tdx"

    @property
    def bound(self) -> bytes:
        return self.quote.bound

    @property
    def identity(self) -> str:
        facts = self.platform.pck.facts
        return (facts.platform_instance_id or facts.ppid).hex()

    @property
    def simulated(self) -> bool:
        # Collateral stands under the same root as the quote.
        return self.platform.pck.path.simulated

    @property
    def expires(self) -> datetime:
        """Earliest end of certificates, collateral and lists."""
        return self.platform.not_after

    @property
    def oldest(self) -> datetime:
        return self.platform.oldest

    def claims(self) -> Section:
        body = self.quote.body
        attributes = body.td_attributes
        claims: dict[str, ClaimValue] = {
            "tcb-status": self.tcb.status,
            # The lower of the two numbers: an old document of either kind may hide findings.
            "tcb-evaluation": str(
                min(
                    self.platform.shared.tcb_info.content.evaluation,
                    self.platform.shared.qe_identity.content.evaluation,
                )
            ),
            "tcb-date": instant(self.tcb.date),
            "advisories": sorted(self.tcb.advisories),
            "tee-tcb-svn": body.tee_tcb_svn.hex(),
            "debug": flag(bool(attributes & DEBUG)),
            "migratable": flag(bool(attributes & MIGRATABLE)),
            "sept-ve-disable": flag(bool(attributes & SEPT_VE_DISABLE)),
            "attributes": str(attributes),
            "xfam": str(body.xfam),
            "mrseam": body.mr_seam.hex(),
            "mrtd": body.mr_td.hex(),
            "rtmr0": body.rtmr0.hex(),
            "rtmr1": body.rtmr1.hex(),
            "rtmr2": body.rtmr2.hex(),
            "rtmr3": body.rtmr3.hex(),
            "fmspc": self.platform.pck.facts.fmspc.hex(),
            # Absent, stale and revoked lists were refused.
            "crl": "fresh",
            "event-log": self.replay.state if self.replay is not None else "absent",
        }
        lag = self.tcb.lag(self.at)
        if lag is not None:
            claims["tcb-lag"] = duration(lag)
        # Zero means unset for these, never "equal to zero".
        for name, value in (
            ("mrconfigid", body.mr_config_id),
            ("mrowner", body.mr_owner),
            ("mrownerconfig", body.mr_owner_config),
        ):
            if any(value):
                claims[name] = value.hex()
        if body.mr_servicetd is not None:
            claims["mrservicetd"] = body.mr_servicetd.hex()
        return claims

    def raw(self) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "header": self._header(),
            "body": self._body(),
            "qe_report": self._qe_report(),
            "pck": self._pck(),
            "collateral": self._collateral(),
            "tcb": self._tcb(),
        }
        if self.replay is not None:
            fields["event_log"] = self.replay.raw()
        return fields

    def _header(self) -> dict[str, str]:
        quote = self.quote
        return {
            "version": str(quote.version),
            "attestation_key_type": str(quote.attestation_key_type),
            "tee_type": str(quote.tee_type),
            "reserved_1": str(quote.reserved_1),
            "reserved_2": str(quote.reserved_2),
            "qe_vendor_id": quote.qe_vendor_id.hex(),
            "user_data": quote.user_data.hex(),
            "body_type": str(quote.body_type),
            "attestation_key": quote.attestation_key.hex(),
            "certification_data_type": str(quote.certification_data_type),
            "trailing_bytes": str(quote.trailing),
        }

    def _body(self) -> dict[str, str]:
        body = self.quote.body
        fields = {
            "tee_tcb_svn": body.tee_tcb_svn.hex(),
            "mr_seam": body.mr_seam.hex(),
            "mrsigner_seam": body.mrsigner_seam.hex(),
            "seam_attributes": body.seam_attributes.hex(),
            "td_attributes": str(body.td_attributes),
            "xfam": str(body.xfam),
            "mr_td": body.mr_td.hex(),
            "mr_config_id": body.mr_config_id.hex(),
            "mr_owner": body.mr_owner.hex(),
            "mr_owner_config": body.mr_owner_config.hex(),
            "rtmr0": body.rtmr0.hex(),
            "rtmr1": body.rtmr1.hex(),
            "rtmr2": body.rtmr2.hex(),
            "rtmr3": body.rtmr3.hex(),
            "report_data": body.report_data.hex(),
        }
        if body.tee_tcb_svn_2 is not None and body.mr_servicetd is not None:
            fields["tee_tcb_svn_2"] = body.tee_tcb_svn_2.hex()
            fields["mr_servicetd"] = body.mr_servicetd.hex()
        return fields

    def _qe_report(self) -> dict[str, str]:
        report = self.quote.qe_report
        return {
            "cpu_svn": report.cpu_svn.hex(),
            "misc_select": report.misc_select.hex(),
            "attributes": report.attributes.hex(),
            "mr_enclave": report.mr_enclave.hex(),
            "mr_signer": report.mr_signer.hex(),
            "isv_prod_id": str(report.isv_prod_id),
            "isv_svn": str(report.isv_svn),
            "report_data": report.report_data.hex(),
            "auth_data": self.quote.qe_auth_data.hex(),
        }

    def _pck(self) -> dict[str, Any]:
        facts, leaf = self.platform.pck.facts, self.platform.pck.path.leaf
        fields: dict[str, Any] = {
            "fmspc": facts.fmspc.hex(),
            "pce_id": facts.pce_id.hex(),
            "ppid": facts.ppid.hex(),
            "cpu_svn": facts.cpu_svn.hex(),
            "pce_svn": str(facts.pce_svn),
            "sgx_type": str(facts.sgx_type),
            "serial": f"{leaf.serial:x}",
            "fingerprint": leaf.fingerprint.hex(),
            "not_before": instant(leaf.not_before),
            "not_after": instant(leaf.not_after),
            "issuer": self.platform.pck.ca.common_name,
            "root": self.platform.pck.path.root.common_name,
        }
        if facts.platform_instance_id is not None:
            fields["platform_instance_id"] = facts.platform_instance_id.hex()
        for name, value in (
            ("dynamic_platform", facts.dynamic_platform),
            ("cached_keys", facts.cached_keys),
            ("smt_enabled", facts.smt_enabled),
        ):
            if value is not None:
                fields[name] = flag(value)
        return fields

    def _collateral(self) -> dict[str, Any]:
        def dates(document: TcbInfo | QeIdentity) -> dict[str, str]:
            return {
                "issue_date": instant(document.issue_date),
                "next_update": instant(document.next_update),
                "tcb_evaluation_data_number": str(document.evaluation),
            }

        def crl(crl: Crl) -> dict[str, str]:
            fields = {"this_update": instant(crl.this_update)}
            if crl.next_update is not None:
                fields["next_update"] = instant(crl.next_update)
            return fields

        return {
            "tcb_info": dates(self.platform.shared.tcb_info.content),
            "qe_identity": dates(self.platform.shared.qe_identity.content),
            "root_crl": crl(self.platform.shared.root_crl),
            "pck_crl": crl(self.platform.shared.pck_crl),
        }

    def _tcb(self) -> dict[str, Any]:
        def standing(part: Standing) -> dict[str, Any]:
            fields: dict[str, Any] = {
                "status": part.status,
                "date": instant(part.date),
                "advisories": list(part.advisories),
                "behind": list(part.behind),
            }
            if part.missed is not None:
                fields["missed"] = instant(part.missed)
            return fields

        tcb = self.tcb
        fields: dict[str, Any] = {
            "status": tcb.status,
            "date": instant(tcb.date),
            "advisories": list(tcb.advisories),
            "platform": standing(tcb.platform),
            "qe": standing(tcb.qe),
        }
        if tcb.module is not None and tcb.module_id is not None:
            fields["module"] = {"id": tcb.module_id, **standing(tcb.module)}
        return fields
