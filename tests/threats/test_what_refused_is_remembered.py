"""What made evidence be refused is remembered too: an older list, still in date, must not bring it back.

T-COLLATERAL-ROLLBACK, T-OMIT: the list that names a chip is the very one whose memory an attacker wants lost.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from attest import Rejected, verify
from attest.anchors import Anchors
from attest.cli.main import main
from attest.endorsements import Endorsements
from attest.memory import Memory
from attest.simulator import Simulator
from attest.simulator.simulated import Simulated
from attest.sources.memory_file import MemoryFile
from tests.conftest import NOON

DAY = timedelta(days=1)
CASES = {
    "snp-ask-revoked": ("x509.revoked", "x509.crl.rollback"),
    "tdx-pck-revoked": ("x509.revoked", "x509.crl.rollback"),
    "tdx-level-revoked": ("tdx.tcb.revoked", "tdx.collateral.rollback"),
    "tdx-qe-revoked": ("tdx.tcb.revoked", "tdx.collateral.rollback"),
    "gpu-ocsp-revoked": ("x509.revoked", "nvidia.ocsp.rollback"),
}


def older(made: Simulated, earlier: Simulated) -> Endorsements:
    """The endorsements of `made`, with the lists, documents and answers of the day before."""
    own, before = made.endorsements, earlier.endorsements
    return Endorsements(own.certificates, before.crls, before.documents, own.rims, before.ocsp)


@pytest.mark.parametrize("fault", CASES)
def test_t_collateral_rollback_what_refused_once_is_not_forgotten(
    fault: str, simulator: Simulator, anchors: Anchors
) -> None:
    (first, code), vendor = CASES[fault], fault.partition("-")[0]
    made = getattr(simulator, vendor)(fault=fault)
    earlier = older(made, getattr(simulator.moved_to(NOON - DAY), vendor)())

    def judged(endorsements: Endorsements, memory: Memory) -> None:
        verify(made.evidence, endorsements=endorsements, at=NOON, anchors=anchors, memory=memory)

    judged(earlier, Memory())  # by itself nothing is wrong with it
    with pytest.raises(Rejected) as refusal:
        judged(made.endorsements, Memory())
    assert refusal.value.codes == {first}
    assert refusal.value.seen is not None
    with pytest.raises(Rejected) as again:
        judged(earlier, Memory().merged(refusal.value.seen))
    assert again.value.codes == {code}


@pytest.mark.parametrize("fault", [fault for fault in CASES if fault.startswith("tdx")])
def test_t_collateral_rollback_all_that_was_judged_by_is_remembered_and_intels_lists_have_no_number(
    fault: str, simulator: Simulator, anchors: Anchors
) -> None:
    made = simulator.tdx(fault=fault)
    honest = simulator.tdx()
    kept = verify(
        honest.evidence, endorsements=honest.endorsements, at=NOON, anchors=anchors, memory=Memory()
    ).memory
    with pytest.raises(Rejected) as refusal:
        verify(made.evidence, endorsements=made.endorsements, at=NOON, anchors=anchors, memory=Memory())
    seen = refusal.value.seen
    assert seen is not None
    assert seen.crl_numbers == {}
    if refusal.value.codes == {"tdx.tcb.revoked"}:
        assert seen.documents == kept.documents
        assert len(seen.documents) == 2


@pytest.mark.parametrize("left", ["tcb-info", "qe-identity"])
def test_a_revoked_platform_without_one_of_its_documents_is_refused_all_the_same(
    left: str, simulator: Simulator, anchors: Anchors
) -> None:
    made = simulator.tdx(fault="tdx-qe-revoked")
    own = made.endorsements
    documents = tuple(one for one in own.documents if one.kind != left)
    assert len(documents) < len(own.documents)
    endorsements = Endorsements(own.certificates, own.crls, documents)
    with pytest.raises(Rejected) as refusal:
        verify(made.evidence, endorsements=endorsements, at=NOON, anchors=anchors, memory=Memory())
    assert f"tdx.{left}.missing" in refusal.value.codes


def test_t_collateral_rollback_the_commands_memory_keeps_it(
    simulator: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = simulator.snp(fault="snp-ask-revoked")
    earlier = simulator.moved_to(NOON - DAY).snp()
    root = tmp_path / "root.pem"
    root.write_bytes(simulator.roots_pem)

    def run(lists: Simulated) -> int:
        files = []
        for name, data in {**made.files, "simulated-ark.crl": lists.files["simulated-ark.crl"]}.items():
            (tmp_path / name).write_bytes(data)
            files.append(str(tmp_path / name))
        memory = str(tmp_path / "memory.json")
        return main(
            ["verify", *files, "--at", NOON.isoformat(), "--simulator-root", str(root), "--memory", memory]
        )

    assert run(made) == 1
    assert MemoryFile(tmp_path / "memory.json", simulated=True).read().crls
    capsys.readouterr()
    assert run(earlier) == 1
    assert "x509.crl.rollback" in capsys.readouterr().out
