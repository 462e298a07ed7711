"""Verified: the tree of claims about genuine, current evidence. Only `attest.verify` makes one.

Vouched is what an appraisal needs of it, and of an `Attested`, the word of another verifier: claims that somebody
answers for, who is named in them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from attest.canonical import canonical, read_json
from attest.checks import CheckLog, CheckRecord
from attest.claims import SECTIONS, duration, flag, freeze, instant, read_instant
from attest.errors import Problem
from attest.memory import Memory
from attest.parts import Part
from attest.problems import malformed

_MINT: Final = object()
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_SEAL_VERSION = b"attest-verified/1\0"


class Vouched:
    """Claims about one machine, and who answers for them: `claims["evidence"]["verified-by"]`, `self` or an issuer's
    name. at: when he looked. expires: after it this object says nothing. silent: `section.claim` of defaults that an
    issuer never says anything of; he is not asked, and a warning tells.

    Neither of its kinds can be made by hand.
    """

    __slots__ = ()

    if TYPE_CHECKING:  # each kind keeps them in its own way

        @property
        def at(self) -> datetime: ...
        @property
        def expires(self) -> datetime: ...
        @property
        def warnings(self) -> tuple[Problem, ...]: ...
        @property
        def checks(self) -> tuple[CheckRecord, ...]: ...
        @property
        def simulated(self) -> bool: ...
        @property
        def claims(self) -> Mapping[str, Any]: ...

    @property
    def paravisor_claims(self) -> Mapping[str, Mapping[str, Any]]:
        return _NOTHING

    @property
    def silent(self) -> frozenset[str]:
        return frozenset()


class Verified(Vouched):
    """Evidence that is genuine, current at `at` and bound to what was expected.

    claims: map of section → claims, lists of them for gpu and switch, and `raw`; canonical text
    throughout (`attest.claims`). What Azure's paravisor says is not among them: `paravisor_claims`. warnings: what a person should know and no check refused. checks: every
    check with its outcome. simulated: any part stands under a simulator's root. expires: earliest end of
    the endorsements; after it this object says nothing. memory: the collateral memory, updated.

    Frozen, and not constructible from outside: a function that takes a Verified cannot be handed a claim
    that nobody checked.
    """

    at: datetime
    warnings: tuple[Problem, ...]
    simulated: bool
    expires: datetime

    def __init__(self, mint: object, **fields: Any) -> None:
        if mint is not _MINT:
            raise TypeError("only attest.verify makes a Verified")
        self.__dict__.update(fields)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Verified does not change")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a Verified does not change")

    @cached_property
    def claims(self) -> Mapping[str, Any]:
        """The claim tree, which nobody can change. Built when first read."""
        parts: Sequence[Part] = self._parts
        evidence = {"verified-by": "self", "simulated": flag(self.simulated)}
        tree: dict[str, Any] = {"evidence": evidence, "raw": {}}
        for part in parts:
            if part.section in ("gpu", "switch"):
                tree.setdefault(part.section, []).append(dict(part.claims()))
                tree["raw"].setdefault(part.section, []).append(part.raw())
            else:
                tree[part.section] = dict(part.claims())
                tree["raw"][part.section] = part.raw()
        for section in ("gpu", "switch"):
            for device in tree.get(section, ()):
                device.update(self._device_claims)
                device["count"] = str(len(tree[section]))
        for section, claims in self._more_claims.items():
            tree[section] = claims
        dates = [part.oldest for part in parts if part.oldest is not None]
        if dates:
            tree["time"] = {**tree.get("time", {}), "collateral-age": duration(self.at - min(dates))}
        tree["raw"] |= self._more_raw
        if "azure" in tree:
            _set_aside(tree)
        frozen: Mapping[str, Any] = freeze({name: tree[name] for name in (*SECTIONS, "raw") if name in tree})
        return frozen

    @property
    def paravisor_claims(self) -> Mapping[str, Mapping[str, Any]]:
        """Section → what an Azure machine's paravisor says; empty for other machines.

        Its links all hold, and whoever launched the machine can have written every one of them. It stands in
        `claims["raw"]["azure"]["paravisor_says"]`, and becomes claims only where a policy pins the paravisor
        (T-PARAVISOR): `attest.Appraisal.claims`.
        """
        said: Any = self.claims
        for name in ("raw", "azure", "paravisor_says"):
            said = said.get(name) if isinstance(said, Mapping) else None
        if not isinstance(said, Mapping) or not all(isinstance(one, Mapping) for one in said.values()):
            return _NOTHING
        return said

    @cached_property
    def memory(self) -> Memory:
        """The collateral memory, with what was used of this machine's."""
        return self._remember()

    @cached_property
    def checks(self) -> tuple[CheckRecord, ...]:
        return self._log.records()

    _remember: Callable[[], Memory]
    _log: CheckLog
    _parts: Sequence[Part]
    _more_claims: Mapping[str, Mapping[str, str]]
    _device_claims: Mapping[str, str]
    _more_raw: Mapping[str, Mapping[str, str]]

    def claims_json(self) -> bytes:
        """The claim tree as RFC 8785 JSON, byte-equal in every implementation."""
        return canonical(self.claims)

    def seal(self, key: bytes, context: bytes) -> bytes:
        """Encrypt and authenticate for a database: AES-256-GCM, bound to `context` (session and time).

        key: 32 bytes, used for nothing else. Only `unseal` with the same key and context opens it.
        """
        body = canonical(
            {
                "at": instant(self.at),
                "claims": self.claims,
                "checks": [record.as_dict() for record in self.checks],
                "expires": instant(self.expires),
                "memory": self.memory.as_dict(),
                "simulated": self.simulated,
                "warnings": [warning.as_dict() for warning in self.warnings],
            }
        )
        nonce = os.urandom(12)
        return nonce + AESGCM(key).encrypt(nonce, body, _SEAL_VERSION + context)

    @classmethod
    def unseal(cls, key: bytes, context: bytes, sealed: bytes) -> Verified:
        """The Verified that `seal` put away. Raises Malformed when key, context or bytes are others."""
        if len(sealed) < 28:
            raise malformed("A sealed Verified is cut short", where="sealed", found=len(sealed))
        try:
            body = AESGCM(key).decrypt(sealed[:12], sealed[12:], _SEAL_VERSION + context)
        except InvalidTag:
            raise malformed(
                "A sealed Verified does not open with this key and context", where="sealed"
            ) from None
        state = read_json(body, where="sealed")
        return cls(
            _MINT,
            at=read_instant(state["at"]),
            warnings=tuple(Problem.from_dict(warning) for warning in state["warnings"]),
            simulated=state["simulated"],
            expires=read_instant(state["expires"]),
            memory=Memory.from_dict(state["memory"]),
            claims=freeze(state["claims"]),
            checks=tuple(CheckRecord(**record) for record in state["checks"]),
        )


