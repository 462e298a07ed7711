"""Claims under the names that Trustee's attestation service gives them, for its brokers and their policies.

Read in confidential-containers/trustee 78962cd: `deps/verifier/src/snp/mod.rs`, `tdx/claims.rs`,
`intel_dcap/claims.rs`, `nvidia/mod.rs`; the parts' names and what stands beside them in
`attestation-service/src/ear_token/broker.rs`. Bytes are hex, integers of the quote in its own byte order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attest.verified import Verified

_ARCHITECTURES = {"hopper": "Hopper", "blackwell": "Blackwell", "ls10": "LS10"}


def cpu_claims(verified: Verified) -> dict[str, Any]:
    """What an annotated evidence says of the CPU: `report_data`, `init_data`, and its claims under the TEE's name."""
    raw = verified.claims["raw"]
    azure = bool(verified.paravisor_claims)
    if "snp" in raw:
        said = _snp(verified.claims["snp"], raw["snp"])
        report_data, init_data = raw["snp"]["report_data"], raw["snp"]["host_data"]
        name = "az-snp-vtpm" if azure else "snp"
    else:
        said = _tdx(verified.claims["tdx"], raw["tdx"])
        report_data, init_data = raw["tdx"]["body"]["report_data"], raw["tdx"]["body"]["mr_config_id"]
        name = "az-tdx-vtpm" if azure else "tdx"
    if azure:
        # Its report data names the paravisor's key, and what the paravisor says of its guest nobody pinned.
        return {name: said}
    return {"report_data": report_data, "init_data": init_data, "init_data_claims": None, name: said}


def device_claims(device: Mapping[str, Any]) -> dict[str, Any]:
    """device: claims of one GPU or switch."""
    config = {
        name: device[claim]
        for name, claim in (
            ("driver_version", "driver"),
            ("vbios_version", "vbios"),
            ("vbios_version", "bios"),
        )
        if claim in device
    }
    arch = _ARCHITECTURES.get(device["architecture"], device["architecture"])
    return {"nvidia": {"arch": arch, "uuid": device["id"], "config": config}}


def _snp(claims: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    major, minor = claims["abi"].split(".")
    tcb = {
        f"reported_tcb_{name}": int(claims["tcb"][name]) for name in ("bootloader", "tee", "snp", "microcode")
    }
    return {
        "policy_abi_major": int(major),
        "policy_abi_minor": int(minor),
        "policy_smt_allowed": claims["smt-allowed"] == "true",
        "policy_migrate_ma": claims["migrate-ma"] == "true",
        "policy_debug_allowed": claims["debug"] == "true",
        "policy_single_socket": claims["single-socket"] == "true",
        **tcb,
        "platform_tsme_enabled": claims["tsme"] == "true",
        "platform_smt_enabled": claims["smt"] == "true",
        "measurement": claims["measurement"],
        "chip_id": raw["chip_id"],
    }


def _tdx(claims: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    header, body = raw["header"], raw["body"]
    attributes = int(body["td_attributes"])
    quote: dict[str, Any] = {
        "header": {
            "version": _number(header["version"], 2),
            "att_key_type": _number(header["attestation_key_type"], 2),
            "tee_type": _number(header["tee_type"], 4),
            "vendor_id": header["qe_vendor_id"],
            "user_data": header["user_data"],
        },
        "body": {
            "tcb_svn": body["tee_tcb_svn"],
            **{name: body[name] for name in ("mr_seam", "mrsigner_seam", "seam_attributes")},
            "td_attributes": _number(body["td_attributes"], 8),
            "xfam": _number(body["xfam"], 8),
            **{name: body[name] for name in ("mr_td", "mr_config_id", "mr_owner", "mr_owner_config")},
            **{f"rtmr_{index}": body[f"rtmr{index}"] for index in range(4)},
            "report_data": body["report_data"],
        },
    }
    if "mr_servicetd" in body:
        quote["body"] |= {"tee_tcb_svn2": body["tee_tcb_svn_2"], "mr_servicetd": body["mr_servicetd"]}
    advisories: Sequence[str] = claims["advisories"]
    return {
        "quote": quote,
        "td_attributes": {
            "debug": bool(attributes & 1),
            "septve_disable": bool(attributes >> 28 & 1),
            "protection_keys": bool(attributes >> 30 & 1),
            "key_locker": bool(attributes >> 31 & 1),
            "perfmon": bool(attributes >> 63 & 1),
        },
        "tcb_status": claims["tcb-status"],
        "tcb_date": claims["tcb-date"],
        "tcb_eval_num": int(claims["tcb-evaluation"]),
        "advisory_ids": list(advisories),
        # Whatever had ended was refused.
        "collateral_expiration_status": "0",
    }


def _number(text: str, size: int) -> str:
    return int(text).to_bytes(size, "little").hex()
