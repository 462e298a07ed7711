"""Pages for people at the administrators' door."""

from __future__ import annotations

from pydantic import Field

from kbs.config.section import Section


class ConsoleSection(Section):
    """Whoever signs in there reads what his key may read; each act asks for the key again."""

    session_minutes: int = Field(
        default=30, ge=1, le=480, description="How long after signing in; then the key is asked for again."
    )
