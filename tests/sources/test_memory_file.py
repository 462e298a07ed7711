"""The memory of collateral on disk: it only grows, survives a crash, and is never quietly empty."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from attest.cli.main import main
from attest.errors import Malformed
from attest.memory import Memory
from attest.sources.failure import FetchFailed
from attest.sources.memory_file import MemoryFile
from tests.conftest import EVIDENCE, NOON

REPORT = EVIDENCE / "snp-genoa"
DAY = timedelta(days=1)
SEEN = Memory({"a": NOON}, {"TDX/00806f050000/21": NOON}, None, {"a": 4})


@pytest.fixture
def file(tmp_path: Path) -> MemoryFile:
    return MemoryFile(tmp_path / "memory.json")


def test_it_begins_empty_and_comes_back(file: MemoryFile) -> None:
    assert file.read() == Memory()
    assert file.update(SEEN) == SEEN
    assert MemoryFile(file.path).read() == SEEN


def test_dates_and_numbers_only_grow(file: MemoryFile) -> None:
    file.update(SEEN)
    older = Memory({"a": NOON - DAY, "b": NOON}, {"TDX/00806f050000/21": NOON - DAY}, None, {"a": 3})
    assert file.update(older) == Memory({"a": NOON, "b": NOON}, SEEN.documents, None, {"a": 4})
    file.update(Memory().raised(18))
    file.update(Memory().raised(17))
    assert file.read().minimum_evaluation == 18


def test_t_memory_early_sets_do_not_poison_it(file: MemoryFile) -> None:
    """T-MEMORY: a document of a higher evaluation number says nothing against one of the current number."""
    early = Memory(documents={"TDX/00806f050000/30": NOON + DAY})
    memory = file.update(SEEN.merged(early))
    assert memory.document_seen("TDX", "00806f050000", 21) == NOON
    assert memory.minimum_evaluation is None


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "nonsense", '{"format":"attest-memory/1"}', '{"format":"attest-memory/2","memory":{},"simulated":false}',
     '{"format":"attest-memory/1","memory":{"crls":{"a":"yesterday"},"documents":{},"minimum-evaluation":null},"simulated":false}'],
)  # fmt: skip
def test_a_broken_memory_is_an_error_and_not_an_empty_one(file: MemoryFile, text: str) -> None:
    file.path.write_text(text)
    for act in (file.read, lambda: file.update(SEEN)):
        with pytest.raises(Malformed) as refusal:
            act()
        assert refusal.value.codes == {"sources.memory"}
    assert file.path.read_text() == text


def test_a_memory_that_cannot_be_looked_for_is_not_an_empty_one(tmp_path: Path) -> None:
    """A folder without the right to search it answers in the same way; root has that right everywhere."""
    with pytest.raises(Malformed) as refusal:
        MemoryFile(tmp_path / ("m" * 300)).read()
    assert refusal.value.codes == {"sources.memory-access"}
    with pytest.raises(FetchFailed) as failure:
        MemoryFile(tmp_path / ("m" * 300), ours=True).read()
    assert failure.value.codes == {"sources.cache"}


@pytest.fixture
def nobodys() -> Iterator[Path]:
    """A folder where permissions count, whoever runs this: root works as somebody else for the time."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    root = os.geteuid() == 0
    if root:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_what_may_not_be_read_or_written_is_named_with_the_reason(nobodys: Path) -> None:
    file = nobodys / "memory.json"
    MemoryFile(file).update(SEEN)
    file.chmod(0o200)
    with pytest.raises(Malformed) as refusal:
        MemoryFile(file).read()
    (told,) = refusal.value.problems
    assert (told.code, told.where, told.found) == ("sources.memory-access", str(file), "Permission denied")
    file.chmod(0o600)
    nobodys.chmod(0o555)
    with pytest.raises(Malformed) as refusal:
        MemoryFile(file).update(Memory({"a": NOON + DAY}))
    (told,) = refusal.value.problems
    assert (told.code, told.where) == ("sources.memory-access", str(file))
    assert told.found == f"Permission denied: {nobodys}"
    with pytest.raises(Malformed) as refusal:
        MemoryFile(nobodys / "none" / "memory.json")
    assert refusal.value.codes == {"sources.memory-access"}


def test_a_memory_that_begins_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name with a slip in it would make every old list acceptable once more, without a word."""
    asked = ["verify", str(REPORT / "report.bin"), str(REPORT / "vcek.der"), "--at", "2025-09-06T17:21:41Z"]
    name = str(tmp_path / "new" / "memory.json")
    for said in (True, False):
        assert main([*asked, "--memory", name]) == 0
        err = capsys.readouterr().err
        assert (f"--memory {name}: the memory starts empty there" in err) is said


def test_a_link_in_its_place_is_not_followed(file: MemoryFile, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.json"
    MemoryFile(elsewhere).update(SEEN)
    file.path.symlink_to(elsewhere)
    with pytest.raises(Malformed):
        file.read()


def test_simulated_and_real_evidence_do_not_share_one(tmp_path: Path) -> None:
    path = tmp_path / "memory.json"
    MemoryFile(path, simulated=True).update(SEEN)
    with pytest.raises(Malformed) as refusal:
        MemoryFile(path).read()
    assert refusal.value.codes == {"sources.memory"}


def test_in_the_cache_folder_nobody_else_may_write(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    with pytest.raises(FetchFailed):
        MemoryFile(folder / "memory.json", ours=True)
    assert MemoryFile(folder / "memory.json").read() == Memory()


def test_it_is_written_in_one_canonical_form(file: MemoryFile) -> None:
    file.update(SEEN)
    text = file.path.read_text()
    assert json.loads(text)["memory"] == SEEN.as_dict()
    assert " " not in text


def _remember(path: Path, number: int) -> None:
    for step in range(20):
        MemoryFile(path).update(Memory({f"{number}": NOON + step * DAY}))


def test_processes_lose_nothing_of_each_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    path = tmp_path / "memory.json"
    processes = [context.Process(target=_remember, args=(path, number)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert MemoryFile(path).read().crls == {f"{number}": NOON + 19 * DAY for number in range(3)}
