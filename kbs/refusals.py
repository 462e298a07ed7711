"""Why the broker does not give: one exception, with what the guest may read and what the owner may.

A guest reads a kind, a sentence and a reason id; the problems stay with the owner, in the audit row of
the same id (T-CONFUSED).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Final, Literal

from attest.errors import Problem

Kind = Literal[
    "AdminAuthAccess",
    "AttestationError",
    "InvalidRequestPath",
    "InvalidRequest",
    "InternalError",
    "JweError",
    "MethodNotAllowed",
    "PluginNotFound",
    "PolicyDeny",
    "ProtocolVersion",
    "RequestTooLarge",
    "ResourceNotFound",
    "SerdeError",
    "TokenNotFound",
    "TokenVerifierError",
    "TooManyRequests",
]
TYPE_PREFIX: Final = "https://github.com/confidential-containers/kbs/errors/"


class Refusal(Exception):
    """A request that is not granted.

    status: HTTP, never 2xx or 3xx. detail: one sentence for the requester. problems: for the audit row
    only. reason: random, stands in detail and audit row alike. audited: it leaves a row. retry_after: seconds until asking
    again may help, None where nobody knows.
    """

    def __init__(
        self,
        status: int,
        kind: Kind,
        detail: str,
        *,
        problems: Iterable[Problem] = (),
        audited: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.problems = tuple(problems)
        self.audited = audited
        self.retry_after = retry_after
        self.reason = secrets.token_hex(8)
        self.detail = f"{detail} (reason {self.reason})" if audited else detail

    def body(self) -> dict[str, str]:
        """ErrorInformation, exactly two members."""
        return {"type": TYPE_PREFIX + self.kind, "detail": self.detail}


def malformed_request(detail: str) -> Refusal:
    return Refusal(400, "SerdeError", detail)
