"""What of decisions is kept, for how long, and which places outside are told of the audit trail's head."""

from __future__ import annotations

from pydantic import Field, model_validator

from kbs.config.section import Folder, Named, Section


class PlaceSection(Section):
    """Somewhere outside that gets every checkpoint."""

    owner: str | None = Field(default=None, description="Whose place it is, for the log.")
    folder: Folder | None = Field(
        default=None,
        description="A folder that gets a file a checkpoint; serving begins by reading the newest.",
    )
    url: str | None = Field(
        default=None, description="An https address that each is POSTed to; in the place of `folder`."
    )
    ca: Named | None = Field(default=None, description="The CA of that address, PEM; else the system's.")

    @model_validator(mode="after")
    def _one_place(self) -> PlaceSection:
        if (self.folder is None) == (self.url is None):
            raise ValueError("give either folder or url")
        if self.url is not None and not self.url.startswith("https://"):
            raise ValueError("a checkpoint goes to an https address")
        return self


class RecordSection(Section):
    """The audit trail itself is kept for ever."""

    session_days: int = Field(
        default=7,
        ge=0,
        le=3650,
        description="How long what a machine proved is kept, sealed, for `kbs why` and `kbs policy dry-run`; 0 for not at all.",
    )
    evidence_days: int = Field(
        default=0,
        ge=0,
        le=3650,
        description="How long the evidence itself is kept, for replay; 0 for not at all.",
    )
    checkpoint_seconds: int = Field(
        default=300, ge=1, le=86_400, description="How often checkpoints go out, where rows were added."
    )
    checkpoint_rows: int = Field(
        default=1000, ge=1, le=1_000_000, description="After how many rows one goes out before that time."
    )
    checkpoints: tuple[PlaceSection, ...] = Field(
        default=(), description="Places outside that get every checkpoint."
    )
