"""The SPDM exchange a GPU or NVSwitch signs: GET_MEASUREMENTS request, then the MEASUREMENTS response.

There is no envelope: 37 bytes of request, the response, 96 bytes of signature. SPDM integers are
little-endian; the signature is r ‖ s, each 48 bytes big-endian.
Source: DMTF DSP0274 (SPDM 1.1), GET_MEASUREMENTS and MEASUREMENTS; NVIDIA attestation report layout.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Mapping
from typing import NamedTuple, NoReturn

from attest import strict_base64
from attest.problems import malformed

MAX_REPORT = 64 << 10
MAX_TEXT = 192 << 10
MAX_TRAILING = 8
SIGNATURE = 96
MAGIC = b"\x11\xe0\x01\xff"
"""SPDM 1.1, GET_MEASUREMENTS, signature requested, all blocks."""

_HEAD = struct.Struct("<4s32sBBBBBB3s")
_BLOCK = struct.Struct("<BBHBH48s")
_FIELD = struct.Struct("<HH")
_HEXADECIMAL = frozenset(b"0123456789abcdefABCDEF")
_TEXT_BEGINNINGS = (b"11e001ff", b"11E001FF", b"EeAB/", b"MTFlMDAx", b"MTFFMDAx")


class Report(NamedTuple):
    """A parsed report, believed by nobody.

    raw: request, response and signature, without anything that followed. signed: how many of those bytes
    the signature covers. request_nonce: the verifier's 32 bytes, the only freshness field. response_nonce:
    randomness of the device, compared with nothing. measurements: Index of the block, from 1 (manifests count
    from 0), → 48-byte digest, in the device's order, ascending. opaque:
    (type, value) in the device's order. trailing: zero bytes that stood after the signature.
    """

    raw: bytes
    signed: int
    request_nonce: bytes
    response_nonce: bytes
    measurements: Mapping[int, bytes]
    opaque: tuple[tuple[int, bytes], ...]
    trailing: int

    @property
    def tbs(self) -> bytes:
        """The bytes that are signed: request and response up to the signature."""
        return self.raw[: self.signed]

    @property
    def signature(self) -> bytes:
        """r ‖ s, 48 bytes each, big-endian."""
        return self.raw[self.signed :]

    @classmethod
    def parse(cls, data: bytes) -> Report:
        """Read a raw report.

        The signature is found by the length fields, never from the end; up to 8 zero bytes after it are
        dropped and counted in `trailing`. Raises Malformed.
        Source: DMTF DSP0274, MEASUREMENTS response message format; NVIDIA opaque data is type u16,
        length u16, value, repeated.
        """
        total = len(data)
        if total > MAX_REPORT:
            _refuse("length", f"≤ {MAX_REPORT} bytes", total)
        if total < 45:
            _refuse("length", "≥ 45 bytes", total)
        magic, nonce, slot, version, code, param1, param2, count, width = _HEAD.unpack_from(data)
        if magic != MAGIC:
            _refuse("request+0", MAGIC.hex(), magic.hex())
        if slot != 0:
            _refuse("request.slot+36", 0, slot)
        if version != 0x11:
            _refuse("response.version+37", "0x11", f"{version:#04x}")
        if code != 0x60:
            _refuse("response.code+38", "0x60", f"{code:#04x}")
        if param1 != 0:
            _refuse("response.param1+39", 0, param1)
        if param2 != slot:
            _refuse("response.param2+40", f"slot {slot}", param2)
        if count == 0:
            _refuse("response.number_of_blocks+41", "≥ 1", 0)
        record = int.from_bytes(width, "little")
        if record != count * _BLOCK.size:
            _refuse("response.record_length+42", count * _BLOCK.size, record)
        after = 45 + record
        if total < after + 34:
            _refuse("measurement_record+45", f"{after + 34} bytes", total)
        opaque_length = int.from_bytes(data[after + 32 : after + 34], "little")
        signed = after + 34 + opaque_length
        end = signed + SIGNATURE
        if total < end:
            _refuse(f"signature+{signed}", f"{end} bytes", total)
        tail = data[end:]
        if len(tail) > MAX_TRAILING or tail.strip(b"\0"):
            _refuse(
                f"trailing+{end}",
                f"at most {MAX_TRAILING} zero bytes after the signature",
                f"{len(tail)} bytes {tail[:16].hex()}",
            )
        return cls(
            raw=bytes(data[:end]),
            signed=signed,
            request_nonce=nonce,
            response_nonce=bytes(data[after : after + 32]),
            measurements=_blocks(data[45:after]),
            opaque=_opaque(data[after + 34 : signed], after + 34),
            trailing=len(tail),
        )


def _blocks(record: bytes) -> Mapping[int, bytes]:
    """Every block is 55 bytes: DMTF specification, 51 bytes of value header and SHA-384 sized value."""
    measurements: dict[int, bytes] = {}
    previous = 0
    for number, specification, size, value_type, value_size, value in _BLOCK.iter_unpack(record):
        # Bit 7 of the type marks raw values, which nothing here may compare with digests.
        if number <= previous or specification != 1 or size != 51 or value_size != 48 or value_type > 3:
            position = len(measurements)
            where = f"block[{position}]+{45 + position * _BLOCK.size}"
            if number <= previous:
                _refuse(f"{where}.index", f"> {previous}", number)
            if specification != 1:
                _refuse(f"{where}.specification", "1 (DMTF)", specification)
            if size != 51 or value_size != 48:
                _refuse(f"{where}.size", "51 and 48", f"{size} and {value_size}")
            _refuse(f"{where}.value_type", "0 to 3, a digest", value_type)
        measurements[number] = value
        previous = number
    return measurements


def _opaque(data: bytes, offset: int) -> tuple[tuple[int, bytes], ...]:
    fields = []
    seen = set()
    at, end = 0, len(data)
    while at < end:
        if at + 4 > end:
            _refuse(f"opaque+{offset + at}", "type and length", f"{end - at} bytes")
        kind, length = _FIELD.unpack_from(data, at)
        if at + 4 + length > end:
            _refuse(f"opaque[{kind}]+{offset + at}", f"{length} bytes", f"{end - at - 4} bytes")
        if kind in seen:
            _refuse(f"opaque[{kind}]+{offset + at}", "each field once", "a second one")
        seen.add(kind)
        fields.append((kind, bytes(data[at + 4 : at + 4 + length])))
        at += 4 + length
    return tuple(fields)


def looks_like_report(data: bytes) -> bool:
    """Whether `data` begins as a report does, raw or in one of its text forms. Says nothing more."""
    return data.startswith(MAGIC) or data[:64].lstrip().startswith(_TEXT_BEGINNINGS)


def decode_report(data: bytes) -> bytes:
    """The raw bytes of a report given raw, as hex, as base64, or as base64 of hex text.

    White space at both ends is dropped; nothing else is guessed. Raises Malformed when no form gives
    bytes that begin like a report. The result is not parsed yet.
    Source: forms written by nvtrust, attestation-sdk and guest-components.
    """
    if data.startswith(MAGIC):
        if len(data) > MAX_REPORT:
            _refuse("length", f"≤ {MAX_REPORT} bytes", len(data))
        return bytes(data)
    if len(data) > MAX_TEXT:
        _refuse("length", f"≤ {MAX_TEXT} bytes of text", len(data))
    text = data.strip(b" \t\r\n")
    raw = _from_hex(text)
    if raw is None:
        raw = _from_base64(text)
        if raw is not None and raw[:6].lower() == b"11e001":
            raw = _from_hex(raw)
    if raw is None or not raw.startswith(MAGIC):
        _refuse("text", "raw, hex or base64 of a report", text[:8].hex())
    return raw


def _from_hex(text: bytes) -> bytes | None:
    if len(text) % 2 or text[:2] != b"11" or not _HEXADECIMAL.issuperset(text):
        return None
    return bytes.fromhex(text.decode("ascii"))


def _from_base64(text: bytes) -> bytes | None:
    try:
        raw = strict_base64.decode(text)
    except binascii.Error:
        return None
    # One encoding for one value: unused bits of the last character must be zero.
    return raw if base64.b64encode(raw) == text else None


def _refuse(where: str, expected: object, found: object) -> NoReturn:
    raise malformed(
        "The device report is not laid out as SPDM MEASUREMENTS",
        where=f"report.{where}",
        expected=expected,
        found=found,
        code="nvidia.report.malformed",
    )
