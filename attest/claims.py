"""The claim tree: names, types, units, and where each comes from.

A claim is kept as canonical text from the moment it is made: bytes as lower-case hex, integers in
decimal, booleans as `true` and `false`, instants as RFC 3339 `Z`, durations as `Ns`, sets as sorted
lists, a TCB as a map of components. So the tree serialises as RFC 8785 JSON of strings, byte-equal in
every implementation, and policies read both sides of a comparison with the same reader.

Sections are those of policies; `gpu` and `switch` are lists with one entry a device. `raw` holds the
vendors' own field names in snake_case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

Text: TypeAlias = str
ClaimValue: TypeAlias = str | Sequence[str] | Mapping[str, str]
Section: TypeAlias = Mapping[str, ClaimValue]
Kind: TypeAlias = Literal[
    "bool", "int", "bits", "bytes", "text", "set", "version", "vbios", "tcb", "svn", "date", "duration"
]

SECTIONS = ("evidence", "snp", "tdx", "azure", "gpu", "switch", "binding", "boot", "time")
DEVICE_SECTIONS = frozenset({"gpu", "switch"})


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim a policy can speak of.

    kind: how its text is read. size: admissible byte lengths for `bytes`. values: the closed set for
    enumerated text. about: a phrase for documentation, units included.
    """

    section: str
    name: str
    kind: Kind
    about: str
    size: tuple[int, ...] = ()
    values: tuple[str, ...] = ()


