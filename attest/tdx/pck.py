"""The PCK chain: which certificate signed the QE report, and what Intel says in it about the platform.

Source: Intel SGX PCK certificate and CRL profile specification.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cryptography import x509

from attest.anchors import Anchors
from attest.cache import Cache, Key
from attest.checks import CheckLog
from attest.der import OID, Tlv, read_der
from attest.errors import Malformed
from attest.path import Path, PathRule, check_path
from attest.problems import malformed
from attest.x509 import Certificate, parse_certificates

SGX_EXTENSION = x509.ObjectIdentifier("1.2.840.113741.1.13.1")
PLATFORM_CA = "Intel SGX PCK Platform CA"
PROCESSOR_CA = "Intel SGX PCK Processor CA"
_LEAF = "Intel SGX PCK Certificate"
_ARC = bytes.fromhex("2a864886f84d010d01")
"""The same name as DER writes it; members are named by one byte more."""
_MAX_ISSUERS = 8

# The root's name is left to the pinned key.
_RULES = {
    ca: PathRule("pck", (_LEAF, ca, None), ("P-256", "P-256", "P-256"), check="tdx.pck.chain")
    for ca in (PLATFORM_CA, PROCESSOR_CA)
}


@dataclass(frozen=True, slots=True)
class PckFacts:
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


@dataclass(frozen=True, slots=True)
class PckChain:
    """A path to the pinned root, and the leaf's facts. certificates of `path`: leaf, CA, root."""

    path: Path
    facts: PckFacts

    @property
    def ca(self) -> Certificate:
        return self.path.certificates[1]


def check_pck_pem(pem: bytes, *, anchors: Anchors, log: CheckLog, cache: Cache | None) -> PckChain | None:
    """The chain a quote carries (certification data type 5): exactly leaf, CA and root, in any order.

    None after recording why. A cache hit saves parsing, signatures and structure of these very bytes
    under these very anchors; validity in time is the caller's to ask.
    """
    key: Key = ()
    if cache is not None:
        key = cache.key("pck", anchors.digest, (pem,))
        known: PckChain | None = cache.get(key)
        if known is not None:
            return known
    try:
        certificates = parse_certificates(pem, where="quote.pck_certificate_chain", limit=3, cache=cache)
    except Malformed as error:
        log.absorb(error, "tdx.pck.chain")
        return None
    if len(certificates) != 3:
        log.failed(
            "tdx.pck.chain",
            "x509.depth",
            where="quote.pck_certificate_chain",
            expected=3,
            found=len(certificates),
        )
        return None
    chain = check_pck_chain(_in_order(certificates), anchors=anchors, log=log, cache=cache)
    if chain is not None and cache is not None:
        cache.put(key, chain)
    return chain


def check_pck_chain(
    certificates: tuple[Certificate, ...], *, anchors: Anchors, log: CheckLog, cache: Cache | None
) -> PckChain | None:
    """A chain, leaf first, with or without its root. None after recording why."""
    ca = str(certificates[1].common_name) if len(certificates) > 1 else PLATFORM_CA
    path = check_path(
        certificates,
        anchors=anchors,
        anchor_role="intel-sgx-root",
        rule=_RULES.get(ca, _RULES[PLATFORM_CA]),
        log=log,
        cache=cache,
    )
    if path is None:
        return None
    extension = path.leaf.raw_extension(SGX_EXTENSION)
    if extension is None:
        log.failed("tdx.pck.extension", "tdx.pck.extension", where=path.leaf.common_name.shown, found="none")
        return None
    try:
        facts = PckFacts.parse(extension)
    except Malformed as error:
        log.failed(
            "tdx.pck.extension",
            "tdx.pck.extension",
            where=error.problems[0].where,
            expected=error.problems[0].expected,
            found=error.problems[0].found,
        )
        return None
    return PckChain(path, facts)


def supplied_chains(
    certificates: tuple[Certificate, ...], *, wanted: Callable[[Certificate], bool]
) -> Iterator[tuple[Certificate, ...]]:
    """Leaf and CA of each PCK certificate among the endorsements, for quotes that carry no chain.

    wanted: whether a leaf is worth the search for its issuer, which costs signatures under any key given.
    """
    for leaf in certificates:
        if leaf.common_name != _LEAF or leaf.raw_extension(SGX_EXTENSION) is None or not wanted(leaf):
            continue
        named = [c for c in certificates if c.subject_der == leaf.issuer_der][:_MAX_ISSUERS]
        ca = next((c for c in named if leaf.issued_by(c)), None)
        yield (leaf,) if ca is None else (leaf, ca)


def _in_order(certificates: tuple[Certificate, ...]) -> tuple[Certificate, ...]:
    """Leaf (the one with the SGX extension), its issuer, the rest; as sent where that is not possible."""
    leaves = [c for c in certificates if c.raw_extension(SGX_EXTENSION) is not None]
    if len(leaves) != 1:
        return certificates
    (leaf,) = leaves
    rest = [c for c in certificates if c is not leaf]
    rest.sort(key=lambda c: c.subject_der != leaf.issuer_der)
    return (leaf, *rest)
