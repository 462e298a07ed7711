"""What a site says of itself beside its evidence, and how the evidence binds it.

A site's evidence is bound in a domain of its own, so that it never answers a key broker, nor a broker's a
browser. K is the site's HPKE key as a JWK, E 32 random bytes made in the machine with their time ET (one
epoch of its GPUs), A the exact text of the device evidence, N the client's challenge, O the origins that the
site's measured configuration names:

    D = SHA-384(JCS({"epoch": E, "purpose": "attest-gpu/1", "tee-pubkey": K}))        → device nonce = D[:32]
    P = SHA-384(JCS({"additional-evidence": A, "epoch": E, "epoch-time": ET, "nonce": N, "origins": O,
                     "purpose": "attest-site/1", "tee-pubkey": K}))                    → CPU report data =
                                                                        P ‖ "attest-site/1" ‖ zeros to 64

E and N are padded standard base64, ET is RFC 3339 in UTC with whole seconds and Z. The CPU's report is
fresh for this client by N; the GPUs are as old as ET says, which is the measured program's word.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from attest import strict_base64
from attest.binding import SITE_TAG
from attest.canonical import canonical, read_json
from attest.claims import instant, read_instant
from attest.problems import malformed

MAX_ORIGINS = 32
_ORIGIN = re.compile(r"https?://[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[1-9][0-9]{0,4})?\Z")
_POLICY = re.compile(r"sha384:[0-9a-f]{96}\Z")
_REQUIRED = {"alg", "crv", "kid", "kty", "use", "x"}
_OPTIONAL = {"release-policy", "tls-spki"}


def is_origin(text: str) -> bool:
    """Whether `text` is an ASCII origin as browsers write it: scheme, host, port unless it is the default."""
    return _ORIGIN.match(text) is not None and not text.endswith(
        ":443" if text.startswith("https:") else ":80"
    )


@dataclass(frozen=True, slots=True)
class SiteStatement:
    """key: the JWK K, all members. epoch: 32 bytes. epoch_time: aware. origins: sorted, without doubles.

    Believed only once the CPU's report data was found to cover it.
    """

    key: Mapping[str, Any]
    epoch: bytes
    epoch_time: datetime
    origins: tuple[str, ...]

    @classmethod
    def parse(cls, data: bytes | str, *, where: str = "site statement") -> SiteStatement:
        """From JSON {"epoch", "epoch-time", "origins", "tee-pubkey"}. Raises Malformed."""
        return cls.read(read_json(data, where=where, limit=64 << 10), where=where)

    @classmethod
    def read(cls, document: object, *, where: str) -> SiteStatement:
        """The same from a parsed document. Raises Malformed."""
        members = {"epoch", "epoch-time", "origins", "tee-pubkey"}
        if not isinstance(document, dict) or set(document) != members:
            raise malformed(
                "A site's statement has exactly its members", where=where, expected=", ".join(sorted(members))
            )
        origins = document["origins"]
        if (
            not isinstance(origins, list)
            or not 1 <= len(origins) <= MAX_ORIGINS
            or not all(isinstance(origin, str) and is_origin(origin) for origin in origins)
            or origins != sorted(set(origins))
        ):
            raise malformed(
                "Origins are a sorted list of ASCII origins, each once",
                where=f"{where} origins",
                expected="https://host or https://host:port, lower case",
            )
        try:
            epoch_time = read_instant(document["epoch-time"])
        except (TypeError, ValueError):
            raise malformed("Not an instant like 2026-11-23T12:00:00Z", where=f"{where} epoch-time") from None
        if instant(epoch_time) != document["epoch-time"]:
            raise malformed("Not an instant like 2026-11-23T12:00:00Z", where=f"{where} epoch-time")
        key = _read_key(document["tee-pubkey"], f"{where} tee-pubkey")
        return cls(key, _bytes32(document["epoch"], f"{where} epoch"), epoch_time, tuple(origins))

    def document(self) -> dict[str, Any]:
        """The JSON document that `read` reads."""
        return {
            "epoch": base64.b64encode(self.epoch).decode(),
            "epoch-time": instant(self.epoch_time),
            "origins": list(self.origins),
            "tee-pubkey": dict(self.key),
        }

    @property
    def use(self) -> str:
        """`direct`: this machine alone holds the key. `fleet`: every machine its release policy admits."""
        return str(self.key["use"])

    def device_nonce(self) -> bytes:
        """The 32 bytes each GPU of this epoch is asked with."""
        document = self.document()
        asked = {name: document[name] for name in ("epoch", "tee-pubkey")}
        return hashlib.sha384(canonical({**asked, "purpose": "attest-gpu/1"})).digest()[:32]

    def report_data(self, nonce: str, additional: str = "") -> bytes:
        """The 64 bytes of the CPU's report for one client's challenge, N as text."""
        covered = {
            **self.document(),
            "additional-evidence": additional,
            "nonce": nonce,
            "purpose": SITE_TAG.decode(),
        }
        return (hashlib.sha384(canonical(covered)).digest() + SITE_TAG).ljust(64, b"\0")


def _read_key(key: object, where: str) -> Mapping[str, Any]:
    if (
        not isinstance(key, dict)
        or not _REQUIRED <= set(key) <= _REQUIRED | _OPTIONAL
        or not all(isinstance(value, str) for value in key.values())
    ):
        raise malformed("Not a site's key", where=where, expected=", ".join(sorted(_REQUIRED)))
    fixed = {"alg": "DHKEM-X25519-HKDF-SHA256", "crv": "X25519", "kty": "OKP"}
    if any(key[name] != value for name, value in fixed.items()) or key["use"] not in ("direct", "fleet"):
        raise malformed("Not a site's key", where=where, expected="X25519 for HPKE, use direct or fleet")
    if (key["use"] == "fleet") != ("release-policy" in key):
        raise malformed("A fleet key, and no other, names its release policy", where=where)
    if "release-policy" in key and not _POLICY.match(key["release-policy"]):
        raise malformed("A release policy is named by its digest", where=where, expected="sha384:…")
    public = _b64url(key["x"], f"{where}.x")
    if len(public) != 32:
        raise malformed("An X25519 key is 32 bytes", where=f"{where}.x", found=len(public))
    kid = base64.urlsafe_b64encode(hashlib.sha256(public).digest()[:16]).rstrip(b"=").decode()
    if key["kid"] != kid:
        raise malformed("The key id is not that of the key", where=f"{where}.kid", expected=kid)
    return key


def _b64url(text: str, where: str) -> bytes:
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        data = b""
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != text:
        raise malformed("Not base64url without padding", where=where)
    return data


def _bytes32(text: object, where: str) -> bytes:
    try:
        data = strict_base64.decode(text if isinstance(text, str) else "")
    except (ValueError, binascii.Error):
        data = b""
    if len(data) != 32:
        raise malformed("Not 32 bytes in padded base64", where=where)
    return data
