"""Which manifests belong to this device, whether they hold, and what they say of its measurements.

No field of a manifest says driver or VBIOS: a document is the one or the other by the version the device
itself reports and signed. Several documents of one version may be given, as NVIDIA re-issues manifests
under the same id: each is verified on its own, entries are never mixed.
Source: NVIDIA RIM service; TCG RIM information model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from attest.anchors import Anchors
from attest.cache import Cache
from attest.checks import CheckLog
from attest.errors import Malformed
from attest.nvidia.family import Family
from attest.nvidia.golden import Comparison, compare
from attest.nvidia.opaque import Opaque
from attest.nvidia.rim import Rim, Statement
from attest.nvidia.rim_ids import rim_ids
from attest.nvidia.rim_signature import VerifiedRim, check_rim
from attest.nvidia.spdm import Report
from attest.x509 import Certificate

Kind = Literal["driver", "vbios", "bios"]


@dataclass(frozen=True, slots=True)
class Reference:
    """One manifest in its role, and the comparison with it."""

    kind: Kind
    rim: VerifiedRim
    comparison: Comparison


def needed(family: Family, opaque: Opaque) -> tuple[tuple[Kind, str | None], ...]:
    """The manifests a device needs, and the version each must be for; None where the report names none."""
    if family.section == "switch":
        return (("bios", opaque.vbios_version),)
    return (("driver", opaque.driver_version), ("vbios", opaque.vbios_version))


def read_rims(documents: Sequence[Rim | bytes], check: str, log: CheckLog, cache: Cache) -> tuple[Rim, ...]:
    """The manifests among the endorsements; one that does not parse is a problem, whosever it is.

    Those that were parsed when they were read are taken as they are; nothing is believed of either kind.
    """
    rims = []
    known: dict[bytes, Certificate] = {}
    for document in documents:
        if isinstance(document, Rim):
            rims.append(document)
            continue
        key = cache.key("rim/document", b"", [hashlib.sha256(document).digest()])
        rim: Rim | None = cache.get(key)
        if rim is None:
            try:
                rim = Rim.parse(document, known)
            except Malformed as error:
                log.absorb(error, check)
                continue
            cache.put(key, rim)
        rims.append(rim)
    if rims:
        log.passed(check)
    else:
        log.not_run(check, "no reference manifest was given")
    return tuple(rims)


def find_reference(
    kind: Kind,
    version: str | None,
    rims: Sequence[Rim],
    *,
    report: Report,
    opaque: Opaque,
    family: Family,
    at: datetime,
    anchors: Anchors,
    log: CheckLog,
    cache: Cache,
) -> Reference | None:
    """Verify the manifests for `version` and compare; None where there is none, or after recording why not.

    A manifest of this version for another product, one that was altered, and one whose certificates have
    expired with no current one beside it, are problems; manifests of other versions are passed over.
    Of several that hold the first that matches is taken, else the newest.
    """
    check = f"{family.section}.{kind}-rim"
    if version is None:
        log.not_run(check, f"the report names no {kind} version")
        return None
    named = [rim for rim in rims if _same_version(kind, rim.stated.version, version)]
    if not named:
        log.not_run(check, f"no manifest for {kind} {version} was given")
        return None
    fitting = [rim for rim in named if _fits(rim.stated, family)]
    before = len(log.problems)
    if not fitting:
        _wrong_product(kind, named, family, check, log)
    held = []
    for rim in fitting or named:
        verified = check_rim(rim, check, at=at, anchors=anchors, log=log, cache=cache)
        if verified is not None:
            held.append(verified)
    current = [rim for rim in held if rim.path.not_before <= at <= rim.path.not_after]
    if held and not current:
        # The ids by which NVIDIA's service hands out a newer one; signers of several manifests have one name.
        of = f"{kind} manifest {rim_ids(family, opaque).get(kind, version)}"
        for expired in held:
            expired.path.in_time(at, log, of=of)
    if len(log.problems) > before or not current:
        return None
    log.passed(check)
    newest_first = sorted(current, key=lambda rim: rim.path.leaf.not_before, reverse=True)
    compared = [
        Reference(kind, rim, compare(rim.golden, report.measurements, opaque.nvdec0_status))
        for rim in newest_first
    ]
    return next((one for one in compared if not one.comparison.mismatches), compared[0])


def _same_version(kind: Kind, stated: str, version: str) -> bool:
    """A driver version is compared as it is written, a VBIOS version in any case of its hex digits."""
    return stated == version if kind == "driver" else stated.upper() == version.upper()


def _fits(stated: Statement, family: Family) -> bool:
    return stated.product == family.chip and stated.edition == family.section.upper()


def _wrong_product(kind: Kind, named: Sequence[Rim], family: Family, check: str, log: CheckLog) -> None:
    for rim in named:
        log.failed(
            check,
            "nvidia.rim.product",
            where=f"{kind} manifest {rim.stated.version.shown}",
            expected=f"{family.section.upper()} {family.chip}",
            found=f"{rim.stated.edition} {rim.stated.product.shown}",
        )


def check_together(
    references: Sequence[Reference], wanted: Sequence[tuple[Kind, str | None]], check: str, log: CheckLog
) -> str:
    """`match`, `mismatch` or `no-rim`, over all manifests of a device.

    mismatch if any compared index differs; match only with every needed manifest at hand. No document may
    serve twice and no index may be active in two: both are recorded as problems.
    """
    if len({reference.rim.digest for reference in references}) < len(references):
        log.failed(check, "nvidia.rim.role", where="rim", found=references[0].rim.digest.hex())
    claimed: set[int] = set()
    for reference in references:
        indexes = set(reference.rim.golden)
        if claimed & indexes:
            log.failed(
                check,
                "nvidia.rim.index-conflict",
                where="rim",
                found=", ".join(map(str, sorted(claimed & indexes))),
            )
        claimed |= indexes
    missing = [kind for kind, _ in wanted if kind not in {reference.kind for reference in references}]
    if missing:
        log.not_run(check, f"no {' and no '.join(missing)} manifest to compare with")
    else:
        log.passed(check)
    if any(reference.comparison.mismatches for reference in references):
        return "mismatch"
    return "no-rim" if missing else "match"
