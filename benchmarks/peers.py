"""How much faster is this verifier than others on the same evidence?

Here the value is theirs and the floor is ours, so that the ratio says how many times faster. Each peer measures itself
inside its own process, without starting and without passing bytes about; the two take turns, so that both
meet the same machine.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from attest import Cache, verify
from attest.evidence import Evidence
from attest.nvidia.containers import DeviceEvidence
from attest.nvidia.second_opinion.question import question_of
from attest.nvidia.second_opinion.runner import Peer
from attest.recognise import Found, recognise
from attest.tdx.quote import Quote
from benchmarks.samples import AT, EVIDENCE, ROOT, files, loaded
from benchmarks.timing import Result

_PEERS = ROOT / "build" / "peers"
_DCAP_QVL = _PEERS / "dcap-qvl" / "bin" / "python"
_NVIDIA = _PEERS / "nvidia" / "bin" / "python"

# Collateral is read once, as a program that judges many quotes would.
_CHILD = """
import json, sys, time
import dcap_qvl
quote, document, now = json.loads(sys.stdin.readline())
quote, collateral = bytes.fromhex(quote), dcap_qvl.QuoteCollateralV3.from_json(document)
for _ in sys.stdin:
    begun = time.perf_counter()
    status = dcap_qvl.verify(quote, collateral, now).status
    spent = time.perf_counter() - begun
    assert status == "UpToDate"
    print(spent, flush=True)
"""


def run() -> Iterator[Result]:
    """tdx_dcap_qvl: one quote under known collateral. h100_nvidia: a report, its chain and both manifests, from
    bytes, without OCSP."""
    if _installed(_DCAP_QVL, "dcap-qvl", "make peers"):
        yield _tdx()
    if _installed(_NVIDIA, "NVIDIA's local verifier", "make peers"):
        yield _h100()


def _tdx() -> Result:
    folder, at = EVIDENCE / "tdx-v4", AT["tdx-v4"]
    raw = (folder / "quote.bin").read_bytes()
    _, endorsements = loaded("tdx-v4")
    document = next(path for path in files("tdx-v4") if path.suffix == ".json").read_text()
    cache = Cache()

    def ours() -> None:
        verify(Evidence(Quote.parse(raw)), endorsements=endorsements, at=at, cache=cache)

    with subprocess.Popen(
        [str(_DCAP_QVL), "-I", "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        say, hear = child.stdin, child.stdout
        say.write(json.dumps([raw.hex(), document, int(at.timestamp())]) + "\n")

        def theirs() -> float:
            say.write("again\n")
            say.flush()
            return float(hear.readline())

        result = _in_turns("tdx_dcap_qvl", theirs, ours, least=2.5, rounds=500)
        say.close()
    return result


def _h100() -> Result:
    at = AT["h100"]
    evidence, endorsements = loaded("h100")
    device = evidence.devices[0]
    assert isinstance(device, DeviceEvidence)
    question = question_of(device, endorsements, nonce=None, at=at)
    blobs = [(path.name, path.read_bytes()) for path in files("h100")]

    def ours() -> None:
        found = Found()
        for name, data in blobs:
            recognise(name, data, found)
        verify(found.evidence(), endorsements=found.endorsements(), at=at)

    with closing(Peer(_NVIDIA)) as peer:

        def theirs() -> float:
            answer = peer.ask(question)
            assert all(step.outcome != "failed" for step in answer.steps.values())
            return answer.seconds

        return _in_turns("h100_nvidia", theirs, ours, least=4, rounds=40)


def _in_turns(
    name: str, theirs: Callable[[], float], ours: Callable[[], None], *, least: float, rounds: int
) -> Result:
    """Medians of single calls; theirs says itself how many seconds it took."""
    value, floor = [], []
    for index in range(-5, rounds):
        seconds = theirs()
        begun = time.perf_counter()
        ours()
        spent = time.perf_counter() - begun
        if index >= 0:
            value.append(seconds * 1000)
            floor.append(spent * 1000)
    return Result(name, statistics.median(value), statistics.median(floor), least=least)


def _installed(python: Path, who: str, word: str) -> bool:
    if not python.exists():
        print(f"{who} is not installed: {word}")
    return python.exists()
