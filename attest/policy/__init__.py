"""Whether authentic evidence is what an owner wants.

`Policy.read` reads an owner's file whole or raises Malformed; `appraise` judges a Verified by it and
returns an Appraisal. Nothing here checks authenticity, and nothing here can switch it off.
"""

from attest.policy.appraisal import Appraisal

# "as": without it a type checker may take the name for the module.
from attest.policy.appraise import appraise as appraise
from attest.policy.document import Policy

__all__ = ["Appraisal", "Policy", "appraise"]
