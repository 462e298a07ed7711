"""The default rules of `policy: 1`. They belong to the version and never change.

A default is replaced only by a deny rule on its claim that stands directly in its section and says which
values pass (`is`, `one-of`, `none-of`, `in`, `at-least`, `at-most`). Rules inside `any`, `all` and
`none`, `exists`, masks and `else: warn` leave it in force, beside them. A rule that lets pass what the
default would not needs `override: "reason"`.
"""

from __future__ import annotations

from typing import cast

from attest.claims import CLAIMS, Claim
from attest.policy.compare import at_least, meets
from attest.policy.kinds import Value, read
from attest.policy.model import Branches, CanonicalText, Operator, OperatorName, Reference, ReferenceSet, Rule

DEFAULT = "default"
REPLACING: tuple[OperatorName, ...] = ("is", "one-of", "none-of", "in", "at-least", "at-most")

RESERVED_ATTRIBUTES = sum(1 << bit for bit in (*range(8, 27), *range(32, 63)))
"""TDATTRIBUTES bits without a public meaning that a default could accept; bit 62 (TPA) among them."""


def _default(
    section: str, name: str, operator: OperatorName, *texts: str, absent_passes: bool = False
) -> Rule:
    claim = CLAIMS[section][name]
    values = tuple(read(claim, text) for text in texts)
    many = operator in ("one-of", "none-of")
    text: CanonicalText = [*texts] if many else texts[0]
    operators = (Operator(operator, values if many else values[0], text),)
    # Behind every rule of the file, in the order of results.
    return Rule(claim, operators, DEFAULT, order=1 << 30, absent_passes=absent_passes)


_RIM = ("expired", "revoked")
_CERT = ("hold", "revoked", "unknown")
DEFAULTS: tuple[Rule, ...] = (
    _default("snp", "debug", "is", "false"),
    _default("snp", "migrate-ma", "is", "false"),
    _default("snp", "vmpl", "is", "0"),
    _default("snp", "policy-unknown-bits", "is", "0"),
    _default("snp", "crl", "none-of", "stale", "revoked"),
    _default("tdx", "debug", "is", "false"),
    _default("tdx", "attributes", "no-bits", str(RESERVED_ATTRIBUTES)),
    _default("tdx", "migratable", "is", "false"),
    _default("tdx", "sept-ve-disable", "is", "true"),
    _default("tdx", "mrservicetd", "is", "00" * 48, absent_passes=True),
    _default("tdx", "crl", "is", "fresh"),
    _default("tdx", "tcb-status", "is", "UpToDate"),
    _default("azure", "user-data-bound", "is", "true"),
    _default("gpu", "mode", "one-of", "spt", "mpt"),
    _default("gpu", "measurements", "is", "match"),
    _default("gpu", "driver-rim", "none-of", *_RIM),
    _default("gpu", "vbios-rim", "none-of", *_RIM),
    _default("gpu", "cert", "none-of", *_CERT),
    _default("gpu", "evidence-age", "at-most", "120s", absent_passes=True),
    _default("switch", "measurements", "is", "match"),
    _default("switch", "locked", "is", "true"),
    _default("switch", "bios-rim", "none-of", *_RIM),
    _default("switch", "cert", "none-of", *_CERT),
    _default("evidence", "verified-by", "is", "self"),
    _default("binding", "gpu-to-cpu", "is", "true"),
    _default("binding", "protocol", "at-least", "0.4", absent_passes=True),
    _default("binding", "nonce", "is", "true", absent_passes=True),
    _default("time", "evidence-age", "at-most", "5m", absent_passes=True),
)

UNDER_LAG = _default(
    "tdx",
    "tcb-status",
    "none-of",
    "ConfigurationNeeded",
    "ConfigurationAndSWHardeningNeeded",
    "OutOfDateConfigurationNeeded",
    "TDRelaunchAdvised",
    "TDRelaunchAdvisedConfigurationNeeded",
    "Revoked",
)
"""What is left of the tcb-status default where the policy writes tcb-lag: a lag is no cure for these."""


def replaces(rule: Rule) -> bool:
    """Whether `rule`, standing directly in its section, takes the default of its claim away."""
    return not rule.warn and rule.operator(*REPLACING) is not None


def default_of(claim: Claim) -> Rule | None:
    return next((rule for rule in DEFAULTS if rule.claim is claim), None)


def wider(*rules: Rule) -> bool:
    """Whether replacing rules of one claim, all of which must pass, pass a value that its default would not.

    Exact for claims with few values; elsewhere an operator that cannot be shown to be narrower is wider.
    """
    claim = rules[0].claim
    operators = [operator for rule in rules for operator in rule.operators]
    default = default_of(claim)
    if default is None:
        return False
    accepted = default.operators[0]
    domain = _domain(claim)
    if domain is not None:
        return any(
            all(_passes(operator, value) for operator in operators) and not _passes(accepted, value)
            for value in domain
        )
    return not any(_narrower(operator, accepted) for operator in operators)


def _domain(claim: Claim) -> tuple[Value, ...] | None:
    if claim.kind == "bool":
        return (False, True)
    return claim.values or None


def _narrower(operator: Operator, default: Operator) -> bool:
    if operator.name == "is":
        return _passes(default, cast(Value, operator.operand))
    if operator.name == "one-of":
        return all(_passes(default, value) for value in cast("tuple[Value, ...]", operator.operand))
    if operator.name == "in":
        return all(
            _passes(default, value.value)
            for found in cast("tuple[ReferenceSet, ...]", operator.operand)
            for value in found.values
            if _may_pass(value)
        )
    if operator.name == "at-most":
        bound = operator.operand
        if default.name == "at-most" or default.operand == 0:
            return cast(int, bound) <= cast(int, default.operand)
    if operator.name == "at-least" and default.name == "at-least":
        if isinstance(operator.operand, Branches):
            return False
        return at_least(cast(Value, operator.operand), cast(Value, default.operand))
    return False


def _passes(operator: Operator, value: Value) -> bool:
    """Whether `value` passes at some time; for the operators that defaults and their replacements have."""
    if operator.name == "exists":
        return operator.operand is True
    if operator.name == "in":
        return any(
            reference.value == value
            for found in cast("tuple[ReferenceSet, ...]", operator.operand)
            for reference in found.values
            if _may_pass(reference)
        )
    return meets(operator, value)


def _may_pass(reference: Reference) -> bool:
    return reference.state != "revoked" or reference.since is not None
