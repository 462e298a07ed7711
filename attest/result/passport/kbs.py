"""Adapter `kbs`: tokens of another broker of ours, which carry its whole claim tree beside Trustee's names.

`member_of` writes a part's member `attest`, `claims_of` reads it back. Only claims of the table count, each of its
form. Who verified and whether it was simulated is said by the reader, never by the tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attest.claims import CLAIMS, thaw
from attest.errors import Rejected
from attest.problems import problem
from attest.result.ear import members
from attest.result.passport.parts import Said
from attest.result.passport.trustee import tee_of

TYPE: Final = "attestation+jwt"
"""`typ` of the broker's tokens: no result of `attest verify --ear` has it, and none of them passes for one."""
_OF_THE_MACHINE: Final = ("snp", "tdx", "binding", "boot", "time")


def member_of(claims: Mapping[str, Any], part: str) -> dict[str, Any]:
    """claims: a Verified's tree. part: `cpu0`, `gpu0` …, `switch0` …."""
    if part == "cpu0":
        return {name: thaw(claims[name]) for name in _OF_THE_MACHINE if name in claims}
    kind = part.rstrip("0123456789")
    device: dict[str, Any] = thaw(claims[kind][int(part[len(kind) :])])
    return device


def claims_of(parts: Mapping[str, Said]) -> tuple[dict[str, Any], frozenset[str]]:
    """The claim tree, which is silent on nothing. Raises Malformed, and Rejected: `issuer.tee`,
    `issuer.key-missing`."""
    tee = tee_of(parts["cpu0"])
    said = _object(parts["cpu0"].get("attest"), "submods.cpu0.attest")
    if tee not in said or any(name in said for name in ("snp", "tdx") if name != tee):
        members.refuse("submods.cpu0.attest", f"the section {tee}", sorted(said))
    tree: dict[str, Any] = {
        name: _section(name, _object(said[name], f"submods.cpu0.attest.{name}"))
        for name in _OF_THE_MACHINE
        if name in said
    }
    if tree.get("binding", {}).get("key") != "true":
        raise Rejected([problem("issuer.key-missing", where="submods.cpu0.attest.binding.key")])
    for kind in ("gpu", "switch"):
        names = sorted(
            (name for name in parts if name.startswith(kind)), key=lambda name: int(name[len(kind) :])
        )
        devices = [
            _section(kind, _object(parts[name].get("attest"), f"submods.{name}.attest")) for name in names
        ]
        if devices:
            tree[kind] = [{**device, "count": str(len(devices))} for device in devices]
    return tree, frozenset()


def _section(section: str, said: Mapping[str, Any]) -> dict[str, Any]:
    claims = {}
    for name, value in said.items():
        if name not in CLAIMS[section]:
            continue
        if not (
            isinstance(value, str)
            or (isinstance(value, list) and all(isinstance(one, str) for one in value))
            or (isinstance(value, Mapping) and all(isinstance(one, str) for one in value.values()))
        ):
            members.refuse(f"{section}.{name}", "a claim's text", value)
        claims[name] = value
    return claims


def _object(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        members.refuse(where, "an object", value)
    return value
