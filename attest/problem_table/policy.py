"""Problem codes: reading and applying policies."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

PROBLEMS: dict[str, Meaning] = {
    # A denial has the code policy.SECTION.CLAIM of its rule; the codes here are of policies themselves.
    "policy.invalid": Meaning("The policy cannot be read", "policy format", "correct the place named"),
    "policy.not-supported-yet": Meaning(
        "The policy uses what this version does not know",
        "policy format",
        "leave it out, or write the rule itself",
    ),
    "policy.parameter-missing": Meaning(
        "A parameter has neither a default nor a value",
        "policy format",
        "give the parameter a value: --param NAME=VALUE",
    ),
    "policy.platform-without-rules": Meaning(
        "A platform is listed without rules", "policy format", "write its section, or do not list it"
    ),
    "policy.paravisor-unpinned": Meaning(
        "An Azure platform is listed and its paravisor is not pinned",
        "policy format: anyone can write Azure's runtime data on a machine of his own",
        "pin snp.measurement, or snp.id-key with guest-svn; for azure-tdx tdx.mrtd",
    ),
    "policy.override-missing": Meaning(
        "A rule passes more than the default it replaces, and does not say why",
        "policy format, defaults",
        'add override: "reason" to the rule, or narrow it',
    ),
    "policy.platforms": Meaning(
        "The machine is of a platform that the policy does not list",
        "policy, platforms",
        "use a listed platform",
    ),
    "policy.expired": Meaning(
        "The evidence was verified with endorsements that have ended since",
        "validity of endorsements",
        "attest again, with current endorsements",
    ),
    "policy.clock": Meaning(
        "The policy is asked for an instant before the evidence was verified",
        "instant of verification",
        "correct the clock that steps back, or give a later --at, then attest again",
    ),
    "policy.release": Meaning(
        "The verdict does not admit the release of a secret",
        "policy, release",
        "see the warnings; the owner may list them under allow-warnings, which binds releases alone",
    ),
}
