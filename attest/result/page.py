"""The tree as one HTML page that stands alone: for whoever has to decide, by mail or on paper.

No script, no address, no file beside it; its own Content-Security-Policy admits nothing but its style sheet.
Everything that is not written here goes through `_text`.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape as html_escape

from attest.errors import Problem
from attest.result.page_style import STYLE, style_source
from attest.result.tree import WORDS, Branch, Leaf, State, Tree, short
from attest.untrusted import reshown

_VERDICTS = {
    "conforms": ("good", "✔", "CONFORMS"),
    "conforms-with-warnings": ("warn", "✔", "CONFORMS, WITH WARNINGS"),
    "refused": ("bad", "✘", "REFUSED"),
    "invalid": ("bad", "✘", "THE POLICY CANNOT BE READ"),
    "malformed": ("bad", "✘", "THE EVIDENCE CANNOT BE READ"),
}
_STATES: dict[State, tuple[str, str]] = {
    "pass": ("good", "✔"),
    "observed": ("warn", "◐"),
    "accepted": ("warn", "◑"),
    "grace": ("warn", "◔"),
    "deny": ("bad", "✘"),
    "not-judged": ("soft", "–"),
}
_MEANS = {
    "conforms": "The machine proved what it is, and is what this policy asks for.",
    "conforms-with-warnings": "The machine proved what it is, and is what this policy asks for. Read the warnings before you rely on it.",
    "refused": "The machine proved what it is. It is not what this policy asks for, so it gets nothing.",
    "unproved": "The machine did not prove what it is, so the policy was not asked. It gets nothing.",
    "invalid": "Nothing was judged: the policy has to be mended first.",
    "malformed": "Nothing was judged: the files are not what they should be.",
}


def render_page(tree: Tree) -> str:
    """The whole page. UTF-8 when written."""
    answer = tree.answer
    kind, mark, word = _VERDICTS[answer.verdict]
    title = f"{word.capitalize()}: {answer.policy.get('name') or 'evidence'}"
    csp = f"default-src 'none'; style-src {style_source()}; base-uri 'none'; form-action 'none'"
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{csp}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{_text(title)}</title>",
            f"<style>{STYLE}</style></head><body><main>",
            *_verdict(tree, kind, mark, word),
            *_findings(tree),
            *_warnings(tree),
            *_parts(tree),
            *_checks(tree),
            *_foot(tree),
            "</main></body></html>\n",
        )
    )


def _verdict(tree: Tree, kind: str, mark: str, word: str) -> Iterator[str]:
    answer = tree.answer
    yield f'<header class="verdict {kind}"><div class="word"><span aria-hidden="true">{mark}</span> {word}</div>'
    yield f"<h1>{_text(tree.headline)}</h1>"
    meaning = "unproved" if answer.verdict == "refused" and not answer.authentic else answer.verdict
    yield f"<p>{_MEANS[meaning]}</p>"
    said = [f"judged at {answer.as_dict()['at']}"]
    if answer.policy.get("name"):
        said.insert(0, f"policy {answer.policy['name']}")
    yield f'<p class="soft">{_text(", ".join(said))}</p>'
    if tree.branches:
        yield '<ul class="parts">'
        for branch in _grouped(tree.branches):
            yield f"<li>{_mark(branch[1])} {_text(branch[0])}</li>"
        yield "</ul>"
    yield "</header>"
    if answer.simulated:
        yield '<p class="banner">Simulated evidence: a program made it, and it proves nothing about hardware.</p>'


def _grouped(branches: tuple[Branch, ...]) -> Iterator[tuple[str, State]]:
    """Each part by name; devices that meet all rules together, so that one that does not stands out."""
    good = [branch for branch in branches if branch.device is not None and branch.good]
    for branch in branches:
        if branch not in good:
            if branch.key and not (branch.good and branch.key in ("gpu", "switch")):
                yield branch.title, branch.state
            continue
        alike = [other for other in good if other.key.partition("[")[0] == branch.key.partition("[")[0]]
        if alike[0] is not branch:
            continue
        if len(alike) == 1:
            yield branch.title, "pass"
        else:
            yield f"{branch.title.split()[0]} {_runs([other.device or 0 for other in alike])}", "pass"


def _runs(numbers: list[int]) -> str:
    """`0–2, 4–7`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{first}–{last}" if first != last else str(first) for first, last in runs)


# -- what is wrong ----------------------------------------------------------------------------------


def _findings(tree: Tree) -> Iterator[str]:
    wrong = tree.denied
    if wrong:
        count = len(wrong)
        yield f"<h2>What is wrong, and what to do ({count})</h2>"
        for leaf in wrong:
            yield from _finding(leaf, "")
    elif tree.answer.problems:
        yield "<h2>What is wrong, and what to do</h2>"
        for problem in tree.answer.problems:
            yield from _problem(problem, "")
    waiting = [leaf for leaf in tree.leaves if not leaf.good and leaf.state != "deny"]
    if waiting:
        yield f"<h2>Tolerated for now ({len(waiting)})</h2>"
        for leaf in waiting:
            yield from _finding(leaf, " warn")


def _finding(leaf: Leaf, kind: str) -> Iterator[str]:
    head = leaf.sentence or f"{leaf.rule}: {WORDS[leaf.state]}"
    yield f'<section class="finding{kind}"><h3>{_mark(leaf.state)} {_text(head)}</h3><dl>'
    yield from _pairs(
        ("Rule", leaf.rule, True),
        ("Where", leaf.line if leaf.line != "default" else "default: holds unless a policy says otherwise", False),
        ("Expected", leaf.expected, True),
        ("Found", leaf.found or "nothing", True),
        ("Protects from", leaf.protects, False),
        ("Because", leaf.why, False),
        ("What to do", leaf.fix, False),
        ("Until", leaf.until, False),
    )  # fmt: skip
    yield "</dl></section>"


