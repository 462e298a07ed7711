"""`attest endorsements fetch|verify`, and `attest verify --fetch` with its memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from attest.anchors import Anchors
from attest.cli import endorsements_fetch, fetching
from attest.cli.main import main
from attest.memory import Memory
from attest.simulator import Simulator
from attest.simulator.device import list_of
from attest.simulator.simulated import Simulated
from attest.sources.hosts import VARIABLES
from attest.sources.memory_file import MemoryFile
from attest.sources.sources import Sources
from tests.conftest import NOON
from tests.sources.conftest import Site
from tests.sources.vendors import Fault, rim_ids_of

AT = ["--at", "2026-11-23T12:00:00Z"]
Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def folder(site: Site, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder; the environment leads to the local services, and the cache's clock stands at noon."""
    for member, name in VARIABLES.items():
        if member != "pccs":
            monkeypatch.setenv(name, site.vendors.base)
    monkeypatch.delenv("ATTEST_PCCS_URL", raising=False)
    monkeypatch.setenv("ATTEST_CACHE", str(tmp_path / "cache"))
    honest = fetching.sources_of

    def at_noon(args: Any, anchors: Anchors) -> Sources:
        sources = honest(args, anchors)
        sources.store.now = site.clock.now
        sources.client.now, sources.client.sleep = site.clock.now, site.clock.sleep
        return sources

    for module in (fetching, endorsements_fetch):
        monkeypatch.setattr(module, "sources_of", at_noon)
    (tmp_path / "root.pem").write_bytes(simulator.roots_pem)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> tuple[int, dict[str, Any]]:
        status = main([*words, "--simulator-root", "root.pem", "--json"])
        return status, json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def quote(folder: Path, tdx: Simulated) -> str:
    (folder / "quote.bin").write_bytes(tdx.raw)
    return "quote.bin"


def codes(answer: dict[str, Any], name: str = "problems") -> set[str]:
    return {problem["code"] for problem in answer[name]}


# -- verify --fetch ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["snp", "tdx"])
def test_evidence_alone_is_enough_with_fetch(
    folder: Path, run: Run, site: Site, simulator: Simulator, kind: str
) -> None:
    made = site.serve(getattr(simulator, kind)())
    (folder / "evidence.bin").write_bytes(made.raw)
    status, answer = run("verify", "evidence.bin", *AT)
    assert (status, site.vendors.requests) == (1, [])
    status, answer = run("verify", "evidence.bin", "--fetch", *AT)
    assert (status, answer["verdict"]) == (0, "conforms-with-warnings")
    assert "collateral-memory-absent" not in codes(answer, "warnings")


def test_a_whole_machine_is_enough_with_fetch(
    folder: Path, run: Run, site: Site, simulator: Simulator
) -> None:
    made = site.serve(simulator.machine(nonce=bytes(range(32))))
    name = "simulated-machine.json"
    (folder / name).write_bytes(made.files[name])
    status, answer = run("verify", name, "--nonce", bytes(range(32)).hex(), "--fetch", *AT)
    assert status == 0, answer["problems"]
    assert answer["claims"]["gpu"][0]["cert"] == "good"


def test_a_manifest_that_was_issued_anew_is_fetched_before_a_mismatch_counts(
    folder: Path, run: Run, site: Site, simulator: Simulator
) -> None:
    """NVIDIA re-issues manifests under their id, sometimes with other values."""
    plan = simulator.plan_gpu(measurements={25: bytes(range(48))})
    made = site.serve(list_of([plan.build()], NOON))
    name = "simulated-gpu-evidence.json"
    (folder / name).write_bytes(made.files[name])
    words = ("verify", name, "--gpu-nonce", plan.nonce.hex(), "--fetch", *AT)
    status, answer = run(*words)
    assert (status, answer["claims"]["gpu"][0]["measurements"]) == (1, "mismatch")
    for entry in plan.rims["driver"].entries:
        if entry.index == 25:
            entry.hashes.append(bytes(range(48)))
    site.vendors.rim_ids = rim_ids_of(dict(plan.build().rims))
    asked = len(site.vendors.asked("/v1/rim/"))
    status, answer = run(*words)
    assert answer["claims"]["gpu"][0]["measurements"] == "match"
    assert len(site.vendors.asked("/v1/rim/")) == asked + 2
    assert run(*words)[1]["claims"]["gpu"][0]["measurements"] == "match"
    assert len(site.vendors.asked("/v1/rim/")) == asked + 2


