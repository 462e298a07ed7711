"""TCB info: which versions of microcode, loader and TDX module Intel holds good for one platform family.

Source: Intel PCS API v4, TDX TCB info v3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from types import MappingProxyType
from typing import TypeVar

from attest.canonical import read_json
from attest.errors import Malformed
from attest.problems import malformed
from attest.tdx.members import Members

UP_TO_DATE = "UpToDate"
OUT_OF_DATE = "OutOfDate"
REVOKED = "Revoked"
STATUSES = (
    UP_TO_DATE,
    "SWHardeningNeeded",
    "ConfigurationNeeded",
    "ConfigurationAndSWHardeningNeeded",
    OUT_OF_DATE,
    "OutOfDateConfigurationNeeded",
    REVOKED,
)
MAX_SIZE = 1 << 20


@dataclass(frozen=True, slots=True)
class TcbLevel:
    """One row of the platform's levels. sgx, tdx: 16 SVNs each, as bytes."""

    sgx: bytes
    pce_svn: int
    tdx: bytes
    date: datetime
    status: str
    advisories: tuple[str, ...]

    @property
    def order(self) -> tuple[bytes, int, bytes]:
        return self.sgx, self.pce_svn, self.tdx


@dataclass(frozen=True, slots=True)
class SvnLevel:
    """One row of the levels of a TDX module or of the QE."""

    isv_svn: int
    date: datetime
    status: str
    advisories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SeamModule:
    """Who must have signed the TDX module, and its attributes under a mask."""

    mr_signer: bytes
    attributes: bytes
    attributes_mask: bytes


@dataclass(frozen=True, slots=True)
class ModuleIdentity:
    """A module of one major version. levels: newest first."""

    id: str
    module: SeamModule
    levels: tuple[SvnLevel, ...]


@dataclass(frozen=True, slots=True)
class TcbInfo:
    """evaluation: tcbEvaluationDataNumber. modules: upper-case id → identity. levels: newest first."""

    fmspc: bytes
    pce_id: bytes
    evaluation: int
    issue_date: datetime
    next_update: datetime
    module: SeamModule
    modules: Mapping[str, ModuleIdentity]
    levels: tuple[TcbLevel, ...]

    @classmethod
    def parse(cls, body: bytes) -> TcbInfo:
        """The signed octets of a TDX TCB info, version 3.

        Levels are sorted here: their order in JSON says nothing. Raises Malformed, also for an id or
        version of another kind, an unknown status, and levels that stand twice.
        """
        info = Members(read_json(body, where="tcb_info", limit=MAX_SIZE), "tcb_info")
        info.fixed("id", "TDX")
        info.fixed("version", 3)
        info.fixed("tcbType", 0)
        modules: dict[str, ModuleIdentity] = {}
        for item in info.each("tdxModuleIdentities") if info.has("tdxModuleIdentities") else ():
            identity = ModuleIdentity(item.text("id").upper(), _seam_module(item), svn_levels(item))
            if identity.id in modules:
                raise _twice("tcb_info.tdxModuleIdentities", identity.id)
            modules[identity.id] = identity
        levels = sorted(map(_level, info.each("tcbLevels")), key=lambda level: level.order, reverse=True)
        _refuse_twins([level.order for level in levels], "tcb_info.tcbLevels")
        return cls(
            fmspc=info.bytes_("fmspc", 6),
            pce_id=info.bytes_("pceId", 2),
            evaluation=info.number("tcbEvaluationDataNumber", 1 << 31),
            issue_date=info.instant("issueDate"),
            next_update=info.instant("nextUpdate"),
            module=_seam_module(info.inner("tdxModule")),
            modules=MappingProxyType(modules),
            levels=tuple(levels),
        )


def status_of(members: Members) -> str:
    """A status this verifier can weigh; an unknown one refuses the whole document."""
    status = members.text("tcbStatus")
    if status not in STATUSES:
        raise malformed(
            "A TCB level has a status this verifier does not know",
            where="tcbStatus",
            expected=" or ".join(STATUSES),
            found=status,
            code="tdx.tcb.unknown-status",
        )
    return status


def svn_levels(members: Members) -> tuple[SvnLevel, ...]:
    """tcbLevels of a module identity or QE identity, newest first. Raises Malformed."""
    levels = sorted(
        (
            SvnLevel(
                item.inner("tcb").number("isvsvn", 0xFFFF),
                item.instant("tcbDate"),
                status_of(item),
                item.texts("advisoryIDs"),
            )
            for item in members.each("tcbLevels")
        ),
        key=lambda level: level.isv_svn,
        reverse=True,
    )
    _refuse_twins([level.isv_svn for level in levels], "tcbLevels")
    return tuple(levels)


def _level(item: Members) -> TcbLevel:
    tcb = item.inner("tcb")
    return TcbLevel(
        sgx=_components(tcb, "sgxtcbcomponents"),
        pce_svn=tcb.number("pcesvn", 0xFFFF),
        tdx=_components(tcb, "tdxtcbcomponents"),
        date=item.instant("tcbDate"),
        status=status_of(item),
        advisories=item.texts("advisoryIDs"),
    )


def _components(tcb: Members, name: str) -> bytes:
    return bytes(component.number("svn", 255) for component in tcb.each(name, count=16))


def _seam_module(members: Members) -> SeamModule:
    return SeamModule(
        members.bytes_("mrsigner", 48), members.bytes_("attributes", 8), members.bytes_("attributesMask", 8)
    )


_Order = TypeVar("_Order")


def _refuse_twins(sorted_keys: Sequence[_Order], where: str) -> None:
    for left, right in pairwise(sorted_keys):
        if left == right:
            raise _twice(where, left)


def _twice(where: str, what: object) -> Malformed:
    return malformed(
        "Intel's document names a level twice",
        where=where,
        found=str(what),
        code="endorsement.malformed",
    )