def _problem(problem: Problem, kind: str, allowed: str | None = None) -> Iterator[str]:
    yield f'<section class="finding{kind}"><h3>{_text(problem.message)}</h3><dl>'
    yield from _pairs(
        ("Check", problem.code, True),
        ("Where", problem.where, True),
        ("Expected", problem.expected, True),
        ("Found", problem.found, True),
        ("What to do", problem.remedy and problem.remedy[:1].upper() + problem.remedy[1:], False),
        ("Allowed for a release", allowed, False),
    )
    yield "</dl></section>"


def _pairs(*pairs: tuple[str, str | None, bool]) -> Iterator[str]:
    for name, value, code in pairs:
        if value:
            shown = f"<code>{_text(value)}</code>" if code else _text(value)
            yield f"<dt>{name}</dt><dd>{shown}</dd>"


def _warnings(tree: Tree) -> Iterator[str]:
    answer = tree.answer
    if answer.warnings:
        yield f"<h2>Warnings ({len(answer.warnings)})</h2>"
    for warning in answer.warnings:
        allowed = "yes, by allow-warnings" if warning.code in tree.allowed else None
        yield from _problem(warning, " warn", allowed)
    if answer.release is not None:
        withheld = answer.release["withheld"]
        said = "Nothing found here withholds one." if not withheld else "It would be withheld:"
        yield f"<h2>Release of a secret</h2><p>{said}</p>"
        if withheld:
            yield "<ul>"
            yield from (f"<li>{_text(one['message'])}</li>" for one in withheld)
            yield "</ul>"


# -- the whole tree ---------------------------------------------------------------------------------


def _parts(tree: Tree) -> Iterator[str]:
    if tree.branches:
        yield "<h2>Every rule, part by part</h2>"
    for branch in tree.branches:
        opened = " open" if not branch.good or branch.device is None else ""
        met = sum(leaf.state in ("pass", "observed") for leaf in branch.leaves)
        judged = sum(leaf.state != "not-judged" for leaf in branch.leaves)
        yield f'<details{opened}><summary>{_mark(branch.state)} <span class="title">{_text(branch.title)}</span> '
        yield f'<span class="soft">{_text(branch.about)}{": " if branch.about else ""}{met} of {judged} met</span></summary>'
        yield '<div class="table"><table><thead><tr><th scope="col">Rule</th><th scope="col">Result</th>'
        yield '<th scope="col">Expected</th><th scope="col">Found</th><th scope="col">Protects from</th><th scope="col">Where</th></tr></thead><tbody>'
        for leaf in branch.leaves:
            yield (
                f'<tr><th scope="row">{_text(leaf.claim)}</th><td class="state">{_mark(leaf.state)} {_state(leaf)}</td>'
                f'<td data-label="Expected"><code>{_text(short(leaf.expected, 160))}</code></td>'
                f'<td data-label="Found"><code>{_text(short(leaf.found, 160))}</code></td>'
                f'<td class="purpose" data-label="Protects from">{_text(leaf.protects or "")}</td>'
                f'<td class="place">{_text(leaf.line.rpartition("/")[2])}</td></tr>'
            )
        yield "</tbody></table></div></details>"


def _state(leaf: Leaf) -> str:
    return {"not-judged": "not judged", "observed": "observed", "accepted": "accepted", "grace": "grace"}.get(
        leaf.state, WORDS[leaf.state]
    )


def _checks(tree: Tree) -> Iterator[str]:
    checks = tree.answer.checks
    if not checks:
        return
    by = {
        outcome: [record for record in checks if record.outcome == outcome]
        for outcome in ("failed", "not-run", "passed")
    }
    yield "<h2>Whether the evidence is genuine</h2>"
    yield (
        f"<p>{len(by['passed'])} checks passed, {len(by['failed'])} failed, {len(by['not-run'])} could not be made. "
        "Nothing is taken for checked that is not listed.</p>"
    )
    for outcome, title in (("failed", "Failed"), ("not-run", "Could not be made"), ("passed", "Passed")):
        found = by[outcome]
        if not found:
            continue
        yield f'<details><summary><span class="title">{title}</span> <span class="soft">{len(found)}</span></summary>'
        if outcome == "passed":
            names = ", ".join(record.name for record in found)
            yield f'<div class="table"><p class="names">{_text(names)}</p></div></details>'
            continue
        yield '<div class="table"><table><tbody>'
        for record in found:
            yield f'<tr><th scope="row">{_text(record.name)}</th><td>{_text(record.why or "")}</td></tr>'
        yield "</tbody></table></div></details>"


def _foot(tree: Tree) -> Iterator[str]:
    policy = tree.answer.policy
    yield "<footer>"
    if policy.get("file"):
        yield f"<p>Policy file <code>{_text(str(policy['file']))}</code></p>"
    if policy.get("digest"):
        yield f"<p>Policy digest <code>{_text(str(policy['digest']))}</code></p>"
    yield "<p>Text that came from the machine is shown with control characters escaped. This page loads nothing.</p></footer>"


# -- pieces -----------------------------------------------------------------------------------------


def _mark(state: State) -> str:
    kind, mark = _STATES[state]
    return f'<span class="mark {kind}" aria-hidden="true">{mark}</span>'


def _text(text: str) -> str:
    """For HTML. Controls and bidi of evidence are escaped where the text enters an answer; what a caller's own file
    or a future field brings is escaped here all the same."""
    return html_escape(reshown(text, len(text)))