def test_what_cannot_be_had_is_told_beside_the_verdict(run: Run, site: Site, quote: str) -> None:
    site.vendors.fail("/sgx/certification/v4/pckcrl", Fault("status", 404))
    status, answer = run("verify", quote, "--fetch", *AT)
    assert status == 1
    assert codes(answer) == {"x509.crl.missing"}
    assert "sources.not-found" in codes(answer, "warnings")


def test_served_old_is_a_warning(run: Run, site: Site, quote: str) -> None:
    assert run("verify", quote, "--fetch", *AT)[0] == 0
    site.clock.forward(days=2)
    site.vendors.faults = {"/": [Fault("status", 403)] * 4}
    status, answer = run("verify", quote, "--fetch", *AT)
    assert status == 0
    assert "sources.stale-served" in codes(answer, "warnings")


def test_progress_is_told_on_standard_error(
    folder: Path, quote: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["verify", quote, "--fetch", *AT, "--simulator-root", "root.pem"])
    told = capsys.readouterr()
    assert "TCB info of FMSPC 00806f050000, standard" in told.err
    assert "asking" not in told.out


def test_a_cache_that_others_can_write_is_refused(folder: Path, run: Run, quote: str) -> None:
    (folder / "open").mkdir()
    (folder / "open").chmod(0o777)
    status, answer = run("verify", quote, "--fetch", "--cache", "open", *AT)
    assert status == 2
    assert codes(answer) == {"sources.cache"}


def test_an_address_that_is_none_is_wrong_use(run: Run, quote: str) -> None:
    status, answer = run("verify", quote, "--fetch", "--pccs", "pccs.example", *AT)
    assert (status, codes(answer)) == (2, {"usage"})


# -- the memory ----------------------------------------------------------------------------------------


def remembered(folder: Path) -> Memory:
    return MemoryFile(folder / "cache" / "memory-simulated.json", simulated=True).read()


def test_fetching_remembers_and_own_collateral_sets_the_minimum(folder: Path, run: Run, quote: str) -> None:
    run("verify", quote, "--fetch", *AT)
    memory = remembered(folder)
    assert memory.minimum_evaluation == 21
    assert len(memory.crls) == 2
    assert set(memory.documents) == {"TDX/00806f050000/21", "TD_QE//21"}


def test_t_memory_an_early_set_does_not_set_the_minimum(folder: Path, run: Run, quote: str) -> None:
    """T-MEMORY"""
    assert run("verify", quote, "--fetch", "--early", *AT)[0] == 0
    assert remembered(folder).minimum_evaluation is None


def test_what_a_site_staples_does_not_set_the_minimum(
    folder: Path, run: Run, site: Site, simulator: Simulator, quote: str
) -> None:
    """T-MEMORY: a stapled early set is judged, and raises nothing."""
    early = simulator.tdx(tcb_evaluation=30)
    names = [name for name in early.files if name.endswith(".json")]
    for name in names:
        (folder / name).write_bytes(early.files[name])
    for _ in range(2):
        assert run("verify", quote, *names, "--fetch", *AT)[0] == 0
    assert remembered(folder).minimum_evaluation == 21


def test_older_collateral_than_our_own_fetch_showed_is_refused(
    folder: Path, run: Run, simulator: Simulator, quote: str
) -> None:
    """T-COLLATERAL-ROLLBACK: still in its time, and still refused."""
    run("verify", quote, "--fetch", *AT)
    old = simulator.tdx(tcb_evaluation=20)
    for name, data in old.files.items():
        (folder / name).write_bytes(data)
    status, answer = run(
        "verify", *old.files, "--memory", str(folder / "cache" / "memory-simulated.json"), *AT
    )
    assert status == 1
    assert codes(answer) == {"tdx.collateral.evaluation"}


