"""Verify confidential-computing evidence, CPU and GPU together, and appraise it against a policy.

    evidence, endorsements = attest.load("report.bin", "vcek.der")
    verified = attest.verify(evidence, endorsements=endorsements, at=now, expected=attest.Expected(...))
    attest.appraise(verified, attest.Policy.read("p.yaml"), at=now).require()

`verify` raises Rejected, `require` raises Denied; nothing else hands out claims.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attest.anchors import Anchors as Anchors
    from attest.binding import Expected as Expected
    from attest.cache import Cache as Cache
    from attest.endorsements import Endorsements as Endorsements
    from attest.errors import AttestError as AttestError
    from attest.errors import Denied as Denied
    from attest.errors import Malformed as Malformed
    from attest.errors import Problem as Problem
    from attest.errors import Rejected as Rejected
    from attest.evidence import Evidence as Evidence
    from attest.loader import load as load
    from attest.memory import Memory as Memory
    from attest.policy import Appraisal as Appraisal
    from attest.policy import Policy as Policy
    from attest.policy import appraise as appraise
    from attest.simulator import simulate as simulate
    from attest.verified import Verified as Verified
    from attest.verifier import verify as verify

_HOME = {
    "Anchors": "attest.anchors",
    "Appraisal": "attest.policy",
    "AttestError": "attest.errors",
    "Cache": "attest.cache",
    "Denied": "attest.errors",
    "Endorsements": "attest.endorsements",
    "Evidence": "attest.evidence",
    "Expected": "attest.binding",
    "Malformed": "attest.errors",
    "Memory": "attest.memory",
    "Policy": "attest.policy",
    "Problem": "attest.errors",
    "Rejected": "attest.errors",
    "Verified": "attest.verified",
    "appraise": "attest.policy",
    "load": "attest.loader",
    "simulate": "attest.simulator",
    "verify": "attest.verifier",
}
__all__ = [
    "Anchors",
    "Appraisal",
    "AttestError",
    "Cache",
    "Denied",
    "Endorsements",
    "Evidence",
    "Expected",
    "Malformed",
    "Memory",
    "Policy",
    "Problem",
    "Rejected",
    "Verified",
    "appraise",
    "load",
    "simulate",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Each name loads its own room only, so that `import attest` stays light."""
    if name not in _HOME:
        raise AttributeError(f"module 'attest' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
