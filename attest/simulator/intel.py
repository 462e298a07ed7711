"""Intel's certificates and lists: the PCK chain with its SGX extension, the TCB signer, both CRLs.

Source: Intel SGX PCK certificate and CRL profile specification.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

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

SGX_EXTENSION = "1.2.840.113741.1.13.1"
ROOT = "p256/intel-root"
_PLACE = "L=Santa Clara,ST=CA,C=US"
_ROOT_CRL = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
_PCK_CRL = "https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl?ca={}&encoding=der"


@dataclass
class SgxFacts:
    """What the SGX extension says. components: 16 SVNs. cpusvn: None for their bytes. platform_instance_id:
    None, with configuration, for a leaf of the Processor CA. edit: OID tail → value in its place, None to
    leave it out."""

    components: list[int]
    pcesvn: int
    fmspc: bytes
    ppid: bytes
    pceid: bytes = bytes(2)
    cpusvn: bytes | None = None
    sgx_type: int = 1
    platform_instance_id: bytes | None = None
    dynamic_platform: bool = True
    cached_keys: bool = True
    smt_enabled: bool = True
    edit: dict[str, bytes | None] = field(default_factory=dict)

    def encode(self) -> bytes:
        cpusvn = bytes(self.components) if self.cpusvn is None else self.cpusvn
        tcb = {f"2.{i + 1}": der.integer(svn) for i, svn in enumerate(self.components)}
        tcb["2.17"] = der.integer(self.pcesvn)
        tcb["2.18"] = der.octets(cpusvn)
        parts = {
            "1": der.octets(self.ppid),
            "2": self._pairs(tcb),
            "3": der.octets(self.pceid),
            "4": der.octets(self.fmspc),
            "5": der.enumerated(self.sgx_type),
        }
        if self.platform_instance_id is not None:
            parts["6"] = der.octets(self.platform_instance_id)
            parts["7"] = self._pairs(
                {
                    "7.1": der.boolean(self.dynamic_platform),
                    "7.2": der.boolean(self.cached_keys),
                    "7.3": der.boolean(self.smt_enabled),
                }
            )
        return self._pairs(parts)

    def _pairs(self, parts: dict[str, bytes]) -> bytes:
        kept = {tail: self.edit.get(tail, value) for tail, value in parts.items()}
        return der.sequence(
            *(
                der.sequence(der.oid(f"{SGX_EXTENSION}.{tail}"), value)
                for tail, value in kept.items()
                if value is not None
            )
        )


def _plan(
    keys: Keyring,
    common_name: str,
    key: str,
    issuer: CertificatePlan | None,
    validity: tuple[datetime, datetime],
    *extensions: Extension,
    organisation: str = "Intel Corporation",
) -> CertificatePlan:
    own = name(f"CN={common_name},O={organisation},{_PLACE}")
    signer = issuer.key if issuer else key
    identifier = keys.identifier(key)
    return CertificatePlan(
        own,
        issuer.subject if issuer else own,
        key,
        signer,
        # Intel's serial numbers are the subject key identifiers.
        int.from_bytes(identifier, "big"),
        *validity,
        [
            authority_key_id(keys.identifier(signer)),
            *extensions,
            subject_key_id(identifier),
        ],
    )


def root(keys: Keyring) -> CertificatePlan:
    return _plan(
        keys,
        "Intel SGX Root CA",
        ROOT,
        None,
        (datetime(2018, 5, 21, 10, 45, 10, tzinfo=UTC), datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)),
        crl_point(_ROOT_CRL),
        key_usage("key_cert_sign", "crl_sign"),
        basic_constraints(True, 1),
        simulator_mark("intel-sgx-root"),
        organisation="SIMULATED Intel Corporation",
    )


def pck_ca(keys: Keyring, issuer: CertificatePlan, ca: str) -> CertificatePlan:
    """ca: `platform` or `processor`."""
    return _plan(
        keys,
        f"Intel SGX PCK {ca.title()} CA",
        f"p256/pck-{ca}-ca",
        issuer,
        (datetime(2018, 5, 21, 10, 50, 10, tzinfo=UTC), datetime(2045, 5, 21, 10, 50, 10, tzinfo=UTC)),
        crl_point(_ROOT_CRL),
        key_usage("key_cert_sign", "crl_sign"),
        basic_constraints(True, 0),
    )


def pck(keys: Keyring, issuer: CertificatePlan, ca: str, at: datetime) -> CertificatePlan:
    """The leaf without its SGX extension."""
    return _plan(
        keys,
        "Intel SGX PCK Certificate",
        "p256/pck",
        issuer,
        (at - timedelta(days=60), at - timedelta(days=60) + timedelta(days=7 * 365)),
        crl_point(_PCK_CRL.format(ca)),
        key_usage("digital_signature", "content_commitment"),
        basic_constraints(False),
    )


def tcb_signer(keys: Keyring, issuer: CertificatePlan, at: datetime) -> CertificatePlan:
    return _plan(
        keys,
        "Intel SGX TCB Signing",
        "p256/tcb-signing",
        issuer,
        (at - timedelta(days=500), at - timedelta(days=500) + timedelta(days=7 * 365)),
        crl_point(_ROOT_CRL),
        key_usage("digital_signature", "content_commitment"),
        basic_constraints(False),
    )


def root_crl(issuer: CertificatePlan, at: datetime) -> CrlPlan:
    """About a year, empty, number 1 for ever: as Intel's."""
    return CrlPlan(issuer.subject, issuer.key, at - timedelta(days=40), at + timedelta(days=325), 1)


def pck_crl(issuer: CertificatePlan, at: datetime) -> CrlPlan:
    """Thirty days; other platforms' keys are listed, each as of this very list."""
    this_update = at - timedelta(days=2)
    listed = [
        int.from_bytes(hashlib.sha256(b"simulated extracted key %d" % i).digest()[:20], "big")
        for i in range(3)
    ]
    return CrlPlan(
        issuer.subject,
        issuer.key,
        this_update,
        this_update + timedelta(days=30),
        1,
        [(serial, this_update, 1) for serial in listed],
    )
