"""Evidence that is kept, verified again later, gives the claims of its row; and it ends, under a row of its own."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest import Endorsements, Rejected
from attest.simulator import Simulator
from kbs.audit_proof import Witness
from kbs.broker import Settings
from kbs.cli.main import main
from kbs.evidence_replay import NotReplayed, replay
from kbs.refusals import Refusal
from kbs.retention import kept_until
from kbs.store.address import Address
from tests.kbs.conftest import PATH, Bench, make_bench


@pytest.fixture
def keeping(
    tmp_path: Path, simulator: Simulator, endorsements: Endorsements, empty: Address
) -> Iterator[Bench]:
    settings = Settings(evidence_days=1, session_days=3)
    for bench in make_bench(tmp_path, simulator, endorsements, empty, settings):
        bench.owner("acme")
        bench.secret("acme")
        yield bench


def kept(bench: Bench) -> tuple[dict[str, Any], bytes]:
    return bench.administration.foresight.evidence(bench.rows("attested")[-1]["session"])


@pytest.mark.parametrize("cpu", ["snp", "tdx"])
def test_kept_evidence_gives_the_same_claims_when_it_is_replayed(keeping: Bench, cpu: str) -> None:
    guest = keeping.guest(cpu=cpu)
    guest.auth()
    keeping.clock.pass_seconds(7)
    guest.attest()
    row, body = kept(keeping)
    keeping.clock.pass_seconds(300 * 24 * 3600)
    again = replay(row, body, keeping.collateral.epoch.endorsements, keeping.simulator.anchors())
    assert again.claims["time"]["evidence-age"] == "7s"
    assert row["endorsements"] == keeping.collateral.epoch.name
    assert row == keeping.rows("attested")[-1]


def test_evidence_is_replayed_for_its_own_row_nonce_and_time_alone(keeping: Bench) -> None:
    keeping.guest().boot(PATH)
    row, body = kept(keeping)
    endorsements, anchors = keeping.collateral.epoch.endorsements, keeping.simulator.anchors()
    with pytest.raises(NotReplayed, match="the evidence is another"):
        replay(row, body + b" ", endorsements, anchors)
    with pytest.raises(NotReplayed, match="the claims come out otherwise"):
        replay({**row, "age": 9}, body, endorsements, anchors)
    with pytest.raises(NotReplayed, match="none of an attestation"):
        replay({**row, "event": "released"}, body, endorsements, anchors)
    with pytest.raises(Rejected) as refused:
        replay({**row, "nonce": base64.b64encode(bytes(32)).decode()}, body, endorsements, anchors)
    assert any(code.startswith("binding.") for code in refused.value.codes)
    with pytest.raises(Rejected):
        replay({**row, "at": "2090-01-01T00:00:00Z"}, body, endorsements, anchors)


def test_the_command_replays_a_file_without_the_broker(
    keeping: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keeping.guest().boot(PATH)
    answer = keeping.admin("GET", f"evidence/{keeping.rows('attested')[-1]['session']}").json()
    file, folder, root = tmp_path / "machine.json", tmp_path / "endorsements", tmp_path / "root.pem"
    file.write_text(json.dumps(answer))
    folder.mkdir()
    root.write_bytes(keeping.simulator.roots_pem)
    made = keeping.simulator.moved_to(keeping.clock.now).machine(nonce=bytes(range(32)))
    for name, content in made.files.items():
        if name != "simulated-machine.json":
            (folder / name).write_bytes(content)
    basis = ["--endorsements", str(folder), "--simulator-root", str(root)]
    capsys.readouterr()
    assert main(["audit", "replay", str(file), *basis]) == 0
    said = capsys.readouterr().out
    assert said.startswith(
        f"row {answer['row']['number']}: the same claims, as of 2040-11-23T12:00:00Z SIMULATED"
    )
    assert main(["audit", "replay", str(file), *basis[:2]]) == 1
    assert main(["audit", "replay", str(file), *basis, "-o", str(file)]) == 2
    assert json.loads(file.read_text()) == answer, "what was kept is not written over"
    copy = tmp_path / "copy.json"
    assert main(["audit", "replay", str(file), *basis, "-o", str(copy)]) == 0
    assert main(["audit", "replay", str(copy), *basis]) == 0
    answer["row"]["claims"] = "sha384:" + "00" * 48
    file.write_text(json.dumps(answer))
    assert main(["audit", "replay", str(file), *basis]) == 1
    assert "the claims come out otherwise" in capsys.readouterr().err
    file.write_text("{}")
    assert main(["audit", "replay", str(file), *basis]) == 2
    file.write_text("{")
    assert main(["audit", "replay", str(file), *basis]) == 2


def test_what_was_kept_ends_under_one_row_and_the_trail_still_proves(keeping: Bench) -> None:
    for _ in range(2):
        keeping.guest().boot(PATH)
    head = keeping.administration.record.proof(()).head
    keeping.clock.pass_seconds(35 * 3600)
    keeping.guest().auth()
    assert keeping.rows("kept-ended") == []
    assert kept(keeping)
    keeping.clock.pass_seconds(3600)  # the midnight after a day
    for _ in range(2):
        keeping.guest().auth()
    (row,) = keeping.rows("kept-ended")
    assert (row["sessions"], row["evidence"]) == (0, 2)
    with pytest.raises(Refusal, match="no evidence of this session is kept"):
        kept(keeping)
    keeping.clock.pass_seconds(48 * 3600)
    keeping.guest().auth()
    assert [(row["sessions"], row["evidence"]) for row in keeping.rows("kept-ended")] == [(0, 2), (2, 0)]
    proof = keeping.administration.record.proof([Witness(head, "receipt")])
    assert (proof.faults, proof.proved) == ((), head.number)


def test_no_evidence_is_kept_unless_it_is_asked_for(acme: Bench) -> None:
    acme.guest().boot(PATH)
    with pytest.raises(Refusal, match="no evidence of this session is kept"):
        kept(acme)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1)), st.integers(1, 3650))
def test_a_day_ends_as_a_whole_and_nothing_before_its_days(now: datetime, days: int) -> None:
    now = now.replace(tzinfo=UTC)
    until = kept_until(now, days)
    assert timedelta(days=days) <= until - now < timedelta(days=days + 1)
    assert (until.hour, until.minute, until.second, until.microsecond) == (0, 0, 0, 0)
