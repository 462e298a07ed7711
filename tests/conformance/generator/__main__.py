"""Writes every family of cases to its file, one case a line."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conformance.generator import (
    accepting,
    comparing,
    dates,
    defaults,
    documents,
    extending,
    floors,
    groups,
)
from tests.conformance.generator.case import Case

FOLDER = Path(__file__).resolve().parent.parent / "policy"
FAMILIES = {
    "accepting": accepting.cases,
    "comparing": comparing.cases,
    "dates": dates.cases,
    "defaults": defaults.cases,
    "documents": documents.cases,
    "extending": extending.cases,
    "floors": floors.cases,
    "groups": groups.cases,
}


def text_of(cases: list[Case]) -> str:
    names = [case["name"] for case in cases]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise ValueError(f"two cases of one name: {sorted(repeated)}")
    return "[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]\n"


def main() -> None:
    for name, cases in FAMILIES.items():
        (FOLDER / f"{name}.json").write_text(text_of(list(cases())), encoding="utf-8")


if __name__ == "__main__":
    main()