def _set_aside(tree: dict[str, Any]) -> None:
    """Put what an Azure paravisor says where nobody takes it for a claim."""
    said: dict[str, Any] = {name: tree.pop(name) for name in ("azure", "boot") if name in tree}
    if "init-data" in tree.get("binding", {}):
        # Compared with a register of the TPM.
        binding = dict(tree["binding"])
        said["binding"] = {"init-data": binding.pop("init-data")}
        tree["binding"] = binding
    tree["raw"]["azure"] = {**tree["raw"]["azure"], "paravisor_says": said}


def mint(
    *,
    at: datetime,
    simulated: bool,
    parts: Sequence[Part],
    more_claims: Mapping[str, Mapping[str, str]],
    device_claims: Mapping[str, str],
    more_raw: Mapping[str, Mapping[str, str]],
    log: CheckLog,
    remember: Callable[[], Memory],
) -> Verified:
    """For `attest.verifier` alone: an import-linter contract names its callers."""
    return Verified(
        _MINT,
        at=at,
        warnings=tuple(log.warnings),
        simulated=simulated,
        expires=min([part.expires for part in parts]),
        _remember=remember,
        _log=log,
        _parts=parts,
        _more_claims=more_claims,
        _device_claims=device_claims,
        _more_raw=more_raw,
    )
