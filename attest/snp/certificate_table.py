"""The certificate table a host hands out beside a report: GUID, offset, length, repeated, then the values.

The host writes it, so it is untrusted input; what is in it must verify like any other endorsement.
Source: AMD GHCB specification, SNP extended guest request.
"""

from __future__ import annotations

import struct
import uuid

from attest.problems import malformed

MAX_TABLE = 32 << 10
MAX_VALUE = 16 << 10
MAX_ENTRIES = 32

NAMES = {
    "63da758d-e664-4564-adc5-f4b93be8accd": "vcek",
    "a8074bc2-a25a-483e-aae6-39c045a0b8a1": "vlek",
    "4ab7b379-bbac-4fe4-a02f-05aef327c782": "ask",
    "c0b406a4-a803-4952-9743-3fb6014cd0ae": "ark",
    "92f81bc3-5811-4d3d-97ff-d19f88dc67ea": "crl",
}
"""GUID → what it is; other entries (a cloud's own) are left out."""

_ROW = struct.Struct("<16sII")


def read_certificate_table(table: bytes) -> dict[str, bytes]:
    """vcek, vlek, ask (or asvk), ark, crl → DER or PEM, as far as they are there.

    An empty table is none: nothing but zeros. Raises Malformed for a table that points outside itself or
    has an entry twice. GUIDs are in the order of their printed text.
    """
    if len(table) > MAX_TABLE:
        raise malformed(
            "The certificate table is too large", where="table", expected=f"≤ {MAX_TABLE}", found=len(table)
        )
    if not table.strip(b"\0"):
        return {}
    rows: list[tuple[str, int, int]] = []
    position = 0
    while True:
        if position + _ROW.size > len(table) or len(rows) > MAX_ENTRIES:
            raise malformed(
                "The certificate table does not end", where=f"table+{position}", expected="a row of zeros"
            )
        guid, offset, length = _ROW.unpack_from(table, position)
        position += _ROW.size
        if not any(guid):
            break
        rows.append((str(uuid.UUID(bytes=guid)), offset, length))
    found: dict[str, bytes] = {}
    seen: set[str] = set()
    for guid, offset, length in rows:
        if guid in seen:
            raise malformed("An entry of the certificate table stands twice", where="table", found=guid)
        seen.add(guid)
        if offset < position or length > MAX_VALUE or offset + length > len(table):
            raise malformed(
                "An entry of the certificate table lies outside it",
                where=f"table {guid}",
                expected=f"{position} to {len(table)}, ≤ {MAX_VALUE} bytes",
                found=f"{offset} + {length}",
            )
        name = NAMES.get(guid)
        if name is not None and length:
            found[name] = table[offset : offset + length]
    return found
