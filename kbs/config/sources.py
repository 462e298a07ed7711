"""Whether the vendors' services are asked for what nobody brought, and how often."""

from __future__ import annotations

from pydantic import Field, model_validator

from attest import Malformed
from attest.sources.hosts import Hosts
from kbs.config.section import Named, Placed, Section


class SourcesSection(Section):
    """AMD's, Intel's and NVIDIA's services, and the budgets of what guests may make the broker ask them."""

    fetch: bool = Field(
        default=False,
        description="Ask the vendors for endorsements that neither guest nor folder has. False: nobody is ever asked.",
    )
    cache: Placed | None = Field(
        default=None,
        description="Where answers are kept, for all brokers on one machine; else `endorsements-cache` under `state`.",
    )
    kds: str | None = Field(default=None, description="AMD's service, or a mirror of it.")
    pccs: str | None = Field(default=None, description="A caching service of yours in the place of Intel's.")
    pcs: str | None = Field(default=None, description="Intel's service, or a mirror of it.")
    pcs_root_crl: str | None = Field(default=None, description="Where Intel's root list is.")
    rim: str | None = Field(default=None, description="NVIDIA's manifests, or a mirror of them.")
    ocsp: str | None = Field(default=None, description="NVIDIA's OCSP responder, or a proxy to it.")
    proxy: str | None = Field(default=None, description="An HTTP proxy for them; no environment is read.")
    ca: Named | None = Field(default=None, description="More certificates to check their TLS with, PEM.")
    at_once: int = Field(
        default=4, ge=1, le=8, description="Guests for whom the vendors are asked at the same time."
    )
    waiting: int = Field(
        default=8, ge=0, le=8, description="Guests that may wait for that; all others are told to come again."
    )
    an_address_an_hour: int = Field(
        default=600, ge=1, description="Questions to vendors that guests of one address may cause in an hour."
    )
    in_all_a_minute: int = Field(
        default=240, ge=1, description="Questions to vendors that all guests together may cause in a minute."
    )

    @model_validator(mode="after")
    def _addresses(self) -> SourcesSection:
        try:
            _ = self.hosts
        except Malformed as error:
            raise ValueError(error.problems[0].message) from None
        return self

    @property
    def hosts(self) -> Hosts:
        given = {
            name: value
            for name in ("kds", "pccs", "pcs", "pcs_root_crl", "rim", "ocsp")
            if (value := getattr(self, name)) is not None
        }
        return Hosts(**given)
