"""Adapter `trustee`: the claims of Trustee's attestation service under our names.

Only what it shows is mapped: digests are hex and of their length, numbers are numbers, and a field of zeros is unset.
Releases that write digests in base64 are not read. What the service checks and does not show (the VMPL, unknown bits of
an SNP policy) is unknown, and its defaults are left to a warning. Machines on Azure are refused, for the token does not
say which paravisor vouches for them (T-PARAVISOR); so is every TEE that is not mapped, test TEEs among them (T-SAMPLE).
Devices show neither manifests nor identity, and nothing ties them to the CPU: their defaults refuse.
Source: Trustee 78962cd, `attestation-service/docs/tcb_claims.md`; `attest.result.trustee` is the way back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from attest.claims import flag
from attest.errors import Rejected
from attest.problems import problem
from attest.result.ear import members
from attest.result.passport.parts import Said

SILENT: Final = {"snp": frozenset({"snp.vmpl", "snp.policy-unknown-bits"}), "tdx": frozenset[str]()}
"""TEE → defaults on what the service never shows."""
_BESIDE: Final = frozenset(
    {
        "report_data",
        "init_data",
        "init_data_claims",
        "runtime_data_claims",
        "simulated",
        "evidence-digest",
        "attest",
    }
)
_ARCHITECTURES: Final = {"Hopper": "hopper", "Blackwell": "blackwell", "LS10": "ls10"}
_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2})+", re.ASCII)
_INSTANT: Final = re.compile(r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)
_DEBUG, _MIGRATABLE, _SEPT_VE_DISABLE = 0xFF, 1 << 29, 1 << 28


def claims_of(parts: Mapping[str, Said]) -> tuple[dict[str, Any], frozenset[str]]:
    """The claim tree, and the defaults that the issuer is silent on. Raises Malformed, and Rejected
    (`issuer.tee`)."""
    cpu = parts["cpu0"]
    tee = tee_of(cpu)
    said = _object(cpu, tee, "submods.cpu0")
    where = f"submods.cpu0.{tee}"
    section = _snp(said, cpu, where) if tee == "snp" else _tdx(said, where)
    tree: dict[str, Any] = {tee: section, "binding": {"key": "true"}}
    for kind in ("gpu", "switch"):
        names = sorted(
            (name for name in parts if name.startswith(kind)), key=lambda name: int(name[len(kind) :])
        )
        devices = [_device(kind, parts[name], f"submods.{name}") for name in names]
        if devices:
            tree[kind] = [{**device, "count": str(len(devices))} for device in devices]
    return tree, SILENT[tee]


def tee_of(cpu: Said) -> str:
    """The one TEE that the part speaks of. Raises Rejected."""
    named = sorted(set(cpu) - _BESIDE)
    if len(named) != 1 or named[0] not in SILENT:
        raise Rejected(
            [
                problem(
                    "issuer.tee",
                    where="submods.cpu0",
                    expected=" or ".join(SILENT),
                    found=", ".join(named) or "none",
                )
            ]
        )
    return named[0]


def _snp(said: Mapping[str, Any], cpu: Said, where: str) -> dict[str, Any]:
    claims: dict[str, Any] = {
        "tcb": {
            name: str(_number(said, f"reported_tcb_{name}", where))
            for name in ("bootloader", "tee", "snp", "microcode")
        },
        "abi": f"{_number(said, 'policy_abi_major', where)}.{_number(said, 'policy_abi_minor', where)}",
        "debug": _flag(said, "policy_debug_allowed", where),
        "migrate-ma": _flag(said, "policy_migrate_ma", where),
        "smt-allowed": _flag(said, "policy_smt_allowed", where),
        "single-socket": _flag(said, "policy_single_socket", where),
        "smt": _flag(said, "platform_smt_enabled", where),
        "tsme": _flag(said, "platform_tsme_enabled", where),
        "measurement": _hex(said, "measurement", 48, where),
        # It may have looked at a list, and does not say so.
        "crl": "absent",
    }
    for name, member, holder, size in (("chip-id", "chip_id", said, 64), ("host-data", "init_data", cpu, 32)):
        value = _hex(holder, member, size, where)
        if set(value) != {"0"}:
            claims[name] = value
    return claims


def _tdx(said: Mapping[str, Any], where: str) -> dict[str, Any]:
    body = _object(_object(said, "quote", where), "body", f"{where}.quote")
    where_body = f"{where}.quote.body"
    attributes = int.from_bytes(bytes.fromhex(_hex(body, "td_attributes", 8, where_body)), "little")
    xfam = int.from_bytes(bytes.fromhex(_hex(body, "xfam", 8, where_body)), "little")
    advisories = said.get("advisory_ids")
    if not isinstance(advisories, list) or not all(isinstance(one, str) for one in advisories):
        members.refuse(f"{where}.advisory_ids", "a list of texts", advisories)
    claims: dict[str, Any] = {
        "tcb-status": members.text(said, "tcb_status"),
        "tcb-evaluation": str(_number(said, "tcb_eval_num", where)),
        "advisories": sorted(set(advisories)),
        "tee-tcb-svn": _hex(body, "tcb_svn", 16, where_body),
        "debug": flag(bool(attributes & _DEBUG)),
        "migratable": flag(bool(attributes & _MIGRATABLE)),
        "sept-ve-disable": flag(bool(attributes & _SEPT_VE_DISABLE)),
        "attributes": str(attributes),
        "xfam": str(xfam),
        "mrseam": _hex(body, "mr_seam", 48, where_body),
        "mrtd": _hex(body, "mr_td", 48, where_body),
        **{f"rtmr{index}": _hex(body, f"rtmr_{index}", 48, where_body) for index in range(4)},
        # Intel's library refuses a revoked certificate, and lists that are not there.
        "crl": "fresh" if said.get("collateral_expiration_status") == "0" else "stale",
        # The service refuses a log that the registers do not bear out.
        "event-log": "absent" if said.get("uefi_event_logs") is None else "replayed",
    }
    date = said.get("tcb_date")
    if isinstance(date, str) and _INSTANT.fullmatch(date):
        claims["tcb-date"] = date
    for name, member in (
        ("mrconfigid", "mr_config_id"),
        ("mrowner", "mr_owner"),
        ("mrownerconfig", "mr_owner_config"),
    ):
        value = _hex(body, member, 48, where_body)
        if set(value) != {"0"}:
            claims[name] = value
    if "mr_servicetd" in body:
        claims["mrservicetd"] = _hex(body, "mr_servicetd", 48, where_body)
    return claims


def _device(kind: str, part: Said, where: str) -> dict[str, str]:
    """As signed in the device's report: architecture and versions."""
    said = _object(part, "nvidia", where)
    claims = {}
    arch = said.get("arch")
    if isinstance(arch, str) and arch in _ARCHITECTURES:
        claims["architecture"] = _ARCHITECTURES[arch]
    config = said.get("config")
    named = (
        {"driver_version": "driver", "vbios_version": "vbios"} if kind == "gpu" else {"vbios_version": "bios"}
    )
    for member, name in named.items():
        value = config.get(member) if isinstance(config, Mapping) else None
        if isinstance(value, str):
            claims[name] = value
    return claims


def _object(holder: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    value = holder.get(name)
    if not isinstance(value, Mapping):
        members.refuse(f"{where}.{name}", "an object", value)
    return value


def _number(holder: Mapping[str, Any], name: str, where: str) -> int:
    value = holder.get(name)
    if type(value) is not int or not 0 <= value < 1 << 32:
        members.refuse(f"{where}.{name}", "a number", value)
    return value


def _flag(holder: Mapping[str, Any], name: str, where: str) -> str:
    value = holder.get(name)
    if not isinstance(value, bool):
        members.refuse(f"{where}.{name}", "true or false", value)
    return flag(value)


def _hex(holder: Mapping[str, Any], name: str, size: int, where: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str) or len(value) != 2 * size or not _HEX.fullmatch(value):
        members.refuse(f"{where}.{name}", f"{size} bytes in hex", value)
    return value.lower()
