"""What guests are offered."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kbs.config.section import Section


class Guests(Section):
    """Life of a session, and how a denial is said."""

    session_seconds: int = Field(
        default=300, ge=1, le=300, description="Life of a challenge and of the session it becomes."
    )
    deny_status: Literal["401", "403"] = Field(
        default="403",
        description="HTTP status of a guest whose machine does not conform; 401 makes it attest twice more.",
    )
    open_challenges: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Challenges that may wait at once, of all guests together.",
    )
