"""Where the broker listens."""

from __future__ import annotations

from pydantic import Field

from kbs.config.section import Named, Section


class Tls(Section):
    """Both PEM; the key not encrypted."""

    certificate: Named = Field(description="The certificate chain, leaf first.")
    key: Named = Field(description="The private key of the leaf.")


class Listen(Section):
    """An address of this machine, and TLS."""

    host: str = Field(default="127.0.0.1", description="An IP address; 127.0.0.1 is this machine only.")
    port: int = Field(default=8080, ge=0, le=65535, description="0 takes a free one.")
    tls: Tls | None = Field(
        default=None, description="Without it keys and secrets of administrators travel in clear."
    )
    drain_seconds: int = Field(
        default=0,
        ge=0,
        le=300,
        description="After SIGTERM, how long new requests are still answered while `/readyz` fails already: a load balancer's time to notice.",
    )
    finish_seconds: int = Field(
        default=10,
        ge=1,
        le=300,
        description="How long requests may run on after that, before they are cut off.",
    )
