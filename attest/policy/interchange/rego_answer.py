"""The claims of an answer of `attest verify --json`, which says by itself until when they hold."""

from __future__ import annotations

READING = r"""
##### The answer of `attest verify --json`

tree := input.claims if {
	input.authentic == true
	is_object(input.claims)
}

verified_at := moment(input.at)

elapsed := max([0, now - verified_at]) if verified_at != null

lasting := [
	["clock", -1, "default", "the time of the verification or later", input.at, at_most(verified_at, now), 0],
	["expired", -1, "default", "verified until now or longer", input.expires, at_least(moment(input.expires), now), 0],
]

freshness_checked if {
	some check in input.checks
	check.name == report_check
	check.outcome == "passed"
}

report_check := "binding.gpu-nonce" if cpu == ""

else := "binding.report-data"

warnings contains warning.code if some warning in input.warnings

warnings contains "simulated" if input.simulated == true

warnings contains "simulated" if get(section("evidence"), "simulated") == "true"

warnings contains "no-freshness" if {
	not is_string(get(part("binding"), "nonce"))
	not freshness_checked
}

warnings contains "revocation-unchecked" if {
	some device in array.concat(gpus, switches)
	get(device, "cert") == "absent"
}
"""
