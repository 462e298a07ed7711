"""The tree in a terminal: the verdict's sentence first, what is not met in full, what is met in a line each."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator

from attest.protects import from_what
from attest.result.text import release_lines, unused_lines
from attest.result.tree import WORDS, Branch, Leaf, State, Tree, short

_MARKS: dict[State, tuple[str, str]] = {
    "pass": ("32", "✔"),
    "observed": ("33", "◐"),
    "accepted": ("33", "◑"),
    "grace": ("33", "◔"),
    "deny": ("31", "✘"),
    "not-judged": ("2", "–"),
}
_VERDICTS = {
    "conforms": ("32", "CONFORMS"),
    "conforms-with-warnings": ("33", "CONFORMS, WITH WARNINGS"),
    "refused": ("31", "REFUSED"),
    "invalid": ("31", "INVALID POLICY"),
    "malformed": ("31", "MALFORMED"),
}
Paint = Callable[[str, str], str]
NARROWEST = 40


def render_tree(tree: Tree, *, width: int = 100, colour: bool = False, every: bool = False) -> str:
    """Lines of at most `width` columns, where words allow it. every: devices that meet all rules are opened too."""
    width = max(NARROWEST, width)

    def paint(code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour else text

    return "\n".join(_lines(tree, width, paint, every)) + "\n"


def _lines(tree: Tree, width: int, paint: Paint, every: bool) -> Iterator[str]:
    answer = tree.answer
    code, word = _VERDICTS[answer.verdict]
    yield from wrapped(tree.headline, width, "", "  ")
    about = [f"at {answer.as_dict()['at']}"]
    if answer.policy.get("name"):
        about.insert(0, f"policy {answer.policy['name']}")
    if answer.policy.get("digest"):
        about.append(short(answer.policy["digest"], 40))
    denied = len(tree.denied)
    if denied:
        about.insert(0, f"{denied} {'rule is' if denied == 1 else 'rules are'} not met")
    yield from wrapped(
        " · ".join(about), width, f"{word}  ", " " * (len(word) + 2), lambda text: text.replace(word, paint(f"1;{code}", word), 1)
    )  # fmt: skip
    if answer.simulated:
        banner = wrapped("SIMULATED: this proves nothing about hardware", width, "", "  ")
        yield from (paint("33", line) for line in banner)
    if not tree.branches:
        for problem in answer.problems:
            yield from wrapped(f"{problem.code}: {problem}", width, "  ✘ ", "    ")
            if problem.remedy:
                yield from wrapped(problem.remedy, width, "    → ", "      ")
        yield "The policy was not run."
        return
    yield ""
    # Eight devices of twelve met rules each would hide the one that is not met.
    kinds = Counter(branch.kind for branch in tree.branches if branch.device is not None)
    for index, branch in enumerate(tree.branches):
        last = index == len(tree.branches) - 1
        closed = not every and branch.good and kinds[branch.kind] > 1 and branch.device is not None
        yield from _branch(branch, width, paint, last=last, closed=closed)
    if answer.warnings:
        yield ""
    for warning in answer.warnings:
        where = f" ({warning.where})" if warning.where else ""
        allowed = " Allowed for a release by allow-warnings." if warning.code in tree.allowed else ""
        remedy = f" → {warning.remedy}" if warning.remedy else ""
        yield from wrapped(
            f"{warning.code}{where}: {warning.message}.{allowed}{remedy}", width, f"{paint('33', '!')} ", "  "
        )
    foot = [*release_lines(answer.release, width), *unused_lines(answer.not_used, width)]
    if foot:
        yield ""
        yield from (line.removeprefix("  ") for line in foot)


def _branch(branch: Branch, width: int, paint: Paint, *, last: bool, closed: bool) -> Iterator[str]:
    code, mark = _MARKS[branch.state]
    stem = "   " if last else "│  "
    count = sum(leaf.state == "pass" for leaf in branch.leaves)
    said = [*([branch.about] if branch.about else []), *([f"{count} rules met"] if closed else [])]

    def marked(line: str) -> str:
        return line.replace(mark, paint(code, mark), 1).replace(branch.title, paint("1", branch.title), 1)

    head = f"{'└─' if last else '├─'} {mark} {branch.title}  "
    yield from wrapped(" · ".join(said), width, head, f"{stem}  ", marked)
    if closed:
        return
    # Where names leave little beside them, each has what follows below it.
    room = max(len(leaf.claim) for leaf in branch.leaves)
    room = room if width - room >= 36 else 0
    for index, leaf in enumerate(branch.leaves):
        yield from _leaf(leaf, stem, room, width, paint, last=index == len(branch.leaves) - 1)


def _leaf(leaf: Leaf, stem: str, room: int, width: int, paint: Paint, *, last: bool) -> Iterator[str]:
    code, mark = _MARKS[leaf.state]
    head = f"{stem}{'└─' if last else '├─'} "
    below = stem + ("   " if last else "│  ")

    def marked(text: str) -> str:
        return text.replace(mark, paint(code, mark), 1)

    if leaf.good:
        said = f"{short(leaf.expected)} · found {short(leaf.found)}"
        if leaf.state == "not-judged":
            said = f"{short(leaf.expected)} · {WORDS['not-judged']}"
        yield from wrapped(
            f"{said} · {leaf.line}", width, f"{head}{mark} {leaf.claim:<{room}}  ", f"{below}{'':<{room + 4}}", marked
        )  # fmt: skip
        return
    words = WORDS[leaf.state] + (f", until {leaf.until}" if leaf.until and leaf.state != "deny" else "")
    yield from wrapped(
        f"{words} · {leaf.line}", width, f"{head}{mark} {leaf.claim:<{room}}  ", f"{below}{'':<{room + 4}}", marked
    )  # fmt: skip
    for name, value in (
        ("expected", short(leaf.expected, 400)),
        ("found", short(leaf.found, 400)),
        ("because", leaf.why),
        ("protects", leaf.protects and f"from {from_what(leaf.protects)}"),
        ("do", leaf.fix and _sentence(leaf.fix)),
    ):
        if value:
            yield from wrapped(value, width, f"{below}    {name:<8}  ", f"{below}{'':<14}")


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else text + "."


# -- lines ------------------------------------------------------------------------------------------


def columns(text: str) -> int:
    """Terminal columns of plain text: East Asian wide characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def wrapped(
    text: str, width: int, first: str, rest: str, finish: Callable[[str], str] = lambda line: line
) -> Iterator[str]:
    """`text` in lines of at most `width` columns. first, rest: what the first and the other lines begin with.
    finish: applied to the first line once it is measured, to colour what colours cannot be measured in."""
    begin, line, empty = first, "", True
    lines: list[str] = []
    for word in text.split():
        for piece in _pieces(word, max(8, width - _shown(rest))):
            joined = piece if empty else f"{line} {piece}"
            if _shown(begin) + columns(joined) > width and not (empty and begin is rest):
                lines.append(f"{begin}{line}".rstrip())
                begin, joined = rest, piece
            line, empty = joined, False
    lines.append(f"{begin}{line}".rstrip())
    yield finish(lines[0])
    yield from lines[1:]


def _shown(text: str) -> int:
    """Columns without colours."""
    plain = text
    while "\x1b[" in plain:
        head, _, tail = plain.partition("\x1b[")
        plain = head + tail.partition("m")[2]
    return columns(plain)


def _pieces(word: str, room: int) -> Iterator[str]:
    """A word longer than a line is cut: a digest, a list without spaces."""
    piece, used = "", 0
    for char in word:
        wide = columns(char)
        if used + wide > room:
            yield piece
            piece, used = "", 0
        piece += char
        used += wide
    yield piece
