"""What the broker's attestation tokens say, for those that read them elsewhere."""

from __future__ import annotations

from pydantic import Field

from kbs.config.section import Named, Section


class TokenSection(Section):
    """Other brokers find the public keys at `/.well-known/jwks.json`."""

    issuer: str = Field(
        default="kbs", min_length=1, max_length=256, description="Who this broker is to them: `iss`."
    )
    audience: str = Field(
        default="kbs-guest",
        min_length=1,
        max_length=256,
        description="Whom tokens are for: `aud`. `none` leaves it out, as older brokers of Trustee demand.",
    )
    policy: Named | None = Field(
        default=None,
        description="The policy that the status in a token is judged by. Without it the built-in defaults, which "
        "never affirm. No release asks for it.",
    )
