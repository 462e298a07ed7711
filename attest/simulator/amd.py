"""AMD's certificates: ARK → ASK → VCEK and ARK → ASVK → VLEK, and the ARK's revocation list.

Names, algorithms, extensions and serial numbers are AMD's; only the ARK's organisation says SIMULATED and
only the ARK has the simulator's extension. Source: AMD 57230, VCEK and VLEK certificates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from attest.simulator import der
from attest.simulator.certificates import (
    CertificatePlan,
    CrlPlan,
    Extension,
    authority_key_id,
    basic_constraints,
    crl_point,
    key_usage,
    name,
    simulator_mark,
    subject_key_id,
)
from attest.simulator.keys import Keyring

Kind = Literal["vcek", "vlek"]

ARC = "1.3.6.1.4.1.3704.1"
STRUCT_VERSION = f"{ARC}.1"
PRODUCT_NAME = f"{ARC}.2"
HWID = f"{ARC}.4"
CSP_ID = f"{ARC}.5"
SPL = {
    "bootloader": f"{ARC}.3.1",
    "tee": f"{ARC}.3.2",
    "snp": f"{ARC}.3.3",
    "microcode": f"{ARC}.3.8",
    "fmc": f"{ARC}.3.9",
}


@dataclass(frozen=True, slots=True)
class Product:
    """family, model, stepping: CPUID. layout: TCB byte of each component. tcb: what it reports by default.
    firmware: major, minor, build. serial: of the ARK; those of ASK and ASVK follow from it."""

    name: str
    title: str
    vcek_name: str
    struct_version: int
    family: int
    model: int
    stepping: int
    layout: Mapping[str, int]
    tcb: Mapping[str, int]
    firmware: tuple[int, int, int]
    serial: int
    spare: tuple[int, ...]
    hwid_size: int


_OLD = {"bootloader": 0, "tee": 1, "snp": 6, "microcode": 7}
_TURIN = {"fmc": 0, "bootloader": 1, "tee": 2, "snp": 3, "microcode": 7}

PRODUCTS: dict[str, Product] = {
    product.name: product
    for product in (
        Product(
            "milan", "Milan", "Milan-B0", 0, 0x19, 0x01, 1, _OLD,
            {"bootloader": 4, "tee": 0, "snp": 24, "microcode": 219}, (1, 55, 31), 0x10000, (4, 5, 6, 7), 64,
        ),
        Product(
            "genoa", "Genoa", "Genoa", 0, 0x19, 0x11, 1, _OLD,
            {"bootloader": 10, "tee": 0, "snp": 25, "microcode": 84}, (1, 55, 43), 0x20000, (4, 5, 6, 7), 64,
        ),
        Product(
            "turin", "Turin", "Turin", 1, 0x1A, 0x02, 1, _TURIN,
            {"fmc": 1, "bootloader": 1, "tee": 1, "snp": 4, "microcode": 75}, (1, 55, 58), 0x30000, (5, 6, 7), 8,
        ),
    )
}  # fmt: skip
MODELS = {"bergamo": ("genoa", 0xA0), "siena": ("genoa", 0xA0)}
"""Other names for Genoa's family: same roots, another CPUID model."""


def ark(keys: Keyring, product: Product, made: datetime) -> CertificatePlan:
    key = f"rsa4096/ark-{product.name}"
    subject = name(
        "OU=Engineering,C=US,L=Santa Clara,ST=CA,O=SIMULATED Advanced Micro Devices,"
        f"CN=ARK-{product.title}"
    )  # fmt: skip
    return CertificatePlan(
        subject,
        subject,
        key,
        key,
        product.serial,
        made - timedelta(days=4 * 365),
        made + timedelta(days=21 * 365),
        [
            key_usage("key_cert_sign", "crl_sign"),
            subject_key_id(keys.identifier(key)),
            basic_constraints(True),
            crl_point(f"https://kdsintf.amd.com/vcek/v1/{product.title}/crl"),
            simulator_mark(f"amd-ark-{product.name}"),
        ],
    )


def intermediate(keys: Keyring, product: Product, kind: Kind, root: CertificatePlan) -> CertificatePlan:
    """The ASK, or for a VLEK the ASVK. One key serves every product: names and issuers tell them apart."""
    key = "rsa4096/ask" if kind == "vcek" else "rsa4096/asvk"
    title = product.title if kind == "vcek" else f"VLEK-{product.title}"
    return CertificatePlan(
        name(f"OU=Engineering,C=US,L=Santa Clara,ST=CA,O=Advanced Micro Devices,CN=SEV-{title}"),
        root.subject,
        key,
        root.key,
        product.serial + (2 if kind == "vcek" else 0x101),
        root.not_before + timedelta(hours=1),
        root.not_after - timedelta(hours=1),
        [
            subject_key_id(keys.identifier(key)),
            authority_key_id(keys.identifier(root.key)),
            basic_constraints(True, 0),
            key_usage("key_cert_sign"),
            crl_point(f"https://kdsintf.amd.com/{kind}/v1/{product.title}/crl"),
        ],
    )


def leaf(
    product: Product,
    kind: Kind,
    issuer: CertificatePlan,
    tcb: Mapping[str, int],
    chip_id: bytes,
    at: datetime,
) -> CertificatePlan:
    """A VCEK (seven years) or VLEK (one year). Serial number 0, as AMD issues them; no key usage."""
    spl = {SPL[component]: value for component, value in tcb.items()}
    spl.update({f"{ARC}.3.{spare}": 0 for spare in product.spare})
    extensions = [
        Extension(STRUCT_VERSION, der.integer(product.struct_version)),
        Extension(PRODUCT_NAME, der.ia5(product.vcek_name if kind == "vcek" else product.title)),
        *(Extension(oid, der.integer(value)) for oid, value in spl.items()),
    ]
    if kind == "vcek":
        extensions.append(Extension(HWID, chip_id[: product.hwid_size]))
    else:
        extensions.append(Extension(CSP_ID, der.ia5("CN=simulated.example.com")))
    return CertificatePlan(
        name(f"OU=Engineering,C=US,L=Santa Clara,ST=CA,O=Advanced Micro Devices,CN=SEV-{kind.upper()}"),
        issuer.subject,
        f"p384/{kind}-{product.name}",
        issuer.key,
        0,
        at - timedelta(days=30),
        at + timedelta(days=7 * 365 if kind == "vcek" else 335),
        extensions,
    )


def crl(product: Product, root: CertificatePlan, at: datetime) -> CrlPlan:
    """About a year long. It revokes an older ASK, as Genoa's real one does."""
    return CrlPlan(
        root.subject,
        root.key,
        at - timedelta(days=20),
        at + timedelta(days=345),
        4,
        [(product.serial + 1, at - timedelta(days=700), None)],
    )
