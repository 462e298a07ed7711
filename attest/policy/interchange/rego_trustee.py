"""The claims that Trustee's attestation service shows its policies, under the names of this verifier.

Read in confidential-containers/trustee 78962cd (August 2026); the same in releases 0.18 to 0.21. Older ones write SNP's
digests in base64, which is no hex and passes nothing. Where each is made:

- SNP: `deps/verifier/src/snp/mod.rs`, `parse_tee_evidence`. It refuses reports of another VMPL than 0 and reads no
  revocation list.
- TDX: `deps/verifier/src/tdx/claims.rs` for what the quote says and `intel_dcap/claims.rs` for the collateral, whose
  lists Intel's library checks; `tdx/mod.rs` refuses a log that the registers do not bear out.
- `attestation-service/src/ear_token/broker.rs`, `transform_claims`: the part's name, and `init_data` moved beside it.
"""

from __future__ import annotations

from collections.abc import Mapping

SHOWN: Mapping[str, frozenset[str]] = {
    "evidence": frozenset({"verified-by", "simulated"}),
    "snp": frozenset(
        [
            "tcb",
            "abi",
            "debug",
            "migrate-ma",
            "smt-allowed",
            "single-socket",
            "smt",
            "tsme",
            "vmpl",
            "measurement",
            "host-data",
            "chip-id",
            "crl",
        ]
    ),
    "tdx": frozenset(
        [
            "tcb-status",
            "tcb-evaluation",
            "tee-tcb-svn",
            "debug",
            "migratable",
            "sept-ve-disable",
            "attributes",
            "xfam",
            "mrseam",
            "mrtd",
            "rtmr0",
            "rtmr1",
            "rtmr2",
            "rtmr3",
            "mrconfigid",
            "mrowner",
            "mrownerconfig",
            "mrservicetd",
            "crl",
            "event-log",
        ]
    ),
}
"""Section → claims that `MAPPING` makes. What is not here is never known."""

MAPPING = r"""
##### Trustee's claims under the names of the policy

tree := {"evidence": evidence, "snp": snp_of(input.snp)} if {
	is_object(input.snp)
} else := {"evidence": evidence, "tdx": tdx_of(input.tdx)} if {
	is_object(input.tdx)
}

# The service that asks this policy verified the evidence itself; its sample attester has a part of its own name.
evidence := {"verified-by": "self", "simulated": "false"}

elapsed := 0

snp_of(found) := {
	"tcb": {
		"bootloader": decimal(get(found, "reported_tcb_bootloader")),
		"tee": decimal(get(found, "reported_tcb_tee")),
		"snp": decimal(get(found, "reported_tcb_snp")),
		"microcode": decimal(get(found, "reported_tcb_microcode")),
	},
	"abi": concat(".", [decimal(get(found, "policy_abi_major")), decimal(get(found, "policy_abi_minor"))]),
	"debug": flag(get(found, "policy_debug_allowed")),
	"migrate-ma": flag(get(found, "policy_migrate_ma")),
	"smt-allowed": flag(get(found, "policy_smt_allowed")),
	"single-socket": flag(get(found, "policy_single_socket")),
	"smt": flag(get(found, "platform_smt_enabled")),
	"tsme": flag(get(found, "platform_tsme_enabled")),
	"vmpl": "0",
	"measurement": told(get(found, "measurement")),
	"host-data": unless_zero(get(input, "init_data")),
	"chip-id": unless_zero(get(found, "chip_id")),
	"crl": "absent",
}

tdx_of(found) := {
	"tcb-status": told(get(found, "tcb_status")),
	"tcb-evaluation": decimal(get(found, "tcb_eval_num")),
	"tee-tcb-svn": told(get(body, "tcb_svn")),
	"debug": opposite(bits(get(body, "td_attributes"), `^00`)),
	"sept-ve-disable": bits(get(body, "td_attributes"), `^.{6}[13579bdf]`),
	"migratable": bits(get(body, "td_attributes"), `^.{6}[2367abef]`),
	"attributes": turned(get(body, "td_attributes")),
	"xfam": turned(get(body, "xfam")),
	"mrseam": told(get(body, "mr_seam")),
	"mrtd": told(get(body, "mr_td")),
	"rtmr0": told(get(body, "rtmr_0")),
	"rtmr1": told(get(body, "rtmr_1")),
	"rtmr2": told(get(body, "rtmr_2")),
	"rtmr3": told(get(body, "rtmr_3")),
	"mrconfigid": unless_zero(get(body, "mr_config_id")),
	"mrowner": unless_zero(get(body, "mr_owner")),
	"mrownerconfig": unless_zero(get(body, "mr_owner_config")),
	"mrservicetd": get(body, "mr_servicetd"),
	"crl": list_state(get(found, "collateral_expiration_status")),
	"event-log": log_state(get(found, "uefi_event_logs")),
} if {
	body := claims_of(get(claims_of(get(found, "quote")), "body"))
}

decimal(found) := format_int(found, 10) if {
	is_number(found)
	found >= 0
	floor(found) == found
} else := "unreadable"

flag(found) := "true" if found == true

else := "false" if found == false

else := "unreadable"

# What is not there is not known to be absent.
told(found) := "unreadable" if found == null

else := found

unless_zero(found) := null if {
	is_string(found)
	regex.match(`^0+$`, found)
}

else := told(found)

# Eight bytes, the lowest first, as the quote has them.
eight(found) := lower(found) if {
	is_string(found)
	regex.match(`^[0-9a-fA-F]{16}$`, found)
} else := null

turned(found) := concat("", array.concat(["0x"], pairs)) if {
	text := eight(found)
	text != null
	pairs := [pair | some at in [14, 12, 10, 8, 6, 4, 2, 0]; pair := substring(text, at, 2)]
} else := "unreadable"

bits(found, pattern) := "unreadable" if eight(found) == null

else := "true" if regex.match(pattern, eight(found))

else := "false"

opposite(found) := "true" if found == "false"

else := "false" if found == "true"

else := found

list_state(found) := "fresh" if found == "0"

else := "stale"

log_state(found) := "absent" if found == null

else := "replayed"

lasting := []

warnings contains "no-freshness"
"""
