"""Problem codes: reading and applying policies."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

PROBLEMS: dict[str, Meaning] = {
    # A denial has the code policy.SECTION.CLAIM of its rule; the codes here are of policies themselves.
    "policy.invalid": Meaning("The policy cannot be read", "policy format", "correct the place named"),
    "policy.import": Meaning(
        "The policy of another verifier cannot be read",
        "the format named on the command line",
        "correct the line named, or name the format that the file has",
    ),
    "policy.extends": Meaning(
        "A file that the policy extends is not there, not the one meant, or leads back to it",
        "policy format, extends",
        "give the file beside the policy and its digest, as attest policy check prints it",
    ),
    "policy.floor-missing": Meaning(
        "The policy asks for the fix of an advisory that floor data has no floor of",
        "policy format, floors",
        "write the minimum yourself, or update the floor data",
    ),
    "policy.unsigned": Meaning(
        "The policy is not signed by the key that is required",
        "policy format, signatures",
        "sign it with attest policy sign, or give the file and the signature that belong together",
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
        "Something passes more than the default or the parent it replaces, and does not say why",
        "policy format, defaults and extends",
        'add override: "reason" beside it, or narrow it',
    ),
    "floors.malformed": Meaning(
        "The floor data cannot be read", "policy format, floors", "correct the member named"
    ),
    "floors.rollback": Meaning(
        "The floor data is older than what was seen",
        "policy format, floors",
        "give the newest; what was raised once does not go back",
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
