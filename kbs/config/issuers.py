"""Other verifiers whose tokens guests may bring."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from attest.result.passport import Issuer
from kbs.config.section import Named, Section


class IssuerSection(Section):
    """Nothing is released on its word but by rules of owners that name it."""

    name: str = Field(description="What owners call it in a rule on `evidence.verified-by`.")
    iss: str = Field(description="What its tokens say: `iss`.")
    adapter: Literal["trustee", "kbs"] = Field(
        description="How its tokens are read: Trustee's attestation service, or another broker of ours."
    )
    audience: str = Field(
        default="none", description="What its tokens must say in `aud`; `none` where they must say nothing."
    )
    keys: Named | None = Field(default=None, description="Its JWK set in a file, read again on change.")
    keys_url: str | None = Field(
        default=None, description="Its JWK set at its own address, https; in the place of `keys`."
    )
    keys_ca: Named | None = Field(default=None, description="The CA of that address, PEM; else the system's.")

    @model_validator(mode="after")
    def _whole(self) -> IssuerSection:
        _ = self.issuer  # ValueError
        if (self.keys is None) == (self.keys_url is None):
            raise ValueError("give either keys, a file, or keys-url, an address")
        return self

    @property
    def issuer(self) -> Issuer:
        audience = None if self.audience == "none" else self.audience
        return Issuer(self.name, self.iss, self.adapter, audience)
