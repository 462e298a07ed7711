"""The shared vectors as sets of bytes by role, each with the instant it is judged at.

snp: report, vcek or vlek, ca, root, crl (DER). tdx: quote, then the members of dcap-qvl's collateral. nvidia:
report, certificate.0 (leaf) to certificate.4, rim.driver and rim.vbios, or rim.bios; one case a device.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from attest.azure.evidence import AzureEvidence
from attest.binding import is_public_nonce
from attest.errors import Malformed
from attest.nvidia.containers import DeviceEvidence
from attest.nvidia.spdm import decode_report
from attest.recognise import Found, recognise
from attest.x509 import parse_certificates

TEXT_PARTS = (
    "tcb_info",
    "qe_identity",
    "tcb_info_issuer_chain",
    "qe_identity_issuer_chain",
    "pck_crl_issuer_chain",
)
_HEX_PARTS = ("root_ca_crl", "pck_crl", "tcb_info_signature", "qe_identity_signature")
_REQUEST_NONCE = slice(4, 36)


@dataclass(frozen=True)
class Case:
    """platform: snp, tdx or nvidia. at: aware. nonce: what an NVIDIA report must answer, None where the one it
    has is a sample's that everybody refuses to expect. section: of an NVIDIA device. roots_pem: a simulator's, to trust beside
    the vendors'; trusted_root: what a peer trusts in their place."""

    name: str
    platform: str
    parts: Mapping[str, bytes]
    at: datetime
    nonce: bytes | None = None
    section: str = ""
    roots_pem: bytes = b""
    trusted_root: bytes = b""


@dataclass
class Vectors:
    """cases: what some peer can read. left: case → why no peer is asked."""

    cases: list[Case] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)


def read(folder: Path) -> Vectors:
    """Every case of the manifest, either among the cases or among those left, with a reason."""
    manifest = json.loads((folder / "manifest.json").read_text())
    found = Vectors()
    lists = {Path(crl["file"]).stem.removeprefix("amd_"): crl for crl in manifest["crls"]}
    for entry in manifest["cases"]:
        files = {role: folder / name for role, name in entry["files"].items()}
        try:
            made = list(_cases(entry, files, folder, lists))
        except Malformed as error:
            found.left[entry["id"]] = f"its container does not parse: {error.problems[0].code}"
            continue
        if made and isinstance(made[0], str):
            found.left[entry["id"]] = made[0]
        else:
            found.cases += [case for case in made if isinstance(case, Case)]
    return found


_NO_PEER = {
    "snp-cert": "a certificate without a report",
    "ccel": "an event log: none of the peers replays one",
    "tcg-eventlog": "an event log: none of the peers replays one",
    "nvidia-eat": "a token of NVIDIA's service: no peer checks one offline",
    "nvidia-ocsp": "an OCSP answer: NVIDIA's verifier asks the responder itself and takes none from a file",
    "nvidia-rim": "a manifest without the report of a device it is for",
}


def _cases(
    entry: dict[str, Any], files: dict[str, Path], folder: Path, lists: dict[str, Any]
) -> Iterator[Case | str]:
    kind, name = entry["kind"], entry["id"]
    if kind in _NO_PEER or kind.startswith(("kbs", "as-")):
        yield _NO_PEER.get(kind, "a message of the key broker's protocol")
        return
    if (
        not {"vcek", "vlek", "vcek_chain_pem", "evidence_json", "evidence_yaml", "collateral", "cert_chain"}
        & files.keys()
    ):
        yield "its certificates, or their chain, do not ship with it"
        return
    at = datetime.fromisoformat(entry["verify_at"])
    if kind == "snp":
        yield from _snp(name, files, at, folder, lists)
    elif kind == "az-snp-vtpm":
        yield from _azure_snp(name, files, at)
    elif kind in ("tdx", "sgx", "az-tdx-vtpm"):
        yield from _tdx(name, files, at)
    elif kind in ("nvidia-gpu", "nvidia-switch"):
        yield from _nvidia(name, files, at)
    else:
        yield f"a {kind}"


