"""The simulator itself: keys, roots and a clock; honest evidence, or evidence with one fault."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from attest.anchors import Anchors
from attest.simulator import amd, azure_chain, intel, nvidia
from attest.simulator.azure import AzurePlan
from attest.simulator.azure import plan as azure_plan
from attest.simulator.certificates import CertificatePlan, pem
from attest.simulator.device import Device, DevicePlan, list_of
from attest.simulator.fabric import plan as fabric_plan
from attest.simulator.faults import find, planned
from attest.simulator.gpu import plan as gpu_plan
from attest.simulator.keys import Keyring
from attest.simulator.machine import MachinePlan
from attest.simulator.nras import SimulatedNras
from attest.simulator.nras import plan as nras_plan
from attest.simulator.paravisor import Paravisor
from attest.simulator.simulated import Simulated
from attest.simulator.site import SitePlan, site_key
from attest.simulator.snp import SnpPlan
from attest.simulator.snp import plan as snp_plan
from attest.simulator.switch import plan as switch_plan
from attest.simulator.tdx import TdxPlan
from attest.simulator.tdx import plan as tdx_plan
from attest.site import SiteStatement, is_origin

_RTMRS = ("rtmr0", "rtmr1", "rtmr2", "rtmr3")
"""All zero in Azure's TDs: the paravisor measures into the TPM."""


