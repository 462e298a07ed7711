"""What a verified device says: the claims policies speak of, and NVIDIA's own fields beside them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from attest.claims import ClaimValue, Section, flag, instant
from attest.nvidia.chain import Device
from attest.nvidia.modes import Mode
from attest.nvidia.opaque import Opaque
from attest.nvidia.references import Reference
from attest.nvidia.revocation import Revocation
from attest.nvidia.rim_ids import rim_ids
from attest.nvidia.spdm import Report

_VERSION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,3}")


@dataclass(frozen=True, slots=True)
class DevicePart:
    """One verified GPU or switch. measurements: match, mismatch or no-rim. revocation: what answers and lists
    say of all its chains."""

    report: Report
    opaque: Opaque
    device: Device
    mode: Mode
    references: tuple[Reference, ...]
    measurements: str
    revocation: Revocation

    @property
    def section(self) -> str:
        return self.device.family.section

    @property
    def bound(self) -> bytes:
        """The 32 bytes the verifier asked with; the response's own nonce is bound to nothing."""
        return self.report.request_nonce

    @property
    def identity(self) -> str:
        return self.device.serial

    @property
    def simulated(self) -> bool:
        return self.device.path.simulated or any(one.rim.path.simulated for one in self.references)

    @property
    def expires(self) -> datetime:
        ends = [self.device.path.not_after, *(one.rim.path.not_after for one in self.references)]
        if self.revocation.expires is not None:
            ends.append(self.revocation.expires)
        return min(ends)

    @property
    def oldest(self) -> datetime | None:
        return self.revocation.oldest

    def claims(self) -> Section:
        family = self.device.family
        claims: dict[str, ClaimValue] = {
            "architecture": family.architecture,
            "model": family.chip,
            "id": self.device.serial,
            "measurements": self.measurements,
            "cert": self.revocation.cert,
        }
        present = {one.kind for one in self.references}
        if family.section == "switch":
            claims["bios-rim"] = "valid" if "bios" in present else "absent"
            if self.opaque.vbios_version is not None:
                claims["bios"] = self.opaque.vbios_version
            locked = self.opaque.numbers.get("lock_switch_status")
            if locked is not None:
                claims["locked"] = flag(locked == 1)
            return claims
        claims["driver-rim"] = "valid" if "driver" in present else "absent"
        claims["vbios-rim"] = "valid" if "vbios" in present else "absent"
        driver = self.opaque.driver_version
        if driver is not None and _VERSION.fullmatch(driver):
            claims["driver"] = driver
        if self.opaque.vbios_version is not None:
            claims["vbios"] = self.opaque.vbios_version
        if self.mode.name is not None:
            claims["mode"] = self.mode.name
        return claims

    def raw(self) -> dict[str, Any]:
        opaque = self.opaque
        raw: dict[str, Any] = {name: value.hex() for name, value in opaque.raw.items()}
        raw.update(opaque.texts)
        raw.update((name, str(number)) for name, number in opaque.numbers.items())
        raw["opaque_data_version"] = str(opaque.version)
        if opaque.vbios_version is not None:
            raw["vbios_version"] = opaque.vbios_version
        if opaque.pdis is not None:
            raw["device_pdi" if self.section == "switch" else "switch_pdi"] = [p.hex() for p in opaque.pdis]
        if "msrscnt" in raw:
            raw["msrscnt"] = [str(count) for count in opaque.measurement_counts()]
        chain = self.device.path.certificates
        raw.update(
            request_nonce=self.report.request_nonce.hex(),
            response_nonce=self.report.response_nonce.hex(),
            measurements=[value.hex() for value in self.report.measurements.values()],
            measurement_indexes=[str(number) for number in self.report.measurements],
            signature=self.report.signature.hex(),
            trailing_bytes=str(self.report.trailing),
            mode_derived=flag(self.mode.derived),
            fwid_match="absent" if opaque.fwid is None else "true",
            certificates=[certificate.common_name for certificate in chain],
            certificate_serials=[f"{certificate.serial:x}" for certificate in chain],
            certificate_sha256=[certificate.fingerprint.hex() for certificate in chain],
            rims={one.kind: _rim(one) for one in self.references},
            rim_ids=self.rim_ids(),
            revocation=self.revocation.raw(),
            mismatches=[
                {
                    "index": str(mismatch.index),
                    "rim": one.kind,
                    "expected": mismatch.expected.hex(),
                    "found": "no block" if mismatch.found is None else mismatch.found.hex(),
                }
                for one in self.references
                for mismatch in one.comparison.mismatches
            ],
        )
        if self.device.fwid is not None:
            raw["fwid_leaf"] = self.device.fwid.hex()
        return raw

    def rim_ids(self) -> dict[str, str]:
        """Kind of manifest → id, from the verified report; see `attest.nvidia.rim_ids`."""
        return rim_ids(self.device.family, self.opaque)


def _rim(reference: Reference) -> dict[str, Any]:
    rim, comparison = reference.rim, reference.comparison
    return {
        "version": rim.stated.version,
        "product": rim.stated.product,
        "sha256": rim.digest.hex(),
        "signer": rim.path.leaf.common_name,
        "signer_serial": f"{rim.path.leaf.serial:x}",
        "not_before": instant(rim.path.not_before),
        "not_after": instant(rim.path.not_after),
        "compared": [str(index) for index in comparison.compared],
        "skipped": [str(index) for index in comparison.skipped],
    }
