"""docs/threat-model.md is true where it can be checked: the tests, checks, defaults and files it names exist.

A threat that is covered names what covers it. Whether those tests fail without the check is theirs to show.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

import pytest

from attest.check_table import CHECKS
from attest.claims import CLAIMS
from attest.policy.defaults import DEFAULTS
from attest.problems import PROBLEMS
from attest.simulator import FAULTS
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "threat-model.md"
STATUSES = ("covered", "partly", "later")
VERIFIERS = [
    "REPLAY",
    "NONCE-ECHO",
    "KEYSWAP",
    "RELAY",
    "FACTORY",
    "INITDATA",
    "VERSION-DOWNGRADE",
    "LEASE",
    "UNBOUND",
    "GPU",
    "EMPTY",
    "DUP",
    "GPU-MODE",
    "RIM",
    "NRAS",
    "DEBUG",
    "VMPL",
    "MIGRATE",
    "TCB-ROLLBACK",
    "TDX-STATUS",
    "COLLATERAL-ROLLBACK",
    "CRL",
    "ROOT",
    "PHYS",
    "EVENTLOG",
    "PCR",
    "SAMPLE",
    "PARAVISOR",
    "OMIT",
    "MEMORY",
    "CACHE",
    "JWTALG",
    "CANON",
    "SIGTYPE",
    "RV",
    "POLICY",
    "DOS",
    "SSRF",
    "CLOCK",
    "RENDER",
    "ORACLE",
    "CROSS",
    "ORIGIN",
    "FLEET",
]
"""Threats that the verifier stops, whatever a broker does besides: each has tests that carry its name."""
OTHERS = [
    "TOCTOU",
    "COOKIE",
    "TCP",
    "AUD",
    "EPHEMERAL",
    "JWE",
    "CT",
    "PATH",
    "ADMIN-DEFAULT",
    "ACL",
    "LASTWRITER",
    "COLLUDE",
    "VACUOUS-OWNER",
    "RESTORE",
    "AUDIT",
    "TAIL",
    "CONFUSED",
    "KBS",
    "MEM",
    "USER",
    "STRIP",
    "EXFIL",
    "PKG",
    "LEN",
    "RAGSHARE",
    "UPDATE",
]
"""Those of the broker and of what is built on it."""
WORDS = {"sample", "not-run", "absent", "good", "Verified"}
"""Words in code style that are values or types, not names of a table."""


class Row(NamedTuple):
    threat: str
    wrong: str
    stops: str
    tests: str
    status: str

    @property
    def named_tests(self) -> list[str]:
        return [name for name in _code(self.tests) if "::" in name]

    @property
    def named_faults(self) -> list[str]:
        return [name.removeprefix("fault ") for name in _code(self.tests) if name.startswith("fault ")]


def _code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def _rows() -> list[Row]:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| T-")]
    return [Row(*(cell.strip() for cell in line.strip("|").split("|"))) for line in lines]


ROWS = _rows()


@cache
def functions_of(path: str) -> frozenset[str]:
    file = ROOT / path
    if not file.is_file():
        return frozenset()
    return frozenset(re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE))


def test_the_page_has_a_row_for_each_threat_and_one_only() -> None:
    names = [row.threat for row in ROWS]
    assert len(names) > 60
    assert len(names) == len(set(names))


@cache
def named_after_threats() -> dict[str, frozenset[str]]:
    """Threat → the files, outside the broker's room, with a test that carries its name."""
    prefixes = {"test_t_" + name.lower().replace("-", "_") + "_": name for name in (*VERIFIERS, *OTHERS)}
    found: dict[str, set[str]] = {}
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        path = file.relative_to(ROOT).as_posix()
        for function in functions_of(path):
            if not function.startswith("test_t_"):
                continue
            # GPU-MODE begins as GPU does: the longest name is meant.
            called = max((prefix for prefix in prefixes if function.startswith(prefix)), key=len, default="")
            assert called, f"{path}::{function} carries the name of no threat"
            if not path.startswith("tests/kbs/"):
                found.setdefault(prefixes[called], set()).add(f"{path}::{function}")
    return {name: frozenset(functions) for name, functions in found.items()}


def test_every_row_is_the_verifiers_or_anothers() -> None:
    assert sorted(row.threat for row in ROWS) == sorted(f"T-{name}" for name in (*VERIFIERS, *OTHERS))


@pytest.mark.parametrize("threat", VERIFIERS)
def test_a_threat_to_the_verifier_has_a_test_that_carries_its_name_and_the_row_names_one(threat: str) -> None:
    called = named_after_threats().get(threat, frozenset())
    assert called, f"no test outside the broker's is named test_t_{threat.lower().replace('-', '_')}_…"
    (row,) = (row for row in ROWS if row.threat == f"T-{threat}")
    named = {name.partition("[")[0] for name in row.named_tests}
    assert called & named, f"the row of T-{threat} names none of {sorted(called)}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.threat)
def test_what_a_row_names_exists(row: Row) -> None:
    missing = []
    for name in row.named_tests:
        path, _, function = name.partition("::")
        if function.partition("[")[0] not in functions_of(path):
            missing.append(name)
    missing += [name for name in row.named_faults if name not in FAULTS]
    assert not missing, f"{row.threat} names what does not exist"
    assert len(row.named_tests) + len(row.named_faults) == len(_code(row.tests)), "neither a test nor a fault"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.threat)
def test_a_status_is_honest(row: Row) -> None:
    status, _, missing = row.status.partition(": ")
    assert status in STATUSES
    if status == "covered":
        assert row.named_tests or row.named_faults, f"{row.threat} is called covered and names no test"
    if status == "partly":
        assert missing, f"{row.threat} does not say what is missing"
        assert row.named_tests or row.named_faults


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.threat)
def test_what_stops_it_is_there(row: Row) -> None:
    defaults = {rule.name for rule in DEFAULTS}
    claims = {f"{section}.{name}" for section, names in CLAIMS.items() for name in names}
    for name in _code(row.stops) + _code(row.status):
        if name.startswith("default "):
            assert name.removeprefix("default ") in defaults, name
        elif name.endswith(".py"):
            assert (ROOT / name).is_file(), name
        elif not name.startswith("kbs "):
            assert name in CHECKS.keys() | PROBLEMS.keys() | claims | WORDS, name


def test_every_threat_that_the_code_speaks_of_has_a_row() -> None:
    spoken = set()
    for room in ("attest", "kbs", "policies", "examples"):
        for file in (ROOT / room).rglob("*"):
            if file.suffix in (".py", ".md", ".yaml"):
                spoken |= set(re.findall(r"\bT-[A-Z]{2,}(?:-[A-Z]+)*\b", file.read_text(encoding="utf-8")))
    assert spoken
    assert spoken <= {row.threat for row in ROWS}
