"""The SGX extension of a PCK certificate: what Intel says in it about the platform.

Source: Intel SGX PCK certificate and CRL profile specification.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from cryptography import x509

from attest.der import OID, Tlv, read_der
from attest.errors import Malformed
from attest.problems import malformed

SGX_EXTENSION = x509.ObjectIdentifier("1.2.840.113741.1.13.1")
_ARC = bytes.fromhex("2a864886f84d010d01")
"""The same name as DER writes it; members are named by one byte more."""


class PckFacts(NamedTuple):
    """The SGX extension of a PCK certificate.

    ppid: 16 bytes, a stable platform id. components: 16 SVNs as bytes. pce_id: 2 bytes, fmspc: 6 bytes.
    sgx_type: 0 standard, 1 scalable, 2 scalable with integrity. The last four are None under the
    Processor CA.
    """

    ppid: bytes
    components: bytes
    pce_svn: int
    cpu_svn: bytes
    pce_id: bytes
    fmspc: bytes
    sgx_type: int
    platform_instance_id: bytes | None = None
    dynamic_platform: bool | None = None
    cached_keys: bool | None = None
    smt_enabled: bool | None = None

    @classmethod
    def parse(cls, der: bytes) -> PckFacts:
        """Raises Malformed on a missing or doubled member, or SVNs that contradict CPUSVN."""
        usual = _usual(der)
        if usual is not None:
            return usual
        members = _members(read_der(der, where="SGX extension"), _ARC, "SGX extension")
        tcb = _members(_take(members, 2), _ARC + b"\x02", "TCB")
        if len(tcb) != 18:
            raise _broken("18 TCB entries", len(tcb), "TCB")
        components = bytes(_take(tcb, number).unsigned(255) for number in range(1, 17))
        cpu_svn = _take(tcb, 18).octets(16)
        if cpu_svn != components:
            raise _broken(components.hex(), cpu_svn.hex(), "CPUSVN")
        instance, configuration = members.get(6), members.get(7)
        flags: dict[int, bool] = {}
        if configuration is not None:
            flags = {
                number: value.boolean()
                for number, value in _members(configuration, _ARC + b"\x07", "configuration").items()
            }
        return cls(
            ppid=_take(members, 1).octets(16),
            components=components,
            pce_svn=_take(tcb, 17).unsigned(0xFFFF),
            cpu_svn=cpu_svn,
            pce_id=_take(members, 3).octets(2),
            fmspc=_take(members, 4).octets(6),
            sgx_type=_take(members, 5).enumerated(),
            platform_instance_id=None if instance is None else instance.octets(16),
            dynamic_platform=flags.get(1),
            cached_keys=flags.get(2),
            smt_enabled=flags.get(3),
        )


def _members(element: Tlv, arc: bytes, where: str) -> dict[int, Tlv]:
    """SEQUENCE OF SEQUENCE { OID, value } as number under `arc` → value."""
    members: dict[int, Tlv] = {}
    for entry in element.sequence():
        pair = entry.sequence()
        if len(pair) != 2:
            raise _broken("pairs of name and value", len(pair), where)
        name, value = pair
        number = name.content[-1] if name.tag == OID and name.content[:-1] == arc else 0x80
        if number >= 0x80:
            raise _broken(f"names one below {SGX_EXTENSION.dotted_string}", name.oid(), where)
        if number in members:
            raise _broken("each name once", f"{name.oid()} twice", where)
        members[number] = value
    return members


def _take(members: dict[int, Tlv], number: int) -> Tlv:
    if number not in members:
        raise _broken(f"member .{number}", "none", "SGX extension")
    return members[number]


def _broken(expected: str, found: object, where: str) -> Malformed:
    return malformed(
        "The SGX extension of the PCK certificate is not as specified",
        where=where,
        expected=expected,
        found=found,
        code="tdx.pck.extension",
    )


def _name(tail: bytes) -> bytes:
    return bytes([OID, len(_ARC + tail)]) + _ARC + tail


def _pair(tail: bytes, *forms: tuple[bytes, bytes]) -> bytes:
    """Pattern of SEQUENCE { name, value }. forms: tag and length of a value, with the pattern of its content."""
    return b"(?:%b)" % b"|".join(
        re.escape(bytes([0x30, len(_name(tail) + head) + head[1]]) + _name(tail) + head) + content
        for head, content in forms
    )


def _octets(tail: bytes, length: int, group: bytes) -> bytes:
    return _pair(tail, (bytes([4, length]), b"(?P<%b>.{%d})" % (group, length)))


def _sequence(group: bytes, content: bytes) -> bytes:
    """Pattern of a SEQUENCE whose length is compared afterwards: see `_LENGTHS`."""
    length = rb"[\x00-\x7f]|\x81[\x80-\xff]|\x82[\x01-\xff]."
    return b"\x30(?P<%b_length>%b)(?P<%b>%b)" % (group, length, group, content)


_LENGTHS = [(f"{group}_length", group) for group in ("all", "entry", "tcb", "last", "flags")]
_SVN = (b"\x02\x01", rb"([\x00-\x7f])"), (b"\x02\x02", rb"\x00([\x80-\xff])")
_PCE_SVN = (*_SVN, (b"\x02\x02", rb"([\x01-\x7f].)"), (b"\x02\x03", rb"\x00([\x80-\xff].)"))
_FLAG = b"\x01\x01", rb"([\x00\xff])"
_USUAL = re.compile(
    _sequence(
        b"all",
        _octets(b"\x01", 16, b"ppid")
        + _sequence(
            b"entry",
            re.escape(_name(b"\x02"))
            + _sequence(
                b"tcb",
                b"".join(_pair(bytes([2, number]), *_SVN) for number in range(1, 17))
                + _pair(b"\x02\x11", *_PCE_SVN)
                + _octets(b"\x02\x12", 16, b"cpu_svn"),
            ),
        )
        + _octets(b"\x03", 2, b"pce_id")
        + _octets(b"\x04", 6, b"fmspc")
        + _pair(b"\x05", (b"\x0a\x01", rb"(?P<sgx_type>[\x00-\x7f])"))
        + b"(?:"
        + _octets(b"\x06", 16, b"instance")
        + _sequence(
            b"last",
            re.escape(_name(b"\x07"))
            + _sequence(b"flags", b"".join(_pair(bytes([7, number]), _FLAG) for number in (1, 2, 3))),
        )
        + b")?",
    ),
    re.DOTALL,
)
"""The extension as Intel writes it, in the one order and the one encoding."""
_SVNS = slice(_USUAL.groupindex["tcb"], _USUAL.groupindex["tcb"] + 32)
_PCE_SVNS = slice(_SVNS.stop, _USUAL.groupindex["cpu_svn"] - 1)
_FLAGS = slice(_USUAL.groupindex["flags"], None)
"""Where the numbers of each kind stand among the groups; a form that was not taken is empty."""


def _usual(der: bytes) -> PckFacts | None:
    """The facts of an extension that is written as all of Intel's are, several times faster than entry by entry;
    None for any other, which is then read, or refused with a reason, in full."""
    match = _USUAL.fullmatch(der)
    if match is None:
        return None
    for length, content in _LENGTHS:
        said = match[length]
        if said is not None:
            start, end = match.span(content)
            if int.from_bytes(said[1:] or said, "big") != end - start:
                return None
    groups = match.groups(b"")
    components = b"".join(groups[_SVNS])
    if components != match["cpu_svn"]:
        return None
    instance = match["instance"]
    dynamic, cached, smt = (
        (None, None, None) if instance is None else (flag == b"\xff" for flag in groups[_FLAGS])
    )
    return PckFacts(
        match["ppid"],
        components,
        int.from_bytes(b"".join(groups[_PCE_SVNS]), "big"),
        components,
        match["pce_id"],
        match["fmspc"],
        match["sgx_type"][0],
        instance,
        dynamic,
        cached,
        smt,
    )
