"""Which guests are served, and what they are offered."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from kbs.config.section import Section
from kbs.protocol.served import Served
from kbs.terms import MOST


class Guests(Section):
    """Protocols, life of a session, and how a denial is said."""

    protocols: tuple[Literal["0.4.0", "0.3.0", "0.2.0", "0.1.1", "0.1.0"], ...] = Field(
        default=("0.4.0",),
        description="Versions of the guest protocol. A guest chooses, and older ones leave out devices or init-data.",
    )
    rsa1_5: bool = Field(
        default=False,
        description="Wrap secrets with RSA1_5 for guests of 0.1.0 and 0.1.1, which open nothing else: a padding "
        "oracle in the guest.",
    )
    azure_evidence: Literal["0", "1", "2"] = Field(
        default="2", description="The least version of an Azure machine's evidence. Before 2 it binds less."
    )

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

    requests_an_address_a_minute: int = Field(
        default=6000,
        ge=1,
        description="Requests of guests at one address, in each process; beyond them 429. A fleet behind a proxy that `listen.proxies` does not name has one.",
    )
    requests_a_session_a_minute: int = Field(
        default=300,
        ge=1,
        description="Requests for secrets by one session, in each process; beyond them 429.",
    )

    releases_an_owner_an_hour: int | None = Field(
        default=None,
        ge=1,
        le=MOST,
        description="Secrets of one owner that are released in an hour, of all replicas together; beyond them 429. `kbs owner "
        "quota` gives an owner another number. A secret of several owners counts for each.",
    )

    @model_validator(mode="after")
    def _serves_somebody(self) -> Guests:
        _ = self.served  # ValueError
        return self

    @property
    def served(self) -> Served:
        return Served(frozenset(self.protocols), self.rsa1_5, int(self.azure_evidence))
