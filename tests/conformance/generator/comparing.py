"""One operator against one value: the edges of every kind of claim."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.conformance.generator.case import (
    NOW,
    Case,
    Tree,
    gpus,
    invalid,
    judged,
    machine,
    policy,
    record,
    snp,
    tdx,
)

_TOP = (1 << 64) - 1


def _case(section: str, claim: str, operators: Any, value: Any, result: str) -> Case:
    """A claim of snp, tdx or the one GPU."""
    said = value if value is not None else "absent"
    name = f"{section}.{claim} {operators} against {said} is {result}"
    change = {claim: value}
    where = f"gpu[0].{claim}" if section == "gpu" else f"{section}.{claim}"
    denied = [] if result == "P" else [where]
    rules = [record(where, result)]
    if section == "tdx":
        asked = policy({"tdx": {claim: operators}}, platforms=["tdx"])
        return judged(name, asked, tdx(**change), denied=denied, rules=rules)
    if section == "snp":
        return judged(name, policy({"snp": {claim: operators}}), snp(**change), denied=denied, rules=rules)
    device = {name: one for name, one in {**gpus(1)[0], **change}.items() if one is not None}
    claims = machine(snp=snp()["snp"], gpu=[device])
    asked = policy({"snp": {"smt": "true"}, "gpu": {claim: operators}})
    return judged(name, asked, claims, denied=denied, rules=rules)


def _holds(condition: bool) -> str:
    return "P" if condition else "F"


def _numbers() -> Iterator[Case]:
    for bound in (0, 1, 255, 1 << 53, _TOP):
        for value in sorted({max(0, bound - 1), bound, min(_TOP, bound + 1)}):
            yield _case("snp", "guest-svn", {"at-least": str(bound)}, str(value), _holds(value >= bound))
            if bound == 1 << 53:
                # Where a double no longer tells neighbours apart.
                yield _case("snp", "guest-svn", {"at-most": hex(bound)}, str(value), _holds(value <= bound))
                yield _case("snp", "guest-svn", {"is": hex(bound)}, str(value), _holds(value == bound))
    yield _case("snp", "guest-svn", {"at-least": "1"}, None, "U")
    yield _case("snp", "guest-svn", {"at-least": "1"}, "01", "U")
    yield _case("snp", "guest-svn", {"at-least": "1"}, "1.0", "U")
    yield _case("snp", "guest-svn", {"at-least": "1"}, str(_TOP + 1), "U")
    yield _case("snp", "guest-svn", {"at-least": "2", "at-most": "4"}, "5", "F")
    yield _case("snp", "guest-svn", {"at-least": "2", "at-most": "4"}, "4", "P")
    yield _case("snp", "guest-svn", {"one-of": ["1", "0x2"]}, "2", "P")
    yield _case("snp", "guest-svn", {"none-of": ["1", "0x2"]}, "2", "F")
    yield _case("snp", "guest-svn", {"none-of": ["1", "0x2"]}, None, "U")


def _bits() -> Iterator[Case]:
    for mask in (1, 6, 1 << 63):
        for value in (0, 1, 2, 7, 1 << 63, _TOP):
            if (mask, value) in ((1, 1 << 63), (6, 1)):
                continue
            claim = "mitigations-launch"
            yield _case("snp", claim, {"has-bits": str(mask)}, str(value), _holds(value & mask == mask))
            yield _case("snp", claim, {"no-bits": hex(mask)}, str(value), _holds(value & mask == 0))
    yield _case("snp", "mitigations-launch", {"no-bits": "1"}, None, "U")


def _padded(version: str) -> tuple[int, ...]:
    numbers = [int(part) for part in version.split(".")]
    return (*numbers, *(0,) * (4 - len(numbers)))


def _versions() -> Iterator[Case]:
    for bound in ("1.55", "1.55.0", "1.55.29"):
        for value in ("1.9", "1.54.255", "1.55", "1.55.0.0", "1.55.4", "1.55.29.1", "2"):
            result = _holds(_padded(value) >= _padded(bound))
            yield _case("snp", "firmware", {"at-least": bound}, value, result)
    for value in ("1.55", "1.55.0", "1.55.0.1", "01.55"):
        yield _case("snp", "firmware", {"is": "1.55"}, value, _holds(_padded(value) == _padded("1.55")))
    for value in ("1.55.x", "1.55.", "1.2.3.4.5", ""):
        yield _case("snp", "firmware", {"at-least": "1.0"}, value, "U")
    branches = {"550": "550.127.05", "570": "570.124.06"}
    table = [
        ("550.127.4", "F", "F"), ("550.127.5", "P", "P"), ("550.127.05.1", "P", "P"), ("560.99", "F", "F"),
        ("570.124.6", "P", "P"), ("570.124.5", "F", "F"), ("535.300", "F", "F"), ("571", "F", "P"),
        ("580.1", "F", "P"),
    ]  # fmt: skip
    for value, listed, newer in table:
        yield _case("gpu", "driver", {"at-least": branches}, value, listed)
        yield _case("gpu", "driver", {"at-least": {**branches, "newer": "ok"}}, value, newer)


def _vbios() -> Iterator[Case]:
    table = [
        ("96.00.9E.FF.FF", "F"), ("96.00.9F", "P"), ("96.00.9f.00.00", "P"), ("96.00.A0", "P"),
        ("96.00.74.00.1F", "F"), ("97.00.88.00.0F", "U"), ("95.00.FF", "U"), ("96.01.00", "U"), ("96", "F"),
        ("96.0.9F", "U"),
    ]  # fmt: skip
    for value, result in table:
        yield _case("gpu", "vbios", {"at-least": "96.00.9F"}, value, result)


def _tcb() -> Iterator[Case]:
    full = {"bootloader": "4", "tee": "0", "snp": "24", "microcode": "219"}
    table: list[tuple[Tree, Any, str]] = [
        ({"snp": "0x18"}, full, "P"),
        ({"snp": "24", "microcode": "220"}, full, "F"),
        ({"snp": "23", "microcode": "219", "tee": "0"}, full, "P"),
        ({"snp": "24"}, {**full, "snp": "0x18"}, "P"),
        ({"snp": "24"}, {**full, "snp": "256"}, "U"),
        ({"fmc": "1", "snp": "25"}, full, "F"),
        ({"fmc": "0"}, full, "U"),
        ({"milan": {"snp": "24"}, "genoa": {"snp": "99"}}, full, "P"),
        ({"genoa": {"snp": "0"}}, full, "F"),
        ({"snp": "24"}, "24", "U"),
    ]
    for bound, value, result in table:
        yield _case("snp", "tcb", {"at-least": bound}, value, result)
    yield _case("snp", "tcb", {"at-most": {"snp": "24"}}, full, "P")
    yield _case("snp", "tcb", {"at-most": {"snp": "23"}}, full, "F")


def _svn() -> Iterator[Case]:
    tail = "00" * 12
    table = [
        ({"0": "5"}, "05010700" + tail, "P"), ({"0": "6"}, "05010700" + tail, "F"),
        ({"0": "4", "2": "7"}, "05010700" + tail, "P"), ({"1": "1", "0": "5"}, "05010700" + tail, "P"),
        ({"1": "1", "0": "5"}, "09000700" + tail, "U"), ({"1": "1", "0": "5"}, "05030700" + tail, "U"),
        ({"15": "1"}, "05010700" + tail, "F"), ({"0": "5"}, "0501", "U"),
    ]  # fmt: skip
    for bound, value, result in table:
        yield _case("tdx", "tee-tcb-svn", {"at-least": bound}, value, result)


def _others() -> Iterator[Case]:
    operators: Any
    value: Any
    for operators, value, result in [
        ({"is": "true"}, "true", "P"), ({"is": "true"}, "false", "F"), ({"is": "true"}, "True", "U"),
        ({"is": "true"}, "1", "U"), ({"exists": "true"}, "no", "F"), ({"exists": "false"}, "no", "F"),
        ({"exists": "false"}, None, "P"), ({"exists": "true"}, None, "F"), ({"one-of": ["true", "false"]}, None, "U"),
    ]:  # fmt: skip
        yield _case("snp", "tsme", operators, value, result)
    upper = "AB" * 32
    for operators, value, result in [
        ({"is": upper}, upper.lower(), "P"), ({"is": upper.lower()}, upper, "P"), ({"is": upper}, "AB" * 31, "U"),
        ({"is": upper}, "zz" * 32, "U"), ({"none-of": [upper]}, upper.lower(), "F"), ({"is": upper}, None, "U"),
    ]:  # fmt: skip
        yield _case("snp", "host-data", operators, value, result)
    for operators, value, result in [
        ({"none-of": ["INTEL-SA-1"]}, ["INTEL-SA-1", "INTEL-SA-2"], "F"), ({"none-of": ["INTEL-SA-1"]}, [], "P"),
        ({"none-of": ["INTEL-SA-1"]}, ["INTEL-SA-11"], "P"), ({"subset-of": ["INTEL-SA-1"]}, [], "P"),
        ({"subset-of": ["INTEL-SA-1"]}, ["INTEL-SA-1", "INTEL-SA-2"], "F"),
        ({"is": ["INTEL-SA-2", "INTEL-SA-1"]}, ["INTEL-SA-1", "INTEL-SA-2"], "P"),
        ({"is": ["INTEL-SA-1"]}, ["INTEL-SA-1", "INTEL-SA-2"], "F"), ({"subset-of": ["INTEL-SA-1"]}, None, "U"),
    ]:  # fmt: skip
        yield _case("tdx", "advisories", operators, value, result)
    for value, result in (
        ("2025-12-31T23:59:59Z", "F"),
        ("2026-01-01T00:00:00Z", "P"),
        ("2026-02-30T00:00:00Z", "U"),
    ):
        yield _case("tdx", "tcb-date", {"at-least": "2026-01-01"}, value, result)
    for bound, value, result in [
        ("1m", "60s", "P"), ("1m", "61s", "F"), ("1h", "3600s", "P"), ("1d", "86401s", "F"), ("90d", "7776000s", "P"),
        ("0s", "0s", "P"), ("1d", "1w", "U"), ("1d", "-1s", "U"),
    ]:  # fmt: skip
        yield _case("tdx", "tcb-lag", {"at-most": bound}, value, result)


def _devices() -> Iterator[Case]:
    def eight(require: Tree, devices: list[Tree], denied: list[str], name: str) -> Case:
        asked = policy({"snp": {"smt": "true"}, "gpu": require})
        return judged(name, asked, machine(snp=snp()["snp"], gpu=devices), denied=denied)

    low = gpus(8, vbios={3: "96.00.74.00.1A"})
    vbios = {"vbios": {"at-least": "96.00.9F"}}
    yield eight(vbios, low, ["gpu[3].vbios"], "one GPU of eight is too old, and it is named")
    yield eight({"any": [vbios, {"driver": "550.1"}]}, low, ["gpu[3].any"], "a group is asked of each device")
    for count, asked, good in [
        (7, {"at-least": "8"}, False),
        (8, {"at-least": "8"}, True),
        (9, {"is": "8"}, False),
    ]:
        yield eight(
            {"count": asked},
            gpus(count),
            [] if good else ["gpu.count"],
            f"{count} GPUs where {asked} are asked",
        )
    lying = gpus(1, count={0: "8"})
    yield eight({"count": {"at-least": "8"}}, lying, ["gpu.count"], "devices are counted, not believed")
    twice = gpus(2, id={1: "00" * 20})
    yield eight({"count": "2"}, twice, ["gpu[1].id"], "one GPU shown twice is refused")
    nameless = [{**gpu, "id": ""} for gpu in gpus(2)]
    yield eight({"count": "2"}, nameless, ["gpu[0].id", "gpu[1].id"], "of several devices each has an id")
    absent = judged(
        "a part that has a section must be there",
        policy({"snp": {"smt": "true"}, "gpu": {"architecture": "hopper"}}),
        snp(),
        denied=["gpu.present"],
    )
    yield absent
    yield judged(
        "a part without a section is judged by the defaults, and that is told",
        policy({"snp": {"smt": "true"}}),
        machine(snp=snp()["snp"], gpu=gpus(1, measurements={0: "mismatch"})),
        denied=["gpu[0].measurements"],
        warnings=["no-workload-identity", "unappraised"],
    )


def _literals() -> Iterator[Case]:
    for section, claim, value in [
        ("snp", "vmpl", "01"), ("snp", "vmpl", "-1"), ("snp", "vmpl", str(_TOP + 1)), ("snp", "vmpl", "1e3"),
        ("snp", "vmpl", "NaN"), ("snp", "vmpl", "0b1"), ("snp", "debug", "yes"), ("snp", "debug", "False"),
        ("snp", "firmware", "1.2.3.4.5"), ("snp", "firmware", "v1"), ("snp", "measurement", "00e1"),
        ("snp", "product", "zen"), ("snp", "host-data", "0x" + "00" * 32), ("gpu", "vbios", "96.0.9F"),
        ("tdx", "tcb-lag", "30"), ("tdx", "tcb-lag", "P30D"), ("tdx", "tcb-date", "2026-02-30"),
        ("tdx", "tcb-date", "2026-06-31T00:00:00Z"), ("tdx", "tcb-date", "2026-01-01T00:00:00+00:00"),
    ]:  # fmt: skip
        operator = "at-most" if claim == "tcb-lag" else "is"
        platform = "tdx" if section == "tdx" else "snp"
        require: Tree = {platform: {"crl": "fresh"}}
        require[section] = {**require.get(section, {}), claim: {operator: value}}
        yield invalid(f"{section}.{claim} is not written {value[:24]}", policy(require, platforms=[platform]))
    operators: Any
    for operators in (
        {"one-of": ["0", "0x0"]}, {"none-of": ["24", "0x18"]}, {"at-least": "1", "has-bits": "1"}, {"why": "x"},
        {"one-of": []}, {"is": ["0"]}, {"exists": "yes"}, {"in": "web"},
    ):  # fmt: skip
        yield invalid(f"snp.vmpl cannot be {operators}", policy({"snp": {"vmpl": operators}}))
    yield invalid(
        "versions that differ in zeros are equal", policy({"snp": {"firmware": {"one-of": ["1.0", "1"]}}})
    )
    yield invalid("a component that no product has", policy({"snp": {"tcb": {"at-least": {"snpp": "1"}}}}))
    yield invalid(
        "one bound for a product and one for all",
        policy({"snp": {"tcb": {"at-least": {"milan": {"snp": "1"}, "snp": "1"}}}}),
    )


def cases() -> Iterator[Case]:
    yield from _numbers()
    yield from _bits()
    yield from _versions()
    yield from _vbios()
    yield from _tcb()
    yield from _svn()
    yield from _others()
    yield from _devices()
    yield from _literals()


__all__ = ["NOW", "cases"]
