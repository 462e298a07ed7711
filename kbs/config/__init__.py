"""The broker's one configuration: a YAML file, each section a typed model in a file of its own.

`kbs serve --config FILE` reads it, `kbs config check FILE` says what is wrong with it and with the files
that it names. What has no default must be given; what is not known is refused. No secret stands in it: a
section names the file that holds one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, model_validator

from kbs.config.console import ConsoleSection
from kbs.config.database import Database
from kbs.config.guests import Guests
from kbs.config.issuers import IssuerSection
from kbs.config.keys import FileKeys, Keys
from kbs.config.listen import Listen
from kbs.config.log import LogSection
from kbs.config.metrics import MetricsSection
from kbs.config.people import PeopleSection
from kbs.config.record import RecordSection
from kbs.config.section import Above, Folder, InvalidConfig, Named, Section, read_section
from kbs.config.sources import SourcesSection
from kbs.config.tokens import TokenSection

__all__ = ["Above", "Config", "InvalidConfig", "Section", "read_config"]


class Config(Section):
    """The whole file. Relative paths count from the folder that the file stands in."""

    state: Folder = Field(
        description="The folder that `kbs init` made: keys, and the database unless another is named."
    )
    endorsements: Folder | None = Field(
        default=None, description="A folder of certificates, CRLs, collateral and RIMs; read again on change."
    )
    sources: SourcesSection = Field(
        default=SourcesSection(), description="What the broker asks the vendors for by itself."
    )
    simulator_root: Named | None = Field(
        default=None,
        description="Accept simulated machines under this root. They prove nothing about hardware.",
    )
    database: Database = Field(
        default=Database(), description="Where owners, secrets, sessions and the audit trail are kept."
    )
    keys: Keys = Field(default=FileKeys(), description="Where the keys are that wrap secrets at rest.")
    former_keys: tuple[Keys, ...] = Field(
        default=(),
        description="Key stores of before, which still open what they wrapped; each as under `keys`.",
    )
    listen: Listen = Field(default=Listen(), description="Where guests and administrators reach the broker.")
    console: ConsoleSection | None = Field(
        default=None,
        description="Pages for people at the administrators' door, `/console/`; none unless given, as `console: {session-minutes: 30}`.",
    )
    metrics: MetricsSection | None = Field(
        default=None,
        description="Counts and times for Prometheus; none unless given, `metrics: {port: 9464}` for one.",
    )
    log: LogSection = Field(default=LogSection(), description="How the log is written.")
    guests: Guests = Field(default=Guests(), description="What guests are offered, and for how long.")
    issuers: tuple[IssuerSection, ...] = Field(
        default=(), description="Other verifiers whose tokens guests may bring."
    )
    people: PeopleSection = Field(
        default=PeopleSection(), description="What those who administer may do alone."
    )
    record: RecordSection = Field(
        default=RecordSection(),
        description="What is kept of decisions, and who outside is told of the trail.",
    )
    tokens: TokenSection = Field(default=TokenSection(), description="What attestation tokens say to others.")

    @model_validator(mode="after")
    def _strangers(self) -> Config:
        for one in self.issuers:
            if one.iss == self.tokens.issuer:
                # The broker's own tokens would be taken for theirs, and refused.
                raise ValueError(
                    f"issuer {one.name} says iss {one.iss}, as this broker's own tokens do: "
                    "give this broker another name, tokens.issuer"
                )
        return self


def read_config(text: bytes | None, file: Path, above: Sequence[Above] = ()) -> Config:
    """The configuration in `text`, with what `above` says in the place of what the text says there.

    text: None for no file. file: where it stands; its folder is what relative paths count from.
    Raises InvalidConfig with every fault found, each with its line or its option.
    """
    return read_section(Config, text, file, above)
