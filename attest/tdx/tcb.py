"""Intel's TCB algorithm: levels of platform, TDX module and QE, and how they merge into one status.

Pure, over verified values. Source: Intel TDX DCAP quote verification library, TCB level checks; Intel
PCS API v4.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from operator import ge
from typing import NamedTuple, TypeVar

from attest.tdx.sgx_extension import PckFacts
from attest.tdx.tcb_info import (
    OUT_OF_DATE,
    REVOKED,
    UP_TO_DATE,
    ModuleIdentity,
    SvnLevel,
    TcbInfo,
    TcbLevel,
)

_Level = TypeVar("_Level", TcbLevel, SvnLevel)

RELAUNCH_ADVISED = "TDRelaunchAdvised"
RELAUNCH_ADVISED_CONFIGURATION_NEEDED = "TDRelaunchAdvisedConfigurationNeeded"

_CONFIGURATION = frozenset(
    {"ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded", "OutOfDateConfigurationNeeded"}
)
_BEHIND = {
    UP_TO_DATE: OUT_OF_DATE,
    "SWHardeningNeeded": OUT_OF_DATE,
    "ConfigurationNeeded": "OutOfDateConfigurationNeeded",
    "ConfigurationAndSWHardeningNeeded": "OutOfDateConfigurationNeeded",
}


class Standing(NamedTuple):
    """Where one part (platform, TDX module or QE) stands among its levels.

    status, date, advisories: of the matched level. behind: what is too low, one phrase each, empty when
    UpToDate. missed: tcbDate of the lowest level above the matched one; None when there is none.
    """

    status: str
    date: datetime
    advisories: tuple[str, ...]
    behind: tuple[str, ...] = ()
    missed: datetime | None = None


class Tcb(NamedTuple):
    """The merged status and its parts. module_id and module are None for an unversioned module, whose
    version the platform's levels judge."""

    status: str
    platform: Standing
    qe: Standing
    module_id: str | None = None
    module: Standing | None = None

    @property
    def parts(self) -> tuple[Standing, ...]:
        return (self.platform, self.qe) if self.module is None else (self.platform, self.module, self.qe)

    @property
    def date(self) -> datetime:
        """Oldest tcbDate of the parts: all of them were good then."""
        return min(part.date for part in self.parts)

    @property
    def advisories(self) -> tuple[str, ...]:
        """Platform's, module's, QE's, each once."""
        return tuple(dict.fromkeys(advisory for part in self.parts for advisory in part.advisories))

    def lag(self, at: datetime) -> timedelta | None:
        """How long the worst part has been behind; zero when UpToDate, None when that cannot be said."""
        if self.status == UP_TO_DATE:
            return timedelta(0)
        worst = timedelta(0)
        for part in self.parts:
            if part.status == UP_TO_DATE:
                continue
            if part.missed is None:
                return None
            worst = max(worst, at - part.missed)
        return worst


def versioned(tee_tcb_svn: bytes) -> bool:
    """Whether the module has an identity of its own: then it, not the platform's levels, judges the
    module's version in bytes 0 and 1."""
    return tee_tcb_svn[1] > 0


def module_id(tee_tcb_svn: bytes) -> str:
    return f"TDX_{tee_tcb_svn[1]:02X}"


def matching_levels(
    levels: Sequence[TcbLevel], pck: PckFacts, tee_tcb_svn: bytes
) -> tuple[int | None, int | None]:
    """(first level the SGX components reach, first level SGX and TDX components reach), newest first."""
    start = 2 if versioned(tee_tcb_svn) else 0
    tdx = tee_tcb_svn[start:]
    first_sgx = None
    for index, level in enumerate(levels):
        if pck.pce_svn >= level.pce_svn and all(map(ge, pck.components, level.sgx)):
            if first_sgx is None:
                first_sgx = index
            if all(map(ge, tdx, level.tdx[start:])):
                return first_sgx, index
    return first_sgx, None


