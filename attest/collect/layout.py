"""For whom evidence is collected: what the devices are asked with, and what the CPU's report carries.

There are two domains here, a broker's and a site's, and neither answers for the other. Nobody can hand in
report data as bytes: whatever a caller gives is hashed into its domain first, so that collecting is no
oracle for a forged binding (T-ORACLE). Layouts: `attest.binding`, `attest.site`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from attest.binding import device_nonce, is_public_nonce, report_data
from attest.collect.errors import failure
from attest.problems import problem
from attest.site import SiteStatement

BROKER_KEYS = ("EC", "RSA", "AKP")


class Layout(Protocol):
    """The digests of one request. `additional` is the exact text of the device evidence, "" for none."""

    def device_nonce(self) -> bytes:
        """32 bytes for every device."""
        ...

    def report_data(self, additional: str) -> bytes:
        """The 64 bytes of a CPU's report."""
        ...


@dataclass(frozen=True, slots=True)
class Broker:
    """A key broker's challenge, guest protocol 0.4.

    nonce: 16 to 64 bytes that the broker gave. key: the guest's JWK, kty EC, RSA or AKP, or None.
    Raises CollectError for another key or a nonce of sample code, ValueError for a nonce of another length.
    """

    nonce: bytes
    key: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        _check_nonce(self.nonce)
        if self.key is not None and self.key.get("kty") not in BROKER_KEYS:
            raise failure(
                "collect.key", where="key.kty", expected=", ".join(BROKER_KEYS), found=self.key.get("kty")
            )

    @property
    def _challenge(self) -> str:
        return base64.b64encode(self.nonce).decode()

    def device_nonce(self) -> bytes:
        return device_nonce(self._challenge, self.key)

    def report_data(self, additional: str) -> bytes:
        return report_data(self._challenge, self.key, additional)


@dataclass(frozen=True, slots=True)
class Site:
    """A browser's challenge to a site. nonce: its 32 bytes. statement: what the site says of itself.

    Raises CollectError for a nonce of sample code, ValueError for one of another length.
    """

    nonce: bytes
    statement: SiteStatement

    def __post_init__(self) -> None:
        _check_nonce(self.nonce)
        if len(self.nonce) != 32:
            raise ValueError("a browser's nonce is exactly 32 bytes")

    def device_nonce(self) -> bytes:
        return self.statement.device_nonce()

    def report_data(self, additional: str) -> bytes:
        return self.statement.report_data(base64.b64encode(self.nonce).decode(), additional)


def _check_nonce(nonce: bytes) -> None:
    if not 16 <= len(nonce) <= 64:
        raise ValueError("a nonce is 16 to 64 bytes")
    if is_public_nonce(nonce) or len(set(nonce)) == 1:
        raise failure(
            "nonce.public-constant",
            message="The nonce is a constant that anybody knows",
            found=nonce,
            remedy=problem("nonce.public-constant").remedy,
        )
