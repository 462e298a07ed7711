"""SEV-SNP attestation reports, byte-exact, and the endorsements that go with them.

Source: AMD 56860, ATTESTATION_REPORT; all integers little-endian.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from attest.simulator import amd
from attest.simulator.certificates import CertificatePlan, CrlPlan, day_of, pem
from attest.simulator.keys import Keyring
from attest.simulator.simulated import Simulated, endorsements_of

if TYPE_CHECKING:
    from attest.evidence import Evidence

SIZE = 1184
SIGNED = 0x2A0

FIELDS: dict[str, tuple[int, int]] = {
    "version": (0x000, 4),
    "guest_svn": (0x004, 4),
    "policy": (0x008, 8),
    "family_id": (0x010, 16),
    "image_id": (0x020, 16),
    "vmpl": (0x030, 4),
    "signature_algo": (0x034, 4),
    "current_tcb": (0x038, 8),
    "platform_info": (0x040, 8),
    "key_info": (0x048, 4),
    "reserved_04c": (0x04C, 4),
    "report_data": (0x050, 64),
    "measurement": (0x090, 48),
    "host_data": (0x0C0, 32),
    "id_key_digest": (0x0E0, 48),
    "author_key_digest": (0x110, 48),
    "report_id": (0x140, 32),
    "report_id_ma": (0x160, 32),
    "reported_tcb": (0x180, 8),
    "cpuid_fam_id": (0x188, 1),
    "cpuid_mod_id": (0x189, 1),
    "cpuid_step": (0x18A, 1),
    "reserved_18b": (0x18B, 21),
    "chip_id": (0x1A0, 64),
    "committed_tcb": (0x1E0, 8),
    "current_build": (0x1E8, 1),
    "current_minor": (0x1E9, 1),
    "current_major": (0x1EA, 1),
    "reserved_1eb": (0x1EB, 1),
    "committed_build": (0x1EC, 1),
    "committed_minor": (0x1ED, 1),
    "committed_major": (0x1EE, 1),
    "reserved_1ef": (0x1EF, 1),
    "launch_tcb": (0x1F0, 8),
    "launch_mit_vector": (0x1F8, 8),
    "current_mit_vector": (0x200, 8),
    "reserved_208": (0x208, 152),
}
"""Name → offset, size. Values are integers or bytes; bytes shorter than the field end in zeros."""

_TCBS = ("reported_tcb", "committed_tcb", "current_tcb", "launch_tcb")
Tcb = Mapping[str, int]
FieldValue = int | bytes | Tcb


def encode_tcb(product: amd.Product, tcb: Tcb) -> bytes:
    """The 8 bytes of a TCB_VERSION under this product's layout."""
    out = bytearray(8)
    for component, value in tcb.items():
        out[product.layout[component]] = value
    return bytes(out)


def chip(number: int, product: amd.Product) -> bytes:
    """CHIP_ID of the simulator's chip of this number; of Turin 8 bytes and zeros."""
    return hashlib.sha512(b"simulated chip %d" % number).digest()[: product.hwid_size].ljust(64, b"\0")


@dataclass
class SnpPlan:
    """Everything that goes into one report and its endorsements; a fault changes one thing of it.

    fields: of the report, as in FIELDS. report_key: name of the key that signs the report. give: which of
    leaf, intermediate and root are handed out. crl: None for no list. edit: last change to the finished
    bytes, outside the signature.
    """

    product: amd.Product
    kind: amd.Kind
    at: datetime
    keys: Keyring
    fields: dict[str, int | bytes]
    root: CertificatePlan
    intermediate: CertificatePlan
    leaf: CertificatePlan
    crl: CrlPlan | None
    report_key: str = ""
    give: tuple[str, ...] = ("leaf", "intermediate", "root")
    edit: Callable[[bytearray], None] | None = None
    more_certificates: list[bytes] = field(default_factory=list)

    def build(self) -> Simulated:
        signed = encode(self.fields)
        signature = self.keys.raw_ecdsa(self.report_key or self.leaf.key, signed)
        r, s = signature[:48][::-1], signature[48:][::-1]
        raw = bytearray(signed + r.ljust(72, b"\0") + s.ljust(72, b"\0")).ljust(SIZE, b"\0")
        if self.edit is not None:
            self.edit(raw)
        report = bytes(raw)
        plans = {"leaf": self.leaf, "intermediate": self.intermediate, "root": self.root}
        given = {part: plan.build(self.keys) for part, plan in plans.items() if part in self.give}
        certificates = (*given.values(), *self.more_certificates)
        files = {"simulated-report.bin": report}
        if "leaf" in given:
            files[f"simulated-{self.kind}.der"] = given["leaf"]
        chain = b"".join(pem(given[part]) for part in ("intermediate", "root") if part in given)
        if chain:
            files["simulated-cert-chain.pem"] = chain
        for index, certificate in enumerate(self.more_certificates):
            files[f"simulated-more-{index}.der"] = certificate
        crls: tuple[bytes, ...] = ()
        if self.crl is not None:
            crls = (self.crl.build(self.keys),)
            files["simulated-ark.crl"] = crls[0]
        return Simulated(
            report,
            files,
            self.at,
            certificates,
            lambda: _evidence(report),
            endorsements_of(certificates, crls),
        )


