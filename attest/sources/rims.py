"""rims.json: golden measurements for verifiers that read no XML, such as the one in a browser.

RFC 8785 JSON of text, the same bytes for the same manifests and time:

    {"made": "…Z", "simulated": "false", "rims": [
      {"product": "GH100", "edition": "GPU", "version": "550.90.07", "sha256": "…",
       "not-before": "…Z", "expires": "…Z", "cert": "good",
       "measurements": {"0": ["…", …], …},
       "signers": [{"serial": "…", "issuer-name-hash": {"sha1", "sha256", "sha384"}, "issuer-key-hash": {…}}, …]}, …]}

Only what `attest.nvidia` verified gets in. sha256: of the XML document. not-before, expires: of its signers'
chain. cert: what OCSP answers and lists at hand said of the signers at `made`: good, or absent where none was at hand
and revocation was not checked; anything worse keeps a manifest out. signers: leaf first, without the root; how an OCSP answer names each (RFC 6960 §4.1.1), so
that a reader can ask for itself. No field of a manifest says driver or VBIOS: the version does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from attest.anchors import Anchors
from attest.cache import Cache
from attest.canonical import canonical
from attest.checks import CheckLog
from attest.claims import flag, instant
from attest.endorsements import Endorsements
from attest.errors import Problem, Rejected
from attest.nvidia.family import Section
from attest.nvidia.ocsp import Status
from attest.nvidia.ocsp_answer import HASHES, key_hash
from attest.nvidia.ocsp_request import rim_pairs
from attest.nvidia.references import read_rims
from attest.nvidia.revocation import RevocationCheck, window
from attest.nvidia.rim_signature import VerifiedRim, check_rim
from attest.untrusted import escape
from attest.x509 import Certificate

_HASHES = ("sha1", "sha256", "sha384")


@dataclass(frozen=True, slots=True)
class Golden:
    """A manifest that holds at the time it was looked at. cert: good or absent."""

    section: Section
    rim: VerifiedRim
    cert: str


def golden_of(
    endorsements: Endorsements, *, at: datetime, anchors: Anchors, files: Mapping[bytes, str] | None = None
) -> tuple[Golden, ...]:
    """Every manifest among the endorsements, verified: signature, chain to a pinned root, time, revocation.

    files: SHA-256 of a manifest → where it came from, for the problems.

    Raises Rejected with the problems of all manifests when any does not hold, or its signer is revoked, on
    hold or unknown to NVIDIA: a list that lost an entry unnoticed would turn machines away.
    """
    log = CheckLog()
    cache = Cache()
    found: list[Golden] = []
    for rim in read_rims(endorsements.rims, "gpu.rim.documents", log, cache):
        section: Section = "switch" if rim.stated.edition == "SWITCH" else "gpu"
        check = "switch.bios-rim" if section == "switch" else "gpu.driver-rim"
        before = len(log.problems)
        verified = check_rim(rim, check, at=at, anchors=anchors, log=log, cache=cache)
        holds = verified is not None and verified.path.in_time(at, log)
        # Its signer's name is that of many manifests.
        name = (files or {}).get(rim.digest, f"{rim.stated.edition} manifest {rim.stated.version.shown}")
        log.problems[before:] = [_placed(each, name) for each in log.problems[before:]]
        if verified is None or not holds:
            continue
        revocation = RevocationCheck(section, endorsements, at=at, log=log, cache=cache, memory=None)
        revocation.manifest(verified.path)
        concluded = revocation.conclude()
        cert = concluded.cert
        if cert not in ("good", "absent") and len(log.problems) == before:
            _not_good(concluded.statuses, f"{section}.revocation", log)
        if len(log.problems) == before:
            found.append(Golden(section, verified, cert))
    if log.problems:
        # The same intermediate stands in many manifests: each of its problems once.
        raise Rejected(list(dict.fromkeys(log.problems)), checks=log.records())
    return tuple(found)


def _not_good(statuses: Sequence[Status], check: str, log: CheckLog) -> None:
    """Each signer on hold, unknown to NVIDIA, or with an answer out of date: what no longer says anything is not
    the responder's word."""
    for status in statuses:
        code = {
            "hold": "nvidia.ocsp.hold", "unknown": "nvidia.ocsp.unknown", "stale": "nvidia.ocsp.stale",
        }.get(status.state)  # fmt: skip
        if code is not None:
            log.failed(check, code, where=status.certificate.common_name.shown, found=window(status))


def _placed(found: Problem, name: str) -> Problem:
    shown = escape(name)
    return replace(found, where=shown if found.where is None else f"{shown}: {found.where}")


def write_rims(manifests: Sequence[Golden], made: datetime) -> bytes:
    """The document, without a signature."""
    entries = {golden.rim.digest: _entry(golden) for golden in manifests}
    ordered = sorted(
        entries.values(),
        key=lambda entry: (entry["product"], entry["edition"], entry["version"], entry["sha256"]),
    )
    return canonical(
        {
            "made": instant(made),
            "simulated": flag(any(golden.rim.path.simulated for golden in manifests)),
            "rims": ordered,
        }
    )


def _entry(golden: Golden) -> dict[str, Any]:
    rim = golden.rim
    return {
        "product": str(rim.stated.product),
        "edition": rim.stated.edition,
        "version": str(rim.stated.version),
        "sha256": rim.digest.hex(),
        "not-before": instant(rim.path.not_before),
        "expires": instant(rim.path.not_after),
        "cert": golden.cert,
        "measurements": {
            str(index): [value.hex() for value in values] for index, values in rim.golden.items()
        },
        "signers": [_signer(*pair) for pair in rim_pairs(rim.path.certificates)],
    }


def _signer(certificate: Certificate, issuer: Certificate) -> dict[str, Any]:
    keys = {name: key_hash(name, issuer) for name in _HASHES}
    return {
        "serial": f"{certificate.serial:x}",
        "issuer-name-hash": {name: HASHES[name](issuer.subject_der).hexdigest() for name in _HASHES},
        "issuer-key-hash": {name: digest.hex() for name, digest in keys.items() if digest is not None},
    }
