"""The simulator's evidence, honest and with each of its faults, as cases: here everything is signed as it
should be but for one thing, which a mutation of real evidence cannot have.

The peers are given the simulator's root in place of the vendor's; NVIDIA's verifier takes none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from attest.errors import Malformed
from attest.simulator import FAULTS, Simulated, Simulator
from attest.simulator.certificates import pem
from attest.x509 import SIMULATOR_EXTENSION, parse_certificates
from tests.differential.cases import Case

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?")
_HONEST: dict[str, tuple[dict[str, Any], ...]] = {
    "snp": (
        {"product": "milan"},
        {"product": "genoa"},
        {"product": "turin"},
        {"product": "bergamo"},
        {"product": "milan", "version": 2},
        {"product": "milan", "version": 3},
        {"product": "genoa", "signing_key": "vlek"},
    ),
    "tdx": ({}, {"version": 5}),
}


# go-tdx-guest refuses an FMSPC with a letter in it, whatever else there is to find.
_ALWAYS: dict[str, dict[str, Any]] = {"snp": {}, "tdx": {"fmspc": bytes.fromhex("201065000000")}}


@cache
def simulated(platform: str) -> tuple[Case, ...]:
    """Cases named `simulated:FAULT`, or `simulated:honest` with what was chosen. Faults that leave a needed file
    out or add one, that lie in an event log or in an expected value are not among them: the peers are asked one
    question of one form."""
    if platform not in _HONEST:
        return ()
    simulator = Simulator.create(AT)
    roots = simulator.roots_pem
    plain = _plain(simulator)
    made = []
    for keywords in _HONEST[platform]:
        words = " ".join(str(value) for value in keywords.values())
        made.append(
            (f"honest {words}".strip(), getattr(simulator, platform)(**keywords, **_ALWAYS[platform]))
        )
    for fault in FAULTS.values():
        if fault.vendor == platform and not re.search("event (log|data)|REPORT_?DATA", fault.check):
            made.append((fault.name, getattr(simulator, platform)(fault=fault.name, **_ALWAYS[platform])))
    cases = []
    for name, one in made:
        parts = _snp(one) if platform == "snp" else _tdx(one, made[0][1])
        if parts is not None:
            parts = {part: _with_plain(part, data, plain) for part, data in parts.items()}
            trusted = _trusted(platform, parts, plain.values())
            cases.append(
                Case(f"simulated:{name}", platform, parts, AT, roots_pem=roots, trusted_root=trusted)
            )
    return tuple(cases)


def breaks(case: Case) -> str:
    """What the simulator broke in this case, in its words."""
    fault = FAULTS.get(case.name.removeprefix("simulated:"))
    return f"{fault.name}: {fault.breaks}" if fault is not None else case.name.removeprefix("simulated:")


def _snp(one: Simulated) -> dict[str, bytes] | None:
    files = {name.removeprefix("simulated-"): data for name, data in one.files.items()}
    leaf = next((kind for kind in ("vcek", "vlek") if f"{kind}.der" in files), None)
    if leaf is None or "cert-chain.pem" not in files:
        return None
    try:
        chain = parse_certificates(files["cert-chain.pem"], where="chain")
    except Malformed:
        return None
    if len(chain) != 2:
        return None
    parts = {
        "report": files["report.bin"],
        leaf: files[f"{leaf}.der"],
        "ca": chain[0].der,
        "root": chain[1].der,
    }
    return parts | ({"crl": files["ark.crl"]} if "ark.crl" in files else {})


def _tdx(one: Simulated, honest: Simulated) -> dict[str, bytes] | None:
    files = {name.removeprefix("simulated-"): data for name, data in one.files.items()}
    needed = ("tcb-info.json", "qe-identity.json", "tcb-signing-chain.pem", "root-ca.crl", "pck.crl")
    if {"quote.bin", *needed} != files.keys():
        return None
    chain = _BLOCK.findall(files["quote.bin"])
    if len(chain) != 3:
        chain = _BLOCK.findall(honest.raw)
    parts = {
        "quote": files["quote.bin"],
        "root_ca_crl": files["root-ca.crl"],
        "pck_crl": files["pck.crl"],
        "pck_crl_issuer_chain": b"".join(chain[1:]),
    }
    for part, member in (("tcb_info", "tcbInfo"), ("qe_identity", "enclaveIdentity")):
        body = files[f"{part.replace('_', '-')}.json"]
        signed = re.fullmatch(
            rb'\{"%s":(.*),"signature":"([0-9a-f]*)"\}\s*' % member.encode(), body, re.DOTALL
        )
        if signed is None:
            return None
        parts |= {
            part: signed[1],
            f"{part}_signature": bytes.fromhex(signed[2].decode()),
            f"{part}_issuer_chain": files["tcb-signing-chain.pem"],
        }
    return parts


def _plain(simulator: Simulator) -> dict[bytes, bytes]:
    """Each root of the simulator, and its twin of the same name and key without the extension by which only
    this verifier knows a simulator's root: the peers would refuse what they cannot read."""
    twins = {}
    for plan in simulator._roots():
        marked = plan.build(simulator._keys)
        plan.drop(SIMULATOR_EXTENSION.dotted_string)
        twins[marked] = plan.build(simulator._keys)
    return twins


def _with_plain(part: str, data: bytes, plain: Mapping[bytes, bytes]) -> bytes:
    for marked, twin in plain.items():
        old, new = pem(marked), pem(twin)
        if data == marked:
            return twin
        if old.strip() not in data:
            continue
        at = data.find(b"-----BEGIN")
        changed = bytearray(data.replace(old.strip(), new.strip()))
        if part == "quote":
            # Every size that counts the chain: what the last of them says was true before is true again.
            body = 54 + int.from_bytes(data[50:54], "little") if data[0] == 5 else 632
            for place in (body, body + 4 + 130, at - 4):
                size = int.from_bytes(data[place : place + 4], "little") + len(new) - len(old)
                changed[place : place + 4] = (size % (1 << 32)).to_bytes(4, "little")
        return bytes(changed)
    return data


def _trusted(platform: str, parts: Mapping[str, bytes], roots: Iterable[bytes]) -> bytes:
    """The root that a peer is to trust: that of the machine's own product."""
    named = {root: parse_certificates(root, where="root")[0].common_name for root in roots}
    if platform == "tdx":
        return next(root for root, name in named.items() if "SGX" in name)
    issuer = parse_certificates(parts["ca"], where="ca")[0].issuer_common_name
    return next((root for root, name in named.items() if name == issuer), parts["root"])
