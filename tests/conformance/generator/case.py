"""One case as data, and the machines that most of them speak of."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

Case = dict[str, Any]
Tree = dict[str, Any]

NOW = "2026-11-23T12:00:00Z"
MEASUREMENT = "41d0" + "ab" * 45 + "9c"
OTHER = "0b" * 48
SNP: Tree = {
    "product": "milan",
    "tcb": {"bootloader": "4", "tee": "0", "snp": "24", "microcode": "219"},
    "firmware": "1.55.29",
    "debug": "false",
    "migrate-ma": "false",
    "smt": "true",
    "alias-check": "true",
    "vmpl": "0",
    "report-version": "3",
    "measurement": MEASUREMENT,
    "policy-unknown-bits": "0",
    "crl": "fresh",
}
TDX: Tree = {
    "tcb-status": "UpToDate",
    "tcb-lag": "0s",
    "tcb-evaluation": "18",
    "tcb-date": "2024-11-13T00:00:00Z",
    "advisories": [],
    "tee-tcb-svn": "05010700" + "00" * 12,
    "debug": "false",
    "migratable": "false",
    "sept-ve-disable": "true",
    "attributes": str(1 << 28),
    "mrtd": "aa" * 48,
    "rtmr1": "bb" * 48,
    "rtmr2": "cc" * 48,
    "mrservicetd": "00" * 48,
    "crl": "fresh",
}
GPU: Tree = {
    "architecture": "hopper",
    "id": "53c2" + "00" * 16 + "5771",
    "driver": "550.127.05",
    "vbios": "96.00.9F.00.01",
    "mode": "spt",
    "measurements": "match",
    "driver-rim": "valid",
    "vbios-rim": "valid",
    "cert": "good",
    "count": "1",
}
FLOORS: Tree = {
    "serial": "3",
    "issued": "2026-01-01T00:00:00Z",
    "expires": "2027-01-01T00:00:00Z",
    "advisories": {
        "amd-sb-3019": {
            "title": "t",
            "products": {
                "milan": [{"from": "2025-01-01T00:00:00Z", "source": "AMD-SB-3019", "tcb": {"snp": "24"}}],
                "genoa": [{"from": "2025-01-01T00:00:00Z", "source": "AMD-SB-3019", "tcb": {"snp": "23"}}],
            },
        },
        "amd-sb-3020": {"title": "t", "products": {}},
    },
    "tcb-evaluation": [
        {"from": "2026-01-01T00:00:00Z", "at-least": "18", "source": "INTEL-SA-01036"},
    ],
}
PINNED = {"measurement": {"is": MEASUREMENT, "covers": "image"}}


def machine(**sections: Any) -> Tree:
    """A claim tree: verified by ourselves, bound to our nonce and key."""
    claims: Tree = {
        "evidence": {"verified-by": "self", "simulated": "false"},
        "binding": {"nonce": "true", "key": "true"},
        "time": {},
        "raw": {},
    }
    if "gpu" in sections:
        claims["raw"]["gpu"] = [{"opaque_data_version": "1"}] * len(sections["gpu"])
        claims["binding"] |= {"gpu-to-cpu": "true", "protocol": "0.4"}
    for name, value in copy.deepcopy(sections).items():
        claims[name] = {**claims[name], **value} if name in ("raw", "binding", "time", "evidence") else value
    return claims


def snp(**changes: Any) -> Tree:
    return machine(snp=changed(SNP, changes))


def tdx(**changes: Any) -> Tree:
    return machine(tdx=changed(TDX, changes))


def gpus(count: int, /, **changes: Mapping[int, Any]) -> list[Tree]:
    """changes: claim → {index: value}; `_` stands for `-`."""
    found = []
    for index in range(count):
        device = {**GPU, "id": f"{index:02x}" * 20, "count": str(count)}
        for name, values in changes.items():
            if index in values:
                device[name.replace("_", "-")] = values[index]
        found.append(device)
    return found


def changed(claims: Tree, changes: Mapping[str, Any]) -> Tree:
    """`_` in a name stands for `-`; None takes a claim out."""
    found = {**claims, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return {name: value for name, value in found.items() if value is not None}


def policy(require: Tree, *, platforms: Sequence[str] = ("snp",), name: str = "t", **more: Any) -> Tree:
    keys = {key.replace("_", "-"): value for key, value in more.items()}
    return {"policy": "1", "name": name, "platforms": list(platforms), **keys, "require": require}


def file(tree: Tree) -> str:
    """A policy to extend by file, as the text that its digest is over. JSON is YAML too."""
    return json.dumps(tree)


def extend(name: str, text: str) -> Tree:
    return {"file": name, "digest": "sha384:" + hashlib.sha384(text.encode()).hexdigest()}


def digest_of(tree: Tree) -> str:
    """The digest of an effective policy: RFC 8785 of a tree of ASCII texts is sorted keys and no space."""
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"))
    assert text.isascii()
    return "sha384:" + hashlib.sha384(text.encode()).hexdigest()


def judged(
    name: str,
    policy: Tree,
    claims: Tree,
    *,
    denied: Sequence[str] = (),
    rules: Sequence[Tree] = (),
    warns: bool = True,
    now: str = NOW,
    **more: Any,
) -> Case:
    """warns: whether something but the denials is to be told; most cases pin no workload, and that is told."""
    verdict = "refused" if denied else "conforms-with-warnings" if warns else "conforms"
    expect_keys = ("warnings", "release", "digest", "loosened")
    expect = {
        "verdict": verdict,
        "denied": list(denied),
        "rules": list(rules),
        **{key: more.pop(key) for key in expect_keys if key in more},
    }
    return {"name": name, "now": now, "policy": policy, **more, "claims": claims, "expect": expect}


def invalid(name: str, policy: Tree | None, *codes: str, **more: Any) -> Case:
    """more: `files`, `parameters`, `floors`; `yaml` and `line` where the text itself is the case."""
    expect: Tree = {"verdict": "invalid", "codes": list(codes or ("policy.invalid",))}
    if "line" in more:
        expect["line"] = more.pop("line")
    return {"name": name, "now": NOW, "policy": policy, **more, "claims": None, "expect": expect}


def record(rule: str, result: str, **more: str | None) -> Tree:
    """The outcome follows: what passes passes, what does not is denied, unless `more` says otherwise."""
    return {"rule": rule, "result": result, "outcome": "pass" if result == "P" else "deny", **more}
