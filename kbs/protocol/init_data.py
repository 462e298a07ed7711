"""Init-data: what the host gave the guest at launch, and the digest of it that the hardware signed.

Its text is used only where that digest equals the signed field (T-INITDATA): HOST_DATA of SNP, MRCONFIGID
of TDX, padded with zeros or cut to the field's length. A field of zeros means "unset", never "empty". On
Azure it is what extending PCR 8 once by a digest of 32 bytes gives.
Source: Trustee `kbs/docs/initdata.md`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from attest.problems import malformed

_ALGORITHMS: Final = {
    "sha256": "sha256",
    "sha-256": "sha256",
    "sha384": "sha384",
    "sha-384": "sha384",
    "sha512": "sha512",
    "sha-512": "sha512",
}
_FIELDS: Final = {"snp": ("snp", "host-data", 32), "tdx": ("tdx", "mrconfigid", 48)}
_AZURE: Final = frozenset({"az-snp-vtpm", "az-tdx-vtpm"})
_LIMIT = 1 << 20
_MAX_DOTS: Final = 8
_TOKEN: Final = re.compile(
    r"""
      \"{3} (?:[^\\]|\\.)*? \"{3} \"{0,2}      # strings and comments, whose dots part no key
    | '{3} .*? '{3} '{0,2}
    | (?P<open> \"{3} | '{3} )
    | \" (?:[^"\\\n]|\\[^\n])*+ \"
    | '[^'\n]*+'
    | \#[^\n]*+
    | (?P<dot> \. )
    | (?P<end> [\n=,{\[\]] )
    | (?P<lone> ["'] )
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class InitData:
    """digest: over the raw bytes of the body, by the algorithm the body names; 32, 48 or 64 bytes."""

    digest: bytes

    @classmethod
    def from_json(cls, value: Any) -> InitData:
        """Raises Malformed."""
        if not isinstance(value, dict):
            raise malformed("Init-data is an object", where="init-data")
        form, body = value.get("format"), value.get("body")
        if form != "toml" or not isinstance(body, str):
            raise malformed("Init-data is a TOML text", where="init-data.format")
        if len(body) > _LIMIT:
            raise malformed("Init-data is too large", where="init-data.body", expected=f"≤ {_LIMIT}")
        try:
            raw = body.encode()
            _require_short_keys(body)
            document = tomllib.loads(body)
        except (ValueError, RecursionError):
            raise malformed("Init-data is not TOML that can be read", where="init-data.body") from None
        named = document.get("algorithm")
        algorithm = _ALGORITHMS.get(named) if isinstance(named, str) else None
        if algorithm is None:
            raise malformed("Init-data names no digest we know", where="init-data.algorithm", found=named)
        return cls(hashlib.new(algorithm, raw).digest())

    def signed_in(
        self, tee: str, claims: Mapping[str, Any], paravisor: Mapping[str, Mapping[str, Any]]
    ) -> bool:
        """Whether the hardware's field, as verified, carries this digest.

        paravisor: what an Azure machine's says (`Verified.paravisor_claims`), whose register it is: rules see
        init-data once a policy has pinned that.
        """
        if tee in _AZURE:
            register = paravisor.get("azure", {}).get("pcr8")
            if not isinstance(register, str) or len(self.digest) != 32:
                return False
            extended = hashlib.sha256(bytes(32) + self.digest).digest()
            return hmac.compare_digest(bytes.fromhex(register), extended)
        if tee not in _FIELDS:
            return False
        section, claim, size = _FIELDS[tee]
        text = claims.get(section, {}).get(claim)
        if not isinstance(text, str):
            return False
        field = bytes.fromhex(text)
        wanted = self.digest[:size].ljust(size, b"\0")
        return any(field) and hmac.compare_digest(field, wanted)


def _require_short_keys(body: str) -> None:
    """Refuse keys of many parts: the parser's memory grows with their square, and half a megabyte of
    `a.a.a…` takes a hundred gigabytes. Raises Malformed, or ValueError where a string does not end."""
    dots = 0
    for token in _TOKEN.finditer(body):
        if token.lastgroup == "dot":
            dots += 1
            if dots > _MAX_DOTS:
                raise malformed(
                    "A key of the init-data has too many parts",
                    where="init-data.body",
                    expected=_MAX_DOTS + 1,
                )
        elif token.lastgroup == "end":
            dots = 0
        elif token.lastgroup is not None:
            raise ValueError("a string does not end")
