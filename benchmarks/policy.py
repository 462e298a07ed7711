"""What does appraisal cost, and does a reference set of ten thousand values cost more than one of ten?

Appraisal compares text; its floor is reading the same claims once and doing nothing with them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from attest.canonical import canonical
from attest.claims import instant
from attest.memory import Memory
from attest.policy import Appraisal, Policy, appraise
from attest.result.answer import of_appraisal
from attest.result.ear.rego import policy_in_rego
from attest.verified import Verified
from benchmarks.timing import Result, compare
from tests.interchange.rego_engine import Engine

_AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
_KEY, _CONTEXT, _VERSION = bytes(32), b"benchmark", b"attest-verified/1\0"
"""A Verified has no public constructor; one comes through the sealed format."""

_MEASUREMENT = "41d0" + "ab" * 45 + "9c"
_SNP = {
    "product": "genoa",
    **{name: {"bootloader": "9", "tee": "0", "snp": "23", "microcode": "84"} for name in ("tcb", "tcb-committed", "tcb-launch")},
    **dict.fromkeys(("debug", "migrate-ma", "single-socket", "smt", "tsme", "rapl-off"), "false"),
    **dict.fromkeys(("smt-allowed", "ecc", "alias-check", "ciphertext-hiding"), "true"),
    "firmware": "1.55.43",
    "abi": "1.51",
    "vmpl": "0",
    "guest-svn": "3",
    "report-version": "5",
    "measurement": _MEASUREMENT,
    "host-data": "22" * 32,
    "chip-id": "11" * 64,
    "report-id": "33" * 32,
    "signing-key": "vcek",
    "mitigations-launch": "7",
    "mitigations-current": "7",
    "policy-unknown-bits": "0",
    "crl": "fresh",
}  # fmt: skip
_GPU = {
    "architecture": "hopper",
    "model": "GH100",
    "driver": "570.124.06",
    "vbios": "96.00.A5.00.01",
    "mode": "spt",
    "measurements": "match",
    "driver-rim": "valid",
    "vbios-rim": "valid",
    "cert": "good",
    "count": "8",
}
_HEAD = "policy: 1\nname: bench\nplatforms: [snp]\n"
# 34 rules of the CPU and the machine, 26 of each GPU.
_SIXTY = """
require:
  snp:
    product: {one-of: [genoa, turin]}
    tcb: {at-least: {genoa: {snp: 23}}}
    tcb-committed: {at-least: {genoa: {snp: 23}}}
    tcb-launch: {at-least: {genoa: {snp: 22}}}
    firmware: {at-least: 1.55.39}
    abi: {at-least: 1.51}
    debug: false
    migrate-ma: false
    single-socket: {exists: true}
    smt: false
    tsme: {one-of: [true, false]}
    rapl-off: false
    smt-allowed: true
    ecc: true
    alias-check: true
    ciphertext-hiding: true
    vmpl: 0
    guest-svn: {at-least: 2, at-most: 9}
    report-version: {at-least: 3}
    measurement: {in: web}
    host-data: "HOST"
    chip-id: {none-of: ["CHIP"]}
    report-id: {exists: true}
    signing-key: vcek
    mitigations-launch: {has-bits: 3}
    mitigations-current: {has-bits: 3}
    policy-unknown-bits: 0
    crl: fresh
    any: [{smt: false}, {rapl-off: true}]
    none: [{vmpl: {at-least: 1}}, {debug: true}]
  binding: {nonce: true, key: true, gpu-to-cpu: true, protocol: {at-least: 0.4}}
  gpu:
    count: {at-least: 8}
    architecture: hopper
    model: GH100
    driver: {at-least: {550: 550.127.05, 570: 570.124.06, newer: ok}}
    vbios: {at-least: 96.00.9F}
    mode: spt
    measurements: match
    driver-rim: valid
    vbios-rim: valid
    cert: good
    id: {none-of: [aa, bb]}
    all: [MORE]
