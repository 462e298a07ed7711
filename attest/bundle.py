"""Our own bundle: evidence and endorsements of one machine in one JSON file.

    {"media-type": "application/vnd.attest.bundle.v1+json",
     "entries": [{"kind": "snp-report", "data": "<base64>"}, …]}

The kind is a statement of the writer; content that is not of its kind is refused.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

from attest import strict_base64
from attest.problems import malformed

MEDIA_TYPE = "application/vnd.attest.bundle.v1+json"
MAX_ENTRIES = 256

Kind = Literal[
    "snp-report",
    "tdx-quote",
    "azure-evidence",
    "ak-certificate",
    "ccel",
    "tpm-event-log",
    "devices",
    "additional-evidence",
    "site-statement",
    "certificates",
    "crl",
    "intel-collateral",
    "rim",
    "ocsp",
]
"""azure-evidence: the JSON of az-snp-vtpm or az-tdx-vtpm. ak-certificate: of an Azure TPM's attestation key, PEM
or DER, with or without the zeros of its NV index. devices: a JSON container of GPU and switch evidence. additional-evidence: the exact text that the CPU's
report data covers, from which devices are read. site-statement: JSON of `attest.site`. ccel, tpm-event-log: the log of
this boot in TCG2 form. certificates: PEM or DER. The rest: raw bytes."""
KINDS: tuple[str, ...] = get_args(Kind)


def write_bundle(entries: Iterable[tuple[Kind, bytes]]) -> bytes:
    """The bundle of these entries, in their order."""
    document = {
        "media-type": MEDIA_TYPE,
        "entries": [{"kind": kind, "data": base64.b64encode(data).decode()} for kind, data in entries],
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def is_bundle(document: object) -> bool:
    return isinstance(document, dict) and document.get("media-type") == MEDIA_TYPE


def read_bundle(document: Mapping[str, Any], *, where: str) -> list[tuple[str, bytes]]:
    """(kind, bytes) of each entry. Raises Malformed."""
    entries = document.get("entries")
    if not isinstance(entries, list) or set(document) != {"media-type", "entries"}:
        raise malformed("A bundle has a media type and a list of entries", where=where)
    if len(entries) > MAX_ENTRIES:
        raise malformed("The bundle has too many entries", where=where, found=len(entries))
    found = []
    for index, entry in enumerate(entries):
        place = f"{where} entries[{index}]"
        if not isinstance(entry, dict) or set(entry) != {"kind", "data"}:
            raise malformed("A bundle entry has kind and data", where=place)
        kind, data = entry["kind"], entry["data"]
        if kind not in KINDS:
            raise malformed(
                "Unknown kind of bundle entry", where=place, expected=", ".join(KINDS), found=kind
            )
        try:
            found.append((kind, strict_base64.decode(data)))
        except (TypeError, ValueError, binascii.Error):
            raise malformed("A bundle entry's data is not base64", where=place) from None
    return found
