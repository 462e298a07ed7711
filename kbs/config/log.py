"""How the log is written; it goes to standard error."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kbs.config.section import Section


class LogSection(Section):
    """A line an event. No line has a secret, a key, a cookie or the path of a resource."""

    format: Literal["json", "text"] = Field(default="json", description="`text` is for eyes.")
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that is written; `debug` has a line for every request."
    )
