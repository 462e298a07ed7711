"""The defaults of `policy: 1`, and every way of writing them away by mistake."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.conformance.generator.case import (
    PINNED,
    SNP,
    TDX,
    Case,
    Tree,
    changed,
    gpus,
    invalid,
    judged,
    machine,
    policy,
    record,
    snp,
    tdx,
)

# Claim, values that the default refuses, and a rule that would let each pass.
_SNP: list[tuple[str, list[Any], Tree]] = [
    ("debug", ["true", None, "1"], {"one-of": ["true", "false"]}),
    ("migrate-ma", ["true", None], {"is": "true"}),
    ("vmpl", ["1", "4294967295", None], {"one-of": ["0", "1"]}),
    ("policy-unknown-bits", ["1", str(1 << 25), None], {"one-of": ["0", "1"]}),
    ("crl", ["stale", "revoked", None], {"none-of": ["revoked"]}),
]
_TDX: list[tuple[str, list[Any], Tree]] = [
    ("debug", ["true", None], {"is": "true"}),
    (
        "attributes",
        [str(1 << 28 | 1 << 8), str(1 << 28 | 1 << 62), None],
        {"one-of": [str(1 << 28 | 1 << 8)]},
    ),
    ("migratable", ["true", None], {"one-of": ["true", "false"]}),
    ("sept-ve-disable", ["false", None], {"none-of": ["true"]}),
    ("mrservicetd", ["11" * 48], {"is": "11" * 48}),
    ("crl", ["stale", None], {"one-of": ["fresh", "stale"]}),
    (
        "tcb-status",
        ["OutOfDate", "SWHardeningNeeded", "Revoked", None],
        {"one-of": ["UpToDate", "OutOfDate"]},
    ),
]
_GPU: list[tuple[str, list[Any], Tree]] = [
    ("mode", ["ppcie", None], {"one-of": ["spt", "mpt", "ppcie"]}),
    ("measurements", ["mismatch", "no-rim", None], {"one-of": ["match", "no-rim"]}),
    ("driver-rim", ["expired", "revoked"], {"none-of": ["revoked"]}),
    ("vbios-rim", ["expired", "revoked"], {"none-of": ["expired"]}),
    ("cert", ["hold", "revoked", "unknown"], {"one-of": ["good", "hold"]}),
]


def _replaced(section: str, base: Tree, table: list[tuple[str, list[Any], Tree]]) -> Iterator[Case]:
    other = {"snp": "smt", "tdx": "tcb-date"}[section]
    harmless: Tree = {other: {"exists": "true"}}
    for claim, refused, loose in table:
        for value in refused:
            name = f"{section}.{claim} {'absent' if value is None else value[:20]}"
            claims = machine(**{section: changed(base, {claim: value})})
            where = f"{section}.{claim}"
            yield judged(
                f"the default refuses {name}",
                policy({section: harmless}, platforms=[section]),
                claims,
                denied=[where],
                rules=[
                    record(
                        where,
                        "U"
                        if (value in (None, "1") and claim != "vmpl" and claim != "policy-unknown-bits")
                        or value is None
                        else "F",
                    )
                ],
            )
        first = next(value for value in refused if value is not None)
        claims = machine(**{section: changed(base, {claim: first})})
        where = f"{section}.{claim}"
        yield invalid(
            f"{where} wider than its default without a reason", policy({section: {claim: loose}}, platforms=[section]),
            "policy.override-missing",
        )  # fmt: skip
        rule: Any
        for kept, rule in [
            ("else: warn", {claim: {**loose, "else": "warn", "until": "2030-01-01"}}),
            ("exists", {claim: {"exists": "true"}}),
            ("any", {"any": [{claim: loose}]}),
            ("all", {"all": [{claim: loose}]}),
        ]:
            yield judged(
                f"{kept} on {where} leaves its default in force",
                policy({section: {**harmless, **rule}}, platforms=[section]),
                claims,
                denied=[where],
            )


def _overridden() -> Iterator[Case]:
    rule: Any
    for section, claim, rule, make in [
        ("snp", "vmpl", {"one-of": ["0", "1"]}, snp(vmpl="1")),
        ("snp", "debug", {"is": "true"}, snp(debug="true")),
        ("tdx", "tcb-status", {"one-of": ["OutOfDate", "UpToDate"]}, tdx(tcb_status="OutOfDate")),
    ]:
        where = f"{section}.{claim}"
        yield judged(
            f"{where} with a reason passes more than its default",
            policy({section: {claim: {**rule, "override": "ours"}}}, platforms=[section]),
            make,
            rules=[record(where, "P")],
            loosened={where: "ours"},
        )
    yield judged(
        "a rule as narrow as the default needs no reason",
        policy({"snp": {"vmpl": "0", "crl": "fresh"}}),
        snp(),
    )
    yield invalid(
        "an override inside any replaces nothing, and says so",
        policy({"snp": {"any": [{"vmpl": {"is": "1", "override": "x"}}]}}),
    )
    yield judged(
        "of two operators the narrower decides",
        policy({"snp": {"vmpl": {"at-most": "3", "one-of": ["0"]}}}),
        snp(),
    )


def _devices() -> Iterator[Case]:
    for claim, refused, loose in _GPU:
        for value in refused:
            device = {**gpus(1)[0], claim: value}
            gpu = {name: one for name, one in device.items() if one is not None}
            result = "U" if value is None else "F"
            yield judged(
                f"the default refuses gpu.{claim} {value or 'absent'}",
                policy({"snp": {"smt": "true"}, "gpu": {"architecture": "hopper"}}),
                machine(snp=SNP, gpu=[gpu]),
                denied=[f"gpu[0].{claim}"],
                rules=[record(f"gpu[0].{claim}", result)],
            )
        yield invalid(
            f"gpu.{claim} wider than its default without a reason",
            policy({"snp": {"smt": "true"}, "gpu": {claim: loose}}),
            "policy.override-missing",
        )
    unbound = machine(snp=SNP, gpu=gpus(1))
    unbound["binding"]["gpu-to-cpu"] = "false"
    both = {"snp": {"smt": "true"}, "gpu": {"architecture": "hopper"}}
    yield judged("devices that are not tied to the CPU", policy(both), unbound, denied=["binding.gpu-to-cpu"])
    for protocol, good in (("0.3", False), ("0.4", True), ("0.4.0", True), ("1", True)):
        claims = machine(snp=SNP, gpu=gpus(1))
        claims["binding"]["protocol"] = protocol
        denied = [] if good else ["binding.protocol"]
        yield judged(f"devices by the guest protocol {protocol}", policy(both), claims, denied=denied)
    old = machine(snp=SNP, time={"evidence-age": "301s"})
    yield judged(
        "evidence older than five minutes", policy({"snp": PINNED}), old, denied=["time.evidence-age"]
    )
    for binding, denied in [({"nonce": "false"}, ["binding.nonce"]), ({"nonce": "true"}, [])]:
        claims = machine(snp=SNP, binding=binding)
        yield judged(
            f"a nonce that is {binding['nonce']}", policy({"snp": PINNED}), claims, denied=denied, warns=False
        )


def _identity() -> Iterator[Case]:
    m = SNP["measurement"]
    for name, rules, warning in [
        ("a measurement of the whole image", {"measurement": {"is": m, "covers": "image"}}, None),
        ("a measurement of the firmware", {"measurement": {"is": m, "covers": "firmware"}}, "os-unmeasured"),
        ("a measurement that does not say what it covers", {"measurement": m}, "os-unmeasured"),
        ("host data alone", {"host-data": "22" * 32}, "no-workload-identity"),
        ("a measurement inside any", {"any": [{"measurement": m}]}, "no-workload-identity"),
        ("a measurement that only warns", {"measurement": {"is": m, "else": "warn", "until": "2030-01-01"}}, "no-workload-identity"),
        ("a measurement that is not another", {"measurement": {"none-of": ["00" * 48]}}, "no-workload-identity"),
    ]:  # fmt: skip
        claims = machine(snp={**SNP, "host-data": "22" * 32})
        yield judged(
            f"workload identity: {name}", policy({"snp": rules}), claims,
            warns=warning is not None, warnings=[] if warning is None else [warning], release=warning is None,
        )  # fmt: skip
    for register, warning in (("rtmr2", None), ("rtmr3", "no-workload-identity")):
        rules = {
            name: {"is": TDX.get(name, "dd" * 48), "covers": "image"} for name in ("mrtd", "rtmr1", register)
        }
        claims = machine(tdx={**TDX, "rtmr3": "dd" * 48})
        asked = policy({"tdx": {**rules, "tcb-evaluation": {"at-least": "18"}}}, platforms=["tdx"])
        yield judged(
            f"workload identity of a TD with {register}", asked, claims,
            warns=warning is not None, warnings=[] if warning is None else [warning], release=warning is None,
        )  # fmt: skip


def _release() -> Iterator[Case]:
    m = {"measurement": SNP["measurement"]}
    allow = {"os-unmeasured": "the loader pins it"}
    yield judged(
        "a warning that the owner allows withholds nothing, and changes no verdict",
        policy({"snp": m}, allow_warnings=allow), snp(), warnings=["os-unmeasured"], release=True,
    )  # fmt: skip
    yield judged("one that he does not withholds", policy({"snp": m}), snp(), release=False)
    for crl, allowed, good in [("absent", True, True), ("absent", False, False), ("stale", True, False)]:
        rules = {**PINNED, "crl": {"none-of": ["revoked"], "override": "offline"}}
        more: Tree = {"allow_warnings": {"revocation-unchecked": "offline"}} if allowed else {}
        yield judged(
            f"a list that is {crl}{', allowed' if allowed else ''}: {'released' if good else 'withheld'}",
            policy({"snp": rules}, **more), snp(crl=crl), warns=crl == "absent", release=good,
        )  # fmt: skip
    none = policy({"gpu": {"architecture": "hopper"}}, platforms=["none"])
    yield judged("devices alone get no secret", none, machine(gpu=gpus(1)), release=False, warns=True)


def _platforms() -> Iterator[Case]:
    yield judged(
        "a platform that is not listed",
        policy({"tdx": {"crl": "fresh"}}, platforms=["tdx"]),
        snp(),
        denied=["platforms"],
    )
    yield invalid(
        "a platform without rules",
        policy({"snp": {"smt": "true"}}, platforms=["snp", "tdx"]),
        "policy.platform-without-rules",
    )
    yield invalid("none beside another", policy({"snp": {"smt": "true"}}, platforms=["snp", "none"]))
    pins: list[tuple[str, Tree, bool]] = [
        ("azure-snp", {"measurement": "11" * 48}, True),
        ("azure-snp", {"id-key": "11" * 48, "guest-svn": {"at-least": "2"}}, True),
        ("azure-snp", {"id-key": "11" * 48}, False),
        ("azure-snp", {"id-key": "11" * 48, "guest-svn": "2"}, False),
        ("azure-snp", {"any": [{"measurement": "11" * 48}]}, False),
        ("azure-snp", {"none": [{"measurement": "11" * 48}]}, False),
        ("azure-snp", {"measurement": {"is": "11" * 48, "else": "warn", "until": "2030-01-01"}}, False),
        ("azure-tdx", {"mrtd": "11" * 48}, True),
        ("azure-tdx", {"rtmr1": "11" * 48}, False),
    ]
    for platform, rules, good in pins:
        section = platform.removeprefix("azure-")
        asked = policy({section: rules, "azure": {"secure-boot": "true"}}, platforms=[platform])
        name = f"{platform} with {sorted(rules)}: the paravisor is {'' if good else 'not '}pinned"
        if "measurement" in rules and isinstance(rules["measurement"], dict):
            name += " by a warning"
        if "guest-svn" in rules and isinstance(rules["guest-svn"], str):
            name += " by an exact svn"
        if good:
            yield judged(name, asked, snp(), denied=["platforms"])
        else:
            yield invalid(name, asked, "policy.paravisor-unpinned")
    paravisor = {**SNP, "measurement": "11" * 48}
    azure = {"secure-boot": "true", "user-data-bound": "true", "pcr11": "22" * 32}
    asked = policy(
        {"snp": {"measurement": "11" * 48}, "azure": {"pcr11": "22" * 32}}, platforms=["azure-snp"]
    )
    yield judged("azure's claims count with the pinned paravisor", asked, machine(snp=paravisor, azure=azure))
    yield judged(
        "and are unknown with another", asked, machine(snp=SNP, azure=azure),
        denied=["snp.measurement", "azure.pcr11", "azure.user-data-bound"],
        rules=[record("azure.pcr11", "U")],
    )  # fmt: skip


def cases() -> Iterator[Case]:
    yield from _replaced("snp", SNP, _SNP)
    yield from _replaced("tdx", TDX, _TDX)
    yield from _overridden()
    yield from _devices()
    yield from _identity()
    yield from _release()
    yield from _platforms()