def _snp(
    name: str, files: dict[str, Path], at: datetime, folder: Path, lists: dict[str, Any]
) -> Iterator[Case | str]:
    leaf = "vlek" if "vlek" in files else "vcek"
    parts = {"report": _raw(files["report"]), leaf: _der(files[leaf])}
    for role, part in (("ask", "ca"), ("asvk", "ca"), ("ark", "root")):
        if role in files:
            parts[part] = _der(files[role])
    product = next((one for one in lists if one in name), None)
    if "ca" not in parts and product is not None:
        parts |= {
            "ca": _der(folder / f"roots/amd_{product}_ask.pem"),
            "root": _der(folder / f"roots/amd_{product}_ark.pem"),
        }
    yield Case(name, "snp", parts, at)
    if product is not None:
        # Lists are of other days than the reports: the same machine, later.
        crl = lists[product]
        later = datetime.fromisoformat(crl["this_update"]) + timedelta(days=30)
        yield Case(f"{name}+crl", "snp", parts | {"crl": _revocations(folder / crl["file"])}, max(at, later))


def _azure_snp(name: str, files: dict[str, Path], at: datetime) -> Iterator[Case | str]:
    """The hardware's report inside, without the layer above it, which no peer knows."""
    found = _recognised(files)
    cpus = [cpu for _, cpu in found.azure.put_together(found.cpus, found.certificates)]
    for cpu in cpus:
        if isinstance(cpu, AzureEvidence):
            parts = {"report": cpu.hcl.area}
            for certificate in found.certificates:
                named = certificate.common_name.shown
                part = {"SEV-VCEK": "vcek"}.get(named, "root" if named.startswith("ARK") else "ca")
                parts[part] = certificate.der
            yield Case(name, "snp", parts, at)
            return
    yield "no hardware report inside"


def _tdx(name: str, files: dict[str, Path], at: datetime) -> Iterator[Case | str]:
    if "quote" in files:
        quote = _raw(files["quote"])
    else:
        found = _recognised({role: path for role, path in files.items() if role.startswith("evidence")})
        cpu = found.evidence().cpu
        assert isinstance(cpu, AzureEvidence)
        assert cpu.td_quote is not None
        quote = cpu.td_quote.raw
    document = json.loads(files["collateral"].read_text())
    parts = {"quote": quote}
    parts |= {part: document[part].encode() for part in TEXT_PARTS}
    parts |= {part: bytes.fromhex(document[part]) for part in _HEX_PARTS}
    yield Case(name, "tdx", parts, at)


def _nvidia(name: str, files: dict[str, Path], at: datetime) -> Iterator[Case | str]:
    rims = {}
    for role, part in (("driver_rim", "driver"), ("vbios_rim", "vbios"), ("swbios_rim", "bios")):
        if role in files:
            rims[f"rim.{part}"] = files[role].read_bytes()
    if "evidence_json" in files:
        found = Found()
        recognise(name, files["evidence_json"].read_bytes(), found)
        devices = [device for device in found.devices if isinstance(device, DeviceEvidence)]
    else:
        chain = parse_certificates(files["cert_chain"].read_bytes(), where=name)
        report = DeviceEvidence.parse(files["report"].read_bytes())
        devices = [DeviceEvidence(report.report, chain)]
    for index, device in enumerate(devices):
        report_bytes = device.report.raw
        if "report" in files:
            report_bytes = decode_report(files["report"].read_bytes())
        parts = {"report": report_bytes} | {
            f"certificate.{place}": one.der for place, one in enumerate(device.chain or ())
        }
        nonce: bytes | None = report_bytes[_REQUEST_NONCE]
        if nonce is not None and is_public_nonce(nonce):
            nonce = None
        part_name = f"{name}[{index}]" if len(devices) > 1 else name
        yield Case(part_name, "nvidia", parts | rims, at, nonce, device.section)


def _recognised(files: dict[str, Path]) -> Found:
    found = Found()
    for role, path in files.items():
        if role not in ("collateral", "root"):
            recognise(path.name, path.read_bytes(), found)
    return found


def _raw(path: Path) -> bytes:
    """The structure itself: some vectors are kept as hex text."""
    data = path.read_bytes()
    text = data.strip()
    if re.fullmatch(rb"(?:0x)?[0-9a-fA-F\s]+", text):
        return bytes.fromhex(text.removeprefix(b"0x").decode())
    return data


def _der(path: Path) -> bytes:
    data = path.read_bytes()
    if b"-----BEGIN" in data:
        return parse_certificates(data, where=path.name)[0].der
    return data


def _revocations(path: Path) -> bytes:
    data = path.read_bytes()
    if b"-----BEGIN" in data:
        from attest.x509 import pem_blocks

        return pem_blocks(data, where=path.name)[0][1]
    return data
