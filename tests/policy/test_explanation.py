"""The tree of an answer: in a terminal, as JSON, and as a page for whoever decides."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from attest.claims import CLAIMS
from attest.cli.colour import coloured
from attest.cli.main import main
from attest.policy import Policy
from attest.protects import PROTECTS, from_what, without_sentence
from attest.result.answer import of_appraisal, of_refusal
from attest.result.page import render_page
from attest.result.page_style import STYLE
from attest.result.tree import WORDS, Tree, tree_of
from attest.result.tree_text import columns, render_tree
from tests.conftest import ROOT, Sample
from tests.policy.conftest import GPU, NOW, SNP, Judge, policy_of, tree

OLD_VBIOS = (
    "GPU 3 of 8: VBIOS is too old (gpu[3].vbios, p.yaml:4). Wanted ≥ 96.00.9F, found 96.00.74.00.1A; the other 7"
    " pass. Update GPU 53C2…5771."
)


def eight(**third: str) -> list[dict[str, str]]:
    gpus = [{**GPU, "id": f"{index:02x}" * 20, "count": "8"} for index in range(8)]
    gpus[3] |= {"id": "53c2" + "00" * 16 + "5771", **third}
    return gpus


@pytest.fixture
def refused(judge: Judge) -> Tree:
    """An eight-GPU machine with one old VBIOS and SMT on in its grace period."""
    policy = policy_of(
        "{snp: {smt: {is: false, else: warn, until: 2027-01-31, fix: Ask ops}}, gpu: {vbios: {at-least: 96.00.9F}}}"
    )
    return tree_of(of_appraisal(judge(tree(snp=SNP, gpu=eight(vbios="96.00.74.00.1A")), policy)))


@pytest.fixture
def conforming(judge: Judge) -> Tree:
    policy = policy_of("{snp: {product: milan}, gpu: {count: 8}}")
    return tree_of(of_appraisal(judge(tree(snp=SNP, gpu=eight()), policy)))


# -- what each rule protects from -------------------------------------------------------------------


def test_every_claim_says_in_a_sentence_what_a_rule_on_it_protects_from() -> None:
    assert without_sentence() == set()
    known = {f"{section}.{name}" for section, claims in CLAIMS.items() for name in claims}
    assert {name for name in PROTECTS if "." in name} - known == {
        "gpu.present",
        "switch.present",
        "snp.fixed",
    }
    for name, sentence in PROTECTS.items():
        assert re.fullmatch(r"[A-Z][^\n]{15,118}\.", sentence), name


def test_an_abbreviation_keeps_its_capitals() -> None:
    assert from_what("GPUs of another machine.") == "GPUs of another machine."
    assert from_what("Old firmware.") == "old firmware."


# -- the terminal -----------------------------------------------------------------------------------


def test_the_first_line_of_a_denial_is_its_sentence(refused: Tree) -> None:
    text = render_tree(refused, width=400)
    assert text.splitlines()[0] == OLD_VBIOS
    assert text.splitlines()[1].startswith("REFUSED  1 rule is not met · policy t · at 2026-11-23T12:00:00Z")
    assert refused.as_dict()["explanation"]["headline"] == OLD_VBIOS


def test_firmware_is_named_with_both_versions_in_the_first_line(judge: Judge) -> None:
    policy = policy_of("{snp: {tcb: {at-least: {milan: {snp: 24}}}}}")
    old = tree(snp={**SNP, "tcb": {**SNP["tcb"], "snp": "23"}})
    assert render_tree(tree_of(of_appraisal(judge(old, policy))), width=400).splitlines()[0] == (
        "SNP firmware is too old (snp.tcb, p.yaml:4). Wanted snp ≥ 24 on Milan, found 23. The host must update and"
        " commit firmware."
    )


def test_what_is_not_met_is_told_in_full(refused: Tree) -> None:
    said = " ".join(render_tree(refused).replace("│", " ").split())
    assert (
        "✘ vbios not met · p.yaml:4 expected ≥ 96.00.9F found 96.00.74.00.1A"
        " protects from old firmware on the GPU with published holes. do Update GPU 53C2…5771." in said
    )
    assert (
        "◔ smt not met, within its grace period, until 2027-01-31T23:59:59Z · p.yaml:4 expected false found true"
        in said
    )
    assert "do Ask ops." in said


def test_devices_that_meet_every_rule_are_a_line_each(refused: Tree) -> None:
    lines = render_tree(refused).splitlines()
    assert sum(bool(re.search(r"✔ GPU \d of 8 .* rules met$", line)) for line in lines) == 7
    assert not any(line.endswith("rules met") for line in render_tree(refused, every=True).splitlines())
    assert render_tree(refused, every=True).count("mode ") >= 8


@pytest.mark.parametrize("width", [40, 57, 80, 132])
def test_no_line_is_wider_than_the_terminal(judge: Judge, width: int) -> None:
    why = "隣の利用者と同じコアで動く " * 9
    policy = policy_of(
        f'{{snp: {{smt: {{is: false, why: "{why}"}}, measurement: "{"ab" * 48}"}}, gpu: {{vbios: {{at-least: 96.00.9F}}}}}}'
    )
    answer = of_appraisal(judge(tree(snp=SNP, gpu=eight(vbios="96.00.74.00.1A")), policy))
    for colour in (False, True):
        for line in render_tree(tree_of(answer), width=width, colour=colour, every=True).splitlines():
            assert columns(re.sub(r"\x1b\[[0-9;]*m", "", line)) <= width, line


def test_without_colour_there_is_no_control_and_no_loss(refused: Tree) -> None:
    plain = render_tree(refused, colour=False)
    assert "\x1b" not in plain
    painted = render_tree(refused, colour=True)
    assert "\x1b[" in painted
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == plain


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert not coloured()
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert coloured()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured()
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not coloured()


def test_evidence_that_is_not_genuine_is_told_without_rules(genoa: Sample) -> None:
    from attest.errors import Rejected
    from attest.problems import problem

    told = tree_of(of_refusal(Rejected([problem("snp.signature.invalid")]), NOW))
    assert not told.branches
    text = render_tree(told)
    assert "The policy was not run." in text
    assert "did not prove what it is" in render_page(told)


# -- the page ---------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Elements, attributes, and the text of a page outside its style sheet."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.style = self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "style" and not self.style:
            self.style = data
        else:
            self.text += data


def test_the_page_loads_nothing_and_runs_nothing(refused: Tree) -> None:
    source = render_page(refused)
    page = Page(source)
    assert not {"script", "link", "img", "iframe", "object", "form", "base", "a", "svg"} & set(page.tags)
    names = {name for name, _ in page.attributes}
    assert not names & {"src", "href", "style", "srcset", "action"}
    assert not any(name.startswith("on") for name in names)
    assert "url(" not in page.style
    assert "@import" not in page.style
    assert "http" not in source.replace("http-equiv", "")


def test_the_pages_own_policy_admits_its_style_sheet_and_nothing_else(refused: Tree) -> None:
    page = Page(render_page(refused))
    (csp,) = [
        value for name, value in page.attributes if name == "content" and value and "default-src" in value
    ]
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert csp == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_t_render_text_of_evidence_is_text_in_the_page(judge: Judge) -> None:
    hostile = '</code><script>alert(1)</script>\x1b[2J\u202e"><img src=x onerror=alert(1)>'
    policy = policy_of("{snp: {debug: false}, gpu: {driver: {at-least: 550.1}, model: GH100}}")
    gpus = [{**GPU, "driver": hostile, "id": hostile, "model": hostile, "architecture": hostile}]
    source = render_page(tree_of(of_appraisal(judge(tree(snp=SNP, gpu=gpus), policy))))
    page = Page(source)
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert "\x1b" not in source
    assert "\u202e" not in source
    assert "<script>alert(1)</script>" in page.text, "it is shown, as text"


def test_the_page_says_what_the_terminal_says(refused: Tree) -> None:
    text = " ".join(Page(render_page(refused)).text.split())
    assert OLD_VBIOS in text
    assert "REFUSED" in text
    assert "Ask ops" in text
    assert "Neighbours on the same core" in text
    assert "GPU 0–2, 4–7" in text
    for branch in refused.branches:
        assert branch.title in text


def test_a_conforming_page_claims_no_wrong(conforming: Tree) -> None:
    text = " ".join(Page(render_page(conforming)).text.split())
    assert "This machine conforms to t" in text
    assert "What is wrong" not in text
    assert "not met" not in text


def test_nothing_is_said_by_colour_alone(refused: Tree) -> None:
    page = render_page(refused)
    for mark in re.findall(r'<td class="state">(.*?)</td>', page):
        word = re.sub(r"<span.*?</span>", "", mark).strip()
        assert word in ("met", "not met", "grace", "not judged", "observed", "accepted")
    assert set(WORDS) == {"pass", "observed", "accepted", "grace", "deny", "not-judged"}


def _luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(char * 2 for char in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(scheme: int) -> None:
    found = dict(
        re.findall(r"--([a-z-]+):(#[0-9a-f]{3,6})", re.findall(r":root\{(.*?)\}", STYLE, re.DOTALL)[scheme])
    )
    pairs = [(ink, ground) for ink in ("ink", "soft", "good", "bad", "warn") for ground in ("page", "card")]
    for ink, ground in [*pairs, ("warn", "warn-bg")]:
        light, dark = sorted((_luminance(found[ink]), _luminance(found[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)


# -- the command ------------------------------------------------------------------------------------


def test_the_command_writes_the_page_beside_its_answer(
    genoa: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    files = [*map(str, genoa.files), "--at", genoa.at.isoformat()]
    assert main(["policy", "explain", "defaults", *files, "--html", str(page)]) == 0
    assert "This machine conforms to defaults" in page.read_text("utf-8")
    assert capsys.readouterr().out.startswith("This machine conforms to defaults")
    assert main(["policy", "explain", "defaults", *files, "--html", str(tmp_path)]) == 2, (
        "no page, no success"
    )


def test_a_policy_alone_is_said_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    file = str(ROOT / "policies" / "demo.yaml")
    assert main(["policy", "explain", file, "--at", "2026-11-23T12:00:00Z"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Machines it accepts: AMD SEV-SNP." in said
    assert 'measurement must be a value of "model-server"' in said
    assert '"model-server" holds model-server 1.0' in said
    assert "simulated: the enclave of the demo is made by software" in said
    assert "default rules hold beside these; --defaults lists them." in said
    assert main(["policy", "explain", file, "--defaults"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "debug must be false" in said
    assert "--defaults lists them" not in said


def test_a_default_that_the_policy_replaces_is_not_demanded(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(
        'policy: 1\nname: t\nplatforms: [snp]\nrequire: {snp: {debug: {one-of: [true, false], override: "lab"}}}\n'
    )
    assert main(["policy", "explain", str(file), "--defaults"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("debug must be") == 1
    assert "wider than the default, because: lab" in said


def test_fixes_and_acceptances_are_said_in_words(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(
        "policy: 1\nname: t\nplatforms: [snp]\naccept: [{advisory: AMD-SB-3019, until: 2026-12-31, because: soon}]\n"
        "require: {snp: {fixed: [amd-sb-3019]}}\n"
    )
    assert main(["policy", "explain", str(file), "--at", "2026-11-23T12:00:00Z"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "fixed must show the fix of AMD-SB-3019, as floor data says" in said
    assert "AMD-SB-3019 until 2026-12-31: soon" in said
    assert "protects from: a published hole in the firmware" in said


def test_a_page_without_evidence_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["policy", "explain", "defaults", "--html", "x.html"])
    assert ended.value.code == 2
    assert "give the evidence too" in capsys.readouterr().err


def test_defaults_alone_can_be_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "explain", "defaults"]) == 0
    assert "tcb-status" in capsys.readouterr().out
    assert Policy.defaults().name == "defaults"
