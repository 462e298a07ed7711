"""Whose tokens are read, and how."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from attest.result.ear.attested import SELF

Adapter: TypeAlias = Literal["trustee", "kbs"]
ADAPTERS: Final[tuple[Adapter, ...]] = get_args(Adapter)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Issuer:
    """One verifier that an operator trusts to sign, and owners may name.

    name: what an owner's rule on `evidence.verified-by` says. iss: what its tokens say. adapter: `trustee` for
    Trustee's attestation service, `kbs` for another broker of ours. audience: what its tokens must be for; None
    accepts only tokens for nobody in particular. Raises ValueError.
    """

    name: str
    iss: str
    adapter: Adapter
    audience: str | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name == SELF:
            raise ValueError("an issuer's name is a-z, 0-9 and -, at most 64 characters, and not self")
        if self.adapter not in ADAPTERS:
            raise ValueError(f"an adapter is one of {', '.join(ADAPTERS)}")
        for name, text in (("iss", self.iss), ("audience", self.audience)):
            if text is not None and not (0 < len(text) <= 256 and text.isprintable()):
                raise ValueError(f"{name} is 1 to 256 printable characters")