def encode(fields: Mapping[str, int | bytes]) -> bytes:
    """The 672 signed bytes. Raises ValueError for an unknown field or a value that does not fit."""
    out = bytearray(SIGNED)
    for name, value in fields.items():
        if name not in FIELDS:
            raise ValueError(f"a report has no field {name!r}")
        offset, size = FIELDS[name]
        try:
            content = value.to_bytes(size, "little") if isinstance(value, int) else value.ljust(size, b"\0")
        except OverflowError:
            content = bytes(size + 1)
        if len(content) != size:
            raise ValueError(f"{name} is {size} bytes")
        out[offset : offset + size] = content
    return bytes(out)


def plan(
    keys: Keyring,
    made: datetime,
    at: datetime,
    *,
    product: str = "genoa",
    version: int = 5,
    signing_key: amd.Kind = "vcek",
    chip_number: int = 0,
    tcb: Tcb | None = None,
    **fields: FieldValue,
) -> SnpPlan:
    """An honest report with these fields, not yet signed.

    product: milan, genoa, turin, bergamo or siena. version: 2 to 5. tcb: components of all four TCBs that
    differ from the product's default; `reported_tcb` and the others, as maps of components, differ alone,
    and the ones that must not be lower follow. fields: any of FIELDS. Raises ValueError.
    """
    line, model = amd.MODELS.get(product, (product, None))
    if line not in amd.PRODUCTS:
        raise ValueError(f"product is one of {', '.join((*amd.PRODUCTS, *amd.MODELS))}")
    if signing_key not in ("vcek", "vlek"):
        raise ValueError("signing_key is vcek or vlek")
    unknown = set(fields) - set(FIELDS)
    if unknown:
        raise ValueError(f"a report has no field {', '.join(sorted(unknown))}")
    chosen = amd.PRODUCTS[line]
    tcbs, rest = _tcbs(chosen, tcb, fields)
    chip_id = bytes(64) if signing_key == "vlek" else chip(chip_number, chosen)
    major, minor, build = chosen.firmware
    values: dict[str, int | bytes] = {
        "version": version,
        "policy": 0x30000,
        "vmpl": 0,
        "signature_algo": 1,
        "platform_info": 0x25,
        "key_info": 0 if signing_key == "vcek" else 1 << 2,
        "measurement": hashlib.sha384(b"simulated launch").digest(),
        "report_id": hashlib.sha256(b"simulated guest").digest(),
        "report_id_ma": b"\xff" * 32,
        "chip_id": chip_id,
        "current_major": major,
        "current_minor": minor,
        "current_build": build,
        "committed_major": major,
        "committed_minor": minor,
        "committed_build": build,
    }
    if version >= 3:
        values["cpuid_fam_id"] = chosen.family
        values["cpuid_mod_id"] = chosen.model if model is None else model
        values["cpuid_step"] = chosen.stepping
    if version >= 5:
        values["launch_mit_vector"] = values["current_mit_vector"] = 1
    values.update({name: encode_tcb(chosen, parts) for name, parts in tcbs.items()})
    values.update(rest)
    root = amd.ark(keys, chosen, made)
    intermediate = amd.intermediate(keys, chosen, signing_key, root)
    own_chip = values["chip_id"]
    leaf = amd.leaf(
        chosen,
        signing_key,
        intermediate,
        tcbs["reported_tcb"],
        own_chip if isinstance(own_chip, bytes) else chip_id,
        day_of(at),
    )
    return SnpPlan(
        chosen, signing_key, at, keys, values, root, intermediate, leaf, amd.crl(chosen, root, day_of(at))
    )


def _tcbs(
    product: amd.Product, common: Tcb | None, fields: Mapping[str, FieldValue]
) -> tuple[dict[str, dict[str, int]], dict[str, int | bytes]]:
    """The four TCBs as components, each at least as high as the one below it; and the other fields."""
    base = {**product.tcb, **(common or {})}
    tcbs: dict[str, dict[str, int]] = {}
    below: dict[str, int] = dict.fromkeys(base, 0)
    rest: dict[str, int | bytes] = {}
    for name in _TCBS:
        given = fields.get(name)
        if isinstance(given, Mapping):
            tcbs[name] = {**base, **given}
        else:
            tcbs[name] = {component: max(value, below[component]) for component, value in base.items()}
        if unknown := set(tcbs[name]) - set(product.layout):
            raise ValueError(f"{product.title} has no TCB component {', '.join(sorted(unknown))}")
        below = tcbs[name]
    for name, value in fields.items():
        if not isinstance(value, Mapping):
            rest[name] = value
        elif name not in _TCBS:
            raise ValueError(f"{name} is one value, without parts")
    return tcbs, rest


def _evidence(report: bytes) -> Evidence:
    from attest.evidence import Evidence
    from attest.snp.report import Report

    return Evidence(cpu=Report.parse(report))
