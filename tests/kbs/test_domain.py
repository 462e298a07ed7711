"""Names and paths: what can be said, and what a rule's pattern covers."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbs.domain import InvalidName, PathPattern, ResourcePath, owner_name


@pytest.mark.parametrize("text", ["a/b/c", "default/key/1", "A-b_c/x.y/0.1.2", "_/-/0"])
def test_path_reads_and_writes_the_same(text: str) -> None:
    assert str(ResourcePath.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "a", "a/b", "a/b/c/d", "/a/b/c", "a/b/c/", "a//c", "a/../c", "a/./c", "a/.b/c", "a/b/c\n", "a/b/c d",
     "a\\b/c/d", "a/b/%63", "a/b/ｃ", "а/b/c", "a/b/" + "c" * 129, "a/b/*", "a\0/b/c"],
)  # fmt: skip
def test_other_paths_are_refused(text: str) -> None:
    with pytest.raises(InvalidName):
        ResourcePath.parse(text)


@given(st.text(max_size=30))
def test_any_text_is_a_path_or_invalid(text: str) -> None:
    with contextlib.suppress(InvalidName):
        assert str(ResourcePath.parse(text)) == text


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("a/b/c", "a/b/c", True),
        ("a/b/c", "a/b/cc", False),
        ("a/b/*", "a/b/c", True),
        ("a/b/*", "a/bb/c", False),
        ("a/*", "a/b/c", True),
        ("a/*", "aa/b/c", False),
        ("a/*", "A/b/c", False),
    ],
)
def test_pattern_covers_whole_segments_only(pattern: str, path: str, matches: bool) -> None:
    assert PathPattern.parse(pattern).matches(ResourcePath.parse(path)) is matches
    assert str(PathPattern.parse(pattern)) == pattern


@pytest.mark.parametrize("text", ["", "*", "/*", "a", "a/b", "a/b/c/*", "a/*/c", "a*/b/c", "../*", "a/b/.*"])
def test_other_patterns_are_refused(text: str) -> None:
    with pytest.raises(InvalidName):
        PathPattern.parse(text)


@pytest.mark.parametrize("text", ["", "A", "-a", "a b", "a/b", "a" * 64, "a\n"])
def test_other_owner_names_are_refused(text: str) -> None:
    with pytest.raises(InvalidName):
        owner_name(text)
