"""Problem codes: collecting evidence inside a guest."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

_TSM = "Linux configfs-tsm ABI, tsm/report"

PROBLEMS: dict[str, Meaning] = {
    "collect.unsupported": Meaning(
        "This machine has no such interface",
        "collection, detection of the platform",
        "load the module or mount the file system that is named, or choose another --source",
    ),
    "collect.no-provider": Meaning(
        "The kernel has the report interface and no guest driver behind it",
        _TSM,
        "load the guest driver: modprobe sev-guest (AMD) or tdx-guest (Intel)",
    ),
    "collect.permission": Meaning(
        "Not permitted",
        "file permissions of the interface",
        "run as root, or give this user's group access to the device",
    ),
    "collect.busy": Meaning(
        "Somebody else keeps the interface busy",
        _TSM,
        "try again later; after a timeout of the host every request is refused until the host answers",
    ),
    "collect.race": Meaning(
        "Another writer changed the request before the answer was read",
        _TSM + ": generation",
        "find who else writes into our entry; nobody should",
    ),
    "collect.bad-request": Meaning(
        "The kernel or the firmware refuses this request",
        _TSM,
        "check the length of the report data, the privilege level, and --service-provider",
    ),
    "collect.timeout": Meaning(
        "No answer in time",
        "collection deadlines",
        "the host does not answer; do not repeat quickly, later requests find the interface busy",
    ),
    "collect.vmpck-disabled": Meaning(
        "The guest's message key was wiped after a failed request",
        "Linux sev-guest driver",
        "reboot the guest; until then it cannot ask for reports",
    ),
    "collect.too-large": Meaning(
        "An answer or a request is larger than the interface carries",
        "collection size limits",
        "update the kernel; old ones have smaller quote buffers",
    ),
    "collect.inconsistent": Meaning(
        "The answer is not an answer to this request",
        "RFC 9334, freshness",
        "do not use it; collect again, and look at the host if it happens twice",
    ),
    "collect.failed": Meaning(
        "The interface failed",
        "collection",
        "see the kernel's log (dmesg) for what the driver says",
    ),
    "collect.other-technology": Meaning(
        "This is a machine of another kind",
        "AWS Nitro Enclaves",
        "AWS Nitro Enclaves prove themselves with documents of AWS, which this verifier does not read",
    ),
    "collect.no-source": Meaning(
        "Nothing here can prove anything about this machine",
        "collection, detection of the platform",
        "run inside a confidential VM; each interface that was tried is listed with what is missing, and --source names one",
    ),
    "collect.tpm": Meaning(
        "The TPM refuses",
        "TCG TPM 2.0 Library, part 3",
        "look the response code up; on Azure the virtual TPM belongs to the paravisor",
    ),
    "collect.metadata": Meaning(
        "The cloud's metadata service does not give what is needed",
        "Azure Instance Metadata Service",
        "check that http://169.254.169.254 is reachable from here, without a proxy",
    ),
    "collect.quote-service": Meaning(
        "The host's quoting service does not give a quote",
        "Intel TDX DCAP, quote generation service",
        "the host must run the quoting service; check the port in /etc/tdx-attest.conf",
    ),
    "collect.gpu-library": Meaning(
        "The GPU's management library cannot be used",
        "NVIDIA Management Library",
        "install NVIDIA's driver, and pip install 'attest[collect]' for its Python interface; --nvml names another library, --gpus none collects without GPUs",
    ),
    "collect.gpu-mode": Meaning(
        "Confidential computing is off on these GPUs, or their driver does not know it",
        "NVIDIA Management Library, confidential computing state",
        "the host must start the GPUs in confidential mode; or collect without them: --gpus none",
    ),
    "collect.gpu-failed": Meaning(
        "A device gives no evidence",
        "NVIDIA Management Library",
        "see the driver's log; evidence of fewer devices than there are is not written, and --gpus none writes the CPU's alone",
    ),
    "collect.switches": Meaning(
        "Protected PCIe: the switches give no evidence",
        "NVIDIA NSCQ library",
        "install libnvidia-nscq of exactly the driver's version; --nscq names the file",
    ),
    "collect.key": Meaning(
        "This key belongs to another domain",
        "domains of report data: broker and site",
        "a broker's guest has an EC, RSA or AKP key, a site (--site) an X25519 key for HPKE",
    ),
}
