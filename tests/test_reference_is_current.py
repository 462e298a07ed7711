"""The generated pages under docs/reference say what the code says."""

from __future__ import annotations

import pytest

from docs.generate import FOLDER, pages


@pytest.mark.parametrize("name", pages())
def test_page_is_what_the_tables_say(name: str) -> None:
    committed = (FOLDER / name).read_text(encoding="utf-8") if (FOLDER / name).exists() else ""
    assert committed == pages()[name], f"docs/reference/{name} is out of date: run `make docs` and commit it"


def test_no_page_is_left_over() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(pages())
