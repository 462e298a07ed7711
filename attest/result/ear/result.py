"""AttestationResult: what was found of one machine, ready to be written and signed.

Only evidence that was judged has one: `of_appraisal` for what is genuine, whatever the policy said of it, and
`of_rejected` for what is not. A service that must answer in every case has `of_malformed` for evidence that
cannot be read and `of_fault` for mistakes of its own; both say that nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from attest.result.ear.bound_key import bound_key
from attest.result.ear.digest import digests_of
from attest.result.ear.rules import Named, records_of
from attest.result.ear.table import VALUES
from attest.result.ear.vector import NOT_AUTHENTIC, UNEXPECTED_EVIDENCE, VERIFIER_FAULT, Tier, Vector, worse
from attest.result.ear.weigh import weigh

if TYPE_CHECKING:
    from attest.errors import Rejected
    from attest.evidence import Evidence
    from attest.policy import Appraisal
    from attest.policy.appraisal import Verdict

_MINT: Final = object()
STATUS: Mapping[Verdict, Tier] = MappingProxyType(
    {
        "conforms": "affirming",
        "conforms-with-warnings": "warning",
        "refused": "contraindicated",
    }
)
_WHOLE = "cpu0"
"""The name of the machine where nothing of it could be read."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the machine. status: never better than the vector's worst tier, nor than what is said of the
    whole machine. evidence_digest: None where there was nothing to read."""

    status: Tier
    vector: Vector
    evidence_digest: str | None = None


class AttestationResult:
    """status: of the whole machine. parts: `cpu0`, `gpu0` …, `switch0` … → what was found. policies:
    `NAME@sha384:…`, empty where no policy was run. ends: what it rests on holds until then, None where nothing
    ends. key: the JWK that the evidence is bound to, where it was compared and the machine conforms.

    Frozen, and not constructible from outside: whoever signs one signs something that was judged.
    """

    __slots__ = ("at", "ends", "key", "parts", "policies", "simulated", "status")

    status: Tier
    parts: Mapping[str, Part]
    policies: tuple[str, ...]
    simulated: bool
    at: datetime
    ends: datetime | None
    key: Mapping[str, Any] | None

    def __init__(self, mint: object, **fields: Any) -> None:
        if mint is not _MINT:
            raise TypeError(
                "an AttestationResult comes from of_appraisal, of_rejected, of_malformed or of_fault"
            )
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an AttestationResult does not change")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("an AttestationResult does not change")


def of_appraisal(
    appraisal: Appraisal,
    evidence: Evidence,
    *,
    verdict: Verdict | None = None,
    key: Mapping[str, Any] | None = None,
) -> AttestationResult:
    """The result for genuine evidence.

    evidence: what was appraised. verdict: of the answer as a whole, where something beside the policy was
    asked as well; it can only be worse. key: the JWK that was expected of the workload. Raises ValueError when
    `evidence` has other parts than were appraised.
    """
    digests = digests_of(evidence)
    names = _names(appraisal)
    if set(digests) != set(names):
        raise ValueError("the evidence is not what was appraised: it has other parts")
    records = [Named.of(record) for record in appraisal.rules]
    said = STATUS[appraisal.verdict]
    status = said if verdict is None else worse(said, STATUS[verdict])
    unidentified = any(warning.code == "no-workload-identity" for warning in appraisal.warnings)
    vectors = {
        # A device's firmware is identified by its manifests, whatever the policy says of the workload.
        name: weigh(records_of(name, names, records), identified=name != _WHOLE or not unidentified)
        for name in names
    }
    worst: Tier = "none"
    for vector in vectors.values():
        worst = worse(worst, vector.worst)
    status = worse(status, worst)
    if appraisal.conforms and status not in ("affirming", worst):
        # Warnings, or what was asked beside the policy: no rule's number says it, and some consumers read those alone.
        vectors = {name: _concerned(vector, status) for name, vector in vectors.items()}
    bound = bound_key(appraisal.claims, key) if status in ("affirming", "warning") else None
    return AttestationResult(
        _MINT,
        status=status,
        # A part is no better than its machine: whoever reads one part alone is not to trust it.
        parts=MappingProxyType(
            {name: Part(status, vector, digests[name]) for name, vector in vectors.items()}
        ),
        policies=(f"{appraisal.policy['name']}@{appraisal.policy['digest']}",),
        simulated=appraisal.verified.simulated,
        at=appraisal.at,
        ends=_ends(appraisal, records),
        key=bound,
    )


def of_rejected(
    rejected: Rejected, evidence: Evidence, *, at: datetime, simulated: bool
) -> AttestationResult:
    """The result for evidence that is not genuine, current or bound: contraindicated in every part.

    simulated: whether a simulator's root was among the anchors. No policy was run, so none is named.
    """
    if not rejected.problems:
        raise ValueError("a refusal names at least one problem")
    vector = Vector.throughout(NOT_AUTHENTIC)
    parts = {
        name: Part("contraindicated", vector, digest) for name, digest in digests_of(evidence).items()
    } or {_WHOLE: Part("contraindicated", vector)}
    return _unappraised("contraindicated", parts, at, simulated)


def of_malformed(*, at: datetime, simulated: bool = False) -> AttestationResult:
    """The result for evidence that cannot be read: nothing is claimed of it."""
    return _unappraised("none", {_WHOLE: Part("none", Vector.throughout(UNEXPECTED_EVIDENCE))}, at, simulated)


def of_fault(*, at: datetime, simulated: bool = False) -> AttestationResult:
    """The result where the verifier itself failed: nothing is claimed, and it is not the machine's fault."""
    return _unappraised("none", {_WHOLE: Part("none", Vector.throughout(VERIFIER_FAULT))}, at, simulated)


def _unappraised(status: Tier, parts: Mapping[str, Part], at: datetime, simulated: bool) -> AttestationResult:
    if at.tzinfo is None:
        raise ValueError("`at` needs a time zone")
    return AttestationResult(
        _MINT,
        status=status,
        parts=MappingProxyType(dict(parts)),
        policies=(),
        simulated=simulated,
        at=at.astimezone(UTC),
        ends=None,
        key=None,
    )


def _concerned(vector: Vector, status: Tier) -> Vector:
    """The vector with the status in its configuration."""
    number = VALUES["configuration"].failed if status == "contraindicated" else VALUES["configuration"].warned
    values = dict(vector.values)
    values["configuration"] = max(values["configuration"], number)
    return Vector.of(values)


def _names(appraisal: Appraisal) -> tuple[str, ...]:
    claims = appraisal.verified.claims
    cpu = [_WHOLE] if {"snp", "tdx"} & set(claims) or appraisal.verified.paravisor_claims else []
    devices = [
        f"{section}{index}" for section in ("gpu", "switch") for index in range(len(claims.get(section, ())))
    ]
    return (*cpu, *devices)


def _ends(appraisal: Appraisal, records: list[Named]) -> datetime | None:
    """The earlier of the endorsements' end and the end of a grace that was needed; a refusal does not end."""
    if not appraisal.conforms:
        return None
    graces = [record.until for record in records if record.until is not None and record.outcome != "pass"]
    # A grace holds through the second it names.
    ends = [datetime.fromtimestamp(until + 1, UTC) for until in graces]
    return min([appraisal.verified.expires, *ends])