"""


def run() -> Iterator[Result]:
    claims = _machine()
    more = ", ".join(f"{{driver: {{none-of: [570.1.{index}]}}}}" for index in range(15))
    sixty = Policy.from_text(
        _HEAD + _set(10) + _SIXTY.replace("HOST", "22" * 32).replace("CHIP", "44" * 64).replace("MORE", more)
    )
    verified = _verified(claims)
    call = _conforming(verified, sixty)
    yield compare("appraise_60", call, lambda: _touch(verified.claims), limit=1.0, rounds=600)
    yield compare("appraise_60_rego", _in_rego(verified, sixty), call, rounds=10)
    small, large = (_of_set(count) for count in (10, 10_000))
    for name, measurement in (("listed", _MEASUREMENT), ("unlisted", "0b" * 48)):
        # The CPU alone, so that nothing else hides what the set costs.
        machine = _verified({**claims, "snp": {**_SNP, "measurement": measurement}, "gpu": []})
        result = compare(
            f"references_{name}",
            _appraising(machine, large),
            _appraising(machine, small),
            target=1.2,
            rounds=600,
        )
        yield result


def _of_set(count: int) -> Policy:
    """As a tree: ten thousand digests are more than the 256 KiB of one file."""
    values = [{"value": value} for value in _values(count)]
    return Policy.from_canonical(
        {
            "policy": "1",
            "name": "bench",
            "platforms": ["snp"],
            "references": {"web": {"type": "snp.measurement", "values": values}},
            "require": {"snp": {"measurement": {"in": "web"}}},
        }
    )


def _values(count: int) -> list[str]:
    """The last is the machine's."""
    return [f"{index:096x}" for index in range(1, count)] + [_MEASUREMENT]


def _set(count: int) -> str:
    listed = "\n".join(f"    - {{value: '{value}'}}" for value in _values(count))
    return f"references:\n  web:\n    type: snp.measurement\n    values:\n{listed}\n"


def _in_rego(verified: Verified, policy: Policy) -> Callable[[], object]:
    """The same question to the policy's export, compiled once and with the claims at hand. The value is Rego's and the
    floor ours, so that the ratio says how many times faster."""
    engine = Engine(policy_in_rego(policy, read="claims").text, at=_AT)
    engine.give(of_appraisal(appraise(verified, policy, at=_AT)).as_dict())
    if engine.answer("accept") is not True:
        raise RuntimeError(str(engine.answer("deny")))
    return lambda: engine.answer("accept")


def _conforming(verified: Verified, policy: Policy) -> Callable[[], Appraisal]:
    appraisal = appraise(verified, policy, at=_AT)
    if not appraisal.conforms:
        raise RuntimeError(str(appraisal.problems))
    return _appraising(verified, policy)


def _appraising(verified: Verified, policy: Policy) -> Callable[[], Appraisal]:
    return lambda: appraise(verified, policy, at=_AT)


def _touch(tree: object) -> int:
    """Reads every claim once."""
    if isinstance(tree, Mapping):
        return sum(map(_touch, tree.values()))
    if isinstance(tree, (list, tuple)):
        return sum(map(_touch, tree))
    return 1


def _machine(**snp: str) -> dict[str, Any]:
    gpus = [{**_GPU, "id": f"{index:02x}" * 20} for index in range(8)]
    return {
        "evidence": {"verified-by": "self", "simulated": "false"},
        "snp": {**_SNP, **snp},
        "gpu": gpus,
        "binding": {"nonce": "true", "key": "true", "gpu-to-cpu": "true", "protocol": "0.4"},
        "time": {"evidence-age": "2s"},
        "raw": {"gpu": [{"opaque_data_version": "1"}] * 8},
    }


def _verified(claims: Mapping[str, Any]) -> Verified:
    body = canonical(
        {
            "at": instant(_AT),
            "claims": claims,
            "checks": [],
            "expires": instant(_AT + timedelta(days=365)),
            "memory": Memory().as_dict(),
            "simulated": False,
            "warnings": [],
        }
    )
    nonce = os.urandom(12)
    return Verified.unseal(_KEY, _CONTEXT, nonce + AESGCM(_KEY).encrypt(nonce, body, _VERSION + _CONTEXT))
