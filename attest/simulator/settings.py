"""What `FIELD=VALUE` may change of simulated evidence: of each kind its fields, and what each of them takes.

The simulator's own calls take more, to make what no machine would report; text from a command line or a suite of
tests is read here, and what it does not mean is refused before anything is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attest.policy.suggest import did_you_mean
from attest.simulator.amd import MODELS, PRODUCTS
from attest.simulator.forms import (
    Form,
    choice,
    flag,
    integer,
    names,
    number,
    octets,
    parts,
    text,
    word,
)
from attest.simulator.gpu import BLOCKS, FLAGS
from attest.simulator.nras import VERSIONS
from attest.simulator.snp import FIELDS
from attest.simulator.tdx import ALIASES, BODIES, BODY
from attest.site import is_origin
from attest.tdx.tcb_info import STATUSES
from attest.untrusted import escape

Fields = Mapping[str, Form]

CPUS = ("snp", "tdx")
_BYTE = number(0, 255)
_INDEX = number(0, (1 << 16) - 1)
_TCB = tuple(dict.fromkeys(name for product in PRODUCTS.values() for name in product.layout))
_DRIVER = text(
    "numbers with dots, as 550.90.07", re.compile(r"[0-9]{1,5}(\.[0-9]{1,5}){1,3}", re.ASCII).fullmatch
)
_FIRMWARE = text(
    "five hex bytes with dots, as 96.00.9F.00.01",
    re.compile(r"[0-9A-Fa-f]{2}(\.[0-9A-Fa-f]{2}){4}").fullmatch,
)
_ADVISORIES = names("advisories with commas, as INTEL-SA-00837", re.compile(r"[A-Z0-9-]{1,32}"))
_CPU = word(*CPUS)


def _sized(size: int) -> Form:
    return integer(size) if size <= 8 else octets(size)


_SNP: Fields = {
    **{name: _sized(size) for name, (_, size) in FIELDS.items()},
    **{name: parts(_TCB, _BYTE, integer(8)) for name in FIELDS if name.endswith("_tcb")},
    "version": number(0, (1 << 32) - 1),
    "product": word(*PRODUCTS, *MODELS),
    "signing_key": word("vcek", "vlek"),
    "chip_number": _INDEX,
    "tcb": parts(_TCB, _BYTE),
}
_TDX: Fields = {
    **{name: _sized(size) for name, (_, size) in BODY.items()},
    **{alias: _sized(BODY[name][1]) for alias, name in ALIASES.items()},
    "version": choice(4, 5),
    "body": word(*BODIES),
    "ca": word("platform", "processor"),
    "fmspc": octets(6),
    "platform": _INDEX,
    "components": parts(range(16), _BYTE),
    "pcesvn": number(0, (1 << 16) - 1),
    "module_svn": _BYTE,
    "qe_isvsvn": number(0, (1 << 16) - 1),
    "tcb_evaluation": number(0, (1 << 31) - 1),
    **dict.fromkeys(("tcb_status", "module_status", "qe_status"), word(*STATUSES)),
    **dict.fromkeys(("advisories", "module_advisories", "qe_advisories"), _ADVISORIES),
    "event_log": flag(),
    "secure_boot": flag(),
}
_AZURE: Fields = {
    "kind": _CPU,
    "version": choice(0, 1, 2),
    "tpm_nonce": octets(1, 64),
    "pcrs": parts(range(24), octets(32)),
    **dict.fromkeys(("secure_boot", "ak_certificate", "event_log"), flag()),
}
_GPU: Fields = {
    "architecture": word("hopper", "blackwell"),
    "driver": _DRIVER,
    "vbios": _FIRMWARE,
    "mode": word(*FLAGS),
    "opaque_version": number(0, (1 << 16) - 1),
    "measurements": parts(range(BLOCKS), octets(48)),
}
_ALONE: Mapping[str, Fields] = {
    "snp": _SNP,
    "tdx": _TDX,
    "gpu": {**_GPU, "index": _INDEX},
    "switch": {"bios": _FIRMWARE, "index": _INDEX, "locked": number(0, (1 << 16) - 1)},
    "fabric": {"driver": _DRIVER, "mode": word(*FLAGS)},
    "nras": {"gpus": number(1, 16), "version": word(*VERSIONS), "driver": _DRIVER, "vbios": _FIRMWARE},
}
_WITH_CPU: Mapping[str, Fields] = {
    "azure": _AZURE,
    "machine": {"cpu": _CPU, "gpus": number(0, 64), "switches": number(0, 64), **_GPU},
    "site": {"cpu": _CPU, "gpus": number(0, 64), "origin": text("an origin, as https://host", is_origin)},
}
"""Beside the fields of their CPU."""


def fields_of(kind: str, cpu: str = "snp") -> Fields:
    """Name → form of every field of this kind of evidence. cpu: of an Azure machine, a machine or a site."""
    if kind in _ALONE:
        return _ALONE[kind]
    return {**_ALONE[cpu], **_WITH_CPU[kind]}


def assigned(texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Name and text of each FIELD=VALUE. Raises ValueError."""
    for given in texts:
        name, equals, value = given.partition("=")
        if not equals or not name:
            raise ValueError(f"--set takes FIELD=VALUE, not {escape(given, 60)}")
        yield name, value


