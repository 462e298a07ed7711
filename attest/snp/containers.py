"""SEV-SNP reports in the JSON that guests of the key broker protocol send.

The report arrives as parsed fields (the serde form of the Rust crate `sev`, releases 3 to 6). It is packed
back into 1184 bytes and then read like any other report: no field of the JSON is believed. Releases 3 and 4 know
report version 2 alone and give what later versions put elsewhere as reserved bytes, which are packed as well.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

from attest.problems import malformed
from attest.snp.report import SIZE, Report
from attest.x509 import Certificate, parse_certificates

_CERT_TYPES = ("VCEK", "VLEK", "ASK", "ARK")
"""Types that are read; an ARK is read too, and counts only where it equals the pinned one."""
_IN_ONE_ENTRY = 2
"""Certificates: the one of its type, or ASK and ARK as AMD's service gives them. Each costs signatures under
keys that the guest chose."""


def is_report_document(document: object) -> bool:
    return isinstance(document, dict) and isinstance(document.get("attestation_report"), dict)


def read_report_document(
    document: Mapping[str, Any], *, where: str
) -> tuple[Report, tuple[Certificate, ...]]:
    """The report and the certificates that came with it. Raises Malformed."""
    raw = _pack(document["attestation_report"], f"{where} attestation_report")
    chain = document.get("cert_chain")
    certificates: list[Certificate] = []
    if chain is not None:
        if not isinstance(chain, list) or len(chain) > 8:
            raise malformed("cert_chain is a short list", where=f"{where} cert_chain")
        for index, entry in enumerate(chain):
            place = f"{where} cert_chain[{index}]"
            if not isinstance(entry, dict):
                raise malformed("A certificate entry is an object", where=place)
            if entry.get("cert_type") in _CERT_TYPES:
                data = _bytes(entry, "data", None, place)
                certificates += parse_certificates(data, where=place, limit=_IN_ONE_ENTRY)
    return Report.parse(raw), tuple(certificates)


def write_report_document(report: Report, certificates: Iterable[Certificate] = ()) -> dict[str, Any]:
    """The JSON form a guest sends: fields of `sev` release 6, byte arrays as lists of integers."""
    raw = report.raw
    turin = (report.cpuid_fam_id, report.version >= 3) == (0x1A, True)

    def tcb(data: bytes) -> dict[str, int | None]:
        if turin:
            fmc, bootloader, tee, snp = data[:4]
            return {"fmc": fmc, "bootloader": bootloader, "tee": tee, "snp": snp, "microcode": data[7]}
        return {"fmc": None, "bootloader": data[0], "tee": data[1], "snp": data[6], "microcode": data[7]}

    def version(triple: tuple[int, int, int]) -> dict[str, int]:
        return dict(zip(("major", "minor", "build"), triple, strict=True))

    fields: dict[str, Any] = {
        "version": report.version,
        "guest_svn": report.guest_svn,
        "policy": report.policy,
        "family_id": list(report.family_id),
        "image_id": list(report.image_id),
        "vmpl": report.vmpl,
        "sig_algo": report.signature_algo,
        "current_tcb": tcb(report.current_tcb),
        "plat_info": report.platform_info,
        "key_info": report.key_info,
        "report_data": list(report.report_data),
        "measurement": list(report.measurement),
        "host_data": list(report.host_data),
        "id_key_digest": list(report.id_key_digest),
        "author_key_digest": list(report.author_key_digest),
        "report_id": list(report.report_id),
        "report_id_ma": list(report.report_id_ma),
        "reported_tcb": tcb(report.reported_tcb),
        "cpuid_fam_id": report.cpuid_fam_id,
        "cpuid_mod_id": report.cpuid_mod_id,
        "cpuid_step": report.cpuid_step,
        "chip_id": list(report.chip_id),
        "committed_tcb": tcb(report.committed_tcb),
        "current": version(report.current_version),
        "committed": version(report.committed_version),
        "launch_tcb": tcb(report.launch_tcb),
        "launch_mit_vector": report.launch_mit_vector,
        "current_mit_vector": report.current_mit_vector,
        "signature": {"r": list(report.signature_r), "s": list(report.signature_s)},
    }
    document: dict[str, Any] = {"attestation_report": fields, "cert_chain": None}
    if _pack(fields, "report") != raw:
        raise ValueError("this report has reserved bytes that the JSON form cannot carry")
    entries = [
        {"cert_type": _cert_type(certificate), "data": list(certificate.der)} for certificate in certificates
    ]
    if entries:
        document["cert_chain"] = entries
    return document


def _cert_type(certificate: Certificate) -> str:
    name = certificate.common_name
    if name in ("SEV-VCEK", "SEV-VLEK"):
        return name[4:]
    return "ARK" if name.startswith("ARK") else "ASK"


def _pack(fields: Mapping[str, Any], where: str) -> bytes:
    out = bytearray(SIZE)

    def put(offset: int, data: bytes) -> None:
        out[offset : offset + len(data)] = data

    def number(name: str, size: int, source: Mapping[str, Any] = fields, default: int | None = None) -> bytes:
        value = source.get(name, default)
        if value is None and default is not None:
            value = default
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 8 * size:
            raise malformed(
                "A report field is not an integer of its width",
                where=f"{where}.{name}",
                expected=f"{size} bytes",
            )
        return value.to_bytes(size, "little")

    version = struct.unpack("<I", number("version", 4))[0]
    put(0x000, number("version", 4))
    put(0x004, number("guest_svn", 4))
    put(0x008, number("policy", 8))
    put(0x010, _bytes(fields, "family_id", 16, where))
    put(0x020, _bytes(fields, "image_id", 16, where))
    put(0x030, number("vmpl", 4))
    put(0x034, number("sig_algo", 4))
    put(0x038, _tcb(fields, "current_tcb", where))
    put(0x040, number("plat_info", 8))
    put(0x048, number("_author_key_en" if "key_info" not in fields else "key_info", 4))
    put(0x050, _bytes(fields, "report_data", 64, where))
    put(0x090, _bytes(fields, "measurement", 48, where))
    put(0x0C0, _bytes(fields, "host_data", 32, where))
    put(0x0E0, _bytes(fields, "id_key_digest", 48, where))
    put(0x110, _bytes(fields, "author_key_digest", 48, where))
    put(0x140, _bytes(fields, "report_id", 32, where))
    put(0x160, _bytes(fields, "report_id_ma", 32, where))
    put(0x180, _tcb(fields, "reported_tcb", where))
    if version >= 3:
        put(0x188, number("cpuid_fam_id", 1, default=0))
        put(0x189, number("cpuid_mod_id", 1, default=0))
        put(0x18A, number("cpuid_step", 1, default=0))
    put(0x1A0, _bytes(fields, "chip_id", 64, where))
    put(0x1E0, _tcb(fields, "committed_tcb", where))
    for name, offset in (("current", 0x1E8), ("committed", 0x1EC)):
        triple = fields.get(name)
        if isinstance(triple, dict):
            parts = [number(part, 1, triple) for part in ("build", "minor", "major")]
        else:
            parts = [number(f"{name}_{part}", 1) for part in ("build", "minor", "major")]
        put(offset, b"".join(parts))
    put(0x1F0, _tcb(fields, "launch_tcb", where))
    if version >= 5:
        put(0x1F8, number("launch_mit_vector", 8, default=0))
        put(0x200, number("current_mit_vector", 8, default=0))
    for name, offset, size in (
        ("_reserved_0", 0x04C, 4),
        ("_reserved_2", 0x1EB, 1),
        ("_reserved_3", 0x1EF, 1),
    ):
        if name in fields:
            put(offset, number(name, size))
    for name, offset, size in (("_reserved_1", 0x188, 24), ("_reserved_4", 0x1F8, 168)):
        if name in fields:
            put(offset, _bytes(fields, name, size, where))
    signature = fields.get("signature")
    if not isinstance(signature, dict):
        raise malformed("A report has a signature", where=f"{where}.signature")
    put(0x2A0, _bytes(signature, "r", 72, f"{where}.signature"))
    put(0x2E8, _bytes(signature, "s", 72, f"{where}.signature"))
    return bytes(out)


def _bytes(source: Mapping[str, Any], name: str, size: int | None, where: str) -> bytes:
    value = source.get(name)
    if (
        not isinstance(value, list)
        or (size is not None and len(value) != size)
        or len(value) > 16 << 10
        or not all(
            isinstance(byte, int) and not isinstance(byte, bool) and 0 <= byte <= 255 for byte in value
        )
    ):
        raise malformed(
            "Not a list of bytes of the right length",
            where=f"{where}.{name}",
            expected=None if size is None else f"{size} bytes",
        )
    return bytes(value)


def _tcb(fields: Mapping[str, Any], name: str, where: str) -> bytes:
    value = fields.get(name)
    if not isinstance(value, dict):
        raise malformed("A TCB is an object of components", where=f"{where}.{name}")

    def part(component: str) -> int:
        number = value.get(component)
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= 255:
            raise malformed("A TCB component is 0 to 255", where=f"{where}.{name}.{component}")
        return number

    if value.get("fmc") is not None:
        return bytes([part("fmc"), part("bootloader"), part("tee"), part("snp"), 0, 0, 0, part("microcode")])
    reserved = _bytes(value, "_reserved", 4, f"{where}.{name}") if "_reserved" in value else bytes(4)
    return bytes([part("bootloader"), part("tee"), *reserved, part("snp"), part("microcode")])
