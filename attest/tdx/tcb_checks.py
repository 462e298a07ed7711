"""The TCB algorithm as checks: levels, module, relaunch and the merge, each with its refusal.

Source: Intel TDX DCAP quote verification library, TCB level checks; Intel PCS API v4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attest.checks import CheckLog
from attest.tdx import tcb as algorithm
from attest.tdx.qe_identity import QeIdentity, masked
from attest.tdx.sgx_extension import PckFacts
from attest.tdx.tcb import Standing, Tcb
from attest.tdx.tcb_info import REVOKED, ModuleIdentity, TcbInfo

if TYPE_CHECKING:
    from attest.tdx.qe_report import QeReport
    from attest.tdx.quote import TdReport

_ZERO_48 = bytes(48)
_ZERO_8 = bytes(8)


def check_module(body: TdReport, info: TcbInfo | None, log: CheckLog) -> ModuleIdentity | None:
    """Signer and attributes of the running TDX module, and its identity in the TCB info.

    Intel's own module has an all-zero signer. Without a TCB info only that can be compared. Returns None
    also for a module without a version of its own.
    """
    identity = None
    wanted = None
    if info is not None:
        wanted = info.module
        if algorithm.versioned(body.tee_tcb_svn):
            name = algorithm.module_id(body.tee_tcb_svn)
            identity = info.modules.get(name)
            if identity is not None:
                wanted = identity.module
            else:
                log.failed(
                    "tdx.module.svn",
                    "tdx.module.unknown",
                    where="quote.tee_tcb_svn",
                    expected=" or ".join(sorted(info.modules)) or "no versioned module",
                    found=name,
                )
    signer = _ZERO_48 if wanted is None else wanted.mr_signer
    log.require(
        "tdx.module.signer",
        body.mrsigner_seam == signer == _ZERO_48,
        "tdx.module.signer",
        where="quote.mrsigner_seam",
        expected=_ZERO_48 if body.mrsigner_seam == signer else signer,
        found=body.mrsigner_seam,
    )
    attributes = body.seam_attributes
    log.require(
        "tdx.module.attributes",
        # Nothing is left of zero under any mask.
        attributes == _ZERO_8 and (wanted is None or wanted.attributes == _ZERO_8),
        "tdx.module.attributes",
        where="quote.seam_attributes",
        expected=_ZERO_8 if wanted is None else wanted.attributes,
        found=attributes,
    )
    return identity


def check_qe_identity(report: QeReport, identity: QeIdentity, log: CheckLog) -> Standing | None:
    """The quoting enclave is Intel's for TDs, and its version's standing."""
    if not identity.names(report):
        _tell_enclaves_apart(report, identity, log)
    log.passed("tdx.qe-report.identity")
    standing = algorithm.svn_standing(identity.levels, report.isv_svn, "QE")
    if standing is not None:
        log.passed("tdx.qe-report.svn")
    else:
        log.failed(
            "tdx.qe-report.svn",
            "tdx.qe-report.svn",
            where="qe_report.isv_svn",
            expected=f"≥ {identity.levels[-1].isv_svn}",
            found=report.isv_svn,
        )
    return standing


def _tell_enclaves_apart(report: QeReport, identity: QeIdentity, log: CheckLog) -> None:
    def under(value: bytes, mask: bytes) -> str:
        return f"{value.hex()} under mask {mask.hex()}"

    for name, same, expected, found in (
        (
            "misc_select",
            masked(report.misc_select, identity.misc_select_mask) == identity.misc_select,
            under(identity.misc_select, identity.misc_select_mask),
            report.misc_select,
        ),
        (
            "attributes",
            masked(report.attributes, identity.attributes_mask) == identity.attributes,
            under(identity.attributes, identity.attributes_mask),
            report.attributes,
        ),
        ("mr_signer", report.mr_signer == identity.mr_signer, identity.mr_signer, report.mr_signer),
        (
            "isv_prod_id",
            report.isv_prod_id == identity.isv_prod_id,
            identity.isv_prod_id,
            report.isv_prod_id,
        ),
    ):
        if not same:
            log.failed(
                "tdx.qe-report.identity",
                "tdx.qe-report.identity",
                where=f"qe_report.{name}",
                expected=expected,
                found=found,
            )


def check_tcb(
    body: TdReport,
    pck: PckFacts,
    info: TcbInfo,
    identity: ModuleIdentity | None,
    qe: Standing | None,
    log: CheckLog,
) -> Tcb | None:
    """Levels matched and merged. OutOfDate and its like are claims, not refusals; Revoked and no level at
    all refuse."""
    svn = body.tee_tcb_svn
    sgx_index, index = algorithm.matching_levels(info.levels, pck, svn)
    module = _module(identity, svn, log)
    if index is None or sgx_index is None:
        log.failed(
            "tdx.tcb.level",
            "tdx.tcb.no-level",
            where="quote.tee_tcb_svn and PCK certificate",
            expected="at least the lowest level of the TCB info",
            found="; ".join(algorithm.short_of(info.levels[-1], pck, svn)) or "no level in reach",
        )
        return None
    log.passed("tdx.tcb.level")
    if qe is None or (module is None and algorithm.versioned(svn)):
        log.not_run("tdx.tcb.status", "module or QE has no level")
        return None
    platform = algorithm.platform_standing(info.levels, index, pck, svn)
    status = platform.status if module is None else algorithm.merge(platform.status, module.status)
    relaunch = None
    if body.tee_tcb_svn_2 is None:
        log.not_run("tdx.tcb.relaunch", "a TD 1.0 report does not tell the TCB of now from that of launch")
    else:
        relaunch = _relaunch(body.tee_tcb_svn_2, info, info.levels[sgx_index].status, status, module, qe, log)
    status = relaunch or algorithm.merge(status, qe.status)
    name = identity.id if identity is not None else None
    tcb = Tcb(status, platform, qe, name, module)
    if status == REVOKED:
        log.failed(
            "tdx.tcb.status",
            "tdx.tcb.revoked",
            found=", ".join(
                f"{part} {standing.status}"
                for part, standing in (("platform", platform), (name or "module", module), ("QE", qe))
                if standing is not None
            ),
        )
        return None
    log.passed("tdx.tcb.status")
    return tcb


def _module(identity: ModuleIdentity | None, svn: bytes, log: CheckLog) -> Standing | None:
    if identity is None:
        if not algorithm.versioned(svn):
            log.not_run(
                "tdx.module.svn", "a module without its own version is judged by the platform's levels"
            )
        return None
    standing = algorithm.svn_standing(identity.levels, svn[0], "TDX module")
    if standing is not None:
        log.passed("tdx.module.svn")
    else:
        log.failed(
            "tdx.module.svn",
            "tdx.module.unknown",
            where="quote.tee_tcb_svn",
            expected=f"{identity.id} ≥ {identity.levels[-1].isv_svn}",
            found=svn[0],
        )
    return standing


def _relaunch(
    now: bytes,
    info: TcbInfo,
    sgx_status: str,
    merged: str,
    module: Standing | None,
    qe: Standing,
    log: CheckLog,
) -> str | None:
    """The relaunch rule, for TD 1.5 reports; a running module that the TCB info does not know refuses."""
    now_identity = info.modules.get(algorithm.module_id(now))
    if algorithm.versioned(now) and now_identity is None:
        if algorithm.relaunch_applies(sgx_status, merged, module, qe):
            log.failed(
                "tdx.tcb.relaunch",
                "tdx.module.unknown",
                where="quote.tee_tcb_svn_2",
                expected=" or ".join(sorted(info.modules)),
                found=algorithm.module_id(now),
            )
            return None
        log.passed("tdx.tcb.relaunch")
        return None
    log.passed("tdx.tcb.relaunch")
    if not algorithm.relaunch_applies(sgx_status, merged, module, qe):
        return None
    return algorithm.relaunch_status(
        info,
        sgx_status=sgx_status,
        merged=merged,
        now_svn=now,
        now_identity=now_identity if algorithm.versioned(now) else None,
    )