class Simulator:
    """Makes SNP, TDX and GPU evidence under roots of its own.

    at: the instant everything is made for: certificates, lists and collateral are valid then. The same
    verifier checks it as checks real evidence, with `Anchors.production().with_simulator(roots_pem)`.
    """

    def __init__(self, keys: Keyring, made: datetime, at: datetime) -> None:
        self._keys = keys
        self._made = made
        self.at = at

    @classmethod
    def create(cls, at: datetime) -> Simulator:
        """New keys. at: aware; seconds count. Takes a second or two: AMD's roots are RSA-4096."""
        if at.tzinfo is None:
            raise ValueError("`at` needs a time zone")
        at = at.astimezone(UTC).replace(microsecond=0)
        return cls(Keyring(), at, at)

    def moved_to(self, at: datetime) -> Simulator:
        """The same keys and roots at another instant: lists and collateral are made anew for it."""
        if at.tzinfo is None:
            raise ValueError("`at` needs a time zone")
        return Simulator(self._keys, self._made, at.astimezone(UTC).replace(microsecond=0))

    def warm(self) -> None:
        """Make every key that honest evidence of any kind needs, so that `save` keeps them all."""
        for product in amd.PRODUCTS:
            for signing_key in ("vcek", "vlek"):
                self.snp(product=product, signing_key=signing_key)
        for authority in ("platform", "processor"):
            self.tdx(ca=authority)
        self.azure()
        self.gpu()
        self.gpu(architecture="blackwell")
        self.fabric()

    def save(self, path: str | Path) -> None:
        """Keep keys and roots in one file (private keys: for its owner alone)."""
        self.roots_pem  # noqa: B018  (makes the roots, so that every load has the same)
        self._keys.save(Path(path), made=self._made.isoformat(), at=self.at.isoformat())

    @classmethod
    def load(cls, path: str | Path, at: datetime | None = None) -> Simulator:
        """What `save` kept, at its own instant or at another. Raises ValueError, OSError."""
        keys, state = Keyring.load(Path(path))
        try:
            made, kept = datetime.fromisoformat(state["made"]), datetime.fromisoformat(state["at"])
        except (KeyError, ValueError):
            raise ValueError(f"{path} is not a simulator state file") from None
        simulator = cls(keys, made, kept)
        return simulator if at is None else simulator.moved_to(at)

    # -- roots -----------------------------------------------------------------------------------------

    def _roots(self) -> list[CertificatePlan]:
        return [
            *(amd.ark(self._keys, product, self._made) for product in amd.PRODUCTS.values()),
            intel.root(self._keys),
            nvidia.device_root(self._keys),
            nvidia.rim_root(self._keys),
            azure_chain.root(self._keys, self._made),
        ]

    @property
    def roots_pem(self) -> bytes:
        """All roots, each with the simulator's critical extension."""
        return b"".join(pem(root.build(self._keys)) for root in self._roots())

    def anchors(self) -> Anchors:
        """The vendors' roots and this simulator's."""
        return Anchors.production().with_simulator(self.roots_pem)

    # -- evidence --------------------------------------------------------------------------------------

    def snp(self, *, fault: str | None = None, **keywords: Any) -> Simulated:
        """One SEV-SNP report. keywords: as in `attest.simulator.snp.plan`. Raises ValueError."""
        return self._marked(self.plan_snp(fault=fault, **keywords).build())

    def tdx(self, *, fault: str | None = None, **keywords: Any) -> Simulated:
        """One TDX quote. keywords: as in `attest.simulator.tdx.plan`. Raises ValueError."""
        return self._marked(self.plan_tdx(fault=fault, **keywords).build())

    def azure(self, *, fault: str | None = None, **keywords: Any) -> Simulated:
        """One Azure confidential VM; `files` has the evidence document. keywords: as in
        `attest.simulator.azure.plan`. Raises ValueError."""
        return self._marked(self.plan_azure(fault=fault, **keywords).build())

    def gpu(self, *, fault: str | None = None, **keywords: Any) -> Simulated:
        """One Hopper or Blackwell GPU. keywords: as in `attest.simulator.gpu.plan`. Raises ValueError."""
        return self._marked(list_of([self.plan_gpu(fault=fault, **keywords).build()], self.at))

    def gpus(self, count: int, nonce: bytes, **keywords: Any) -> Simulated:
        """Several GPUs asked with one nonce."""
        devices = [self.plan_gpu(nonce=nonce, index=index, **keywords).build() for index in range(count)]
        return self._marked(list_of(devices, self.at))

    def switch(self, *, fault: str | None = None, **keywords: Any) -> Simulated:
        """One LS10 NVSwitch. keywords: as in `attest.simulator.switch.plan`. Raises ValueError."""
        return self._marked(list_of([self.plan_switch(fault=fault, **keywords).build()], self.at))

    def fabric(self, *, fault: str | None = None, **keywords: Any) -> Simulated:
        """Eight GPUs and four switches in protected PCIe mode, without a CPU. keywords: nonce, driver. Raises
        ValueError."""
        plan = fabric_plan(self.plan_gpu, self.plan_switch, self.at, **keywords)
        if fault is not None:
            chosen = find(fault)
            if chosen.vendor != "fabric":
                raise ValueError(f"{fault} is a fault of {chosen.vendor}, not of fabric")
            chosen.apply(plan)
        return self._marked(plan.build())

    def machine(
        self,
        *,
        cpu: str = "snp",
        gpus: int = 1,
        switches: int = 0,
        nonce: bytes,
        key: Mapping[str, Any] | None = None,
        fault: str | None = None,
        gpu_keywords: Mapping[str, Any] | None = None,
        **cpu_keywords: Any,
    ) -> Simulated:
        """CPU, GPUs and switches bound to each other, to a challenge and to a key (guest protocol 0.4).

        A node in protected PCIe mode: `gpus=8, switches=4, mode="ppcie", driver="590.48.01"`.
        nonce: the challenge's bytes. key: JWK, all members. fault: of the machine, its CPU or its first GPU.
        cpu_keywords, gpu_keywords: for the CPU's and each GPU's plan; `architecture`, `driver`, `vbios`, `mode`
        and `measurements` may stand among the former. Raises ValueError.
        """
        if cpu not in ("snp", "tdx"):
            raise ValueError("cpu is snp or tdx")
        if gpus < 0 or switches < 0:
            raise ValueError("gpus and switches are counts, 0 or more")
        device_keywords = dict(gpu_keywords or {})
        for name in ("architecture", "driver", "vbios", "mode", "measurements", "opaque_version"):
            if name in cpu_keywords:
                device_keywords[name] = cpu_keywords.pop(name)
        vendor = find(fault).vendor if fault else None
        if vendor in ("snp", "tdx") and vendor != cpu:
            raise ValueError(f"{fault} is a fault of {vendor}; this machine is {cpu}")

        def make_cpu(report_data: bytes) -> Simulated:
            own = fault if vendor == cpu else None
            if cpu == "snp":
                return self.plan_snp(fault=own, report_data=report_data, **cpu_keywords).build()
            return self.plan_tdx(fault=own, report_data=report_data, **cpu_keywords).build()

        def make_device(index: int, asked: bytes) -> Device:
            own = fault if vendor == "gpu" and index == 0 else None
            return self.plan_gpu(fault=own, index=index, nonce=asked, **device_keywords).build()

        def make_switch(index: int, asked: bytes) -> Device:
            return self.plan_switch(index=index, nonce=asked).build()

        plan = MachinePlan(self.at, cpu, nonce, key, list(range(gpus)), make_cpu, make_device)
        plan.switches, plan.switch = list(range(switches)), make_switch
        if fault is not None and vendor == "machine":
            find(fault).apply(plan)
        return self._marked(plan.build())

    def site(
        self,
        *,
        origin: str = "https://site.example",
        cpu: str = "snp",
        gpus: int = 1,
        nonce: bytes,
        key: Mapping[str, Any] | None = None,
        fault: str | None = None,
        **cpu_keywords: Any,
    ) -> Simulated:
        """What a site answers a browser: CPU, GPUs of the epoch and the statement, bound to each other.

        nonce: the client's 32 bytes. key: the site's JWK; by default one of its own, `use: direct`. fault:
        of the site. Raises ValueError.
        """
        if cpu not in ("snp", "tdx"):
            raise ValueError("cpu is snp or tdx")
        if gpus < 0:
            raise ValueError("gpus is a count, 0 or more")
        if not is_origin(origin):
            raise ValueError("origin is https://host, as browsers write it")

        def make_cpu(report_data: bytes) -> Simulated:
            plan: SnpPlan | TdxPlan
            if cpu == "snp":
                plan = self.plan_snp(report_data=report_data, **cpu_keywords)
            else:
                plan = self.plan_tdx(report_data=report_data, **cpu_keywords)
            return plan.build()

        def make_device(index: int, asked: bytes) -> Device:
            return self.plan_gpu(index=index, nonce=asked).build()

        epoch = hashlib.sha256(b"epoch").digest()
        statement = SiteStatement(key or site_key(), epoch, self.at.replace(microsecond=0), (origin,))
        plan = SitePlan(self.at, cpu, nonce, statement, statement, gpus, make_cpu, make_device)
        if fault is not None:
            chosen = find(fault)
            if chosen.vendor != "site":
                raise ValueError(f"{fault} is a fault of {chosen.vendor}, not of site")
            chosen.apply(plan)
        return self._marked(plan.build())

    def paravisor(self, kind: str = "snp", **keywords: Any) -> Paravisor:
        """Azure's paravisor for a TPM of your own: `paravisor.report(user_data, ak)` is the HCL report.

        kind: `snp` or `tdx`. keywords: of the hardware's plan. Raises ValueError.
        """
        if kind not in ("snp", "tdx"):
            raise ValueError("kind is snp or tdx")
        if kind == "snp":
            return Paravisor(kind, lambda: self.plan_snp(**{"product": "milan", "version": 3, **keywords}))
        return Paravisor(kind, lambda: self.plan_tdx(**{**dict.fromkeys(_RTMRS, bytes(48)), **keywords}))

    def ak_certificate(self, ak: rsa.RSAPublicKey) -> tuple[bytes, bytes]:
        """Azure's certificate of this attestation key and the intermediate above it, both DER."""
        issuer = azure_chain.ca(self._keys, azure_chain.root(self._keys, self._made))
        return (
            azure_chain.ak(self._keys, issuer, self.at, public=ak).build(self._keys),
            issuer.build(self._keys),
        )

    def nras(self, *, fault: str | None = None, **keywords: Any) -> SimulatedNras:
        """The remote attestation service's answer about GPUs. keywords: as in `attest.simulator.nras.plan`.
        Raises ValueError."""
        return planned("nras", fault, nras_plan, self._keys, self._made, self.at, keywords).build()

    def _marked(self, made: Simulated) -> Simulated:
        return replace(made, roots_pem=self.roots_pem)

    # -- plans: everything before it is signed -----------------------------------------------------------

    def plan_snp(self, *, fault: str | None = None, **keywords: Any) -> SnpPlan:
        """What `snp` builds, for a test that changes more than a keyword can."""
        return planned("snp", fault, snp_plan, self._keys, self._made, self.at, keywords)

    def plan_tdx(self, *, fault: str | None = None, **keywords: Any) -> TdxPlan:
        """What `tdx` builds."""
        return planned("tdx", fault, tdx_plan, self._keys, self._made, self.at, keywords)

    def plan_azure(self, *, fault: str | None = None, **keywords: Any) -> AzurePlan:
        """What `azure` builds."""
        return planned("azure", fault, azure_plan, self._keys, self._made, self.at, keywords)

    def plan_gpu(self, *, fault: str | None = None, **keywords: Any) -> DevicePlan:
        """What `gpu` builds."""
        return planned("gpu", fault, gpu_plan, self._keys, self._made, self.at, keywords)

    def plan_switch(self, *, fault: str | None = None, **keywords: Any) -> DevicePlan:
        """What `switch` builds."""
        return planned("switch", fault, switch_plan, self._keys, self._made, self.at, keywords)
