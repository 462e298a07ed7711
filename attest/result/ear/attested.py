"""Attested: what a trusted verifier said of a machine. Only the readers of tokens make one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from attest.checks import CheckRecord
from attest.claims import flag, freeze
from attest.errors import Problem
from attest.problems import problem
from attest.result.ear.vector import Tier, Vector
from attest.verified import Vouched

_MINT: Final = object()


@dataclass(frozen=True, slots=True)
class AttestedPart:
    """status: not better than the vector's worst tier. policies: `NAME@sha384:…`, empty where none was run.
    evidence_digest: `sha384:…` of what was judged, None where there was nothing to read."""

    status: Tier
    vector: Vector
    policies: tuple[str, ...]
    evidence_digest: str | None


class Attested(Vouched):
    """A result that a trusted key signed, in its time and for its reader. It is somebody's word, not evidence that
    was verified here: a function that needs a Verified does not take it, and an appraisal lets it pass only by an
    owner's rule that names the issuer.

    claims: what the token asserts, under our names, and who said so. status: of the whole machine, not better than any part's. parts: `cpu0`, `gpu0` …, `switch0` …. simulated:
    whether it stands under a simulator's root. nonce: the challenge, None where there was none. key: the JWK that
    the machine is bound to, None where none was compared.
    """

    __slots__ = (
        "audience", "claims", "expires", "issued", "issuer", "key", "nonce", "parts", "silent", "simulated", "status",
        "token_id", "warnings",
    )  # fmt: skip

    status: Tier
    parts: Mapping[str, AttestedPart]
    simulated: bool
    issuer: str
    audience: str | None
    issued: datetime
    expires: datetime
    token_id: bytes
    nonce: bytes | None
    key: Mapping[str, Any] | None
    claims: Mapping[str, Any]
    warnings: tuple[Problem, ...]
    silent: frozenset[str]

    def __init__(self, mint: object, **fields: Any) -> None:
        if mint is not _MINT:
            raise TypeError("only the readers of attest.result make an Attested")
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an Attested does not change")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("an Attested does not change")

    @property
    def at(self) -> datetime:
        return self.issued

    @property
    def checks(self) -> tuple[CheckRecord, ...]:
        """None: nothing was checked here but the token."""
        return ()

    def __repr__(self) -> str:
        return f"<Attested {self.status} by {self.issuer!r}>"


SELF: Final = "self"
"""Who verified here. No issuer has this name."""


def mint(
    *,
    issuer: str,
    status: Tier,
    simulated: bool,
    claims: Mapping[str, Any],
    silent: frozenset[str] = frozenset(),
    **fields: Any,
) -> Attested:
    """For `attest.result.ear.read` and `attest.result.passport` alone.

    issuer: the name that owners know him by. claims: without the section `evidence`, which is made here. Raises
    ValueError for the name that means this verifier.
    """
    if issuer == SELF:
        raise ValueError("no issuer is called self: that is who verifies here")
    evidence = {"verified-by": issuer, "simulated": flag(simulated)}
    warnings = [problem("issuer.silent", where=name) for name in sorted(silent)]
    if status == "warning":
        warnings.append(problem("issuer.warned", found=issuer))
    return Attested(
        _MINT,
        issuer=issuer,
        status=status,
        simulated=simulated,
        claims=freeze({"evidence": evidence, "raw": {}, **claims}),
        warnings=tuple(warnings),
        silent=silent,
        **fields,
    )
