"""DER writing, as little of it as certificates and vendor extensions need.

`cryptography` builds certificates too, but none with AMD's serial number 0, a doubled extension or a
date in the wrong order, and a fault injector needs all of them.
"""

from __future__ import annotations

from datetime import UTC, datetime


def tlv(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def sequence(*parts: bytes) -> bytes:
    return tlv(0x30, *parts)


def explicit(number: int, *parts: bytes) -> bytes:
    """A constructed context tag."""
    return tlv(0xA0 | number, *parts)


def implicit(number: int, body: bytes) -> bytes:
    """A primitive context tag."""
    return tlv(0x80 | number, body)


def integer(value: int) -> bytes:
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def enumerated(value: int) -> bytes:
    return tlv(0x0A, bytes((value,)))


def boolean(value: bool) -> bytes:
    return tlv(0x01, b"\xff" if value else b"\x00")


def octets(value: bytes) -> bytes:
    return tlv(0x04, value)


def bits(value: bytes, unused: int = 0) -> bytes:
    return tlv(0x03, bytes((unused,)), value)


def utf8(value: str) -> bytes:
    return tlv(0x0C, value.encode())


def ia5(value: str) -> bytes:
    return tlv(0x16, value.encode("ascii"))


def null() -> bytes:
    return tlv(0x05)


def oid(dotted: str) -> bytes:
    first, second, *rest = (int(part) for part in dotted.split("."))
    out = b""
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | (arc & 0x7F))
        out += bytes(reversed(groups))
    return tlv(0x06, out)


def time(value: datetime) -> bytes:
    """UTCTime from 1950 to 2049, GeneralizedTime otherwise (RFC 5280 §4.1.2.5)."""
    value = value.astimezone(UTC)
    if 1950 <= value.year <= 2049:
        return tlv(0x17, value.strftime("%y%m%d%H%M%SZ").encode())
    return tlv(0x18, value.strftime("%Y%m%d%H%M%SZ").encode())


def generalized(value: datetime) -> bytes:
    """GeneralizedTime whatever the year, as OCSP writes it (RFC 6960 §4.2.2.1)."""
    return tlv(0x18, value.astimezone(UTC).strftime("%Y%m%d%H%M%SZ").encode())
