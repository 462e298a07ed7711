"""Files as people hand them in: what is refused says which file, which line, and what to do about it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from attest.errors import Malformed, Problem
from attest.loader import load, load_endorsements
from attest.simulator.certificates import pem
from tests.conftest import Sample

_BAG = b"Bag Attributes\n    friendlyName: vcek\nsubject=CN = SEV-VCEK\nissuer=CN = SEV-Genoa\n"


@pytest.fixture
def vcek(genoa: Sample) -> bytes:
    return pem(genoa.read("vcek.der"))


def after_one(block: bytes) -> int:
    """The line after a block."""
    return block.count(b"\n") + 1


def refusal(file: Path | str) -> Problem:
    with pytest.raises(Malformed) as error:
        load_endorsements([file])
    (problem,) = error.value.problems
    return problem


@pytest.mark.parametrize(
    ("before", "after", "line", "words"),
    [
        (_BAG, b"", 1, "Bag Attributes"),
        (b"\n\nsubject=CN = SEV-VCEK\n", b"", 3, "subject=CN = SEV-VCEK"),
        (b"", b"---\nServer certificate\n", None, "---"),
        (b"", b"\x1b[31mred\n", None, "\\x1b[31mred"),
    ],
)
def test_text_beside_pem_blocks_is_refused_with_its_line(
    tmp_path: Path, vcek: bytes, before: bytes, after: bytes, line: int | None, words: str
) -> None:
    file = tmp_path / "chain.pem"
    file.write_bytes(before + vcek + after + vcek)
    problem = refusal(file)
    assert problem.code == "x509.malformed"
    assert problem.message == "Text stands outside the PEM blocks"
    assert problem.where == f"{file} line {line or after_one(vcek)}"
    assert problem.found == words


def test_the_command_that_the_refusal_names_mends_the_file(tmp_path: Path, vcek: bytes) -> None:
    file = tmp_path / "chain.pem"
    file.write_bytes(_BAG + vcek + b"---\n" + vcek + b"DONE\n")
    _, command, _ = (refusal(file).expected or "").split("`")
    assert command.endswith(" FILE")
    mended = subprocess.run(
        ["sh", "-c", command.replace("FILE", '"$1"'), "sh", file], capture_output=True, check=True
    )
    file.write_bytes(mended.stdout)
    assert len(load_endorsements([file]).certificates) == 1


def test_a_block_that_is_cut_off_or_damaged_is_not_passed_over(tmp_path: Path, vcek: bytes) -> None:
    """Not even beside a whole one: a list that went missing so would be missing without a word."""
    file = tmp_path / "chain.pem"
    for damaged, words in (
        (vcek[:200], "A PEM block is not whole"),
        (vcek.replace(b"-----END", b"----END"), "A PEM block is not whole"),
        (vcek.replace(b"\nM", b"\n!", 1), "PEM is not base64"),
    ):
        file.write_bytes(vcek + damaged)
        problem = refusal(file)
        assert problem.message == words
        assert problem.where == f"{file} line {after_one(vcek)}"
    file.write_bytes(vcek.replace(b"-----BEGIN", b"----BEGIN") + vcek)
    assert refusal(file).found == "----BEGIN CERTIFICATE-----"


def test_a_folder_in_place_of_a_file_is_called_one(tmp_path: Path) -> None:
    problem = refusal(tmp_path)
    assert (problem.code, problem.where) == ("evidence.unreadable", str(tmp_path))
    assert problem.message == "A folder was given where a file is wanted"
    assert problem.expected is not None
    assert "/*" in problem.expected


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    problem = refusal(tmp_path / "vcek.der")
    assert problem.where == str(tmp_path / "vcek.der")
    assert problem.found == "No such file or directory"


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "The file is empty"), (bytes(4), "The file holds nothing but zeros and white space")],
)
def test_an_empty_file_is_named(tmp_path: Path, data: bytes, words: str) -> None:
    file = tmp_path / "vcek.der"
    file.write_bytes(data)
    problem = refusal(file)
    assert (problem.message, problem.where) == (words, str(file))


def test_of_twenty_files_the_one_that_does_not_parse_is_named(tmp_path: Path, genoa: Sample) -> None:
    """Parsers know the field alone."""
    report, rim = tmp_path / "report.bin", tmp_path / "driver.xml"
    report.write_bytes(genoa.read("report.bin")[:-1])
    rim.write_text("<SoftwareIdentity/>")
    with pytest.raises(Malformed) as error:
        load(report)
    assert (error.value.problems[0].where or "").startswith(f"{report}: report")
    assert (refusal(rim).where or "").startswith(f"{rim}: rim")
