"""Where the broker listens."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import BeforeValidator, Field

from kbs.config.section import Named, Section


def _of_proxies(text: object) -> IPv4Network | IPv6Network:
    try:
        found = ip_network(str(text))
    except ValueError:
        raise ValueError("a proxy is an address, or a network as 10.0.3.0/24") from None
    if found.prefixlen == 0:
        raise ValueError("not everybody is a proxy: whoever connects would choose his own address")
    return found


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
    proxies: tuple[Annotated[IPv4Network | IPv6Network, BeforeValidator(_of_proxies)], ...] = Field(
        default=(),
        description="Addresses of proxies, or networks of them, whose `X-Forwarded-For` counts: the last address in it that "
        "is no proxy's. Their `X-Forwarded-Proto` says whether TLS ends there. From others neither is read.",
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
