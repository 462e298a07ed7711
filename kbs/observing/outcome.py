"""How a step ended, in words that are few and known beforehand: no text of a guest or an owner is among them."""

from __future__ import annotations

from typing import Final

from attest.errors import AttestError
from attest.problems import PROBLEMS
from kbs.keys import KeyStoreError
from kbs.problems import PROBLEMS as OF_THE_BROKER
from kbs.refusals import Refusal
from kbs.store.failures import Unavailable

GRANTED: Final = "granted"
OTHER: Final = "other"
_CODES: Final = frozenset(PROBLEMS) | frozenset(OF_THE_BROKER)


def outcome(error: BaseException | None) -> str:
    """`granted`, the kind of a refusal, what did not serve, or the broker's own fault."""
    if error is None:
        return GRANTED
    if isinstance(error, Refusal):
        return error.kind
    if isinstance(error, Unavailable):
        return "DatabaseUnavailable"
    if isinstance(error, KeyStoreError):
        return "KeyStoreError"
    return "Refused" if isinstance(error, AttestError) else "Fault"


def codes(error: BaseException | None) -> set[str]:
    """Of the problems that a refusal names; one in no table is `other`."""
    if not isinstance(error, Refusal):
        return set()
    return {one.code if one.code in _CODES else OTHER for one in error.problems}
