"""What one principal alone may not do, and whose word counts for who somebody is."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, model_validator

from kbs.config.section import Named, Section
from kbs.sign_in.provider import Algorithm, Provider


class SignInSection(Section):
    """It says who somebody is. What he may do is a principal: `kbs principal add --provider NAME --subject SUB`."""

    name: str = Field(description="What principals call it.")
    iss: str = Field(
        description="What its tokens say: `iss`. Its keys are where `ISS/.well-known/openid-configuration` says, unless "
        "`keys` is given."
    )
    audience: str = Field(
        description="What its tokens must say in `aud`: this broker, as it is registered there."
    )
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = Field(
        default=("ES256",), description="What its keys sign by; no other counts."
    )
    typ: Literal["at+jwt", "JWT"] = Field(
        default="at+jwt",
        description="The header's `typ`: `at+jwt` for access tokens of RFC 9068; `JWT` where the provider writes that, and "
        "then its ID tokens for this audience count too.",
    )
    token_seconds: int = Field(
        default=3600, ge=60, le=86_400, description="How long a token may last at most."
    )
    keys: Named | None = Field(default=None, description="Its JWK set in a file, read again on change.")
    ca: Named | None = Field(default=None, description="The CA of its address, PEM; else the system's.")

    @model_validator(mode="after")
    def _whole(self) -> SignInSection:
        _ = self.provider  # ValueError
        return self

    @property
    def provider(self) -> Provider:
        return Provider(
            self.name,
            self.iss,
            self.audience,
            frozenset(self.algorithms),
            self.typ,
            timedelta(seconds=self.token_seconds),
        )


class PeopleSection(Section):
    """Principals themselves are made with `kbs principal add`."""

    four_eyes: bool = Field(
        default=False,
        description="Deleting, destroying, retiring, lifting, and making or removing principals need another principal's agreement: `kbs approve`.",
    )
    wrong_keys_an_address_a_minute: int = Field(
        default=60,
        ge=1,
        description="Keys and tokens that do not count, from one address, in each process; beyond them 429 for whatever it "
        "sends. Of IPv6 a /64 is one address.",
    )
    sign_in: tuple[SignInSection, ...] = Field(
        default=(),
        description="OpenID Connect providers whose tokens people may bring in the place of a key.",
    )