def read_settings(
    kind: str,
    given: Iterable[tuple[str, str]],
    *,
    cpu: str = "snp",
    elsewhere: Mapping[str, str],
    option: str = "",
) -> dict[str, Any]:
    """Keywords of `Simulator.KIND`.

    given: name and text of each, the name as in `fields_of` or `FIELD.PART`; - stands for _. cpu: unless one of them
    says. elsewhere: name → who else gives it, for those that may not stand here. option: what the sentence of an error
    begins with. Raises ValueError with a sentence that names the field and what it takes.
    """
    settings = [(name.replace("-", "_").partition("."), value) for name, value in given]
    fields = fields_of(kind, _cpu_of(settings, cpu))
    keywords: dict[str, Any] = {}
    for (name, dot, part), value in settings:
        shown = f"{option}{escape(name + dot + part, 60)}={escape(value, 60)}"
        if name in elsewhere:
            raise ValueError(f"{shown}: {elsewhere[name]}")
        if name not in fields:
            near = did_you_mean(name, fields) or "."
            known = ", ".join(sorted(set(fields) - set(elsewhere)))
            raise ValueError(f"{shown}: {kind} has no field {escape(name, 60)}{near} It has {known}")
        form = fields[name]
        if not dot:
            _put(keywords, name, _read(shown, name, form, value), shown)
            continue
        key = int(part) if part.isascii() and part.isdecimal() and len(part) < 4 else part
        if form.parts is None or key not in form.parts:
            raise ValueError(f"{shown}: {name} has no part {escape(part, 60)}; it takes {form.says}")
        group = keywords.setdefault(name, {})
        if not isinstance(group, dict):
            raise ValueError(f"{shown}: {name} was given as a whole before")
        _put(group, key, _read(shown, f"{name}.{part}", form.parts[key], value), shown)
    return keywords


def _cpu_of(settings: Iterable[tuple[tuple[str, str, str], str]], otherwise: str) -> str:
    """The CPU whose fields count: a wrong one is told when its own field is read."""
    said = [
        value for (name, dot, _), value in settings if name in ("cpu", "kind") and not dot and value in CPUS
    ]
    return said[-1] if said else otherwise


def _read(shown: str, name: str, form: Form, value: str) -> Any:
    found = None if form.read is None else form.read(value)
    if found is None:
        raise ValueError(f"{shown}: {name} takes {form.says}")
    return found


def _put(place: dict[Any, Any], name: str | int, value: Any, shown: str) -> None:
    if name in place:
        raise ValueError(f"{shown}: given twice")
    place[name] = value