def short_of(level: TcbLevel, pck: PckFacts, tee_tcb_svn: bytes) -> tuple[str, ...]:
    """What keeps the platform from `level`, a phrase each."""
    phrases = []
    start = 2 if versioned(tee_tcb_svn) else 0
    for index in range(start, 16):
        if tee_tcb_svn[index] < level.tdx[index]:
            phrases.append(f"TDX component {index} is {tee_tcb_svn[index]}, wanted {level.tdx[index]}")
    for index in range(16):
        if pck.components[index] < level.sgx[index]:
            phrases.append(f"SGX component {index} is {pck.components[index]}, wanted {level.sgx[index]}")
    if pck.pce_svn < level.pce_svn:
        phrases.append(f"PCE SVN is {pck.pce_svn}, wanted {level.pce_svn}")
    return tuple(phrases)


def platform_standing(levels: Sequence[TcbLevel], index: int, pck: PckFacts, tee_tcb_svn: bytes) -> Standing:
    level = levels[index]
    if level.status == UP_TO_DATE:
        return Standing(level.status, level.date, level.advisories)
    wanted = _wanted(levels, index)
    return Standing(
        level.status,
        level.date,
        level.advisories,
        short_of(wanted, pck, tee_tcb_svn) if wanted is not None else (),
        levels[index - 1].date if index else None,
    )


def svn_standing(levels: Sequence[SvnLevel], isv_svn: int, name: str) -> Standing | None:
    """Standing of a module or QE of this version; None when no level is that low."""
    for index, level in enumerate(levels):
        if isv_svn < level.isv_svn:
            continue
        if level.status == UP_TO_DATE:
            return Standing(level.status, level.date, level.advisories)
        wanted = _wanted(levels, index)
        behind = (f"{name} {isv_svn}, wanted {wanted.isv_svn}",) if wanted is not None else ()
        missed = levels[index - 1].date if index else None
        return Standing(level.status, level.date, level.advisories, behind, missed)
    return None


def _wanted(levels: Sequence[_Level], index: int) -> _Level | None:
    """The nearest level above that is UpToDate, or else the newest."""
    for level in reversed(levels[:index]):
        if level.status == UP_TO_DATE:
            return level
    return levels[0] if index else None


def merge(status: str, part: str) -> str:
    """`status` after a part (module or QE) of status `part` is counted in.

    A part that is neither UpToDate nor Revoked counts as OutOfDate, whatever its word for it.
    """
    if part == UP_TO_DATE:
        return status
    if REVOKED in (status, part):
        return REVOKED
    return _BEHIND.get(status, status)


def relaunch_applies(sgx_status: str, merged: str, module: Standing | None, qe: Standing) -> bool:
    """Whether an old module, and nothing that a relaunch would not cure, holds the TD back.

    sgx_status: of the first level the SGX components reach. merged: platform and module.
    """
    return (
        qe.status == UP_TO_DATE
        and sgx_status in _BEHIND
        and merged in (OUT_OF_DATE, "OutOfDateConfigurationNeeded")
        and module is not None
        and module.status == OUT_OF_DATE
    )


def relaunch_status(
    info: TcbInfo, *, sgx_status: str, merged: str, now_svn: bytes, now_identity: ModuleIdentity | None
) -> str | None:
    """The status of a TD that was launched before the host was updated; None when the host still is not.

    Only where `relaunch_applies`. now_svn: TEE_TCB_SVN_2. now_identity: identity of that module, None for
    one without its own version.
    """
    newest = info.levels[0].tdx
    wanted = newest[0] if now_identity is None else now_identity.levels[0].isv_svn
    if now_svn[0] < wanted or now_svn[2] < newest[2]:
        return None
    if sgx_status in _CONFIGURATION or merged in _CONFIGURATION:
        return RELAUNCH_ADVISED_CONFIGURATION_NEEDED
    return RELAUNCH_ADVISED
