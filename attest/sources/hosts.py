"""Where each service is: the vendors' own addresses, or the ones an operator configured.

A base is an origin with an optional path; the modules of the services append paths they build themselves.
Nothing else is ever asked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from urllib.parse import urlsplit

from attest.errors import Malformed
from attest.problems import problem

AMD = "https://kdsintf.amd.com"


@dataclass(frozen=True, slots=True)
class Hosts:
    """pccs: a caching service of the operator's, asked in place of Intel's; None for Intel itself. thim:
    the metadata service of the Azure host this very program runs on. Raises Malformed (`usage`)."""

    kds: str = AMD
    pcs: str = "https://api.trustedservices.intel.com"
    pcs_root_crl: str = "https://certificates.trustedservices.intel.com"
    pccs: str | None = None
    rim: str = "https://rim.attestation.nvidia.com"
    ocsp: str = "https://ocsp.ndis.nvidia.com"
    nras: str = "https://nras.attestation.nvidia.com"
    thim: str = "http://169.254.169.254"

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None:
                object.__setattr__(self, each.name, _base(each.name, value))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **given: str | None) -> Hosts:
        """The vendors' addresses; in their place ATTEST_KDS_URL and so on; in their place `given`."""
        values = os.environ if environment is None else environment
        chosen = {field: values[name] for field, name in VARIABLES.items() if values.get(name)}
        chosen |= {name: value for name, value in given.items() if value}
        return cls(**chosen)

    @property
    def asks_amd(self) -> bool:
        """Whether the KDS is AMD's own service, and no mirror of it."""
        return urlsplit(self.kds).hostname == urlsplit(AMD).hostname


VARIABLES = {
    "kds": "ATTEST_KDS_URL",
    "pcs": "ATTEST_PCS_URL",
    "pcs_root_crl": "ATTEST_PCS_ROOT_CRL_URL",
    "pccs": "ATTEST_PCCS_URL",
    "rim": "ATTEST_RIM_URL",
    "ocsp": "ATTEST_OCSP_URL",
    "nras": "ATTEST_NRAS_URL",
    "thim": "ATTEST_THIM_URL",
}
"""Member → environment variable that names another base."""


def _base(name: str, value: str) -> str:
    try:
        parts = urlsplit(value)
        good = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and not (parts.query or parts.fragment or parts.username or parts.password)
            and value.isascii()
            and value.isprintable()
            and " " not in value
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:
        good = False
    if not good:
        raise Malformed(
            problem(
                "usage",
                message=f"The address of {name} is an http or https URL without user and query",
                where=VARIABLES[name],
                found=value[:80],
            )
        )
    return value.rstrip("/")