def test_a_list_older_than_remembered_is_refused_and_the_number_of_amds_counts(
    folder: Path, run: Run, simulator: Simulator
) -> None:
    plan = simulator.plan_snp()
    assert plan.crl is not None

    def verify(number: int, days: int) -> tuple[int, set[str]]:
        assert plan.crl is not None
        plan.crl.number, plan.crl.this_update = number, NOON - timedelta(days=days)
        made = plan.build()
        for name, data in made.files.items():
            (folder / name).write_bytes(data)
        status, answer = run("verify", *made.files, "--memory", "m.json", *AT)
        return status, codes(answer)

    assert verify(5, 10)[0] == 0
    assert verify(5, 11) == (1, {"x509.crl.rollback"})
    assert verify(4, 9) == (1, {"x509.crl.rollback"})
    assert verify(6, 9)[0] == 0


def test_refused_evidence_teaches_the_memory_nothing(folder: Path, run: Run, simulator: Simulator) -> None:
    made = simulator.tdx(fault="tdx-mrsignerseam")
    for name, data in made.files.items():
        (folder / name).write_bytes(data)
    assert run("verify", *made.files, "--memory", "m.json", *AT)[0] == 1
    assert not (folder / "m.json").exists()


def test_a_user_without_a_home_is_told_to_name_a_cache(
    run: Run, quote: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container that runs under any number."""

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", staticmethod(homeless))
    monkeypatch.delenv("ATTEST_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    status, answer = run("verify", quote, "--fetch", *AT)
    assert (status, codes(answer)) == (2, {"sources.cache"})
    status, answer = run("endorsements", "fetch", quote, "-o", "endorsements.json")
    assert (status, codes(answer)) == (2, {"sources.cache"})


def test_a_broken_memory_is_no_reason_to_go_on(folder: Path, run: Run, quote: str) -> None:
    (folder / "m.json").write_text("{}")
    status, answer = run("verify", quote, "--memory", "m.json", *AT)
    assert (status, codes(answer)) == (2, {"sources.memory"})


# -- endorsements fetch --------------------------------------------------------------------------------


def test_what_was_fetched_is_enough_without_a_network(folder: Path, run: Run, site: Site, quote: str) -> None:
    status, answer = run("endorsements", "fetch", quote, "-o", "endorsements.json")
    assert (status, answer["problems"], answer["written"]) == (0, [], ["endorsements.json"])
    assert all(item["authentic"] and not item["from-cache"] for item in answer["fetched"])
    status, _ = run("endorsements", "fetch", quote, "-o", "folder/")
    files = [str(file) for file in (folder / "folder").iterdir()]
    asked = len(site.vendors.requests)
    for given in (["endorsements.json"], files):
        assert run("verify", quote, *given, *AT)[0] == 0
        assert run("endorsements", "verify", *given, *AT)[0] == 0
    assert len(site.vendors.requests) == asked


def test_several_machines_are_fetched_for_at_once(
    folder: Path, run: Run, site: Site, simulator: Simulator, quote: str
) -> None:
    made = [site.serve(simulator.snp(chip_number=number)) for number in range(2)]
    for index, one in enumerate(made):
        (folder / f"{index}.bin").write_bytes(one.raw)
    status, answer = run("endorsements", "fetch", "0.bin", "1.bin", quote)
    assert status == 0
    assert sum("VCEK of" in item["about"] for item in answer["fetched"]) == 2
    assert sum("CRL of ARK" in item["about"] for item in answer["fetched"]) == 1


def test_what_could_not_be_had_ends_with_1(run: Run, site: Site, quote: str) -> None:
    site.vendors.fail("/tdx/certification/v4/tcb", Fault("status", 404))
    status, answer = run("endorsements", "fetch", quote)
    assert (status, codes(answer)) == (1, {"sources.not-found"})


def test_nothing_got_is_no_success_and_leaves_no_file(
    folder: Path, run: Run, site: Site, quote: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Answers of a stranger, and no answers at all."""
    without_root = ["endorsements", "fetch", quote, "-o", "strange/"]
    assert main(without_root) == 1
    out = capsys.readouterr().out
    assert out.endswith(
        "nothing was written to strange/: there is nothing authentic to write\n"
        "✘ 0 of 4 got: 0 fetched, 0 from the cache; 4 not signed down from a pinned root\n"
    )
    assert not (folder / "strange").exists()
    site.vendors.fail("/", *[Fault("status", 404)] * 9)
    status, answer = run("endorsements", "fetch", quote, "-o", "none.json")
    assert (status, answer["fetched"], answer["written"]) == (1, [], [])
    assert answer["summary"]["not-had"] == "4"
    assert not (folder / "none.json").exists()


def test_what_was_got_is_written_and_the_rest_counted(folder: Path, run: Run, site: Site, quote: str) -> None:
    site.vendors.fail("/tdx/certification/v4/tcb", Fault("status", 404))
    status, answer = run("endorsements", "fetch", quote, "-o", "some.json")
    assert (status, answer["written"]) == (1, ["some.json"])
    assert answer["summary"] == {
        "fetched": "3", "from-cache": "0", "not-had": "1", "not-authentic": "0", "out-of-date": "0",
    }  # fmt: skip
    assert run("endorsements", "verify", "some.json", *AT)[0] == 0


def test_a_stranger_among_the_answers_is_left_out_of_what_is_written(
    folder: Path, run: Run, site: Site, simulator: Simulator
) -> None:
    made = site.serve(simulator.snp())
    (leaf,) = [c for c in made.endorsements.certificates if c.common_name == "SEV-VCEK"]
    (folder / "report.bin").write_bytes(made.raw)
    site.vendors.fail("/vcek/v1/Genoa/1135", Fault("other-body", body=leaf.der[:-1] + b"!"))
    status, answer = run("endorsements", "fetch", "report.bin", "-o", "some/")
    assert (status, answer["summary"]["not-authentic"]) == (1, "1")
    assert not any("VCEK" in name for name in answer["written"])
    assert answer["written"]


def test_an_answer_that_came_out_of_date_is_said_to_be(
    folder: Path, run: Run, site: Site, simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    made = site.serve(simulator.gpu(fault="gpu-ocsp-stale"))
    name = "simulated-gpu-evidence.json"
    (folder / name).write_bytes(made.files[name])
    status, answer = run("endorsements", "fetch", name)
    assert status == 1
    assert [item["about"].partition(",")[0] for item in answer["fetched"] if item["state"] == "ended"] == [
        "OCSP answer about GH100 A01 GSP BROM"
    ]
    assert main(["endorsements", "fetch", name, "--simulator-root", "root.pem"]) == 1
    out = capsys.readouterr().out
    assert "the answer that came is out of date, it ended 2026-11-1" in out
    assert out.endswith("; 1 out of date\n")


def test_nobody_is_asked_twice_for_what_is_not_kept(folder: Path, site: Site, simulator: Simulator) -> None:
    """Strangers' answers are not kept in the cache: two machines, and devices that share what is above them."""
    files = []
    for number in range(2):
        made = site.serve(simulator.snp(chip_number=number))
        files.append(f"{number}.bin")
        (folder / files[-1]).write_bytes(made.raw)
    devices = site.serve(simulator.gpus(3, bytes(32)))
    (folder / "devices.json").write_bytes(devices.files["simulated-gpu-evidence.json"])
    assert main(["endorsements", "fetch", *files, "devices.json"]) == 1
    asked = [path for method, path, _ in site.vendors.requests if method == "GET"]
    assert len(asked) == len(set(asked)) == 2 + 1 + 1 + 2
    assert len(site.vendors.requests) - len(asked) == 3 + 2 + 3


def test_what_could_not_be_renewed_is_still_there(folder: Path, run: Run, site: Site, quote: str) -> None:
    assert run("endorsements", "fetch", quote)[0] == 0
    site.clock.forward(days=2)
    site.vendors.faults = {"/": [Fault("status", 403)] * 4}
    status, answer = run("endorsements", "fetch", quote)
    assert (status, codes(answer), codes(answer, "warnings")) == (0, set(), {"sources.stale-served"})


def test_a_second_time_says_since_when_it_is_kept(
    quote: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert main(["endorsements", "fetch", quote, "--simulator-root", "root.pem"]) == 0
    out = capsys.readouterr().out
    assert "TCB info of FMSPC 00806f050000, standard: fetched, until 2026-12-22T00:00:00Z" in out
    assert "TCB info of FMSPC 00806f050000, standard: kept since 2026-11-23T12:00:00Z" in out


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("missing/x.json", "there is no folder missing"),
        ("quote.bin/", "quote.bin is no folder that you may write"),
        ("quote.bin/sub/", "quote.bin is no folder that you may write"),
    ],
)
def test_where_nothing_can_be_written_nobody_is_asked(
    run: Run, site: Site, quote: str, output: str, said: str
) -> None:
    status, answer = run("endorsements", "fetch", quote, "-o", output)
    assert (status, codes(answer), site.vendors.requests) == (2, {"usage"}, [])
    assert said in answer["problems"][0]["message"]


def test_a_file_in_place_of_the_cache_is_called_one(run: Run, quote: str) -> None:
    status, answer = run("endorsements", "fetch", quote, "--cache", quote)
    assert (status, codes(answer)) == (2, {"sources.cache"})
    assert answer["problems"][0]["found"].startswith("a file in its place: ")


def test_endorsements_alone_say_not_what_to_fetch(folder: Path, run: Run, tdx: Simulated) -> None:
    name = next(name for name in tdx.files if name.endswith(".crl"))
    (folder / name).write_bytes(tdx.files[name])
    status, answer = run("endorsements", "fetch", name)
    assert (status, codes(answer)) == (2, {"usage"})


# -- endorsements verify -------------------------------------------------------------------------------


def test_each_endorsement_is_named_with_its_end(
    folder: Path, tdx: Simulated, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, data in tdx.files.items():
        (folder / name).write_bytes(data)
    assert main(["endorsements", "verify", *tdx.files, *AT, "--simulator-root", "root.pem"]) == 0
    out = capsys.readouterr().out
    assert (
        "tcb-info FMSPC 00806f050000, evaluation 21\n    current under Intel SGX Root CA (SIMULATED); " in out
    )
    assert out.count("✔") >= 4
    assert main(["endorsements", "verify", *tdx.files, *AT]) == 1
    assert "not authentic" in capsys.readouterr().out


def test_what_lacks_its_issuer_is_not_called_forged(
    folder: Path, simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """The certificates that an OCSP answer needs come with the device or the manifest."""
    made = simulator.machine(nonce=bytes(32))
    (folder / "machine.json").write_bytes(made.files["simulated-machine.json"])
    answers = [name for name in made.files if "ocsp-gh100" in name]
    for name in answers:
        (folder / name).write_bytes(made.files[name])
    words = ["endorsements", "verify", *answers, *AT, "--simulator-root", "root.pem"]
    assert main(words) == 1
    out = capsys.readouterr().out
    assert out.count("? ") == 2
    assert "cannot be checked: its issuer's certificate is not among the files (NVIDIA GH100 Identity)" in out
    assert "not authentic" not in out
    assert main([*words, "machine.json"]) == 0
    assert "✔ simulated-ocsp-gh100-brom-0.der: ocsp GH100 A01 GSP BROM is good" in capsys.readouterr().out


def test_what_will_have_ended_is_told_ahead(folder: Path, run: Run, tdx: Simulated) -> None:
    for name, data in tdx.files.items():
        (folder / name).write_bytes(data)
    status, answer = run("endorsements", "verify", *tdx.files, "--at", "2027-01-15T00:00:00Z")
    assert status == 1
    states = {row["kind"]: row["state"] for row in answer["endorsements"]}
    assert (states["tcb-info"], states["certificate"]) == ("ended", "current")


def test_evidence_alone_is_no_endorsement_and_says_so(
    folder: Path, simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "report.bin").write_bytes(simulator.snp().raw)
    assert main(["endorsements", "verify", "report.bin"]) == 2
    assert "no endorsement is in report.bin; `attest verify` judges evidence" in capsys.readouterr().err


def test_a_file_that_is_none_ends_with_2(folder: Path, run: Run) -> None:
    (folder / "x").write_text("hello")
    status, answer = run("endorsements", "verify", "x")
    assert status == 2
    assert answer["problems"]


@pytest.mark.parametrize("verb", ["fetch", "verify"])
def test_help_teaches(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["endorsements", verb, "--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert "examples:" in out
    assert "Exit status:" in out