def _claims() -> dict[str, dict[str, Claim]]:
    table: dict[str, dict[str, Claim]] = {section: {} for section in SECTIONS}

    def add(
        section: str, names: str, kind: Kind, about: str, size: tuple[int, ...] = (), values: str = ""
    ) -> None:
        for name in names.split():
            table[section][name] = Claim(section, name, kind, about, size, tuple(values.split()))

    add("evidence", "verified-by", "text", "who verified: self, or a token issuer's name")
    add("evidence", "simulated", "bool", "true where any root is a simulator's")

    add("snp", "product", "text", "product line of the verified root", values="milan genoa turin")
    add("snp", "tcb", "tcb", "REPORTED_TCB, the TCB the signing key is derived for")
    add("snp", "tcb-committed", "tcb", "COMMITTED_TCB, the platform's anti-rollback floor")
    add("snp", "tcb-launch", "tcb", "LAUNCH_TCB, current TCB when the guest was launched")
    add("snp", "firmware", "version", "COMMITTED firmware, major.minor.build")
    add("snp", "abi", "version", "minimum firmware ABI that POLICY accepts")
    add("snp", "debug", "bool", "POLICY bit 19: the host may read and write guest memory")
    add("snp", "migrate-ma", "bool", "POLICY bit 18: a migration agent may be bound")
    add("snp", "smt-allowed", "bool", "POLICY bit 16")
    add("snp", "single-socket", "bool", "POLICY bit 20: only one socket may run the guest")
    add("snp", "smt", "bool", "PLATFORM_INFO bit 0: simultaneous multithreading is on")
    add("snp", "tsme", "bool", "PLATFORM_INFO bit 1: transparent memory encryption is on")
    add("snp", "ecc", "bool", "PLATFORM_INFO bit 2: ECC memory")
    add("snp", "rapl-off", "bool", "PLATFORM_INFO bit 3: power metering is disabled")
    add("snp", "ciphertext-hiding", "bool", "PLATFORM_INFO bit 4: DRAM ciphertext is hidden from the host")
    add("snp", "alias-check", "bool", "PLATFORM_INFO bit 5: memory alias check completed (BadRAM)")
    add("snp", "vmpl", "int", "privilege level that asked for the report, 0 highest")
    add("snp", "guest-svn", "int", "guest security version from the ID block")
    add("snp", "report-version", "int", "layout version of the report")
    add("snp", "measurement", "bytes", "launch digest", size=(48,))
    add("snp", "id-key", "bytes", "ID_KEY_DIGEST; absent without an ID block", size=(48,))
    add("snp", "author-key", "bytes", "AUTHOR_KEY_DIGEST; absent unless AUTHOR_KEY_EN", size=(48,))
    add(
        "snp",
        "host-data",
        "bytes",
        "chosen by the host at launch, not measured; absent when zero",
        size=(32,),
    )
    add("snp", "report-id", "bytes", "random per guest instance", size=(32,))
    add("snp", "chip-id", "bytes", "the chip; absent when masked", size=(64,))
    add("snp", "family-id image-id", "bytes", "from the ID block", size=(16,))
    add("snp", "signing-key", "text", "kind of the leaf certificate", values="vcek vlek")
    add("snp", "csp", "text", "cloud provider named in a VLEK")
    add("snp", "mitigations-launch mitigations-current", "bits", "mitigation vector; report version 5 on")
    add("snp", "policy-unknown-bits", "bits", "POLICY bits that no known firmware defines")
    add("snp", "crl", "text", "state of the ARK's revocation list", values="fresh stale revoked absent")

    add(
        "tdx",
        "tcb-status",
        "text",
        "merged TCB status by Intel's algorithm",
        values="UpToDate SWHardeningNeeded ConfigurationNeeded ConfigurationAndSWHardeningNeeded OutOfDate "
        "OutOfDateConfigurationNeeded TDRelaunchAdvised TDRelaunchAdvisedConfigurationNeeded Revoked",
    )
    add("tdx", "tcb-lag", "duration", "time since the lowest missed level; 0s when UpToDate")
    add("tdx", "tcb-evaluation", "int", "tcbEvaluationDataNumber of the collateral used")
    add("tdx", "tcb-date", "date", "tcbDate of the matched level")
    add("tdx", "advisories", "set", "advisories of platform, module and QE levels")
    add("tdx", "tee-tcb-svn", "svn", "TEE_TCB_SVN, 16 bytes")
    add("tdx", "debug", "bool", "any bit of TDATTRIBUTES byte 0")
    add("tdx", "migratable", "bool", "TDATTRIBUTES bit 29")
    add("tdx", "sept-ve-disable", "bool", "TDATTRIBUTES bit 28")
    add("tdx", "attributes", "bits", "TDATTRIBUTES")
    add("tdx", "xfam", "bits", "XFAM")
    add(
        "tdx",
        "mrseam mrtd rtmr0 rtmr1 rtmr2 rtmr3 mrconfigid mrowner mrownerconfig mrservicetd",
        "bytes",
        "measurement register; mrconfigid, mrowner and mrownerconfig are absent when zero",
        size=(48,),
    )
    add("tdx", "fmspc", "bytes", "platform family of the PCK certificate", size=(6,))
    add("tdx", "crl", "text", "state of Intel's revocation lists", values="fresh stale")
    add("tdx", "event-log", "text", "event log against the signed RTMRs", values="replayed mismatch absent")

    add("azure", " ".join(f"pcr{i}" for i in range(24)), "bytes", "TPM PCR, SHA-256 bank", size=(32,))
    add("azure", "secure-boot user-data-bound", "bool", "from the paravisor's runtime data")
    add("azure", "vm-id", "text", "vmUniqueId of the runtime data")
    add("azure", "evidence-version", "int", "version of the evidence document")
    add("azure", "ak-cert", "text", "attestation key certificate", values="azure absent")

    for section in ("gpu", "switch"):
        add(section, "architecture", "text", "hopper, blackwell or ls10, from the leaf certificate")
        add(section, "model", "text", "chip of the leaf certificate")
        add(section, "id", "text", "serial number of the device identity certificate, hex")
        add(section, "measurements", "text", "against the golden values", values="match mismatch no-rim")
        add(
            section,
            "cert",
            "text",
            "worst of device and RIM chains",
            values="good hold revoked unknown absent",
        )
        add(section, "evidence-age", "duration", "age of the device epoch; site evidence only")
        add(section, "count", "int", "number of devices of this part")
    add("gpu", "driver", "version", "driver version, signed opaque field 3")
    add("gpu", "vbios", "vbios", "VBIOS version, signed opaque field 6")
    add("gpu", "mode", "text", "single, multi or protected PCIe pass-through", values="spt mpt ppcie")
    add("gpu", "driver-rim vbios-rim", "text", "reference manifest", values="valid expired revoked absent")
    add("switch", "bios", "vbios", "BIOS version, signed opaque field 6")
    add("switch", "locked", "bool", "signed opaque field 25")
    add("switch", "bios-rim", "text", "reference manifest", values="valid expired revoked absent")

    add("binding", "nonce", "bool", "the evidence carries the challenge we gave")
    add("binding", "key", "bool", "the evidence carries the key we expected")
    add("binding", "gpu-to-cpu", "bool", "the CPU's report data covers the device evidence")
    add(
        "binding",
        "gpu-strength",
        "text",
        "how firmly the devices are tied to the CPU; raw.binding says its limit in words",
        values="covered same-challenge none",
    )
    add(
        "binding",
        "init-data",
        "bytes",
        "digest of init-data that the hardware report carries",
        size=(32, 48, 64),
    )
    add("binding", "protocol", "version", "guest protocol the evidence came by")

    # Each is the word of what ran before it: kernel of the firmware, the other two of the kernel.
    add(
        "boot",
        "kernel",
        "bytes",
        "Authenticode digest of the one image started; pin the firmware too",
        (32, 48),
    )
    add("boot", "initrd", "bytes", "digest of the initrd; pin firmware, kernel and cmdline too", (32, 48))
    add(
        "boot",
        "cmdline",
        "bytes",
        "digest of the load options; pin firmware, kernel and initrd too",
        (32, 48),
    )
    add("boot", "secure-boot", "bool", "SecureBoot before the first separator; pin the firmware too")

    add("time", "evidence-age", "duration", "since our nonce was made")
    add("time", "collateral-age", "duration", "since the oldest thisUpdate or issueDate used")
    return table


CLAIMS: Mapping[str, Mapping[str, Claim]] = MappingProxyType(
    {section: MappingProxyType(claims) for section, claims in _claims().items()}
)


# -- canonical text ---------------------------------------------------------------------------------


def flag(value: bool) -> str:
    return "true" if value else "false"


def instant(value: datetime) -> str:
    """RFC 3339 in UTC with Z, whole seconds."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def duration(value: timedelta) -> str:
    """Whole seconds, `90s`; never negative."""
    return f"{max(0, int(value.total_seconds()))}s"


def read_instant(text: str) -> datetime:
    """The reverse of `instant`. Raises ValueError."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def freeze(tree: Any) -> Any:
    """The same tree of maps, lists and text, which nobody can change."""
    if isinstance(tree, Mapping):
        return MappingProxyType({name: freeze(value) for name, value in tree.items()})
    if isinstance(tree, (list, tuple)):
        return tuple(freeze(value) for value in tree)
    return tree


def thaw(tree: Any) -> Any:
    """A copy of plain dicts and lists, for writers of JSON."""
    if isinstance(tree, Mapping):
        return {name: thaw(value) for name, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [thaw(value) for value in tree]
    return tree
