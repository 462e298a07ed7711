"""`attest policy fmt`: one layout, in which nothing that was said is lost."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attest.cli.main import main
from attest.policy import Policy
from attest.policy.layout import WIDTH, lay_out
from attest.policy.nodes import Unreadable
from tests.conftest import ROOT
from tests.counts import tenth

FILES = sorted(ROOT.glob("policies/*.yaml"))
BUILTINS = sorted(ROOT.glob("attest/policy/builtin/*.yaml"))
"""Of a digest pinned in the package: never laid out again."""
UGLY = """

# head
policy:   1   #   one
name: 'ugly'
platforms: [ snp ]
references:
    web:
        type: snp.measurement
        values:
        -   {value: "VALUE",
             # of the first build
             name: x}  # first
        # about the second
        - value: "OTHER"  # second

          covers: image
          # end of item
        # end of values
    # end of web
allow-warnings: { # brace
   simulated: "b",   # bb
   # own
   no-freshness: "folded text
     of two lines"
   # last
   } # close
require:
  snp:
    measurement: {in: [web]}
    any:
    - # dash
      debug: false
    -
      vmpl:
          is: 0
          why: x   # why
    - {smt: false, # in
       ecc: true}
  # dangling
  gpu: {count: {at-least: 1}}
    # too deep
 # odd
