"""Many machines: one answer each, in order, whatever becomes of a worker."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attest.cli.main import main
from attest.dsse import seal_envelope
from attest.errors import Malformed, Rejected
from attest.fleet import Item, Job, Judge, folder_items, items, judge_all, line_items
from attest.fleet import processes as room
from attest.fleet.batch import run
from attest.fleet.job import lost
from attest.fleet.processes import Processes
from attest.loader import read_file
from attest.simulator import Simulator
from attest.sources.offline import Bundle
from tests.conftest import NOON, Sample
from tests.fleet.conftest import report_of


def answers(lines: Iterator[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


# -- judging ------------------------------------------------------------------------------------------


def test_each_entry_of_a_folder_has_its_answer_in_order(fleet: Path, genoa: Sample) -> None:
    found = answers(judge_all(folder_items(fleet), Job(genoa.at), processes=2, chunk=2))
    assert [answer["index"] for answer in found] == list(range(6))
    assert [answer["id"] for answer in found] == [*(f"machine-{n}" for n in range(5)), "nothing"]
    assert [answer["authentic"] for answer in found] == [True, True, False, True, True, False]
    assert [answer["verdict"] for answer in found[1:4]] == [
        "conforms-with-warnings",
        "refused",
        "conforms-with-warnings",
    ]
    assert {problem["code"] for problem in found[2]["problems"]} == {"snp.signature.invalid"}
    assert found[5]["verdict"] == "malformed"


def test_the_files_of_one_machine_are_bounded_together(
    tmp_path: Path, genoa: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "machine"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}").write_bytes(bytes(100))
    monkeypatch.setattr(items, "MAX_TOTAL", 299)
    (item,) = folder_items(tmp_path)
    answer = json.loads(Judge(Job(genoa.at)).line(item))
    assert (answer["verdict"], answer["problems"][0]["code"]) == ("malformed", "evidence.too-large")


def test_endorsements_for_all_are_given_once(tmp_path: Path, genoa: Sample) -> None:
    name = report_of(genoa)
    (tmp_path / "alone").write_bytes(genoa.read(name))
    shared = tuple((file.name, read_file(file)) for file in genoa.files if file.name != name)
    (item,) = folder_items(tmp_path)
    assert json.loads(Judge(Job(genoa.at, shared)).line(item))["authentic"]
    assert not json.loads(Judge(Job(genoa.at)).line(item))["authentic"]


@pytest.mark.parametrize("place", ["shared", "own"])
def test_a_signed_bundle_serves_the_fleet(tmp_path: Path, genoa: Sample, place: str) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    day = timedelta(days=1)
    bundle = Bundle.of(genoa.endorsements, made=genoa.at - day, expires=genoa.at + day, serial=7)
    sealed = seal_envelope("endorsements", bundle.payload(), key)
    machine = tmp_path / "fleet" / "machine"
    machine.mkdir(parents=True)
    (machine / "report.bin").write_bytes(genoa.read(report_of(genoa)))
    if place == "own":
        (machine / "bundle.json").write_bytes(sealed)
    job = Job(genoa.at, (("bundle.json", sealed),) if place == "shared" else (), bundle_keys=(pem,))
    (item,) = folder_items(tmp_path / "fleet")
    judge = Judge(job)
    for _ in range(2):
        answer = json.loads(judge.line(item))
        assert answer["authentic"]
        told = [check["name"] for check in answer["checks"] if check["name"].startswith("bundle.")]
        assert told == ["bundle.signature", "bundle.content", "bundle.dates", "bundle.rollback"]
    if place == "shared":
        with pytest.raises(Rejected):
            Judge(replace(job, at=genoa.at + 2 * day))
        with pytest.raises(Malformed):
            Judge(replace(job, bundle_keys=()))
    else:
        without = json.loads(Judge(replace(job, bundle_keys=())).line(item))
        assert without["problems"][0]["code"] == "bundle.key-missing"


def test_a_warm_cache_forgets_no_check(fleet: Path, genoa: Sample) -> None:
    """The tampered machine stands between good ones under the same chain; time is asked each time."""
    judge = Judge(Job(genoa.at))
    items = list(folder_items(fleet))
    first = [json.loads(judge.line(item))["authentic"] for item in items]
    assert [json.loads(judge.line(item))["authentic"] for item in items] == first
    late = Judge(Job(genoa.at + timedelta(days=36500)))
    assert not json.loads(late.line(items[0]))["authentic"]


def test_what_all_share_must_be_readable(genoa: Sample) -> None:
    with pytest.raises(Malformed):
        Judge(Job(genoa.at, (("x", b"no endorsement"),)))
    with pytest.raises(Malformed, match="endorsements only"):
        Judge(Job(genoa.at, ((report_of(genoa), genoa.read(report_of(genoa))),)))
    with pytest.raises(Malformed):
        list(judge_all(iter(()), Job(genoa.at, policy=("p.yaml", b"policy: 9")), processes=1))


def test_an_error_of_ours_is_an_answer(fleet: Path, genoa: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("attest.fleet.job.verify", broken)
    answer = json.loads(Judge(Job(genoa.at)).line(Item(0, path=str(fleet / "machine-0"))))
    assert (answer["verdict"], answer["authentic"]) == ("malformed", False)
    assert answer["problems"][0]["code"] == "fleet.failed"


@pytest.mark.parametrize("kind", ["pipe", "gone", "crowd", "link to no name", "folder with such a link"])
def test_entries_that_cannot_be_read(tmp_path: Path, genoa: Sample, kind: str) -> None:
    path = tmp_path / "entry"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "crowd":
        path.mkdir()
        for number in range(257):
            (path / str(number)).touch()
    elif kind == "link to no name":
        path.symlink_to("x" * 300)  # longer than any name: asking what it is fails, as under a closed folder
    elif kind == "folder with such a link":
        path.mkdir()
        (path / "report.bin").symlink_to("x" * 300)
    answer = json.loads(Judge(Job(genoa.at)).line(Item(3, path=str(path))))
    assert (answer["index"], answer["id"], answer["verdict"]) == (3, "entry", "malformed")


def test_a_name_that_is_no_text_is_written_as_one(tmp_path: Path, genoa: Sample) -> None:
    """Half of a surrogate pair is refused by strict readers of JSON: they would lose the line."""
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/node-\xff")).write_bytes(b"hello")
    (item,) = folder_items(tmp_path)
    line = Judge(Job(genoa.at)).line(item)
    assert json.loads(line)["id"] == "node-\\udcff"
    assert json.loads(lost(item, genoa.at))["id"] == "node-\\udcff"


# -- lines --------------------------------------------------------------------------------------------


def line_of(simulator: Simulator, name: str, nonce: bytes, **more: object) -> bytes:
    machine = simulator.machine(nonce=bytes(32) if more.pop("relayed", False) else nonce, gpus=0)
    files = [{"name": name, "data": base64.b64encode(data).decode()} for name, data in machine.files.items()]
    return json.dumps({"id": name, "files": files, "nonce": nonce.hex(), **more}).encode() + b"\n"


def test_lines_carry_what_each_machine_must_bind(simulator: Simulator) -> None:
    nonce = b"\1" * 32
    text = b"\n".join(
        [
            line_of(simulator, "good", nonce),
            b"  ",
            line_of(simulator, "relayed", nonce, relayed=True),
            line_of(simulator, "too late", nonce, at="2046-11-23T12:00:00Z"),
        ]
    )
    job = Job(NOON, simulator_roots=simulator.roots_pem)
    found = answers(judge_all(line_items(io.BytesIO(text)), job, processes=1))
    assert [(answer["index"], answer["id"]) for answer in found] == [
        (0, "good"),
        (1, "relayed"),
        (2, "too late"),
    ]
    assert [answer["authentic"] for answer in found] == [True, False, False]
    assert "binding.report-data" in {problem["code"] for problem in found[1]["problems"]}
    assert found[2]["at"] == "2046-11-23T12:00:00Z"
    assert found[0]["simulated"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", "fleet.item"),
        (b"hi", "fleet.item"),
        (b'"hi"', "fleet.item"),
        (b"[]", "fleet.item"),
        (b"{}", "fleet.item"),
        (b'{"id":1,"files":[]}', "fleet.item"),
        (b'{"id":"a","files":[]}', "fleet.item"),
        (b'{"id":"a"}', "fleet.item"),
        (b'{"id":"a","files":[{"name":"x"}]}', "fleet.item"),
        (b'{"id":"a","files":[{"name":"x","data":"?"}]}', "fleet.item"),
        (b'{"id":"a","files":[{"name":"x","data":"AA=="}],"bundle":{}}', "fleet.item"),
        (b'{"id":"a","files":[{"name":"x","data":"AA=="}],"color":"red"}', "fleet.item"),
        (b'{"id":"a","files":[{"name":"x","data":"AA=="}],"nonce":"00"}', "fleet.item"),
        (b'{"id":"a","files":[{"name":"x","data":"AA=="}],"nonce":"zz"}', "fleet.item"),
        (b'{"id":"a","files":[{"name":"x","data":"AA=="}],"key":"k"}', "fleet.item"),
        (b'{"id":"a","files":[{"name":"x","data":"AA=="}],"key":{"kty":"EC"}}', "fleet.item"),
        (b'{"id":"a","files":[{"name":"x","data":"AA=="}],"at":"2026-11-23T12:00:00"}', "fleet.item"),
        (b'{"id":"a","files":[{"name":"x","data":"AA=="}],"at":7}', "fleet.item"),
        (b'{"id":"a","files":[{"name":"x","data":"AA=="}],"at":"9999-12-31T23:59:59Z"}', "fleet.item"),
        (b'{"id":"a","bundle":[]}', "fleet.item"),
    ],
)
def test_a_line_that_is_no_item_is_answered_too(line: bytes, code: str) -> None:
    answer = json.loads(Judge(Job(NOON)).line(Item(0, line=line, number=3)))
    assert (answer["verdict"], answer["problems"][0]["code"]) == ("malformed", code)
    (found,) = answer["problems"]
    assert found["where"] == "line 3"
    assert found["message"].startswith("Line 3 names no evidence: ")
    assert '"files": [{"name", "data"}] or "bundle"' in found["expected"]
    assert answer["id"] == ("a" if b'"a"' in line else "1" if b'"id":1' in line else None)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b'{"id": "node-7", "files": [{"name": "cut', "node-7"),
        (b' { "id" : "a\\u00e9\\"b" , ', 'aé"b'),
        (b'{"files": [], "id": "last"}', "last"),
        (b'{"files": [], "id": "cut', None),
        (b'{"id": "bad \\x", ', None),
        (b'{"name": {"id": "inner"}, ', None),
    ],
)
def test_a_broken_line_keeps_the_id_that_can_be_told(line: bytes, name: str | None) -> None:
    assert json.loads(Judge(Job(NOON)).line(Item(0, line=line, number=1)))["id"] == name
    lost = next(run(iter([Item(0, line=line, number=1)]), Scripted(1, {0}), at=NOON))
    assert (json.loads(lost)["id"], json.loads(lost)["problems"][0]["code"]) == (name, "fleet.worker-lost")


def test_a_member_that_is_nearly_one_is_named() -> None:
    line = b'{"id":"a","files":[{"name":"x","data":"AA=="}],"nonse":"00"}'
    (found,) = json.loads(Judge(Job(NOON)).line(Item(0, line=line, number=7)))["problems"]
    assert found["message"] == 'Line 7 names no evidence: unknown member nonse. Did you mean "nonce"?'


def test_an_endless_line_ends_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attest.fleet.items.MAX_LINE", 12)
    items = list(line_items(io.BytesIO(b"short\n" + b"x" * 50 + b"\nshort\n")))
    assert [item.line for item in items] == [b"short\n", b""]
    (_, endless) = line_items(io.BytesIO(b'\n{"id":"a"}\n{"id":"b", ' + b"x" * 50 + b"\n"))
    answer = json.loads(Judge(Job(NOON)).line(endless))
    (found,) = answer["problems"]
    assert (answer["id"], found["code"], found["where"]) == ("b", "fleet.item", "line 3")
    assert found["message"] == "The line is too large for one machine"


# -- workers ------------------------------------------------------------------------------------------


class Scripted:
    """A pool whose worker is lost whenever it is given an item of `deadly`, and answers last first."""

    def __init__(self, size: int, deadly: set[int]) -> None:
        self.size = size
        self.deadly = deadly
        self.given: dict[int, Sequence[Item]] = {}
        self.most = 0

    def free(self) -> int | None:
        return next((n for n in range(self.size) if n not in self.given), None)

    def send(self, worker: int, items: Sequence[Item]) -> None:
        self.given[worker] = items
        self.most = max(self.most, max(item.index for item in items))

    def receive(self) -> Sequence[tuple[int, Sequence[bytes] | None]]:
        worker = max(self.given)
        items = self.given.pop(worker)
        if self.deadly & {item.index for item in items}:
            return [(worker, None)]
        return [(worker, [b'{"index":%d}\n' % item.index for item in items])]

    def close(self) -> None: ...


def test_a_lost_worker_costs_the_item_that_ended_it_and_no_other() -> None:
    items = iter([Item(n, path=f"m{n}") for n in range(100)])
    found = answers(run(items, Scripted(3, {7, 50}), at=NOON, chunk=8))
    assert [answer["index"] for answer in found] == list(range(100))
    bad = [answer for answer in found if "verdict" in answer]
    assert [(answer["index"], answer["id"], answer["problems"][0]["code"]) for answer in bad] == [
        (7, "m7", "fleet.worker-lost"),
        (50, "m50", "fleet.worker-lost"),
    ]


def test_no_more_than_a_window_is_read_ahead() -> None:
    read = 0

    def endless() -> Iterator[Item]:
        nonlocal read
        while True:
            yield Item(read)
            read += 1

    lines = run(endless(), Scripted(2, set()), at=NOON, chunk=4)
    for count in range(200):
        next(lines)
        assert read - count <= 4 * 8 * 2 + 4


def test_a_process_that_ends_is_replaced(fleet: Path, genoa: Sample) -> None:
    items = list(folder_items(fleet))
    pool = Processes(Job(genoa.at), 1)
    try:
        pid = pool._workers[0][0].pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        pool.send(0, items[:1])
        assert pool.free() is None
        os.kill(pid, signal.SIGKILL)
        assert pool.receive() == [(0, None)]
        pool.send(0, items[:1])
        ((worker, lines),) = pool.receive()
        assert lines is not None
        assert (worker, json.loads(lines[0])["authentic"]) == (0, True)
    finally:
        pool.close()


def test_a_process_that_does_not_answer_is_replaced(
    fleet: Path, genoa: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "SECONDS", 0.05)
    pool = Processes(Job(genoa.at), 1)
    try:
        pid = pool._workers[0][0].pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        pool.send(0, list(folder_items(fleet))[:1])
        assert pool.receive() == [(0, None)]
        assert pool._workers[0][0].pid != pid
    finally:
        pool.close()


def test_at_least_one_process(genoa: Sample) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Processes(Job(genoa.at), 0)


# -- the command --------------------------------------------------------------------------------------


def command(fleet: Path, genoa: Sample, *more: str) -> list[str]:
    return ["verify", "--batch", str(fleet), "--at", genoa.at.isoformat(), "--processes", "2", *more]


def test_the_command_prints_lines_and_ends_with_the_worst(
    fleet: Path, genoa: Sample, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(command(fleet, genoa)) == 2
    out = capfd.readouterr()
    assert [json.loads(line)["index"] for line in out.out.splitlines()] == list(range(6))
    assert "6 done (4 conforms-with-warnings, 1 refused, 1 malformed)" in out.err
    (fleet / "nothing").unlink()
    assert main(command(fleet, genoa)) == 1
    (fleet / "machine-2" / report_of(genoa)).write_bytes(genoa.read(report_of(genoa)))
    assert main(command(fleet, genoa)) == 0


@pytest.mark.parametrize("source", ["folder", "lines", "hidden"])
def test_t_empty_a_batch_without_a_machine_is_no_success(
    source: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if source == "hidden":
        (tmp_path / ".machine").write_bytes(b"x")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\n  \n")))
    assert main(["verify", "--batch", "-" if source == "lines" else str(tmp_path), "--processes", "1"]) == 2
    out = capfd.readouterr()
    answer = json.loads(out.out)
    assert (answer["verdict"], answer["problems"][0]["code"]) == ("malformed", "fleet.empty")
    assert "The batch holds no machine, so nothing was verified" in out.err


def test_a_policy_judges_each_machine(
    fleet: Path, genoa: Sample, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "p.yaml"
    text = "policy: 1\nname: t\nplatforms: [snp]\nparams: {vmpl: {type: snp.vmpl}}\nrequire: {snp: {vmpl: {is: '${vmpl}', override: a test}}}\n"
    policy.write_text(text)
    assert main(command(fleet / "..", genoa, "--policy", str(policy))) == 2
    assert main(command(fleet, genoa, "--policy", str(policy), "--param", "vmpl=3")) == 2
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()[-6:]]
    assert {problem["code"] for problem in lines[0]["problems"]} == {"policy.snp.vmpl"}
    assert lines[0]["policy"]["name"] == "t"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["report.bin"], "endorsements for all of them go with --with"),
        (["--fetch"], "does not fetch"),
        (["--nras"], "belongs to --second-opinion"),
        (["--processes", "0"], "--processes is 1 to 1024"),
        (["--param", "a=b"], "give --policy too"),
        (["--with", "/nowhere"], "cannot be read"),
        (["--batch", "/nowhere"], "cannot be read"),
        (["--policy", "/nowhere"], "cannot be read"),
    ],
)
def test_what_a_batch_cannot_do_is_refused_not_passed_over(
    fleet: Path, genoa: Sample, capfd: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    assert main(command(fleet, genoa, *more)) == 2
    out = capfd.readouterr()
    assert said in out.err
    assert json.loads(out.out)["verdict"] in ("malformed", "invalid")


@pytest.mark.parametrize("more", [["--with", "a"], ["--processes", "2"], ["--ray"], []])
def test_options_of_a_batch_without_one(more: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["verify", *(["report.bin"] if more else []), *more])
    assert ended.value.code == 2
