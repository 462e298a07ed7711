"""What one principal alone may not do."""

from __future__ import annotations

from pydantic import Field

from kbs.config.section import Section


class PeopleSection(Section):
    """Principals themselves are made with `kbs principal add`."""

    four_eyes: bool = Field(
        default=False,
        description="Deleting, destroying, retiring, lifting, and making or removing principals need another principal's agreement: `kbs approve`.",
    )
