"""Where Prometheus reads counts and times."""

from __future__ import annotations

from pydantic import Field

from kbs.config.section import Section


class MetricsSection(Section):
    """A listener of its own, without TLS and without a key: an address that only the scraper reaches."""

    host: str = Field(default="127.0.0.1", description="An IP address; 127.0.0.1 is this machine only.")
    port: int = Field(default=9464, ge=0, le=65535, description="0 takes a free one.")