""".replace("VALUE", "ab" * 48).replace("OTHER", "cd" * 48)


def comments(text: str) -> list[str]:
    """Of text whose scalars hold no #."""
    return [found.rstrip() for found in re.findall(r"(?:^|(?<=\s))#.*", text, re.MULTILINE)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_files_that_come_along_are_laid_out(file: Path) -> None:
    assert lay_out(file.read_bytes()) == file.read_text()


@pytest.mark.parametrize("file", BUILTINS, ids=lambda file: file.stem)
def test_built_in_policies_keep_words_and_comments(file: Path) -> None:
    """They are parents alone, so their digest is that of a child; here every word is compared."""
    text = file.read_text()
    laid = lay_out(text)
    assert re.sub(r"\s+", "", laid) == re.sub(r"\s+", "", text)
    assert comments(laid) == comments(text)


def test_comments_digest_and_order_stay() -> None:
    laid = lay_out(UGLY)
    assert comments(laid) == comments(UGLY)
    assert Policy.from_text(laid).digest == Policy.from_text(UGLY).digest
    assert lay_out(laid) == laid
    assert "platforms: [snp]\n" in laid
    assert "policy: 1 #   one\n" in laid
    assert "\n      # end of values\n  # end of web\nallow-warnings: # brace\n" in laid
    assert "\n    # own\n" not in laid
    assert "\n  # own\n" in laid


@pytest.mark.parametrize(
    ("text", "laid"),
    [
        ("k: >\n  folded  \n\nl: a\n", "k: >\n  folded  \n\nl: a\n"),
        ("k: |\n   a  \n     b \n", "k: |\n  a  \n    b \n"),
        ("k:\n -\n  -\n\n      # c\n    a: b\n", "k:\n  # c\n  - - a: b\n"),
    ],
)
def test_spaces_of_a_text_stay_and_an_empty_line_before_a_first_item_does_not(text: str, laid: str) -> None:
    assert lay_out(text) == laid
    assert lay_out(laid) == laid


def test_a_file_of_comments_costs_no_more_than_it_is_long() -> None:
    started = time.process_time()
    lay_out("a: b\n" + "#\n" * 100_000)
    assert time.process_time() - started < 5, "linear in the comments"


def test_what_looks_like_a_comment_inside_text_is_text() -> None:
    text = 'a: "x # y"\nb: |\n   # z\n   w\nc: d#e # f\n'
    assert lay_out(text) == 'a: "x # y"\nb: |\n  # z\n  w\nc: d#e # f\n'


def test_a_long_flow_map_becomes_a_block_and_a_block_stays_one() -> None:
    long = f'a: {{b: "{"x" * WIDTH}", c: [d, {{e: f}}]}}\n'
    assert lay_out(long) == f'a:\n  b: "{"x" * WIDTH}"\n  c: [d, {{e: f}}]\n'
    assert lay_out("a:\n  b: c\n") == "a:\n  b: c\n"


@pytest.mark.parametrize("text", ["a: &x b\n", "a: 1\na: 2\n", "", "a: [b\n", "a: ''\n", b"\xff: a\n"])
def test_what_a_policy_may_not_be_is_not_laid_out(text: str | bytes) -> None:
    with pytest.raises(Unreadable):
        lay_out(text)


def test_a_layout_that_would_lose_something_is_not_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for lost in ("a: c # x\n", "a: b\n", "a: b # y\n", "a: [\n"):
        monkeypatch.setattr("attest.policy.layout._Writer.write", lambda _, lost=lost: lost)
        with pytest.raises(Unreadable, match="lay it out by hand"):
            lay_out("a: b # x\n")


# -- any text ----------------------------------------------------------------------------------------

_WORDS = st.sampled_from(
    ["a", "550.10", "on", "x y", '"q # r"', "'it''s'", "1", '"a\\n b"', "~", "c#d", "${p}", "é", "-1", "a-b"]
)
_KEYS = st.sampled_from(["k", "l", "m", "n", '"o p"', "r", "s-t", "550"])
_REMARK = st.sampled_from(["", "", "", " # c", " #", "  ## x: {y", "   # 'z"])
_LINES = st.sampled_from(["", "", "", "\n", "\n\n", "# own\n", "   # own: [2\n\n", "\n# own\n\n# two\n"])


@st.composite
def yaml(draw: st.DrawFn, indent: int = 0, depth: int = 0) -> str:
    """A block map in some layout, as text."""
    out = []
    step = draw(st.sampled_from([1, 2, 3, 4]))
    for key in draw(st.lists(_KEYS, min_size=1, max_size=4, unique=True)):
        out.append(draw(_LINES))
        kind = draw(st.sampled_from(["word", "word", "flow", "block", "list", "literal", "folded"]))
        room = " " * indent
        if kind == "word" or depth > 2:
            out.append(f"{room}{key}:  {draw(_WORDS)}{draw(_REMARK)}\n")
        elif kind == "flow":
            out.append(f"{room}{key}: {draw(flow(indent + 1))}{draw(_REMARK)}\n")
        elif kind == "block":
            out.append(f"{room}{key}:{draw(_REMARK)}\n{draw(yaml(indent + step, depth + 1))}")
        elif kind == "list":
            items = draw(st.lists(flow(indent + 3) | _WORDS, min_size=1, max_size=3))
            out.append(f"{room}{key}:{draw(_REMARK)}\n")
            for item in items:
                out.append(f"{draw(_LINES)}{room}-   {item}{draw(_REMARK)}\n")
        else:
            sign = {"literal": "|", "folded": ">"}[kind] + draw(st.sampled_from(["", "-", "+"]))
            body = draw(st.sampled_from(["t", "t\n\n{r}u", "t\n{r}  u", "# t", "t: v\n\n", "t  \n{r}u "]))
            inner = " " * (indent + step)
            out.append(f"{room}{key}: {sign}{draw(_REMARK)}\n{inner}{body.format(r=inner)}\n")
    return "".join(out) + draw(_LINES)


@st.composite
def flow(draw: st.DrawFn, indent: int, depth: int = 0) -> str:
    gap = st.sampled_from(
        ["", " ", f"\n{' ' * indent}", f" # f\n{' ' * indent}", f"\n{' ' * indent}# g\n{' ' * indent}"]
    )
    inner = _WORDS if depth > 1 else _WORDS | flow(indent, depth + 1)
    if draw(st.booleans()):
        items = draw(st.lists(inner, min_size=1, max_size=3))
        return "[" + ",".join(f"{draw(gap)} {item} {draw(gap)}" for item in items) + "]"
    keys = draw(st.lists(_KEYS, min_size=1, max_size=3, unique=True))
    return "{" + ",".join(f"{draw(gap)} {key}: {draw(inner)} {draw(gap)}" for key in keys) + "}"


@settings(max_examples=tenth(600), deadline=None)
@given(yaml())
@example("k: >+\n  t\n\nl: a\n")
@example("k: [ # f\n   a ,\n # g\n b\n  # h\n ]   # c\n")
def test_any_layout_becomes_the_one_layout(text: str) -> None:
    try:
        laid = lay_out(text)
    except Unreadable as error:
        # The generator writes some texts that no policy may be; none that fmt itself cannot keep.
        assert not any("layout" in fault.message for fault in error.faults), error.faults
        return
    assert lay_out(laid) == laid


# -- the command --------------------------------------------------------------------------------------


def test_fmt_rewrites_in_place_and_says_what_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(UGLY)
    file.chmod(0o640)
    assert main(["policy", "fmt", "--check", str(file)]) == 1
    assert file.read_text() == UGLY
    assert f"{file}: would change" in capsys.readouterr().out
    assert main(["policy", "fmt", str(file)]) == 0
    assert file.read_text() == lay_out(UGLY)
    assert file.stat().st_mode & 0o777 == 0o640
    assert f"{file}: changed" in capsys.readouterr().out
    assert main(["policy", "fmt", "--check", str(file)]) == 0
    assert main(["policy", "fmt", str(file)]) == 0
    assert capsys.readouterr().out == ""


def test_fmt_leaves_alone_what_it_cannot_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad, good = tmp_path / "bad.yaml", tmp_path / "good.yaml"
    bad.write_text("a: 1\na: 2\n")
    good.write_text("a:   1\n")
    assert main(["policy", "fmt", str(bad), str(tmp_path / "none.yaml"), str(good)]) == 2
    assert bad.read_text() == "a: 1\na: 2\n"
    assert good.read_text() == "a: 1\n"
    err = capsys.readouterr().err
    assert f'{bad}:2:1: key "a" stands twice, first in line 1' in err
    assert "none.yaml: cannot be read: No such file or directory" in err


def test_fmt_of_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import io

    class _Stdin:
        buffer = io.BytesIO(b"a:   1\n")

    monkeypatch.setattr("sys.stdin", _Stdin())
    assert main(["policy", "fmt", "-"]) == 0
    assert capsys.readouterr().out == "a: 1\n"
